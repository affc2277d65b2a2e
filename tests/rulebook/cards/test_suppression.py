"""What is shown, what is held back and why: every card is one or the other."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.protocol.cards import Card, CardSource, Indicator
from cds_service.rulebook.cards.cards import BuiltCard, identify
from cds_service.rulebook.cards.suppression import (
    Why,
    hold_back,
    look_back,
    start_of_day,
)
from cds_service.rulebook.engine.alerting import (
    ANY_REASON,
    AboutData,
    Alerting,
    CardLimits,
    Display,
    Lookback,
)
from cds_service.rulebook.values.intervals import Duration

from .held import (
    CRITICAL,
    DAYS_14,
    INFO,
    NO_LIMITS,
    NOW,
    WARNING,
    ZONE,
    as_fields,
    card,
    display,
    hold,
    key,
    overridden,
    rules,
    unchecked,
    whys,
)

# repeat_after


def test_a_card_that_was_shown_lately_is_not_repeated() -> None:
    held = hold(card(repeat_after=DAYS_14), seen=(display(),))

    (suppressed,) = held.suppressed
    assert held.shown == ()
    assert suppressed.why is Why.REPEATED
    assert suppressed.until == NOW + timedelta(days=13)
    assert suppressed.detail == "shown 2026-11-21T02:30:00Z, repeat_after 14 days"


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (timedelta(days=14) - timedelta(seconds=1), []),
        (timedelta(days=14), ["a"]),
        (timedelta(days=15), ["a"]),
        (timedelta(minutes=-2), []),  # another node's clock is ahead
    ],
)
def test_it_is_shown_again_once_the_time_is_over(
    ago: timedelta, shown: list[str]
) -> None:
    assert rules(hold(card(repeat_after=DAYS_14), seen=(display(ago=ago),))) == shown


def test_months_are_those_of_the_calendar() -> None:
    seen = (display(ago=timedelta(days=29)),)

    (suppressed,) = hold(card(repeat_after=Duration(1, "month")), seen=seen).suppressed

    assert suppressed.until == datetime(2026, 11, 24, 3, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("alerting", "heard"),
    [
        ({"snooze": {ANY_REASON: Duration(1, "month")}}, "overridden"),
        ({"snooze_on_accept": Duration(1, "month")}, "accepted"),
    ],
)
def test_a_month_of_rest_ends_at_the_hour_at_which_it_began_at_the_site(
    alerting: dict[str, Any], heard: str
) -> None:
    in_summer_time = datetime(2026, 10, 25, 3, 30, tzinfo=UTC)
    seen = (display(ago=timedelta(days=28), **{heard: in_summer_time}),)

    (suppressed,) = hold(card(**alerting), seen=seen).suppressed

    assert suppressed.until == datetime(2026, 11, 25, 4, 30, tzinfo=UTC)


def test_only_the_last_display_counts() -> None:
    seen = (display(ago=timedelta(days=20)), display(ago=timedelta(days=3)))

    (suppressed,) = hold(card(repeat_after=DAYS_14), seen=seen).suppressed

    assert suppressed.until == NOW + timedelta(days=11)


def test_of_two_displays_at_one_instant_the_milder_is_the_last() -> None:
    severe, mild = display(indicator=WARNING), display(indicator=INFO)

    for seen in ((severe, mild), (mild, severe)):
        assert rules(hold(card(repeat_after=DAYS_14), seen=seen)) == ["a"]


def test_without_repeat_after_a_card_is_shown_each_time() -> None:
    assert rules(hold(card(), seen=(display(),))) == ["a"]


def test_a_card_more_severe_than_the_last_one_is_shown() -> None:
    seen = (
        display(indicator=INFO, ago=timedelta(days=1)),
        display(indicator=WARNING, ago=timedelta(days=5)),
    )

    assert rules(hold(card(repeat_after=DAYS_14), seen=seen)) == ["a"]
    milder = card(severity=INFO, repeat_after=DAYS_14)
    assert whys(hold(milder, seen=seen)) == [("a", Why.REPEATED)]


def test_a_new_major_version_means_something_else() -> None:
    seen = (display(version="0.9.9"),)

    assert rules(hold(card(repeat_after=DAYS_14), seen=seen)) == ["a"]


def test_what_another_rule_showed_does_not_count() -> None:
    assert rules(hold(card(repeat_after=DAYS_14), seen=(display("b"),))) == ["a"]


def test_a_card_that_cannot_be_compared_is_shown() -> None:
    unknown_user = replace(card(repeat_after=DAYS_14), comparable=False)

    assert rules(hold(unknown_user, seen=(display(),))) == ["a"]
    assert look_back([unknown_user], NO_LIMITS, NOW, ZONE) is None


def test_an_override_snoozes() -> None:
    (suppressed,) = hold(
        card(snooze={ANY_REASON: DAYS_14}), seen=(overridden("urn:s|x", days=3),)
    ).suppressed

    assert suppressed.why is Why.SNOOZED
    assert suppressed.until == NOW + timedelta(days=11)
    assert suppressed.detail == (
        "overridden 2026-11-19T02:30:00Z (urn:s|x), snooze_on_override 14 days"
    )


def test_an_override_for_which_no_reason_was_given_is_told_as_such() -> None:
    (suppressed,) = hold(
        card(snooze={ANY_REASON: DAYS_14}), seen=(overridden(days=3),)
    ).suppressed

    assert suppressed.detail == (
        "overridden 2026-11-19T02:30:00Z (no reason given),"
        " snooze_on_override 14 days"
    )
    assert suppressed.shown == NOW - timedelta(days=3)


@pytest.mark.parametrize(
    ("reason", "shown"),
    [("urn:s|known", []), ("urn:s|artifact", ["a"]), (ANY_REASON, ["a"])],
)
def test_each_reason_snoozes_as_long_as_the_rule_says(
    reason: str, shown: list[str]
) -> None:
    rule = card(snooze={"urn:s|known": DAYS_14, "urn:s|artifact": Duration(2, "hour")})

    assert rules(hold(rule, seen=(overridden(reason),))) == shown


def test_other_reasons_may_have_a_time_of_their_own() -> None:
    snooze = {"urn:s|known": Duration(2, "hour"), ANY_REASON: DAYS_14}

    for reason, shown in (("urn:s|known", ["a"]), ("urn:s|x", []), (ANY_REASON, [])):
        assert rules(hold(card(snooze=snooze), seen=(overridden(reason),))) == shown


def test_the_longest_snooze_holds_whatever_was_said_later() -> None:
    snooze = {"urn:s|known": DAYS_14, "urn:s|artifact": Duration(2, "day")}
    seen = (overridden("urn:s|artifact", days=1), overridden("urn:s|known", days=2))

    (suppressed,) = hold(card(snooze=snooze), seen=seen).suppressed

    assert suppressed.until == NOW + timedelta(days=12)


def test_an_override_of_a_milder_card_does_not_snooze_a_more_severe_one() -> None:
    seen = (overridden(indicator=INFO),)

    assert rules(hold(card(snooze={ANY_REASON: DAYS_14}), seen=seen)) == ["a"]


def test_a_card_that_was_not_overridden_is_not_snoozed() -> None:
    assert rules(hold(card(snooze={ANY_REASON: DAYS_14}), seen=(display(),))) == ["a"]


# critical


def test_a_critical_card_is_held_back_only_where_its_rule_says_so() -> None:
    shown = display(indicator=CRITICAL)
    for allowed in (False, True):
        rule = card(severity=CRITICAL, repeat_after=DAYS_14, allow_suppress=allowed)
        assert rules(hold(rule, seen=(shown,))) == ([] if allowed else ["a"])
        assert bool(look_back([rule], NO_LIMITS, NOW, ZONE)) is allowed


# group


def test_of_a_group_the_first_is_shown_and_the_others_stand_in_its_detail() -> None:
    held = hold(
        card("a", group="g"),
        card("b", group="g"),
        card("c"),
        card("d", INFO, group="g"),
    )

    assert rules(held) == ["a", "c"]
    assert whys(held) == [("b", Why.GROUPED), ("d", Why.GROUPED)]
    assert [each.detail for each in held.suppressed] == ["group g, told by a"] * 2
    assert held.shown[0].card.detail == ("Why.\n\n**Also:** b says. d says.")
    assert held.shown[1].card.detail == "Why."


def test_a_line_of_a_group_ends_as_its_summary_does() -> None:
    asks = replace(card("b"), card=replace(card("b").card, summary="Is it sure?"))
    calls = replace(card("c"), card=replace(card("c").card, summary="Look!"))
    says = replace(card("d"), card=replace(card("d").card, summary="It is so."))

    (told,) = hold(
        *(
            replace(each, alerting=Alerting(group="g"))
            for each in (card(), asks, calls, says)
        )
    ).shown

    assert told.card.detail.endswith("**Also:** Is it sure? Look\\! It is so.")


def test_words_out_of_a_record_stay_words_in_the_line_of_a_group() -> None:
    held = hold(card("a", group="g"), card("<b>[x](http://y)", group="g"))

    assert held.shown[0].card.detail.endswith(
        "**Also:** \\<b\\>\\[x\\](http:\u2060//y) says."
    )


def test_the_identity_of_a_card_follows_from_the_lines_on_it() -> None:
    alone = identify(hold(card("a", group="g")).shown, "seed")
    both = identify(hold(card("a", group="g"), card("b", group="g")).shown, "seed")

    assert alone[0].card.uuid != both[0].card.uuid


def test_a_group_swallows_no_critical_card() -> None:
    held = hold(card("a", CRITICAL, group="g"), card("b", CRITICAL, group="g"))
    allowed = hold(
        card("a", CRITICAL, group="g"),
        card("b", CRITICAL, group="g", allow_suppress=True),
    )

    assert (rules(held), rules(allowed)) == (["a", "b"], ["a"])
    assert held.shown[0].card.detail == "Why."


def test_a_rule_that_is_not_repeated_does_not_hide_the_others_of_its_group() -> None:
    held = hold(
        card("a", repeat_after=DAYS_14, group="g"),
        card("b", INFO, group="g"),
        seen=(display("a"),),
    )

    assert rules(held) == ["b"]
    assert whys(held) == [("a", Why.REPEATED)]
    assert held.shown[0].card.detail == "Why."


def test_a_snoozed_rule_has_no_line_on_the_card_of_its_group() -> None:
    held = hold(
        card("a", group="g"),
        card("b", snooze={ANY_REASON: DAYS_14}, group="g"),
        seen=(
            Display(**{**as_fields(overridden()), "rule": "b", "dedup_key": key("b")}),
        ),
    )

    assert whys(held) == [("b", Why.SNOOZED)]
    assert held.shown[0].card.detail == "Why."


# limits


def test_a_response_has_no_more_cards_than_the_site_allows() -> None:
    held = hold(
        card("a"), card("b"), card("c"), limits=CardLimits(cards_per_response=2)
    )

    assert rules(held) == ["a", "b"]
    assert whys(held) == [("c", Why.BUDGET)]
    assert held.suppressed[0].detail == "cards_per_response 2"
    assert held.suppressed[0].until is None


def test_critical_cards_take_room_and_are_never_cut() -> None:
    cards = (card("a", CRITICAL), card("b", CRITICAL), card("c"))

    held = hold(*cards, limits=CardLimits(cards_per_response=1))

    assert rules(held) == ["a", "b"]
    first = card("0", CRITICAL, allow_suppress=True)
    assert rules(hold(first, *cards, limits=CardLimits(cards_per_response=2))) == [
        "a",
        "b",
    ]
    allowed = (card("a", CRITICAL), card("b", CRITICAL, allow_suppress=True))
    assert rules(hold(*allowed, limits=CardLimits(cards_per_response=1))) == ["a"]


def test_what_could_not_be_checked_is_always_said_and_never_counted() -> None:
    limits = CardLimits(cards_per_response=1, info_per_day=0)

    held = hold(card("a"), card("b"), unchecked(), limits=limits)

    assert rules(held) == ["a", ""]
    assert rules(hold(unchecked(), limits=limits)) == [""]
    assert look_back([unchecked()], limits, NOW, ZONE) is None
    seen = tuple(display("", indicator=INFO, ago=timedelta(hours=1)) for _ in range(3))
    assert rules(
        hold(card("a", INFO), seen=seen, limits=CardLimits(info_per_day=1))
    ) == ["a"]


def test_info_cards_are_counted_by_the_day_of_the_site() -> None:
    this_morning = display("x", indicator=INFO, ago=timedelta(hours=21))
    last_night = display("y", indicator=INFO, ago=timedelta(hours=22))
    cards = (card("w"), card("a", INFO), card("b", INFO))

    held = hold(*cards, seen=(this_morning, last_night), limits=CardLimits(None, 2))

    assert rules(held) == ["w", "a"]
    (suppressed,) = held.suppressed
    assert (suppressed.why, suppressed.detail) == (Why.BUDGET, "info_per_day 2")
    assert suppressed.until == datetime(2026, 11, 22, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (timedelta(hours=21, minutes=30), []),
        (timedelta(hours=21, minutes=30, seconds=1), ["a"]),
    ],
)
def test_an_info_card_shown_at_midnight_is_one_of_the_day_that_begins(
    ago: timedelta, shown: list[str]
) -> None:
    seen = (display("x", ago, indicator=INFO),)

    assert rules(hold(card("a", INFO), seen=seen, limits=CardLimits(None, 1))) == shown


def test_only_info_cards_are_counted_by_the_day() -> None:
    limits, hour = CardLimits(None, 1), timedelta(hours=1)

    assert rules(hold(card("a", INFO), seen=(display("x", hour),), limits=limits)) == [
        "a"
    ]
    seen = tuple(display(each, hour, indicator=INFO) for each in "xyz")
    assert rules(hold(card("a", INFO), card("b"), seen=seen, limits=limits)) == ["b"]


def test_an_info_card_that_is_cut_leaves_its_room_to_others() -> None:
    limits = CardLimits(cards_per_response=2, info_per_day=0)

    held = hold(card("a"), card("b", INFO), card("c", INFO), limits=limits)

    assert rules(held) == ["a"]
    assert {each.detail for each in held.suppressed} == {"info_per_day 0"}


# A retry


def test_what_an_earlier_answer_to_this_call_showed_is_shown_again() -> None:
    own = display(own=True, ago=timedelta(seconds=5))
    racing = display(ago=timedelta(seconds=6))
    rule = card(repeat_after=DAYS_14, snooze={ANY_REASON: DAYS_14})

    assert rules(hold(rule, seen=(own, racing))) == ["a"]
    assert rules(hold(rule, seen=(own, overridden(days=0.001)))) == ["a"]


def test_what_was_shown_or_overridden_since_the_first_answer_does_not_count() -> None:
    own = display("x", own=True, ago=timedelta(seconds=9))
    since = overridden(days=0, own=False)
    late = Display(**{**as_fields(display(ago=timedelta(days=30))), "overridden": NOW})
    rule = card(repeat_after=DAYS_14, snooze={ANY_REASON: DAYS_14})

    assert rules(hold(rule, seen=(own, since))) == ["a"]
    assert rules(hold(rule, seen=(own, late))) == ["a"]
    assert rules(hold(rule, seen=(late,))) == []


def test_info_cards_of_this_call_are_not_counted_twice() -> None:
    limits = CardLimits(info_per_day=1)
    own = display("a", own=True, indicator=INFO, ago=timedelta(seconds=5))

    racing = display("z", indicator=INFO, ago=timedelta(seconds=6))

    for seen in ((own,), (own, racing)):
        held = hold(card("a", INFO), card("b", INFO), seen=seen, limits=limits)
        assert rules(held) == ["a"]


# What is asked of the store


def test_only_what_may_be_held_back_is_asked_for() -> None:
    assert look_back([card(), card(group="g")], NO_LIMITS, NOW, ZONE) is None
    assert look_back([card()], CardLimits(5, 3), NOW, ZONE) is None
    assert look_back([card(severity=INFO)], CardLimits(5, 3), NOW, ZONE) == Lookback(
        frozenset(), NOW, datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
    )
    longest = {"urn:s|x": Duration(90, "day"), ANY_REASON: Duration(1, "hour")}
    asked = look_back(
        [card("a", repeat_after=DAYS_14), card("b", snooze=longest), card("c")],
        NO_LIMITS,
        NOW,
        ZONE,
    )
    assert asked == Lookback(
        frozenset({key("a"), key("b")}), NOW - timedelta(days=90), None
    )


def test_what_a_group_may_have_been_told_under_is_asked_for_as_well() -> None:
    lead = card("a", repeat_after=DAYS_14, group="g")
    mates = (lead, card("b", group="g"), card("c", group="h"), card("d"))

    assert look_back(mates, NO_LIMITS, NOW, ZONE) == Lookback(
        frozenset({key("a"), key("b")}), NOW - timedelta(days=14), None
    )
    unlike = replace(card("b", group="g"), comparable=False)
    assert look_back([lead, unlike], NO_LIMITS, NOW, ZONE) == Lookback(
        frozenset({key("a")}), NOW - timedelta(days=14), None
    )


def test_what_was_accepted_is_asked_for_as_far_back_as_it_rests() -> None:
    accepting = (
        card("a", snooze_on_accept=DAYS_14),
        card("b", snooze_on_accept=Duration(2, "day")),
    )

    assert look_back(accepting, NO_LIMITS, NOW, ZONE) == Lookback(
        frozenset(), NOW, None, NOW - timedelta(days=14)
    )


def test_the_past_is_asked_for_in_months_of_the_sites_calendar() -> None:
    month = Duration(1, "month")
    about = AboutData({"urn:s|wrong": month})
    before = datetime(2026, 10, 22, 1, 30, tzinfo=UTC)

    repeated = look_back([card(repeat_after=month)], NO_LIMITS, NOW, ZONE)
    accepted = look_back([card(snooze_on_accept=month)], NO_LIMITS, NOW, ZONE)
    resting = replace(card(), evidence=("Observation/o",))
    disputed = look_back([resting], NO_LIMITS, NOW, ZONE, about)

    assert repeated and repeated.since == before
    assert accepted and accepted.heard_since == before
    assert disputed and disputed.heard_since == before


def test_the_longest_time_that_any_of_the_cards_rests_is_asked_for() -> None:
    long, short = Duration(90, "day"), Duration(2, "hour")
    cards = [card("a", repeat_after=long), card("b", repeat_after=short)]
    accepted = replace(card("a", snooze_on_accept=long), evidence=("Observation/o",))
    about = AboutData({"urn:s|wrong": short})

    asked = look_back(cards, NO_LIMITS, NOW, ZONE)
    heard = look_back([accepted], NO_LIMITS, NOW, ZONE, about)

    assert asked and asked.since == NOW - timedelta(days=90)
    assert heard and heard.heard_since == NOW - timedelta(days=90)


def test_the_day_of_the_site_begins_at_an_instant_told_in_utc() -> None:
    assert start_of_day(NOW, ZONE).isoformat() == "2026-11-21T05:00:00+00:00"


def test_info_cards_are_asked_for_where_some_are_limited_and_some_are_shown() -> None:
    cards = [card("a", INFO), card("b")]

    assert look_back(cards, CardLimits(5), NOW, ZONE) is None
    assert look_back(cards, CardLimits(None, 3), NOW, ZONE) == Lookback(
        frozenset(), NOW, datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
    )


# Whatever fires and whatever was before

ALERTING = st.builds(
    Alerting,
    repeat_after=st.sampled_from([None, DAYS_14, Duration(2, "hour")]),
    snooze=st.sampled_from(
        [{}, {ANY_REASON: DAYS_14}, {"urn:s|x": Duration(3, "month")}]
    ),
    group=st.sampled_from(["", "g", "h"]),
    priority=st.integers(0, 3),
    allow_suppress=st.booleans(),
)
CARDS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(Indicator), ALERTING),
    max_size=8,
    unique_by=lambda each: each[0],
).map(
    lambda drawn: [
        BuiltCard(
            Card("", f"{rule} says", severity, CardSource("Test")),
            rule,
            "1.0.0",
            0,
            key(rule),
            alerting=alerting,
        )
        for rule, severity, alerting in sorted(
            drawn, key=lambda each: (-each[1], -each[2].priority, each[0])
        )
    ]
)
SEEN = st.lists(
    st.builds(
        display,
        rule=st.sampled_from("abcdefgh"),
        ago=st.timedeltas(timedelta(0), timedelta(days=100)),
        indicator=st.sampled_from(Indicator),
        overridden=st.none() | st.just(NOW - timedelta(hours=1)),
        reason=st.sampled_from([ANY_REASON, "urn:s|x", "urn:s|y"]),
    ),
    max_size=12,
)
LIMITS = st.builds(
    CardLimits, st.none() | st.integers(1, 4), st.none() | st.integers(0, 3)
)


@given(CARDS, SEEN, LIMITS, st.booleans())
def test_every_card_is_either_shown_or_held_back_once_and_no_critical_is_lost(
    cards: list[BuiltCard], seen: list[Display], limits: CardLimits, doubt: bool
) -> None:
    asked = [*cards, unchecked()] if doubt else cards

    held = hold_back(asked, seen, limits, NOW, ZONE)

    told = [each.rule for each in held.shown]
    told += [each.card.rule for each in held.suppressed]
    assert sorted(told) == sorted(each.rule for each in asked)
    lost = {each.card.rule for each in held.suppressed}
    for each in cards:
        if each.card.indicator is CRITICAL and not each.alerting.allow_suppress:
            assert each.rule not in lost
    assert "" not in lost
    assert all(each.until is None or each.until > NOW for each in held.suppressed)


@given(CARDS, SEEN, LIMITS)
def test_never_more_than_the_limits_but_for_what_must_not_be_cut(
    cards: list[BuiltCard], seen: list[Display], limits: CardLimits
) -> None:
    held = hold_back(cards, seen, limits, NOW, ZONE)

    sure = [
        each
        for each in held.shown
        if each.card.indicator is CRITICAL and not each.alerting.allow_suppress
    ]
    if limits.cards_per_response is not None:
        assert len(held.shown) <= max(limits.cards_per_response, len(sure))
    if limits.info_per_day is not None:
        shown = sum(each.card.indicator is INFO for each in held.shown)
        assert shown <= limits.info_per_day


@given(CARDS, SEEN, LIMITS, SEEN)
def test_a_retry_gets_the_identical_cards_whatever_happened_since(
    cards: list[BuiltCard],
    seen: list[Display],
    limits: CardLimits,
    since: list[Display],
) -> None:
    """With a history that began before the call, and went on after it."""
    first = hold_back(cards, seen, limits, NOW, ZONE)
    own = [
        Display(
            each.rule, each.version, each.dedup_key, each.card.indicator, NOW, own=True
        )
        for each in first.shown
    ]
    moved = [
        Display(**{**as_fields(each), "at": NOW, "overridden": None}) for each in since
    ]
    later = [*seen, *own, *moved] if own else seen

    again = hold_back(cards, later, limits, NOW + timedelta(seconds=1), ZONE)

    assert identify(again.shown, "seed") == identify(first.shown, "seed")
