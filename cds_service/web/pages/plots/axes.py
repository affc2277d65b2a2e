"""Axes: which times and values are named beside a plot. Pure.

Times are those of the wearer's clock: a day begins at its midnight, and where clocks
are changed an hour is named twice, or not at all.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from math import ceil, floor, log10

from ....wearables.days import NEXT, Span, moment
from ....wearables.samples import microseconds

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_HOUR, _DAY = 3600, 86_400
_STEPS = (
    *((minutes * 60, "minute", minutes) for minutes in (1, 2, 5, 10, 15, 30)),
    *((hours * _HOUR, "minute", hours * 60) for hours in (1, 2, 3, 6, 12)),
    *((days * _DAY, "day", days) for days in (1, 2)),
    *((weeks * 7 * _DAY, "week", weeks) for weeks in (1, 2)),
    *((months * 30.4 * _DAY, "month", months) for months in (1, 2, 3, 6)),
    *((years * 365.2 * _DAY, "month", years * 12) for years in (1, 2, 5, 10, 50, 100)),
)
"""Rising: how long about, and of what how many."""


@dataclass(frozen=True, slots=True)
class Timespan:
    """The time that a plot shows, on the wearer's clock."""

    start_us: int
    end_us: int
    """The first instant after it."""
    zone: tzinfo

    @property
    def span(self) -> Span:
        """Both ends."""
        return self.start_us, self.end_us

    def share(self, at_us: float) -> float:
        """Return where an instant lies, from 0 to 1; what lies outside is at an end."""
        share = (at_us - self.start_us) / (self.end_us - self.start_us)
        return min(max(share, 0.0), 1.0)

    def clock(self, at_us: int) -> datetime:
        """Return what the wearer's clock shows at an instant."""
        return moment(at_us).astimezone(self.zone)

    def days(self) -> Iterator[date]:
        """Yield the civil days that it meets."""
        day, last = self.clock(self.start_us).date(), self.clock(self.end_us - 1).date()
        while day <= last:
            yield day
            day += NEXT

    def midnight(self, day: date) -> int:
        """Return when a civil day begins."""
        return microseconds(datetime.combine(day, time(), self.zone).astimezone(UTC))


@dataclass(frozen=True, slots=True)
class Tick:
    """One time that is named."""

    at_us: int
    label: str
    above: str = ""
    """What it is part of, where that begins: the day of hours, the year of months."""


def time_ticks(timespan: Timespan, most: int = 10) -> list[Tick]:
    """Return the times that are named, at most about so many."""
    seconds = (timespan.end_us - timespan.start_us) / 1_000_000
    fitting = (each for each in _STEPS if seconds / each[0] <= most)
    _, unit, count = next(fitting, _STEPS[-1])
    if unit == "minute":
        return list(_of_clock(timespan, count))
    if unit == "month":
        return list(_of_months(timespan, count))
    return list(_of_days(timespan, count, weeks=unit == "week"))


def _of_clock(timespan: Timespan, minutes: int) -> Iterator[Tick]:
    told = None
    for day in timespan.days():
        for at_us in _on_day(timespan, day, minutes):
            if timespan.start_us <= at_us < timespan.end_us:
                above = "" if told == day else day_label(day)
                yield Tick(at_us, f"{timespan.clock(at_us):%H:%M}", above)
                told = day


def _on_day(timespan: Timespan, day: date, minutes: int) -> list[int]:
    """When the clock shows a multiple of so many minutes, in the order of time.

    An hour that the clock skips is none, one that it shows twice is two.
    """
    found = {timespan.midnight(day)}
    for minute in range(0, 24 * 60, minutes):
        shown = datetime.combine(day, time(*divmod(minute, 60)))
        for fold in (0, 1):
            at = shown.replace(tzinfo=timespan.zone, fold=fold).astimezone(UTC)
            if at.astimezone(timespan.zone).replace(tzinfo=None) == shown:
                found.add(microseconds(at))
    return sorted(found)


def _of_days(timespan: Timespan, count: int, *, weeks: bool) -> Iterator[Tick]:
    told = None
    for day in timespan.days():
        # Day 1 of the calendar was a Monday.
        number, rest = divmod(day.toordinal() - 1, 7) if weeks else (day.toordinal(), 0)
        at_us = timespan.midnight(day)
        if rest or number % count or at_us < timespan.start_us:
            continue
        yield Tick(at_us, day_label(day), "" if told == day.year else str(day.year))
        told = day.year


def _of_months(timespan: Timespan, count: int) -> Iterator[Tick]:
    first = timespan.clock(timespan.start_us).date()
    number, told = first.year * 12 + first.month - 1, None
    while number // 12 <= date.max.year:
        day = date(number // 12, number % 12 + 1, 1)
        at_us = timespan.midnight(day)
        if at_us >= timespan.end_us:
            break
        if number % count == 0 and at_us >= timespan.start_us:
            if count >= 12:
                yield Tick(at_us, str(day.year))
            else:
                above = "" if told == day.year else str(day.year)
                yield Tick(at_us, MONTHS[day.month - 1], above)
            told = day.year
        number += 1


def day_label(day: date) -> str:
    """Return a day without its year: ``22 Nov``."""
    return f"{day.day} {MONTHS[day.month - 1]}"


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """From what to what values are drawn, and which are named."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Return how high a value lies, from 0 to 1; one outside is at an end."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


_NARROWEST = 1e-6
"""What lies closer is one value."""
NO_VALUES = ValueAxis(0.0, 1.0, ())


def value_axis(
    values: Iterable[float], most: int = 5, *, from_zero: bool = False
) -> ValueAxis:
    """Return an axis with all the values on it, whose ends are named.

    Args:
        from_zero: For bars, whose length is what counts.
    """
    known = list(values)
    if not known:
        return NO_VALUES
    low, high = min(known), max(known)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < _NARROWEST:
        beside = abs(low) / 10 if abs(low) > _NARROWEST else 1.0
        low, high = low if from_zero else low - beside, high + beside
    step = _step((high - low) / most)
    first, last = floor(low / step), ceil(high / step)
    ticks = [round(place * step, 10) for place in range(first, last + 1)]
    return ValueAxis(ticks[0], ticks[-1], tuple(ticks))


def _step(least: float) -> float:
    """The least of 1, 2, 5, 10, 20 and so on that is as long."""
    whole = 10.0 ** floor(log10(least))
    return next(
        times * whole for times in (1, 2, 5, 10, 20) if times * whole >= least * 0.999
    )
