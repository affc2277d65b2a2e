"""Whether somebody rests is known from the reading, or from steps, or not at all."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cds_service.wearables.detection.rest import Resting, rest_of
from cds_service.wearables.samples import Context, Flag
from cds_service.wearables.series import Point

from .wearer import REST, SECOND, reading, walked

REST_, MOVES, UNKNOWN = Resting.AT_REST, Resting.ACTIVE, Resting.UNKNOWN


def at(second: float, steps: list[Point]) -> Resting:
    """Of a reading that does not say it itself."""
    (found,) = rest_of([reading(second, 115, Context.UNKNOWN)], REST, sorted(steps))
    return found


@pytest.mark.parametrize(
    ("context", "found"),
    [(Context.REST, REST_), (Context.ASLEEP, REST_), (Context.ACTIVE, MOVES)],
)
def test_what_a_reading_says_goes_before_all_steps(
    context: Context, found: Resting
) -> None:
    points = [reading(900, 115, context)]

    assert rest_of(points, REST, walked(0, 900, 90)) == [found]
    assert rest_of(points, REST, walked(0, 900, 0)) == [found]


def test_where_rest_does_not_matter_nothing_is_asked() -> None:
    points = [reading(0, 50, Context.ACTIVE), reading(60, 50, Context.UNKNOWN)]

    assert rest_of(points, None) == [REST_, REST_]


def test_what_is_taken_at_rest_needs_no_proof_but_no_word_against_it() -> None:
    points = [reading(0, 60, Context.UNKNOWN), reading(60, 60, Context.ACTIVE)]

    assert rest_of(points, REST, by_definition=True) == [REST_, MOVES]


def test_five_minutes_without_steps_are_rest() -> None:
    assert at(300, walked(0, 300, 0)) is REST_
    assert at(300, walked(0, 300, 10)) is REST_
    assert at(300, walked(0, 300, 11)) is MOVES


def test_four_of_five_minutes_before_a_reading_must_be_told_of() -> None:
    assert at(239, walked(0, 300, 0)) is UNKNOWN
    assert at(240, walked(0, 300, 0)) is REST_
    assert at(360, walked(0, 300, 0)) is REST_
    assert at(361, walked(0, 300, 0)) is UNKNOWN
    assert at(600, []) is UNKNOWN


def test_one_minute_that_is_told_proves_no_five_minutes_of_rest() -> None:
    assert at(600, walked(540, 600, 0)) is UNKNOWN
    assert at(600, [*walked(240, 300, 0), *walked(360, 420, 0)]) is UNKNOWN


def test_a_minute_that_is_told_twice_counts_once() -> None:
    twice = sorted([*walked(420, 600, 0), *walked(450, 570, 0), *walked(420, 480, 0)])

    assert at(600, twice) is UNKNOWN
    assert at(600, sorted([*twice, *walked(300, 360, 0)])) is REST_


def test_minutes_in_several_runs_add_up() -> None:
    assert at(600, [*walked(300, 420, 0), *walked(480, 600, 0)]) is REST_
    assert at(600, [*walked(300, 360, 0), *walked(480, 600, 0)]) is UNKNOWN


def test_of_an_interval_that_goes_on_what_lies_before_the_reading_counts() -> None:
    assert at(240, walked(0, 900, 0, length=900)) is REST_
    assert at(239, walked(0, 900, 0, length=900)) is UNKNOWN


def test_where_any_minute_is_enough_one_that_meets_the_time_proves_rest() -> None:
    any_minute = replace(REST, covered=0)
    times = (-1, 0, 299, 599, 600)
    points = [reading(second, 115, Context.UNKNOWN) for second in times]

    found = rest_of(points, any_minute, walked(0, 300, 0))

    assert found == [UNKNOWN, REST_, REST_, REST_, UNKNOWN]


def test_steps_in_any_of_five_minutes_are_movement_though_the_others_are_not_told() -> (
    None
):
    assert at(899, walked(540, 600, 90)) is MOVES
    assert at(900, walked(540, 600, 90)) is UNKNOWN


def test_movement_is_known_however_little_is_told() -> None:
    assert at(600, walked(301, 361, 90)) is MOVES


def test_steps_that_begin_with_the_reading_are_movement() -> None:
    steps = [*walked(0, 300, 0), *walked(300, 360, 90)]

    assert at(300, steps) is MOVES
    assert at(299, steps) is REST_


def test_one_device_that_moves_is_enough() -> None:
    watch = [each._replace(voice=1) for each in walked(0, 900, 90)]

    assert at(900, [*walked(0, 900, 0), *watch]) is MOVES


def test_an_interval_proves_something_if_it_is_not_too_long() -> None:
    assert at(900, walked(0, 900, 0, length=900)) is REST_
    assert at(960, walked(0, 960, 0, length=960)) is UNKNOWN
    assert at(960, walked(0, 960, 5000, length=960)) is UNKNOWN


@pytest.mark.parametrize("flag", [Flag.MANUAL, Flag.DAY_TOTAL, Flag.GROUPED])
def test_what_says_nothing_of_its_minutes_proves_nothing(flag: Flag) -> None:
    steps = [each._replace(flags=flag) for each in walked(0, 600, 0)]

    assert at(600, steps) is UNKNOWN


def test_steps_of_one_moment_are_of_no_time() -> None:
    (steps,) = walked(590, 591, 20, length=1)

    assert at(600, [steps._replace(end_us=steps.start_us)]) is UNKNOWN


def test_what_an_estimate_of_steps_tells_counts() -> None:
    steps = [each._replace(flags=Flag.ESTIMATED) for each in walked(0, 600, 0)]

    assert at(600, steps) is REST_


def test_with_no_lookback_the_interval_of_the_reading_tells() -> None:
    rest = replace(REST, lookback=timedelta(0))
    points = [reading(30, 115, Context.UNKNOWN), reading(90, 115, Context.UNKNOWN)]

    assert rest_of(points, rest, walked(0, 60, 0)) == [REST_, UNKNOWN]
    assert points[0].start_us < points[1].start_us - 59 * SECOND
