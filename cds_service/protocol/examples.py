"""A call that every service answers, made of what the service asks for.

It is about nobody: an invented patient of whom nothing is known, so that it may be sent
to any server, and no content of rules stands here.
"""

from collections.abc import Mapping
from typing import Any

from .hooks import HOOKS, ContextField, FieldKind, build_own_hook
from .services import Service

EXPECTED = "x-status"
"""The member of an example that names its answer, where that is not the first one."""
INSTANCE = "4f1b6a52-5c6d-4d3a-9e55-0a3b9c7d2e10"
PATIENT = "example"
_PATIENT_READ = "Patient/"


def build_example_call(service: Service) -> dict[str, Any]:
    """Return a call of *service* that brings along all that it asks for."""
    hook = HOOKS.get(service.hook) or build_own_hook(service.hook)
    return {
        "hook": service.hook,
        "hookInstance": INSTANCE,
        "context": {each.name: _value_of(each) for each in hook.required},
        "prefetch": {
            key: _resource_for(template)
            for key, template in (service.prefetch or {}).items()
        },
    }


def _value_of(field: ContextField) -> Any:
    """What a field of the context holds where there is nothing to tell."""
    if field.name == "patientId":
        return PATIENT
    told: Mapping[FieldKind, Any] = {
        FieldKind.ID: "1",
        FieldKind.REFERENCE: "Practitioner/1",
        FieldKind.REFERENCES: ["ServiceRequest/1"],
        FieldKind.RESOURCE: _bundle("collection"),
        FieldKind.RESOURCES: [],
    }
    return told[field.kind]


def _resource_for(template: str) -> dict[str, Any]:
    """What a FHIR server answers to a template, of somebody with an empty chart."""
    if template.startswith(_PATIENT_READ):
        return {"resourceType": "Patient", "id": PATIENT, "birthDate": "1970-01-01"}
    return _bundle("searchset")


def _bundle(kind: str) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": []}
