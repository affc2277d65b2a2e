"""Values and moments as intervals, because records are often less exact than a number.

``> 60``, ``2024-11`` and a birth year are ranges; a comparison of a range with a
limit is true, false or undecided (None), never a guess.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
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
    """Whether the number is greater than the limit; None if it may be or not."""
    if value.low > limit or (value.low == limit and value.low_open):
        return True
    return False if value.high <= limit else None


def is_at_least(value: Interval, limit: float) -> bool | None:
    """Whether the number is the limit or greater; None if it may be or not."""
    if value.low >= limit:
        return True
    below = value.high < limit or (value.high == limit and value.high_open)
    return False if below else None


def is_below(value: Interval, limit: float) -> bool | None:
    """Whether the number is less than the limit; None if it may be or not."""
    return negation(is_at_least(value, limit))


def is_at_most(value: Interval, limit: float) -> bool | None:
    """Whether the number is the limit or less; None if it may be or not."""
    return negation(is_above(value, limit))


def equals(value: Interval, limit: float) -> bool | None:
    """Whether a count is exactly the limit; quantities are never asked this."""
    if value.low == value.high:
        return value.low == limit
    return None if value.low <= limit <= value.high else False


def negation(truth: bool | None) -> bool | None:
    """Kleene's not."""
    return None if truth is None else not truth


class Moment(NamedTuple):
    """A time known to lie between two instants, both aware UTC."""

    low: datetime
    high: datetime


EVER = Moment(
    datetime.min.replace(tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc)
)
"""A time of which nothing is known."""

_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?\Z", re.ASCII)
_ODD_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](?:(24):00(?::00(?:\.0+)?)?"
    r"|(\d\d:\d\d)(?::(?:(60)|(\d\d))(\.\d+)?)?)\ ?([Zz]|[+-]\d\d:?\d\d)?\Z",
    re.ASCII,
)
"""A day's end as 24:00, a leap second, small letters, a space for the T."""


def parse_moment(text: object, zone: tzinfo) -> Moment | None:
    """The time that a FHIR date, dateTime or instant names; None if it is no such.

    A year, a month or a day is the whole of it in *zone*. A time without an offset is
    read in *zone*.
    """
    if not isinstance(text, str):
        return None
    partial = _PARTIAL.match(text)
    try:
        if partial:
            return _whole(partial, zone)
        if len(text) < 16 or text[10] != "T":
            return _oddly_written(text, zone)
        instant = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return _oddly_written(text, zone)
    return _at(instant, zone)


def _at(instant: datetime, zone: tzinfo) -> Moment:
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=zone)
    utc = _utc(instant)
    return Moment(utc, utc)


def _oddly_written(text: str, zone: tzinfo) -> Moment | None:
    """The time of a text that is nearly as it ought to be.

    Source: ISO 8601 (24:00), RFC 3339 (leap seconds, small letters, a space).
    """
    trimmed = text.strip()
    if trimmed != text and _PARTIAL.match(trimmed):
        return parse_moment(trimmed, zone)
    found = _ODD_TIME.match(trimmed)
    if found is None:
        return None
    day, midnight, minute, leap, second, fraction, offset = found.groups()
    # 24:00 is a day after 00:00, and second 60 is a second after second 59.
    late = timedelta(days=bool(midnight), seconds=bool(leap))
    clock = f"{minute or '00:00'}:{'59' if leap else second or '00'}{fraction or ''}"
    try:
        plain = f"{day}T{clock}{(offset or '').upper()}"
        return _at(datetime.fromisoformat(plain) + late, zone)
    except (ValueError, OverflowError):
        return None


def _whole(partial: re.Match[str], zone: tzinfo) -> Moment:
    year, month, day = (int(part) if part else None for part in partial.groups())
    assert year is not None
    first = date(year, 1 if month is None else month, 1 if day is None else day)
    last = first
    if month is None:
        last = date(year, 12, 31)
    elif day is None:
        last = date(year, month, monthrange(year, month)[1])
    start = _utc(datetime(first.year, first.month, first.day, tzinfo=zone))
    if last == date.max:
        return Moment(start, EVER.high)
    end = datetime(last.year, last.month, last.day, tzinfo=zone) + timedelta(days=1)
    return Moment(start, _utc(end) - timedelta(microseconds=1))


def _utc(instant: datetime) -> datetime:
    """The same in UTC; the first and the last days of the calendar stay within it."""
    try:
        return instant.astimezone(timezone.utc)
    except OverflowError:
        return EVER.low if instant.year == 1 else EVER.high


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
        days = {"month": 30, "year": 365}.get(self.unit)
        if days:
            return timedelta(days=days * self.count)
        return timedelta(**{self.unit + "s": self.count})

    def before(self, moment: datetime, zone: tzinfo) -> datetime:
        """The time that lies this long before *moment*, by the calendar of *zone*."""
        return self._from(moment, zone, -1)

    def after(self, moment: datetime, zone: tzinfo) -> datetime:
        """The time that lies this long after *moment*, by the calendar of *zone*."""
        return self._from(moment, zone, 1)

    def _from(self, moment: datetime, zone: tzinfo, sign: int) -> datetime:
        if self.unit not in _CALENDAR:
            return moment + sign * self.length
        local = moment.astimezone(zone)
        day = self.shift(local.date(), sign)
        return datetime.combine(day, local.timetz()).astimezone(timezone.utc)

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
