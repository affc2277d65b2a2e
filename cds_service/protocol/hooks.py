"""The hook library: each hook, its version and what its context holds.

Source: https://cds-hooks.hl7.org/hooks, each hook's "Metadata" and "Context".
Where a hook's own table and its change log differ on the version, the table holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a context field holds."""

    ID = "id"
    """A bare FHIR id."""
    REFERENCE = "reference"
    """``Type/id``."""
    REFERENCES = "references"
    """An array of ``Type/id``."""
    RESOURCE = "resource"
    """A FHIR resource, most often a Bundle."""
    RESOURCES = "resources"
    """An array of FHIR resources."""


@dataclass(frozen=True, slots=True)
class ContextField:
    """One field of a hook's context."""

    name: str
    kind: Kind
    token: bool = False
    """Whether a prefetch template may name it."""
    also: tuple[str, ...] = ()
    """Other spellings, from older versions and from the hook's own examples."""
    resource_type: str = ""
    """What an id is the id of; clients write it before the id."""
    forgiven: bool = False
    """Whether real clients leave it out although it is required."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One point in a clinician's work at which a CDS Client calls."""

    name: str
    version: str
    """As the definition has it: ``1.0``, not padded to a semantic version."""
    required: tuple[ContextField, ...]
    optional: tuple[ContextField, ...] = ()
    deprecated: bool = False

    @property
    def fields(self) -> tuple[ContextField, ...]:
        """Everything that the context may hold."""
        return self.required + self.optional

    @property
    def carries_orders(self) -> bool:
        """Whether the context holds orders that are being written."""
        return any(each in (DRAFTS, ORDERS, DRUGS) for each in self.fields)


PATIENT = ContextField("patientId", Kind.ID, token=True, resource_type="Patient")
ENCOUNTER = ContextField("encounterId", Kind.ID, token=True, resource_type="Encounter")
USER = ContextField("userId", Kind.REFERENCE, token=True)
VIEWER = ContextField("userId", Kind.REFERENCE, token=True, forgiven=True)
APPOINTMENTS = ContextField("appointments", Kind.RESOURCE)
SELECTIONS = ContextField("selections", Kind.REFERENCES)
DRAFTS = ContextField("draftOrders", Kind.RESOURCE)
ORDERS = ContextField("orders", Kind.RESOURCE)
DISPATCHED = ContextField(
    "dispatchedOrders", Kind.REFERENCES, token=True, also=("order",)
)
PERFORMER = ContextField("performer", Kind.REFERENCE, token=True)
TASKS = ContextField(
    "fulfillmentTasks", Kind.RESOURCES, also=("fulfillment-tasks", "task")
)
DRUGS = ContextField("medications", Kind.RESOURCE)
MEDICATION = ContextField("medication", Kind.RESOURCE, also=("order",))
PROBLEMS = ContextField("conditions", Kind.RESOURCE)
ALLERGY = ContextField(
    "allergyIntolerance", Kind.RESOURCE, also=("allergyIntolerances",)
)

# fmt: off
_LIBRARY = (
    Hook("patient-view", "1.0", (VIEWER, PATIENT), (ENCOUNTER,)),
    Hook("encounter-start", "1.0", (USER, PATIENT, ENCOUNTER)),
    Hook("encounter-discharge", "1.0", (USER, PATIENT, ENCOUNTER)),
    Hook("appointment-book", "1.0", (USER, PATIENT, APPOINTMENTS), (ENCOUNTER,)),
    Hook("order-select", "1.0", (USER, PATIENT, SELECTIONS, DRAFTS), (ENCOUNTER,)),
    Hook("order-sign", "1.0", (USER, PATIENT, DRAFTS), (ENCOUNTER,)),
    Hook("order-dispatch", "1.1", (PATIENT, DISPATCHED, PERFORMER), (TASKS,)),
    Hook("medication-refill", "0.1.0", (PATIENT, DRUGS), (USER, ENCOUNTER)),
    Hook("medication-verify", "0.1.0", (USER, PATIENT, MEDICATION), (ENCOUNTER,)),
    Hook("problem-list-item-create", "0.1.0", (USER, PATIENT, PROBLEMS), (ENCOUNTER,)),
    Hook("allergyintolerance-create", "0.1.0", (USER, PATIENT, ALLERGY), (ENCOUNTER,)),
    Hook("medication-prescribe", "1.0", (USER, PATIENT, DRUGS), (ENCOUNTER,), True),
    Hook("order-review", "1.0", (USER, PATIENT, ORDERS), (ENCOUNTER,), True),
)
# fmt: on

HOOKS: Mapping[str, Hook] = {hook.name: hook for hook in _LIBRARY}
"""The hooks of the library, by name."""


def build_own_hook(name: str) -> Hook:
    """A hook outside the library, of which only what every hook has is known."""
    return Hook(name, "", (PATIENT,), (USER, ENCOUNTER))
