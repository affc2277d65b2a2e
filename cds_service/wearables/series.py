"""Series: the readings of one metric of one patient, as detectors and summaries see it.

Pure. There are many: instants are whole microseconds since 1970-01-01T00:00:00Z, and
who told a reading stands beside it once for all.

A watch and a phone tell of the same minute, and both are kept. What reads them takes
one: the source that stands first in the metric's priority, minute by minute, so that a
gap of the watch is filled by the phone and no step is counted twice.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from operator import itemgetter, lt
from typing import NamedTuple

from .samples import (
    NO_DEVICE,
    Context,
    Device,
    Flag,
    Sample,
    Stat,
    microseconds,
)

MINUTE = 60_000_000
"""In microseconds."""
QUARTER = 15 * MINUTE
"""Of an hour, in UTC: every zone's midnight is the beginning of one."""


class Point(NamedTuple):
    """One reading that is kept."""

    start_us: int
    end_us: int
    """The start where it is of one instant."""
    value: float
    voice: int
    """Place among the voices of the series."""
    stat: Stat = Stat.INSTANT
    context: Context = Context.UNKNOWN
    flags: Flag = Flag(0)
    offset_s: int | None = None
    """Of the wearer's clock from UTC; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One device of one source, by one link."""

    source: str
    link: int = 0
    """0 where the source names patients."""
    device: Device = NO_DEVICE
    time_zone: str = ""
    """An IANA name: the link's; empty where it tells none."""
    grouping_s: int | None = None
    """Over how long the source takes a mean, as the link says it."""


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of one metric by their start, and who told them.

    Voices stand as ``voices_in_order`` puts them wherever readings are chosen.
    """

    metric: str
    voices: Sequence[Voice] = ()
    points: Sequence[Point] = ()


def series_of(samples: Iterable[Sample], source: str) -> dict[str, Series]:
    """Return samples of one wearer that a source tells, by metric.

    Of one that is told again the highest revision holds, of equals the last.
    """
    held: dict[tuple[str, int, bytes], Sample] = {}
    for each in samples:
        key = each.metric, microseconds(each.start), each.key
        if key not in held or held[key].revision <= each.revision:
            held[key] = each
    voices: dict[str, dict[Device, int]] = {}
    points: dict[str, list[Point]] = {}
    for (metric, start_us, _), each in held.items():
        known = voices.setdefault(metric, {})
        point = Point(
            start_us,
            microseconds(each.end),
            each.value,
            known.setdefault(each.device, len(known)),
            each.stat,
            each.context,
            each.flags,
            _offset_s(each),
        )
        points.setdefault(metric, []).append(point)
    return {
        metric: Series(
            metric,
            [Voice(source, device=device) for device in voices[metric]],
            sorted(told, key=_ALL_OF_IT),
        )
        for metric, told in points.items()
    }


def _offset_s(sample: Sample) -> int | None:
    offset = sample.start.utcoffset() if sample.local else None
    return None if offset is None else offset // timedelta(seconds=1)


def joined(series: Series, others: Series) -> Series:
    """Return the readings of two series of one metric; the others come later."""
    if not series.points:
        return others
    voices = list(dict.fromkeys([*others.voices, *series.voices]))
    places = {voice: place for place, voice in enumerate(voices)}
    points = [
        each._replace(voice=places[series.voices[each.voice]]) for each in series.points
    ]
    return Series(series.metric, voices, [*points, *others.points])


def voices_in_order(series: Series, priority: Sequence[str]) -> Series:
    """Return the series with its voices in the order in which they go first.

    Args:
        priority: Sources, best first. One that is not named comes after those that are.
    """
    places = {source: place for place, source in enumerate(priority)}

    def rank(number: int) -> tuple[int, str, str, str, str, int]:
        voice = series.voices[number]
        place, device = places.get(voice.source, len(places)), voice.device
        named = (device.name, device.id, device.app)
        return place, voice.source, *named, voice.link

    order = sorted(range(len(series.voices)), key=rank)
    if order == list(range(len(order))):
        return series
    now_at = {before: now for now, before in enumerate(order)}
    points = [
        Point._make((*each[:3], now_at[each.voice], *each[4:]))
        for each in series.points
    ]
    return Series(series.metric, [series.voices[each] for each in order], points)


def chosen(series: Series) -> Sequence[Point]:
    """Return the readings that count, by their start; voices stand in their order.

    Of each minute those of one voice: of the source that goes first; of its devices
    the one that tells of more minutes of that quarter of an hour, then by its name. An
    interval counts where none of its minutes is told by one that goes before.

    Totals of a day are chosen among themselves: they say nothing about its minutes.
    What counts depends on what is told nearby, and not on how much was read.
    """
    points = _in_order(series.points)
    if len({each.voice for each in points}) < 2:
        return points
    sources = _places(series.voices)
    rounds = _rounds(points, sources)

    def turn(each: Point) -> tuple[int, int, int]:
        return (
            sources[each.voice],
            rounds.get((each.start_us // QUARTER, each.voice), 0),
            each.voice,
        )

    counted: list[Point] = []
    told: Mapping[bool, dict[int, int]] = {True: {}, False: {}}
    for each in sorted(points, key=turn):
        teller = told[each.flags != 0 and bool(each.flags & Flag.DAY_TOTAL)]
        minutes = _minutes(each)
        if all(teller.get(minute, each.voice) == each.voice for minute in minutes):
            teller.update(dict.fromkeys(minutes, each.voice))
            counted.append(each)
    return _in_order(counted)


def _in_order(points: Sequence[Point]) -> Sequence[Point]:
    """Return points by their start, then by their voice, then by what else they say.

    Most stand so already, and to see that is cheaper than to sort them.
    """
    starts = [each.start_us for each in points]
    if all(map(lt, starts, islice(starts, 1, None))):
        return points
    return sorted(points, key=_ALL_OF_IT)


def each_once(points: Sequence[Point]) -> Sequence[Point]:
    """Return points in their order, each once; mostly they stand so already."""
    starts = [each.start_us for each in points]
    if all(map(lt, starts, islice(starts, 1, None))):
        return points
    return sorted(set(points))


_ALL_OF_IT = itemgetter(0, 3, 1, 2, 4, 5, 6)


def _minutes(point: Point) -> range:
    last = max(point.start_us, point.end_us - 1)
    return range(point.start_us // MINUTE, last // MINUTE + 1)


def _places(voices: Sequence[Voice]) -> Sequence[int]:
    """Return which source each voice is of, by its place."""
    sources = list(dict.fromkeys(each.source for each in voices))
    return [sources.index(each.source) for each in voices]


def _rounds(
    points: Sequence[Point], sources: Sequence[int]
) -> Mapping[tuple[int, int], int]:
    """Return whose turn it is among one source's voices, by quarter and voice."""
    if len(set(sources)) == len(sources):
        return {}
    told: defaultdict[tuple[int, int], dict[int, set[int]]]
    told = defaultdict(lambda: defaultdict(set))
    for each in points:
        if each.flags == 0 or not each.flags & Flag.DAY_TOTAL:
            for minute in _minutes(each):
                quarter = minute * MINUTE // QUARTER
                told[quarter, sources[each.voice]][each.voice].add(minute)
    return {
        (quarter, voice): turn
        for (quarter, _), minutes in told.items()
        for turn, voice in enumerate(
            sorted(minutes, key=lambda each: (-len(minutes[each]), each))
        )
    }
