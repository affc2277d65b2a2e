"""Old rows go at night, by who has the lease, a transaction at a time."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cds_service.publishing.housekeeping import Housekeeper
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from cds_service.store.upkeep.pruning import Keep

NIGHT = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path, new_database: Callable[[Path], str]) -> Iterator[Store]:
    """A row of the trail that is old."""
    opened = Store.open(new_database(tmp_path / "cds.sqlite"))
    opened.record_audit(AuditEvent(NIGHT - 9 * DAY, "call"))
    yield opened
    opened.close()


class Clock:
    """What the housekeeper takes for now."""

    now = NIGHT

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def said() -> list[Any]:
    return []


@pytest.fixture
def keeper(store: Store, said: list[Any]) -> Housekeeper:
    def log(event: str, **facts: Any) -> None:
        said.append((event, facts))

    keep = Keep(timedelta(days=5), timedelta(days=5))
    return Housekeeper(store, keep, Clock(), log, UTC)


def look(keeper: Housekeeper, epoch: int = 7) -> None:
    """As often as it takes to do everything."""
    for _ in range(5):
        keeper._next = 0.0
        keeper.look(epoch)


def test_at_night_old_rows_are_sealed_and_removed_and_the_log_says_how_many(
    keeper: Housekeeper, store: Store, said: list[Any]
) -> None:
    look(keeper)

    assert [each.kind for each in store.audit_entries()] == ["pruning"]
    assert said == [("old rows sealed and removed", {"seals": 1, "audit": 1})]


def test_by_day_and_without_the_lease_nothing_is_done(
    keeper: Housekeeper, store: Store, said: list[Any]
) -> None:
    look(keeper, epoch=0)
    keeper._clock.now = NIGHT + timedelta(hours=12)
    look(keeper)

    assert store.seals.all() == ()
    assert said == []


def test_one_transaction_at_a_time_with_a_pause_after_it(
    keeper: Housekeeper, store: Store
) -> None:
    keeper.look(7)
    keeper.look(7)

    assert [each.pruned for each in store.seals.all()] == [None]


def test_a_database_that_does_not_answer_is_said_and_tried_the_next_night(
    keeper: Housekeeper, store: Store, said: list[Any]
) -> None:
    keeper._store = Store.open("postgresql+psycopg://cds@/cds?host=/nowhere")
    look(keeper)
    keeper._store.close()

    ((event, facts),) = said
    assert event == "old rows not removed"
    assert "cannot be reached" in facts["problem"]

    keeper._store = store
    look(keeper)
    assert store.seals.all() == ()
    keeper._clock.now = NIGHT + DAY
    look(keeper)
    assert len(store.seals.all()) == 1
