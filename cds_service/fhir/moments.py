"""Dates and times of FHIR as moments: records are often less exact than a clock.

``2024-11`` and a day are ranges between two instants.
"""

import re
from calendar import monthrange
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple


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
    """Return the time that a FHIR date, dateTime or instant names; else None.

    A year, a month or a day is the whole of it in *zone*. A time without an offset is
    read in *zone*.
    """
    if not isinstance(text, str):
        return None
    if len(text) <= _DAY:
        return _parse_day(text, zone)
    if len(text) < 16 or text[10] != "T":
        return _oddly_written(text, zone)
    try:
        return _at(datetime.fromisoformat(text), zone)
    except (ValueError, OverflowError):
        return _oddly_written(text, zone)


_DAY = len("2024-11-30")


@lru_cache(maxsize=4096)
def _parse_day(text: str, zone: tzinfo) -> Moment | None:
    """A day, a month or a year, of which the same come in many records."""
    partial = _PARTIAL.match(text)
    try:
        return _whole(partial, zone) if partial else _oddly_written(text, zone)
    except (ValueError, OverflowError):
        return _oddly_written(text, zone)


def _at(instant: datetime, zone: tzinfo) -> Moment:
    utc = _utc(instant if instant.tzinfo else instant.replace(tzinfo=zone))
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


def day_of(instant: datetime, zone: tzinfo) -> date:
    """Return the day in *zone*; the calendar begins and ends with its own."""
    try:
        return instant.astimezone(zone).date()
    except OverflowError:
        return date.min if instant.year == 1 else date.max


def _utc(instant: datetime) -> datetime:
    """The same in UTC; the first and the last days of the calendar stay within it."""
    try:
        return instant.astimezone(timezone.utc)
    except OverflowError:
        return EVER.low if instant.year == 1 else EVER.high
