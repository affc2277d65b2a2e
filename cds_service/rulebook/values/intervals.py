"""Values as intervals, and lengths of time, because records are often inexact.

``> 60`` and an age by a birth year are ranges; a comparison of a range with a limit is
true, false or undecided (None), never a guess.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple

INFINITY = float("inf")


class Interval(NamedTuple):
    """A number known to lie between two bounds."""

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False


def exactly(value: float) -> Interval:
    """The interval that holds one number."""
    return Interval(value, value)


def hull(intervals: list[Interval]) -> Interval:
    """The smallest interval that holds all of them."""
    low = min(intervals, key=lambda each: (each.low, each.low_open))
    high = max(intervals, key=lambda each: (each.high, not each.high_open))
    return Interval(low.low, high.high, low.low_open, high.high_open)


def is_above(value: Interval, limit: float) -> bool | None:
    """Return whether the number is greater than the limit; None if it may be or not."""
    if value.low > limit or (value.low == limit and value.low_open):
        return True
    return False if value.high <= limit else None


def is_at_least(value: Interval, limit: float) -> bool | None:
    """Return whether the number is the limit or greater; None if it may be or not."""
    if value.low >= limit:
        return True
    below = value.high < limit or (value.high == limit and value.high_open)
    return False if below else None


def is_below(value: Interval, limit: float) -> bool | None:
    """Return whether the number is less than the limit; None if it may be or not."""
    return negation(is_at_least(value, limit))


def is_at_most(value: Interval, limit: float) -> bool | None:
    """Return whether the number is the limit or less; None if it may be or not."""
    return negation(is_above(value, limit))


def equals(value: Interval, limit: float) -> bool | None:
    """Return whether a count is exactly the limit; quantities are never asked this."""
    if value.low == value.high:
        return value.low == limit
    return None if value.low <= limit <= value.high else False


def negation(truth: bool | None) -> bool | None:
    """Kleene's not."""
    return None if truth is None else not truth


Compare = Callable[[Interval, float], bool | None]

COMPARISONS: Mapping[str, Compare] = {
    "above": is_above,
    "at_least": is_at_least,
    "below": is_below,
    "at_most": is_at_most,
    "equals": equals,
}
"""How a value may be compared with a limit; ``between`` is at_least and below."""

RISING = frozenset({"above", "at_least"})
"""Comparisons that a greater number meets sooner."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One comparison: ``above 100``."""

    comparison: str
    value: float
    """In the fact's unit; seconds for durations; minutes for times of day."""

    def of(self, value: Interval) -> bool | None:
        """Return whether the value meets the limit; None if it may or may not."""
        return COMPARISONS[self.comparison](value, self.value)


_CALENDAR = {"month": 1, "year": 12}
_DURATION = re.compile(
    r"(\d+(?:\.\d+)?) (second|minute|hour|day|week|month|year)s?\Z", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time as written; months and years follow the calendar."""

    count: float
    unit: str
    """``minute``, ``day`` …, in the singular."""

    def __str__(self) -> str:
        plural = "" if self.count == 1 else "s"
        return f"{self.count:g} {self.unit}{plural}"

    @property
    def length(self) -> timedelta:
        """The length, with a month of 30 and a year of 365 days."""
        return _length(self.count, self.unit)

    def before(self, moment: datetime, zone: tzinfo) -> datetime:
        """The time that lies this long before *moment*, by the calendar of *zone*."""
        return self._from(moment, zone, -1)

    def after(self, moment: datetime, zone: tzinfo) -> datetime:
        """The time that lies this long after *moment*, by the calendar of *zone*."""
        return self._from(moment, zone, 1)

    def _from(self, moment: datetime, zone: tzinfo, sign: int) -> datetime:
        try:
            if self.unit not in _CALENDAR:
                return moment + sign * self.length
            local = moment.astimezone(zone)
            day = self.shift(local.date(), sign)
            return datetime.combine(day, local.timetz()).astimezone(timezone.utc)
        except OverflowError:  # what would leave the calendar ends with it
            end = datetime.max if sign > 0 else datetime.min
            return end.replace(tzinfo=timezone.utc)

    def shift(self, day: date, sign: int = 1) -> date:
        """*day* moved by this duration; the last of a month stays within it.

        What would leave the calendar ends with it.
        """
        try:
            return self._moved(day, sign)
        except (ValueError, OverflowError):
            return date.max if sign > 0 else date.min

    def _moved(self, day: date, sign: int) -> date:
        months = _CALENDAR.get(self.unit)
        if months is None:
            return day + sign * self.length
        index = day.year * 12 + day.month - 1 + sign * int(self.count) * months
        year, month = divmod(index, 12)
        return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


@lru_cache(maxsize=256)
def _length(count: float, unit: str) -> timedelta:
    days = {"month": 30, "year": 365}.get(unit)
    return timedelta(days=days * count) if days else timedelta(**{unit + "s": count})


def parse_duration(text: object) -> Duration | None:
    """The duration that ``7 days`` or ``1 hour`` names; None if it is no such."""
    found = _DURATION.match(text) if isinstance(text, str) else None
    if not found or (found[2] in _CALENDAR and "." in found[1]):
        return None
    count = float(found[1])
    # Beyond a human life nothing is a window, and the calendar ends.
    longest = {"year": 150, "month": 1800, "week": 7800, "day": 54_750}
    limit = longest.get(found[2], 1_000_000)
    return Duration(count, found[2]) if count <= limit else None


def seconds(length: Duration) -> float:
    """A duration as seconds, with a month of 30 and a year of 365 days."""
    return length.length / timedelta(seconds=1)


def size(value: float | Duration) -> float:
    """A number by which two numbers, or two lengths of time, compare."""
    return seconds(value) if isinstance(value, Duration) else value
