"""Samples: what wearables measured, reading by reading, and what adapters make. Pure.

An adapter turns what a format says into items, in the order of the delivery: a sample,
a notice of the vendor, a removal, or what was left out and why. None of them is any
patient's yet: a wearer is who the source says, and whose wrist that is, links tell.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntFlag, StrEnum
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

from ..protocol.errors import Problem
from .adapters.members import Sender
from .metrics import Catalogue


class SourceWearer(NamedTuple):
    """Who wore it, as the source names them; nobody, where the sender tells."""

    patient: str = ""
    """The id of a FHIR Patient."""
    user: str = ""
    """Of the source's own."""


NOBODY_NAMED = SourceWearer()


class Context(StrEnum):
    """What the wearer was doing, where the reading says it."""

    UNKNOWN = ""
    REST = "rest"
    ACTIVE = "active"
    ASLEEP = "asleep"


class Flag(IntFlag):
    """What a sample is beside a plain reading. Stored as a number: none changes."""

    MANUAL = 1
    """Typed by a person."""
    DAY_TOTAL = 2
    """Of a whole day; never added to what is told of parts of it."""
    GROUPED = 4
    """A statistic over a time whose length is not known."""
    ESTIMATED = 8
    """Worked out by the vendor from something else."""
    BELOW = 16
    """The value is a bound: it was that at most, and less than the device measures."""
    ABOVE = 32
    """The value is a bound: it was that at least, and more than the device measures."""


BOUNDS = Flag.BELOW | Flag.ABOVE
"""What is flagged so says on which side of a number it was. It decides a comparison
with a limit on the other side of that, and is never averaged, added or subtracted."""


class Stat(StrEnum):
    """What the value is of what was measured in the interval."""

    INSTANT = "instant"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    MEDIAN = "median"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Device:
    """What measured."""

    id: str = ""
    """Stable at the source; empty where it names none."""
    name: str = ""
    app: str = ""
    """Through what it reached the source, where that tells several apart."""


NO_DEVICE = Device()


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading."""

    metric: str
    """A name of ``rules/metrics.yaml``."""
    value: float
    """In ``unit``."""
    unit: str
    """UCUM: the metric's."""
    start: datetime
    """Aware; where ``local``, with the offset that the wearer's clock had."""
    end: datetime
    """The start where it is of one instant."""
    local: bool = False
    wearer: SourceWearer = NOBODY_NAMED
    device: Device = NO_DEVICE
    source_id: str = ""
    """Stable at the source; empty where it gives none."""
    revision: int = 0
    """A higher one holds instead of a lower one; milliseconds since 1970 where the
    source tells when it changed something."""
    stat: Stat = Stat.INSTANT
    context: Context = Context.UNKNOWN
    flags: Flag = Flag(0)
    path: str = ""
    """Where it stood in what came."""

    @property
    def comparator(self) -> str:
        """Return how the value bounds what was measured, ``<`` or ``>``; else empty."""
        below = "<" if self.flags & Flag.BELOW else ""
        return ">" if self.flags & Flag.ABOVE else below

    @property
    def key(self) -> bytes:
        """Return 16 bytes that tell it from others of its wearer, source and metric.

        From all of them, if the source has given it an id. Else from all that have its
        start, by device, length and statistic: the value is no part of it, so that
        another value is a revision.
        """
        if self.source_id:
            return key_of_id(self.source_id, self.stat)
        length = microseconds(self.end) - microseconds(self.start)
        return key_at_start(self.device, self.stat, self.flags, length)


@dataclass(frozen=True, slots=True)
class KeptSample:
    """One sample that is kept, and who told it."""

    sample: Sample
    source: str
    link: int
    """By which link it became the patient's; 0 where the source names patients."""
    received: datetime
    """UTC."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert by the vendor or the device itself."""

    type: str
    """One of the names in ``rules/alert-types.yaml``."""
    id: str
    """Stable at the source, or made of what it says."""
    start: datetime
    end: datetime | None
    local: bool = False
    wearer: SourceWearer = NOBODY_NAMED
    device: Device = NO_DEVICE
    value: float | None = None
    """In the unit of the type."""
    stat: str = ""
    threshold: float | None = None
    """In the unit of the type."""
    n: int | None = None
    revision: int = 0
    retracted: bool = False
    path: str = ""


@dataclass(frozen=True, slots=True)
class Removal:
    """What the source has taken back: by its id, or all of a metric in an interval."""

    wearer: SourceWearer = NOBODY_NAMED
    metric: str = ""
    """Empty for any."""
    source_id: str = ""
    start: datetime | None = None
    end: datetime | None = None
    revision: int = 0
    path: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was not taken in."""

    reason: str
    """One of ``REJECTED`` or ``SKIPPED``."""
    problem: Problem
    """With its path."""
    id: str = ""
    """Of the source, where it could be read."""

    @property
    def rejected(self) -> bool:
        """Whether the sender has to mend it."""
        return self.reason in REJECTED


REJECTED = (
    *("malformed", "metric", "unit", "implausible", "time", "clock", "wearer"),
    "consent",
)
SKIPPED = ("no-value", "sentinel", "goal", "demo", "other-user", "other-kind")
"""Why something is left out that nobody has to mend."""

Item = Sample | Notice | Removal | LeftOut


class Adapter(Protocol):
    """One format, read."""

    def __call__(
        self, body: Any, sender: Sender, catalogue: Catalogue
    ) -> Iterator[Item]:
        """Yield what *body* says.

        Raises:
            Unprocessable: if it is none of the format at all.
        """


def key_of_id(source_id: str, stat: Stat) -> bytes:
    """Return the key of the sample to which the source has given an id."""
    return _key("id", source_id, stat)


def key_at_start(device: Device, stat: Stat, flags: Flag, length_us: int) -> bytes:
    """Return the key of a sample without an id, among those of its start."""
    whole_day = str(int(flags & Flag.DAY_TOTAL))
    named = (device.id, device.name, device.app)
    return _key("at", *named, stat, whole_day, str(length_us))


def _key(*told: str) -> bytes:
    return blake2b("\0".join(told).encode(), digest_size=16).digest()


def microseconds(at: datetime) -> int:
    """Return the microseconds from 1970-01-01T00:00:00Z to *at*."""
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
