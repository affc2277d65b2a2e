"""Cards whose data somebody called wrong: held back, or judged by what is left."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.protocol.cards import Indicator
from cds_service.rulebook.cards.cards import draft_cards
from cds_service.rulebook.cards.suppression import Held, Why, decide
from cds_service.rulebook.engine.alerting import AboutData, Display
from cds_service.rulebook.engine.evaluate import evaluate
from cds_service.rulebook.values.intervals import Duration
from cds_service.wearables.worn import Wearables

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
CALL = {"user": "Practitioner/1", "encounter": "e1"}
IN_SUMMER_TIME = datetime(2026, 10, 25, 3, 30, tzinfo=UTC)
"""A month of the site's calendar before 04:30 UTC of the 25th of November."""
ABOUT = AboutData(
    {
        "urn:s|wrong": Duration(9, "day"),
        "urn:s|odd": Duration(5, "day"),
        "urn:s|month": Duration(1, "month"),
    }
)
KEY = '{"patient":"p","rule":"test","user":"Practitioner/1"}'
LATEST, HIGHEST = "Observation/o-105-1hours", "Observation/o-120-2hours"


@pytest.fixture
def decided(rules: Any, chart: Any, reading: Any) -> Any:
    """What is shown of a rule about two readings, 105 and before that 120."""

    def ask(
        *displays: Display,
        above: int = 104,
        more: str = "",
        severity: str = "warning",
        state: SourceState = SourceState.LOADED,
        beside: str = "",
    ) -> Held:
        rules.rule(
            "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}",
            f"all: [hr: {{max: {{above: {above}}}}}]",
            more,
        )
        text = rules.files["test.yaml"]
        rules.files["test.yaml"] = text.replace("warning", severity)
        if beside:
            other = text.replace("rule: test", "rule: beside")
            asked = f"hr: {{max: {{above: {above}}}}}"
            rules.files["beside.yaml"] = other.replace(asked, beside)
            listed = rules.files["services.yaml"].replace("[test]", "[test, beside]")
            rules.files["services.yaml"] = listed
        rulebook = rules.compile().rulebook
        service = replace(rulebook.services["review", "patient-view"], about_data=ABOUT)
        seen = chart(
            observations=[reading(105), reading(120, "2 hours")],
            states={"observations": state},
        )
        evaluations = evaluate(service, seen, Wearables(), NOW)
        drafts = draft_cards(evaluations, service.service, CALL)
        return decide(evaluations, drafts, displays, service, CALL)

    return ask


def said(*evidence: str, **more: Any) -> Display:
    """An override of another rule's card yesterday, for a reason about the data."""
    usual: dict[str, Any] = {
        "overridden": NOW - DAY,
        "reason": "urn:s|wrong",
        "evidence": evidence,
        "user": "Practitioner/1",
        "at": NOW - 2 * DAY,
    }
    return Display("other", "1.0.0", "k", Indicator.WARNING, **{**usual, **more})


def test_a_card_that_rests_on_wrong_data_is_held_back_and_it_is_told_who_said_so(
    decided: Any,
) -> None:
    held = decided(said(HIGHEST), above=110)

    (only,) = held.suppressed
    assert held.shown == ()
    assert (only.card.rule, only.why, only.until) == (
        "test",
        Why.SNOOZED,
        NOW + 8 * DAY,
    )
    assert only.detail == (
        "its data called wrong 2026-11-21T12:00:00Z (urn:s|wrong) on a card of other"
        " by Practitioner/1"
    )


def test_where_nobody_is_known_to_have_said_so_nobody_is_named(decided: Any) -> None:
    word = said(HIGHEST, user=None, encounter="e1")
    more = "alerting: {once_per: [patient, rule]}"

    (only,) = decided(word, above=110, more=more).suppressed

    assert only.detail == (
        "its data called wrong 2026-11-21T12:00:00Z (urn:s|wrong) on a card of other"
    )


def test_without_the_wrong_reading_the_card_rests_on_the_others(decided: Any) -> None:
    held = decided(said(HIGHEST))

    assert [each.evidence for each in held.shown] == [(LATEST,)]
    assert held.suppressed == ()


def test_a_word_about_other_data_changes_nothing(decided: Any) -> None:
    held = decided(said("Observation/another"), above=110)

    assert [each.evidence for each in held.shown] == [(HIGHEST,)]
    assert held.suppressed == ()


def test_of_several_words_about_its_data_the_one_that_holds_longest_is_told(
    decided: Any,
) -> None:
    hour = timedelta(hours=1)
    shorter = {"reason": "urn:s|odd", "overridden": NOW - hour, "at": NOW - 2 * hour}
    elsewhere = said("Observation/another", overridden=NOW - hour, at=NOW - 3 * hour)

    (only,) = decided(
        said(HIGHEST, **shorter), said(HIGHEST), elsewhere, above=110
    ).suppressed

    assert only.until == NOW + 8 * DAY
    assert "(urn:s|wrong)" in only.detail


@pytest.mark.parametrize(
    "word",
    [
        said(HIGHEST, user="Practitioner/2"),
        said(HIGHEST, overridden=NOW - 9 * DAY),
        said(HIGHEST, reason="urn:s|busy"),
        said(HIGHEST, told_under="lead"),
        said(HIGHEST, own=True),
    ],
    ids=["a colleague's", "over", "about the advice", "on a line", "of this call"],
)
def test_a_word_that_does_not_count_holds_nothing_back(
    decided: Any, word: Display
) -> None:
    held = decided(word, above=110)

    assert [each.rule for each in held.shown] == ["test"]
    assert held.suppressed == ()


def test_each_card_is_looked_at_also_after_one_that_rests_on_other_data(
    decided: Any,
) -> None:
    held = decided(said(HIGHEST), above=110, beside="hr: {latest: {above: 104}}")

    assert [each.evidence for each in held.shown] == [(LATEST,)]
    assert [each.card.rule for each in held.suppressed] == ["test"]


def test_a_card_that_is_judged_anew_is_compared_as_one_of_whoever_asks(
    decided: Any,
) -> None:
    (shown,) = decided(said(HIGHEST)).shown

    assert (shown.comparable, shown.dedup_key) == (True, KEY)


def test_a_month_of_doubt_ends_by_the_sites_calendar(decided: Any) -> None:
    word = said(HIGHEST, overridden=IN_SUMMER_TIME, reason="urn:s|month")

    (only,) = decided(word, above=110).suppressed

    assert only.until == datetime(2026, 11, 25, 4, 30, tzinfo=UTC)


def test_a_card_that_was_shown_is_held_back_until_the_sites_calendar_says_so(
    decided: Any,
) -> None:
    earlier = Display("test", "1.0.0", KEY, Indicator.WARNING, IN_SUMMER_TIME)
    more = "alerting: {repeat_after: 1 month}"

    (only,) = decided(earlier, more=more).suppressed

    assert (only.why, only.until) == (
        Why.REPEATED,
        datetime(2026, 11, 25, 4, 30, tzinfo=UTC),
    )


def test_a_retry_is_judged_as_if_the_word_had_not_been_said_since(decided: Any) -> None:
    first = replace(said(), overridden=None, own=True, at=NOW - timedelta(hours=1))
    since = said(HIGHEST, overridden=NOW - timedelta(minutes=30))
    before = said(HIGHEST, overridden=NOW - timedelta(hours=1, minutes=1))

    assert len(decided(first, since, above=110).shown) == 1
    assert decided(first, before, above=110).shown == ()


def test_a_critical_card_is_shown_whatever_is_said_of_its_data(
    decided: Any,
) -> None:
    held = decided(
        said(HIGHEST), above=110, severity="critical", more="if_unknown: silent"
    )

    assert [each.rule for each in held.shown] == ["test"]


def test_where_what_was_not_read_may_show_it_the_card_is_not_merely_silenced(
    decided: Any,
) -> None:
    held = decided(said(HIGHEST), above=110, state=SourceState.PARTIAL)

    assert [(each.rule, each.card.summary) for each in held.shown] == [
        ("", "Some checks could not be made")
    ]
    assert [each.card.rule for each in held.suppressed] == ["test"]
