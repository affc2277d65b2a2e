"""Tellings: what of a patient a destination is told, as of now and before. Pure.

A destination takes episodes and days that its subscription names. Each is told when it
is there, once more whenever it is otherwise, and taken back when it did not hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from .clock import find_zone
from .records import PatientKey, WearableAlert
from .summaries import DaySummary

EPISODE, DAY = "episode", "day"
"""Kinds of things that are told."""
Thing = WearableAlert | DaySummary
RECENT = timedelta(days=7)
"""A day that has ended before is history when it is first heard of."""


class ToldAs(StrEnum):
    """How a thing stands at the other side; the codes are those of FHIR."""

    FINAL = "final"
    AMENDED = "amended"
    ENTERED_IN_ERROR = "entered-in-error"


@dataclass(frozen=True, slots=True)
class TakenDay:
    """What a destination takes of the days of one metric."""

    metric: str
    statistics: tuple[str, ...] = ()
    """By name, as a summary has them; all that are told of the metric where empty."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one destination takes, and of whose patients."""

    destination: str
    tenant: str
    fhir_base: str = "-"
    episodes: tuple[str, ...] | None = None
    """Alert types; None for all."""
    days: tuple[TakenDay, ...] = ()
    historical: bool = False
    """Whether it takes as well what was long over when it was first heard of."""
    lateness: timedelta = timedelta(hours=1)
    """From the end of a day until it is told, for readings that come late."""

    def takes_type(self, alert_type: str) -> bool:
        """Check whether it takes alerts of a type."""
        return self.episodes is None or alert_type in self.episodes

    def takes_metric(self, metric: str) -> bool:
        """Check whether it takes days of a metric."""
        return any(each.metric == metric for each in self.days)


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """Whose it is, as this server and as the hospital calls them."""

    patient: PatientKey
    mrn: str = ""
    """The hospital's number, of the link; empty where none tells it."""
    authority: str = ""
    """Who has given that number."""


@dataclass(frozen=True, slots=True)
class PriorTelling:
    """What the other side has taken of a thing."""

    rev: int
    remote: str
    """How the other side calls it, as its destination understands it."""
    status: ToldAs
    digest: str
    """Of what was sent, as its destination makes it."""


@dataclass(frozen=True, slots=True)
class Telling:
    """One thing of one patient, to be told to one destination now."""

    destination: str
    identity: PatientIdentity
    kind: str
    """``episode`` or ``day``."""
    key: str
    """Names the thing of its kind and patient, always the same way."""
    rev: int
    """Which telling of the thing it is, from 1 on; the same when it is tried again, and
    higher once there is something else to tell."""
    thing: Thing | None
    """As it stands; None where it is gone."""
    prior: PriorTelling | None = None
    """What was told before; None for nothing."""
    uncertain: bool = False
    """Whether an attempt was begun of which nobody knows what became of it: the other
    side may have it, or be about to."""
    begun: int = 0
    """The first telling of which that is so; 0 for none."""
    settled: bool = True
    """Whether what is uncertain was looked for long enough since: what is not found now
    is not there."""

    @property
    def retracts(self) -> bool:
        """Whether it takes back what was told."""
        return self.thing is None or (
            isinstance(self.thing, WearableAlert) and self.thing.status == "retracted"
        )

    @property
    def status(self) -> ToldAs:
        """How the thing is to stand at the other side from now on."""
        if self.retracts:
            return ToldAs.ENTERED_IN_ERROR
        return ToldAs.AMENDED if self.prior else ToldAs.FINAL


def episode_key(source: str, id: str) -> str:
    """Return the key of an episode or alert: the source, and its id there."""
    return f"{source}|{id}"


def day_key(metric: str, day: str, part: str) -> str:
    """Return the key of a day: whichever summary of it is to be read is told."""
    return f"{metric}|{day}|{part}"


def split_key(key: str, parts: int) -> Sequence[str]:
    """Return what a key names, in order."""
    return key.split("|", parts - 1)


def end_of_day(day: date, zone: str) -> datetime:
    """Return when a civil day is over in a zone, in UTC; where nobody knows it, UTC's.

    On days when clocks change it is 23 or 25 hours after its beginning.
    """
    after = datetime.combine(day + timedelta(days=1), time())
    return after.replace(tzinfo=find_zone(zone) or UTC).astimezone(UTC)


def span_of_day(summary: DaySummary) -> tuple[datetime, datetime]:
    """Return the first and the last moment of which readings count for a day, in UTC.

    A night is of the day on which it ends, and may have begun on the day before.
    """
    before = timedelta(days=2 if summary.part == "night" else 1)
    begin = end_of_day(summary.day - before, summary.zone)
    end = end_of_day(summary.day, summary.zone)
    return begin, end - timedelta(microseconds=1)
