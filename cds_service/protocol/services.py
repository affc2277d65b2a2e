"""Service: what discovery advertises, one per id and hook."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import Problem, UnknownService, WrongHook
from .hooks import HOOKS

SPECIFICATION = "3.0.0"
"""The version of CDS Hooks that every service here speaks."""
RELEASE = "org.cds-service.release"
"""The extension that carries the service's own release; the standard has no field."""


@dataclass(frozen=True, slots=True)
class Service:
    """One CDS Service on one hook."""

    id: str
    hook: str
    title: str
    description: str
    usage_requirements: str = ""
    prefetch: Mapping[str, str] | None = None
    """Prefetch key to FHIR query template."""


def find_service(services: Iterable[Service], service_id: str, hook: str) -> Service:
    """Return the service *service_id* on *hook*.

    Raises:
        UnknownService: if no service has the id.
        WrongHook: if one has, on other hooks.
    """
    named = [service for service in services if service.id == service_id]
    if not named:
        raise UnknownService("There is no service with this id.")
    for service in named:
        if service.hook == hook:
            return service
    offered = ", ".join(sorted(service.hook for service in named))
    raise WrongHook(Problem(f"$.hook: this service is offered on {offered}", "$.hook"))


def discovery(services: Iterable[Service], *, release: str = "") -> dict[str, Any]:
    """Return the answer to discovery: every service, in the order given.

    Source: CDS Hooks 3.0.0 "Discovery".
    """
    return {"services": [_entry(service, release) for service in services]}


def _entry(service: Service, release: str) -> dict[str, Any]:
    hook = HOOKS.get(service.hook)
    members: dict[str, Any] = {
        "hook": service.hook,
        "title": service.title,
        "description": service.description,
        "id": service.id,
        "prefetch": dict(service.prefetch or {}),
        "usageRequirements": service.usage_requirements,
        "version": SPECIFICATION,
        "hookVersion": hook.version if hook else "",
        "extension": {RELEASE: release} if release else {},
    }
    return {name: value for name, value in members.items() if value}
