"""Readings as a detector sees them: which of them count, and what each one says. Pure.

Column by column, since there are many: a day of a watch that measures every five
seconds has 17,280 of them.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import ge, gt, le, lt

from ..metrics import Metric
from ..samples import BOUNDS, Flag, Stat
from ..series import Point, Series, chosen
from .detectors import Detector, Direction, Rest, SustainedBreach
from .episodes import NotJudged
from .rest import Resting, rest_of, us

Limits = Sequence[tuple[int, float]]
"""From when on each of a patient's own limits holds, rising."""

Compare = Callable[[float, float], bool]
BREACHES: dict[Direction, Compare] = {
    Direction.ABOVE: gt,
    Direction.AT_LEAST: ge,
    Direction.BELOW: lt,
    Direction.AT_MOST: le,
}


@dataclass(frozen=True, slots=True)
class Counted:
    """The readings that count, in order, and whether the wearer rests at each."""

    series: Series
    """Its points are these."""
    times: list[int]
    resting: Sequence[Resting]
    left_out: Sequence[tuple[Point, NotJudged]] = ()
    """Readings that are nothing to detect on, and why."""


@dataclass(frozen=True, slots=True)
class Readings(Counted):
    """What each of them says; the lists are as long as the points."""

    limits: Sequence[float] = ()
    """Of the patient's own or the detector's, as it was at each."""
    breach: Sequence[bool] = ()
    clear: Sequence[bool] = ()
    """On the safe side of where it is clear."""


def count_readings(
    metric: Metric, series: Series, gap: int, rest: Rest | None, steps: Sequence[Point]
) -> Counted:
    """Return the readings that count where one of them speaks for *gap* at most.

    Args:
        series: With its voices in their order.
        gap: Microseconds.
        rest: None where it does not matter whether the wearer rests.
        steps: Intervals of the metric that proves it.
    """
    counted, left_out = _sorted_out(series, metric, gap)
    points = chosen(Series(series.metric, series.voices, counted))
    return Counted(
        series=Series(series.metric, series.voices, points),
        times=[each.start_us for each in points],
        resting=rest_of(points, rest, steps, metric.at_rest),
        left_out=left_out,
    )


def judge_readings(
    detector: Detector, pattern: SustainedBreach, counted: Counted, limits: Limits = ()
) -> Readings:
    """Return what each reading says.

    Args:
        limits: The patient's own.
    """
    levels = _levels(detector, pattern, limits)
    breach, clear, held = _sides(pattern.direction, counted.series.points, levels)
    return Readings(
        counted.series,
        counted.times,
        counted.resting,
        counted.left_out,
        limits=held,
        breach=breach,
        clear=clear,
    )


def _sorted_out(
    series: Series, metric: Metric, gap: int
) -> tuple[list[Point], list[tuple[Point, NotJudged]]]:
    """Return the readings to detect on, and those of which it is told why not.

    A mean counts as a reading if it is of a time that one reading may speak for.
    """
    counted, left_out = [], []
    grouped = [
        None if each.grouping_s is None else us(timedelta(seconds=each.grouping_s))
        for each in series.voices
    ]
    for each in series.points:
        length = each.end_us - each.start_us
        # Operators of flags, and the hash of a member, take longer than all else here.
        if each.flags == 0 and length <= gap and _is_reading(each, metric):
            counted.append(each)
            continue
        if each.flags & Flag.DAY_TOTAL or not _is_reading(each, metric):
            continue
        told = grouped[each.voice] if each.flags & Flag.GROUPED else length
        if each.flags & Flag.MANUAL:
            left_out.append((each, NotJudged.BY_HAND))
        elif told is None or max(told, length) > gap:
            left_out.append((each, NotJudged.GROUPED))
        else:
            counted.append(each)
    return counted, left_out


def _is_reading(point: Point, metric: Metric) -> bool:
    """Check that it is not how far something went, which does not say when."""
    stat = point.stat
    if stat is Stat.INSTANT or stat is Stat.MEAN or stat is Stat.MEDIAN:
        return True
    return stat is Stat.TOTAL and metric.cumulative


def _levels(
    detector: Detector, pattern: SustainedBreach, limits: Limits
) -> list[tuple[int, float, float]]:
    """Return from when on which limit holds, and where it is clear.

    The first holds from ever.
    """
    levels = [(0, pattern.limit, pattern.clear)]
    for from_us, limit in limits:
        own = detector.with_limit(limit).pattern
        if isinstance(own, SustainedBreach):
            levels.append((from_us, own.limit, own.clear))
    return levels


def _sides(
    direction: Direction,
    points: Sequence[Point],
    levels: Sequence[tuple[int, float, float]],
) -> tuple[list[bool], list[bool], list[float]]:
    """Return of each reading whether it is in breach, whether clear, and the limit."""
    breaches = BREACHES[direction]
    is_clear: Compare = lt if direction.is_high else gt
    _, limit, safe = levels[0]
    held = [limit] * len(points)
    safely = [safe] * len(points)
    if len(levels) > 1:
        begins = [from_us for from_us, _, _ in levels[1:]]
        at = [levels[bisect_right(begins, each.start_us)] for each in points]
        held, safely = [each[1] for each in at], [each[2] for each in at]
    values = [each.value for each in points]
    breach, clear = list(map(breaches, values, held)), list(
        map(is_clear, values, safely)
    )
    for number, each in enumerate(points):
        if each.flags != 0 and each.flags & BOUNDS:
            breach[number], clear[number] = _bounded(
                direction, each, held[number], safely[number]
            )
    return breach, clear, held


def _bounded(
    direction: Direction, point: Point, limit: float, safe: float
) -> tuple[bool, bool]:
    """Return what is certain of a value that is a bound: in breach, and clear."""
    if point.flags & Flag.BELOW:
        low = point.value <= limit, False
        return (False, point.value <= safe) if direction.is_high else low
    high = point.value >= limit, False
    return high if direction.is_high else (False, point.value >= safe)
