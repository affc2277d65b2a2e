"""The chart: what was read about one patient, and how complete each part is. Pure.

A source that failed is not an empty source. Everything that reads a chart sees the
state beside the resources and can tell "has none" from "could not be read".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

Resource = Mapping[str, Any]
"""A FHIR resource as plain JSON. Nothing about its shape is known before it is read."""


class SourceState(IntEnum):
    """How complete a source is; a larger value is less complete."""

    LOADED = 0
    PARTIAL = 1
    MISSING = 2


class Policy(StrEnum):
    """What it means for a service when a source is missing."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    SKIP = "skip"


SOURCES: Mapping[str, str] = {
    "patient": "Patient",
    "conditions": "Condition",
    "medication_requests": "MedicationRequest",
    "medication_statements": "MedicationStatement",
    "observations": "Observation",
    "consents": "Consent",
}
"""Source name to the resource type that it holds."""


@dataclass(frozen=True, slots=True)
class SourceQuery:
    """One prefetch key: what discovery advertises and what we fetch ourselves."""

    key: str
    """The prefetch key, such as ``medication-requests``."""
    source: str
    """The part of the chart it fills; one of ``SOURCES``."""
    template: str
    """``Condition?patient={{context.patientId}}``; without ``_count``."""
    policy: Policy = Policy.OPTIONAL

    @property
    def resource_type(self) -> str:
        """The resource type that the query asks for."""
        return SOURCES[self.source]


@dataclass(frozen=True, slots=True)
class Unusable:
    """An entry that could not be read, and why."""

    reason: str
    """A constant phrase without patient data, such as ``no subject``."""
    reference: str = ""
    """``Type/id`` where there is one."""


@dataclass(frozen=True, slots=True)
class Source:
    """One part of the chart."""

    name: str
    state: SourceState
    resources: tuple[Resource, ...] = ()
    """The patient's own, of the right type, each once."""
    why: str = ""
    """Why it is not fully loaded, such as ``HTTP 503`` or ``timeout``."""
    unusable: tuple[Unusable, ...] = ()
    foreign: int = 0
    """How many resources were about somebody else and dropped."""
    origin: str = ""
    """``prefetch``, ``fhir`` or ``context``."""


@dataclass(frozen=True, slots=True)
class Chart:
    """What is known about the context's patient."""

    patient_id: str
    patient: Resource | None
    sources: Mapping[str, Source]
    """By the names in ``SOURCES``, and ``draft_orders`` where the hook has them."""
    medications: Mapping[str, Resource] = field(default_factory=dict)
    """Medication resources by every reference that names them:
    ``Medication/1``, the absolute URL, ``urn:uuid:…``."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """The hook's context, as sent."""
    halves: int = 0
    """Half characters that were replaced in what was fetched."""
    token_refused: bool = False
    """Whether the FHIR server took the token for nothing that it was asked."""

    def state(self, name: str) -> SourceState:
        """Return the state of a source; one that nobody asked for is missing."""
        source = self.sources.get(name)
        return source.state if source else SourceState.MISSING


def medication_of(resource: Resource) -> tuple[Any, Any]:
    """Return the concept and the Reference by which a resource names its medicine.

    Source: FHIR R4 MedicationRequest.medication[x]; R5 has both in ``medication``.
    """
    concept = resource.get("medicationCodeableConcept")
    reference = resource.get("medicationReference")
    if concept is None and reference is None:
        either = resource.get("medication")
        if not isinstance(either, dict):
            return either, None
        return either.get("concept"), either.get("reference")
    return concept, reference


def is_cut(resource: Resource) -> bool:
    """Check whether labels say that a resource is not whole.

    Source: FHIR R4 "Security Labels", v3 ActCode and ObservationValue.
    """
    meta = resource.get("meta")
    for name in ("tag", "security"):
        labels = meta.get(name) if isinstance(meta, dict) else None
        for each in labels if isinstance(labels, list) else [labels]:
            code = each.get("code") if isinstance(each, dict) else None
            if isinstance(code, str) and code.strip().upper() in _CUT:
                return True
    return False


_CUT = frozenset(("SUBSETTED", "REDACTED", "MASKED"))
