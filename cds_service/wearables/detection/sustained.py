"""Beyond a limit for so long: when an episode opens, goes on, and is over. Pure.

Whether one opens is told by the window up to a reading. It goes on while a reading is
not clear, and is over by recovery, or because nothing came that could be judged.

Source: wearables.md section 3.2, steps 7 and 8.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from statistics import median
from typing import NamedTuple

from ..clock import find_zone
from ..days import moment
from ..series import Point
from .detectors import Detector, SustainedBreach
from .episodes import Closing, Episode
from .evidence import Span
from .judging import Readings
from .rest import Resting
from .windows import Terms, Windows


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a detector makes of readings."""

    readings: Readings
    windows: Windows
    terms: Terms
    spells: Sequence["Spell"]
    episodes: Sequence[Episode]
    """One for each."""


class Spell(NamedTuple):
    """When an episode was, in microseconds since 1970."""

    number: int
    """Of the reading with which it opened."""
    start: int
    opened: int
    last: int
    """The last reading of it, or that of its recovery that showed it."""
    end: int | None
    closing: Closing


def find_sustained(
    detector: Detector,
    pattern: SustainedBreach,
    readings: Readings,
    span: Span,
    now_us: int,
) -> Judgement:
    """Return the episodes that open in a time, before which none was open.

    Readings before it speak for the beginning of the first.
    """
    terms = Terms.of(pattern)
    at_rest = [each is Resting.AT_REST for each in readings.resting]
    windows = Windows(readings, terms, at_rest)
    spells = list(find_spells(readings, windows, terms, span, now_us))
    episodes = [build_episode(detector, readings, windows, each) for each in spells]
    return Judgement(readings, windows, terms, spells, episodes)


def find_spells(
    readings: Readings, windows: Windows, terms: Terms, span: Span, now_us: int
) -> Iterator[Spell]:
    """Yield the episodes that open in a time, before which none was open.

    None begins before the one before it was over.
    """
    over, going = span[0] - terms.hold, 0
    for number in windows.candidates():
        opened = readings.times[number]
        if number < going or opened - terms.hold < over or opened > span[1]:
            continue
        if not windows.is_opening(number):
            continue
        spell, going = _follow(readings, windows, terms, number, now_us)
        yield spell
        over = spell.last if spell.end is None else spell.end


def _follow(
    readings: Readings, windows: Windows, terms: Terms, number: int, now_us: int
) -> tuple[Spell, int]:
    """Return the episode that opens with a reading, and the first reading after it.

    It is over when all has been clear for ``recovery``, with no gap between readings;
    where they lie too far apart for that, when all has been clear for ``silence``.
    """
    times, clear, counted = readings.times, readings.clear, windows.counted
    opened = times[number]
    start, last = opened - terms.hold, opened
    safe = covered = last if clear[number] else None
    for later in range(number + 1, len(times)):
        if not counted[later]:
            continue
        at = times[later]
        if at - last >= terms.silence:
            spell = Spell(number, start, opened, last, last, Closing.NO_DATA)
            return spell, later
        if not clear[later]:
            safe = covered = None
        elif safe is None or covered is None:
            safe = covered = at
        else:
            covered = at if at - last > terms.gap else covered
            if at - covered >= terms.recovery or at - safe >= terms.silence:
                spell = Spell(number, start, opened, at, safe, Closing.RECOVERED)
                return spell, later + 1
        last = at
    if now_us - last >= terms.silence:
        spell = Spell(number, start, opened, last, last, Closing.NO_DATA)
    else:
        spell = Spell(number, start, opened, last, None, Closing.LASTS)
    return spell, len(times)


def build_episode(
    detector: Detector, readings: Readings, windows: Windows, spell: Spell
) -> Episode:
    """Return what the readings of an episode make of it, those of its recovery not."""
    until = spell.last if spell.end is None else spell.end
    points = _points(readings, windows, spell, until)
    values = [each.value for each in points]
    tellers = Counter(each.voice for each in points)
    most = min(tellers, key=lambda each: (-tellers[each], each))
    voice = readings.series.voices[most]
    start, local = _on_clock(spell.start, points, voice.time_zone)
    pattern = detector.pattern
    assert isinstance(pattern, SustainedBreach)
    return Episode(
        detector=detector.name,
        version=detector.version,
        alert_type=detector.alert_type,
        start=start,
        opened=moment(spell.opened),
        last=moment(spell.last),
        end=None if spell.end is None else moment(spell.end),
        closing=spell.closing,
        peak=max(values) if pattern.direction.is_high else min(values),
        median=median(values),
        threshold=readings.limits[spell.number],
        n=len(points),
        coverage=windows.share_covered(spell.start, until),
        source=voice.source,
        device=voice.device.name,
        local=local,
    )


def _points(
    readings: Readings, windows: Windows, spell: Spell, until: int
) -> Sequence[Point]:
    """Return the readings of an episode; of one so short, those that speak for it."""
    first = bisect_left(readings.times, spell.start)
    recovered = spell.closing is Closing.RECOVERED
    after = bisect_left(readings.times, until if recovered else until + 1)
    points, counted = readings.series.points, windows.counted
    found = [points[each] for each in range(first, after) if counted[each]]
    return found or [points[each] for each in range(first - 1, spell.number)]


def _on_clock(
    start_us: int, points: Sequence[Point], zone_name: str
) -> tuple[datetime, bool]:
    """Return an instant as the wearer's clock showed it, and whether that is known."""
    start = moment(start_us)
    for each in points:
        if each.offset_s is not None:
            zone = timezone(timedelta(seconds=each.offset_s))
            return start.astimezone(zone), True
    named = find_zone(zone_name)
    return (start, False) if named is None else (start.astimezone(named), True)
