"""What is read of an EHR while somebody signs in: the patient, and who has a role.

Both are asked of the FHIR server that has opened the page, with the token of this very
sign-in, and are believed of that server alone.

Source: FHIR R4 "PractitionerRole"; SMART App Launch 2.2, "Scopes for requesting
identity data".
"""

import re
from collections.abc import Mapping
from time import monotonic
from typing import Any

from ...fhir.client import FhirLimits, FhirPool, FhirReader
from ...fhir.client.asking import Spent
from ...fhir.entries import is_resource
from ...fhir.scopes import Grant, grant, parse_scope
from ...http.addresses import parse_base
from ...http.exchange import ReadFailure
from .records import NotSignedIn, Provider, SignedIn

SECONDS = 5.0
"""For one resource: a browser waits for it."""
FAILED = 502
_ROLE = re.compile(r"PractitionerRole/[A-Za-z0-9.-]{1,64}", re.ASCII)
_PERSON = re.compile(r"Practitioner/[A-Za-z0-9.-]{1,64}", re.ASCII)


def read_patient(
    pool: FhirPool, provider: Provider, id: str, signed_in: SignedIn
) -> Mapping[str, Any]:
    """Return the Patient of an id, with the token of a sign-in.

    Raises:
        NotSignedIn: if it cannot be read, or is another.
    """
    try:
        patient = _read(pool, provider, f"Patient/{id}", signed_in)
    except ReadFailure as failure:
        message = f"The patient could not be read: {failure.reason}."
        raise NotSignedIn(message, FAILED) from None
    if patient is None:
        raise NotSignedIn("The EHR gave another patient than it has opened.")
    return patient


def is_same_person(
    pool: FhirPool, provider: Provider, named: str, signed_in: SignedIn
) -> bool:
    """Check whether somebody who was named otherwise is who has signed in.

    One of both is a role on this FHIR server, and the other whom that role names as its
    practitioner. Whatever cannot be asked, read or understood makes nobody the same.

    Args:
        named: Relative to the base, such as ``PractitionerRole/9``.
    """
    both = (named, signed_in.user or "")
    role = next(filter(_ROLE.fullmatch, both), None)
    person = next(filter(_PERSON.fullmatch, both), None)
    if role is None or person is None:
        return False
    scope = parse_scope(" ".join(signed_in.scopes))
    if grant(scope, role) is Grant.NONE:
        return False
    try:
        read = _read(pool, provider, role, signed_in) or {}
    except ReadFailure:
        return False
    if read.get("active") is False:
        return False
    practitioner = read.get("practitioner")
    told = practitioner.get("reference") if isinstance(practitioner, Mapping) else None
    base = provider.server.url.rstrip("/")
    return isinstance(told, str) and told.removeprefix(f"{base}/") == person


def _read(
    pool: FhirPool, provider: Provider, reference: str, signed_in: SignedIn
) -> Mapping[str, Any] | None:
    """The resource of a reference; None where another one came. Raises ReadFailure."""
    server, base = provider.server, parse_base(provider.server.url)
    assert base is not None
    reader = FhirReader(
        base,
        signed_in.tokens.access,
        " ".join(signed_in.scopes),
        pool,
        FhirLimits(),
        server.reach,
        server.ca_file,
    )
    with reader.until(monotonic() + SECONDS):
        found: Any = reader.first(reference, Spent())
    kind, _, id = reference.partition("/")
    if not is_resource(found, kind) or found.get("id") != id:
        return None
    told: Mapping[str, Any] = found
    return told
