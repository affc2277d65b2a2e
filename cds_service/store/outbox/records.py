"""What the outbox is told and tells, as data."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ...wearables.records import PatientKey
from ...wearables.telling import Telling
from ..records import StoreError

WAITING, WITHHELD, DEAD, DROPPED = "waiting", "withheld", "dead", "dropped"
"""States of what is to be told: it is told as soon as may be; the patient does not
permit it now; it was given up until somebody asks for it again; an operator does not
want it told, and is kept to know that the other side may have it all the same."""
LEASE = timedelta(minutes=3)
"""For which a lane is had. It outlives every attempt, which takes a minute at most."""


class LaneLost(StoreError):
    """Another process has the lane by now; what became of the attempt is its matter."""


@dataclass(frozen=True, slots=True)
class ThingChange:
    """One thing of a patient that is otherwise than it was."""

    kind: str
    key: str
    subject: str
    """The alert type or metric by which destinations take it."""
    due_us: int = 0
    """Before when it is not told, but for the lateness that a destination allows."""
    historical: bool = False
    takes_back: bool = False
    """It does not hold: who has never heard of it is told nothing."""
    gone: bool = False
    """It was removed for that."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One destination and patient, as one process has it alone for a while."""

    destination: str
    patient: PatientKey
    holder: str
    epoch: int
    probes: bool = False
    """Whether it tries if the destination is back."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A telling whose attempt is noted as begun."""

    telling: Telling
    attempts: int
    """That failed before."""
    first: datetime
    """When the first began; UTC."""
    looked: datetime | None = None
    """Since when what may be there is looked for; None where it is not."""


@dataclass(frozen=True, slots=True)
class Health:
    """How one destination is, as all who tell it have found."""

    failures: int = 0
    """In a row."""
    open_until: datetime | None = None
    """Until when it is left alone; None while nothing speaks against it."""
    last_success: datetime | None = None
    last_problem: str = ""

    def is_left_alone(self, now: datetime) -> bool:
        """Check whether nobody tells it anything at this moment."""
        return self.open_until is not None and self.open_until > now


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for one destination."""

    destination: str
    waiting: int = 0
    due: int = 0
    """Of those that wait: so many might be told by now."""
    withheld: int = 0
    dead: int = 0
    oldest_seconds: float = 0.0
    """For how long the oldest has been due of what waits; 0 where nothing is."""
    health: Health = Health()
    configured: bool = True
    """Whether the clients file has it still."""
    sent: int = 0
    """Attempts that were accepted, ever."""
    failed: int = 0
    """Those that were not."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One thing that is to be told, for the operator."""

    id: int
    destination: str
    patient: PatientKey
    kind: str
    key: str
    rev: int
    state: str
    noted: datetime
    due: datetime
    attempts: int
    first: datetime | None
    uncertain: bool
    problem: str = field(repr=False)
