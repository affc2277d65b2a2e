"""HookRequest: one call of a CDS Service, read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FhirAuthorization:
    """The EHR's permission to read its FHIR server, for this call only."""

    access_token: str
    """Transient: never stored, logged or audited."""
    scope: str
    subject: str
    expires_in: int | None = None
    """Seconds; none where the client did not say."""
    patient: str | None = None

    def __repr__(self) -> str:
        return "FhirAuthorization(access_token=<withheld>)"


@dataclass(frozen=True, slots=True)
class HookRequest:
    """One call of a CDS Service."""

    hook: str
    hook_instance: str
    """As sent, but a UUID in lower case without ``urn:uuid:``."""
    instance_is_uuid: bool
    patient_id: str
    """A bare id, without ``Patient/``."""
    user_id: str | None
    """``Type/id``; none where the hook has no user or the client left it out."""
    encounter_id: str | None
    context: Mapping[str, Any]
    """As sent, with every field, known or not."""
    prefetch: Mapping[str, Any]
    """As sent; a key that is absent was not supplied, null means none found."""
    fhir_server: str | None
    fhir_authorization: FhirAuthorization | None
    deviations: tuple[str, ...] = ()
    """What was forgiven, in words; holds no patient data."""
