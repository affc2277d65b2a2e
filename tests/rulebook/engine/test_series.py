"""Numbers out of many readings hold whatever vague times and values stand for."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir.moments import Moment
from cds_service.rulebook.engine.rows.readings import Row
from cds_service.rulebook.engine.series import (
    by_day,
    change,
    most_apart,
    newest,
    oldest,
    reduce_rows,
    span,
    sustained_rows,
    text_rows,
)
from cds_service.rulebook.values.intervals import Interval

START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIMES = st.tuples(st.integers(0, 8), st.sampled_from([0, 0, 2]), st.integers(0, 2))
"""From when, for how long it may have been, and when within that it was; hours."""
VALUES = st.tuples(st.integers(0, 5), st.sampled_from([0, 0, 2]), st.integers(0, 2))
READINGS = st.lists(st.tuples(TIMES, VALUES), max_size=6)


def row(time: tuple[int, int, int], value: tuple[int, int, int]) -> Row:
    (begin, vague, _), (low, wide, _) = time, value
    moment = Moment(START + begin * HOUR, START + (begin + vague) * HOUR)
    return Row("Observation/o", moment=moment, value=Interval(low, low + wide))


def truth(span: tuple[int, int, int]) -> int:
    return span[0] + min(span[1], span[2])


@given(READINGS, st.integers(0, 6))
def test_a_change_lies_within_the_range_that_is_told(
    readings: list[tuple[tuple[int, int, int], tuple[int, int, int]]], hours: int
) -> None:
    told = {
        word: change(word, [row(*each) for each in readings], hours * HOUR)
        for word in ("rise", "fall")
    }
    real = sorted((truth(time), truth(value)) for time, value in readings)

    # Of readings at one time nobody knows which came last.
    for index, (at, now) in enumerate(real):
        others = real[:index] + real[index + 1 :]
        before = [value for time, value in others if at - hours <= time <= at]
        if at == real[-1][0] and told["rise"] and told["fall"]:
            assert before
            assert told["rise"].low <= now - min(before) <= told["rise"].high
            assert told["fall"].low <= max(before) - now <= told["fall"].high


@given(READINGS, st.integers(0, 6))
def test_an_older_reading_only_makes_a_change_greater(
    readings: list[tuple[tuple[int, int, int], tuple[int, int, int]]], hours: int
) -> None:
    rows = [row((time[0] + 9, 0, 0), value) for time, value in readings]
    older = row((3, 0, 0), (0, 5, 0))

    for word in ("rise", "fall"):
        known = change(word, rows, hours * HOUR)
        more = change(word, [older, *rows], hours * HOUR)
        if known:
            assert more and known.low <= more.low and known.high <= more.high


@given(READINGS, st.integers(0, 4))
def test_as_many_are_apart_as_could_be_chosen_by_trying(
    readings: list[tuple[tuple[int, int, int], tuple[int, int, int]]], hours: int
) -> None:
    told = most_apart([row(*each) for each in readings], hours * HOUR)
    real = sorted(truth(time) for time, _ in readings)

    most = max(
        size
        for size in range(len(real) + 1)
        for chosen in combinations(real, size)
        if all(b - a >= hours for a, b in zip(chosen, chosen[1:], strict=False))
    )

    assert told.low <= most <= told.high
    if all(time[1] == 0 for time, _ in readings):
        assert told.low == told.high


def at(hour: int, value: float) -> Row:
    moment = Moment(START + hour * HOUR, START + hour * HOUR)
    return Row("Observation/o", moment=moment, value=Interval(value, value))


def test_the_median_of_an_even_number_lies_between_the_two_in_the_middle() -> None:
    four = [at(0, 90), at(1, 130), at(2, 100), at(3, 104)]

    assert reduce_rows("median", four) == Interval(102, 102)
    assert reduce_rows("median", [at(0, 90), at(1, 101)]) == Interval(95.5, 95.5)
    assert reduce_rows("median", four[:3]) == Interval(100, 100)


def test_the_median_of_ranges_is_the_range_of_their_medians() -> None:
    vague = [row((0, 0, 0), (90, 10, 0)), row((1, 0, 0), (100, 20, 0))]

    assert reduce_rows("median", vague) == Interval(95, 110)


def among(*several: Interval) -> list[Row]:
    """Readings of these values, one an hour."""
    return [replace(at(hour, 0), value=value) for hour, value in enumerate(several)]


OVER_5, AT_LEAST_5 = Interval(5, 9, True, False), Interval(5, 9, False, False)
UNDER_9, AT_MOST_9 = Interval(5, 9, False, True), Interval(5, 9, False, False)


def test_the_least_may_be_a_bound_only_if_some_reading_may_and_no_other_is_below() -> (
    None
):
    assert reduce_rows("min", among(OVER_5, AT_LEAST_5)) == Interval(5, 9)
    assert reduce_rows("min", among(AT_MOST_9, UNDER_9)) == Interval(5, 9, False, True)
    narrow = Interval(5, 6, True, False)
    assert reduce_rows("min", among(narrow, AT_LEAST_5)) == Interval(5, 6)
    assert reduce_rows("min", among(OVER_5, OVER_5)) == Interval(5, 9, True, False)
    assert reduce_rows("min", among(UNDER_9, AT_MOST_9)) == Interval(5, 9, False, True)
    assert reduce_rows("min", among(Interval(4, 20), Interval(6, 7))) == Interval(4, 7)


def test_the_greatest_may_be_a_bound_only_if_some_may_and_no_other_is_above() -> None:
    assert reduce_rows("max", among(OVER_5, AT_LEAST_5)) == Interval(5, 9, True, False)
    assert reduce_rows("max", among(AT_LEAST_5, OVER_5)) == Interval(5, 9, True, False)
    narrow = Interval(5, 6, True, False)
    assert reduce_rows("max", among(AT_LEAST_5, narrow)) == Interval(5, 9, True, False)
    assert reduce_rows("max", among(UNDER_9, AT_MOST_9)) == Interval(5, 9)
    assert reduce_rows("max", among(UNDER_9, UNDER_9)) == Interval(5, 9, False, True)
    assert reduce_rows("max", among(Interval(4, 20), Interval(6, 7))) == Interval(6, 20)


def test_the_mean_reaches_no_bound_that_one_of_its_readings_does_not_reach() -> None:
    assert reduce_rows("mean", among(Interval(1, 3), Interval(2, 7))) == (
        Interval(1.5, 5)
    )
    assert reduce_rows("mean", among(OVER_5, AT_LEAST_5)) == Interval(5, 9, True, False)
    assert reduce_rows("mean", among(UNDER_9, AT_MOST_9)) == Interval(5, 9, False, True)


def test_a_number_of_readings_without_a_value_is_none_but_for_their_count() -> None:
    rows = [replace(at(1, 0), value=None), replace(at(2, 0), value=None)]

    for reducer in ("latest", "earliest", "min", "max", "mean", "median"):
        assert reduce_rows(reducer, rows) is None
        assert reduce_rows(reducer, []) is None
    assert reduce_rows("count", rows) == Interval(2, 2)
    assert reduce_rows("count", []) == Interval(0, 0)


def test_the_newest_and_the_oldest_are_all_that_may_be() -> None:
    early, vague, late = row((0, 0, 0), (1, 0, 0)), row((2, 3, 0), (2, 0, 0)), at(5, 3)

    assert newest([early, vague, late]) == [vague, late]
    assert newest([early, vague, at(6, 3)]) == [at(6, 3)]
    assert oldest([row((0, 2, 0), (1, 0, 0)), vague, late]) == [
        row((0, 2, 0), (1, 0, 0)),
        vague,
    ]
    assert oldest([row((0, 1, 0), (1, 0, 0)), vague]) == [row((0, 1, 0), (1, 0, 0))]
    assert reduce_rows("latest", [early, vague, late]) == Interval(2, 3)
    assert reduce_rows("earliest", [early, vague, late]) == Interval(1, 1)


def test_sustained_rows_are_those_less_than_the_period_before_the_newest() -> None:
    rows = [at(0, 1), at(1, 2), at(3, 3)]

    assert sustained_rows(rows, 3 * HOUR) == rows[1:]
    assert sustained_rows(rows, 3 * HOUR + timedelta(seconds=1)) == rows
    assert sustained_rows([], HOUR) == []
    assert (span(rows), span(rows[:1]), span([])) == (3 * HOUR, 0 * HOUR, 0 * HOUR)


def test_a_day_is_the_sites_and_a_reading_over_midnight_has_none() -> None:
    new_york = ZoneInfo("America/New_York")
    before, after, over = at(3, 1), at(4, 2), row((3, 2, 0), (3, 0, 0))

    assert by_day([before, after, over, at(20, 4)], new_york) == (
        {date(2026, 10, 31): [before], date(2026, 11, 1): [after, at(20, 4)]},
        [over],
    )


def test_the_bounds_of_a_change_are_reached_only_where_both_readings_reach_them() -> (
    None
):
    def between(before: Interval, now: Interval) -> dict[str, Interval | None]:
        rows = among(before, now)
        return {word: change(word, rows, 2 * HOUR) for word in ("rise", "fall")}

    ten = Interval(10, 10)
    assert between(OVER_5, ten) == {
        "rise": Interval(1, 5, False, True),
        "fall": Interval(-5, -1, True, False),
    }
    assert between(UNDER_9, ten) == {
        "rise": Interval(1, 5, True, False),
        "fall": Interval(-5, -1, False, True),
    }
    assert between(ten, OVER_5) == {
        "rise": Interval(-5, -1, True, False),
        "fall": Interval(1, 5, False, True),
    }
    assert between(ten, UNDER_9) == {
        "rise": Interval(-5, -1, False, True),
        "fall": Interval(1, 5, True, False),
    }


def test_there_is_no_change_without_a_value_now_or_within_the_period_before() -> None:
    unread = replace(at(2, 0), value=None)

    assert change("rise", [], HOUR) is None
    assert change("rise", [at(2, 5)], HOUR) is None
    assert change("rise", [at(0, 1), unread], 9 * HOUR) is None
    assert change("rise", [unread, at(3, 5)], 9 * HOUR) is None
    assert change("rise", [at(0, 1), at(3, 5)], 2 * HOUR) is None
    assert change("rise", [at(0, 1), at(3, 5)], 3 * HOUR) == Interval(4, 4)
    assert change("fall", [at(0, 1), at(3, 5)], 3 * HOUR) == Interval(-4, -4)


def test_a_change_is_exact_to_nine_digits() -> None:
    rows = [at(0, 80.9), at(1, 82.3)]

    assert change("rise", rows, HOUR) == Interval(1.4, 1.4)
    assert change("rise", [at(0, 1), at(1, 1.000000001)], HOUR) == (
        Interval(0.000000001, 0.000000001)
    )


def test_the_text_of_a_sustained_test_is_about_the_rows_of_its_period(
    rules: Any,
) -> None:
    rows = [at(0, 1), at(1, 2), at(3, 3)]
    fact = "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}"

    def told(test: str) -> list[Row]:
        rules.rule(fact, f"all: [hr: {{{test}}}]")
        rulebook = rules.compile().rulebook
        return [*text_rows(rulebook.rules["test"].facts["hr"], rows)]

    assert told("sustained: {above: 100, for: 3 hours}") == rows[1:]
    assert told("latest: {above: 100}") == rows
