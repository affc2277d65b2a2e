"""Deliveries of samples to a real store."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.store.records import (
    Attempt,
    AuditEvent,
    Intake,
    StoredAnswer,
    TakenIn,
)
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Device, Removal, Sample

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
EIGHT = datetime.fromisoformat("2026-11-22T08:00:00-05:00")
JANE = StreamOwner(PatientKey("north", "-", "jane"), "watch")

Deliver = Callable[..., list[str]]


@pytest.fixture
def make_sample() -> Callable[..., Sample]:
    """A heart rate so many minutes after eight; changed as given."""

    def make(minute: int = 0, value: float = 72.0, **changes: Any) -> Sample:
        start = EIGHT + timedelta(minutes=minute)
        usual: dict[str, Any] = {
            "metric": "heart-rate",
            "value": value,
            "unit": "/min",
            "start": start,
            "end": start,
            "local": True,
            "device": Device("w1", "Watch"),
        }
        return Sample(**{**usual, **changes})

    return make


@pytest.fixture
def deliver(store: Store) -> Deliver:
    """Delivers items of one owner; gives what became of each."""
    keys = iter(range(1_000_000))

    def hand_over(
        *items: Sample | Removal, owner: StreamOwner = JANE, at: datetime = NOW
    ) -> list[str]:
        return deliver_batches(store, f"k{next(keys)}", [SampleBatch(owner, items)], at)

    return hand_over


def deliver_batches(
    store: Store, key: str, batches: Sequence[SampleBatch], at: datetime = NOW
) -> list[str]:
    """Deliver several owners' items at once; gives what became of each."""
    attempt, told = Attempt("watch", key), list[TakenIn]()

    def answer(taken: TakenIn) -> StoredAnswer:
        told.append(taken)
        return StoredAnswer(202, str(taken.count()))

    store.begin_delivery(attempt, "digest", at)
    event = AuditEvent(at, "delivery", "north", "watch")
    store.finish_delivery(attempt, answer, Intake(samples=tuple(batches)), event, at)
    return [str(each) for batch in told[-1].samples for each in batch]
