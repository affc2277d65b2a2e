"""What is known of one patient's wearables at one time, as rules are asked of it. Pure.

Alerts of vendors and of detectors, what the days were, which streams there should be,
and what detectors could not judge. A part that was not read is None, and never none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from .detection.episodes import DayTally
from .metrics import Catalogue
from .records import WearableAlert
from .summaries import DaySummary, turn


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
    whole: bool = True
    """False where there are older alerts than these that rules may ask for."""
    places: Mapping[str, int] = field(default_factory=dict)
    """By the id of an episode: which it is of those that open soon after another."""


@dataclass(frozen=True, slots=True)
class WearablesAsked:
    """What rules ask of a patient's wearables."""

    alerts: Mapping[str, datetime] = field(default_factory=dict)
    """By type: from when on they ask alerts; those that last are asked anyway."""
    days: Mapping[tuple[str, str], date] = field(default_factory=dict)
    """By metric and part of the day: from which day on they ask it."""
    streams: frozenset[str] = frozenset()
    """Metrics."""
    detectors: Mapping[str, date] = field(default_factory=dict)
    """From which day on they ask what one of them could not judge."""

    @property
    def beside_alerts(self) -> bool:
        """Whether they ask anything but alerts."""
        return bool(self.days or self.streams or self.detectors)

    def __bool__(self) -> bool:
        return bool(self.alerts) or self.beside_alerts


def best_first(
    days: Iterable[DaySummary], catalogue: Catalogue
) -> tuple[DaySummary, ...]:
    """Return days so that of each that goes first which is to be read."""

    def rank(day: DaySummary) -> tuple[object, ...]:
        metric = catalogue.metrics.get(day.metric)
        return day.day, day.part, turn(day, metric.priority if metric else ())

    return tuple(sorted(days, key=rank))
