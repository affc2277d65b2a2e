"""What a day and a night were, by the readings that are kept."""

import math
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.wearables.days import Calendar
from cds_service.wearables.metrics import Band, Catalogue, Derivation, Metric
from cds_service.wearables.samples import Context, Device, Flag, Stat
from cds_service.wearables.series import Point, Series, Voice
from cds_service.wearables.summaries import DaySummary
from cds_service.wearables.summarising import (
    NEARBY,
    first_read,
    metrics_read,
    metrics_summarised,
    summarise,
)

from .stretches import (
    ASLEEP,
    DAY,
    DEEP,
    NIGHT,
    STEPS,
    THERE,
    VIENNA,
    every,
    reading,
    series,
    us,
    voice,
)

RATE = Metric(
    "heart-rate",
    "Heart rate",
    "/min",
    25,
    250,
    priority=("watch", "phone"),
    speaks_for=timedelta(minutes=3),
    proves_wear=timedelta(minutes=15),
)
GLUCOSE = Metric(
    "glucose",
    "Glucose",
    "mg/dL",
    39,
    600,
    speaks_for=timedelta(minutes=5),
    bands=(
        Band("low", -math.inf, 70),
        Band("in-range", 70, 181),
        Band("high", 181, math.inf),
    ),
)
GMI = Metric("gmi", "GMI", "%", 3, 20, derived=Derivation("glucose", "mean", 0.02, 3.5))
WEIGHT = Metric("weight", "Weight", "kg", 2, 400)
KNOWN = Catalogue(
    {each.name: each for each in (RATE, GLUCOSE, GMI, WEIGHT, DEEP, ASLEEP, STEPS)},
    night=NIGHT,
)


def slow(seed: int) -> Any:
    return pytest.param(seed, marks=pytest.mark.slow)


def days(
    metric: Metric,
    points: list[Point],
    *voices: Voice,
    slept: list[Point] | None = None,
    calendar: Calendar = THERE,
    first: date = DAY,
    last: date = DAY,
) -> tuple[DaySummary, ...]:
    told = {metric.name: series(metric.name, points, *voices)}
    if slept is not None:
        told["deep"] = series("deep", slept)
    return summarise(metric, KNOWN, told, calendar, first, last)


def day(metric: Metric, points: list[Point], *voices: Voice) -> DaySummary:
    """The one day that is told of."""
    (found,) = [
        each
        for each in days(metric, points, *voices)
        if (each.metric, each.part) == (metric.name, "day")
    ]
    return found


def night(
    metric: Metric, points: list[Point], slept: list[Point] | None = None
) -> DaySummary:
    """The one night that is told of."""
    found = days(metric, points, slept=slept)
    (found_night,) = [each for each in found if each.part == "night"]
    return found_night


def test_a_day_tells_what_was_measured_and_of_how_much_of_it() -> None:
    points = every(1, "2026-11-22T12:00", [80, 90, 100, 70])

    assert days(RATE, points, voice("watch", "Series 9")) == (
        DaySummary(
            metric="heart-rate",
            day=DAY,
            zone="Europe/Vienna",
            minutes=1440,
            part="day",
            n=4,
            min=70,
            max=100,
            mean=(80 + 90 + 100 + 3 * 70) / 6,
            median=75,
            covered=6,
            worn=18,
            first=datetime(2026, 11, 22, 11, 0, tzinfo=UTC),
            last=datetime(2026, 11, 22, 11, 3, tzinfo=UTC),
            sources=("watch",),
            devices=("Series 9",),
        ),
    )


def test_a_reading_speaks_until_the_next_one_and_for_no_longer_than_it_may() -> None:
    found = day(
        RATE,
        [
            reading("2026-11-22T12:00", 60),
            reading("2026-11-22T12:01", 120),
            reading("2026-11-22T12:31", 90),
        ],
    )

    assert found.covered == 1 + 3 + 3
    assert found.mean == (60 * 1 + 120 * 3 + 90 * 3) / 7
    assert found.coverage == 7 / 1440


def test_half_of_the_time_lies_below_the_median() -> None:
    one_minute_each = [reading(f"2026-11-22T12:0{n}", 60 + n) for n in range(4)]

    found = day(RATE, [*one_minute_each, reading("2026-11-22T12:04", 100)])

    assert found.covered == 4 + 3
    assert found.median == 63


def test_where_half_of_the_time_ends_with_a_reading_the_median_is_between() -> None:
    found = day(RATE, every(3, "2026-11-22T12:00", [60, 80]))

    assert found.median == 70


def test_a_day_is_made_of_its_own_readings() -> None:
    yesterday, today = days(
        RATE,
        [reading("2026-11-21T23:59", 150), reading("2026-11-22T00:01", 60)],
        calendar=Calendar(VIENNA, "Europe/Vienna"),
        first=date(2026, 11, 21),
    )

    assert (yesterday.day, yesterday.n, yesterday.covered) == (date(2026, 11, 21), 1, 1)
    assert (today.day, today.n, today.covered, today.mean) == (DAY, 1, 3, 60)
    assert yesterday.worn == 1


@pytest.mark.parametrize(
    ("day", "minutes"), [(date(2026, 11, 1), 1500), (date(2026, 3, 8), 1380)]
)
def test_a_day_on_which_clocks_are_changed_can_be_covered_whole(
    day: date, minutes: int
) -> None:
    new_york = ZoneInfo("America/New_York")
    calendar = Calendar(new_york, "America/New_York")
    begin = us(f"{day}T00:00", new_york)
    points = [
        Point(at, at, 60, 0)
        for at in (begin + number * 60_000_000 for number in range(minutes))
    ]

    (found,) = days(RATE, points, calendar=calendar, first=day, last=day)

    assert (found.n, found.minutes, found.covered) == (minutes, minutes, minutes)
    assert found.coverage == 1


def test_of_a_day_of_which_nothing_is_told_there_is_no_summary() -> None:
    assert days(RATE, [reading("2026-11-20T12:00", 60)]) == ()
    assert summarise(RATE, KNOWN, {}, THERE, DAY, DAY) == ()


@pytest.mark.parametrize("flag", [Flag.MANUAL, Flag.DAY_TOTAL, Flag.GROUPED])
def test_what_is_typed_or_of_an_unknown_time_is_no_reading_of_the_day(
    flag: Flag,
) -> None:
    points = [
        reading("2026-11-22T12:00", 60),
        reading("2026-11-22T12:01", 200, flags=flag),
    ]

    (found,) = [each for each in days(RATE, points) if not each.source]

    assert (found.n, found.max, found.covered) == (1, 60, 3)


def test_the_least_and_the_greatest_of_a_group_are_those_of_the_day() -> None:
    grouped = Flag.GROUPED
    found = day(
        RATE,
        [
            reading("2026-11-22T12:00", 70),
            reading("2026-11-22T13:00", 50, stat=Stat.MIN, flags=grouped),
            reading("2026-11-22T13:00", 150, stat=Stat.MAX, flags=grouped),
            reading("2026-11-22T13:00", 90, stat=Stat.MEAN, flags=grouped),
        ],
    )

    assert (found.min, found.max, found.mean, found.covered) == (50, 150, 70, 3)
    assert found.n == 3


def test_what_was_no_more_than_the_greatest_is_not_the_least() -> None:
    found = day(RATE, [reading("2026-11-22T13:00", 150, stat=Stat.MAX)])

    assert (found.min, found.max, found.mean, found.median) == (None, 150, None, None)
    assert (found.covered, found.worn) == (0, 0)


def test_where_several_tell_one_minute_the_one_counts_that_goes_first() -> None:
    watch, phone = voice("watch", "Watch"), voice("phone", "Phone")
    found = day(
        RATE,
        [
            reading("2026-11-22T12:00:10", 60, 0),
            reading("2026-11-22T12:00:30", 200, 1),
            reading("2026-11-22T12:01:10", 80, 1),
        ],
        watch,
        phone,
    )

    assert (found.n, found.max, found.sources) == (2, 80, ("phone", "watch"))
    assert found.devices == ("Phone", "Watch")


def test_a_device_without_a_name_is_told_by_its_id() -> None:
    unnamed = Voice("watch", device=Device(id="w-1"))

    assert day(RATE, [reading("2026-11-22T12:00", 60)], unnamed).devices == ("w-1",)
    assert day(RATE, [reading("2026-11-22T12:00", 60)], Voice("watch")).devices == ()


def test_readings_of_a_moment_have_a_plain_mean_and_no_coverage() -> None:
    found = day(
        WEIGHT,
        [
            reading("2026-11-22T07:00", 70),
            reading("2026-11-22T07:01", 72),
            reading("2026-11-22T20:00", 74),
        ],
    )

    assert (found.n, found.mean, found.median) == (3, 72, 72)
    assert (found.covered, found.worn, found.coverage) == (None, None, None)


def test_only_what_speaks_for_a_time_has_nights() -> None:
    parts = [each.part for each in days(WEIGHT, [reading("2026-11-22T02:00", 70)])]

    assert parts == ["day"]


BANDS = [69, 70, 180, 180.9, 181, 300]


def test_the_minutes_of_a_day_are_told_by_band() -> None:
    found = day(GLUCOSE, every(5, "2026-11-22T12:00", BANDS))

    assert found.bands == {"low": 5, "in-range": 15, "high": 10}
    assert found.covered == 30
    assert found.statistic("band:in-range") == 0.5


def test_a_sensor_s_low_is_in_the_lowest_band_and_no_number() -> None:
    found = day(
        GLUCOSE,
        [
            reading("2026-11-22T12:00", 40, flags=Flag.BELOW),
            reading("2026-11-22T12:05", 100),
            reading("2026-11-22T12:10", 110),
            reading("2026-11-22T12:15", 400, flags=Flag.ABOVE),
        ],
    )

    assert found.bands == {"low": 5, "in-range": 10, "high": 5}
    assert (found.mean, found.covered, found.median) == (105, 20, 105)
    assert (found.min, found.max) == (40, 400)


def test_a_median_that_is_a_bound_is_not_known() -> None:
    low = [reading(f"2026-11-22T12:{n}0", 40, flags=Flag.BELOW) for n in range(2)]

    found = day(GLUCOSE, [*low, reading("2026-11-22T13:00", 40)])

    assert (found.median, found.mean) == (None, 40)


def test_a_bound_is_below_the_number_that_it_names_and_above_it() -> None:
    number = reading("2026-11-22T12:00", 100)
    below = reading("2026-11-22T12:05", 100, flags=Flag.BELOW)
    above = reading("2026-11-22T12:10", 100, flags=Flag.ABOVE)

    assert day(GLUCOSE, [number, below, above]).median == 100


def test_only_bounds_have_no_mean() -> None:
    found = day(GLUCOSE, [reading("2026-11-22T12:00", 40, flags=Flag.BELOW)])

    assert (found.mean, found.median, found.covered) == (None, None, 5)


@pytest.mark.parametrize(
    ("value", "flag"), [(181.5, Flag.BELOW), (100, Flag.BELOW), (100, Flag.ABOVE)]
)
def test_a_bound_that_may_be_in_several_bands_covers_none(
    value: float, flag: Flag
) -> None:
    found = day(
        GLUCOSE,
        [
            reading("2026-11-22T12:00", value, flags=flag),
            reading("2026-11-22T12:05", 100),
        ],
    )

    assert found.bands == {"low": 0, "in-range": 5, "high": 0}
    assert found.covered == 5


def test_below_the_end_of_the_lowest_band_is_in_it() -> None:
    low, high = (
        reading("2026-11-22T12:00", 70, flags=Flag.BELOW),
        reading("2026-11-22T12:05", 181, flags=Flag.ABOVE),
    )

    assert day(GLUCOSE, [low, high]).bands == {"low": 5, "in-range": 0, "high": 5}


def test_what_follows_from_a_day_stands_beside_it() -> None:
    _, derived = days(GLUCOSE, every(5, "2026-11-22T12:00", [140, 160]))

    assert derived == DaySummary(
        metric="gmi",
        day=DAY,
        zone="Europe/Vienna",
        minutes=1440,
        n=2,
        mean=6.5,
        covered=10,
        first=datetime(2026, 11, 22, 11, 0, tzinfo=UTC),
        last=datetime(2026, 11, 22, 11, 5, tzinfo=UTC),
        sources=("watch",),
    )


def test_from_a_day_without_a_mean_nothing_follows() -> None:
    found = days(GLUCOSE, [reading("2026-11-22T12:00", 40, flags=Flag.BELOW)])

    assert [each.metric for each in found] == ["glucose"]


def test_a_night_is_by_the_clock_where_nothing_tells_of_sleep() -> None:
    found = night(
        RATE,
        [
            reading("2026-11-21T21:59", 100),
            reading("2026-11-21T22:00", 60),
            reading("2026-11-22T07:59", 50),
            reading("2026-11-22T08:00", 90),
        ],
    )

    assert (found.day, found.minutes, found.n) == (DAY, 600, 2)
    assert (found.min, found.max, found.covered, found.worn) == (50, 60, 3 + 1, 15 + 1)


def test_where_stages_tell_of_sleep_those_minutes_alone_are_the_night() -> None:
    found = night(
        RATE,
        [
            reading("2026-11-22T00:59", 80),
            reading("2026-11-22T01:00", 60),
            reading("2026-11-22T01:29", 50),
            reading("2026-11-22T01:30", 90),
            reading("2026-11-22T09:10", 55),
        ],
        slept=[
            reading("2026-11-22T01:00", 30, minutes=30),
            reading("2026-11-22T09:00", 60, minutes=60),
        ],
    )

    assert (found.minutes, found.n, found.min, found.max) == (90, 3, 50, 60)
    assert found.covered == 3 + 1 + 3
    assert found.worn == 15 + 1 + 15


@pytest.mark.parametrize(
    ("asleep", "minutes", "n"), [(420, 420, 1), (419.1, 420, 1), (419, 600, 2)]
)
def test_an_interval_with_time_awake_does_not_tell_when_somebody_slept(
    asleep: float, minutes: float, n: int
) -> None:
    in_bed = [reading("2026-11-22T00:00", asleep, minutes=420)]
    points = [reading("2026-11-21T22:30", 60), reading("2026-11-22T02:00", 50)]

    found = night(RATE, points, in_bed)

    assert (found.minutes, found.n) == (minutes, n)


@pytest.mark.parametrize("flag", [Flag.MANUAL, Flag.DAY_TOTAL])
def test_sleep_that_is_typed_or_a_sum_does_not_tell_when_that_was(flag: Flag) -> None:
    slept = [reading("2026-11-22T00:00", 60, minutes=60, flags=flag)]

    assert night(RATE, [reading("2026-11-22T02:00", 50)], slept).minutes == 600


def test_readings_that_say_asleep_tell_when_the_night_was() -> None:
    asleep = Context.ASLEEP
    found = night(
        RATE,
        [
            reading("2026-11-21T23:00", 100),
            reading("2026-11-22T01:00", 60, context=asleep),
            reading("2026-11-22T01:01", 110),
            reading("2026-11-22T08:30", 50, context=asleep),
        ],
    )

    assert (found.n, found.max, found.minutes) == (2, 60, 450 + 3)
    assert found.covered == 6


def test_a_nap_alone_is_no_reason_to_look_at_the_clock() -> None:
    slept = [reading("2026-11-22T14:00", 30, minutes=30)]
    points = [reading("2026-11-22T02:00", 50), reading("2026-11-22T14:10", 60)]

    found = night(RATE, points, slept)

    assert (found.n, found.mean, found.minutes) == (1, 60, 30)


def test_without_a_night_in_the_catalogue_there_are_none() -> None:
    without = Calendar(VIENNA, "Europe/Vienna")
    found = days(RATE, [reading("2026-11-22T02:00", 60)], calendar=without)

    assert [each.part for each in found] == ["day"]


def test_for_a_day_readings_of_what_it_is_made_of_are_needed() -> None:
    assert metrics_read(STEPS, KNOWN) == ("steps",)
    assert metrics_read(ASLEEP, KNOWN) == ("asleep", "deep", "light")
    assert metrics_read(WEIGHT, KNOWN) == ("weight",)
    assert metrics_read(RATE, KNOWN) == ("heart-rate", "deep", "asleep")
    assert metrics_read(GMI, KNOWN) == ("glucose", "deep", "asleep")
    assert metrics_read(RATE, Catalogue(KNOWN.metrics)) == ("heart-rate",)


def test_with_readings_the_days_change_that_are_made_of_them() -> None:
    assert metrics_summarised(KNOWN, ["steps"]) == ("steps",)
    assert metrics_summarised(KNOWN, ["weight", "steps"]) == ("weight", "steps")
    assert metrics_summarised(KNOWN, ["deep"]) == (
        "heart-rate",
        "glucose",
        "deep",
        "asleep",
    )


def test_a_day_is_read_from_midnight_and_a_night_from_the_evening_before() -> None:
    without = Calendar(VIENNA, "Europe/Vienna")

    assert first_read(STEPS, THERE, DAY) == us("2026-11-22T00:00")
    assert first_read(ASLEEP, THERE, DAY) == us("2026-11-21T18:00")
    assert first_read(RATE, THERE, DAY) == us("2026-11-21T18:00")
    assert first_read(RATE, without, DAY) == us("2026-11-22T00:00")


@pytest.mark.parametrize("seed", [0, 1, *(slow(n) for n in range(2, 10))])
def test_what_a_day_is_does_not_depend_on_how_much_was_read(seed: int) -> None:
    chance = random.Random(seed)
    voices = (voice("phone", "A"), voice("watch", "B"), voice("watch", "C"))
    begin = us("2026-11-18T00:00")
    points = []
    for _ in range(2000):
        start = begin + chance.randrange(6 * 24 * 60) * 60_000_000
        lasts = chance.choice([0, 5, 60]) * 60_000_000
        stat = Stat.MEAN if lasts else Stat.INSTANT
        points.append(
            Point(start, start + lasts, chance.random(), chance.randrange(3), stat)
        )
    all_points = sorted(points)
    needed = first_read(RATE, THERE, DAY)
    if any(each.start_us < needed < each.end_us for each in all_points):
        needed -= NEARBY
    near = [each for each in all_points if each.start_us >= needed]

    whole = summarise(
        RATE,
        KNOWN,
        {"heart-rate": Series("heart-rate", voices, all_points)},
        THERE,
        DAY,
        DAY,
    )

    assert whole == summarise(
        RATE, KNOWN, {"heart-rate": Series("heart-rate", voices, near)}, THERE, DAY, DAY
    )
    assert whole


def shuffled(points: list[Point], seed: int) -> list[Point]:
    chance = random.Random(seed)
    twice = [*points, *chance.sample(points, len(points) // 3)]
    chance.shuffle(twice)
    return twice


@pytest.mark.parametrize("seed", [*range(8), *(slow(n) for n in range(8, 40))])
def test_the_order_and_the_number_of_copies_of_readings_make_no_difference(
    seed: int,
) -> None:
    chance = random.Random(seed)
    voices = (voice("phone", "A"), voice("watch", "B"), voice("watch", "C"))
    begin = us("2026-11-21T10:00")
    flags = [Flag(0), Flag(0), Flag(0), Flag.BELOW, Flag.GROUPED, Flag.DAY_TOTAL]
    points = []
    for _ in range(300):
        start = begin + chance.randrange(48 * 60 * 60) * 1_000_000
        lasts = chance.choice([0, 0, 60, 600, 7200]) * 1_000_000
        value, flag = chance.choice([40, 70, 100, 181, 250]), chance.choice(flags)
        stat = Stat.TOTAL if lasts else Stat.INSTANT
        points.append(
            Point(start, start + lasts, value, chance.randrange(3), stat, flags=flag)
        )
    for metric in (RATE, GLUCOSE, WEIGHT, STEPS, ASLEEP):
        told = {metric.name: Series(metric.name, voices, points)}
        again = {metric.name: Series(metric.name, voices, shuffled(points, seed))}
        first, last = date(2026, 11, 21), date(2026, 11, 23)

        found = summarise(metric, KNOWN, told, THERE, first, last)

        assert found == summarise(metric, KNOWN, again, THERE, first, last)
        assert found
        for each in found:
            if each.bands:
                assert math.isclose(sum(each.bands.values()), each.covered or 0)
