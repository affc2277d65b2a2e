"""Gathering the chart from prefetch and from real servers on loopback."""

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.fhir.gather import gather
from cds_service.protocol.errors import UnmetPrecondition, WrongPatient

LOADED, PARTIAL, MISSING = SourceState
LONG = 30.0
REST = {"rest": "optional"}


@pytest.fixture
def full(patient, bundle, condition):
    """A prefetch with every key."""
    return {
        "patient": patient,
        "conditions": bundle(condition()),
        "medication-requests": None,
        "medication-statements": bundle(),
        "observations": None,
    }


def test_a_14_full_prefetch_needs_no_server(full, queries, hook_request):
    chart = gather(queries(), hook_request(full), None, LONG)

    assert {source.state for source in chart.sources.values()} == {LOADED}
    assert chart.patient == {"resourceType": "Patient", "id": "p1"}
    assert [each["id"] for each in chart.sources["conditions"].resources] == ["c1"]
    assert chart.sources["conditions"].origin == "prefetch"


def test_p_11_only_what_is_absent_is_asked_for(
    full, queries, hook_request, fhir, reader_for, bundle, condition
):
    fhir.routes["Condition"] = bundle(condition("c9"))
    del full["conditions"]
    request = hook_request(full, fhir)

    chart = gather(queries(), request, reader_for(request), LONG)

    assert fhir.paths == ["Condition"]
    assert fhir.asked[0].query == {"patient": ["p1"], "_count": ["200"]}
    assert [each["id"] for each in chart.sources["conditions"].resources] == ["c9"]
    assert chart.sources["conditions"].origin == "fhir"
