from typing import Any

import pytest

from cds_service.ehr.prefetch import Prefetched, Unread, fill_templates, has_next
from cds_service.protocol.prefetch_tokens import Filling

PATIENT = {"resourceType": "Patient", "id": "1"}
EMPTY = {"resourceType": "Bundle", "type": "searchset"}
OUTCOME = {"resourceType": "OperationOutcome", "issue": []}
MORE = {**EMPTY, "link": [{"relation": "next", "url": "x"}]}
SERVER: dict[str, tuple[int, Any]] = {
    "Patient/1": (200, PATIENT),
    "Patient/2": (404, OUTCOME),
    "Patient/3": (410, None),
    "Condition?patient=1": (200, EMPTY),
    "Condition?patient=2": (404, OUTCOME),
    "Observation?patient=1": (500, OUTCOME),
    "Observation?patient=2": (200, OUTCOME),
    "Observation?patient=3": (200, [1]),
    "Observation?patient=4": (200, MORE),
    "Patient/5": (200, EMPTY),
}


def fetch(query: str) -> tuple[int, Any]:
    if query not in SERVER:
        raise Unread("nobody is there")
    return SERVER[query]


def filled(template: str, outcome: bool = False) -> Prefetched:
    return fill_templates(
        {"key": template}, Filling({"patientId": "1"}), fetch, outcome
    )


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("Patient/{{context.patientId}}", PATIENT),
        ("/Patient/{{context.patientId}}", PATIENT),
        ("Patient/2", None),
        ("Patient/3", None),
        ("Condition?patient={{context.patientId}}", EMPTY),
    ],
)
def test_a_key_holds_what_there_is(template: str, value: Any) -> None:
    done = filled(template)

    assert done.values == {"key": value}
    assert done.is_complete


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("Encounter/{{context.encounterId}}", "has no value"),
        ("Condition?patient=2", "answered 404"),
        ("Observation?patient=1", "answered 500"),
        ("Observation?patient=2", "OperationOutcome"),
        ("Observation?patient=3", "something else than a Bundle"),
        ("Patient/5", "something else than a Patient"),
        ("Patient/9", "nobody is there"),
        ("Patient", "neither a read nor a search"),
        ("Patient/1/$everything", "neither a read nor a search"),
        ("Patient/$match", "neither a read nor a search"),
        ("https://elsewhere.example.org/Patient/1", "neither a read nor a search"),
        ("../admin?x=1", "would leave the place"),
    ],
)
def test_a_key_that_cannot_be_filled_is_left_out_with_its_reason(
    template: str, reason: str
) -> None:
    done = filled(template)

    assert done.values == {}
    assert reason in done.left_out["key"]
    assert not done.is_complete


def test_a_failure_can_be_told_by_an_outcome() -> None:
    assert filled("Observation?patient=1", outcome=True).values == {"key": OUTCOME}
    made = filled("Patient/9", outcome=True)
    assert made.values["key"]["resourceType"] == "OperationOutcome"
    assert made.failed == {"key"}
    assert not made.is_complete


def test_a_key_can_build_on_the_one_before() -> None:
    templates = {"one": "Patient/1", "two": "Condition?patient={{%one.id}}"}

    assert fill_templates(templates, Filling({}), fetch).queries == {
        "one": "Patient/1",
        "two": "Condition?patient=1",
    }


def test_pages_that_are_left_are_no_whole() -> None:
    assert has_next(MORE) and not has_next(EMPTY)
    assert not filled("Observation?patient=4").is_complete
