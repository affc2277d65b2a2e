"""Gains: first readings of days that rise on one device, as of weight. Pure.

A scale does not know who stands on it. Of the readings of some days the middle one is
the wearer's, and from there on, in both directions, what lies further from the one
before than anybody gains or loses in that time is somebody else's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import NamedTuple

from ..days import Calendar, each_day, moment
from ..samples import BOUNDS, Flag, Stat, microseconds
from ..series import Point, Series, Voice
from .daily import DECIMALS, DaysFound
from .detectors import Detector, Gain
from .episodes import Closing, DayTally, Episode, NotJudged

DAY = timedelta(days=1)
NO_READING = Flag.MANUAL | Flag.DAY_TOTAL | Flag.GROUPED | BOUNDS


def detect_gains(
    detector: Detector,
    pattern: Gain,
    series: Series,
    calendar: Calendar,
    first: date,
    last: date,
    now: datetime,
) -> DaysFound:
    """Return what a pattern finds from the first day to the last.

    Args:
        pattern: The detector's.
        series: Of its metric, from ``lookback`` days before the first day on.
        first: On it nothing lasts, and nothing that opened before was over for less
            than ``lookback`` days.
        now: Of what is silent until then nothing is known any more.
    """
    last = min(last, calendar.day_at(microseconds(now)))
    episodes: list[Episode] = []
    tallies: list[DayTally] = []
    for _, weighings in sorted(_by_device(series, calendar).items()):
        search = _Scale(detector, pattern, weighings)
        found = search.over(each_day(first, last))
        episodes += found.episodes
        tallies += found.tallies
    return DaysFound(list(_apart(episodes)), _by_source(tallies))


class _Reading(NamedTuple):
    at_us: int
    value: float
    day: date
    """Of the wearer's zone."""


@dataclass(slots=True)
class _Weighings:
    """The readings of one device."""

    voice: Voice
    by_day: dict[date, list[_Reading]]
    """Each day's by their time."""


def _by_device(
    series: Series, calendar: Calendar
) -> Mapping[tuple[str, str], _Weighings]:
    found: dict[tuple[str, str], _Weighings] = {}
    for point in sorted({each for each in series.points if _is_reading(each)}):
        voice = series.voices[point.voice]
        key = voice.source, voice.device.id or voice.device.name
        weighings = found.setdefault(key, _Weighings(voice, {}))
        day = calendar.day_at(point.start_us)
        reading = _Reading(point.start_us, point.value, day)
        weighings.by_day.setdefault(day, []).append(reading)
    return found


def _is_reading(point: Point) -> bool:
    return not point.flags & NO_READING and point.stat in (Stat.INSTANT, Stat.MEAN)


def _apart(episodes: Sequence[Episode]) -> Iterator[Episode]:
    """Yield those that meet none which opened before, of whichever device."""
    until: datetime | None = None
    for each in sorted(episodes, key=lambda one: (one.opened, one.device, one.source)):
        if until is None or each.start >= until:
            yield each
            until = datetime.max.replace(tzinfo=each.opened.tzinfo)
            if each.end is not None:
                until = each.end


def _by_source(tallies: Sequence[DayTally]) -> list[DayTally]:
    """Return what became of each source's days, of all of its devices."""
    found: dict[tuple[date, str], DayTally] = {}
    for each in tallies:
        key = each.day, each.source
        other = found.get(key)
        if other is not None:
            reasons = dict(other.not_judged)
            for why, count in each.not_judged.items():
                reasons[why] = reasons.get(why, 0) + count
            judged, opened = each.judged + other.judged, each.opened + other.opened
            each = DayTally(
                each.detector, each.day, each.source, judged, reasons, opened
            )
        found[key] = each
    return [found[key] for key in sorted(found)]


class _Rise(NamedTuple):
    """What a day's first reading says."""

    reading: _Reading | None
    """None where all are somebody else's."""
    others: int
    """So many are."""
    known: bool = False
    """There is one to compare it with."""
    since: tuple[_Reading, ...] = ()
    """The readings from which on it has risen by enough; none if it has not."""
    threshold: float = 0.0


@dataclass(slots=True)
class _Lasting:
    """A gain under way."""

    opened: _Reading
    threshold: float
    held: list[_Reading]
    """First readings of days, up to the last that has risen."""
    heard: date

    def goes_on(self, day: date, rise: _Rise, patience: int) -> Closing:
        """Note what is said of the next day; return why it is over, if it is."""
        if rise.reading and rise.since:
            self.held.append(rise.reading)
            self.heard = day
        elif rise.reading and rise.known:
            return Closing.RECOVERED
        silent = (day - self.heard).days >= patience
        return Closing.NO_DATA if silent else Closing.LASTS


@dataclass(frozen=True, slots=True)
class _Scale:
    """One detector on one device."""

    detector: Detector
    pattern: Gain
    weighings: _Weighings

    @property
    def span(self) -> int:
        """Over how many days it looks back."""
        return max(days for days, _ in self.pattern.over)

    def over(self, days: Iterator[date]) -> DaysFound:
        """Return what is found in days, one after the other."""
        episodes: list[Episode] = []
        tallies: list[DayTally] = []
        lasting: _Lasting | None = None
        over_us = 0
        for day in days:
            weighed = day in self.weighings.by_day
            rise = self._rise(day) if weighed else _Rise(None, 0)
            opening = None if lasting else self._opening(rise, day, over_us)
            if lasting is not None:
                closing = lasting.goes_on(day, rise, self.span)
                if closing is not Closing.LASTS:
                    episodes.append(self._episode(lasting, closing, rise.reading))
                    over_us = microseconds(episodes[-1].last)
                    lasting = None
            lasting = opening or lasting
            if weighed:
                tallies.append(self._tally(day, rise, opening is not None))
        if lasting is not None:
            episodes.append(self._episode(lasting, Closing.LASTS, None))
        return DaysFound(episodes, tallies)

    def _opening(self, rise: _Rise, day: date, over_us: int) -> _Lasting | None:
        """Return what begins with a day, not before the last was over."""
        if rise.reading is None or not rise.since or not self.detector.in_force(day):
            return None
        since = [each for each in rise.since if each.at_us >= over_us]
        return _Lasting(rise.reading, rise.threshold, since, day)

    def _rise(self, day: date) -> _Rise:
        """Return what the first reading of a day says that is the wearer's."""
        accepted = self._accepted(day)
        others = len(self.weighings.by_day[day]) - sum(
            each.day == day for each in accepted
        )
        own: dict[date, _Reading] = {}
        for each in accepted:
            own.setdefault(each.day, each)
        reading = own.get(day)
        if reading is None:
            return _Rise(None, others)
        bases = [
            (next((own[each] for each in self._before(day, days) if each in own), None))
            for days, _ in self.pattern.over
        ]
        for base, (_, by) in zip(bases, self.pattern.over):
            if base and round(reading.value - base.value, DECIMALS) >= by:
                since = [each for each in own.values() if each.day >= base.day]
                return _Rise(reading, others, True, tuple(since), base.value + by)
        return _Rise(reading, others, any(bases))

    def _before(self, day: date, days: int) -> Iterator[date]:
        return each_day(day - days * DAY, day - DAY)

    def _accepted(self, day: date) -> list[_Reading]:
        """Return the wearer's own readings of a day and of those that it looks at."""
        by_day = self.weighings.by_day
        window = each_day(day - self.span * DAY, day)
        readings = [each for when in window for each in by_day.get(when, ())]
        rising = sorted(range(len(readings)), key=lambda each: readings[each].value)
        middle = rising[(len(rising) - 1) // 2]
        own = readings[middle]
        after = self._plausible(own, readings[middle + 1 :])
        before = self._plausible(own, readings[:middle][::-1])
        return sorted([own, *after, *before])

    def _plausible(
        self, last: _Reading, others: Sequence[_Reading]
    ) -> Iterator[_Reading]:
        for each in others:
            days = max(abs((each.day - last.day).days), 1)
            change = round(abs(each.value - last.value), DECIMALS)
            if change <= self.pattern.implausible * days:
                yield each
                last = each

    def _tally(self, day: date, rise: _Rise, opens: bool) -> DayTally:
        reasons = {}
        if rise.others:
            reasons[NotJudged.SOMEBODY_ELSE] = rise.others
        if rise.reading and not rise.known:
            reasons[NotJudged.TOO_FEW_DAYS] = 1
        judged, source = int(rise.known), self.weighings.voice.source
        return DayTally(self.detector.name, day, source, judged, reasons, int(opens))

    def _episode(
        self, lasting: _Lasting, closing: Closing, over: _Reading | None
    ) -> Episode:
        held, detector, voice = lasting.held, self.detector, self.weighings.voice
        values = [each.value for each in held]
        recovered = over if closing is Closing.RECOVERED else None
        last = moment((recovered or held[-1]).at_us)
        days = (held[-1].day - held[0].day).days + 1
        return Episode(
            detector=detector.name,
            version=detector.version,
            alert_type=detector.alert_type,
            start=moment(held[0].at_us),
            opened=moment(lasting.opened.at_us),
            last=last,
            end=None if closing is Closing.LASTS else last,
            closing=closing,
            peak=max(values),
            median=median(values),
            threshold=lasting.threshold,
            n=len(values),
            coverage=len(values) / days,
            source=voice.source,
            device=voice.device.name or voice.device.id,
        )
