"""Whether the wearer rests at a reading, and what proves it. Pure.

An explicit word goes first: a reading taken in sleep, or while moving. Otherwise short
intervals of steps tell it: those that meet the time before the reading. One that has
too many is movement; rest is known if none has and together they tell of enough of that
time, since a minute without a step says nothing of the four before it. Otherwise nobody
knows: neither rest nor movement.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from enum import StrEnum

from ..days import Span, united
from ..samples import Context, Flag
from ..series import Point
from .detectors import Rest

NO_INTERVAL = Flag.MANUAL | Flag.DAY_TOTAL | Flag.GROUPED
"""What is flagged so says nothing about when anybody moved."""


class Resting(StrEnum):
    """What is known of the wearer at a reading."""

    AT_REST = "at-rest"
    ACTIVE = "active"
    UNKNOWN = "unknown"


def rest_of(
    points: Sequence[Point],
    rest: Rest | None,
    intervals: Sequence[Point] = (),
    by_definition: bool = False,
) -> Sequence[Resting]:
    """Return for each reading whether the wearer rests.

    Args:
        points: Readings by their start.
        rest: None where it does not matter.
        intervals: Of the metric that proves rest, by their start; of whatever voice:
            one device that moves is enough.
        by_definition: The metric is taken at rest, whatever else is known.
    """
    if rest is None:
        return [Resting.AT_REST] * len(points)
    unsaid = Resting.AT_REST if by_definition else Resting.UNKNOWN
    found = [_said(each.context, unsaid) for each in points]
    if Resting.UNKNOWN not in found:
        return found
    moved, told = _proofs(rest, intervals)
    times = [each.start_us for each in points]
    proofs = zip(found, within(times, moved), _knows(rest, times, told), strict=True)
    return [
        (
            said
            if said is not Resting.UNKNOWN
            else Resting.ACTIVE if moves else Resting.AT_REST if knows else said
        )
        for said, moves, knows in proofs
    ]


def _said(context: Context, unsaid: Resting) -> Resting:
    if context is Context.UNKNOWN:
        return unsaid
    return Resting.ACTIVE if context is Context.ACTIVE else Resting.AT_REST


def _proofs(rest: Rest, intervals: Iterable[Point]) -> tuple[list[Span], list[Span]]:
    """Return the times at which the wearer is known to have moved, and those told of.

    Movement begins with an interval and lasts for as long after it as nobody may have
    moved before a reading.
    """
    lookback, longest = us(rest.lookback), us(rest.longest)
    minute = us(timedelta(minutes=1))
    moved: list[Span] = []
    told: list[Span] = []
    for each in intervals:
        length = each.end_us - each.start_us
        if not 0 < length <= longest:
            continue
        if each.flags != 0 and each.flags & NO_INTERVAL:
            continue
        told.append((each.start_us, each.end_us))
        if each.value * minute > rest.per_minute * length:
            moved.append((each.start_us, each.end_us + lookback))
    return united(moved), united(told)


def _knows(rest: Rest, times: Sequence[int], told: Sequence[Span]) -> Iterator[bool]:
    """Yield whether enough of the time before each reading is told of."""
    lookback = us(rest.lookback)
    least = rest.covered * lookback
    met = within(times, united([(start, end + lookback) for start, end in told]))
    until = _lengths(times, told)
    before = _lengths([each - lookback for each in times], told)
    for meets, up_to, of_it in zip(met, until, before, strict=True):
        yield meets and up_to - of_it >= least


def _lengths(times: Iterable[int], runs: Iterable[Span]) -> Iterator[int]:
    """Yield how much of the runs lies before each time, rising."""
    left = iter(runs)
    start, end = next(left, (0, 0))
    passed = 0
    for at in times:
        while at >= end and (run := next(left, None)) is not None:
            passed += end - start
            start, end = run
        yield passed + min(max(at - start, 0), end - start)


def within(times: Iterable[int], runs: Iterable[Span]) -> Iterator[bool]:
    """Yield whether each time, rising, is in a run; those are apart and in order."""
    left = iter(runs)
    start, end = next(left, (0, 0))
    for at in times:
        while at >= end and (run := next(left, None)) is not None:
            start, end = run
        yield start <= at < end


def us(length: timedelta) -> int:
    """Return whole microseconds."""
    return length // timedelta(microseconds=1)
