import pytest

from cds_service.ehr.exchange import Incomplete
from cds_service.ehr.hook_calls import (
    FhirAccess,
    build_context,
    build_request,
    derive_scope,
)


def test_a_context_holds_what_the_hook_defines() -> None:
    assert build_context("patient-view", "1") == {
        "userId": "Practitioner/1",
        "patientId": "1",
    }
    assert build_context(
        "encounter-start", "1", user="PractitionerRole/2", encounter_id="e"
    ) == {"userId": "PractitionerRole/2", "patientId": "1", "encounterId": "e"}
    assert build_context("medication-refill", "1", more={"medications": {}}) == {
        "patientId": "1",
        "medications": {},
    }
    assert "userId" not in build_context(
        "order-dispatch", "1", user="Practitioner/2", more=DISPATCHED
    )


DISPATCHED = {"dispatchedOrders": ["ServiceRequest/1"], "performer": "Organization/1"}


def test_a_required_field_that_is_missing_is_asked_for() -> None:
    with pytest.raises(Incomplete, match="order-sign needs draftOrders"):
        build_context("order-sign", "1")
    with pytest.raises(Incomplete, match="needs encounterId"):
        build_context("encounter-start", "1")


def test_a_request_says_where_to_read_only_when_told_to() -> None:
    context = {"patientId": "1"}
    plain = build_request("patient-view", context, {}, None)
    open_server = build_request("patient-view", context, None, FhirAccess("http://f"))
    token = FhirAccess("http://f", "secret", "patient/Patient.rs")
    closed = build_request("patient-view", context, {"p": None}, token)

    assert plain.keys() == {"hook", "hookInstance", "context"}
    assert "fhirAuthorization" not in open_server
    assert closed["prefetch"] == {"p": None}
    assert closed["fhirAuthorization"] == {
        "access_token": "secret",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/Patient.rs",
        "subject": "cds-service",
        "patient": "1",
    }
    assert "secret" not in repr(token)


def test_the_scope_is_what_the_templates_read() -> None:
    templates = ["Patient/{{context.patientId}}", "Condition?x=y", "{{context.userId}}"]

    assert derive_scope(templates) == (
        "patient/Condition.rs patient/Medication.rs patient/Patient.rs"
    )
