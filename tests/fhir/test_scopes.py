"""What a SMART scope lets us ask."""

import pytest

from cds_service.fhir.scopes import Grant, grant

SEARCH = "Condition?patient=p1"


@pytest.mark.parametrize(
    "scope",
    [
        "patient/Condition.rs",
        "patient/Condition.s",
        "patient/Condition.cruds",
        "user/Condition.read",
        "user/*.*",
        "system/*.read",
        "patient/*.rs launch openid",
        "patient/Condition.r patient/*.s",
    ],
)
def test_a_5_a_scope_that_grants_search(scope):
    assert grant(scope, SEARCH) is Grant.FULL


@pytest.mark.parametrize(
    "scope",
    [
        "patient/Condition.r",
        "patient/Condition.write",
        "patient/Condition.cud",
        "patient/Observation.rs",
        "patient/Observation.rs launch",
    ],
)
def test_a_5_a_scope_that_does_not(scope):
    assert grant(scope, SEARCH) is Grant.NONE


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "launch openid fhirUser",
        "patient/Observation.rs patient/Condition.sr",
        "patient/Observation.rs patient/Condition.",
        "patient/Observation.rs https://example.org/scope",
    ],
)
def test_a_5_a_scope_that_cannot_be_read_lets_the_server_decide(scope):
    assert grant(scope, SEARCH) is Grant.FULL


def test_a_5_reading_by_id_and_searching_are_two_permissions():
    assert grant("patient/Patient.r", "Patient/p1") is Grant.FULL
    assert grant("patient/Patient.s", "Patient/p1") is Grant.NONE


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        ("patient/Condition.rs?category=problem-list-item", Grant.NARROWED),
        ("patient/Condition.rs?category", Grant.NARROWED),
        ("patient/Condition.rs?patient=p1", Grant.FULL),
        ("patient/Condition.rs?category=a user/Condition.rs", Grant.FULL),
        ("patient/Condition.rs?category=a user/Condition.r", Grant.NARROWED),
        ("patient/Condition.r?category=a", Grant.NONE),
    ],
)
def test_a_6_a_granular_scope_narrows_what_the_query_does_not(scope, granted):
    assert grant(scope, SEARCH) is granted
