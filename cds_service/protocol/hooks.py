"""The hook library: each hook, its version and what its context holds.

Source: https://cds-hooks.hl7.org/hooks, each hook's "Metadata" and "Context".
Where a hook's own table and its change log differ on the version, the table holds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .errors import Remarks
from .formats import is_id, is_reference


class FieldKind(StrEnum):
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
    kind: FieldKind
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


PATIENT = ContextField("patientId", FieldKind.ID, token=True, resource_type="Patient")
ENCOUNTER = ContextField(
    "encounterId", FieldKind.ID, token=True, resource_type="Encounter"
)
USER = ContextField("userId", FieldKind.REFERENCE, token=True)
VIEWER = ContextField("userId", FieldKind.REFERENCE, token=True, forgiven=True)
APPOINTMENTS = ContextField("appointments", FieldKind.RESOURCE)
SELECTIONS = ContextField("selections", FieldKind.REFERENCES)
DRAFTS = ContextField("draftOrders", FieldKind.RESOURCE)
ORDERS = ContextField("orders", FieldKind.RESOURCE)
DISPATCHED = ContextField(
    "dispatchedOrders", FieldKind.REFERENCES, token=True, also=("order",)
)
PERFORMER = ContextField("performer", FieldKind.REFERENCE, token=True)
TASKS = ContextField(
    "fulfillmentTasks", FieldKind.RESOURCES, also=("fulfillment-tasks", "task")
)
DRUGS = ContextField("medications", FieldKind.RESOURCE)
MEDICATION = ContextField("medication", FieldKind.RESOURCE, also=("order",))
PROBLEMS = ContextField("conditions", FieldKind.RESOURCE)
ALLERGY = ContextField(
    "allergyIntolerance", FieldKind.RESOURCE, also=("allergyIntolerances",)
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
    """Return a hook outside the library, of which only what every hook has is known."""
    return Hook(name, "", (PATIENT,), (USER, ENCOUNTER))


# The context of a call, read against the definition of its hook


def parse_context(value: Any, hook: Hook, remarks: Remarks) -> dict[str, Any]:
    """Return the context with its fields named and written as the hook defines them.

    A field without a value is left out; a field unknown to the hook stays as sent.

    Source: CDS Hooks 3.0.0 "Calling a CDS Service"; the hook's table "Context".
    """
    if not isinstance(value, dict):
        missing = value is None
        remarks.wrong("$.context", "required" if missing else "must be an object")
        return {}
    context = dict(value)
    for field in hook.fields:
        _settle(field, context, hook, remarks)
    return context


def _settle(
    field: ContextField, context: dict[str, Any], hook: Hook, remarks: Remarks
) -> None:
    """Replaces one field of *context*, under any spelling, by what it means."""
    spelling = next(
        (each for each in (field.name, *field.also) if _is_given(context.get(each))),
        field.name,
    )
    path = f"$.context.{spelling}"
    value = context.pop(spelling, None)
    if not _is_given(value):
        if field in hook.required:
            _miss(field, path, hook, remarks)
        return
    if spelling != field.name:
        remarks.deviates(path, f"{field.name} is the name in {hook.name}")
    context[field.name] = _READERS[field.kind](value, field, path, remarks)


def _is_given(value: Any) -> bool:
    return value is not None and value != ""


def _miss(field: ContextField, path: str, hook: Hook, remarks: Remarks) -> None:
    note = remarks.deviates if field.forgiven else remarks.wrong
    note(path, f"required by {hook.name}")


def parse_id(value: Any, resource_type: str, path: str, remarks: Remarks) -> str | None:
    """Return the bare id of a resource; ``Type/id`` is forgiven."""
    if not isinstance(value, str):
        remarks.wrong(path, "must be a string")
        return None
    bare = value.removeprefix(f"{resource_type}/")
    if not is_id(bare):
        remarks.wrong(path, "must be a FHIR id, without characters that break a URL")
        return None
    if bare != value:
        remarks.deviates(path, f"written as {resource_type}/id; taken as the id alone")
    return bare


def _id(value: Any, field: ContextField, path: str, remarks: Remarks) -> Any:
    return parse_id(value, field.resource_type, path, remarks)


def _reference(value: Any, field: ContextField, path: str, remarks: Remarks) -> Any:
    if not isinstance(value, str) or not is_reference(value):
        remarks.wrong(path, "must be Type/id")
    return value


def _references(value: Any, field: ContextField, path: str, remarks: Remarks) -> Any:
    if isinstance(value, str):
        remarks.deviates(path, "one reference; taken as an array of one")
        _reference(value, field, path, remarks)
        return [value]
    if not isinstance(value, list):
        remarks.wrong(path, "must be an array of Type/id")
        return value
    if not value:
        remarks.deviates(path, "an empty array")
    wrong = (
        index
        for index, each in enumerate(value)
        if not isinstance(each, str) or not is_reference(each)
    )
    remarks.wrong_items(path, wrong, "must be Type/id")
    return value


def _resource(value: Any, field: ContextField, path: str, remarks: Remarks) -> Any:
    if not isinstance(value, dict):
        remarks.wrong(path, "must be an object")
        return value
    inner = value.get("resource")
    if "resourceType" not in value and isinstance(inner, dict):
        remarks.deviates(path, "wrapped in {resource}; taken as the resource")
        return inner
    if not value:
        remarks.deviates(path, "an empty object")
    return value


def _resources(value: Any, field: ContextField, path: str, remarks: Remarks) -> Any:
    if isinstance(value, dict):
        remarks.deviates(path, "one resource; taken as an array of one")
        return [value]
    if not isinstance(value, list):
        remarks.wrong(path, "must be an array of objects")
        return value
    wrong = (index for index, each in enumerate(value) if not isinstance(each, dict))
    remarks.wrong_items(path, wrong, "must be an object")
    return value


_READERS: Mapping[FieldKind, Callable[[Any, ContextField, str, Remarks], Any]] = {
    FieldKind.ID: _id,
    FieldKind.REFERENCE: _reference,
    FieldKind.REFERENCES: _references,
    FieldKind.RESOURCE: _resource,
    FieldKind.RESOURCES: _resources,
}
