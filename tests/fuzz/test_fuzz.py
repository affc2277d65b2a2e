"""Whatever is sent: no fault of the server, and every answer keeps its schema.

`CDS_FUZZ_EXAMPLES=20000` is the long run.
"""

import json
import os
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.core.transport import Response
from standardwebhooks import Webhook
from werkzeug.test import TestResponse

from cds_service.protocol.schemas import problems

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("CDS_FUZZ_EXAMPLES", "60"))
"""Of each property; the long run sets thousands, and has others each time."""
fuzzed = settings(
    max_examples=EXAMPLES,
    suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES < 1000,
)

SERVICE = "/cds-services/wearable-review"
SERVICE_PATH = "/cds-services/{id}"


def test_x_every_operation_keeps_its_description(app: Flask) -> None:
    described = schemathesis.openapi.from_wsgi("/openapi.json", app)
    operations = [each.ok() for each in described.get_all_operations()]

    assert {each.path for each in operations} >= {SERVICE_PATH, "/cds-services"}
    for operation in operations:
        keep_description(operation)


def keep_description(operation: Any) -> None:
    """Try one operation with what its own description allows."""

    @fuzzed
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        response: Response = case.call()

        case.validate_response(
            response,
            checks=[
                schemathesis.checks.not_a_server_error,
                schemathesis.checks.response_schema_conformance,
                schemathesis.checks.content_type_conformance,
                schemathesis.checks.status_code_conformance,
            ],
        )

    check()


@pytest.fixture(scope="module")
def http(app: Flask) -> FlaskClient:
    return app.test_client()


def well_answered(answer: TestResponse) -> None:
    """Neither a fault of the server nor a body that breaks its schema."""
    assert answer.status_code < 500, answer.text
    name = "response" if answer.status_code == 200 else "operation-outcome"
    assert problems(name, answer.json) == []


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
IDS = st.sampled_from(["p1", "p2", "../p1", "", "p" * 65, "Patient/p1", "p1#", "P1"])
CODES = st.sampled_from(
    [
        ("http://hl7.org/fhir/sid/icd-10-cm", "I48.0"),
        ("http://snomed.info/sct", "49436004"),
        ("urn:oid:2.16.840.1.113883.6.90", "i48.0"),
        ("http://www.nlm.nih.gov/research/umls/rxnorm", "6918"),
        ("http://loinc.org", "40443-4"),
        ("http://loinc.org", "8867-4"),
        ("http://loinc.org", "29463-7"),
        ("", ""),
    ]
)
DATES = st.sampled_from(
    [
        "2026-11-21",
        "2026-11",
        "2026",
        "2026-11-21T24:00:00Z",
        "2026-02-30",
        "2026-11-21T08:00:00",
        "0000-00-00",
        "9999-12-31T23:59:59.999999999+14:00",
        "yesterday",
    ]
)


@st.composite
def concepts(draw: Any) -> Any:
    system, code = draw(CODES)
    coding = {"system": system, "code": code, "display": draw(st.text(max_size=20))}
    return {"coding": [coding], "text": draw(st.text(max_size=20))}


@st.composite
def resources(draw: Any) -> Any:
    """Nearly FHIR: a real shape, some members odd, missing or foreign."""
    kind = draw(
        st.sampled_from(
            ["Condition", "MedicationRequest", "MedicationStatement", "Observation"]
        )
    )
    member = "medicationCodeableConcept" if kind.startswith("Medication") else "code"
    value = draw(st.floats() | st.integers() | st.text(max_size=5))
    resource: dict[str, Any] = {
        "resourceType": kind,
        "id": draw(st.text(max_size=8)),
        "status": draw(st.sampled_from(["active", "final", "stopped", "x", "", None])),
        "intent": draw(st.sampled_from(["order", "plan", ""])),
        member: draw(concepts()),
        "subject": {"reference": f"Patient/{draw(IDS)}"},
        "effectiveDateTime": draw(DATES),
        "authoredOn": draw(DATES),
        "onsetDateTime": draw(DATES),
        "valueQuantity": {"value": value, "code": draw(st.text(max_size=6))},
    }
    for name in draw(st.lists(st.sampled_from(sorted(resource)), max_size=3)):
        resource[name] = draw(JSON)
    return resource


def bundle(entries: list[Any]) -> dict[str, Any]:
    wrapped = [{"resource": each} for each in entries]
    return {"resourceType": "Bundle", "type": "searchset", "entry": wrapped}


@st.composite
def bundles(draw: Any) -> Any:
    return bundle(draw(st.lists(resources() | JSON, max_size=6)))


@st.composite
def calls(draw: Any) -> Any:
    """A call that is nearly right, with anything in its prefetch."""
    keys = ["conditions", "medication-requests", "medication-statements"]
    prefetch = {
        key: draw(bundles() | st.none() | JSON) for key in [*keys, "observations"]
    }
    patient = {"resourceType": "Patient", "id": "p1", "birthDate": draw(DATES)}
    body: dict[str, Any] = {
        "hook": "patient-view",
        "hookInstance": str(draw(st.uuids())),
        "context": {"userId": "Practitioner/1", "patientId": "p1"},
        "prefetch": {"patient": draw(st.just(patient) | JSON), **prefetch},
    }
    for name in draw(st.lists(st.sampled_from(sorted(body)), max_size=1)):
        body[name] = draw(JSON)
    return body


@fuzzed
@given(body=calls())
def test_x_any_prefetch_is_answered(http: FlaskClient, body: Any) -> None:
    text = json.dumps(body)

    well_answered(http.post(SERVICE, data=text, content_type="application/json"))


@fuzzed
@given(body=JSON)
def test_x_any_json_is_answered(http: FlaskClient, body: Any) -> None:
    text = json.dumps(body)

    well_answered(http.post(SERVICE, data=text, content_type="application/json"))


@fuzzed
@given(body=st.binary(max_size=2000))
def test_x_any_bytes_are_answered(http: FlaskClient, body: bytes) -> None:
    well_answered(http.post(SERVICE, data=body, content_type="application/json"))


ENTRY = st.fixed_dictionaries(
    {
        "card": st.uuids().map(str) | st.text(),
        "outcome": st.sampled_from(["accepted", "overridden", "ignored"]) | JSON,
        "outcomeTimestamp": DATES | st.datetimes().map(lambda at: f"{at.isoformat()}Z"),
    },
    optional={
        "overrideReason": JSON,
        "acceptedSuggestions": st.lists(st.fixed_dictionaries({"id": st.text()}))
        | JSON,
    },
)


@fuzzed
@given(body=st.fixed_dictionaries({"feedback": st.lists(ENTRY, max_size=4) | JSON}))
def test_f_any_feedback_is_answered(http: FlaskClient, body: Any) -> None:
    answer = http.post(
        f"{SERVICE}/feedback", data=json.dumps(body), content_type="application/json"
    )

    assert answer.status_code in (200, 400, 413), answer.text
    if answer.status_code != 200:
        assert problems("operation-outcome", answer.json) == []


ALERT = st.fixed_dictionaries(
    {
        "id": st.text(max_size=8),
        "patient": IDS,
        "type": st.sampled_from(["low-heart-rate", "irregular-rhythm", "x"]),
        "start": DATES,
    },
    optional={
        "end": DATES,
        "value": st.floats() | st.integers(),
        "unit": st.sampled_from(["/min", "bpm", "mg/dL", ""]) | st.text(max_size=6),
        "threshold": JSON,
        "status": st.sampled_from(["open", "closed", "retracted"]) | JSON,
        "rev": st.integers() | JSON,
        "coverage": JSON,
    },
)
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
PROVISION = st.fixed_dictionaries(
    {"type": st.sampled_from(["permit", "deny", "x"])},
    optional={
        "period": st.fixed_dictionaries({"start": DATES, "end": DATES}) | JSON,
        "action": st.just([{"coding": [{"system": ACTIONS, "code": "collect"}]}])
        | JSON,
        "code": st.lists(concepts()) | JSON,
        "actor": JSON,
        "purpose": JSON,
        "class": JSON,
        "provision": JSON,
    },
)
CONSENT = st.fixed_dictionaries(
    {
        "resourceType": st.just("Consent"),
        "id": st.sampled_from(["c1", "c2", "", "c 3"]),
        "meta": st.fixed_dictionaries({"lastUpdated": DATES}) | JSON,
        "status": st.sampled_from(["active", "inactive", ""]) | JSON,
        "patient": st.fixed_dictionaries({"reference": IDS.map("Patient/{}".format)}),
        "provision": PROVISION | st.lists(PROVISION, max_size=2) | JSON,
    },
    optional={"decision": st.sampled_from(["permit", "deny"]) | JSON, "scope": JSON},
)


def deliver(http: FlaskClient, secret: str, what: str, body: Any) -> None:
    """Sends anything signed, and looks whether it is well answered."""
    text, delivery = json.dumps(body), str(uuid4())
    now = datetime.fromtimestamp(int(time.time()), UTC)
    headers = {
        "webhook-id": delivery,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(delivery, now, text),
    }
    answer = http.post(
        f"/wearables/v1/{what}",
        data=text,
        content_type="application/json",
        headers=headers,
    )
    assert answer.status_code in (202, 400, 403, 422), answer.text
    if answer.status_code != 202:
        assert problems("operation-outcome", answer.json) == []


@fuzzed
@given(body=st.fixed_dictionaries({"alerts": st.lists(ALERT | JSON, max_size=4)}))
def test_any_signed_alerts_are_answered(
    http: FlaskClient, secret: str, body: Any
) -> None:
    deliver(http, secret, "alerts", body)


@fuzzed
@given(body=CONSENT | st.lists(CONSENT | JSON, max_size=4).map(bundle) | JSON)
def test_any_signed_consents_are_answered(
    http: FlaskClient, secret: str, body: Any
) -> None:
    deliver(http, secret, "consents", body)
