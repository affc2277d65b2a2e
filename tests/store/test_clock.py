"""What is forgotten by a clock that may be wrong."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.store.condition.clock import KEPT, Evenness
from cds_service.store.records import (
    Attempt,
    AuditEvent,
    DeliveryState,
    Intake,
    StoredAnswer,
)
from cds_service.store.store import Store

Rows = Callable[[str], list[dict[str, Any]]]
HOUR = timedelta(hours=1)
ISSUER = "https://ehr.example"


class Watch:
    """A clock that nobody can set."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def go_on(self, time: timedelta) -> None:
        self.seconds += time.total_seconds()


@pytest.fixture
def watch(store: Store) -> Watch:
    """The one that the store holds its time against."""
    made = Watch()
    store.trust_clock(made)
    return made


def spend(store: Store, jti: str, now: datetime) -> bool:
    """Whether a token is new that can be used for an hour from now."""
    return store.spend_token(ISSUER, jti, now + HOUR, now)


def kept(rows: Rows) -> list[str]:
    return [row["jti"] for row in rows("SELECT jti FROM spent_tokens ORDER BY jti")]


@pytest.mark.parametrize("step", [timedelta(hours=3), timedelta(days=400)])
def test_a_spent_token_survives_a_clock_that_steps_forward_and_back(
    store: Store, watch: Watch, now: datetime, step: timedelta
) -> None:
    assert spend(store, "first", now)
    for minute in range(5):
        watch.go_on(timedelta(minutes=2))
        assert spend(store, f"ahead-{minute}", now + step + minute * 2 * HOUR / 60)

    back = now + timedelta(minutes=12)
    watch.go_on(timedelta(minutes=2))
    assert not store.spend_token(ISSUER, "first", now + HOUR, back)
    assert spend(store, "after", back)


def test_nothing_is_forgotten_until_the_clock_has_run_evenly_for_an_hour(
    store: Store, watch: Watch, now: datetime, rows: Rows
) -> None:
    assert spend(store, "old", now - timedelta(days=1))
    steps = [timedelta(0), timedelta(minutes=30), timedelta(minutes=31), HOUR]
    for number, gone in enumerate(steps[:3]):
        watch.go_on(gone - (steps[number - 1] if number else gone))
        assert spend(store, f"new-{number}", now + gone)
        assert "old" in kept(rows)

    watch.go_on(timedelta(minutes=29))
    assert spend(store, "new-3", now + HOUR)
    assert "old" not in kept(rows)


def test_a_token_that_may_have_been_forgotten_is_not_taken_for_new(
    store: Store, now: datetime, rows: Rows
) -> None:
    assert spend(store, "first", now)
    assert spend(store, "ahead", now + timedelta(days=2))
    assert kept(rows) == ["ahead"]

    assert not store.spend_token(ISSUER, "first", now + HOUR, now)
    assert not spend(store, "another", now + timedelta(minutes=5))
    assert spend(store, "later", now + timedelta(days=2))


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_machine_whose_clock_is_ahead_forgets_nothing_for_the_others(
    store: Store, rows: Rows
) -> None:
    now = datetime.now(UTC)
    assert spend(store, "first", now)
    assert spend(store, "ahead", now + timedelta(days=2))

    assert kept(rows) == ["ahead", "first"]
    assert spend(store, "another", now)


def test_an_answer_survives_a_clock_that_steps_forward_and_back(
    store: Store, watch: Watch, now: datetime, event: AuditEvent
) -> None:
    first = Attempt("watch", "key")
    assert store.begin_delivery(first, "d", now).state is DeliveryState.NEW
    store.finish_delivery(first, StoredAnswer(202, "{}"), Intake(), event, now)
    far = now + timedelta(days=30)
    store.begin_delivery(Attempt("watch", "other"), "d", far)

    again = store.begin_delivery(Attempt("watch", "key"), "d", now)

    assert (again.state, again.status) == (DeliveryState.STORED, 202)


@pytest.mark.parametrize("days", [8, 30])
def test_an_answer_is_remembered_for_as_many_days_as_the_setting_says(
    store: Store, now: datetime, event: AuditEvent, days: int
) -> None:
    store.answers_kept = timedelta(days=days)
    first = Attempt("watch", "key")
    store.begin_delivery(first, "d", now)
    store.finish_delivery(first, StoredAnswer(202, "{}"), Intake(), event, now)

    for late, state in ((-1, DeliveryState.STORED), (1, DeliveryState.NEW)):
        then = now + timedelta(days=days, hours=late)
        store.begin_delivery(Attempt("watch", f"at {late}"), "d", then)
        assert store.begin_delivery(Attempt("watch", "key"), "d", then).state is state


def test_a_clock_that_is_put_right_by_seconds_is_in_no_doubt(now: datetime) -> None:
    watch = Watch()
    evenness = Evenness(watch)
    assert not evenness.is_trusted(now)
    watch.go_on(KEPT)

    assert evenness.is_trusted(now + KEPT + timedelta(seconds=59))
    assert not evenness.is_trusted(now + KEPT + timedelta(seconds=61))
    assert not evenness.is_trusted(now + KEPT)
