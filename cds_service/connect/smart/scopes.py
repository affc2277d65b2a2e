"""Which scopes are asked for, and which were granted. Pure.

Asked for is what the pages read and nothing else; what was not granted is missing, and
never empty.

Source: SMART App Launch 2.2, "Scopes for requesting FHIR Resources".
"""

from collections.abc import Iterable

from ...fhir.scopes import parse_scope
from ...rulebook.engine import Rulebook
from ...trust import TrustedClient
from .configuration import OFFLINE, ONLINE, SignInConfiguration
from .records import Provider, ProviderKind

IDENTITY = ("openid", "fhirUser")
HOOK = "patient-view"
READING = "rs"
"""Reading by id and searching; SMART 1 has one word for both."""


def scopes_to_ask(
    provider: Provider,
    configuration: SignInConfiguration,
    resources: Iterable[str],
    *,
    launched: bool,
) -> tuple[str, ...]:
    """Return the scopes to ask for, in the order in which they are written.

    Args:
        resources: Types that are to be read; the Patient always is.
        launched: Whether an EHR has opened the page, which says what is open there.
    """
    if provider.kind is ProviderKind.OIDC:
        return ("openid", "profile")
    newer = configuration.newer_scopes
    if provider.app.scopes != "auto":
        newer = provider.app.scopes == "v2"
    access = READING if newer else "read"
    types = dict.fromkeys(("Patient", *sorted(resources)))
    role = f"user/PractitionerRole.{'r' if newer else 'read'}"
    return (
        "launch" if launched else "launch/patient",
        *IDENTITY,
        *_renewing(configuration, launched=launched),
        *(f"patient/{each}.{access}" for each in types),
        *((role,) if provider.app.practitioner_roles else ()),
    )


def _renewing(configuration: SignInConfiguration, *, launched: bool) -> tuple[str, ...]:
    """By what tokens are renewed, for a user who is there: no absent one is needed.

    EHRs that open the page renew so without listing it. Where no EHR has, a server may
    do it for absent users alone; it is asked for nothing that it does not list.
    """
    if launched or configuration.renews_online:
        return (ONLINE,)
    return (OFFLINE,) if configuration.renews_offline else ()


def resources_of(rulebook: Rulebook, client: TrustedClient) -> tuple[str, ...]:
    """Return the types that a client's services read where a chart is opened."""
    found = {"Patient"}
    for (id, hook), service in rulebook.services.items():
        if hook == HOOK and client.may_call(id):
            found |= {each.resource_type for each in service.queries}
            if "MedicationRequest" in found or "MedicationStatement" in found:
                found.add("Medication")  # which they refer to
    return tuple(sorted(found))


def not_granted(asked: Iterable[str], granted: Iterable[str]) -> tuple[str, ...]:
    """Return what was asked for and not granted, be it in other words."""
    told = set(granted)
    readable = {
        each.type
        for each in parse_scope(" ".join(told)).permissions
        if set(READING) & set(each.verbs)
    }
    return tuple(
        each for each in asked if each not in told and not _covers(readable, each)
    )


def _covers(readable: set[str], scope: str) -> bool:
    """Whether resources of the type of a scope may be read."""
    types = {each.type for each in parse_scope(scope).permissions}
    return bool(types) and ("*" in readable or types <= readable)
