"""What the database says became of cards."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from cds_service.audit import build_call_event
from cds_service.protocol.feedback import FeedbackEntry, parse_feedback
from cds_service.store.records import (
    AuditEvent,
    CallRecord,
    CardRecord,
    EvaluationRecord,
    SuppressionRecord,
)
from cds_service.store.reports import Period, RuleReport
from cds_service.store.store import Store

CARD_A = "aaaaaaaa-0000-4000-8000-000000000001"
CARD_B = "aaaaaaaa-0000-4000-8000-000000000002"
REASONS = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"


@dataclass(frozen=True)
class Sender:
    id: str = "sandbox"
    tenant: str = "default"


def said(card: str, outcome: str, at: str, **more: Any) -> tuple[FeedbackEntry, ...]:
    entry = {"card": card, "outcome": outcome, "outcomeTimestamp": at, **more}
    return parse_feedback({"feedback": [entry]})


def overridden(card: str, at: str, code: str = "patient-refuses") -> Any:
    reason = {"reason": {"system": REASONS, "code": code}, "userComment": "no"}
    return said(card, "overridden", at, overrideReason=reason)


def accepted(card: str, at: str) -> Any:
    return said(card, "accepted", at, acceptedSuggestions=[{"id": CARD_B}])


@pytest.fixture
def period(now: datetime) -> Period:
    return Period(now - timedelta(days=1), now + timedelta(days=1))


@pytest.fixture
def show(
    store: Store,
    make_call: Callable[..., CallRecord],
    now: datetime,
) -> Callable[..., None]:
    """Record a call that showed cards of one rule."""

    def record(*cards: str, version: str = "1.2.0", **changes: Any) -> None:
        shown = tuple(
            CardRecord(card, "a-rule", version, "key", "warning", now) for card in cards
        )
        fired = (EvaluationRecord("a-rule", version, "fires"),)
        call = make_call(**{"cards": shown, "evaluations": fired, **changes})
        store.record_call(call, build_call_event(call))

    return record


@pytest.fixture
def hear(store: Store, event: AuditEvent, now: datetime) -> Callable[..., None]:
    """Record feedback."""

    def record(entries: tuple[FeedbackEntry, ...], sender: Sender = Sender()) -> None:
        store.record_feedback("wearable-review", entries, sender, event, now)

    return record


def only(reports: tuple[RuleReport, ...]) -> RuleReport:
    (report,) = reports
    return report


def test_f_7_a_card_of_which_nobody_spoke_is_neither_accepted_nor_overridden(
    store: Store, show: Any, period: Period
) -> None:
    show(CARD_A)

    report = only(store.reports.rules(period))

    assert (report.shown, report.accepted, report.overridden) == (1, 0, 0)
    assert report.silent == 1
    assert report.share(report.overridden) == 0


def test_accepted_and_overridden_cards_are_counted_with_their_rule_and_version(
    store: Store, show: Any, hear: Any, period: Period
) -> None:
    show(CARD_A, CARD_B)
    show("aaaaaaaa-0000-4000-8000-000000000003", version="1.3.0")
    hear(accepted(CARD_A, "2026-03-01T12:05:00Z"))
    hear(overridden(CARD_B, "2026-03-01T12:06:00Z"))

    old, new = store.reports.rules(period)

    assert (old.version, old.shown, old.accepted, old.overridden) == ("1.2.0", 2, 1, 1)
    assert dict(old.reasons) == {(REASONS, "patient-refuses"): 1}
    assert (new.version, new.shown, new.silent) == ("1.3.0", 1, 1)


def test_f_4_of_several_words_on_a_card_the_last_counts(
    store: Store, show: Any, hear: Any, period: Period
) -> None:
    show(CARD_A)
    hear(accepted(CARD_A, "2026-03-01T12:07:00Z"))
    hear(overridden(CARD_A, "2026-03-01T12:05:00Z"))

    report = only(store.reports.rules(period))

    assert (report.accepted, report.overridden) == (1, 0)


def test_a_card_named_in_capitals_is_the_same_card(
    store: Store, show: Any, hear: Any, period: Period
) -> None:
    show(CARD_A)
    hear(overridden(CARD_A.upper(), "2026-03-01T12:05:00Z"))

    assert only(store.reports.rules(period)).overridden == 1


def test_feedback_of_another_client_on_the_same_card_does_not_count(
    store: Store, show: Any, hear: Any, period: Period
) -> None:
    show(CARD_A)
    hear(overridden(CARD_A, "2026-03-01T12:05:00Z"), Sender("somebody-else"))

    assert only(store.reports.rules(period)).overridden == 0


def test_rules_that_fired_and_showed_nothing_are_counted(
    store: Store, show: Any, period: Period
) -> None:
    held = SuppressionRecord("a-rule", "1.2.0", 0, "key", "repeated", None, "shown")
    show(suppressions=(held,))
    show(evaluations=(EvaluationRecord("a-rule", "1.2.0", "unknown"),))

    report = only(store.reports.rules(period))

    assert (report.fired, report.unknown, report.shown) == (1, 1, 0)
    assert dict(report.held_back) == {"repeated": 1}
    assert report.share(0) is None


def test_what_was_before_or_after_the_period_is_left_out(
    store: Store, show: Any, hear: Any, now: datetime
) -> None:
    show(CARD_A)
    hear(overridden(CARD_A, "2026-03-01T12:05:00Z"))
    later = Period(now + timedelta(seconds=1), now + timedelta(days=9))
    earlier = Period(now - timedelta(days=9), now)

    assert store.reports.rules(later) == ()
    assert store.reports.rules(earlier) == ()
    assert list(store.reports.feedback(earlier)) == []


def test_more_calls_than_a_page_are_all_read(
    store: Store,
    make_call: Callable[..., CallRecord],
    period: Period,
) -> None:
    call = replace(make_call(), cards=())
    event = build_call_event(call)
    for _ in range(1001):
        store.record_call(call, event)

    assert only(store.reports.rules(period)).fired == 1001


def test_what_rules_said_is_counted_in_rows_of_before_as_well(
    store: Store, event: AuditEvent, period: Period
) -> None:
    """Each evaluation was written by itself, its rule first."""
    for said in (
        [["a@1.2.0", "fires"], ["a@1.2.0", "unknown", "drug not_read"]],
        [["fires", [], ["a@1.2.0"]], ["unknown", ["drug not_read"], ["a@1.2.0"]]],
    ):
        store.record_audit(replace(event, detail={"evaluations": said}))

    report = only(store.reports.rules(period))

    assert (report.rule, report.version) == ("a", "1.2.0")
    assert (report.fired, report.unknown) == (2, 2)


def test_f_10_feedback_on_an_unknown_card_is_exported_without_a_rule(
    store: Store, hear: Any, period: Period
) -> None:
    hear(overridden("never-seen", "2026-03-01T12:05:00Z"))

    (record,) = store.reports.feedback(period)

    assert (record.card, record.rule, record.user) == ("never-seen", "", "")
    assert (record.action, record.reason_code) == ("overridden", "patient-refuses")


def test_an_exported_word_names_intervention_user_date_and_encounter(
    store: Store, show: Any, hear: Any, period: Period
) -> None:
    show(CARD_A, encounter="Encounter/7")
    hear(accepted(CARD_A, "2026-03-01T12:05:00Z"))

    (record,) = store.reports.feedback(period)

    assert (record.rule, record.version, record.indicator) == (
        "a-rule",
        "1.2.0",
        "warning",
    )
    assert (record.user, record.encounter) == ("Practitioner/1", "Encounter/7")
    assert record.date == "2026-03-01T12:05:00.000000Z"
    assert record.suggestions == (CARD_B,)


@pytest.mark.parametrize("number", [0, 1, 2, 7, 40])
def test_the_rows_of_a_period_are_found_without_reading_those_before(
    store: Store, event: AuditEvent, now: datetime, number: int
) -> None:
    for day in range(number):
        store.record_audit(replace(event, at=now + timedelta(days=day)))

    def found(since: int, until: int) -> list[int]:
        period = Period(now + timedelta(days=since), now + timedelta(days=until))
        return [each.sequence for each in store.audit_entries(period)]

    everything = list(range(1, number + 1))
    assert found(-9, number + 9) == everything
    for day in range(0, number, 5):
        days = set(found(day, day + 1))
        assert {day + 1} <= days <= set(range(day - 2, day + 6))
    assert len(found(-99, -90)) <= 1 and len(found(999, 1000)) <= 1
