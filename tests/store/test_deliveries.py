"""Deliveries: the same key gets the same answer, and is worked on once."""

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from cds_service.store.records import (
    Attempt,
    AuditEvent,
    Claim,
    DeliveryState,
    Intake,
    StoredAnswer,
    StoreError,
)
from cds_service.store.store import Store
from cds_service.wearables.records import WearableAlert

from ..waiting import until

FIRST = Attempt("simulator", "key")


def begin(
    store: Store, now: datetime, digest: str = "d", attempt: Attempt = FIRST
) -> Claim:
    return store.begin_delivery(attempt, digest, now)


def send_again(store: Store, now: datetime) -> Claim:
    """What becomes of the same delivery where it comes once more."""
    return begin(store, now, attempt=Attempt("simulator", "key"))


def finish(store: Store, event: AuditEvent, attempt: Attempt = FIRST) -> None:
    store.finish_delivery(
        attempt, StoredAnswer(202, '{"a":1}'), Intake(), event, event.at
    )


def test_a_delivery_is_new_then_in_progress_then_stored(
    store: Store, event: AuditEvent, now: datetime
) -> None:
    assert begin(store, now) == Claim(DeliveryState.NEW)
    assert send_again(store, now) == Claim(DeliveryState.IN_PROGRESS)

    finish(store, event)

    assert begin(store, now) == Claim(DeliveryState.STORED, 202, '{"a":1}')


def test_the_same_key_with_another_body_is_different(
    store: Store, event: AuditEvent, now: datetime
) -> None:
    begin(store, now)
    assert begin(store, now, "other").state is DeliveryState.DIFFERENT
    finish(store, event)
    assert begin(store, now, "other").state is DeliveryState.DIFFERENT


def test_the_same_key_of_another_source_is_another_delivery(
    store: Store, now: datetime
) -> None:
    begin(store, now)

    other = store.begin_delivery(Attempt("other", "key"), "d", now)

    assert other.state is DeliveryState.NEW


def test_a_claim_that_its_process_did_not_live_to_finish_is_taken_over(
    store: Store, now: datetime
) -> None:
    begin(store, now)

    assert (
        send_again(store, now + timedelta(minutes=4)).state is DeliveryState.IN_PROGRESS
    )
    assert send_again(store, now + timedelta(minutes=6)).state is DeliveryState.NEW
    assert (
        send_again(store, now + timedelta(minutes=7)).state is DeliveryState.IN_PROGRESS
    )


def test_what_was_taken_over_is_finished_by_who_took_it_over_alone(
    store: Store, event: AuditEvent, now: datetime
) -> None:
    later, second = now + timedelta(minutes=6), Attempt("simulator", "key")
    begin(store, now)
    begin(store, later, attempt=second)

    with pytest.raises(StoreError):
        finish(store, event)
    store.abandon_delivery(FIRST)
    assert send_again(store, later).state is DeliveryState.IN_PROGRESS
    finish(store, event, second)

    assert begin(store, later).state is DeliveryState.STORED


def test_an_abandoned_delivery_is_new_again_and_a_finished_one_stays(
    store: Store, event: AuditEvent, now: datetime
) -> None:
    begin(store, now)
    store.abandon_delivery(FIRST)
    assert begin(store, now).state is DeliveryState.NEW

    finish(store, event)
    store.abandon_delivery(FIRST)
    assert begin(store, now).state is DeliveryState.STORED


def test_a_delivery_that_is_not_in_progress_cannot_be_finished(
    store: Store,
    event: AuditEvent,
    now: datetime,
    make_alert: Callable[..., WearableAlert],
    rows: Callable[[str], list[dict[str, Any]]],
) -> None:
    with pytest.raises(StoreError):
        store.finish_delivery(
            Attempt("s", "key"),
            StoredAnswer(202, "{}"),
            Intake((make_alert(),)),
            event,
            now,
        )

    assert rows("SELECT * FROM wearable_alerts") == []
    assert rows("SELECT * FROM audit") == []


def test_an_answer_is_remembered_for_seven_days_and_then_forgotten(
    store: Store, event: AuditEvent, now: datetime
) -> None:
    begin(store, now)
    finish(store, event)

    assert begin(store, now + timedelta(days=7)).state is DeliveryState.STORED
    assert begin(store, now + timedelta(days=9)).state is DeliveryState.NEW


CLAIM_AND_DIE = """
import os, signal, sys
from datetime import datetime
from cds_service.store.records import Attempt
from cds_service.store.store import Store

store = Store.open(sys.argv[1])
now = datetime.fromisoformat(sys.argv[2])
print(store.begin_delivery(Attempt("simulator", "key"), "d", now).state, flush=True)
if sys.argv[3] == "dies":
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.read()
"""


def claim_elsewhere(url: str, now: datetime, then: str) -> subprocess.Popen[str]:
    """Another process, which has claimed the delivery and dies of it, or waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIM_AND_DIE, url, now.isoformat(), then],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdout.readline() == "new\n"
    return process


def test_a_delivery_whose_process_was_killed_is_new_at_once(
    store: Store, url: str, now: datetime, event: AuditEvent
) -> None:
    killed = claim_elsewhere(url, now, "dies")
    assert killed.wait() == -signal.SIGKILL

    # PostgreSQL sees the end of a session a few milliseconds after it.
    claim = until(lambda: begin(store, now).state is DeliveryState.NEW)

    assert claim
    finish(store, event)
    killed.communicate()


def test_a_delivery_whose_process_lives_is_left_to_it(
    store: Store, url: str, now: datetime
) -> None:
    at_work = claim_elsewhere(url, now, "waits")

    assert begin(store, now).state is DeliveryState.IN_PROGRESS

    at_work.communicate("")
    assert until(lambda: begin(store, now).state is DeliveryState.NEW)


def test_a_claim_that_was_copied_from_a_database_of_the_other_kind_is_dead(
    store: Store, now: datetime, kind: str, rows: Callable[[str], Any]
) -> None:
    other = {"sqlite": "12/1700000000.123", "postgresql": "boot/4026531836/12/99"}
    begin(store, now)
    rows(f"UPDATE deliveries SET claimant = '{other[kind]}'")

    assert send_again(store, now).state is DeliveryState.NEW


@pytest.mark.parametrize("kind", ["sqlite"])
@pytest.mark.parametrize("number, state", [(0, "new"), (1, "in_progress")])
def test_a_claim_of_before_a_restart_is_dead_and_that_of_another_container_is_not(
    store: Store, now: datetime, rows: Callable[[str], Any], number: int, state: str
) -> None:
    begin(store, now)
    (row,) = rows("SELECT claimant FROM deliveries")
    parts = row["claimant"].split("/")
    parts[number] = "another"
    rows(f"UPDATE deliveries SET claimant = '{'/'.join(parts)}'")

    assert send_again(store, now).state == state
