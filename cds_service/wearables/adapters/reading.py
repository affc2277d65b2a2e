"""What the adapters of others' formats share: how they read what somebody else made.

Numbers may come as text, times in any spelling, members as null. What cannot be used
raises ``NotTaken`` and leaves out the record that it is in, by its path; what stands
beside it is read all the same.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from hashlib import blake2b
from typing import Any

from ...protocol.errors import Problem
from ...protocol.formats import is_whole
from ...units.formats import OWN_UNITS
from ..clock import Stamp, find_zone, parse_written, read_clock
from ..metrics import Catalogue, Metric, Unmeasured, measure
from ..samples import (
    EPOCH,
    NO_DEVICE,
    NOBODY_NAMED,
    Context,
    Device,
    Flag,
    Item,
    LeftOut,
    Sample,
    SourceWearer,
    Stat,
    microseconds,
)
from .members import EARLIEST_YEAR, LATEST_YEAR, Sender

Object = Mapping[str, Any]
LONGEST_ID = 255
LONGEST_NAME = 200
"""Characters of what is kept of names; they are cut there."""
SHORTEST_DAY = timedelta(hours=23)
LONGEST_DAY = timedelta(hours=25)
"""A civil day on which clocks are put forward, and one on which they are put back."""
LARGEST_REVISION = 2**53 - 1
"""What every reader of JSON can hold; milliseconds since 1970 are far below."""
LONGEST_DATE = len(" 2026-11-22 ")
NO_FLAGS = Flag(0)
SECONDS = 1_000_000
MILLISECONDS = 1_000
"""In microseconds."""


class NotTaken(Exception):
    """A record that becomes no sample."""

    def __init__(self, reason: str, text: str, member: str = "") -> None:
        super().__init__(text)
        self.reason = reason
        """As ``LeftOut`` has it."""
        self.text = text
        self.member = member
        """What of the record it is about, as ``body.time``; empty for all of it."""

    def left_out(self, path: str) -> LeftOut:
        """Return what is said of the record at *path*."""
        place = f"{path}.{self.member}" if self.member else path
        return LeftOut(self.reason, Problem(self.text, place))


@dataclass(frozen=True, slots=True)
class Frame:
    """What all values of one record have in common."""

    start: datetime
    end: datetime
    local: bool
    wearer: SourceWearer = NOBODY_NAMED
    device: Device = NO_DEVICE
    source_id: str = ""
    revision: int = 0
    context: Context = Context.UNKNOWN
    flags: Flag = NO_FLAGS


@dataclass(frozen=True, slots=True)
class Reader:
    """One delivery in one format."""

    format: str
    catalogue: Catalogue
    zone: tzinfo | None
    """Of all wearers of the source; None where it is not known."""
    units: Mapping[str, str]
    """What the format means by its own spellings."""

    def metric(self, name: str) -> Metric | None:
        """Return the metric that the format calls so, if the site has one."""
        return self.catalogue.metric_named(self.format, name)

    def value(
        self,
        metric: Metric,
        told: Any,
        unit: str,
        frame: Frame,
        path: str,
        stat: Stat | None = None,
    ) -> Sample | LeftOut:
        """Return the sample that a number of a record is, or why it is none.

        Args:
            stat: What the number is of; None where the format leaves it to the times.
        """
        if told is None:
            problem = Problem("Has no value.", path)
            return LeftOut("no-value", problem, frame.source_id)
        try:
            value = measure(metric, read_number(told), unit, self.units)
        except NotTaken as error:
            problem = Problem(error.text, path)
            return LeftOut(error.reason, problem, frame.source_id)
        except Unmeasured as error:
            return LeftOut(error.reason, Problem(str(error), path), frame.source_id)
        start, end, flags = frame.start, frame.end, frame.flags
        if by_interval := usual_flags(metric, start, end):
            flags |= by_interval
        return Sample(
            metric.name,
            value,
            metric.unit,
            start,
            end,
            frame.local,
            frame.wearer,
            frame.device,
            frame.source_id,
            frame.revision,
            stat or usual_stat(metric, start, end),
            frame.context,
            flags,
            path,
        )

    def on_clock(
        self, at: datetime, offset: timedelta | None = None
    ) -> tuple[datetime, bool]:
        """Return an instant on the wearer's clock, and whether that clock is known.

        Args:
            offset: Of that clock, where it stands beside the time.
        """
        return read_clock(Stamp(at, False), offset, None, self.zone)

    def time(self, told: Any, member: str) -> tuple[datetime, bool]:
        """Return a time that is written out, and whether the wearer's clock is known.

        Raises:
            NotTaken: if it is none, or tells no offset and the source has no zone.
        """
        written = parse_written(told) if isinstance(told, str) else None
        if written is None or written.day:
            raise NotTaken("time", "Must be a date and a time of day.", member)
        if written.offset is None:
            return self._in_zone(written.at, member), True
        at = _within(written.at.replace(tzinfo=timezone(written.offset)), member)
        return read_clock(Stamp(at, written.tells_clock), None, None, self.zone)

    def day(self, told: Any, member: str) -> tuple[datetime, datetime] | None:
        """Return the begin and the end of a day that is written as a date alone.

        None for anything else. Days on which clocks are changed are as long as they
        are.

        Raises:
            NotTaken: if it is not known in which zone.
        """
        short = isinstance(told, str) and len(told) <= LONGEST_DATE
        written = parse_written(told) if short else None
        if written is None or not written.day:
            return None
        begin = self._in_zone(written.at, member)
        return begin, self.day_after(begin)

    def day_after(self, begin: datetime) -> datetime:
        """Return the end of the day that begins so; after 24 hours in no known zone."""
        if self.zone is None:
            return begin + timedelta(days=1)
        there = begin.astimezone(self.zone).replace(tzinfo=None)
        return self._in_zone(there + timedelta(days=1), "")

    def _in_zone(self, naive: datetime, member: str) -> datetime:
        if self.zone is None:
            text = "Must have an offset from UTC, or the source a time_zone."
            raise NotTaken("time", text, member)
        at = _within(naive.replace(tzinfo=self.zone), member)
        return at.astimezone(timezone(at.utcoffset() or timedelta(0)))


def open_reader(format: str, sender: Sender, catalogue: Catalogue) -> Reader:
    """Return how a delivery of a sender is read."""
    zone = find_zone(sender.time_zone)
    return Reader(format, catalogue, zone, OWN_UNITS.get(format, {}))


def usual_stat(metric: Metric, start: datetime, end: datetime) -> Stat:
    """Return what a value is of, where nothing says it."""
    if metric.cumulative:
        return Stat.TOTAL
    return Stat.INSTANT if start == end else Stat.MEAN


def usual_flags(metric: Metric, start: datetime, end: datetime) -> Flag:
    """Return the flags that a value has by its interval."""
    whole_day = metric.cumulative and SHORTEST_DAY <= end - start <= LONGEST_DAY
    return Flag.DAY_TOTAL if whole_day else NO_FLAGS


def read_each(
    told: Any, path: str, read: Callable[[Object, str], Iterator[Item]]
) -> Iterator[Item]:
    """Yield what *read* makes of each object of a list; null is an empty list."""
    if told is None:
        return
    if not isinstance(told, list):
        yield LeftOut("malformed", Problem("Must be a list.", path))
        return
    for index, record in enumerate(told):
        yield from read_one(record, f"{path}[{index}]", read)


def read_one(
    record: Any, path: str, read: Callable[[Object, str], Iterator[Item]]
) -> Iterator[Item]:
    """Yield what *read* makes of a record, up to where it is not taken."""
    if not isinstance(record, dict):
        yield LeftOut("malformed", Problem("Must be an object.", path))
        return
    try:
        yield from read(record, path)
    except NotTaken as error:
        yield error.left_out(path)


def read_number(told: Any) -> float:
    """Return a finite number, which may be written as text.

    Raises:
        NotTaken: if it is none.
    """
    try:
        if isinstance(told, str) and _NUMBER.fullmatch(told.strip()):
            told = float(told)
        if isinstance(told, int | float) and not isinstance(told, bool):
            number = float(told)
            if math.isfinite(number):
                return number
    except OverflowError:
        pass
    raise NotTaken("malformed", "Must be a finite number.")


def read_whole(told: Any, member: str) -> int:
    """Return a whole number of up to 63 bits, which may be written as text.

    Raises:
        NotTaken: if it is none.
    """
    if isinstance(told, str) and _WHOLE.fullmatch(told.strip()):
        told = int(told)
    if isinstance(told, float) and told.is_integer():
        told = int(told)
    if isinstance(told, int) and not isinstance(told, bool) and abs(told) < 2**63:
        return told
    raise NotTaken("malformed", "Must be a whole number.", member)


def read_revision(told: Any) -> int:
    """Return which version it is; 0 where that is not told, or cannot be so.

    A number that no later one exceeds would keep all later ones out.
    """
    try:
        number = read_whole(told, "")
    except NotTaken:
        return 0
    return number if 0 <= number < LARGEST_REVISION else 0


def read_epoch(told: Any, unit: int, member: str) -> datetime:
    """Return the instant so long after 1970 in UTC.

    Args:
        unit: Of the number, in microseconds.

    Raises:
        NotTaken: if it is no number, or no time at which anybody wore anything.
    """
    return at_microseconds(read_whole(told, member) * unit, member)


def at_microseconds(number: int, member: str) -> datetime:
    """Return the instant so many microseconds after 1970 in UTC.

    Raises:
        NotTaken: if nobody wore anything then.
    """
    if not _FIRST <= number < _LAST:
        raise NotTaken("time", _CLOCK_TEXT, member)
    return EPOCH + timedelta(microseconds=number)


def read_span(
    start: datetime, end: datetime, member: str = ""
) -> tuple[datetime, datetime]:
    """Return the two as they are.

    Raises:
        NotTaken: if they are in the wrong order.
    """
    if end < start:
        raise NotTaken("time", "Must not end before it starts.", member)
    return start, end


def read_id(told: Any, member: str) -> str:
    """Return what tells something from all else of its source; empty where absent.

    Raises:
        NotTaken: if it cannot be kept as it is.
    """
    if isinstance(told, int) and not isinstance(told, bool) and abs(told) < 2**63:
        told = str(told)
    if told is None or told == "":
        return ""
    text = told.strip() if isinstance(told, str) else ""
    if not 0 < len(text) <= LONGEST_ID or not text.isprintable() or not is_whole(text):
        text = f"Must be printable text of 1 to {LONGEST_ID} characters."
        raise NotTaken("malformed", text, member)
    return text


def made_id(*parts: str) -> str:
    """Return an id of what has none, by what does not change when it is told again."""
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def read_user(told: Any, member: str) -> SourceWearer:
    """Return who wore it, as the source calls its users.

    Raises:
        NotTaken: if that cannot be kept as it is.
    """
    try:
        return SourceWearer(user=read_id(told, member))
    except NotTaken as error:
        raise NotTaken("wearer", error.text, member) from error


def read_name(told: Any) -> str:
    """Return what people call something, on one line, as far as it can be kept."""
    if not isinstance(told, str):
        return ""
    shown = "".join(each if each.isprintable() else " " for each in told)
    return " ".join(shown.split())[:LONGEST_NAME]


def read_word(told: Any) -> str:
    """Return by what a member names one of several things; empty where by nothing."""
    if isinstance(told, int) and not isinstance(told, bool) and abs(told) < 2**63:
        return str(told)
    return told if isinstance(told, str) and len(told) <= LONGEST_NAME else ""


def inside(record: Object, *names: str) -> Object:
    """Return the object that stands there, member by member; empty where none does."""
    for name in names:
        held = record.get(name)
        record = held if isinstance(held, dict) else {}
    return record


def step(path: str, name: str) -> str:
    """Return the path of a member; one with an odd name is not told by it."""
    return f"{path}.{name}" if _PLAIN.fullmatch(name) else f"{path}.*"


def _within(at: datetime, member: str) -> datetime:
    if not EARLIEST_YEAR <= at.year <= LATEST_YEAR:
        raise NotTaken("time", _CLOCK_TEXT, member)
    return at


_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{0,20})?(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CLOCK_TEXT = f"Before {EARLIEST_YEAR}, or far ahead; is the device's clock right?"
_FIRST = microseconds(datetime(EARLIEST_YEAR, 1, 2, tzinfo=EPOCH.tzinfo))
_LAST = microseconds(datetime(LATEST_YEAR, 1, 1, tzinfo=EPOCH.tzinfo))
