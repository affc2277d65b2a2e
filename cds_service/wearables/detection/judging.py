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
from .detectors import Detector, Direction, SustainedBreach
from .episodes import NotJudged
from .rest import Resting, rest_of, us

Limits = Sequence[tuple[int, float]]
"""From when on each of a patient's own limits holds, rising."""
NO_READINGS = (Stat.MIN, Stat.MAX)
"""They say how far something went, and not when."""

Compare = Callable[[float, float], bool]
BREACHES: dict[Direction, Compare] = {
    Direction.ABOVE: gt,
    Direction.AT_LEAST: ge,
    Direction.BELOW: lt,
    Direction.AT_MOST: le,
}


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings that count, in order; the lists are as long as the points."""

    series: Series
    """Its points are these."""
    times: list[int]
    limits: Sequence[float]
    """Of the patient's own or the detector's, as it was at each."""
    breach: list[bool]
    clear: list[bool]
    """On the safe side of where it is clear."""
    resting: Sequence[Resting]
    left_out: Sequence[tuple[Point, NotJudged]] = ()
    """Readings that are nothing to detect on, and why."""


def judge_readings(
    detector: Detector,
    pattern: SustainedBreach,
    metric: Metric,
    series: Series,
    steps: Series | None = None,
    limits: Limits = (),
) -> Readings:
    """Return the readings that count, with what each says.

    Args:
        series: With its voices in their order.
        steps: Of the metric that proves rest.
        limits: The patient's own.
    """
    counted, left_out = _sorted_out(series, metric, us(pattern.gap))
    points = chosen(Series(series.metric, series.voices, counted))
    levels = _levels(detector, pattern, limits)
    breach, clear, held = _sides(pattern.direction, points, levels)
    intervals = steps.points if steps else ()
    return Readings(
        series=Series(series.metric, series.voices, points),
        times=[each.start_us for each in points],
        limits=held,
        breach=breach,
        clear=clear,
        resting=rest_of(points, pattern.rest, intervals, metric.at_rest),
        left_out=left_out,
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
        flags, length = each.flags, each.end_us - each.start_us
        if flags & Flag.DAY_TOTAL or _is_none(each.stat, metric.cumulative):
            continue
        if flags & Flag.GROUPED:
            length = max(
                length, gap + 1 if (told := grouped[each.voice]) is None else told
            )
        if flags & Flag.MANUAL:
            left_out.append((each, NotJudged.BY_HAND))
        elif length > gap:
            left_out.append((each, NotJudged.GROUPED))
        else:
            counted.append(each)
    return counted, left_out


def _is_none(stat: Stat, cumulative: bool) -> bool:
    return stat in NO_READINGS or (stat is Stat.TOTAL and not cumulative)


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
    begins = [from_us for from_us, _, _ in levels[1:]]
    breach, clear, held = [], [], []
    for each in points:
        _, limit, safe = levels[bisect_right(begins, each.start_us)]
        held.append(limit)
        if each.flags & BOUNDS:
            bounded, safely = _bounded(direction, each, limit, safe)
            breach.append(bounded)
            clear.append(safely)
        else:
            breach.append(breaches(each.value, limit))
            clear.append(is_clear(each.value, safe))
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
