"""Prefetch templates as queries."""

import pytest

from cds_service.fhir.questions import fill, is_search, with_count, without


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("Patient/{{context.patientId}}", "Patient/p1"),
        ("Condition?patient={{ context.patientId }}", "Condition?patient=p1"),
        ("/{{context.userId}}", "Practitioner/dr-1"),
        ("Observation?encounter={{context.encounterId}}", "Observation?encounter=e1"),
        (
            "Observation?subject={{context.patientId}}&code=http://l.org|8867-4,a b",
            "Observation?subject=p1&code=http://l.org%7C8867-4,a%20b",
        ),
        (
            "Observation?code=a%7Cb&date=ge2020-01-01",
            "Observation?code=a%7Cb&date=ge2020-01-01",
        ),
        ("Observation?a={{context.unknown}}", None),
        ("Observation?a={{userPractitionerId}}", None),
    ],
)
def test_p_10_a_template_is_filled_and_encoded(hook_request, template, filled):
    assert fill(template, hook_request(encounter_id="e1")) == filled


def test_p_10_the_text_of_a_token_cannot_leave_its_place(hook_request):
    request = hook_request(patient_id="p 1/../2?x=y&z#%", user_id="Person/a b?c")

    assert fill("Condition?patient={{context.patientId}}", request) == (
        "Condition?patient=p%201%2F..%2F2%3Fx%3Dy%26z%23%25"
    )
    assert fill("{{context.userId}}", request) == "Person/a%20b%3Fc"


def test_a_token_without_a_value_leaves_no_query(hook_request):
    request = hook_request(user_id=None)

    assert fill("{{context.userId}}", request) is None
    assert fill("Observation?encounter={{context.encounterId}}", request) is None


@pytest.mark.parametrize(
    ("query", "searches"),
    [("Patient/p1", False), ("Patient?_id=p1", True), ("Condition", True)],
)
def test_a_read_is_told_from_a_search(query, searches):
    assert is_search(query) is searches


@pytest.mark.parametrize(
    ("query", "counted"),
    [
        ("Condition?a=b", "Condition?a=b&_count=200"),
        ("Condition", "Condition?_count=200"),
        ("Condition?_count=5&a=b", "Condition?_count=5&a=b"),
        ("Condition?my_count=5", "Condition?my_count=5&_count=200"),
    ],
)
def test_the_page_size_is_added_once(query, counted):
    assert with_count(query, 200) == counted


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("Condition?a=b&_include=x:y", "Condition?a=b"),
        ("Condition?_include=x:y&a=b&_include=z", "Condition?a=b"),
        ("Condition?_include=x", "Condition"),
        ("Condition?a=_include", "Condition?a=_include"),
        ("Patient/1", "Patient/1"),
    ],
)
def test_a_parameter_is_left_out_wherever_it_stands(query, left):
    assert without(query, "_include") == left
