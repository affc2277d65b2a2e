"""Consents of patients who play one: what somebody may sign, as a FHIR Consent.

Source: FHIR R4 "Consent"; HL7 code system ``consentaction``.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from ..wearables.adapters.provisions import ACTIONS
from ..wearables.consent import ConsentAction

TERMS = "http://terminology.hl7.org/CodeSystem"


@dataclass(frozen=True, slots=True)
class SignedConsent:
    """What a patient is to have said."""

    patient: str
    id: str
    permits: tuple[ConsentAction, ...]
    codes: tuple[tuple[str, str], ...] = ()
    """System and code of the data that it is about; empty for any."""
    until: str = ""
    """As FHIR writes a time; empty for no end."""
    withdrawn: bool = False


def usual_id(patient: str) -> str:
    """Return the id of the Consent that is made for a patient, the same each time."""
    return f"trial-{uuid5(NAMESPACE_URL, f'Patient/{patient}')}"


def build_consent(signed: SignedConsent, now: datetime) -> dict[str, Any]:
    """Return the FHIR R4 Consent that says so."""
    provision: dict[str, Any] = {
        "type": "permit",
        "action": [_concept(ACTIONS, str(each)) for each in signed.permits],
    }
    if signed.codes:
        provision["code"] = [_concept(*each) for each in signed.codes]
    if signed.until:
        provision["period"] = {"end": signed.until}
    updated = now.isoformat(timespec="milliseconds")
    return {
        "resourceType": "Consent",
        "id": signed.id,
        "meta": {"lastUpdated": updated},
        "status": "inactive" if signed.withdrawn else "active",
        "scope": _concept(f"{TERMS}/consentscope", "patient-privacy"),
        "category": [_concept(f"{TERMS}/v3-ActCode", "IDSCL")],
        "patient": {"reference": f"Patient/{signed.patient}"},
        "dateTime": updated,
        "policyRule": _concept(f"{TERMS}/v3-ActCode", "OPTIN"),
        "provision": provision,
    }


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}
