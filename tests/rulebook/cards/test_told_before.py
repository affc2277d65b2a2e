"""What somebody was told or accepted is not told again, and the reader hears of it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.rulebook.cards.cards import BuiltCard
from cds_service.rulebook.cards.suppression import (
    Why,
    held_back_extension,
    hold_back,
    look_back,
    say_held_back,
)
from cds_service.rulebook.engine.alerting import (
    ANY_REASON,
    AboutData,
    Alerting,
    CardLimits,
    Lookback,
)

from .held import (
    CRITICAL,
    DAYS_14,
    INFO,
    NO_LIMITS,
    NOW,
    WARNING,
    ZONE,
    as_recorded,
    card,
    display,
    hold,
    rules,
    said,
    whys,
)
from .test_suppression import CARDS, LIMITS


@given(CARDS, LIMITS, st.timedeltas(timedelta(0), timedelta(hours=1)))
def test_opening_a_chart_again_says_nothing_that_the_first_opening_said(
    cards: list[BuiltCard], limits: CardLimits, later: timedelta
) -> None:
    first = hold_back(cards, (), limits, NOW, ZONE)
    seen = as_recorded(first, NOW)

    for opening in range(3):
        again = hold_back(cards, seen, limits, NOW + later, ZONE)
        seen += as_recorded(again, NOW + later)
        always = {
            each.rule
            for each in cards
            if each.alerting.repeat_after is None
            and each.rule in {shown.rule for shown in first.shown}
            or each.card.indicator is CRITICAL
            and not each.alerting.allow_suppress
        }
        # A rule without `repeat_after` is shown each time, and its group is told by it.
        leading = {each.alerting.group for each in cards if each.rule in always}
        bound = {
            each.rule
            for each in cards
            if each.rule not in always and each.alerting.group not in leading - {""}
        }
        assert said(again) & said(first) & bound == set(), opening


def test_a_line_more_severe_than_it_was_told_steps_forward() -> None:
    lead = card("a", repeat_after=DAYS_14, group="g")
    seen = (display("a"), display("b", told_under="a", indicator=INFO))

    assert rules(hold(lead, card("b", INFO, group="g"), seen=seen)) == []
    assert rules(hold(lead, card("b", WARNING, group="g"), seen=seen)) == ["b"]


def test_a_line_of_an_earlier_card_does_not_count_for_the_last() -> None:
    lead = card("a", repeat_after=DAYS_14, group="g")
    line = display("b", told_under="a", ago=timedelta(days=9))
    seen = (display("a"), line)

    assert rules(hold(lead, card("b", group="g"), seen=seen)) == ["b"]


def test_a_line_is_held_back_for_the_reason_of_the_card_that_it_stood_on() -> None:
    lead = card("a", repeat_after=DAYS_14, group="g")
    seen = (display("a"), display("b", told_under="a"))

    first, line = hold(lead, card("b", group="g"), seen=seen).suppressed

    assert (line.card.rule, line.why, line.until) == ("b", Why.REPEATED, first.until)
    assert line.detail == (
        "told under a, shown 2026-11-21T02:30:00Z, repeat_after 14 days"
    )
    assert (line.shown, line.told_under) == (None, "")


def test_a_line_counts_from_the_display_that_its_card_is_snoozed_for() -> None:
    lead = card("a", snooze={ANY_REASON: DAYS_14}, group="g")
    snoozed = display("a", timedelta(days=5), overridden=NOW - timedelta(days=4))
    cards = (lead, card("b", group="g"))

    for days, shown in ((3, []), (5, []), (6, ["b"])):
        line = display("b", timedelta(days=days), told_under="a")
        assert rules(hold(*cards, seen=(snoozed, line))) == shown


def test_a_line_under_another_rule_or_beside_another_group_steps_forward() -> None:
    lead = card("a", repeat_after=DAYS_14, group="g")
    elsewhere = (display("a"), display("b", told_under="x"))
    own = (display("a"), display("b"))

    for seen in (elsewhere, own):
        assert rules(hold(lead, card("b", group="g"), seen=seen)) == ["b"]
    line = (display("a"), display("b", told_under="a"))
    assert rules(hold(lead, card("b", group="h"), seen=line)) == ["b"]
    alone = card("a", repeat_after=DAYS_14)
    assert rules(hold(alone, card("b"), seen=line)) == ["b"]


def test_a_line_that_others_read_rests_with_the_card_that_they_accepted() -> None:
    lead = card("a", snooze_on_accept=DAYS_14, group="g")
    accepted = display(accepted=NOW - timedelta(hours=1), mine=False)
    mine = replace(card("b", group="g"), dedup_key='{"rule":"b","user":"2"}')
    line = display("b", told_under="a", mine=False)
    theirs = replace(line, dedup_key='{"rule":"b","user":"1"}')

    assert rules(hold(lead, mine, seen=(accepted, theirs))) == []
    later = replace(theirs, at=theirs.at + timedelta(minutes=1))
    assert rules(hold(lead, mine, seen=(accepted, later))) == ["b"]
    of_another_major = replace(theirs, version="0.9.0")
    assert rules(hold(lead, mine, seen=(accepted, of_another_major))) == ["b"]


def test_a_line_whose_data_count_as_wrong_holds_nothing_back() -> None:
    lead = card("a", repeat_after=DAYS_14, group="g", once_per=("patient", "rule"))
    line = display("b", told_under="a")
    disputed = replace(line, disputed_until=NOW + timedelta(days=1))

    assert rules(hold(lead, card("b", group="g"), seen=(display("a"), line))) == []
    assert rules(hold(lead, card("b", group="g"), seen=(display("a"), disputed))) == [
        "b"
    ]


def test_what_is_cut_takes_the_lines_on_it_along() -> None:
    held = hold(
        card("x"), card("a", group="g"), card("b", group="g"), limits=CardLimits(1)
    )

    assert rules(held) == ["x"]
    assert whys(held) == [("b", Why.BUDGET), ("a", Why.BUDGET)]
    assert {each.detail for each in held.suppressed} == {"cards_per_response 1"}
    assert held.back == {"budget": 2}


def test_lines_are_no_info_cards_of_the_day() -> None:
    line = display("b", timedelta(minutes=1), told_under="a", indicator=INFO)

    assert rules(hold(card("c", INFO), seen=(line,), limits=CardLimits(None, 1))) == [
        "c"
    ]


# Accepted


def test_an_acceptance_by_anybody_rests_the_card_for_everybody() -> None:
    mine = replace(
        card(snooze_on_accept=DAYS_14), dedup_key='{"rule":"a","user":"Practitioner/2"}'
    )
    theirs = replace(
        display(accepted=NOW - timedelta(days=1)),
        dedup_key='{"rule":"a","user":"Practitioner/1"}',
        mine=False,
    )

    (suppressed,) = hold(mine, seen=(theirs,)).suppressed

    assert suppressed.why is Why.SNOOZED
    assert suppressed.until == NOW + timedelta(days=13)
    assert suppressed.detail == (
        "accepted 2026-11-21T02:30:00Z, snooze_on_accept 14 days"
    )
    assert suppressed.shown == theirs.at
    other = replace(theirs, dedup_key='{"drug.code":"x","rule":"a"}')
    assert rules(hold(mine, seen=(other,))) == ["a"]


def test_an_acceptance_of_a_milder_card_does_not_rest_a_more_severe_one() -> None:
    rule = card(snooze_on_accept=DAYS_14)
    accepted = display(indicator=INFO, accepted=NOW - timedelta(days=1))

    assert rules(hold(rule, seen=(accepted,))) == ["a"]
    assert rules(hold(card("a", INFO, snooze_on_accept=DAYS_14), seen=(accepted,))) == (
        []
    )


def test_of_several_acceptances_the_one_that_holds_longest_counts() -> None:
    rule = card(snooze_on_accept=DAYS_14)
    seen = tuple(
        display(ago=timedelta(days=20), accepted=NOW - timedelta(days=days))
        for days in (13, 2, 15)
    )

    (suppressed,) = hold(rule, seen=seen).suppressed

    assert suppressed.until == NOW + timedelta(days=12)
    assert rules(hold(rule, seen=seen[2:])) == ["a"]
    assert rules(hold(card(), seen=seen)) == ["a"]


@pytest.mark.parametrize(
    "key", ["no JSON", "[1]", '"a"', "null", '{"rule":"a","drug.code":null}']
)
def test_an_acceptance_of_what_is_not_known_to_be_the_same_rests_nothing(
    key: str,
) -> None:
    accepted = display(accepted=NOW - timedelta(days=1))
    rule = card(snooze_on_accept=DAYS_14)

    held = hold(replace(rule, dedup_key=key), seen=(replace(accepted, dedup_key=key),))

    assert rules(held) == ["a"]


@pytest.mark.parametrize(("minutes", "shown"), [(61, []), (60, ["a"]), (59, ["a"])])
def test_what_was_heard_since_the_first_answer_to_a_call_does_not_count(
    minutes: int, shown: list[str]
) -> None:
    first = display("x", timedelta(minutes=60), own=True)
    heard = NOW - timedelta(minutes=minutes)
    accepted, dismissed = display(accepted=heard), display(overridden=heard)

    assert rules(hold(card(snooze_on_accept=DAYS_14), seen=(first, accepted))) == shown
    snoozed = card(snooze={ANY_REASON: DAYS_14})
    assert rules(hold(snoozed, seen=(first, dismissed))) == shown


# What the reader is told of it


def test_what_is_held_back_is_counted_by_reason_and_lines_are_not() -> None:
    held = hold(
        card("a", repeat_after=DAYS_14),
        card("b", group="g"),
        card("c", group="g"),
        card("d"),
        seen=(display("a"),),
        limits=CardLimits(1, None),
    )

    assert held.back == {"repeated": 1, "budget": 1}
    assert held_back_extension(held) == {
        "org.cds-service.held-back": {
            "count": 2,
            "reasons": {"budget": 1, "repeated": 1},
        }
    }
    (first,) = say_held_back(held.shown, held)
    assert first.card.detail.endswith(
        "2 other cards are held back: shown or answered before, or too many at once."
    )
    assert held_back_extension(hold(card())) == {}
    assert say_held_back(held.shown, hold(card())) == held.shown
    assert say_held_back((), held) == ()
    second = say_held_back((*held.shown, card("e")), held)[1]
    assert second == card("e")


def test_of_one_card_that_is_held_back_it_is_told_in_the_singular() -> None:
    held = hold(card("a"), card("b"), limits=CardLimits(1))

    (first,) = say_held_back(held.shown, held)

    assert first.card.detail.endswith(
        "** 1 other card is held back:"
        " shown or answered before, or too many at once."
    )


def test_what_somebody_said_of_the_data_is_asked_for_where_a_card_rests_on_data() -> (
    None
):
    about = AboutData({"urn:s|wrong": DAYS_14}, {"x": Alerting()})
    resting = replace(card(), evidence=("Observation/o",))

    assert look_back([card()], NO_LIMITS, NOW, ZONE, about) is None
    assert look_back([resting], NO_LIMITS, NOW, ZONE) is None
    assert look_back([resting], NO_LIMITS, NOW, ZONE, about) == Lookback(
        frozenset(), NOW, None, NOW - timedelta(days=14)
    )
