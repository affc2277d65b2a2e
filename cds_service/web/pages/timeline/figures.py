"""What is kept of a patient as what a plot draws. Pure.

A reading is drawn if summaries and detectors count it, so that what is seen is what was
judged; how many others there are is told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ....store.detection.timeline import Timeline
from ....wearables.days import MICROSECOND, NEXT
from ....wearables.detection.detectors import (
    DaysBeyond,
    Detector,
    Direction,
    SustainedBreach,
)
from ....wearables.metrics import Metric
from ....wearables.records import WearableAlert
from ....wearables.samples import Flag, Stat, microseconds
from ....wearables.series import Series, chosen, each_once, voices_in_order
from ....wearables.summaries import DaySummary, turn
from ..plots.axes import Timespan
from ..plots.drawing import Curve, Pillar, Shade, Threshold

SIGNS: Mapping[Direction, str] = {
    Direction.ABOVE: ">",
    Direction.AT_LEAST: "≥",
    Direction.BELOW: "<",
    Direction.AT_MOST: "≤",
}
VALUES = frozenset({"min", "max", "mean", "median", "total"})
"""Values of days that are in the metric's unit."""
_DAY_US = NEXT // MICROSECOND
_NOT_DRAWN = Flag.MANUAL | Flag.DAY_TOTAL | Flag.GROUPED
_DRAWN = (Stat.INSTANT, Stat.MEAN, Stat.MEDIAN)


@dataclass(frozen=True, slots=True)
class Shown:
    """The readings of one metric that are drawn."""

    times: list[int]
    values: list[float]
    left_out: int
    """Readings that are kept and not drawn."""


def shown_readings(metric: Metric, series: Series) -> Shown:
    """Return the readings that count, minute by minute those of one voice."""
    ordered = voices_in_order(series, metric.priority)
    usable = [
        each
        for each in ordered.points
        # Operators of flags take longer than all else here.
        if (each.flags == 0 or not each.flags & _NOT_DRAWN) and each.stat in _DRAWN
    ]
    points = chosen(replace(ordered, points=each_once(usable)))
    return Shown(
        [each.start_us for each in points],
        [each.value for each in points],
        len(ordered.points) - len(usable),
    )


def curve_of(metric: Metric, shown: Shown, *, beside: bool = False) -> Curve:
    """Return readings as a line where each of them speaks for a time, else as dots."""
    speaks = metric.speaks_for // MICROSECOND if metric.speaks_for else None
    return Curve(metric.title, shown.times, shown.values, speaks, is_ring=beside)


def best_days(metric: Metric, days: Iterable[DaySummary]) -> list[DaySummary]:
    """Return of each day of a metric what is to be read, in their order."""
    best: dict[object, DaySummary] = {}
    for each in sorted(days, key=lambda day: turn(day, metric.priority)):
        if each.metric == metric.name:
            best.setdefault(each.day, each)
    return sorted(best.values(), key=lambda day: day.day)


def pillars_of(
    metric: Metric, days: Iterable[DaySummary], timespan: Timespan
) -> Iterator[Pillar]:
    """Yield a pillar for each day: its sum, or from its lowest to its highest."""
    for each in days:
        low, high = (0.0, each.total) if metric.cumulative else (each.min, each.max)
        if low is not None and high is not None:
            begin, end = timespan.midnight(each.day), timespan.midnight(each.day + NEXT)
            yield Pillar(begin, end, low, high)


def means_of(
    metric: Metric, days: Iterable[DaySummary], timespan: Timespan, *, beside: bool
) -> Curve:
    """Return the means of days in their middle, joined where no day is missing."""
    known = [(each.day, each.mean) for each in days if each.mean is not None]
    middles = [
        (timespan.midnight(day) + timespan.midnight(day + NEXT)) // 2
        for day, _ in known
    ]
    joined = None if beside or not metric.speaks_for else _DAY_US * 3 // 2
    values = [mean for _, mean in known]
    return Curve(metric.title, middles, values, joined, is_ring=beside)


def thresholds_of(
    detectors: Iterable[Detector], timeline: Timeline, timespan: Timespan
) -> Iterator[Threshold]:
    """Yield the limits of detectors, each for the time in which it held."""
    for detector in detectors:
        pattern = detector.pattern
        if isinstance(pattern, DaysBeyond) and pattern.statistic not in VALUES:
            continue
        if not isinstance(pattern, SustainedBreach | DaysBeyond):
            continue
        own = timeline.limits.get(detector.name, ())
        levels = [(timespan.start_us, pattern.limit)]
        for from_us, limit in own:
            held = detector.with_limit(limit).pattern
            assert isinstance(held, SustainedBreach | DaysBeyond)
            if from_us <= timespan.start_us:
                levels = [(timespan.start_us, held.limit)]
            elif from_us < timespan.end_us:
                levels.append((from_us, held.limit))
        ends = [*(each for each, _ in levels[1:]), timespan.end_us]
        for (begin, limit), end in zip(levels, ends):
            sign = SIGNS[pattern.direction]
            yield Threshold(begin, end, limit, sign, detector.title)


def episodes_of(
    alerts: Sequence[WearableAlert], now: datetime, first: int = 1
) -> list[Shade]:
    """Return a shade for each alert, with its number in their order.

    Args:
        first: The number of the first.
    """
    return [
        Shade(microseconds(e.start), microseconds(e.until(now)), str(number))
        for number, e in enumerate(alerts, first)
    ]


def off_wrist(
    metric: Metric, times: Sequence[int], timespan: Timespan, now: datetime
) -> list[Shade]:
    """Return when nothing proves that the device was worn; of the past alone."""
    if metric.proves_wear is None or not times:
        return []
    proved = metric.proves_wear // MICROSECOND
    end = min(timespan.end_us, microseconds(now))
    # What was measured just before the time is not known, and may speak for its begin.
    begins = [each + proved for each in (timespan.start_us, *times)]
    return [
        Shade(begin, until)
        for begin, until in zip(begins, [*times, end])
        if begin < until
    ]


def gaps(times: Sequence[int], speaks_us: int, end_us: int) -> tuple[int, int, int]:
    """Return how many gaps there are, the longest, and how much is spoken for.

    All in microseconds; a gap is what no reading speaks for between two of them.
    """
    apart = [b - a for a, b in zip(times, times[1:])]
    wide = [each - speaks_us for each in apart if each > speaks_us]
    last = min(speaks_us, end_us - times[-1]) if times else 0
    covered = sum(min(each, speaks_us) for each in apart) + max(last, 0)
    return len(wide), max(wide, default=0), covered
