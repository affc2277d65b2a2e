"""Of many readings that is drawn which can be seen, and no spike and no gap is lost."""

import re
from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from cds_service.web.pages.plots.axes import Timespan, value_axis
from cds_service.web.pages.plots.reducing import (
    COLUMNS,
    Extremes,
    dots_path,
    line_path,
    reduce_readings,
    unbroken,
)

MINUTE = 60_000_000
READINGS = st.lists(st.tuples(st.integers(0, 2_000), st.floats(30, 220)), max_size=300)


def minutes(*readings: tuple[int, float]) -> tuple[list[int], list[float]]:
    return [at * MINUTE for at, _ in readings], [value for _, value in readings]


def test_a_column_keeps_its_lowest_and_highest_and_when_they_were() -> None:
    times, values = minutes((0, 70), (1, 64), (2, 131), (3, 90), (4, 71), (7, 80))

    assert reduce_readings(times, values, (0, 8 * MINUTE), 2) == [
        Extremes(0, 3 * MINUTE, 64, MINUTE, 131, 2 * MINUTE, 4),
        Extremes(4 * MINUTE, 7 * MINUTE, 71, 4 * MINUTE, 80, 7 * MINUTE, 2),
    ]


def test_what_lies_outside_the_time_is_not_there() -> None:
    times, values = minutes((-1, 200), (0, 70), (9, 71), (10, 201))

    columns = reduce_readings(times, values, (0, 10 * MINUTE), 5)

    assert [(each.low, each.high) for each in columns] == [(70, 70), (71, 71)]


def test_no_readings_are_no_columns() -> None:
    assert reduce_readings([], [], (0, MINUTE)) == []


@given(READINGS)
def test_the_lowest_and_highest_of_all_are_kept(
    readings: list[tuple[int, float]],
) -> None:
    times, values = minutes(*readings)

    columns = reduce_readings(times, values, (0, 2_001 * MINUTE), 40)

    assert sum(each.n for each in columns) == len(readings)
    if readings:
        assert min(each.low for each in columns) == min(values)
        assert max(each.high for each in columns) == max(values)


@given(READINGS, st.randoms())
def test_the_order_in_which_they_come_does_not_matter(
    readings: list[tuple[int, float]], random: "st.random.Random"
) -> None:
    shuffled = random.sample(readings, len(readings))

    one, other = (
        reduce_readings(*minutes(*each), (0, 2_001 * MINUTE), 40)
        for each in (readings, shuffled)
    )

    assert one == other


@given(READINGS, st.integers(1, 90))
def test_no_line_crosses_a_gap_that_can_be_seen(
    readings: list[tuple[int, float]], gap: int
) -> None:
    columns = reduce_readings(*minutes(*readings), (0, 2_001 * MINUTE), 40)

    runs = unbroken(columns, gap * MINUTE)

    assert [each for run in runs for each in run] == columns
    for run in runs:
        for before, after in zip(run, run[1:]):
            assert after.first_us - before.last_us <= gap * MINUTE
    for one, other in zip(runs, runs[1:]):
        assert other[0].first_us - one[-1].last_us > gap * MINUTE


@given(READINGS, st.integers(1, 90))
def test_nothing_is_drawn_outside_of_the_frame(
    readings: list[tuple[int, float]], gap: int
) -> None:
    timespan = Timespan(500 * MINUTE, 1_500 * MINUTE, UTC)
    columns = reduce_readings(*minutes(*readings), timespan.span)
    axis = value_axis([100.0, 120.0])

    path = line_path(unbroken(columns, gap * MINUTE), timespan, axis, 240)
    path += dots_path(columns, timespan, axis, 240)

    for x, y in re.findall(r"([\d.-]+) ([\d.-]+)", path):
        assert 0 <= float(x) <= COLUMNS
        assert 0 <= float(y) <= 240


def test_readings_are_joined_and_one_alone_is_a_dot() -> None:
    timespan = Timespan(0, 8 * MINUTE, UTC)
    times, values = minutes((0, 60), (1, 80), (2, 70), (6, 100))
    columns = reduce_readings(times, values, timespan.span)

    path = line_path(
        unbroken(columns, 3 * MINUTE), timespan, value_axis([60, 100]), 100
    )

    assert path == "M0 100L100 50 200 75M600 0h0"


def test_what_speaks_for_its_moment_alone_is_joined_to_nothing() -> None:
    timespan = Timespan(0, 8 * MINUTE, UTC)
    columns = reduce_readings(*minutes((0, 60), (4, 80)), timespan.span)

    path = dots_path(columns, timespan, value_axis([60, 100]), 100)

    assert path == "M0 100h0M400 50h0"


def test_a_year_of_minutes_is_as_many_columns_as_can_be_seen() -> None:
    year = 525_600
    times = [each * MINUTE for each in range(year)]
    values = [60.0 + each % 7 for each in range(year)]
    values[400_000] = 190.0
    timespan = Timespan(0, year * MINUTE, UTC)

    columns = reduce_readings(times, values, timespan.span)
    path = line_path(unbroken(columns, 3 * MINUTE), timespan, value_axis(values), 240)

    assert len(columns) == COLUMNS
    assert max(each.high for each in columns) == 190
    assert path.count("M") == 1
    assert len(path) < 25_000
