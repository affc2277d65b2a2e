"""Numbers out of many readings hold whatever vague times and values stand for."""

from datetime import UTC, datetime, timedelta
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir.moments import Moment
from cds_service.rulebook.engine.rows.readings import Row
from cds_service.rulebook.engine.series import change, most_apart, reduce_rows
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
