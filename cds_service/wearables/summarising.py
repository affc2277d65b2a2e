"""What the days and nights of a wearer were, made of the readings that are kept. Pure.

A day is made of its own readings alone: it is the same in whatever order they came, and
what is told of another day changes nothing. Of each minute one voice counts.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import fsum
from operator import attrgetter
from typing import NamedTuple

from .days import MICROSECOND, Calendar, Span, clipped, each_day, length, moment, united
from .metrics import Catalogue, Metric
from .samples import Context, Flag, Stat
from .series import (
    MINUTE,
    QUARTER,
    Point,
    Series,
    Voice,
    chosen,
    each_once,
    voices_in_order,
)
from .summaries import DaySummary
from .summing import named, summed, whole_days

NO_READING = Flag.MANUAL | Flag.DAY_TOTAL
EXTREMES = (Stat.MIN, Stat.MAX)
NEARBY = 24 * QUARTER
"""What lies further apart does not take each other's turn."""


def metrics_read(metric: Metric, catalogue: Catalogue) -> tuple[str, ...]:
    """Return of which metrics the readings are needed for the days of one."""
    if metric.derived is not None:
        return metrics_read(catalogue.metrics[metric.derived.source], catalogue)
    asleep = _asleep(catalogue) if metric.speaks_for and catalogue.night else ()
    return tuple(dict.fromkeys((metric.name, *metric.includes, *asleep)))


def metrics_summarised(catalogue: Catalogue, changed: Iterable[str]) -> tuple[str, ...]:
    """Return the metrics whose days may be others, since readings have changed.

    Those that are derived from another are summarised with that one.
    """
    names = set(changed)
    return tuple(
        each.name
        for each in catalogue.metrics.values()
        if each.derived is None and names.intersection(metrics_read(each, catalogue))
    )


def summarise(
    metric: Metric,
    catalogue: Catalogue,
    told: Mapping[str, Series],
    calendar: Calendar,
    first: date,
    last: date,
) -> tuple[DaySummary, ...]:
    """Return all summaries of a metric from the first day to the last.

    Those that are derived from it are among them. A day or a night of which nothing is
    told has none.

    Args:
        told: What was measured, by ``metrics_read``: of each all that is needed, as
            ``first_read`` says, until the end of the last day.
    """
    series = voices_in_order(
        told.get(metric.name, Series(metric.name)), metric.priority
    )
    days = tuple(each_day(first, last))
    rows = list(whole_days(metric, series, calendar, days))
    if metric.cumulative:
        parts = [told[each] for each in metric.includes if each in told]
        rows += summed(metric, series, parts, calendar, days)
    else:
        asleep = [told[each] for each in _asleep(catalogue) if each in told]
        rows += _of_readings(metric, series, _slept(asleep), calendar, days)
    rows.sort(key=attrgetter("day", "part", "source"))
    return *rows, *_derived(metric, catalogue, rows)


def first_read(metric: Metric, calendar: Calendar, first: date) -> int:
    """Return from when on all is needed for a metric's days from the first on.

    Of what began before, what reaches beyond that instant is needed as well.
    """
    begin = calendar.day(first)[0]
    nights = metric.sleep or (metric.speaks_for is not None and not metric.cumulative)
    if nights and calendar.night is not None:
        begin = min(begin, calendar.sleep_before(first)[0])
    return begin - begin % QUARTER


def reaches(point: Point) -> bool:
    """Check whether one that reaches over ``first_read`` has a say in others' turns.

    Then all is needed that is ``NEARBY``. Between readings of one moment each turn ends
    with a quarter of an hour.
    """
    return _is_reading(point)


def _asleep(catalogue: Catalogue) -> tuple[str, ...]:
    return tuple(each.name for each in catalogue.metrics.values() if each.sleep)


def _derived(
    metric: Metric, catalogue: Catalogue, rows: Iterable[DaySummary]
) -> Iterator[DaySummary]:
    """What follows from days of a metric."""
    follow = [
        (each, each.derived)
        for each in catalogue.metrics.values()
        if each.derived is not None and each.derived.source == metric.name
    ]
    for row in rows:
        for other, derived in follow:
            value = row.statistic(derived.statistic)
            if value is not None:
                yield replace(
                    row,
                    metric=other.name,
                    min=None,
                    max=None,
                    mean=derived.of(value),
                    median=None,
                    total=None,
                    worn=None,
                    bands={},
                )


def _slept(asleep: Iterable[Series]) -> list[Span]:
    """When somebody slept, as intervals tell that are asleep from begin to end."""
    return united(
        (each.start_us, each.end_us)
        for series in asleep
        for each in series.points
        if not each.flags & NO_READING
        and each.end_us - each.start_us < (each.value + 1) * MINUTE
    )


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A day or a night of which something is told."""

    day: date
    part: str
    spans: Sequence[Span]
    points: Sequence[Point]
    """By their start."""


def _of_readings(
    metric: Metric,
    series: Series,
    slept: Sequence[Span],
    calendar: Calendar,
    days: Iterable[date],
) -> Iterator[DaySummary]:
    usable = [each for each in series.points if _is_reading(each)]
    points = chosen(replace(series, points=each_once(usable)))
    nights = metric.speaks_for is not None and calendar.night is not None
    for day in days:
        within = calendar.day(day)
        found = [_Stretch(day, "day", [within], _between(points, within))]
        if nights:
            found.append(_night(metric, points, slept, calendar, day))
        for stretch in found:
            if stretch.points:
                yield _summary(metric, series.voices, calendar.zone_name, stretch)


def _is_reading(point: Point) -> bool:
    """Check that a point tells something of a known time that is no sum."""
    if point.stat is Stat.TOTAL:
        return False
    # Operators of flags take longer than all else here.
    if point.flags == 0:
        return True
    if point.flags & NO_READING:
        return False
    return point.stat in EXTREMES or not point.flags & Flag.GROUPED


def _between(points: Sequence[Point], span: Span) -> Sequence[Point]:
    begin, end = (bisect_left(points, each, key=_START) for each in span)
    return points[begin:end]


_START = attrgetter("start_us")


def _night(
    metric: Metric,
    points: Sequence[Point],
    slept: Sequence[Span],
    calendar: Calendar,
    day: date,
) -> _Stretch:
    """The night before a day: as far as it is told when the wearer slept, only that."""
    within = calendar.sleep_before(day)
    spans = list(clipped(slept, within))
    told = [each for span in spans for each in _between(points, span)]
    if not spans:
        asleep = Context.ASLEEP
        told = [each for each in _between(points, within) if each.context is asleep]
        if told:
            end = min(told[-1].start_us + _speaks(metric), within[1])
            spans = [(told[0].start_us, end)]
    if not spans:
        spans = [calendar.night_before(day)]
        told = list(_between(points, spans[0]))
    return _Stretch(day, "night", spans, told)


def _speaks(metric: Metric) -> int:
    """For how many microseconds a reading speaks."""
    return (metric.speaks_for or timedelta()) // MICROSECOND


class _Spoken(NamedTuple):
    """One reading, and for how long it speaks. They sort by what was measured."""

    value: float
    side: int
    """It was less, as much or more: below zero, zero, above."""
    us: int
    start_us: int
    voice: int
    band: str | None


def _spoken(metric: Metric, stretch: _Stretch) -> list[_Spoken]:
    """For how long each reading speaks: until the next, or the end of its span."""
    points = [each for each in stretch.points if each.stat not in EXTREMES]
    speaks, spans, place = _speaks(metric), stretch.spans, 0
    lows = [each.low for each in metric.bands]
    nexts = [*(each.start_us for each in points[1:]), spans[-1][1]]
    spoken = []
    for point, following in zip(points, nexts):
        start = point.start_us
        while spans[place][1] <= start:
            place += 1
        until = start + speaks if speaks else start + 1
        if speaks and until > following:
            until = following
        if speaks and until > spans[place][1]:
            until = spans[place][1]
        side = _side(point.flags) if point.flags != 0 else 0
        band = _band(metric, lows, point.value, side) if lows else None
        told = (point.value, side, until - start, start, point.voice, band)
        spoken.append(_Spoken._make(told))
    return spoken


def _side(flags: Flag) -> int:
    return bool(flags & Flag.ABOVE) - bool(flags & Flag.BELOW)


def _band(metric: Metric, lows: Sequence[float], value: float, side: int) -> str | None:
    """The band of a reading; None where it may be of several, as a bound may."""
    lowest, highest = metric.bands[0], metric.bands[-1]
    if side < 0:
        return lowest.name if value <= lowest.high else None
    if side > 0:
        return highest.name if value >= highest.low else None
    return metric.bands[bisect_right(lows, value) - 1].name


def _summary(
    metric: Metric, voices: Sequence[Voice], zone: str, stretch: _Stretch
) -> DaySummary:
    spoken = _spoken(metric, stretch)
    in_band: Counter[str | None] = Counter()
    by_voice = Counter({each.voice: 0 for each in stretch.points})
    for each in spoken:
        in_band[each.band] += each.us
        by_voice[each.voice] += each.us
    in_doubt = in_band[None] if metric.bands else 0
    order = sorted(by_voice, key=lambda voice: (-by_voice[voice], voice))
    sources, devices = named(voices[each] for each in order)
    speaks = metric.speaks_for is not None
    return DaySummary(
        metric.name,
        stretch.day,
        zone,
        length(stretch.spans) / MINUTE,
        stretch.part,
        n=len(stretch.points),
        min=_value(min, stretch.points, Stat.MAX),
        max=_value(max, stretch.points, Stat.MIN),
        mean=_mean(spoken),
        median=_median(spoken),
        covered=(in_band.total() - in_doubt) / MINUTE if speaks else None,
        worn=_worn(metric, spoken, stretch.spans),
        bands={each.name: in_band[each.name] / MINUTE for each in metric.bands},
        first=moment(stretch.points[0].start_us),
        last=moment(stretch.points[-1].start_us),
        sources=sources,
        devices=devices,
    )


def _value(
    which: Callable[..., float | None], points: Iterable[Point], other: Stat
) -> float | None:
    """The least or the greatest value; *other* is what is known to be another one."""
    return which(
        (each.value for each in points if each.stat is not other), default=None
    )


def _mean(spoken: Iterable[_Spoken]) -> float | None:
    numbers = [each for each in spoken if not each.side]
    weight = sum(each.us for each in numbers)
    if not weight:
        return None
    return fsum(each.value * each.us for each in numbers) / weight


def _median(spoken: Iterable[_Spoken]) -> float | None:
    """The value below and above which lies half of the time; none if it is a bound."""
    rising = sorted(each for each in spoken if each.us)
    half = sum(each.us for each in rising) / 2
    below = 0
    middle: list[_Spoken] = []
    for each in rising:
        before, below = below, below + each.us
        if before <= half <= below:
            middle.append(each)
    # Where half of the time ends with one value, the middle lies between it and the
    # next.
    if not middle or any(each.side for each in middle):
        return None
    return (middle[0].value + middle[-1].value) / 2


def _worn(
    metric: Metric, spoken: Iterable[_Spoken], spans: Sequence[Span]
) -> float | None:
    """For how many minutes readings show that a device was worn."""
    if metric.proves_wear is None:
        return None
    proved = metric.proves_wear // MICROSECOND
    shown = united((each.start_us, each.start_us + proved) for each in spoken)
    return sum(length(clipped(shown, span)) for span in spans) / MINUTE
