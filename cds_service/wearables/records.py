"""The records that every wearable format is turned into; units to UCUM at the edge."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

PATIENT_ID = re.compile(r"[!-.0-~]{1,128}")
"""What servers give as ids of Patients, some of them beyond what FHIR allows."""


class PatientKey(NamedTuple):
    """Whose data it is, everywhere in the server."""

    tenant: str
    fhir_base: str
    """Whose patient ids these are; ``-`` where the tenant has only one FHIR server."""
    patient_id: str


@dataclass(frozen=True, slots=True)
class AlertType:
    """A kind of wearable alert that the site knows."""

    name: str
    title: str
    metric: str = ""
    unit: str = ""
    """UCUM; empty where an alert of this type has no value."""
    codes: frozenset[tuple[str, str]] = frozenset()
    """System and code of what it is about, as a patient's Consent may name it."""
    molar_mass: float = 0.0
    """Of what is measured, in g/mol; 0 where moles do not matter."""
    names: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)
    """By format: what it calls such an alert."""
    plausible: tuple[float, float] | None = None
    """In ``unit``: the lowest and the highest that a living person can have; None where
    any number will do."""


@dataclass(frozen=True, slots=True)
class WearableAlert:
    """One alert about a patient, whatever device or vendor sent it.

    Never called plain *alert*: in decision support an alert is a card.
    """

    id: str
    """Stable at the source: the same alert sent again has the same id."""
    patient: PatientKey
    type: str
    """One of the names in ``rules/alert-types.yaml``, such as ``low-heart-rate``."""
    start: datetime
    """Where ``local``, with the offset that the wearer's clock had then."""
    opened: datetime
    """When the server first heard of it; of a detector's, the reading with which it was
    one. UTC."""
    end: datetime | None = None
    """None while it lasts."""
    local: bool = False
    """Whether it is known what the wearer's clock showed at the start."""
    metric: str = ""
    value: float | None = None
    """In ``unit``."""
    unit: str = ""
    """UCUM, e.g. ``/min``."""
    stat: str = ""
    """What ``value`` is of the readings: ``max``, ``min``, ``mean``, ``median`` or
    ``instant``."""
    threshold: float | None = None
    """In ``unit``: the limit that the device or the patient had set."""
    status: str = "open"
    """``open``, ``closed`` or ``retracted``."""
    rev: int = 0
    origin: str = "vendor"
    """``vendor`` or ``detector``."""
    device: str = ""
    source: str = ""
    """The webhook source that sent it, or told most of what it was found in."""
    coverage: float | None = None
    """Share of the time with readings, 0 to 1."""
    n: int | None = None
    """How many readings it rests on."""
    link: int = 0
    """By which link it became the patient's; 0 where the source names patients."""
    detector: str = ""
    """The name of the detector that has found it; empty for a vendor's."""
    historical: bool = False
    """It was long over when the detector first heard of it."""
    median: float | None = None
    """In ``unit``: of the readings that it rests on."""
    last: datetime | None = None
    """Up to where readings tell of it; UTC. None for a vendor's."""

    def duration(self, now: datetime) -> timedelta:
        """Return how long it lasted, or has lasted until *now*."""
        return self.until(now) - self.start

    def until(self, now: datetime) -> datetime:
        """Return its end or, while it lasts, up to when anything tells of it.

        A vendor takes a notice of it back; of a detector's the last reading tells.
        """
        return self.end or self.last or now


@dataclass(frozen=True, slots=True)
class RecentAlerts:
    """A patient's wearable alerts of some time, as far as they were read."""

    alerts: tuple[WearableAlert, ...] = ()
    """Oldest first, by their start."""
    whole: bool = True
    """False where there are more, all of which ended before any of these."""
