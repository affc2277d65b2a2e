"""Rows of the audit trail as AuditEvents."""

import json
from typing import Any

import pytest

from cds_service.audit import build_audit_event
from cds_service.fhir.models import check_resource
from cds_service.store.records import AuditEntry


def row(kind: str, detail: dict[str, Any], **changes: Any) -> AuditEntry:
    usual = {
        "writer": "0f6c4a62-7d7e-4a0f-9a0e-4a6f3f0f7a11",
        "sequence": 7,
        "previous_hash": "aa",
        "hash": "bb",
        "at": "2026-03-01T12:00:00.000000Z",
        "kind": kind,
        "tenant": "north",
        "client": "main-ehr",
        "fhir_base": "https://ehr.example.org/fhir",
        "patient_id": "p1",
        "detail": json.dumps(detail),
    }
    return AuditEntry(**{**usual, **changes})


CALL = {
    "service": "wearable-review",
    "hook": "patient-view",
    "user": "Practitioner/1",
    "rulebook": "0123",
    "cards": [["u1", "a-rule@1.2.0", "warning"]],
    "encounter": None,
}


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("call", CALL),
        ("refusal", {"path": "/cds-services/a", "status": 401, "reason": "no kid"}),
        ("refusal", {"path": "/cds-services/a", "status": 503, "reason": ["No."]}),
        ("feedback", {"service": "a", "feedback": [["u1", "overridden", ""]]}),
        ("delivery", {"key": "k", "status": 202, "alerts": []}),
        ("consent", {"key": "k", "consents": [["p1", "c1", "2026-03-01", "active"]]}),
        ("rulebook", {"published": "0123", "previous": "", "changed": []}),
        ("rulebook", {"refused": ["a.yaml:1:1: no"]}),
        ("configuration", {"digest": "0123", "previous": "", "added": {"a": 1}}),
        ("view", {"page": "why", "session": "0f6c4a627d7e4a0f", "card": "u1"}),
        ("sign-in", {"signIn": "launched", "session": "0f6c4a627d7e4a0f"}),
        ("something-later", {}),
    ],
)
def test_every_kind_of_row_is_an_audit_event_by_the_strict_model(
    kind: str, detail: dict[str, Any]
) -> None:
    assert check_resource(build_audit_event(row(kind, detail))) == []


def test_s_24_a_call_names_user_client_patient_and_what_was_decided() -> None:
    event = build_audit_event(row("call", CALL))

    user, client = event["agent"]
    assert user == {"who": {"reference": "Practitioner/1"}, "requestor": True}
    assert (client["who"], client["requestor"]) == ({"display": "main-ehr"}, False)
    patient, what = event["entity"]
    reference = "https://ehr.example.org/fhir/Patient/p1"
    assert patient["what"] == {"reference": reference}
    told = {each["type"]: each["valueString"] for each in what["detail"]}
    assert told["rulebook"] == "0123"
    assert told["cards"] == '[["u1","a-rule@1.2.0","warning"]]'
    assert (told["sequence"], told["hash"]) == ("7", "bb")
    assert "encounter" not in told


@pytest.mark.parametrize(
    ("kind", "detail", "outcome"),
    [
        ("call", CALL, "0"),
        ("refusal", {"status": 401}, "4"),
        ("refusal", {"status": 503}, "8"),
        ("delivery", {"status": 422}, "4"),
        ("rulebook", {"refused": ["a.yaml:1:1: no"]}, "4"),
        ("rulebook", {"published": "0123"}, "0"),
    ],
)
def test_the_outcome_tells_whose_failure_it_was(
    kind: str, detail: dict[str, Any], outcome: str
) -> None:
    assert build_audit_event(row(kind, detail))["outcome"] == outcome


def test_a_changed_configuration_is_a_software_configuration_with_old_and_new() -> None:
    detail = {
        "server": "node",
        "digest": "0123",
        "previous": "4567",
        "added": {},
        "changed": {"settings.port": [8080, 8081]},
    }
    told = row("configuration", detail, client="node", tenant="", patient_id="")

    event = build_audit_event(told)

    assert event["type"]["code"] == "110100"
    assert event["subtype"] == [
        {
            "system": "http://dicom.nema.org/resources/ontology/DCM",
            "code": "110131",
            "display": "Software Configuration",
        }
    ]
    assert (event["action"], event["outcome"]) == ("U", "0")
    assert event["agent"] == [{"who": {"display": "node"}, "requestor": True}]
    said = {each["type"]: each["valueString"] for each in event["entity"][0]["detail"]}
    assert said["changed"] == '{"settings.port":[8080,8081]}'
    assert said["previous"] == "4567"


def test_a_refusal_says_why_and_that_nobody_was_recognised() -> None:
    refused = row(
        "refusal",
        {"status": 401, "reason": "no kid"},
        client="",
        tenant="",
        patient_id="",
        fhir_base="",
    )

    event = build_audit_event(refused)

    assert event["outcomeDesc"] == "no kid"
    assert event["agent"] == [
        {"who": {"display": "nobody who was recognised"}, "requestor": True}
    ]
    assert len(event["entity"]) == 1


def test_a_patient_of_no_known_server_is_named_without_one() -> None:
    event = build_audit_event(row("delivery", {"status": 202}, fhir_base="-"))

    assert event["entity"][0]["what"] == {"reference": "Patient/p1"}


@pytest.mark.parametrize(
    ("detail", "outcome"),
    [
        ({"signIn": "launched", "user": "Practitioner/1"}, "0"),
        ({"signIn": "ended", "why": "logged out"}, "0"),
        ({"signIn": "refused", "status": 403, "reason": "It was not permitted."}, "4"),
        ({"signIn": "refused", "status": 502, "reason": "HTTP 500"}, "8"),
    ],
)
def test_a_sign_in_is_user_authentication_and_says_whether_it_went_well(
    detail: dict[str, Any], outcome: str
) -> None:
    event = build_audit_event(row("sign-in", detail))

    assert (event["type"]["code"], event["outcome"]) == ("110114", outcome)
    assert event.get("outcomeDesc", "") == detail.get("reason", "")
