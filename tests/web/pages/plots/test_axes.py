"""Times are named by the wearer's clock, values by round numbers."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.wearables.samples import microseconds
from cds_service.web.pages.plots.axes import (
    Tick,
    Timespan,
    ValueAxis,
    time_ticks,
    value_axis,
)

NEW_YORK = ZoneInfo("America/New_York")
VALUES = st.floats(-1e6, 1e6)


def at(written: str) -> int:
    return microseconds(datetime.fromisoformat(written).replace(tzinfo=NEW_YORK))


def span(start: str, end: str) -> Timespan:
    return Timespan(at(start), at(end), NEW_YORK)


def told(ticks: list[Tick]) -> list[str]:
    return [f"{each.above} {each.label}".strip() for each in ticks]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (
            "2026-11-22 14:00",
            "2026-11-22 14:10",
            "22 Nov 14:00|14:01|14:02|14:03|14:04|14:05|14:06|14:07|14:08|14:09",
        ),
        (
            "2026-11-22 13:30",
            "2026-11-23 13:30",
            "22 Nov 15:00|18:00|21:00|23 Nov 00:00|03:00|06:00|09:00|12:00",
        ),
        (
            "2026-11-16 00:00",
            "2026-11-23 00:00",
            "2026 16 Nov|17 Nov|18 Nov|19 Nov|20 Nov|21 Nov|22 Nov",
        ),
        (
            "2026-10-23 00:00",
            "2026-11-22 00:00",
            "2026 26 Oct|2 Nov|9 Nov|16 Nov",
        ),
        (
            "2025-11-22 00:00",
            "2026-11-22 00:00",
            "2026 Jan|Mar|May|Jul|Sep|Nov",
        ),
        (
            "2019-06-01 00:00",
            "2026-11-22 00:00",
            "2020|2021|2022|2023|2024|2025|2026",
        ),
        (
            "1990-01-01 00:00",
            "2026-01-01 00:00",
            "1990|1995|2000|2005|2010|2015|2020|2025",
        ),
    ],
)
def test_times_are_named_as_people_name_them(
    start: str, end: str, expected: str
) -> None:
    assert told(time_ticks(span(start, end))) == expected.split("|")


def test_an_hour_that_the_clock_skips_is_not_named() -> None:
    spring = span("2026-03-08 00:00", "2026-03-08 09:00")

    hours = [each.label for each in time_ticks(spring)]

    assert hours == "00:00 01:00 03:00 04:00 05:00 06:00 07:00 08:00".split()
    assert spring.end_us - spring.start_us == 8 * 3_600_000_000


def test_an_hour_that_the_clock_shows_twice_is_named_twice() -> None:
    autumn = span("2026-11-01 00:00", "2026-11-01 09:00")

    ticks = time_ticks(autumn)

    hours = "00:00 01:00 01:00 02:00 03:00 04:00 05:00 06:00 07:00 08:00"
    assert [each.label for each in ticks] == hours.split()
    assert {b.at_us - a.at_us for a, b in zip(ticks, ticks[1:])} == {3_600_000_000}


def test_the_day_on_which_clocks_go_back_is_an_hour_longer() -> None:
    ticks = time_ticks(span("2026-10-31 00:00", "2026-11-03 00:00"), most=4)

    hours = [(b.at_us - a.at_us) / 3_600_000_000 for a, b in zip(ticks, ticks[1:])]
    assert told(ticks) == ["2026 31 Oct", "1 Nov", "2 Nov"]
    assert hours == [24, 25]


def test_a_day_that_has_no_midnight_begins_when_it_begins() -> None:
    beirut = ZoneInfo("Asia/Beirut")
    start = microseconds(datetime(2026, 3, 28, tzinfo=beirut))
    timespan = Timespan(start, start + 2 * 86_400_000_000, beirut)

    ticks = time_ticks(timespan, most=16)

    assert "01:00" in [each.label for each in ticks if each.above == "29 Mar"]


@given(st.integers(0, 4_000_000_000), st.integers(1, 400 * 86_400), st.integers(3, 12))
def test_ticks_rise_within_the_time_and_are_not_too_many(
    start: int, length: int, most: int
) -> None:
    begin = start * 1_000_000
    timespan = Timespan(begin, begin + length * 1_000_000, NEW_YORK)

    times = [each.at_us for each in time_ticks(timespan, most)]

    assert times == sorted(set(times))
    assert all(timespan.start_us <= each < timespan.end_us for each in times)
    assert len(times) <= most + 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ValueAxis(0.0, 1.0, ())),
        ([52, 131], ValueAxis(40, 140, (40, 60, 80, 100, 120, 140))),
        ([81.4, 80.2], ValueAxis(80, 81.5, (80, 80.5, 81, 81.5))),
        ([70], ValueAxis(60, 80, (60, 65, 70, 75, 80))),
        ([0.0], ValueAxis(-1, 1, (-1, -0.5, 0, 0.5, 1))),
        ([-3, 4], ValueAxis(-4, 4, (-4, -2, 0, 2, 4))),
    ],
)
def test_values_are_named_by_round_numbers(
    values: list[float], expected: ValueAxis
) -> None:
    assert value_axis(values) == expected


def test_bars_stand_on_zero() -> None:
    assert value_axis([5200, 9800], from_zero=True).ticks[0] == 0
    assert value_axis([0.0], from_zero=True) == ValueAxis(
        0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1)
    )


@given(st.lists(VALUES, min_size=1, max_size=20))
def test_every_value_lies_on_the_axis(values: list[float]) -> None:
    axis = value_axis(values)

    assert axis.low <= min(values) <= max(values) <= axis.high
    assert 2 <= len(axis.ticks) <= 8
