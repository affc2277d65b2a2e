"""What is known of one patient's wearables at one time, as rules are asked of it. Pure.

Alerts of vendors and of detectors, what the days were, which streams there should be,
and what detectors could not judge. A part that was not read is None, and never none.
"""

from dataclasses import dataclass
from datetime import datetime

from .detection.episodes import DayTally
from .records import WearableAlert
from .summaries import DaySummary


@dataclass(frozen=True, slots=True)
class AgreedStream:
    """One metric that a source was to tell of a patient, heard of lately or not."""

    metric: str
    source: str
    since: datetime
    """From when on it was agreed; aware."""
    newest: datetime | None = None
    """When what was measured last ended; aware. None where nothing came."""
    device: str = ""
    """That measured last, by its name."""

    @property
    def heard(self) -> datetime:
        """Since when nothing has been heard of it."""
        return self.newest or self.since


@dataclass(frozen=True, slots=True)
class Wearables:
    """A patient's wearables, as far as rules may see them."""

    alerts: tuple[WearableAlert, ...] | None = ()
    days: tuple[DaySummary, ...] | None = ()
    """Of several of one day, what goes first is what is read."""
    streams: tuple[AgreedStream, ...] | None = ()
    tallies: tuple[DayTally, ...] | None = ()
