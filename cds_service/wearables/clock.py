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
from zoneinfo import ZoneInfo

_STAMP = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?)"
    r"(?P<offset>Z|[+-]\d\d:\d\d)"
    r"(?:\[!?(?P<zone>[A-Za-z._][A-Za-z0-9._+/-]{0,63})\])?"
    r"(?:\[[a-z_][a-z0-9_-]{0,31}=[A-Za-z0-9-]{1,64}\]){0,8}",
    re.ASCII | re.IGNORECASE,
)
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>\d\d):(?P<minutes>[0-5]\d)", re.ASCII)
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
    at = datetime.fromisoformat(f"{written['time']}{offset}".upper())
    return Stamp(at, tells_clock(offset), written["zone"] or "")


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
