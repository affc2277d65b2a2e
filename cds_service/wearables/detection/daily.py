"""Patterns of days: a limit on days, a shift from one's own baseline, a decline. Pure.

They read what the days were, each of which counts only if enough was measured of it.
A window is of civil days, so that what was long ago does not stand next to today where
nothing was measured in between. An episode opens with the end of the day with which the
pattern holds.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import fmean, median
from typing import NamedTuple

from ..days import Calendar, Span, each_day, moment
from ..samples import microseconds
from ..summaries import DaySummary, turn
from .detectors import (
    BaselineShift,
    DaysBeyond,
    Decline,
    Detector,
    Gain,
    Pattern,
    SustainedBreach,
)
from .episodes import Closing, DayTally, Episode, NotJudged

MAD_TO_DEVIATION = 1.4826
"""Of a normal distribution. Source: Rousseeuw and Croux, JASA 1993;88:1273."""
DECIMALS = 9
"""What differs by less differs by how it was reckoned."""
DAY = timedelta(days=1)
NIGHT = "night"
Daily = DaysBeyond | BaselineShift | Decline


class DaysFound(NamedTuple):
    """What there is in the days that were looked at."""

    episodes: Sequence[Episode]
    tallies: Sequence[DayTally]


def lookback(pattern: Pattern) -> int:
    """Return how many days before one have a say in what holds on it."""
    match pattern:
        case DaysBeyond():
            return pattern.of - 1
        case BaselineShift():
            return pattern.days - 1 + pattern.left_out + pattern.baseline
        case Decline():
            return pattern.recent + pattern.before - 1
        case Gain():
            return max(days for days, _ in pattern.over)
        case SustainedBreach():
            return 0


def detect_days(
    detector: Detector,
    pattern: Daily,
    summaries: Sequence[DaySummary],
    calendar: Calendar,
    first: date,
    last: date,
    now: datetime,
    *,
    limits: Sequence[tuple[int, float]] = (),
    priority: Sequence[str] = (),
) -> DaysFound:
    """Return what a pattern finds from the first day to the last.

    Args:
        pattern: The detector's.
        summaries: Of its metric, and of those that prove wear: from ``lookback`` days
            before the first day on.
        first: On it nothing lasts, and nothing that opened before was over for less
            than ``lookback`` days.
        now: A day that is not over by then is not judged.
        limits: The patient's own, and from which microsecond on each holds, rising.
        priority: Sources, best first, where several tell of one whole day.
    """
    part = "day" if isinstance(pattern, Decline) else pattern.part
    told = _valid_days(detector, pattern, part, summaries, priority)
    days = _Days(told, part, calendar)
    over = microseconds(now)
    judged = [day for day in each_day(first, last) if days.span(day)[1] <= over]
    is_high = not isinstance(pattern, Decline) and pattern.direction.is_high
    judge = _judge(detector, pattern, days, limits)
    search = _Search(detector, days, judge, is_high)
    return search.over(judged, _patience(pattern))


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of one day."""

    row: DaySummary
    value: float | None
    """None where it does not count."""
    why: NotJudged | None = None
    """It does not."""

    @property
    def source(self) -> str:
        return self.row.source or next(iter(self.row.sources), "")


def _valid_days(
    detector: Detector,
    pattern: Daily,
    part: str,
    summaries: Sequence[DaySummary],
    priority: Sequence[str],
) -> dict[date, _Told]:
    by_day: dict[date, list[DaySummary]] = {}
    worn: dict[date, float] = {}
    for row in summaries:
        if row.metric == detector.metric and row.part == part:
            by_day.setdefault(row.day, []).append(row)
        if row.worn is not None and row.part == "day":
            worn[row.day] = max(row.worn, worn.get(row.day, 0.0))
    told = {}
    for day, rows in by_day.items():
        rows.sort(key=lambda row: turn(row, priority))
        found = [_told(pattern, row, worn.get(day)) for row in rows]
        told[day] = next((each for each in found if each.value is not None), found[0])
    return told


def _told(pattern: Daily, row: DaySummary, worn: float | None) -> _Told:
    value, why = row.statistic(pattern.statistic), None
    if isinstance(pattern, Decline):
        if worn is None:
            why = NotJudged.WEAR_UNKNOWN
        elif worn < pattern.worn / timedelta(minutes=1):
            why = NotJudged.LOW_COVERAGE
    elif row.coverage is not None and row.coverage < pattern.coverage:
        why = NotJudged.LOW_COVERAGE
    if value is None:
        why = why or NotJudged.LOW_COVERAGE
    return _Told(row, None if why else value, why)


@dataclass(frozen=True, slots=True)
class _Days:
    """What is told of days, or of their nights."""

    told: Mapping[date, _Told]
    part: str
    calendar: Calendar

    def span(self, day: date) -> Span:
        """Return when the day, or the night before it, begins and ends."""
        calendar = self.calendar
        return calendar.night_before(day) if self.part == NIGHT else calendar.day(day)

    def over(self, day: date) -> datetime:
        """Return when a day is over; a night not before the last of its readings."""
        end = moment(self.span(day)[1])
        told = self.told.get(day)
        return max(end, told.row.last) if told and told.row.last else end

    def value(self, day: date) -> float | None:
        """Return the value of a day; None where none counts."""
        told = self.told.get(day)
        return told.value if told else None

    def values(self, first: date, days: int) -> list[float]:
        """Return the values of so many days from one on, as far as they count."""
        window = each_day(first, first + (days - 1) * DAY)
        return [value for each in window if (value := self.value(each)) is not None]


class _Verdict(NamedTuple):
    """What a pattern says of a day."""

    holds: bool | None
    """None where it cannot say."""
    beyond: bool = False
    """The day itself is."""
    threshold: float = 0.0
    since: tuple[date, ...] = ()
    """The days that make it one from this day on, if it is one."""
    why: NotJudged | None = None
    """It is not judged."""


_Judge = Callable[[date, "_Verdict | None"], _Verdict]
"""Of a day that counts, and of what lasts on it, as it was when it opened."""


def _judge(
    detector: Detector,
    pattern: Daily,
    days: _Days,
    limits: Sequence[tuple[int, float]],
) -> _Judge:
    match pattern:
        case DaysBeyond():
            return lambda day, _: _days_beyond(detector, days, day, limits)
        case BaselineShift():
            return lambda day, open: _shift(pattern, days, day, open)
        case Decline():
            return lambda day, _: _decline(pattern, days, day)


def _patience(pattern: Daily) -> int:
    """After so many days without one that counts, nothing is known any more."""
    match pattern:
        case DaysBeyond():
            return pattern.of
        case BaselineShift():
            return pattern.days + pattern.left_out
        case Decline():
            return pattern.recent


def _days_beyond(
    detector: Detector, days: _Days, day: date, limits: Sequence[tuple[int, float]]
) -> _Verdict:
    end = days.span(day)[1]
    own = [limit for from_us, limit in limits if from_us < end]
    pattern = (detector.with_limit(own[-1]) if own else detector).pattern
    assert isinstance(pattern, DaysBeyond)

    def beyond(each: date) -> bool:
        value = days.value(each)
        return value is not None and pattern.direction.breaches(value, pattern.limit)

    window = list(each_day(day - (pattern.of - 1) * DAY, day))
    found = [each for each in window if beyond(each)]
    if len(found) >= pattern.days:
        since = tuple(found[-pattern.days :])
        return _Verdict(True, beyond(day), pattern.limit, since)
    missing = sum(days.value(each) is None for each in window)
    doubtful = beyond(day) and len(found) + missing >= pattern.days
    why = NotJudged.TOO_FEW_DAYS if doubtful else None
    return _Verdict(None if beyond(day) else False, beyond(day), pattern.limit, why=why)


def _shift(
    pattern: BaselineShift, days: _Days, day: date, open: _Verdict | None
) -> _Verdict:
    if open is not None:
        beyond = _breaches(pattern, days, day, open.threshold)
        return _Verdict(beyond, bool(beyond), open.threshold)
    run = list(each_day(day - (pattern.days - 1) * DAY, day))
    limits = [_baseline(pattern, days, each) for each in run]
    if limits[-1] is None:
        return _Verdict(None, why=NotJudged.TOO_FEW_DAYS)
    found = [
        None if limit is None else _breaches(pattern, days, each, limit)
        for each, limit in zip(run, limits)
    ]
    if all(found):
        return _Verdict(True, True, limits[-1], tuple(run))
    doubtful = False not in found
    why = NotJudged.TOO_FEW_DAYS if doubtful else None
    return _Verdict(None if doubtful else False, bool(found[-1]), limits[-1], why=why)


def _baseline(pattern: BaselineShift, days: _Days, day: date) -> float | None:
    """From where on a value is beyond the baseline of a day; None where it has none."""
    first = day - (pattern.left_out + pattern.baseline) * DAY
    values = days.values(first, pattern.baseline)
    if len(values) < pattern.least:
        return None
    middle = median(values)
    spread = median(abs(each - middle) for each in values)
    by = max(pattern.by, pattern.deviations * MAD_TO_DEVIATION * spread)
    return middle + by if pattern.direction.is_high else middle - by


def _breaches(
    pattern: BaselineShift, days: _Days, day: date, limit: float
) -> bool | None:
    value = days.value(day)
    if value is None:
        return None
    return pattern.direction.breaches(round(value, DECIMALS), round(limit, DECIMALS))


def _decline(pattern: Decline, days: _Days, day: date) -> _Verdict:
    recently = day - (pattern.recent - 1) * DAY
    recent = days.values(recently, pattern.recent)
    before = days.values(recently - pattern.before * DAY, pattern.before)
    if min(len(recent), len(before)) < pattern.least:
        return _Verdict(None, why=NotJudged.TOO_FEW_DAYS)
    threshold = (1 - pattern.by) * median(before)

    def is_lower(value: float) -> bool:
        return round(value, DECIMALS) <= round(threshold, DECIMALS)

    if not is_lower(median(recent)):
        return _Verdict(False, False, threshold)
    since = [
        each
        for each in each_day(recently, day)
        if (value := days.value(each)) is not None and is_lower(value)
    ]
    return _Verdict(True, True, threshold, tuple(since))


@dataclass(slots=True)
class _Lasting:
    """An episode under way."""

    opening: _Verdict
    begin: date
    opened: date
    held: date
    """The last day that was beyond."""
    heard: date
    """The last day of which something could be said."""

    def goes_on(self, day: date, verdict: _Verdict, patience: int) -> Closing:
        """Note what is said of the next day; return why it is over, if it is."""
        if verdict.beyond:
            self.held = day
        if verdict.beyond or verdict.holds is not None:
            self.heard = day
        if not verdict.beyond and verdict.holds is False:
            return Closing.RECOVERED
        silent = (day - self.heard).days >= patience
        return Closing.NO_DATA if silent else Closing.LASTS

    def until(self, closing: Closing) -> date:
        """Return the last day of it, once it is known why it is over."""
        return self.held if closing is Closing.RECOVERED else self.heard


@dataclass(frozen=True, slots=True)
class _Search:
    """One detector in the days of one patient."""

    detector: Detector
    days: _Days
    judge: _Judge
    is_high: bool
    """What is too much is beyond."""

    def over(self, judged: Sequence[date], patience: int) -> DaysFound:
        """Return what is found in days, one after the other."""
        episodes: list[Episode] = []
        tallies: list[DayTally] = []
        lasting: _Lasting | None = None
        free = date.min
        for day in judged:
            told = self.days.told.get(day)
            counts = told is not None and told.value is not None
            verdict = self._verdict(day, lasting) if counts else _Verdict(None)
            opens = lasting is None and bool(verdict.since)
            if opens:
                begin = next((each for each in verdict.since if each >= free), day)
                lasting = _Lasting(verdict, begin, day, day, day)
            elif lasting is not None:
                closing = lasting.goes_on(day, verdict, patience)
                if closing is not Closing.LASTS:
                    episodes.append(self._episode(lasting, closing))
                    free = lasting.until(closing) + DAY
                    lasting = None
            if told is not None:
                why = verdict.why if counts else told.why
                tallies.append(_tally(self.detector, day, told, why, opens))
        if lasting is not None:
            episodes.append(self._episode(lasting, Closing.LASTS))
        return DaysFound(episodes, tallies)

    def _verdict(self, day: date, lasting: _Lasting | None) -> _Verdict:
        """Return what the pattern says; what is not in force opens nothing."""
        verdict = self.judge(day, lasting.opening if lasting else None)
        if self.detector.in_force(day):
            return verdict
        return verdict._replace(since=())

    def _episode(self, lasting: _Lasting, closing: Closing) -> Episode:
        days, detector = self.days, self.detector
        told = list(self._told_from(lasting.begin, lasting.held))
        values = [value for each in told if (value := each.value) is not None]
        sources = Counter(each.source for each in told)
        devices = Counter(next(iter(each.row.devices), "") for each in told)
        calendar_days = (lasting.held - lasting.begin).days + 1
        covered = [
            1.0 if (share := each.row.coverage) is None else share for each in told
        ]
        return Episode(
            detector=detector.name,
            version=detector.version,
            alert_type=detector.alert_type,
            start=moment(days.span(lasting.begin)[0]),
            opened=days.over(lasting.opened),
            last=days.over(lasting.heard),
            end=None if closing is Closing.LASTS else days.over(lasting.until(closing)),
            closing=closing,
            peak=max(values) if self.is_high else min(values),
            median=median(values),
            threshold=lasting.opening.threshold,
            n=len(values),
            coverage=fmean([*covered, *[0.0] * (calendar_days - len(covered))]),
            source=sources.most_common(1)[0][0],
            device=devices.most_common(1)[0][0],
        )

    def _told_from(self, first: date, last: date) -> Iterator[_Told]:
        for day in each_day(first, last):
            told = self.days.told.get(day)
            if told is not None and told.value is not None:
                yield told


def _tally(
    detector: Detector, day: date, told: _Told, why: NotJudged | None, opens: bool
) -> DayTally:
    reasons = {why: 1} if why else {}
    return DayTally(detector.name, day, told.source, int(not why), reasons, int(opens))
