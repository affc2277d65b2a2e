"""The smallest valid request of each hook."""

from collections.abc import Callable
from typing import Any

import pytest

from cds_service.protocol.errors import InvalidRequest
from cds_service.protocol.requests import parse_request

INSTANCE = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
BUNDLE = {"resourceType": "Bundle", "type": "collection", "entry": []}
PEOPLE = {"userId": "Practitioner/example", "patientId": "1288992"}
CONTEXTS: dict[str, dict[str, Any]] = {
    "patient-view": PEOPLE,
    "encounter-start": {**PEOPLE, "encounterId": "456"},
    "encounter-discharge": {**PEOPLE, "encounterId": "456"},
    "appointment-book": {**PEOPLE, "appointments": BUNDLE},
    "order-select": {
        **PEOPLE,
        "selections": ["NutritionOrder/pureeddiet-simple", "MedicationRequest/smart-1"],
        "draftOrders": BUNDLE,
    },
    "order-sign": {**PEOPLE, "draftOrders": BUNDLE},
    "order-dispatch": {
        "patientId": "1288992",
        "dispatchedOrders": ["ServiceRequest/proc002"],
        "performer": "Organization/O12345",
    },
    "medication-refill": {"patientId": "1288992", "medications": BUNDLE},
    "medication-verify": {
        **PEOPLE,
        "medication": {"resourceType": "MedicationRequest", "id": "1"},
    },
    "problem-list-item-create": {**PEOPLE, "conditions": BUNDLE},
    "allergyintolerance-create": {
        **PEOPLE,
        "allergyIntolerance": {"resourceType": "AllergyIntolerance", "id": "1"},
    },
    "medication-prescribe": {**PEOPLE, "medications": BUNDLE},
    "order-review": {**PEOPLE, "orders": BUNDLE},
}


def wrong(body: Any, **options: bool) -> list[str]:
    """Where *body* is wrong."""
    with pytest.raises(InvalidRequest) as refused:
        parse_request(body, **options)
    return [problem.expression for problem in refused.value.problems]


@pytest.fixture
def request_of() -> Callable[..., dict[str, Any]]:
    """Builds the smallest valid request of a hook, other context fields on top."""

    def build(hook: str = "patient-view", **context: Any) -> dict[str, Any]:
        return {
            "hook": hook,
            "hookInstance": INSTANCE,
            "context": {**CONTEXTS.get(hook, PEOPLE), **context},
        }

    return build


@pytest.fixture
def r0(request_of: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """The smallest valid patient-view request that brings its data along."""
    return {
        **request_of("patient-view"),
        "prefetch": {"patient": {"resourceType": "Patient", "id": "1288992"}},
    }


@pytest.fixture
def authorized(r0: dict[str, Any]) -> dict[str, Any]:
    """The same with a FHIR server and a token for it."""
    return {
        **r0,
        "fhirServer": "https://fhir.example.org/r4",
        "fhirAuthorization": {
            "access_token": "some-opaque-fhir-access-token",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "user/Patient.rs user/Condition.rs",
            "subject": "cds-service4",
        },
    }
