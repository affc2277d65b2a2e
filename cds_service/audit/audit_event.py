"""A row of the audit trail as a FHIR R4 AuditEvent. Pure.

Source: FHIR R4 "AuditEvent" and its value set of subtypes, which has DICOM's 110131;
IHE Basic Audit Log Patterns for who stands where.
"""

import json
from collections.abc import Mapping
from typing import Any

from ..fhir.chart import Resource
from ..store.records import AuditEntry

EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"

_REST = {"system": EVENT_TYPE, "code": "rest", "display": "RESTful Operation"}
_APPLICATION = {"system": DICOM, "code": "110100", "display": "Application Activity"}
_SIGN_IN = {"system": DICOM, "code": "110114", "display": "User Authentication"}
_SOFTWARE = {"system": DICOM, "code": "110131", "display": "Software Configuration"}
_OPERATION = {"system": INTERACTION, "code": "operation"}
_CREATE = {"system": INTERACTION, "code": "create"}
_UPDATE = {"system": INTERACTION, "code": "update"}
_Coding = Mapping[str, str]
_KINDS: Mapping[str, tuple[_Coding, _Coding | None, str]] = {
    "call": (_REST, _OPERATION, "E"),
    "refusal": (_REST, _OPERATION, "E"),
    "feedback": (_REST, _CREATE, "C"),
    "delivery": (_REST, _CREATE, "C"),
    "consent": (_REST, _UPDATE, "U"),
    "link": (_APPLICATION, None, "U"),
    "sign-in": (_SIGN_IN, None, "E"),
    "view": (_APPLICATION, None, "R"),
    "rulebook": (_APPLICATION, None, "U"),
    "configuration": (_APPLICATION, _SOFTWARE, "U"),
    "pruning": (_APPLICATION, None, "D"),
    "disclosure": (_APPLICATION, None, "R"),
    "erasure": (_APPLICATION, None, "D"),
}
"""By kind of row: type, subtype and action."""
_OTHER = (_APPLICATION, None, "E")


def build_audit_event(entry: AuditEntry) -> Resource:
    """The AuditEvent of a row; its place in the chain is among the details."""
    detail = json.loads(entry.detail or '{"erased": true}')
    type, subtype, action = _KINDS.get(entry.kind, _OTHER)
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": f"{entry.writer}-{entry.sequence}",
        "type": dict(type),
        "action": action,
        "recorded": entry.at,
        "outcome": _outcome(entry.kind, detail),
        "agent": _agents(entry, detail),
        "source": {"observer": {"display": "cds-service"}},
        "entity": [*_patient(entry), _what(entry, detail)],
    }
    if subtype:
        event["subtype"] = [dict(subtype)]
    if described := _reason(detail):
        event["outcomeDesc"] = described
    return event


def _outcome(kind: str, detail: Mapping[str, Any]) -> str:
    """0 success, 4 the caller's failure, 8 ours."""
    status = detail.get("status", 200)
    if kind == "rulebook" and "refused" in detail:
        return "4"
    if not isinstance(status, int) or status < 400:
        return "0"
    return "8" if status >= 500 else "4"


def _reason(detail: Mapping[str, Any]) -> str:
    reason = detail.get("reason") or detail.get("refused") or ""
    return reason if isinstance(reason, str) else "; ".join(map(str, reason))


def _agents(entry: AuditEntry, detail: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The user, where one was named, asked; else the client did."""
    user = detail.get("user")
    client: dict[str, Any] = {
        "who": {"display": entry.client or "nobody who was recognised"},
        "requestor": not user,
    }
    if entry.tenant:
        client["altId"] = entry.tenant
    if not user:
        return [client]
    return [{"who": {"reference": user}, "requestor": True}, client]


def _patient(entry: AuditEntry) -> list[dict[str, Any]]:
    if not entry.patient_id:
        return []
    known = entry.fhir_base not in ("", "-")
    base = f"{entry.fhir_base}/" if known else ""
    return [
        {
            "what": {"reference": f"{base}Patient/{entry.patient_id}"},
            "type": {"system": ENTITY, "code": "1", "display": "Person"},
            "role": {"system": ROLE, "code": "1", "display": "Patient"},
        }
    ]


def _what(entry: AuditEntry, detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the row says beside that, and where it stands in its chain."""
    said = {
        "kind": entry.kind,
        **detail,
        "writer": entry.writer,
        "sequence": entry.sequence,
        "previousHash": entry.previous_hash,
        "hash": entry.hash,
    }
    return {
        "type": {"system": ENTITY, "code": "2", "display": "System Object"},
        "description": f"audit row of kind {entry.kind}",
        "detail": [
            {"type": name, "valueString": text}
            for name, text in ((name, _text(value)) for name, value in said.items())
            if text
        ],
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
