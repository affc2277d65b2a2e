"""The hook request that an EHR sends: its context, prefetch and FHIR access."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from ..protocol.hooks import HOOKS, build_own_hook
from .exchange import Incomplete

SOMEBODY = "Practitioner/1"
"""The user of a call that needs one and names none."""
LIFETIME = 300


@dataclass(frozen=True, slots=True)
class Access:
    """How the service may read the FHIR server."""

    server: str
    token: str = field(default="", repr=False)
    scope: str = ""
    subject: str = "cds-service"


def build_context(
    hook_name: str,
    patient_id: str,
    *,
    user: str = "",
    encounter_id: str = "",
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The context of a hook, as its definition names the fields; *more* wins.

    Raises:
        Incomplete: if a required field has no value.
    """
    hook = HOOKS.get(hook_name) or build_own_hook(hook_name)
    required = {each.name for each in hook.required}
    known = {each.name for each in hook.fields}
    given = {
        "userId": user or (SOMEBODY if "userId" in required else ""),
        "patientId": patient_id,
        "encounterId": encounter_id,
    }
    context = {name: each for name, each in given.items() if each and name in known}
    context |= more or {}
    missing = sorted(required - context.keys())
    if missing:
        names = ", ".join(missing)
        raise Incomplete(
            f"{hook_name} needs {names}: give it with --context "
            f"'{{\"{missing[0]}\": …}}' or --context @file.json"
        )
    return context


def build_request(
    hook: str,
    context: Mapping[str, Any],
    prefetch: Mapping[str, Any] | None,
    access: Access | None,
) -> dict[str, Any]:
    """The body of a call."""
    request: dict[str, Any] = {
        "hook": hook,
        "hookInstance": str(uuid4()),
        "context": dict(context),
    }
    if prefetch:
        request["prefetch"] = dict(prefetch)
    if access:
        request["fhirServer"] = access.server
        if access.token:
            request["fhirAuthorization"] = _authorization(access, context)
    return request


def _authorization(access: Access, context: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        "access_token": access.token,
        "token_type": "Bearer",  # nosec B105 # the name of a type
        "expires_in": LIFETIME,
        "scope": access.scope,
        "subject": access.subject,
    }
    if "patientId" in context:
        told["patient"] = context["patientId"]
    return told


def derive_scope(templates: Iterable[Any]) -> str:
    """The SMART scopes that running *templates* takes, reading alone."""
    types = {"Medication"}
    for template in templates:
        head = str(template).partition("?")[0].partition("/")[0]
        types.add(head if head.isalpha() else "")
    return " ".join(f"patient/{each}.rs" for each in sorted(types - {""}))
