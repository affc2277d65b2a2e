"""Old rows go at night, by one process, a transaction at a time."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cds_service.publishing.housekeeping import Housekeeper
from cds_service.store.grants.records import SealedTokens
from cds_service.store.records import AuditEvent, CallRecord
from cds_service.store.references.records import NewReference
from cds_service.store.sign_in.records import SmartSession
from cds_service.store.store import Store
from cds_service.store.upkeep.pruning import Keep
from cds_service.wearables.records import PatientKey

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
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(store: Store, said: list[Any], clock: Clock) -> Callable[[], Housekeeper]:
    """Another process that serves."""

    def log(event: str, **facts: Any) -> None:
        said.append((event, facts))

    keep = Keep(timedelta(days=5), timedelta(days=5))
    return lambda: Housekeeper(store, keep, clock, log, UTC)


@pytest.fixture
def keeper(make: Callable[[], Housekeeper]) -> Housekeeper:
    return make()


def look(keeper: Housekeeper) -> None:
    """As often as it takes to do everything."""
    for _ in range(5):
        keeper.look()


def test_at_night_old_rows_are_sealed_and_removed_and_the_log_says_how_many(
    keeper: Housekeeper, store: Store, said: list[Any]
) -> None:
    look(keeper)

    assert [each.kind for each in store.audit_entries()] == ["pruning"]
    assert said == [("old rows sealed and removed", {"seals": 1, "audit": 1})]


def test_by_day_nothing_is_done(
    keeper: Housekeeper, clock: Clock, store: Store, said: list[Any]
) -> None:
    clock.now = NIGHT + timedelta(hours=12)
    look(keeper)

    assert store.seals.all() == ()
    assert said == []


def test_what_was_kept_for_some_hours_goes_at_any_time_of_the_day(
    keeper: Housekeeper, clock: Clock, store: Store, said: list[Any]
) -> None:
    noon = NIGHT + timedelta(hours=10)
    for hours in (0, 8):
        until = noon + timedelta(hours=hours)
        reference = NewReference(f"digest-{hours}", "card", "why", until, "sealed")
        call = CallRecord(
            *(noon, "ehr", "review", "patient-view", "1"),
            PatientKey("north", "-", "jane"),
            "sha256:0",
            references=(reference,),
        )
        store.record_call(call, AuditEvent(noon, "call"))
    clock.now = noon

    keeper.look()

    assert store.references.reseal(lambda each: None) == (0, 1)
    assert said == []


def test_by_day_as_well_nothing_is_left_of_a_session_that_nobody_uses_any_more(
    keeper: Housekeeper, clock: Clock, store: Store
) -> None:
    clock.now = NIGHT + timedelta(hours=12)
    quarter = timedelta(minutes=15)
    session = SmartSession(
        *("s1", "l1", "north", "ehr", "https://fhir.example.org", "jane", None, None),
        (),
        *(clock.now, clock.now + quarter, clock.now + DAY, "sealed"),
    )
    tokens = SealedTokens("a1", "r1")
    store.smart_sessions.open(session, "k1", tokens, AuditEvent(clock.now, "sign-in"))
    look(keeper)
    assert store.smart_sessions.tokens("l1") is not None

    clock.now += quarter
    look(keeper)

    assert store.smart_sessions.tokens("l1") is None
    told = [json.loads(each.detail) for each in store.audit_entries()][-1]
    assert (told["signIn"], told["why"]) == ("ended", "nobody used it")


def test_one_transaction_at_a_time_with_a_pause_after_it(
    keeper: Housekeeper, store: Store
) -> None:
    assert 0 < keeper.look() < 1
    assert [each.pruned for each in store.seals.all()] == [None]

    assert 0 < keeper.look() < 1
    assert [each.pruned is None for each in store.seals.all()] == [False]


def test_of_several_processes_one_does_it_and_none_again_that_night(
    make: Callable[[], Housekeeper], clock: Clock, store: Store, said: list[Any]
) -> None:
    one, other, third = make(), make(), make()
    one.look()

    assert other.look() > 10
    assert [each.pruned for each in store.seals.all()] == [None]
    look(one)
    clock.now += timedelta(minutes=150)
    look(other)
    assert [event for event, _ in said] == ["old rows sealed and removed"]

    store.record_audit(AuditEvent(NIGHT - 9 * DAY, "call"))
    clock.now = NIGHT + 2 * DAY
    look(third)
    assert [event for event, _ in said] == 2 * ["old rows sealed and removed"]


def test_another_process_goes_on_for_one_that_died(
    make: Callable[[], Housekeeper], clock: Clock, store: Store, said: list[Any]
) -> None:
    died, other = make(), make()
    died.look()

    clock.now += timedelta(minutes=5)
    look(other)

    assert [event for event, _ in said] == ["old rows sealed and removed"]


def test_a_database_that_does_not_answer_is_said_and_tried_the_next_night(
    keeper: Housekeeper, clock: Clock, store: Store, said: list[Any]
) -> None:
    keeper._store = Store.open("postgresql+psycopg://cds@/cds?host=/nowhere")
    look(keeper)
    keeper._store.close()

    events = {event for event, _ in said}
    wiped = {"references not removed", "sessions not wiped"}
    assert events == {"old rows not removed", *wiped}
    assert all("cannot be reached" in facts["problem"] for _, facts in said)

    keeper._store = store
    look(keeper)
    assert store.seals.all() == ()
    clock.now = NIGHT + DAY
    look(keeper)
    assert len(store.seals.all()) == 1
