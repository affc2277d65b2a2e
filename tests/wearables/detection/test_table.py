"""What opens, and when: wearables.md section 3.3, line by line."""

from datetime import timedelta

from cds_service.wearables.detection.episodes import Closing
from cds_service.wearables.detection.judging import count_readings, judge_readings
from cds_service.wearables.detection.sustained import find_spells
from cds_service.wearables.detection.windows import Terms, TimeBefore, Windows
from cds_service.wearables.samples import Context, Flag
from cds_service.wearables.series import Point, Series, Voice

from ...shipped import rulebook
from .wearer import (
    CATALOGUE,
    DETECTOR,
    EIGHT,
    EIGHT_US,
    FAST,
    GLUCOSE,
    HR,
    LOW_GLUCOSE,
    SECOND,
    STEPS,
    VERY_LOW,
    Wearer,
    every,
    minutes,
    opened,
    seconds,
    walked,
)

UNKNOWN = Context.UNKNOWN
EIGHT_AND_AN_HOUR = EIGHT + timedelta(hours=1)


def test_a_fast_heart_for_half_an_hour_opens_after_ten_minutes() -> None:
    assert opened(minutes(*[115] * 31)) == [600]


def test_a_reading_every_two_and_a_half_minutes_is_enough() -> None:
    assert opened(every(150, [115] * 13)) == [600]


def test_a_reading_every_five_minutes_is_too_little() -> None:
    assert opened(every(300, [115] * 13)) == []


def test_a_hole_of_eight_minutes_opens_nothing() -> None:
    assert opened([*minutes(*[115] * 6), *minutes(*[115] * 6, start=13)]) == []


def test_a_spike_of_two_minutes_opens_nothing() -> None:
    assert opened(minutes(*[80] * 14, 130, 130, *[80] * 14)) == []


def test_one_of_twelve_readings_just_below_the_limit_changes_nothing() -> None:
    assert opened(minutes(*[115] * 5, 99, *[115] * 6)) == [600]


def test_who_walks_throughout_has_no_episode() -> None:
    points = every(60, [125] * 31, context=UNKNOWN)

    assert opened(points, walked(-600, 1800, 90)) == []


def test_who_walks_and_sits_down_has_one_when_rest_is_known_for_ten_minutes() -> None:
    points = every(60, [125] * 31, context=UNKNOWN)
    steps = [*walked(-600, 600, 90), *walked(600, 1800, 0)]

    assert opened(points, steps) == [1500]


def test_a_device_off_the_wrist_opens_nothing() -> None:
    assert opened(minutes(115, 115, 115)) == []


def test_what_falls_to_between_clear_and_the_limit_goes_on() -> None:
    wearer = Wearer()

    wearer.deliver(minutes(*[115] * 20, *[97] * 40), now=EIGHT_AND_AN_HOUR)

    (episode,) = wearer.found()
    assert (episode.closing, episode.end) == (Closing.LASTS, None)
    assert seconds(episode.last) == 59 * 60


def test_what_falls_below_clear_is_over_after_ten_minutes_of_it() -> None:
    wearer = Wearer()

    wearer.deliver(minutes(*[115] * 20, *[90] * 40))

    (episode,) = wearer.found()
    assert episode.closing is Closing.RECOVERED
    assert seconds(episode.end) == 20 * 60
    assert seconds(episode.last) == 30 * 60


def test_twenty_five_minutes_high_and_low_by_turns_are_three_episodes() -> None:
    """The later ones after nine minutes: nine in ten of those before are in breach."""
    assert opened(minutes(*([115] * 25 + [80] * 25) * 3)) == [600, 3540, 6540]


def test_a_very_low_glucose_for_twenty_minutes_opens_after_fifteen() -> None:
    wearer = Wearer([LOW_GLUCOSE])

    wearer.deliver(every(300, [90, 90, 50, 50, 50, 50, 50, 90, 90]), GLUCOSE)

    assert wearer.opened("very-low-glucose") == [600 + 900]


def test_a_very_low_glucose_for_ten_minutes_opens_nothing() -> None:
    wearer = Wearer([LOW_GLUCOSE])

    wearer.deliver(every(300, [90, 90, 50, 50, 90, 90, 90]), GLUCOSE)

    assert wearer.opened("very-low-glucose") == []


def test_the_table_is_that_of_the_detectors_that_are_shipped() -> None:
    shipped = rulebook().detectors

    assert shipped["high-heart-rate-at-rest"].pattern == FAST
    assert shipped["very-low-glucose"].pattern == VERY_LOW


class NoStart(Terms):
    """Terms that do not ask for the beginning: an earlier version, and wrong."""

    def enough(self, window: TimeBefore) -> bool:
        told = window.covered / self.hold >= self.coverage
        return window.n >= self.readings and told


def openings(points: list[Point], terms: Terms) -> list[float]:
    metric, series = CATALOGUE.metrics[HR], Series(HR, (Voice("watch"),), points)
    counted = count_readings(metric, series, terms.gap, None, ())
    readings = judge_readings(DETECTOR, FAST, counted)
    windows = Windows(readings, terms, [True] * len(points))
    span = points[0].start_us, points[-1].start_us
    spells = find_spells(readings, windows, terms, span, span[1])
    return [(each.opened - EIGHT_US) / SECOND for each in spells]


def at_ticks(points: list[Point]) -> list[Point]:
    """Ask every minute, and have the newest reading speak for what follows it."""
    told = {each.start_us: each for each in points}
    for each in points:
        for ahead in (60, 120, 180):
            at = each.start_us + ahead * SECOND
            told.setdefault(at, each._replace(start_us=at, end_us=at))
    return [told[at] for at in sorted(told)]


def test_without_the_beginning_a_fast_heart_would_open_too_early() -> None:
    steady, terms = minutes(*[115] * 31), Terms.of(FAST)

    assert openings(steady, terms) == [600]
    assert openings(steady, NoStart(*terms)) == [420]


def test_at_ticks_of_a_clock_even_a_hole_would_open_one() -> None:
    hole, terms = [*minutes(*[115] * 6), *minutes(*[115] * 6, start=13)], Terms.of(FAST)

    assert openings(hole, terms) == []
    assert openings(at_ticks(hole), terms) == [780]
    assert openings(at_ticks(hole), NoStart(*terms)) == [420]


def test_what_a_day_took_in_steps_proves_no_rest() -> None:
    wearer = Wearer()
    whole = walked(0, 86_400, 6120, length=86_400)
    wearer.deliver([whole[0]._replace(flags=Flag.DAY_TOTAL)], STEPS)

    wearer.deliver(every(60, [115] * 31, context=UNKNOWN))

    assert wearer.opened() == []
    assert wearer.not_judged() == {"rest-unknown": 31}


def test_an_interval_of_steps_that_is_as_long_proves_none_either() -> None:
    points = every(60, [115] * 31, context=UNKNOWN)

    assert opened(points, walked(0, 86_400, 6120, length=86_400)) == []
