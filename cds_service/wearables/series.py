"""Series: the readings of one metric of one patient, as detectors and summaries see it.

Pure. There are many: instants are whole microseconds since 1970-01-01T00:00:00Z, and
who told a reading stands beside it once for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .samples import NO_DEVICE, Context, Device, Flag, Stat


class Point(NamedTuple):
    """One reading that is kept."""

    start_us: int
    end_us: int
    """The start where it is of one instant."""
    value: float
    voice: int
    """Place among the voices of the series."""
    stat: Stat = Stat.INSTANT
    context: Context = Context.UNKNOWN
    flags: Flag = Flag(0)
    offset_s: int | None = None
    """Of the wearer's clock from UTC; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One device of one source, by one link."""

    source: str
    link: int = 0
    """0 where the source names patients."""
    device: Device = NO_DEVICE
    time_zone: str = ""
    """An IANA name: the link's; empty where it tells none."""
    grouping_s: int | None = None
    """Over how long the source takes a mean, as the link says it."""


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of one metric by their start, and who told them."""

    metric: str
    voices: Sequence[Voice] = ()
    points: Sequence[Point] = ()
