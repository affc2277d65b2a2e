"""Prefetch templates: which ones every client can expand and run."""

import pytest

from cds_service.protocol.templates import check_templates


def complaints(template: str, hook: str = "patient-view") -> str:
    return "; ".join(each.text for each in check_templates(hook, {"k": template}))


@pytest.mark.parametrize(
    ("hook", "template"),
    [
        ("patient-view", "Patient/{{context.patientId}}"),
        ("patient-view", "{{context.userId}}"),
        ("patient-view", "Practitioner/{{userPractitionerId}}"),
        ("patient-view", "Encounter/{{context.encounterId}}"),
        ("patient-view", "Condition?patient={{context.patientId}}"),
        ("patient-view", "PractitionerRole?practitioner={{context.userId}}"),
        (
            "patient-view",
            "Observation?patient={{context.patientId}}"
            "&code=http://loinc.org|4548-4&_sort=-date&_count=1",
        ),
        (
            "patient-view",
            "MedicationRequest?patient={{context.patientId}}"
            "&code:in=http://example.org/valueset&authoredon=ge2025-01-01",
        ),
        ("patient-view", "Patient?_id={{context.patientId}}&_maxresults=1"),
        ("order-dispatch", "{{context.performer}}"),
        ("org.example.own", "Device?_id={{context.deviceId}}"),
    ],
)
def test_p_1_to_p_4_templates_by_the_letter_pass(hook: str, template: str) -> None:
    assert complaints(template, hook) == ""


@pytest.mark.parametrize(
    "token", ["today", "Patient.id", "user", "%context.patientId", "context.", "", " "]
)
def test_p_1_a_token_is_a_context_field_or_one_of_four_user_ids(token: str) -> None:
    template = "Patient?_id={{" + token + "}}"

    assert "neither context.<field> nor a user token" in complaints(template)


@pytest.mark.parametrize(
    "template",
    ["Patient/{{context.patientId}", "Patient/{context.patientId}"]
    + ["Patient/{{{context.patientId}}}", "Patient?_id={{context.patientId"],
)
def test_p_1_braces_outside_a_token_are_told(template: str) -> None:
    assert "braces outside a {{token}}" in complaints(template)


@pytest.mark.parametrize(
    ("hook", "field"),
    [("patient-view", "draftOrders"), ("order-sign", "draftOrders")]
    + [("patient-view", "patientID"), ("order-select", "selections")]
    + [("order-dispatch", "userId"), ("patient-view", "patientId.name")],
)
def test_p_2_a_token_must_be_one_that_the_hook_has(hook: str, field: str) -> None:
    template = "Condition?patient={{context." + field + "}}"

    assert f"{hook} has no token" in complaints(template, hook)


def test_h_10_a_hook_that_may_come_without_a_user_has_no_user_token() -> None:
    template = "PractitionerRole?practitioner={{context.userId}}"

    assert "may come without a user" in complaints(template, "medication-refill")


@pytest.mark.parametrize(
    "template",
    ["Practitioner/{{context.userId}}", "Practitioner?_id={{context.userId}}"],
)
def test_p_3_the_user_is_a_whole_read_and_no_id(template: str) -> None:
    assert "cannot stand where an id is meant" in complaints(template)


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("sort:desc=date", "sort:desc"),
        ("_include=MedicationRequest:medication", "_include"),
        ("_has:Group:member:_id=1", "_has"),
        ("subject.name=x", "subject.name"),
        ("code:not=x", "code:not"),
        ("patient:Patient=1", "patient:Patient"),
        ("date=sa2025-01-01", "sa is outside the prefixes"),
        ("date=ne2025-01-01", "ne is outside the prefixes"),
        ("code=", "has no value"),
        ("code", "has no value"),
    ],
)
def test_p_4_queries_stay_in_the_widely_supported_subset(
    query: str, complaint: str
) -> None:
    assert complaint in complaints("Condition?patient={{context.patientId}}&" + query)


@pytest.mark.parametrize(
    "template",
    ["", "Condition", "/Condition?x=1", "condition?x=1", "Patient/1/_history"]
    + ["https://ehr.example.org/Patient/1", "{{context.patientId}}", "Condition?"],
)
def test_p_4_a_template_is_a_read_or_a_search(template: str) -> None:
    assert "must be Type/id or Type?query" in complaints(template)


def test_a_problem_names_the_key_and_the_template() -> None:
    (problem,) = check_templates("patient-view", {"ok": "Patient/1", "bad": "Patient"})

    assert problem.expression == "$.prefetch.bad"
    assert problem.text == "Patient: must be Type/id or Type?query"
