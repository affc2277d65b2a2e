"""Searching days: a detector's episodes in what days were, or daily readings. Pure.

As with readings, from a day on which nothing goes on to one from which on all is as it
is stored. A day is judged when it is over: one that was not yet when its readings came
is judged with what comes next.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from ..days import MICROSECOND, NEXT
from ..samples import microseconds
from ..summaries import DaySummary
from .daily import DaysFound, detect_days, lookback
from .detectors import (
    BaselineShift,
    DaysBeyond,
    Decline,
    Detector,
    Gain,
    Pattern,
    SustainedBreach,
)
from .episodes import Episode, StoredEpisode
from .evidence import Days, Span
from .gains import detect_gains
from .searching import SeriesOnce

LONG_AGO = 31
"""Days: what is told of no day since then is judged when somebody looks."""
DAY_US = NEXT // MICROSECOND
Daily = DaysBeyond | BaselineShift | Decline | Gain


def silence_of(pattern: Pattern) -> timedelta:
    """Return after how much of nothing an episode is over at the latest."""
    if isinstance(pattern, SustainedBreach):
        return pattern.silence
    return (lookback(pattern) + 2) * NEXT


class DaysSearched(NamedTuple):
    """What one search in days has come to."""

    found: DaysFound
    days: Days
    stored: list[StoredEpisode]
    """Those in whose place that is."""


@dataclass(frozen=True, slots=True)
class DaySearch:
    """One detector, and what the days of one patient were."""

    detector: Detector
    pattern: Daily
    reader: SeriesOnce
    summaries: Sequence[DaySummary]
    """Those that are new."""
    summarised: Mapping[str, Days]
    """Of which metric and days they tell all."""
    now: datetime

    def affected(self, dirty: Mapping[str, Span]) -> Days | None:
        """Return the days that may be told otherwise; None for none."""
        days: list[date] = []
        if isinstance(self.pattern, Gain):
            span = dirty.get(self.detector.metric, ())
            days = [self.reader.calendar.day_at(each) for each in span]
        else:
            for metric in self._metrics():
                days += self.summarised.get(metric, ())
        return (min(days), max(days)) if days else None

    def search(self, days: Days) -> DaysSearched:
        """Return what there is from the first of the days on that are told otherwise.

        To one on which nothing goes on, neither as it was nor as it is; at most to
        today.
        """
        calendar, back = self.reader.calendar, lookback(self.pattern)
        today = calendar.day_at(microseconds(self.now))
        first = self._quiet_before(self._day_before(days[0]))
        last, further = days[1] + back * NEXT, 1
        while True:
            found = self._judge(first, last)
            stored = self._stored(first, last)
            if last >= today or not any(
                self._reaches(each, last)
                for each in (*found.episodes, *(one.episode for one in stored))
            ):
                return DaysSearched(found, (first, last), stored)
            last, further = last + further * NEXT, further * 2

    def _day_before(self, first: date) -> date:
        """Return the last day before one of which anything is told; else that one."""
        if isinstance(self.pattern, Gain):
            return first
        evidence, metric = self.reader.evidence, self.detector.metric
        before = evidence.summaries(
            metric, self._part, first - LONG_AGO * NEXT, first - NEXT
        )
        return max((each.day for each in before), default=first)

    def _quiet_before(self, first: date) -> date:
        """Return the last day up to one before which nothing went on as it is stored.

        The day on which an episode opened is one: it is found again.
        """
        begin = self.reader.calendar.day(first)[0]
        near = self.reader.evidence.episodes(
            self.detector.name, begin - self._memory * DAY_US, begin
        )
        going = [
            day
            for each in near
            if (day := self._opened(each.episode)) < first
            and self._reaches(each.episode, first)
        ]
        return self._quiet_before(min(going)) if going else first

    def _stored(self, first: date, last: date) -> list[StoredEpisode]:
        """Return the stored episodes that opened with one of these days.

        What was over before the detector took effect was found by what it was then,
        and stays.
        """
        calendar, effective = self.reader.calendar, self.detector.effective
        begin, end = calendar.day(first)[0], calendar.day(last + NEXT)[1]
        force = calendar.day(effective)[0] if effective else begin
        return [
            each
            for each in self.reader.evidence.episodes(self.detector.name, begin, end)
            if first <= self._opened(each.episode) <= last
            and each.episode.meets(force, end)
        ]

    def _opened(self, episode: Episode) -> date:
        """Return the day with which an episode opened: often it ended just then."""
        opened = microseconds(episode.opened)
        over = 0 if isinstance(self.pattern, Gain) else 1
        return self.reader.calendar.day_at(opened - over)

    def _reaches(self, episode: Episode, day: date) -> bool:
        """Check whether an episode has a say in what opens from a day on."""
        if episode.end is None:
            return True
        last = self.reader.calendar.day_at(microseconds(episode.last))
        return last + self._memory * NEXT >= day

    @property
    def _memory(self) -> int:
        """For so many days one that is over has a say, and is perhaps not over."""
        return silence_of(self.pattern) // NEXT

    def _judge(self, first: date, last: date) -> DaysFound:
        detector, calendar = self.detector, self.reader.calendar
        begin = first - lookback(self.pattern) * NEXT
        if isinstance(self.pattern, Gain):
            span = calendar.day(begin)[0], calendar.day(last)[1]
            series = self.reader.series(detector.metric, *span)
            return detect_gains(
                detector, self.pattern, series, calendar, first, last, self.now
            )
        return detect_days(
            detector,
            self.pattern,
            list(self._told(begin, last)),
            calendar,
            first,
            last,
            self.now,
            limits=self.reader.evidence.limits(detector.name),
            priority=self.reader.catalogue.metrics[detector.metric].priority,
        )

    def _told(self, first: date, last: date) -> Iterator[DaySummary]:
        """Yield the summaries of days, those that are new instead of stored ones."""
        for metric in self._metrics():
            anew = self.summarised.get(metric)
            stored = self.reader.evidence.summaries(metric, self._part, first, last)
            for each in stored:
                if anew is None or not anew[0] <= each.day <= anew[1]:
                    yield each
            for each in self.summaries:
                told = each.metric == metric and each.part == self._part
                if told and first <= each.day <= last:
                    yield each

    def _metrics(self) -> Iterable[str]:
        """Return whose days are looked at: a decline asks whether it was worn."""
        known = self.reader.catalogue.metrics.values()
        wears = (each.name for each in known if each.proves_wear is not None)
        others = wears if isinstance(self.pattern, Decline) else ()
        return dict.fromkeys((self.detector.metric, *others))

    @property
    def _part(self) -> str:
        if isinstance(self.pattern, DaysBeyond | BaselineShift):
            return self.pattern.part
        return "day"
