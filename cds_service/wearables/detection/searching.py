"""Searching: one detector's episodes in a time, from one quiet moment to another. Pure.

Before the first nothing was going on, so that nothing of what was before has a say.
After the other all is as it is stored, and need not be looked at.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from ..days import NEXT, Calendar
from ..metrics import Catalogue
from ..samples import microseconds
from ..series import QUARTER, Point, Series, joined, voices_in_order
from ..summarising import NEARBY, reaches
from ..summing import LONGEST
from .detectors import Detector, Rest, SustainedBreach
from .episodes import Closing, Episode, StoredEpisode
from .evidence import Days, Span, WearableEvidence
from .judging import Counted, count_readings, judge_readings
from .rest import us
from .sustained import Judgement, find_sustained
from .windows import Terms

HOUR = 4 * QUARTER
ROW = 4
"""So many readings of intervals may give way to one another in a row."""


@dataclass(frozen=True, slots=True)
class SeriesOnce:
    """What is kept, read once, and counted once for all that ask the same of it."""

    evidence: WearableEvidence
    catalogue: Catalogue
    calendar: Calendar
    _read: dict[str, tuple[int, int, Series]] = field(default_factory=dict)
    _counted: dict[tuple[object, ...], Counted] = field(default_factory=dict)

    def series(self, metric: str, from_us: int, to_us: int) -> Series:
        """Return what starts from one instant to before another, voices in order."""
        first, last, series = self._read.get(metric, (to_us, from_us, Series(metric)))
        if from_us < first or last < to_us:
            whole = from_us, to_us
            if from_us <= last and first <= to_us:
                whole = min(first, from_us), max(last, to_us)
            priority = self.catalogue.metrics[metric].priority
            series = voices_in_order(self.evidence.series(metric, *whole), priority)
            self._read[metric] = *whole, series
        begin, end = (
            bisect_left(series.points, each, key=_START) for each in (from_us, to_us)
        )
        return Series(metric, series.voices, series.points[begin:end])

    def from_on(self, metric: str, begin: int, to_us: int) -> Series:
        """Return what starts until then from an instant on, or reaches beyond that."""
        known = self.catalogue.metrics[metric]
        before = self.evidence.reaching(metric, begin - LONGEST, begin)
        if not known.cumulative and any(map(reaches, before.points)):
            near = begin - NEARBY
            before = self.evidence.reaching(metric, begin - LONGEST, near)
            begin = near
        found = joined(before, self.series(metric, begin, to_us))
        return voices_in_order(found, known.priority)

    def counted(
        self, metric: str, from_us: int, to_us: int, gap: int, rest: Rest | None
    ) -> Counted:
        """Return the readings of a time that count, and at which the wearer rests."""
        key = metric, from_us, to_us, gap, rest
        if key not in self._counted:
            steps: Sequence[Point] = ()
            if rest is not None:
                before = from_us - us(rest.lookback) - us(rest.longest)
                steps = self.series(rest.metric, before, to_us).points
            series = self.series(metric, from_us, to_us)
            known = self.catalogue.metrics[metric]
            self._counted[key] = count_readings(known, series, gap, rest, steps)
        return self._counted[key]


_START = itemgetter(0)


def affected(
    detector: Detector, pattern: SustainedBreach, dirty: Mapping[str, Span]
) -> Span | None:
    """Return for which time a detector may say something else; None for none.

    A device's turn is for a quarter of an hour, a reading is in the windows that follow
    it, and a step is looked at for a while after it.
    """
    terms, spans = Terms.of(pattern), []
    if detector.metric in dirty:
        from_us, to_us = dirty[detector.metric]
        spans.append((from_us - from_us % QUARTER, to_us + QUARTER))
    if pattern.rest is not None and pattern.rest.metric in dirty:
        from_us, to_us = dirty[pattern.rest.metric]
        spans.append((from_us, to_us + us(pattern.rest.lookback)))
    if not spans:
        return None
    around = terms.hold + ROW * terms.gap
    return (
        min(from_us for from_us, _ in spans) - around,
        max(to_us for _, to_us in spans) + around,
    )


class ReadingsSearched(NamedTuple):
    """What one search has come to."""

    judgement: Judgement
    days: Days
    stored: list[StoredEpisode]
    """Those that it looked at anew."""
    found: list[Episode]
    """What is in their place."""


def _opened(episode: Episode) -> int:
    return microseconds(episode.opened)


@dataclass(frozen=True, slots=True)
class Search:
    """One detector, and the data of one patient."""

    detector: Detector
    pattern: SustainedBreach
    terms: Terms
    reader: SeriesOnce
    now: datetime

    def search(self, span: Span) -> ReadingsSearched:
        """Return what there is from the first day of a time on.

        To a moment after it at which nothing goes on, neither as it was nor as it is.
        """
        calendar = self.reader.calendar
        first, last = (calendar.day_at(each) for each in span)
        begin = self._quiet_before(calendar.day(first)[0])
        further = 1
        while True:
            end = calendar.day(last)[1]
            judgement = self._judge(begin, end)
            stored = self._stored(begin, end)
            pairs = zip(judgement.spells, judgement.episodes, strict=True)
            found = [each for spell, each in pairs if spell.opened < end]
            known = (*found, *(one.episode for one in stored))
            quiet = self._quiet_after(span[1], known)
            if quiet <= end:
                return ReadingsSearched(
                    judgement,
                    (first, last),
                    [each for each in stored if _opened(each.episode) < quiet],
                    [each for each in found if _opened(each) < quiet],
                )
            last, further = last + further * NEXT, further * 2

    def _quiet_before(self, at: int) -> int:
        """Return when at the latest nothing went on as it is stored.

        The opening of an episode is such a moment: it is found again.
        """
        while True:
            near = self._met(at - self.terms.horizon, at)
            going = [
                _opened(each.episode)
                for each in near
                if _opened(each.episode) < at and self._reaches(each.episode, at)
            ]
            if not going:
                return at
            at = min(going)

    def _quiet_after(self, at: int, episodes: Iterable[Episode]) -> int:
        """Return the first moment after another at which none of them goes on."""
        quiet = at + 1
        for each in sorted(episodes, key=_opened):
            if _opened(each) >= quiet:
                break
            if self._reaches(each, quiet):
                quiet = self._reach(each) + 1
        return quiet

    def _stored(self, from_us: int, to_us: int) -> list[StoredEpisode]:
        """Return the stored episodes that open from one instant to before another.

        What was over before the detector took effect was found by what it was then,
        and stays.
        """
        force, _ = self._force(from_us, to_us)
        return [
            each
            for each in self._met(from_us - self.terms.hold, to_us)
            if from_us <= _opened(each.episode) < to_us
            and each.episode.meets(force, to_us)
        ]

    def _met(self, from_us: int, to_us: int) -> Sequence[StoredEpisode]:
        return self.reader.evidence.episodes(self.detector.name, from_us, to_us)

    def _reaches(self, episode: Episode, at: int) -> bool:
        """Check whether an episode has a say in what opens from an instant on."""
        return self._reach(episode) >= at

    def _reach(self, episode: Episode) -> int:
        """Return up to when an episode has a say in what opens."""
        over = episode.closing is Closing.RECOVERED
        horizon = self.terms.hold if over else self.terms.horizon
        return microseconds(episode.last) + horizon

    def _judge(self, begin: int, end: int) -> Judgement:
        """Return what is found from an instant on; of readings a while longer."""
        detector, terms, reader = self.detector, self.terms, self.reader
        to_us = end + terms.hold
        # Whole hours, so that detectors which look back differently share a count.
        first = (begin - terms.hold - ROW * terms.gap) // HOUR * HOUR
        last = -(-to_us // HOUR) * HOUR
        counted = reader.counted(
            detector.metric, first, last, terms.gap, self.pattern.rest
        )
        limits = reader.evidence.limits(detector.name)
        readings = judge_readings(detector, self.pattern, counted, limits)
        force = self._force(begin, to_us)
        return find_sustained(
            detector, self.pattern, readings, force, microseconds(self.now)
        )

    def _force(self, from_us: int, to_us: int) -> Span:
        """Return the part of a time in which what opens is detected."""
        detector, calendar = self.detector, self.reader.calendar
        if detector.effective is not None:
            from_us = max(from_us, calendar.day(detector.effective)[0])
        if detector.expires is not None:
            to_us = min(to_us, calendar.day(detector.expires)[0] - 1)
        return from_us, to_us
