"""Deliveries of any format: who sent them, and their members, read one by one.

All that is wrong with an item is collected.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from difflib import get_close_matches
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from ...protocol.errors import Problem
from ...protocol.formats import is_whole
from ..clock import (
    ClocksDiffer,
    Stamp,
    find_zone,
    parse_offset,
    parse_stamp,
    read_clock,
)
from ..records import PATIENT_ID


class Sender(Protocol):
    """Who sent the delivery: a webhook source of the clients file."""

    @property
    def id(self) -> str:
        """The source's name in the clients file."""

    @property
    def tenant(self) -> str:
        """Whose patients it speaks of."""

    @property
    def fhir_base(self) -> str:
        """Whose patient ids it uses; ``-`` where the tenant has one FHIR server."""

    @property
    def time_zone(self) -> str:
        """Where all its wearers are; empty where they may be in several zones."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that cannot be stored, with everything that is wrong with it."""

    index: int
    id: str
    """Empty where the item has no usable id."""
    problems: tuple[Problem, ...]


LARGEST_COUNT = 2**31 - 1
EARLIEST_YEAR = 2000
"""No wearable measured before; a clock that says so was never set."""
LATEST_YEAR = 9998
"""What is later may be beyond the calendar on another clock."""


class Members:
    """One object of somebody else's making. What cannot be used reads as absent."""

    def __init__(
        self, value: Mapping[str, Any], path: str, problems: list[Problem] | None = None
    ) -> None:
        self.problems = [] if problems is None else problems
        self._path = path
        self._members = value

    def refuse(self, name: str, text: str) -> None:
        """Note what is wrong with a member."""
        self.problems.append(Problem(text, f"{self._path}.{name}"))

    def has(self, name: str) -> bool:
        """Check whether the member is there and not null."""
        return self._members.get(name) is not None

    def require(self, *names: str) -> None:
        """Note each member that is not there."""
        for name in names:
            if not self.has(name):
                self.refuse(name, "Required.")

    def inside(self, name: str) -> "Members | None":
        """Return the object that a member holds; None where it holds something else."""
        value = self._members.get(name)
        if not isinstance(value, dict):
            return None
        return Members(value, f"{self._path}.{name}", self.problems)

    def text(self, name: str, longest: int) -> str:
        """Printable text with single spaces; empty where absent."""
        if not self.has(name):
            return ""
        value = self._members[name]
        text = " ".join(value.split()) if isinstance(value, str) else ""
        if not text or not text.isprintable() or len(text) > longest:
            self.refuse(name, f"Must be printable text of 1 to {longest} characters.")
            return ""
        return text

    def identifier(self, name: str, longest: int) -> str:
        """Return text that names something, so that nothing else may look like it."""
        text = self.text(name, longest)
        if not is_whole(text):
            self.refuse(name, "Must not hold half a character.")
            return ""
        return text

    def choice(self, name: str, allowed: Collection[str], default: str = "") -> str:
        """Return one of the allowed words."""
        if not self.has(name):
            return default
        value = self._members[name]
        if isinstance(value, str) and value in allowed:
            return value
        near = get_close_matches(value[:64], allowed, 1) if type(value) is str else []
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(allowed)}."
        self.refuse(name, f"Not known here: {hint}")
        return default

    def choices(self, name: str, allowed: Collection[str]) -> tuple[str, ...]:
        """Return those of the allowed words that a list holds."""
        if not self.has(name):
            return ()
        value = self._members[name]
        words = value if isinstance(value, list) else [None]
        if all(isinstance(each, str) and each in allowed for each in words):
            return tuple(words)
        self.refuse(name, f"Must be a list of any of {', '.join(allowed)}.")
        return ()

    def flag(self, name: str) -> bool:
        """Return whether something is said to be so; where it is absent it is not."""
        value = self._members.get(name)
        if value is not None and not isinstance(value, bool):
            self.refuse(name, "Must be true or false.")
        return value is True

    def stamp(self, name: str) -> Stamp | None:
        """Return a date and time with an offset.

        Source: RFC 3339 §5.6, RFC 9557 §4.1.
        """
        if not self.has(name):
            return None
        value = self._members[name]
        try:
            stamp = parse_stamp(value if isinstance(value, str) else "")
        except ValueError:
            self.refuse(name, _TIME_TEXT)
            return None
        if not EARLIEST_YEAR <= stamp.at.year <= LATEST_YEAR:
            side = "Before" if stamp.at.year < EARLIEST_YEAR else "Long after"
            self.refuse(name, f"{side} {EARLIEST_YEAR}; is the device's clock right?")
            return None
        return stamp

    def offset(self, name: str) -> timedelta | None:
        """Return how far a clock is ahead of UTC, like ``-05:00``."""
        if not self.has(name):
            return None
        value = self._members[name]
        offset = parse_offset(value) if isinstance(value, str) else None
        if offset is None:
            self.refuse(name, "Must be an offset from UTC, like -05:00.")
        return offset

    def zone(self, name: str) -> ZoneInfo | None:
        """Return a time zone of the IANA database."""
        if not self.has(name):
            return None
        value = self._members[name]
        zone = find_zone(value) if isinstance(value, str) else None
        if zone is None:
            self.refuse(name, ZONE_TEXT)
        return zone

    def on_clock(
        self, name: str, stamp: Stamp, usual: tzinfo | None
    ) -> tuple[datetime, bool]:
        """Return a time on the wearer's clock, and whether that clock is known.

        ``time_zone`` and ``utc_offset`` may stand beside it.

        Args:
            usual: The zone of all wearers of the source, where they are in one.
        """
        zone, offset = self.zone("time_zone"), self.offset("utc_offset")
        bracketed = find_zone(stamp.zone) if stamp.zone else None
        if stamp.zone and bracketed is None:
            self.refuse(name, ZONE_TEXT)
        if zone and bracketed and zone.key != bracketed.key:
            self.refuse("time_zone", f"The {name} names another time zone.")
        try:
            return read_clock(stamp, offset, zone or bracketed, usual)
        except ClocksDiffer:
            told = "time_zone" if zone else "utc_offset" if offset is not None else name
            self.refuse(told, "The offsets from UTC that are given for it differ.")
            return stamp.at, False

    def patient(self, name: str) -> str:
        """Return the id of a FHIR Patient, which may be written as a reference."""
        text = self.text(name, 136)
        patient = text.removeprefix("Patient/")
        if text and not PATIENT_ID.fullmatch(patient):
            self.refuse(name, "Must be the id of a FHIR Patient.")
        return patient

    def number(self, name: str) -> float | None:
        """Return a finite number."""
        if not self.has(name):
            return None
        value = self._members[name]
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return number
        self.refuse(name, "Must be a finite number.")
        return None

    def whole(self, name: str, most: int = LARGEST_COUNT) -> int | None:
        """Return a whole number from 0 to *most*."""
        if not self.has(name):
            return None
        value = self._members[name]
        if isinstance(value, int) and not isinstance(value, bool):
            if 0 <= value <= most:
                return value
        self.refuse(name, f"Must be a whole number from 0 to {most}.")
        return None


_TIME_TEXT = "Must be a date and time with an offset, like 2026-11-22T08:05:00-05:00."
ZONE_TEXT = "Must be a time zone of the IANA database, like America/New_York."
