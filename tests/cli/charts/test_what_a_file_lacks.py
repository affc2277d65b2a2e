"""A chart in a file that says that it is not whole is not read as if it were."""

from typing import Any

import pytest

from cds_service.cli.charts.patient_files import read_chart
from cds_service.fhir.chart import SourceQuery, SourceState

LOADED, PARTIAL = SourceState.LOADED, SourceState.PARTIAL
QUERIES = [
    SourceQuery("patient", "patient", "Patient/{{context.patientId}}"),
    SourceQuery("c", "conditions", "Condition?patient={{context.patientId}}"),
    SourceQuery(
        "m", "medication_requests", "MedicationRequest?patient={{context.patientId}}"
    ),
]
PATIENT = {"resource": {"resourceType": "Patient", "id": "p1"}}
ASTHMA = {
    "resource": {
        "resourceType": "Condition",
        "id": "c1",
        "subject": {"reference": "Patient/p1"},
    }
}


def states(*entries: Any, **members: Any) -> list[SourceState]:
    """Of the problems and of the orders, where the file holds these entries."""
    bundle = {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [PATIENT, ASTHMA, *entries],
        **members,
    }
    chart = read_chart(QUERIES, bundle, "p1", "patient-view")
    assert [each["id"] for each in chart.sources["conditions"].resources] == ["c1"]
    return [chart.state("conditions"), chart.state("medication_requests")]


def withheld(severity: str = "warning") -> dict[str, Any]:
    issue = {"severity": severity, "code": "suppressed"}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


@pytest.mark.parametrize(
    "entry",
    [
        {"resource": withheld(), "search": {"mode": "outcome"}},
        {"resource": withheld("information")},
        {"resource": {"resourceType": "Bundle", "type": "searchset", "entry": []}},
        {"response": {"status": "403 Forbidden"}},
        {"resource": None},
        {"resource": {"id": "c2"}},
        None,
        7,
    ],
    ids=str,
)
def test_an_entry_that_tells_of_what_is_lacking_is_heeded(entry: Any) -> None:
    assert states(entry) == [PARTIAL, PARTIAL]


@pytest.mark.parametrize(
    "members",
    [
        {"link": [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]},
        {"total": 3},
        {"total": "9"},
        {"meta": {"security": [{"code": "REDACTED"}]}},
        {"issues": withheld()},
    ],
    ids=str,
)
def test_a_bundle_that_tells_of_what_it_lacks_is_heeded(members: Any) -> None:
    assert states(**members) == [PARTIAL, PARTIAL]


def test_an_error_in_a_file_is_no_empty_record() -> None:
    assert states({"resource": withheld("error")}) == [PARTIAL, SourceState.MISSING]


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"total": 2},
        {"link": [{"relation": "self", "url": "https://ehr.example/fhir"}]},
        {"type": "transaction", "meta": {"lastUpdated": "2026-01-01T00:00:00Z"}},
    ],
    ids=str,
)
def test_a_file_that_is_whole_is_read_whole(members: Any) -> None:
    other = {"resource": {"resourceType": "Encounter", "id": "e"}}
    deleted = {"request": {"method": "DELETE", "url": "Condition/9"}}

    assert states(**members) == [LOADED, LOADED]
    assert states(other, deleted) == [LOADED, LOADED]
