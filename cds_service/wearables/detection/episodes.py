"""Episodes: what detectors have found, told again when late data come. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from ..samples import microseconds


class Closing(StrEnum):
    """Why an episode is over."""

    LASTS = ""
    RECOVERED = "recovered"
    NO_DATA = "no-data"
    """Nothing came any more, which is no recovery."""


class NotJudged(StrEnum):
    """Why a detector could not say anything."""

    LOW_COVERAGE = "low-coverage"
    TOO_SPARSE = "too-sparse"
    """Readings lie further apart than one of them speaks for."""
    REST_UNKNOWN = "rest-unknown"
    TOO_FEW_DAYS = "too-few-days"
    WEAR_UNKNOWN = "wear-unknown"
    SOMEBODY_ELSE = "somebody-else"
    """The reading is probably another person's."""
    BY_HAND = "by-hand"
    """Typed by a person, of a moment that nobody has measured."""
    GROUPED = "grouped"
    """A statistic of readings over a time that is too long, or not known."""
    CLOCK_SKEWED = "clock-skewed"
    """The device's clock is ahead: readings of the future were refused as they came. It
    is told of the day on which they came."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode of a patient, as the readings that are kept tell it."""

    detector: str
    version: str
    """Of the detector."""
    alert_type: str
    start: datetime
    """Where ``local``, with the offset that the wearer's clock had."""
    opened: datetime
    """The reading with which it was one; UTC."""
    last: datetime
    """Up to where readings tell of it, and of its recovery; UTC."""
    end: datetime | None
    """When it was over: the first reading of the recovery, or the last one before
    nothing came; UTC. None while it lasts."""
    closing: Closing
    peak: float
    """The highest value, or the lowest where what is low is in breach."""
    median: float
    threshold: float
    """Of the patient's own or the detector's."""
    n: int
    coverage: float
    """Share of its time up to ``last`` that readings speak for, 0 to 1."""
    source: str
    """That told most of it."""
    device: str
    """That measured most of it, by its name."""
    local: bool = False

    def meets(self, from_us: int, to_us: int) -> bool:
        """Check whether it has an instant of a time, both ends of which are its own."""
        stop = self.last if self.end is None else max(self.last, self.end)
        return microseconds(self.start) <= to_us and microseconds(stop) >= from_us


@dataclass(frozen=True, slots=True)
class StoredEpisode:
    """An episode under the id that it got when it was first stored."""

    id: str
    rev: int
    episode: Episode
    historical: bool
    """It was history when it was first known."""


@dataclass(frozen=True, slots=True)
class DayTally:
    """What a detector made of one source's readings, or days, of one civil day."""

    detector: str
    day: date
    source: str
    judged: int
    not_judged: Mapping[NotJudged, int] = field(default_factory=dict)
    opened: int = 0
    """Episodes."""
