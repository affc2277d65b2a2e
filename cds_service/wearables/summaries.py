"""Summaries: what a civil day of a wearer was, metric by metric. Pure.

A day is that of the wearer's zone, and as long as it is there: 23, 24 or 25 hours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class DaySummary:
    """One metric on one civil day of one patient."""

    metric: str
    day: date
    zone: str
    """An IANA name: of the wearer's link, or of the site."""
    minutes: float
    """How long the day, or its night, is."""
    part: str = "day"
    """``day`` or ``night``; a night is of the day on which it ends."""
    source: str = ""
    """Who told a total of the whole day; empty for what is made of readings."""
    n: int = 0
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    """By time, where a reading speaks for one."""
    median: float | None = None
    total: float | None = None
    """Of a cumulative metric."""
    covered: float | None = None
    """Minutes that readings speak for; None where one speaks for no time."""
    worn: float | None = None
    """Minutes for which something was measured that needs wearing; None where nothing
    tells."""
    bands: Mapping[str, float] = field(default_factory=dict)
    """Minutes in each of the metric's bands."""
    first: datetime | None = None
    last: datetime | None = None
    """Of its readings; UTC."""
    sources: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    """By name; those that told most first."""
    version: int = 1
    """Given by the store: it counts the changes of what is told."""

    @property
    def coverage(self) -> float | None:
        """Share of the day that readings speak for, 0 to 1."""
        if self.covered is None or not self.minutes:
            return None
        return self.covered / self.minutes

    def statistic(self, name: str) -> float | None:
        """Return a value by its name; None where the day has none.

        ``band:<name>`` is the share of what readings speak for that lies in that band.
        """
        if name.startswith("band:"):
            if not self.covered:
                return None
            return self.bands.get(name.removeprefix("band:"), 0.0) / self.covered
        value = {
            "min": self.min,
            "max": self.max,
            "mean": self.mean,
            "median": self.median,
            "total": self.total,
            "coverage": self.coverage,
            "worn": self.worn,
        }[name]
        return value


STATISTICS = ("min", "max", "mean", "median", "total", "coverage", "worn")
"""What a summary has by name, beside its bands."""


def turn(summary: DaySummary, priority: Sequence[str]) -> tuple[float, bool, int, str]:
    """Return a key that sorts those of one day: first that which is to be read.

    Of sums that is the highest: nobody counts steps that were not made, and who tells
    less has seen less. Else what readings make goes before what sources tell of the
    whole day, and those by *priority*.
    """
    source = summary.source
    place = priority.index(source) if source in priority else len(priority)
    return -(summary.total or 0.0), bool(source), place, source
