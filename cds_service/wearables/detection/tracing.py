"""Tracing: reading by reading, why an episode opened, went on, was over, or not. Pure.

For people: it says in a detector's own terms what was there, and what was lacking.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from ..days import Calendar, moment
from ..metrics import Catalogue
from .detectors import Detector, SustainedBreach
from .episodes import Closing, NotJudged
from .evidence import Span, WearableEvidence
from .rest import Resting
from .searching import Search, SeriesOnce
from .sustained import Judgement
from .tallies import not_judged
from .windows import Terms, TimeBefore


class Event(StrEnum):
    """What becomes of an episode with a reading."""

    NONE = ""
    OPENS = "opens"
    GOES_ON = "goes-on"
    RECOVERED = "recovered"
    NO_DATA = "no-data"
    """It is the last one before nothing came."""


class Lacking(StrEnum):
    """What the time before a reading lacks to be an episode."""

    READINGS = "readings"
    COVERAGE = "coverage"
    START = "start"
    """Nothing speaks for its beginning."""
    SHARE = "share"
    """Too little of it is in breach."""


GOING = (Event.OPENS, Event.GOES_ON, Event.NO_DATA)


@dataclass(frozen=True, slots=True)
class TracedReading:
    """One reading, as a detector sees it."""

    at: datetime
    """UTC."""
    value: float
    source: str
    device: str
    limit: float | None = None
    """The patient's own or the detector's; None where it is nothing to detect on."""
    in_breach: bool = False
    resting: Resting = Resting.UNKNOWN
    covered: float | None = None
    """Share of the time before it that readings speak for, 0 to 1; None where it does
    not count."""
    breached: float | None = None
    """Share of that which is in breach."""
    n: int | None = None
    """Readings in that time."""
    late_seconds: float | None = None
    """At its beginning, for which no reading speaks."""
    lacks: tuple[Lacking, ...] = ()
    event: Event = Event.NONE
    not_judged: NotJudged | None = None


def trace(
    detector: Detector,
    catalogue: Catalogue,
    evidence: WearableEvidence,
    span: Span,
    now: datetime,
) -> Iterator[TracedReading]:
    """Yield what a detector makes of each reading of a time, by their start.

    Of a detector that looks at days there is nothing.
    """
    pattern = detector.pattern
    if not isinstance(pattern, SustainedBreach):
        return
    calendar = Calendar(evidence.zone, evidence.zone_name, catalogue.night)
    reader = SeriesOnce(evidence, catalogue, calendar)
    search = Search(detector, pattern, Terms.of(pattern), reader, now)
    judgement = search.search(span).judgement
    found = [*_counted(judgement), *_left_out(judgement)]
    for at_us, traced in sorted(found, key=lambda each: each[0]):
        if span[0] <= at_us <= span[1]:
            yield traced


def _left_out(judgement: Judgement) -> Iterator[tuple[int, TracedReading]]:
    readings = judgement.readings
    for point, why in readings.left_out:
        voice = readings.series.voices[point.voice]
        told = voice.source, voice.device.name
        at = moment(point.start_us)
        yield point.start_us, TracedReading(at, point.value, *told, not_judged=why)


def _counted(judgement: Judgement) -> Iterator[tuple[int, TracedReading]]:
    readings, windows = judgement.readings, judgement.windows
    events, reasons = _events(judgement), not_judged(judgement)
    for number, point in enumerate(readings.series.points):
        voice = readings.series.voices[point.voice]
        traced = TracedReading(
            at=moment(point.start_us),
            value=point.value,
            source=voice.source,
            device=voice.device.name,
            limit=readings.limits[number],
            in_breach=readings.breach[number],
            resting=readings.resting[number],
            event=events.get(number, Event.NONE),
            not_judged=reasons.get(number),
        )
        if windows.counted[number]:
            traced = _told(traced, judgement.terms, windows.at(number))
        yield point.start_us, traced


def _told(traced: TracedReading, terms: Terms, before: TimeBefore) -> TracedReading:
    """Return the reading with what is told of the time before it."""
    covered = before.covered
    return replace(
        traced,
        covered=covered / terms.hold,
        breached=before.breached / covered if covered else 0.0,
        n=before.n,
        late_seconds=max(0, before.late) / 1_000_000,
        lacks=() if traced.event in GOING else tuple(_lacks(terms, before)),
    )


def _lacks(terms: Terms, before: TimeBefore) -> Iterator[Lacking]:
    if before.n < terms.readings:
        yield Lacking.READINGS
    if before.covered / terms.hold < terms.coverage:
        yield Lacking.COVERAGE
    if before.late > terms.edge:
        yield Lacking.START
    if not terms.beyond(before):
        yield Lacking.SHARE


def _events(judgement: Judgement) -> Mapping[int, Event]:
    """Return what becomes of episodes, by the number of the reading."""
    readings, events = judgement.readings, dict[int, Event]()
    for spell in judgement.spells:
        last = bisect_right(readings.times, spell.last) - 1
        for number in range(spell.number, last + 1):
            if judgement.windows.counted[number]:
                events[number] = Event.GOES_ON
        if spell.closing is not Closing.LASTS:
            events[last] = Event(str(spell.closing))
        events[spell.number] = Event.OPENS
    return events
