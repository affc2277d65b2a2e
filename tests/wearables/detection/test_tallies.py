"""What a detector could not judge is counted by its reason, by day and source."""

from dataclasses import replace
from datetime import date

import pytest

from cds_service.wearables.detection.episodes import DayTally, NotJudged
from cds_service.wearables.samples import Context, Flag, Stat
from cds_service.wearables.series import Voice

from .wearer import (
    EIGHT_US,
    FAST,
    SECOND,
    STEPS,
    Wearer,
    detector,
    every,
    minutes,
    reading,
    walked,
)

UNKNOWN = Context.UNKNOWN
TODAY = date(2026, 11, 22)


def test_what_is_not_in_breach_is_judged_whatever_is_known_of_rest() -> None:
    wearer = Wearer()

    wearer.deliver(every(60, [80] * 30, context=UNKNOWN))

    assert list(wearer.tallies.values()) == [DayTally("fast", TODAY, "watch", 30)]


def test_what_is_an_episode_is_judged_from_its_first_reading_on() -> None:
    wearer = Wearer()

    wearer.deliver(minutes(*[80] * 5, *[115] * 30, *[80] * 20))

    assert list(wearer.tallies.values()) == [
        DayTally("fast", TODAY, "watch", 55, opened=1)
    ]


def test_who_moves_is_judged() -> None:
    wearer = Wearer()
    wearer.deliver(walked(-300, 1800, 90), STEPS)

    wearer.deliver(every(60, [125] * 30, context=UNKNOWN))

    assert list(wearer.tallies.values()) == [DayTally("fast", TODAY, "watch", 30)]


def test_rest_is_unknown_where_it_would_have_been_an_episode_at_rest() -> None:
    wearer = Wearer()

    wearer.deliver(every(60, [80] * 10 + [115] * 30 + [80] * 10, context=UNKNOWN))

    assert wearer.not_judged() == {"rest-unknown": 30}
    (tally,) = wearer.tallies.values()
    assert tally.judged == 20


def test_a_spike_of_which_rest_is_unknown_would_have_been_none_at_rest() -> None:
    wearer = Wearer()

    wearer.deliver(every(60, [80] * 12 + [130] * 2 + [80] * 12, context=UNKNOWN))

    assert wearer.not_judged() == {}


def test_too_few_readings_of_a_time_are_low_coverage() -> None:
    wearer = Wearer()

    wearer.deliver([*minutes(*[115] * 6), *minutes(*[115] * 6, start=13)])

    assert wearer.not_judged() == {"low-coverage": 12}


def test_readings_that_lie_too_far_apart_all_day_are_too_sparse() -> None:
    wearer = Wearer()

    wearer.deliver(every(300, [115] * 13))

    assert wearer.not_judged() == {"too-sparse": 13}


@pytest.mark.parametrize("apart", [1200, 3600, 21_600])
def test_readings_of_which_each_stands_alone_are_said_to_lie_too_far_apart(
    apart: int,
) -> None:
    wearer = Wearer()
    wearer.deliver(every(apart, [130, 120, 115]))

    (tally,) = wearer.tallies.values()

    assert tally.not_judged == {NotJudged.TOO_SPARSE: 3}
    assert (tally.judged, tally.opened) == (0, 0)


def test_readings_that_stand_alone_and_are_not_in_breach_are_judged() -> None:
    wearer = Wearer()
    wearer.deliver(every(3600, [70, 80, 75]))

    (tally,) = wearer.tallies.values()

    assert (tally.judged, tally.not_judged) == (3, {})


def test_one_reading_a_day_is_too_sparse() -> None:
    wearer = Wearer()

    wearer.deliver([reading(0, 115)])

    assert wearer.not_judged() == {"too-sparse": 1}


def test_what_fell_back_at_once_is_judged_though_it_was_in_breach() -> None:
    wearer = Wearer()

    wearer.deliver(minutes(*[80] * 14, 130, 130, *[80] * 14))

    assert wearer.not_judged() == {}


def test_what_was_typed_and_what_is_a_mean_of_an_hour_is_not_judged() -> None:
    wearer = Wearer()
    typed = reading(0, 80, flags=Flag.MANUAL)
    mean = reading(60, 80)._replace(
        end_us=EIGHT_US + 3660 * SECOND, stat=Stat.MEAN, flags=Flag.GROUPED
    )

    wearer.deliver([typed, mean, mean._replace(stat=Stat.MAX, value=120)])

    assert list(wearer.tallies.values()) == [
        DayTally(
            "fast", TODAY, "watch", 0, {NotJudged.BY_HAND: 1, NotJudged.GROUPED: 1}
        )
    ]


def test_days_and_sources_are_told_apart() -> None:
    wearer = Wearer(voices=[Voice("watch"), Voice("phone")])
    evening = 15 * 60 + 55
    phone = [each._replace(voice=1) for each in minutes(*[80] * 4, start=evening + 20)]

    wearer.deliver([*minutes(*[115] * 12, start=evening), *phone])

    assert wearer.tallies == {
        ("fast", day, source): DayTally(
            "fast", date.fromisoformat(day), source, judged, opened=opened
        )
        for day, source, judged, opened in [
            ("2026-11-22", "watch", 5, 0),
            ("2026-11-23", "watch", 7, 1),
            ("2026-11-23", "phone", 4, 0),
        ]
    }


def test_a_source_whose_readings_are_sparse_does_not_make_another_so() -> None:
    wearer = Wearer(voices=[Voice("watch"), Voice("phone")])
    sparse = [each._replace(voice=1) for each in every(600, [115] * 5, start=7200)]

    wearer.deliver([*minutes(*[115] * 6), *sparse])

    assert wearer.tallies["fast", "2026-11-22", "watch"].not_judged == {
        NotJudged.LOW_COVERAGE: 6
    }
    assert wearer.tallies["fast", "2026-11-22", "phone"].not_judged == {
        NotJudged.TOO_SPARSE: 5
    }


def test_a_detector_that_asks_for_no_rest_knows_no_doubt_about_it() -> None:
    wearer = Wearer([detector(replace(FAST, rest=None))])

    wearer.deliver(every(60, [115] * 31, context=UNKNOWN))

    assert (wearer.opened(), wearer.not_judged()) == ([600], {})


def test_what_of_an_episode_is_in_doubt_is_told() -> None:
    """Rest is known at first, then nothing tells of it any more."""
    wearer = Wearer()
    doubtful = every(60, [115] * 30, start=1200, context=UNKNOWN)

    wearer.deliver([*minutes(*[115] * 20), *doubtful])

    (tally,) = wearer.tallies.values()
    assert (tally.opened, tally.judged) == (1, 20)
    assert tally.not_judged == {NotJudged.REST_UNKNOWN: 30}


def test_what_was_judged_at_its_time_is_not_in_doubt_for_what_comes_after_it() -> None:
    wearer = Wearer()
    doubtful = every(60, [115] * 20, start=780, context=UNKNOWN)

    wearer.deliver([*minutes(*[80] * 12, 115), *doubtful])

    assert wearer.not_judged() == {"rest-unknown": 20}
