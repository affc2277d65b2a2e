"""What detection is given, and what it tells, as data."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from ...wearables.consent_gate import ConsentGate
from ...wearables.detection.detectors import Detector
from ...wearables.detection.episodes import StoredEpisode
from ...wearables.records import PatientKey

Span = tuple[int, int]
"""Microseconds since 1970-01-01T00:00:00Z, both included."""
DAYS_AT_ONCE = 7


def hull(spans: Iterable[Span]) -> Span:
    """Return the time from the first start to the last end; there is at least one."""
    starts, ends = zip(*spans)
    return min(starts), max(ends)


@dataclass(frozen=True, slots=True)
class Detection:
    """By what the readings of one tenant are judged."""

    detectors: Sequence[Detector]
    gate: ConsentGate
    """How consents are read, with all metrics and alerts that the site knows, and the
    zone of the site, which is the wearer's where no link tells another."""
    days: int = DAYS_AT_ONCE
    """Of so many at most is judged in one transaction; what is longer becomes due."""

    def reads(self, detector: Detector) -> frozenset[str]:
        """Return the metrics that a detector is about, and by which it judges."""
        rest = getattr(detector.pattern, "rest", None)
        return frozenset({detector.metric} | ({rest.metric} if rest else set()))


@dataclass(frozen=True, slots=True)
class EpisodeChange:
    """One episode that is otherwise than it was."""

    patient: PatientKey
    id: str
    rev: int
    detector: str
    alert_type: str
    status: str
    """``open``, ``closed`` or ``retracted``."""
    was: str = ""
    """What it was before; empty where it is new."""
    source: str = ""
    historical: bool = False

    @property
    def happened(self) -> tuple[str, ...]:
        """What is counted of it: ``opened``, ``closed``, ``revised``, ``retracted``."""
        opened = () if self.was else ("opened",)
        ended = () if self.status in ("open", self.was) else (self.status,)
        return (*opened, *ended) or ("revised",)


@dataclass(frozen=True, slots=True)
class DetectionOutcome:
    """What detection did in one transaction."""

    episodes: tuple[EpisodeChange, ...] = ()
    judged: Mapping[str, int] = field(default_factory=dict)
    """By detector: so many more readings, or days, than were judged before."""
    not_judged: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By detector and reason, likewise."""
    due: int = 0
    """Metrics of patients that became due instead, or still are."""
    seconds: float = 0.0

    def __add__(self, other: "DetectionOutcome") -> "DetectionOutcome":
        return DetectionOutcome(
            self.episodes + other.episodes,
            Counter(self.judged) + Counter(other.judged),
            Counter(self.not_judged) + Counter(other.not_judged),
            self.due + other.due,
            self.seconds + other.seconds,
        )


def told_of_episodes(changes: Iterable[EpisodeChange]) -> dict[str, Any]:
    """Return what the trail tells of them: whose, and what became of each."""
    told = [
        [each.patient.patient_id, each.id, each.rev, each.alert_type, each.status]
        for each in changes
    ]
    return {"episodes": told} if told else {}


@dataclass(frozen=True, slots=True)
class JudgedBefore:
    """Days that a detector has judged by what it was before."""

    detector: str
    days: int
    """Of patients and sources."""
    first: date
    """Of these days."""


@dataclass(frozen=True, slots=True)
class DueRange:
    """What is to be judged still of one patient and metric."""

    patient: PatientKey
    metric: str
    span: Span
    noted: datetime
    """UTC."""
    why: str


@dataclass(frozen=True, slots=True)
class SilentLook:
    """What one look for episodes found that last though nothing comes any more."""

    noted: int = 0
    """So many are due now."""
    last: tuple[Any, ...] | None = None
    """After which the next look goes on; None where this one came to the end."""


@dataclass(frozen=True, slots=True)
class KeptEpisode:
    """An episode as it is kept, whatever became of it."""

    stored: StoredEpisode
    metric: str
    unit: str
    stat: str
    status: str
    """``open``, ``closed`` or ``retracted``."""
    replaced_by: str = ""
    """The id of the episode in favour of which it was taken back."""


@dataclass(frozen=True, slots=True)
class OwnLimitRecord:
    """A limit of one patient's own, as the clinic has set it."""

    id: int
    detector: str
    value: float
    """In the detector's unit."""
    since: datetime
    """UTC."""
    until: datetime | None
    """None while it holds."""
    set_by: str
    set: datetime
    """UTC."""
