"""What an episode says of itself, and which readings it is made of."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from cds_service.wearables.detection.detectors import Direction
from cds_service.wearables.detection.episodes import Closing, Episode
from cds_service.wearables.samples import Context, Device, Flag, Stat
from cds_service.wearables.series import Point, Voice

from .wearer import (
    DETECTOR,
    EIGHT,
    EIGHT_US,
    FAST,
    HR,
    RESTING,
    SECOND,
    VERY_LOW,
    Wearer,
    detector,
    every,
    minutes,
    reading,
    seconds,
)

AT_NINE = EIGHT + timedelta(hours=1)


def told(
    points: Iterable[Point], *, of: Wearer | None = None, now: datetime | None = None
) -> list[Episode]:
    """Episodes of what is told."""
    wearer = of or Wearer()
    wearer.deliver(points, **({} if now is None else {"now": now}))
    return wearer.found()


def test_an_episode_says_since_when_how_high_and_on_what_it_rests() -> None:
    wearer = Wearer(voices=[Voice("watch", device=Device("w-1", "Watch"))])

    (episode,) = told(minutes(*[110] * 15, 131, *[118] * 14), of=wearer, now=AT_NINE)

    assert episode == Episode(
        detector="fast",
        version="1.0.0",
        alert_type="high-heart-rate",
        start=EIGHT,
        opened=EIGHT + timedelta(minutes=10),
        last=EIGHT + timedelta(minutes=29),
        end=None,
        closing=Closing.LASTS,
        peak=131,
        median=114,
        threshold=100,
        n=30,
        coverage=1.0,
        source="watch",
        device="Watch",
    )


def test_where_little_is_too_little_the_lowest_value_is_told() -> None:
    slow = replace(FAST, direction=Direction.BELOW, limit=45, clear=50)

    (episode,) = told(minutes(*[40] * 9, 35, *[41] * 9), of=Wearer([detector(slow)]))

    assert (episode.peak, episode.median) == (35, 40)


def test_what_is_told_of_it_leaves_out_the_recovery() -> None:
    (episode,) = told(minutes(*[115] * 20, *[70] * 20))

    assert (episode.n, episode.median, episode.coverage) == (20, 115, 1.0)
    assert seconds(episode.end) == 1200


def test_coverage_is_the_share_of_its_time_that_readings_speak_for() -> None:
    points = [*minutes(*[115] * 11), *minutes(*[115] * 5, start=20)]

    (episode,) = told(points, now=AT_NINE)

    # Ten minutes, three of the ten that are missing, and four.
    assert seconds(episode.last) == 24 * 60
    assert episode.coverage == pytest.approx(17 / 24)


def test_nothing_for_an_hour_is_no_recovery() -> None:
    (episode,) = told(minutes(*[115] * 20))

    assert episode.closing is Closing.NO_DATA
    assert episode.end == episode.last == EIGHT + timedelta(minutes=19)


def test_it_lasts_until_nothing_has_come_for_an_hour() -> None:
    last = EIGHT + timedelta(minutes=19)

    (before,) = told(minutes(*[115] * 20), now=last + timedelta(minutes=59))
    (after,) = told(minutes(*[115] * 20), now=last + timedelta(minutes=60))

    assert (before.end, after.end) == (None, last)


def test_what_comes_after_an_hour_of_nothing_is_another_episode() -> None:
    points = [*minutes(*[115] * 20), *minutes(*[115] * 20, start=79)]

    first, second = told(points)

    assert (first.closing, seconds(first.end)) == (Closing.NO_DATA, 19 * 60)
    assert seconds(second.start) == 79 * 60


def test_a_reading_after_less_than_an_hour_goes_on_with_it() -> None:
    points = [*minutes(*[115] * 20), *minutes(*[115] * 20, start=78)]

    (episode,) = told(points)

    assert seconds(episode.last) == 97 * 60


def test_what_is_clear_for_less_than_ten_minutes_is_no_recovery() -> None:
    (episode,) = told(minutes(*[115] * 20, *[90] * 10, *[115] * 5))

    assert seconds(episode.last) == 34 * 60


def test_what_is_just_at_clear_is_not_clear() -> None:
    (episode,) = told(minutes(*[115] * 20, *[95] * 30), now=AT_NINE)

    assert episode.closing is Closing.LASTS


def test_a_recovery_with_a_gap_begins_behind_it() -> None:
    points = [*minutes(*[115] * 20, *[90] * 5), *minutes(*[90] * 11, start=29)]

    (episode,) = told(points, now=AT_NINE)

    assert (seconds(episode.end), seconds(episode.last)) == (1200, 39 * 60)


def test_where_readings_come_to_lie_far_apart_an_hour_of_clear_ones_is_recovery() -> (
    None
):
    points = [*minutes(*[115] * 20), *every(300, [70] * 30, start=1200)]

    (episode,) = told(points)

    assert episode.closing is Closing.RECOVERED
    assert (seconds(episode.end), seconds(episode.last)) == (1200, 1200 + 3600)


def test_none_begins_before_the_one_before_it_was_over() -> None:
    """Half an hour of which half is in breach, and a recovery of one minute."""
    brief = replace(
        FAST,
        hold=timedelta(minutes=30),
        share=0.5,
        recovery=timedelta(minutes=1),
    )
    points = minutes(*[115] * 31, *[80] * 10, *[115] * 40)

    first, second = told(points, of=Wearer([detector(brief)]))

    assert seconds(first.end) == 31 * 60
    assert seconds(second.start) == 31 * 60
    assert seconds(second.opened) == 61 * 60


def test_one_so_short_that_the_reading_before_speaks_for_it_has_that_value() -> None:
    moment = replace(FAST, hold=timedelta(minutes=1), readings=1, recovery=timedelta(0))

    (episode,) = told(every(90, [120, 80, 80]), of=Wearer([detector(moment)]))

    assert (episode.peak, episode.n) == (120, 1)
    assert (seconds(episode.start), seconds(episode.end)) == (30, 90)


def test_a_source_that_tells_late_at_first_is_forgiven_as_much_as_is_said() -> None:
    forgiving = replace(FAST, edge=timedelta(minutes=2))

    (episode,) = told(minutes(*[115] * 31), of=Wearer([detector(forgiving)]))

    assert seconds(episode.opened) == 8 * 60
    assert seconds(episode.start) == -2 * 60


@pytest.mark.parametrize(
    ("direction", "value", "opens"),
    [
        (Direction.ABOVE, 100, False),
        (Direction.AT_LEAST, 100, True),
        (Direction.BELOW, 100, False),
        (Direction.AT_MOST, 100, True),
    ],
)
def test_the_limit_itself_is_in_breach_only_where_the_detector_says_so(
    direction: Direction, value: float, opens: bool
) -> None:
    clear = 95 if direction.is_high else 105
    at = detector(replace(FAST, direction=direction, clear=clear))

    assert bool(told(minutes(*[value] * 20), of=Wearer([at]))) is opens


@pytest.mark.parametrize(
    ("direction", "flag", "value", "opens"),
    [
        (Direction.BELOW, Flag.BELOW, 54, True),
        (Direction.BELOW, Flag.BELOW, 55, False),
        (Direction.BELOW, Flag.ABOVE, 40, False),
        (Direction.ABOVE, Flag.ABOVE, 54, True),
        (Direction.ABOVE, Flag.ABOVE, 53, False),
        (Direction.ABOVE, Flag.BELOW, 400, False),
    ],
)
def test_a_bound_is_in_breach_if_every_value_beyond_it_is(
    direction: Direction, flag: Flag, value: float, opens: bool
) -> None:
    """54 is the limit."""
    pattern = replace(VERY_LOW, direction=direction)
    points = [reading(number * 300, value, flags=flag) for number in range(8)]

    assert bool(told(points, of=Wearer([detector(pattern)]))) is opens


@pytest.mark.parametrize(
    ("direction", "flag", "value", "recovers"),
    [
        (Direction.ABOVE, Flag.BELOW, 95, True),
        (Direction.ABOVE, Flag.BELOW, 96, False),
        (Direction.ABOVE, Flag.ABOVE, 60, False),
        (Direction.BELOW, Flag.ABOVE, 105, True),
        (Direction.BELOW, Flag.ABOVE, 104, False),
        (Direction.BELOW, Flag.BELOW, 140, False),
    ],
)
def test_a_bound_is_clear_if_every_value_beyond_it_is(
    direction: Direction, flag: Flag, value: float, recovers: bool
) -> None:
    high = direction.is_high
    pattern = replace(FAST, direction=direction, clear=95 if high else 105)
    breach = minutes(*[115 if high else 85] * 20)
    bounds = [reading(1200 + number * 60, value, flags=flag) for number in range(20)]

    (episode,) = told([*breach, *bounds], of=Wearer([detector(pattern)]), now=AT_NINE)

    assert (episode.closing is Closing.RECOVERED) is recovers


@pytest.mark.parametrize("flag", [Flag.MANUAL, Flag.DAY_TOTAL, Flag.GROUPED])
def test_what_is_no_reading_is_not_detected_on(flag: Flag) -> None:
    assert told([reading(each * 60, 115, flags=flag) for each in range(31)]) == []


def test_an_estimate_is_a_reading() -> None:
    points = [reading(each * 60, 115, flags=Flag.ESTIMATED) for each in range(31)]

    assert len(told(points)) == 1


@pytest.mark.parametrize(
    ("stat", "opens"),
    [
        (Stat.MEAN, True),
        (Stat.MEDIAN, True),
        (Stat.MIN, False),
        (Stat.MAX, False),
        (Stat.TOTAL, False),
    ],
)
def test_a_mean_is_a_reading_and_an_extreme_is_none(stat: Stat, opens: bool) -> None:
    points = [each._replace(stat=stat) for each in minutes(*[115] * 31)]

    assert bool(told(points)) is opens


def test_a_mean_of_a_time_for_which_one_reading_may_not_speak_is_none() -> None:
    def means(length: int) -> list[Point]:
        return [
            each._replace(end_us=each.start_us + length * SECOND, stat=Stat.MEAN)
            for each in minutes(*[115] * 31)
        ]

    assert len(told(means(180))) == 1
    assert told(means(181)) == []


@pytest.mark.parametrize(
    ("grouping", "opens"), [(60, True), (181, False), (None, False)]
)
def test_grouped_means_are_readings_if_the_link_says_that_the_time_is_short(
    grouping: int | None, opens: bool
) -> None:
    wearer = Wearer(voices=[Voice("watch", grouping_s=grouping)])
    points = [
        each._replace(stat=Stat.MEAN, flags=Flag.GROUPED)
        for each in minutes(*[115] * 31)
    ]

    assert bool(told(points, of=wearer)) is opens


def test_a_grouped_mean_of_a_time_that_is_longer_than_the_link_says_is_none() -> None:
    wearer = Wearer(voices=[Voice("watch", grouping_s=60)])
    points = [
        each._replace(
            end_us=each.start_us + 181 * SECOND, stat=Stat.MEAN, flags=Flag.GROUPED
        )
        for each in minutes(*[115] * 31)
    ]

    assert told(points, of=wearer) == []


def test_what_hides_nothing_hides_no_reading() -> None:
    """The better source tells means of an hour alone; the other tells readings."""
    wearer = Wearer(voices=[Voice("watch"), Voice("phone")])
    mean = reading(0, 80)._replace(end_us=EIGHT_US + 3600 * SECOND, stat=Stat.MEAN)
    readings = [each._replace(voice=1) for each in minutes(*[115] * 31)]

    (episode,) = told([mean, *readings], of=wearer)

    assert episode.source == "phone"


def test_of_two_sources_that_tell_the_same_minutes_one_counts() -> None:
    wearer = Wearer(voices=[Voice("watch"), Voice("phone")])
    calm = minutes(*[80] * 31)
    fast = [each._replace(voice=1) for each in minutes(*[115] * 31)]

    assert told([*calm, *fast], of=wearer) == []


def test_the_source_and_device_are_those_that_told_most_of_it() -> None:
    wearer = Wearer(
        voices=[
            Voice("watch", device=Device(name="Watch")),
            Voice("phone", device=Device(name="Phone")),
        ]
    )
    by_phone = [each._replace(voice=1) for each in minutes(*[115] * 20, start=6)]

    (episode,) = told([*minutes(*[115] * 6), *by_phone], of=wearer)

    assert (episode.source, episode.device, episode.n) == ("phone", "Phone", 26)


def test_what_is_resting_by_definition_needs_no_steps() -> None:
    wearer = Wearer([detector(metric=RESTING)])

    wearer.deliver(every(60, [115] * 31, context=Context.UNKNOWN), RESTING)

    assert wearer.opened() == [600]


def test_it_begins_on_the_clock_that_its_readings_show() -> None:
    points = [each._replace(offset_s=-18_000) for each in minutes(*[115] * 20)]

    (episode,) = told(points)

    assert episode.local
    assert episode.start.isoformat() == "2026-11-22T03:00:00-05:00"
    assert episode.opened.tzinfo is UTC


def test_else_on_the_clock_of_the_link() -> None:
    wearer = Wearer(voices=[Voice("watch", time_zone="America/New_York")])

    (episode,) = told(minutes(*[115] * 20), of=wearer)

    assert episode.local
    assert episode.start.isoformat() == "2026-11-22T03:00:00-05:00"


def test_else_nobody_knows_what_the_clock_showed() -> None:
    (episode,) = told(minutes(*[115] * 20))

    assert not episode.local
    assert episode.start.tzinfo == timezone.utc


def test_ones_own_limit_goes_before_that_of_the_detector() -> None:
    wearer = Wearer(limits=[(EIGHT_US - SECOND, 120.0)])

    assert told(minutes(*[115] * 31), of=wearer) == []
    (episode,) = told(minutes(*[125] * 31), of=Wearer(limits=wearer.limits))
    assert episode.threshold == 120


def test_ones_own_limit_moves_where_it_is_clear() -> None:
    wearer = Wearer(limits=[(EIGHT_US, 120.0)])

    first, second = told(
        minutes(*[125] * 20, *[114] * 15, *[125] * 20), of=wearer, now=AT_NINE
    )

    assert (first.closing, seconds(first.end)) == (Closing.RECOVERED, 1200)
    assert second.end is None


def test_ones_own_limit_holds_from_when_it_was_set() -> None:
    at_fifteen = EIGHT_US + 900 * SECOND
    wearer = Wearer(limits=[(at_fifteen, 120.0), (at_fifteen + 1800 * SECOND, 100.0)])

    first, second = told(minutes(*[113] * 61), of=wearer, now=AT_NINE)

    assert (seconds(first.opened), first.threshold) == (600, 100)
    assert (seconds(first.end), first.closing) == (900, Closing.RECOVERED)
    assert (seconds(second.start), second.threshold) == (2640, 100)


def test_ones_own_limit_goes_no_further_than_the_detector_lets_it() -> None:
    (episode,) = told(minutes(*[155] * 31), of=Wearer(limits=[(0, 180.0)]))

    assert episode.threshold == 150


def test_what_opens_before_a_detector_is_in_force_or_after_it_is_not_detected() -> None:
    later = replace(DETECTOR, effective=date(2026, 11, 23))
    over = replace(DETECTOR, expires=date(2026, 11, 22))
    today = replace(DETECTOR, effective=date(2026, 11, 22), expires=date(2026, 11, 23))
    points = minutes(*[115] * 31)

    assert told(points, of=Wearer([later])) == []
    assert told(points, of=Wearer([over])) == []
    assert len(told(points, of=Wearer([today]))) == 1


def test_what_was_over_before_another_version_took_effect_stays_as_it_was() -> None:
    wearer = Wearer()
    wearer.deliver(minutes(*[115] * 31))
    (before,) = wearer.found()
    wearer.detectors = [
        replace(DETECTOR, version="1.1.0", effective=date(2026, 11, 23))
    ]

    wearer.deliver(minutes(70, start=31))

    assert (wearer.found(), wearer.retracted) == ([before], [])


def test_what_lasts_into_the_day_of_another_version_is_told_by_that_one() -> None:
    wearer = Wearer()
    wearer.deliver(minutes(*[115] * 60, start=15.5 * 60))
    wearer.detectors = [
        replace(DETECTOR, version="1.1.0", effective=date(2026, 11, 23))
    ]

    wearer.deliver(minutes(115, start=16.6 * 60))

    (after,) = wearer.found()
    assert after.version == "1.1.0"


def test_a_draft_detects_nothing() -> None:
    wearer = Wearer([replace(DETECTOR, status="draft")])

    assert told(minutes(*[115] * 31), of=wearer) == []
    assert wearer.tallies == {}


def test_a_metric_of_which_nothing_came_is_looked_at_by_nobody() -> None:
    assert told([], of=Wearer()) == []
    assert HR not in Wearer().deliver([]).tallied
