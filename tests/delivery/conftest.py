"""Alerts that wait in an outbox, and another side that is told of them."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cds_service.delivery.dispatcher import Dispatcher, Surroundings, run
from cds_service.delivery.records import Destination
from cds_service.publishing.serving import Log
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.telling import Subscription

from .hostile import HostileDestination, OtherSide

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store in which the EHR is told."""
    opened = Store.open(url)
    opened.outbox.subscribe([Subscription("ehr", "north")])
    yield opened
    opened.close()


@pytest.fixture
def other(tmp_path: Path) -> OtherSide:
    """The other side, which has nothing yet."""
    return OtherSide(tmp_path / "other.sqlite").make()


@pytest.fixture
def clock() -> "Clock":
    """A clock that is set."""
    return Clock()


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = NOW + timedelta(seconds=1)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **by: float) -> None:
        """Let time go by."""
        self.now += timedelta(**by)


Deliver = Callable[..., Dispatcher]


@pytest.fixture
def deliver(store: Store, clock: Clock) -> Deliver:
    """Delivers all that is due, by so many connections."""

    def tell(
        destination: Destination,
        connections: int = 4,
        chance: float = 0.0,
        log: Log = lambda event, **facts: None,
    ) -> Dispatcher:
        gate = ConsentGate(Catalogue({}, {}), UTC, assumed=True)
        around = Surroundings(lambda tenant: gate, clock, log, lambda: chance)
        dispatcher = Dispatcher(store.outbox, destination, around, connections)
        run([dispatcher], threading.Event(), once=True)
        return dispatcher

    return tell


def alerts(patients: int, each: int, **changes: Any) -> list[WearableAlert]:
    """So many alerts of each of so many patients, oldest first."""
    start = NOW - timedelta(hours=1)
    return [
        WearableAlert(
            **{
                "id": f"a{number:03}",
                "patient": PatientKey("north", "-", f"p{patient:03}"),
                "type": "high-heart-rate",
                "start": start + timedelta(seconds=number),
                "opened": NOW,
                "source": "watch",
                **changes,
            }
        )
        for number in range(each)
        for patient in range(patients)
    ]


def take_in(store: Store, told: list[WearableAlert], now: datetime = NOW) -> None:
    """Have a vendor tell alerts, one delivery for those of one number."""
    event = AuditEvent(now, "delivery", "north", "watch")
    for name in sorted({each.id for each in told}):
        some = tuple(each for each in told if each.id == name)
        store.take_in(Intake(alerts=some), event, now)
        now += timedelta(microseconds=1)


__all__ = ["HostileDestination", "OtherSide"]
