"""Sums of a day: steps, energy, time asleep, of which each minute has one teller. Pure.

An interval that reaches over midnight is split by the time that lies on either side.
What several tell of the same time counts once: of the source that goes first, and of
its devices of the one that tells more of that day; the others fill its gaps. What a
source tells of a whole day stands apart, of sums and of other metrics, and is never
added to anything.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from math import fsum
from operator import attrgetter
from typing import NamedTuple

from .days import Calendar, Span, beside, clipped, length, moment, united
from .metrics import Metric
from .samples import BOUNDS, Flag, Stat
from .series import MINUTE, Point, Series, Voice, each_once
from .summaries import DaySummary

NO_SUM = Flag.MANUAL | Flag.DAY_TOTAL | Flag.GROUPED | BOUNDS
"""What is flagged so is no sum of a known time that a device has counted."""
NO_TOTAL = Flag.MANUAL | BOUNDS
LONGEST = 2 * 24 * 60 * MINUTE
"""So long before a day nothing begins that reaches into it."""


def summed(
    metric: Metric,
    series: Series,
    parts: Iterable[Series],
    calendar: Calendar,
    days: Iterable[date],
) -> Iterator[DaySummary]:
    """Yield what the readings of a cumulative metric make of each day.

    Time asleep is of the night that ends on the day.

    Args:
        parts: Of metrics that are parts of it, which count where it is not told whole.
    """
    told = _intervals(series, parts)
    asleep = metric.sleep and calendar.night is not None
    for day in days:
        within = calendar.sleep_before(day) if asleep else calendar.day(day)
        counted = _count(told, within, metric.priority, once=metric.sleep)
        if counted:
            counted.sort(key=attrgetter("amount"), reverse=True)
            sources, devices = named(each.voice for each in counted)
            yield DaySummary(
                metric.name,
                day,
                calendar.zone_name,
                length([within]) / MINUTE,
                "night" if asleep else "day",
                n=sum(each.intervals for each in counted),
                total=fsum(each.amount for each in counted),
                first=moment(min(each.span[0] for each in counted)),
                last=moment(max(each.span[1] for each in counted)),
                sources=sources,
                devices=devices,
            )


def whole_days(
    metric: Metric, series: Series, calendar: Calendar, days: Iterable[date]
) -> Iterator[DaySummary]:
    """Yield what sources tell of whole days, each source apart.

    Of several devices of one source, what the one tells that tells most.
    """
    asleep = metric.sleep and calendar.night is not None
    day_of = calendar.night_at if asleep else calendar.day_at
    told: defaultdict[tuple[date, str], dict[Voice, set[Point]]]
    told = defaultdict(lambda: defaultdict(set))
    for point in series.points:
        flags = point.flags
        if flags and flags & Flag.DAY_TOTAL and not flags & NO_TOTAL:
            voice = series.voices[point.voice]
            day = day_of((point.start_us + point.end_us) // 2)
            told[day, voice.source][voice].add(point)
    wanted = set(days)
    for (day, _), by_voice in told.items():
        if day in wanted:
            rows = [
                _told_of(metric, day, voice, points, calendar)
                for voice, points in by_voice.items()
            ]
            yield max(rows, key=lambda each: (each.total or 0.0, each.n, each.devices))


def named(voices: Iterable[Voice]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the sources and the devices of voices by name, each once."""
    known = list(voices)
    devices = (each.device.name or each.device.id for each in known)
    return (
        tuple(dict.fromkeys(each.source for each in known)),
        tuple(dict.fromkeys(filter(None, devices))),
    )


def _told_of(
    metric: Metric, day: date, voice: Voice, points: Iterable[Point], calendar: Calendar
) -> DaySummary:
    """What one device's readings of a whole day say; the longest of each kind."""
    by_stat = {
        each.stat: each for each in sorted(points, key=lambda each: _longest(each))
    }
    asleep = metric.sleep and calendar.night is not None
    within = calendar.sleep_before(day) if asleep else calendar.day(day)

    def value(*stats: Stat) -> float | None:
        found = (by_stat[stat].value for stat in stats if stat in by_stat)
        return None if metric.cumulative else next(found, None)

    sources, devices = named([voice])
    return DaySummary(
        metric.name,
        day,
        calendar.zone_name,
        length([within]) / MINUTE,
        "night" if asleep else "day",
        voice.source,
        n=len(by_stat),
        min=value(Stat.MIN),
        max=value(Stat.MAX),
        mean=value(Stat.MEAN, Stat.INSTANT),
        median=value(Stat.MEDIAN),
        total=by_stat[Stat.TOTAL].value if Stat.TOTAL in by_stat else None,
        first=moment(min(each.start_us for each in by_stat.values())),
        last=moment(max(each.end_us for each in by_stat.values())),
        sources=sources,
        devices=devices,
    )


def _longest(point: Point) -> tuple[int, int, float]:
    return point.end_us - point.start_us, point.start_us, point.value


class _Teller(NamedTuple):
    """A voice, and whether it tells a metric whole or by its parts."""

    voice: Voice
    by_parts: bool = False


class _Counted(NamedTuple):
    """What counts of one teller in a stretch of time."""

    voice: Voice
    intervals: int
    amount: float
    span: Span


_Told = Mapping[_Teller, Sequence[Point]]


def _intervals(whole: Series, parts: Iterable[Series]) -> _Told:
    """The intervals of sums by who told them, each once."""
    told: dict[_Teller, list[Point]] = {}
    for by_parts, series in ((False, whole), *((True, each) for each in parts)):
        by_voice: dict[int, list[Point]] = {}
        for point in series.points:
            # Operators of flags take longer than all else here.
            if point.flags == 0 or not point.flags & NO_SUM:
                by_voice.setdefault(point.voice, []).append(point)
        for number, points in by_voice.items():
            teller = _Teller(series.voices[number], by_parts)
            told[teller] = [*told.get(teller, ()), *points]
    return {teller: each_once(points) for teller, points in told.items()}


def _count(
    told: _Told, within: Span, priority: Sequence[str], *, once: bool = False
) -> list[_Counted]:
    """What counts in a stretch of time, of those first that go first.

    Args:
        priority: Sources, best first. One that is not named comes after those that are.
        once: What one tells fills all of the time from its first interval to its last:
            to lie awake in between is no gap.
    """
    parts = {teller: list(_cut(points, within)) for teller, points in told.items()}
    places = {source: place for place, source in enumerate(priority)}

    def turn(teller: _Teller) -> tuple[object, ...]:
        voice, device = teller.voice, teller.voice.device
        place = places.get(voice.source, len(places)), voice.source
        named = (device.name, device.id, device.app, voice.link, teller.by_parts)
        return *place, -fsum(each.amount for each in parts[teller]), *named

    counted: list[_Counted] = []
    filled: list[Span] = []
    for teller in sorted((each for each in parts if parts[each]), key=turn):
        found = list(_beside(parts[teller], filled))
        if found:
            begin = min(span[0] for span, _ in found)
            whole = begin, max(span[1] for span, _ in found)
            amount = fsum(each for _, each in found)
            counted.append(_Counted(teller.voice, len(found), amount, whole))
            taken = [whole] if once else [span for span, _ in found]
            filled = united([*filled, *taken])
    return counted


class _Part(NamedTuple):
    """The part of an interval that lies in a stretch of time."""

    span: Span
    amount: float


def _cut(points: Sequence[Point], within: Span) -> Iterator[_Part]:
    """What lies in a stretch of time, of intervals by their start."""
    begin = bisect_left(points, within[0] - LONGEST, key=_START)
    for point in points[begin : bisect_left(points, within[1], key=_START)]:
        start = point.start_us
        # A count of one moment is of that moment: half of it cannot lie elsewhere.
        end = max(point.end_us, start + 1)
        if within[0] <= start and end <= within[1]:
            yield _Part((start, end), point.value)
            continue
        for part in clipped([(start, end)], within):
            share = length([part]) / (end - start)
            yield _Part(part, point.value * share)


def _beside(parts: Iterable[_Part], filled: Sequence[Span]) -> Iterator[_Part]:
    """What parts tell of time of which nobody has told."""
    if not filled:
        yield from parts
        return
    for part in parts:
        free = length(beside(part.span, filled))
        if free:
            yield _Part(part.span, part.amount * (free / length([part.span])))


_START = attrgetter("start_us")
