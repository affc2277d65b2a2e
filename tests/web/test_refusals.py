"""Refusals of strangers: the first of a kind is a row, the rest are counted."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cds_service.audit import verify
from cds_service.protocol.errors import Unauthenticated
from cds_service.store.records import StoreError
from cds_service.store.store import Store
from cds_service.web.refusals import MOST_KINDS, Refusals

ROUTE = "/cds-services/<service_id>"
PATH = "/cds-services/wearable-review"
FORGED = Unauthenticated("the signature is wrong")
EXPIRED = Unauthenticated("the token has expired")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(store: Store, clock: Clock) -> Refusals:
    return Refusals(store, clock)


def rows(store: Store) -> list[dict[str, Any]]:
    return [json.loads(each.detail) for each in store.audit_entries()]


def test_the_first_of_a_kind_has_a_row_before_it_is_answered(
    store: Store, refusals: Refusals
) -> None:
    refusals.note(FORGED, "192.0.2.1", ROUTE, PATH)

    assert rows(store) == [
        {
            "path": PATH,
            "status": 401,
            "reason": "the signature is wrong",
            "address": "192.0.2.1",
        }
    ]


def test_more_of_a_kind_are_one_row_with_their_number(
    store: Store, clock: Clock, refusals: Refusals
) -> None:
    since = clock.now
    for _ in range(100):
        refusals.note(FORGED, "192.0.2.1", ROUTE, PATH)
    clock.pass_by(60)
    refusals.note(EXPIRED, "192.0.2.1", ROUTE, PATH)

    first, repeated, next_kind = rows(store)
    assert first["reason"] == "the signature is wrong"
    assert repeated == {
        "status": 401,
        "reason": "refused again",
        "since": since.isoformat(),
        "count": 99,
        "repeated": [["192.0.2.1", ROUTE, "the signature is wrong", 99]],
    }
    assert next_kind["reason"] == "the token has expired"
    assert verify(store) == []


def test_another_address_reason_or_minute_is_another_kind(
    store: Store, clock: Clock, refusals: Refusals
) -> None:
    refusals.note(FORGED, "192.0.2.1", ROUTE, PATH)
    refusals.note(FORGED, "192.0.2.2", ROUTE, PATH)
    refusals.note(EXPIRED, "192.0.2.1", ROUTE, PATH)
    clock.pass_by(60)
    refusals.note(FORGED, "192.0.2.1", ROUTE, PATH)

    assert len(rows(store)) == 4
    assert all("count" not in each for each in rows(store))


def test_a_flood_from_everywhere_is_counted_whole_and_has_few_rows(
    store: Store, refusals: Refusals
) -> None:
    total = MOST_KINDS + 500
    for number in range(total):
        refusals.note(FORGED, f"198.51.100.{number}", ROUTE, PATH)
    refusals.settle()

    told = rows(store)
    assert len(told) == MOST_KINDS + 1
    assert told[-1]["count"] == 500
    assert told[-1]["repeated"][0][0] == "elsewhere"


def test_none_of_many_at_once_is_lost(store: Store, refusals: Refusals) -> None:
    def flood() -> None:
        for _ in range(50):
            refusals.note(FORGED, "192.0.2.1", ROUTE, PATH)

    threads = [threading.Thread(target=flood) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refusals.settle()

    first, repeated = rows(store)
    assert repeated["count"] == 399


def test_where_nothing_was_counted_nothing_is_written(
    store: Store, refusals: Refusals
) -> None:
    refusals.settle()
    refusals.note(FORGED, "192.0.2.1", ROUTE, PATH)
    refusals.settle()

    assert len(rows(store)) == 1


def test_a_count_that_cannot_be_written_is_kept(
    tmp_path: Path, store: Store, clock: Clock
) -> None:
    broken = Store.open(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    refusals = Refusals(broken, clock)
    with pytest.raises(StoreError):
        refusals.note(FORGED, "192.0.2.1", ROUTE, PATH)
    broken.migrate()
    refusals.note(FORGED, "192.0.2.1", ROUTE, PATH)
    refusals.note(FORGED, "192.0.2.1", ROUTE, PATH)
    refusals.settle()

    assert [each.get("count") for each in rows(broken)] == [None, 1]
    broken.close()
