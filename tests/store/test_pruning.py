"""What is older than it is kept goes, a little at a time, and nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.audit import verify
from cds_service.protocol.feedback import FeedbackEntry, FeedbackOutcome
from cds_service.store.records import (
    Attempt,
    AuditEvent,
    CallRecord,
    CardRecord,
    Intake,
    StoredAnswer,
    SuppressionRecord,
)
from cds_service.store.references.records import NewReference
from cds_service.store.store import Store
from cds_service.store.upkeep.pruning import CALLS_AT_ONCE, Keep
from cds_service.wearables.records import PatientKey, WearableAlert

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MONTH = Keep(records=30 * DAY, audit=60 * DAY)
PATIENT = PatientKey("default", "-", "p1")
Rows = Callable[[str], list[dict[str, Any]]]


class Client:
    """Whoever was shown the cards."""

    id, tenant = "sandbox", "default"


@pytest.fixture
def history(
    store: Store, make_call: Callable[..., CallRecord], make_alert: Any
) -> Store:
    """Calls, feedback and alerts of today, of 40 and of 90 days ago."""
    for days in (90, 40, 0):
        at = NOW - days * DAY
        event = AuditEvent(at, "call", "default", "sandbox", PATIENT)
        line = SuppressionRecord("b", "1.0.0", 0, "l", "grouped", None, "", "info", "a")
        card = CardRecord(f"card-{days}", "a", "1.0.0", "k", "warning", at)
        until = at + timedelta(hours=8)
        reference = NewReference(f"digest-{days}", card.uuid, "why", until, "sealed")
        told = {"cards": (card,), "suppressions": (line,)}
        refers = {"references": (reference,)} if days != 90 else {}
        store.record_call(make_call(at=at, **told, **refers), event)
        entry = FeedbackEntry(card.uuid, FeedbackOutcome.ACCEPTED, at, (), None, "")
        store.record_feedback("wearable-review", [entry], Client, event, at)
        alerts = [
            make_alert(id=f"ended-{days}", start=at - DAY, end=at, status="closed"),
            make_alert(id=f"lasts-{days}", start=at - DAY),
            make_alert(id=f"taken-back-{days}", start=at, status="retracted"),
        ]
        deliver(store, f"d-{days}", alerts, event)
    return store


def deliver(
    store: Store, key: str, alerts: list[WearableAlert], event: AuditEvent
) -> None:
    attempt = Attempt("watch", key)
    store.begin_delivery(attempt, "digest", event.at)
    store.finish_delivery(
        attempt, StoredAnswer(202, "{}"), Intake(tuple(alerts)), event, event.at
    )


def prune(store: Store, keep: Keep = MONTH) -> dict[str, int]:
    gone: dict[str, int] = {}
    for step in store.pruning.steps(keep, NOW):
        gone[step.what] = gone.get(step.what, 0) + step.rows
    return gone


def test_by_default_everything_is_kept_and_old_rows_of_the_trail_are_sealed(
    history: Store, rows: Rows
) -> None:
    assert prune(history, Keep()) == {"card_references": 1, "seals": 6}

    assert [each["n"] for each in rows("SELECT count(*) AS n FROM calls")] == [3]
    assert len(history.seals.all()) == 1


def test_calls_go_with_their_cards_lines_and_feedback(
    history: Store, rows: Rows
) -> None:
    gone = prune(history)

    assert gone["calls"] == 6 and gone["feedback"] == 2
    assert rows("SELECT uuid FROM cards") == [{"uuid": "card-0"}]
    assert rows("SELECT card FROM feedback") == [{"card": "card-0"}]
    (left,) = rows("SELECT id FROM calls")
    assert rows("SELECT call_id FROM suppressions") == [{"call_id": left["id"]}]


def test_alerts_go_once_they_ended_and_not_while_they_last(
    history: Store, rows: Rows
) -> None:
    prune(history)

    assert {each["id"] for each in rows("SELECT id FROM wearable_alerts")} == {
        *("ended-0", "taken-back-0"),
        *("lasts-0", "lasts-40", "lasts-90"),
    }


def test_the_trail_goes_by_the_seal_and_verifies(history: Store) -> None:
    """One segment has the rows of both days: it goes when all of it is old enough."""
    assert "audit" not in prune(history, Keep(30 * DAY, 60 * DAY))

    assert prune(history, Keep(30 * DAY, 35 * DAY))["audit"] == 6

    assert verify(history) == []
    kinds = [each.kind for each in history.audit_entries()]
    assert kinds == ["call"] * 3 + ["pruning"]


def test_it_is_counted_before_what_would_go(history: Store) -> None:
    assert history.pruning.count(MONTH, NOW) == {
        "calls": 2,
        "feedback": 2,
        "wearable_alerts": 4,
        "outbox": 0,
        "told": 0,
        "audit": 3,
    }
    assert history.pruning.count(Keep(), NOW) == {}


def test_references_that_are_over_go_whatever_else_is_kept(
    history: Store, rows: Rows
) -> None:
    assert prune(history, Keep())["card_references"] == 1

    assert rows("SELECT card FROM card_references") == [{"card": "card-0"}]


def test_references_go_with_their_calls(
    store: Store, make_call: Callable[..., CallRecord], rows: Rows
) -> None:
    long = NewReference("a", "card-1", "why", NOW + DAY, "sealed")
    store.record_call(
        make_call(at=NOW - 40 * DAY, references=(long,)), AuditEvent(NOW, "call")
    )

    assert prune(store)["calls"] == 3
    assert rows("SELECT digest FROM card_references") == []


def test_what_broke_off_goes_on_where_it_was(
    store: Store, make_call: Callable[..., CallRecord], rows: Rows
) -> None:
    event = AuditEvent(NOW, "call")
    for _ in range(CALLS_AT_ONCE + 5):
        store.record_call(make_call(at=NOW - 40 * DAY, cards=()), event)

    first = next(store.pruning.steps(MONTH, NOW))

    assert first.rows == CALLS_AT_ONCE
    assert prune(store)["calls"] == 5
    assert rows("SELECT id FROM calls") == []


def test_nothing_is_left_to_do_when_all_is_done(history: Store) -> None:
    prune(history)

    assert prune(history) == {}
