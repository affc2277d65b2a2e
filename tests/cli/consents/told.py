"""Consents that servers and others tell of, and what of them is kept."""

import json
from datetime import UTC, datetime

from cds_service.store.records import AuditEvent
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange, stamp_of
from cds_service.wearables.records import PatientKey

ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
NAMED = [{"coding": [{"system": ACTIONS, "code": each}]} for each in ("collect", "use")]
NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)


def consent(number, patient=None, **members):
    """An R4 Consent to collect and to use, each of another patient by default."""
    return {
        "resourceType": "Consent",
        "id": f"c{number}",
        "meta": {"lastUpdated": "2026-11-01T09:00:00Z"},
        "status": "active",
        "patient": {"reference": patient or f"Patient/p{number}"},
        "provision": {"type": "permit", "action": NAMED},
        **members,
    }


def of_r5(number):
    resource = consent(number, decision="permit", provision=[{"action": NAMED}])
    return {**resource, "subject": resource.pop("patient")}


def key(patient, tenant="default", base="-"):
    return PatientKey(tenant, base, patient)


def kept(store, patient, **whose):
    """Ids of what is kept of a patient."""
    found = store.consents.of([key(patient, **whose)])
    return [each.id for each in found[key(patient, **whose)]]


def tell(store, patient, *resources, source="app", updated=NOW, seen=()):
    """Store Consents of which somebody else tells."""
    records = tuple(
        ConsentRecord(patient, each["id"], updated, source, each) for each in resources
    )
    change = ConsentChange(patient, stamp_of(seen), records)
    store.consents.record([change], AuditEvent(NOW, "consent"))
    return records


def audited(store):
    """Client, patient and detail of each row of the trail."""
    return [
        (each.client, each.patient_id, json.loads(each.detail))
        for each in store.audit_entries()
    ]
