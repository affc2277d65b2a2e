"""What is put among the samples and what comes back, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from ...wearables.held import Holdable
from ...wearables.records import PatientKey
from ...wearables.samples import Removal, Sample

NO_LINK = 0
"""Where the source itself names patients."""


class StreamOwner(NamedTuple):
    """Whose samples they are, and how that is known."""

    patient: PatientKey
    source: str
    link: int = NO_LINK


Skewed = Mapping[tuple[StreamOwner, str], int]
"""How many readings of an owner and a metric came from a clock that is ahead."""


class SampleStream(NamedTuple):
    """One metric of one owner, in one unit."""

    owner: StreamOwner
    metric: str
    unit: str


class ItemOutcome(StrEnum):
    """What became of one item of a delivery."""

    ACCEPTED = "accepted"
    """It is there now."""
    DUPLICATE = "duplicate"
    """The same was there."""
    REVISED = "revised"
    """It holds instead of another, which is kept beside it."""
    OUTDATED = "outdated"
    """A higher revision holds, or it was taken back."""
    REMOVED = "removed"
    """What it takes back is gone, and will be if it comes again."""
    QUARANTINED = "quarantined"
    """It is held, since nobody knows yet whose it is."""
    NO_ROOM = "no-room"
    """So much is held of that wearer, or of all, that it is not."""


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """What one delivery brings of one owner."""

    owner: StreamOwner
    items: Sequence[Sample | Removal]

    @property
    def takes_back(self) -> bool:
        """Whether anything of it is a removal."""
        return any(isinstance(each, Removal) for each in self.items)


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far the export of a phone was taken in."""

    owner: StreamOwner
    basis: str
    """A digest of the file and of all that its reading rests on."""
    items: int
    """So many from its beginning were taken in or left out."""
    whole: bool = False
    """Whether these are all."""


class UnknownWearer(NamedTuple):
    """A user or device of a source that no link names."""

    tenant: str
    source: str
    user: str
    device: str


@dataclass(frozen=True, slots=True)
class HeldBatch:
    """What one delivery brings of a wearer who is not known."""

    wearer: UnknownWearer
    format: str
    """In which it came."""
    items: Sequence[Holdable]


@dataclass(frozen=True, slots=True)
class QuarantineLimits:
    """How many items are held at most."""

    per_wearer: int = 10_000
    whole: int = 200_000
    """Of all wearers together."""


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """One stream of samples, counted."""

    stream: SampleStream
    samples: int
    first: datetime | None
    """The earliest start; UTC. None where there is no sample."""
    last: datetime | None
    """The latest start; UTC."""
    withdrawn: datetime | None
    """From when on it turned out to be another's; the earliest time for all of it."""


@dataclass(frozen=True, slots=True)
class SourceArrivals:
    """When a source was heard last."""

    tenant: str
    source: str
    received: datetime
    """When the newest of its samples came; UTC."""
    newest: datetime
    """The latest start of any of them; UTC."""


class LinkEnd(NamedTuple):
    """A link that is over, or never was right."""

    id: int
    at: datetime | None = None
    """Aware; None where it is taken back from its beginning."""


class LinkOutcome(NamedTuple):
    """What became of a link that was told, or of its end."""

    id: int
    """0 where it was refused."""
    refusal: str = ""
