"""Sums of a day: each minute has one teller, and totals of whole days stand apart."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from cds_service.wearables.days import Calendar
from cds_service.wearables.metrics import Catalogue, Metric
from cds_service.wearables.samples import Flag, Stat
from cds_service.wearables.series import Point, Series, Voice
from cds_service.wearables.summaries import DaySummary
from cds_service.wearables.summarising import summarise

from .stretches import (
    ASLEEP,
    DAY,
    DEEP,
    STEPS,
    THERE,
    VIENNA,
    reading,
    series,
    us,
    voice,
)

WATCH, PHONE = voice("watch", "Watch"), voice("phone", "Phone")
REST = Metric("resting-heart-rate", "Resting heart rate", "/min", 25, 200)
KNOWN = Catalogue({each.name: each for each in (STEPS, REST, DEEP, ASLEEP)})


def days(
    metric: Metric,
    points: list[Point],
    *voices: Voice,
    calendar: Calendar = THERE,
    first: date = DAY,
    last: date = DAY,
    **parts: list[Point],
) -> tuple[DaySummary, ...]:
    told = {metric.name: series(metric.name, points, *voices)}
    told |= {name: series(name, each, *voices) for name, each in parts.items()}
    return summarise(metric, KNOWN, told, calendar, first, last)


def total(
    metric: Metric, points: list[Point], *voices: Voice, **parts: list[Point]
) -> float | None:
    (found,) = days(metric, points, *voices, **parts)
    return found.total


def test_the_steps_of_a_day_are_added() -> None:
    points = [
        reading("2026-11-22T09:00", 400, minutes=15),
        reading("2026-11-22T09:15", 350, minutes=15),
    ]

    assert days(STEPS, points, WATCH) == (
        DaySummary(
            metric="steps",
            day=DAY,
            zone="Europe/Vienna",
            minutes=1440,
            n=2,
            total=750,
            first=datetime(2026, 11, 22, 8, 0, tzinfo=UTC),
            last=datetime(2026, 11, 22, 8, 30, tzinfo=UTC),
            sources=("watch",),
            devices=("Watch",),
        ),
    )


def test_what_watch_and_phone_tell_of_the_same_time_counts_once() -> None:
    points = [
        reading("2026-11-22T09:00", 6000, 0, minutes=60),
        reading("2026-11-22T09:00", 5800, 1, minutes=60),
    ]

    assert total(STEPS, points, WATCH, PHONE) == 6000
    assert total(STEPS, points, PHONE, WATCH) == 5800


def test_of_two_devices_of_one_source_the_one_counts_that_tells_more() -> None:
    points = [
        reading("2026-11-22T09:00", 5800, 0, minutes=60),
        reading("2026-11-22T09:00", 6000, 1, minutes=60),
    ]

    found = days(STEPS, points, voice("apple", "A phone"), voice("apple", "Watch"))

    assert [(each.total, each.devices) for each in found] == [(6000, ("Watch",))]


def test_of_two_that_tell_the_same_the_one_counts_that_is_named_first() -> None:
    points = [reading("2026-11-22T09:00", 10, each, minutes=60) for each in (0, 1)]

    (found,) = days(STEPS, points, voice("apple", "B"), voice("apple", "A"))

    assert (found.total, found.devices) == (10, ("A",))


def test_a_gap_of_the_watch_is_filled_by_the_phone() -> None:
    points = [
        reading("2026-11-22T09:00", 300, 0, minutes=30),
        reading("2026-11-22T09:45", 150, 0, minutes=15),
        reading("2026-11-22T09:00", 600, 1, minutes=60),
    ]

    (found,) = days(STEPS, points, WATCH, PHONE)

    assert (found.total, found.n) == (300 + 150 + 600 / 4, 3)
    assert found.sources == ("watch", "phone")


def test_what_counts_most_of_a_day_is_named_first() -> None:
    points = [
        reading("2026-11-22T09:00", 300, 0, minutes=30),
        reading("2026-11-22T10:00", 600, 1, minutes=60),
    ]

    (found,) = days(STEPS, points, WATCH, PHONE)

    assert (found.sources, found.devices) == (("phone", "watch"), ("Phone", "Watch"))


def test_parts_of_one_time_that_one_device_tells_are_added() -> None:
    walking_and_running = [
        reading("2026-11-22T09:00", 300, minutes=15),
        reading("2026-11-22T09:00", 900, minutes=15),
    ]

    assert total(STEPS, walking_and_running, WATCH) == 1200


def test_what_reaches_over_midnight_is_split() -> None:
    points = [reading("2026-11-21T23:45", 900, minutes=60)]

    found = days(STEPS, points, WATCH, first=date(2026, 11, 21))

    assert [(each.day.day, each.total, each.n) for each in found] == [
        (21, 225, 1),
        (22, 675, 1),
    ]
    assert found[0].last == found[1].first == datetime(2026, 11, 21, 23, tzinfo=UTC)


def test_a_count_of_one_moment_is_of_that_moment() -> None:
    points = [
        reading("2026-11-22T09:00", 20, stat=Stat.TOTAL),
        reading("2026-11-22T09:00", 20, stat=Stat.TOTAL),
        reading("2026-11-22T10:00", 30, stat=Stat.TOTAL),
    ]

    assert total(STEPS, points, WATCH) == 50


def test_the_hour_that_comes_twice_counts_twice() -> None:
    zone = ZoneInfo("America/New_York")
    hour = 3_600_000_000
    begin = us("2026-11-01T00:00", zone)
    points = [
        Point(begin + n * hour, begin + (n + 1) * hour, 100, 0, Stat.TOTAL)
        for n in range(26)
    ]
    day = date(2026, 11, 1)

    (found,) = days(
        STEPS,
        points,
        calendar=Calendar(zone, "America/New_York"),
        first=day,
        last=day,
    )

    assert (found.total, found.minutes) == (2500, 1500)


@pytest.mark.parametrize(
    "flag",
    [Flag.MANUAL, Flag.GROUPED, Flag.BELOW, Flag.ABOVE, Flag.MANUAL | Flag.DAY_TOTAL],
)
def test_what_no_device_has_counted_in_a_known_time_is_no_part_of_a_sum(
    flag: Flag,
) -> None:
    points = [
        reading("2026-11-22T09:00", 100, minutes=15),
        reading("2026-11-22T10:00", 5000, minutes=15, flags=flag),
    ]

    assert total(STEPS, points, WATCH) == 100


def test_the_total_of_a_whole_day_is_never_added_to_its_parts() -> None:
    whole = Flag.DAY_TOTAL
    points = [
        reading("2026-11-22T09:00", 400, 0, minutes=15),
        reading("2026-11-22T00:00", 6120, 1, minutes=1440, flags=whole),
        reading("2026-11-22T00:00", 5900, 0, minutes=1440, flags=whole),
    ]

    found = days(STEPS, points, WATCH, PHONE)

    assert [(each.source, each.total, each.n) for each in found] == [
        ("", 400, 1),
        ("phone", 6120, 1),
        ("watch", 5900, 1),
    ]
    assert [each.sources for each in found] == [("watch",), ("phone",), ("watch",)]
    assert [each.devices for each in found] == [("Watch",), ("Phone",), ("Watch",)]


def test_of_two_devices_of_a_source_the_one_tells_the_day_that_counted_more() -> None:
    points = [
        reading("2026-11-22T00:00", count, place, minutes=1440, flags=Flag.DAY_TOTAL)
        for place, count in enumerate((100, 300, 200))
    ]
    devices = [voice("phone", each) for each in "ABC"]

    (found,) = days(STEPS, points, *devices)

    assert (found.source, found.total, found.devices) == ("phone", 300, ("B",))


def test_of_a_day_told_again_the_longest_time_holds() -> None:
    whole = Flag.DAY_TOTAL
    points = [
        reading("2026-11-22T10:00", 900, minutes=780, flags=whole),
        reading("2026-11-22T00:00", 700, minutes=1200, flags=whole),
    ]

    (found,) = days(STEPS, points, WATCH)

    assert (found.total, found.n) == (700, 1)
    assert found.last == datetime(2026, 11, 22, 19, 0, tzinfo=UTC)


def test_steps_of_the_evening_are_of_their_day() -> None:
    points = [reading("2026-11-22T17:00", 900, minutes=240, flags=Flag.DAY_TOTAL)]

    assert [(each.day, each.part) for each in days(STEPS, points, WATCH)] == [
        (DAY, "day")
    ]


def test_without_nights_a_night_s_sum_is_of_a_civil_day() -> None:
    points = [reading("2026-11-21T22:00", 431, minutes=120, flags=Flag.DAY_TOTAL)]
    calendar = Calendar(VIENNA, "Europe/Vienna")

    (found,) = days(ASLEEP, points, WATCH, calendar=calendar, first=date(2026, 11, 21))

    assert (found.day, found.part) == (date(2026, 11, 21), "day")


def test_what_began_long_before_a_day_reaches_into_it() -> None:
    points = [reading("2026-11-20T12:00", 4000, minutes=40 * 60)]

    assert total(STEPS, points, WATCH) == 400


def test_a_whole_day_is_the_one_in_the_middle_of_which_it_lies() -> None:
    whole_day_in_tokyo = reading(
        "2026-11-21T16:00", 4000, minutes=1440, flags=Flag.DAY_TOTAL
    )

    found = days(STEPS, [whole_day_in_tokyo], WATCH, first=date(2026, 11, 21))

    assert [each.day for each in found] == [DAY]


def test_a_vendor_s_values_of_a_day_are_told_by_what_they_are() -> None:
    stats = {Stat.MEAN: 58, Stat.MIN: 50, Stat.MAX: 70, Stat.MEDIAN: 57}
    points = [
        reading(
            "2026-11-22T00:00", value, minutes=1440, stat=stat, flags=Flag.DAY_TOTAL
        )
        for stat, value in stats.items()
    ]

    (found,) = days(REST, points, WATCH)

    assert (found.source, found.n) == ("watch", 4)
    assert (found.mean, found.min, found.max, found.median) == (58, 50, 70, 57)
    assert (found.total, found.covered) == (None, None)


def test_one_value_of_a_day_is_its_mean() -> None:
    points = [reading("2026-11-22T00:00", 58, stat=Stat.INSTANT, flags=Flag.DAY_TOTAL)]

    (found,) = days(REST, points, WATCH)

    assert (found.mean, found.median, found.source) == (58, None, "watch")


@pytest.mark.parametrize("flag", [Flag.MANUAL, Flag.BELOW])
def test_a_whole_day_that_is_typed_or_a_bound_is_not_told(flag: Flag) -> None:
    points = [reading("2026-11-22T00:00", 9, minutes=1440, flags=Flag.DAY_TOTAL | flag)]

    assert days(STEPS, points, WATCH) == ()


def test_what_is_slept_is_of_the_night_that_ends_on_the_day() -> None:
    points = [
        reading("2026-11-21T17:30", 60, minutes=60),
        reading("2026-11-21T23:00", 120, minutes=120),
        reading("2026-11-22T01:30", 240, minutes=240),
    ]

    (found,) = days(DEEP, points, WATCH)

    assert (found.part, found.day, found.minutes) == ("night", DAY, 1440)
    assert (found.total, found.n) == (30 + 120 + 240, 3)


def test_without_nights_what_is_slept_is_of_its_civil_day() -> None:
    points = [reading("2026-11-21T23:00", 120, minutes=120)]

    (found,) = days(DEEP, points, calendar=Calendar(VIENNA, "Europe/Vienna"))

    assert (found.part, found.total) == ("day", 60)


def test_a_night_s_sum_of_a_source_is_of_the_night() -> None:
    points = [
        reading("2026-11-21T22:40", 431, minutes=470, flags=Flag.DAY_TOTAL),
    ]

    (found,) = days(ASLEEP, points, WATCH)

    assert (found.part, found.source, found.total) == ("night", "watch", 431)
    assert (found.day, found.minutes) == (DAY, 1440)


def test_time_asleep_is_made_of_its_stages_where_it_is_not_told_whole() -> None:
    stages = {
        "deep": [reading("2026-11-21T23:00", 60, minutes=60)],
        "light": [
            reading("2026-11-22T00:00", 90, minutes=90),
            reading("2026-11-22T02:00", 30, minutes=30),
        ],
    }

    assert total(ASLEEP, [], WATCH, **stages) == 180


def test_where_time_asleep_is_told_whole_its_stages_are_not_added() -> None:
    whole = [reading("2026-11-21T23:00", 190, minutes=210)]
    deep = [reading("2026-11-21T23:00", 60, minutes=60)]

    assert total(ASLEEP, whole, WATCH, deep=deep) == 190


def test_lying_awake_by_the_watch_is_not_sleep_by_the_phone() -> None:
    points = [
        reading("2026-11-21T23:00", 60, 0, minutes=60),
        reading("2026-11-22T01:00", 60, 0, minutes=60),
        reading("2026-11-21T22:00", 300, 1, minutes=300),
    ]

    assert total(ASLEEP, points, WATCH, PHONE) == 60 + 60 + (60 + 60)


def test_a_series_may_have_its_points_in_any_order() -> None:
    points = [
        reading("2026-11-22T10:00", 20, minutes=10),
        reading("2026-11-22T09:00", 10, minutes=10),
    ]
    told = {"steps": Series("steps", (WATCH,), points)}

    (found,) = summarise(STEPS, KNOWN, told, THERE, DAY, DAY)

    assert found.total == 30
