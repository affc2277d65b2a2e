"""Whether the wearer rests at a reading, and what proves it. Pure.

An explicit word goes first: a reading taken in sleep, or while moving. Otherwise short
intervals of steps tell it, if together they tell of all the time before the reading.
Where nothing proves rest, nobody knows: it is neither rest nor movement.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from enum import StrEnum

from ..samples import Context, Flag
from ..series import Point
from .detectors import Rest

Run = tuple[int, int]
"""Microseconds since 1970: from, and to before."""
NO_INTERVAL = Flag.MANUAL | Flag.DAY_TOTAL | Flag.GROUPED
"""What is flagged so says nothing about when anybody moved."""


class Resting(StrEnum):
    """What is known of the wearer at a reading."""

    AT_REST = "at-rest"
    ACTIVE = "active"
    UNKNOWN = "unknown"


SAID = {
    Context.REST: Resting.AT_REST,
    Context.ASLEEP: Resting.AT_REST,
    Context.ACTIVE: Resting.ACTIVE,
}


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
    found = [SAID.get(each.context, unsaid) for each in points]
    if by_definition or Resting.UNKNOWN not in found:
        return found
    moved, still = _proofs(rest, intervals)
    times = [each.start_us for each in points]
    moving, resting = within(times, moved), within(times, still)
    return [
        said if said is not Resting.UNKNOWN else _proved(moves, rests)
        for said, moves, rests in zip(found, moving, resting, strict=True)
    ]


def _proved(moves: bool, rests: bool) -> Resting:
    if moves:
        return Resting.ACTIVE
    return Resting.AT_REST if rests else Resting.UNKNOWN


def _proofs(rest: Rest, intervals: Iterable[Point]) -> tuple[list[Run], list[Run]]:
    """Return the times at which the wearer is known to have moved, and to have rested.

    Moved: at an interval with too many steps, and for the time after it in which
    nobody may have moved. Rested: where all of that time is told of.
    """
    lookback, longest = us(rest.lookback), us(rest.longest)
    moved: list[Run] = []
    told: list[Run] = []
    for each in intervals:
        length = each.end_us - each.start_us
        if not 0 < length <= longest or each.flags & NO_INTERVAL:
            continue
        told.append((each.start_us, each.end_us))
        if each.value * us(timedelta(minutes=1)) > rest.per_minute * length:
            moved.append((each.start_us, each.end_us + lookback))
    still = [
        (start + lookback, end + 1)
        for start, end in united(told)
        if end - start >= lookback
    ]
    return united(moved), still


def united(runs: Iterable[Run]) -> list[Run]:
    """Return runs that are apart, in their order, with the time of all."""
    found: list[Run] = []
    for start, end in sorted(runs):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def within(times: Iterable[int], runs: Iterable[Run]) -> Iterator[bool]:
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
