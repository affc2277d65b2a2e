"""What was shown before is found again: by key, by day, with what was said of it."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.dialects import sqlite

from cds_service.protocol.cards import Coding, Indicator
from cds_service.protocol.feedback import FeedbackEntry, FeedbackOutcome
from cds_service.rulebook.engine.alerting import Display, Lookback
from cds_service.store.displays import NEWEST, OwnCall, _statement
from cds_service.store.records import (
    AuditEvent,
    CallRecord,
    CardRecord,
    SuppressionRecord,
)
from cds_service.store.rows import key_digest
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey

from ..waiting import PATIENCE

ASK = """
import sys
from datetime import UTC, datetime
from cds_service.rulebook.engine.alerting import Lookback
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey
lookback = Lookback(frozenset({"k"}), datetime(2026, 1, 1, tzinfo=UTC))
store = Store.open(sys.argv[1])
for each in store.displays(PatientKey("default", "-", "p1"), lookback):
    print(each.dedup_key, each.indicator.name)
"""
DAY = timedelta(days=1)
REASON = Coding("urn:s", "known", "Known")
Show = Callable[..., str]


class Client:
    """Whoever was shown the cards."""

    id, tenant = "sandbox", "default"


@pytest.fixture
def show(
    store: Store, make_call: Callable[..., CallRecord], event: AuditEvent, now: datetime
) -> Show:
    """Shows a card some time ago; gives its uuid."""
    shown = 0

    def make(
        key: str = "k", ago: timedelta = DAY, indicator: str = "warning", **call: Any
    ) -> str:
        nonlocal shown
        shown += 1
        uuid = f"00000000-0000-4000-8000-{shown:012}"
        rule, evidence = call.pop("rule", "a"), call.pop("evidence", ())
        card = CardRecord(uuid, rule, "1.2.0", key, indicator, now - ago, evidence)
        store.record_call(make_call(cards=(card,), **call), event)
        return uuid

    return make


@pytest.fixture
def say(store: Store, event: AuditEvent, now: datetime) -> Callable[..., None]:
    """Feedback on a card."""

    def send(
        card: str,
        outcome: FeedbackOutcome = FeedbackOutcome.OVERRIDDEN,
        ago: timedelta = timedelta(hours=1),
        reason: Coding | None = REASON,
        service: str = "wearable-review",
        client: Any = Client,
    ) -> None:
        entry = FeedbackEntry(card, outcome, now - ago, (), reason, "")
        store.record_feedback(service, [entry], client, event, now)

    return send


@pytest.fixture
def ask(store: Store, now: datetime) -> Callable[..., tuple[Display, ...]]:
    def find(
        *keys: str,
        days: float = 30,
        info: timedelta | None = None,
        heard: timedelta | None = None,
        patient: PatientKey = PatientKey("default", "-", "p1"),
        call: OwnCall | None = None,
    ) -> tuple[Display, ...]:
        since = now - timedelta(days=days)
        lookback = Lookback(
            frozenset(keys),
            since,
            now - info if info else None,
            now - heard if heard else None,
        )
        return store.displays(patient, lookback, call)

    return find


def test_a_display_is_found_as_it_was(show: Show, ask: Any, now: datetime) -> None:
    show()

    assert ask("k") == (
        Display(
            "a",
            "1.2.0",
            "k",
            Indicator.WARNING,
            (now - DAY).astimezone(UTC),
            user="Practitioner/1",
        ),
    )


def test_the_newest_comes_first_and_what_is_too_old_not_at_all(
    show: Show, ask: Any, now: datetime
) -> None:
    for days in (3, 1, 31, 2):
        show(ago=days * DAY)

    assert [now - each.at for each in ask("k")] == [DAY, 2 * DAY, 3 * DAY]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
def test_any_number_of_keys_is_one_question(show: Show, ask: Any, count: int) -> None:
    for number in range(10):
        show(f"k{number}")

    asked = {f"k{number}" for number in range(count)}

    assert {each.dedup_key for each in ask(*asked)} == asked


@pytest.mark.parametrize(
    "other",
    [
        PatientKey("north", "-", "p1"),
        PatientKey("default", "https://fhir.test", "p1"),
        PatientKey("default", "-", "p2"),
    ],
)
def test_another_patient_has_a_history_of_their_own(
    show: Show, ask: Any, other: PatientKey
) -> None:
    show()

    assert ask("k", patient=other) == ()


def test_info_cards_of_the_day_are_found_whatever_their_key(
    show: Show, ask: Any
) -> None:
    show("x", ago=timedelta(hours=1), indicator="info")
    show("x", ago=timedelta(hours=3), indicator="info")
    show("w", ago=timedelta(hours=1), indicator="warning")
    show("u", ago=timedelta(hours=1), indicator="info", rule="")

    assert [each.dedup_key for each in ask(info=timedelta(hours=2))] == ["x"]
    assert ask() == ()


@pytest.mark.slow
def test_another_process_finds_what_this_one_showed(show: Show, url: str) -> None:
    show()

    asked = subprocess.run(
        [sys.executable, "-c", ASK, url],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert (asked.stdout.split(), asked.stderr) == (["k", "WARNING"], "")


def test_only_the_same_call_is_its_own(show: Show, ask: Any) -> None:
    show(hook_instance="i", hook="patient-view")

    def own(*call: str) -> bool:
        (found,) = ask("k", call=OwnCall(*call))
        return bool(found.own)

    assert own("sandbox", "patient-view", "i")
    assert not own("other", "patient-view", "i")
    assert not own("sandbox", "encounter-start", "i")
    assert not own("sandbox", "patient-view", "j")
    assert not ask("k")[0].own


def test_an_override_is_found_with_its_time_and_reason(
    show: Show, say: Any, ask: Any, now: datetime
) -> None:
    say(show())

    (found,) = ask("k")

    assert found.overridden == now - timedelta(hours=1)
    assert found.reason == "urn:s|known"


def test_an_override_without_a_reason_is_one(show: Show, say: Any, ask: Any) -> None:
    say(show(), reason=None)

    (found,) = ask("k")

    assert found.overridden and found.reason == ""


def test_a_clock_that_is_ahead_does_not_snooze_for_longer(
    show: Show, say: Any, ask: Any, now: datetime
) -> None:
    say(show(), ago=-400 * DAY)

    assert ask("k")[0].overridden == now


def test_the_last_word_counts(show: Show, say: Any, ask: Any) -> None:
    accepted, overridden = show("a"), show("b")
    say(accepted, ago=timedelta(hours=3))
    say(accepted, FeedbackOutcome.ACCEPTED, timedelta(hours=2), None)
    say(overridden, FeedbackOutcome.ACCEPTED, timedelta(hours=3), None)
    say(overridden, ago=timedelta(hours=2))

    found = {each.dedup_key: each.overridden for each in ask("a", "b")}

    assert found["a"] is None
    assert found["b"]


def test_feedback_of_somebody_who_was_not_shown_the_card_does_not_count(
    show: Show, say: Any, ask: Any
) -> None:
    class Other:
        id, tenant = "other", "default"

    card = show()
    say(card, client=Other)
    say(card, service="another-service")

    (found,) = ask("k")

    assert found.overridden is None


def test_what_is_held_back_is_stored_with_its_call(
    store: Store, make_call: Any, event: AuditEvent, rows: Any, now: datetime
) -> None:
    held = SuppressionRecord("a", "1.2.0", 1, "k", "repeated", now, "shown before")
    unbounded = replace(held, index=2, why="grouped", until=None)

    store.record_call(make_call(suppressions=(held, unbounded)), event)

    (call,) = rows("select id from calls")
    first, second = rows("select * from suppressions order by card_index")
    assert first == {
        "id": first["id"],
        "call_id": call["id"],
        "rule": "a",
        "version": "1.2.0",
        "card_index": 1,
        "dedup_key": "k",
        "why": "repeated",
        "until": "2026-03-01T12:00:00.000000Z",
        "detail": "shown before",
        "indicator": None,
        "told_under": None,
    }
    assert (second["why"], second["until"]) == ("grouped", None)


def test_an_override_is_found_behind_many_displays(
    show: Show, say: Any, ask: Any, now: datetime
) -> None:
    say(show(ago=20 * DAY), ago=19 * DAY)
    for minutes in range(NEWEST + 5):
        show(ago=timedelta(minutes=minutes))

    found = ask("k")

    assert len(found) == NEWEST + 1
    assert [each.at for each in found] == sorted(
        (each.at for each in found), reverse=True
    )
    assert [now - each.at for each in found if each.overridden] == [20 * DAY]


@pytest.mark.parametrize("kind", ["sqlite"])
@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize(("keys", "info"), [(2, True), (1, False), (0, True)])
def test_the_question_is_answered_from_indexes(
    store: Store, rows: Any, keys: int, info: bool, heard: bool
) -> None:
    form = _statement(keys, info, heard)._form(sqlite.dialect())
    sql = form.sql.replace("?", "'1'")

    plan = rows(f"explain query plan {sql}")

    steps = " / ".join(each["detail"] for each in plan)
    for table in ("cards", "calls", "feedback", "suppressions"):
        assert f"SCAN {table}" not in steps
    assert ("cards_by_key" in steps) is bool(keys)
    assert "cards_by_patient_and_time" in steps
    assert ("suppressions_by_call" in steps) is (bool(keys) or heard)
    assert "feedback_by_card" in steps


def test_cards_whose_keys_look_alike_in_the_index_are_told_apart(
    show: Show, ask: Any, rows: Any, now: datetime
) -> None:
    """The index has a number for each key and patient, and two may share one."""
    here, other = (PatientKey("default", "-", each) for each in ("p1", "p2"))
    show("k", ago=2 * DAY)
    show("l"), show("k", patient=other)
    rows(f"UPDATE cards SET key_digest = {key_digest(here, 'k')}")

    (found,) = ask("k", patient=here)

    assert (found.dedup_key, found.at) == ("k", now - 2 * DAY)


def test_an_answered_card_is_found_by_its_patient_with_what_it_rested_on(
    show: Show, say: Any, ask: Any
) -> None:
    say(show("k", rule="a", evidence=("Observation/o", "WearableAlert/watch/1")))
    show("l", rule="b")
    say(show("m", rule="c", ago=9 * DAY), ago=9 * DAY)
    say(show("n", rule="d"), FeedbackOutcome.ACCEPTED, reason=None)

    found = ask(heard=2 * DAY)

    assert {each.rule for each in found} == {"a", "d"}
    (overridden,) = [each for each in found if each.rule == "a"]
    assert overridden.evidence == ("Observation/o", "WearableAlert/watch/1")
    assert (overridden.user, overridden.reason) == ("Practitioner/1", "urn:s|known")
    (accepted,) = [each for each in found if each.rule == "d"]
    assert accepted.accepted and not accepted.overridden


def test_a_line_on_another_card_is_a_display_of_its_own_rule(
    store: Store, make_call: Any, event: AuditEvent, ask: Any, now: datetime
) -> None:
    line = SuppressionRecord(
        "b", "1.2.0", 1, "k", "grouped", None, "told by a", "info", "a"
    )
    lead = CardRecord("lead", "a", "1.2.0", "l", "warning", now - DAY)
    call = make_call(at=now - DAY, cards=(lead,), suppressions=(line,))
    store.record_call(call, event)
    own = OwnCall(call.client, call.hook, call.hook_instance)

    (found,) = ask("k", call=own)

    assert found == Display(
        "b",
        "1.2.0",
        "k",
        Indicator.INFO,
        (now - DAY).astimezone(UTC),
        own=True,
        told_under="a",
        user="Practitioner/1",
    )
    assert ask("other") == ask("k", days=0.5) == ()
    assert ask("k", patient=PatientKey("default", "-", "p2")) == ()


@pytest.mark.parametrize(
    ("outcome", "rules"),
    [(FeedbackOutcome.ACCEPTED, {"a", "b"}), (FeedbackOutcome.OVERRIDDEN, {"a"})],
)
def test_what_stood_on_a_card_that_somebody_accepted_is_found_whoever_saw_it(
    show: Show, say: Any, ask: Any, outcome: FeedbackOutcome, rules: set[str]
) -> None:
    under_a, under_c = (
        SuppressionRecord("b", "1.2.0", 1, "l", "grouped", None, "", "info", lead)
        for lead in "ac"
    )
    say(show("k", rule="a", suppressions=(under_a,)), outcome, reason=None)
    show("m", rule="c", suppressions=(under_c,))

    found = ask(heard=2 * DAY)

    assert {each.rule for each in found} == rules
    assert {each.told_under for each in found if each.rule == "b"} <= {"a"}


def test_what_stood_on_a_card_is_found_with_the_card(show: Show, ask: Any) -> None:
    line = SuppressionRecord("b", "1.2.0", 1, "l", "grouped", None, "", "info", "a")
    show("k", rule="a", suppressions=(line,))

    assert {(each.rule, each.told_under) for each in ask("k")} == {
        ("a", ""),
        ("b", "a"),
    }
    assert [each.rule for each in ask("l")] == ["b"]


def test_what_was_held_back_and_told_nowhere_is_no_display(
    store: Store, make_call: Any, event: AuditEvent, ask: Any, now: datetime
) -> None:
    held = SuppressionRecord("b", "1.2.0", 1, "k", "repeated", None, "shown", "info")
    store.record_call(make_call(cards=(), suppressions=(held,)), event)

    assert ask("k") == ()


def test_the_last_that_a_client_said_of_a_card_is_what_counts(
    store: Store, say: Callable[..., None], now: datetime
) -> None:
    say("c1", ago=timedelta(hours=2))
    say("c1", FeedbackOutcome.ACCEPTED, timedelta(hours=1), None)
    say("c1", service="another")

    class Other(Client):
        id = "other"

    heard = store.heard_of("wearable-review", "c1", Client)

    assert heard is not None
    assert (heard.card, heard.outcome) == ("c1", FeedbackOutcome.ACCEPTED)
    assert (heard.at, heard.reason) == (now - timedelta(hours=1), None)
    told = store.heard_of("another", "c1", Client)
    assert told is not None and told.reason == REASON
    assert store.heard_of("wearable-review", "c1", Other) is None
    assert store.heard_of("wearable-review", "c2", Client) is None
