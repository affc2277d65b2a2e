"""What the wearer's clock showed: known from what was sent, or not known.

An offset says it, ``Z`` and ``-00:00`` do not: they tell the instant and nothing of
where it was read. A zone or an offset may also stand beside the time, or the source's
zone is known.

Source: RFC 3339 section 4.3; RFC 9557 sections 2.2 (``Z``), 3.1 (zone in brackets),
3.4 (an offset and a zone that differ).
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

_STAMP = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?)"
    r"(?P<offset>Z|[+-]\d\d:\d\d)"
    r"(?:\[!?(?P<zone>[A-Za-z._][A-Za-z0-9._+/-]{0,63})\])?"
    r"(?:\[[a-z_][a-z0-9_-]{0,31}=[A-Za-z0-9-]{1,64}\]){0,8}",
    re.ASCII | re.IGNORECASE,
)
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>\d\d):(?P<minutes>[0-5]\d)", re.ASCII)
_LOOSE = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:(?:T| {1,2})(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)"
    r"(?::(?P<second>[0-5]\d)(?:[.,](?P<part>\d{1,9}))?)?"
    r"(?: ?(?P<half>[ap])\.?m\.?)?"
    r"(?: ?(?P<offset>Z|[+-]\d\d(?::?\d\d)?))?)?",
    re.ASCII | re.IGNORECASE,
)
_BLANKS = {0x00A0: " ", 0x2009: " ", 0x202F: " "}
_LONGEST = 64
"""Characters of a time."""
_WIDEST = timedelta(hours=18)
"""No clock on Earth is further from UTC; health platforms allow so much."""
_SAYS_NOTHING = ("Z", "-00:00")


@dataclass(frozen=True, slots=True)
class Stamp:
    """An instant as it was written."""

    at: datetime
    """In the offset that was written; UTC where that says nothing of the wearer."""
    local: bool
    """Whether the offset is that of a clock, the wearer's."""
    zone: str = ""
    """A zone in brackets behind the time; unchecked."""


class ClocksDiffer(ValueError):
    """Two statements of the wearer's clock that cannot both be true."""


def parse_stamp(text: str) -> Stamp:
    """Return the instant that *text* tells, with what it says of the clock.

    Raises ValueError for what is not a date and time with an offset.
    """
    written = _STAMP.fullmatch(text)
    if written is None:
        raise ValueError("not a date and time with an offset")
    offset = written["offset"]
    if _length(offset) is None:
        raise ValueError("no clock is so far from UTC")
    at = datetime.fromisoformat(f"{written['time']}{offset}".upper())
    return Stamp(at, tells_clock(offset), written["zone"] or "")


@dataclass(frozen=True, slots=True)
class WrittenTime:
    """A date, or a date and time, in somebody's spelling."""

    at: datetime
    """Without an offset: what a clock showed there."""
    offset: timedelta | None = None
    """None where none is written."""
    tells_clock: bool = False
    """Whether the offset is that of the wearer's clock."""
    day: bool = False
    """Whether it is a date alone."""


def parse_written(text: str) -> WrittenTime | None:
    """Return what a time says that a program wrote for people; None if it is none.

    ``2026-11-22 8:05:00 AM -0500``, with a blank of any width before AM, is one, as are
    ``2026-11-22T08:05:00.123-05:00`` and ``2026-11-22``.
    """
    if len(text) > _LONGEST:
        return None
    written = _LOOSE.fullmatch(text.translate(_BLANKS).strip())
    if written is None:
        return None
    try:
        day = datetime.fromisoformat(written["day"])
        if written["hour"] is None:
            return WrittenTime(day, day=True)
        at = day + timedelta(
            hours=_hour(int(written["hour"]), written["half"]),
            minutes=int(written["minute"]),
            seconds=int(written["second"] or 0),
            microseconds=int((written["part"] or "").ljust(6, "0")[:6]),
        )
    except (ValueError, OverflowError):
        return None
    offset = written["offset"]
    if offset is None:
        return WrittenTime(at)
    length = _length(offset)
    if length is None:
        return None
    known = offset not in ("Z", "z") and not (offset[0] == "-" and not length)
    return WrittenTime(at, length, known)


def _hour(hour: int, half: str | None) -> int:
    """The hour from midnight. Raises ValueError where a clock has none such."""
    if half is None:
        if hour > 23:
            raise ValueError("no hour of a day")
        return hour
    if not 1 <= hour <= 12:
        raise ValueError("no hour of half a day")
    return hour % 12 + (12 if half in "pP" else 0)


@lru_cache(maxsize=256)
def _length(offset: str) -> timedelta | None:
    if offset in ("Z", "z"):
        return timedelta(0)
    digits = offset[1:].replace(":", "").ljust(4, "0")
    return parse_offset(f"{offset[0]}{digits[:2]}:{digits[2:]}")


def tells_clock(text: str) -> bool:
    """Check whether a time, if it has an offset, has that of the wearer's clock."""
    return not text.upper().endswith(_SAYS_NOTHING)


def parse_offset(text: str) -> timedelta | None:
    """Return the offset that ``-05:00`` tells; None for anything else."""
    written = _OFFSET.fullmatch(text)
    if written is None:
        return None
    length = timedelta(hours=int(written["hours"]), minutes=int(written["minutes"]))
    if length > _WIDEST:
        return None
    return -length if written["sign"] == "-" else length


def find_zone(name: str) -> ZoneInfo | None:
    """Return the zone of the IANA database; None where it has none of that name."""
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, OSError, LookupError):
        return None


def read_clock(
    stamp: Stamp,
    offset: timedelta | None,
    zone: tzinfo | None,
    usual: tzinfo | None,
) -> tuple[datetime, bool]:
    """Return the instant on the wearer's clock, and whether that clock is known.

    Args:
        offset: Sent beside the time.
        zone: Sent beside the time.
        usual: That of all wearers of a source; it counts where nothing else is said.

    Raises ClocksDiffer where two of what was sent say different things.
    """
    said = [stamp.at.utcoffset()] if stamp.local else []
    if offset is not None:
        said.append(offset)
    if zone is not None:
        said.append(stamp.at.astimezone(zone).utcoffset())
    if len(set(said)) > 1:
        raise ClocksDiffer("the offsets differ")
    if said:
        return stamp.at.astimezone(timezone(said[0] or timedelta(0))), True
    if usual is not None:
        there = stamp.at.astimezone(usual).utcoffset()
        return stamp.at.astimezone(timezone(there or timedelta(0))), True
    return stamp.at, False
