"""Detectors: what makes an episode of readings, as ``rules/detectors/`` says it. Pure.

All numbers are content. A limit of the patient's own, set by the clinic or on the
device, goes before that of the detector.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from hashlib import blake2b


class Direction(StrEnum):
    """On which side of its limit a value is in breach."""

    ABOVE = "above"
    AT_LEAST = "at_least"
    BELOW = "below"
    AT_MOST = "at_most"

    def breaches(self, value: float, limit: float) -> bool:
        """Check whether a value is in breach of a limit."""
        match self:
            case Direction.ABOVE:
                return value > limit
            case Direction.AT_LEAST:
                return value >= limit
            case Direction.BELOW:
                return value < limit
            case Direction.AT_MOST:
                return value <= limit

    @property
    def is_high(self) -> bool:
        """Whether what is too much is in breach."""
        return self in (Direction.ABOVE, Direction.AT_LEAST)


@dataclass(frozen=True, slots=True)
class Rest:
    """What proves that somebody rests, where a reading does not say it.

    An interval of steps does, if it is short: a day's total is four steps a minute, and
    would make a run count as rest.
    """

    metric: str
    """Cumulative, such as ``steps``."""
    per_minute: float
    """More than this is no rest."""
    lookback: timedelta
    """Before a reading: there nobody moved."""
    longest: timedelta
    """An interval that is longer proves nothing."""
    covered: float
    """Share of ``lookback``, 0 to 1, that intervals must tell of; with 0 one that meets
    it is enough."""


@dataclass(frozen=True, slots=True)
class SustainedBreach:
    """Beyond a limit for so long, on enough readings, at rest.

    Source: wearables.md section 3.2; a reading speaks for the time until the next one,
    and for ``gap`` at most.
    """

    direction: Direction
    limit: float
    clear: float
    """On the safe side of the limit: from there on, back to it, it goes on."""
    hold: timedelta
    gap: timedelta
    coverage: float
    """Share of ``hold`` that readings speak for, at least."""
    share: float
    """Share of that which is in breach, at least."""
    readings: int
    """So many of them, at least."""
    edge: timedelta
    """How much of the beginning of ``hold`` nothing needs to speak for."""
    recovery: timedelta
    """All clear for so long, and it is over."""
    silence: timedelta
    """Nothing for so long, and it is over without recovery."""
    rest: Rest | None = None
    """None where it does not matter whether the wearer rests."""


@dataclass(frozen=True, slots=True)
class DaysBeyond:
    """Beyond a limit on so many of the last valid days."""

    direction: Direction
    limit: float
    statistic: str
    """Of the days' summaries."""
    days: int
    of: int
    part: str = "day"
    """``day`` or ``night``."""
    coverage: float = 0.0
    """Share of a day that readings speak for, at least, where they speak for a time."""


@dataclass(frozen=True, slots=True)
class BaselineShift:
    """Above or below one's own baseline on so many days, one after the other.

    The baseline is the median of the days before; it does not move while this lasts.
    """

    direction: Direction
    by: float
    """At least so much from the baseline."""
    deviations: float
    """And at least so many standard deviations, reckoned as 1.4826 of the median
    absolute deviation. Source: Rousseeuw and Croux, JASA 1993;88:1273."""
    statistic: str
    days: int
    baseline: int
    """Days."""
    least: int
    """Valid days that a baseline takes."""
    left_out: int
    """The last days, which are no part of it."""
    part: str = "day"
    coverage: float = 0.0


@dataclass(frozen=True, slots=True)
class Gain:
    """Higher by so much than so many days before, on the same device."""

    over: tuple[tuple[int, float], ...]
    """Days, and by how much: any of these."""
    implausible: float
    """More in a day is somebody else's reading."""


@dataclass(frozen=True, slots=True)
class Decline:
    """Days lie lower by a share than those before them."""

    by: float
    """Share, 0 to 1."""
    statistic: str
    recent: int
    """Days."""
    before: int
    """Days before these."""
    least: int
    """Valid days that each of both takes."""
    worn: timedelta
    """A day on which it was worn for less is not valid."""


Pattern = SustainedBreach | DaysBeyond | BaselineShift | Gain | Decline


@dataclass(frozen=True, slots=True)
class OwnLimit:
    """Between what a patient's own limit may lie."""

    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Detector:
    """One detector."""

    name: str
    """In kebab case."""
    version: str
    title: str
    metric: str
    alert_type: str
    """Of the episodes: a name of ``rules/alert-types.yaml``."""
    unit: str
    """UCUM: the metric's, in which limits are."""
    pattern: Pattern
    status: str
    """``draft``, ``shadow``, ``active`` or ``retired``, as rules have it."""
    lateness: timedelta
    """What opened so long before it was known is history."""
    cooldown: timedelta
    """What opens so soon after another is the same matter again: see ``recurring``."""
    own_limit: OwnLimit | None = None
    """None where patients have none of their own."""
    file: str = ""
    """In the rules folder."""
    effective: date | None = None
    """The first day on which it detects."""
    expires: date | None = None
    """The first on which it no longer does."""
    review_by: date | None = None

    @property
    def is_evaluated(self) -> bool:
        """Whether it detects anything, be it in shadow."""
        return self.status in ("active", "shadow")

    def in_force(self, day: date) -> bool:
        """Check whether what opens on a day of the wearer's is detected."""
        started = self.effective is None or self.effective <= day
        return (
            self.is_evaluated and started and not (self.expires and day >= self.expires)
        )

    @property
    def key(self) -> str:
        """``detector@version``, as records name it."""
        return f"{self.name}@{self.version}"

    @property
    def content(self) -> str:
        """The version, and a digest of all by which it judges: a site's own params too.

        Two of one content find the same in the same readings.
        """
        told = (self.metric, self.unit, self.pattern, self.own_limit)
        whole = repr((*told, self.effective, self.expires))
        return f"{self.version} {blake2b(whole.encode(), digest_size=8).hexdigest()}"

    def with_limit(self, limit: float) -> "Detector":
        """Return the detector with a patient's own limit, as far as it may go.

        Where it is clear moves with it.
        """
        pattern, own = self.pattern, self.own_limit
        if own is None or not isinstance(pattern, SustainedBreach | DaysBeyond):
            return self
        limit = min(max(limit, own.lowest), own.highest)
        if isinstance(pattern, DaysBeyond):
            return replace(self, pattern=replace(pattern, limit=limit))
        clear = pattern.clear + limit - pattern.limit
        return replace(self, pattern=replace(pattern, limit=limit, clear=clear))
