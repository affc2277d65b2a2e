"""Whatever JSON stands in an entry: it is read or counted, and never an exception."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir.chart import SOURCES, SourceQuery
from cds_service.fhir.entries import COMES_ALONG
from cds_service.fhir.gather import gather
from cds_service.protocol.requests import HookRequest

QUERIES = [
    SourceQuery(name, name, f"{kind}?patient={{{{context.patientId}}}}")
    for name, kind in SOURCES.items()
    if name != "patient"
]
KINDS = [*SOURCES.values(), "Medication", "Bundle", "OperationOutcome", "condition"]
MEMBERS = (
    "resourceType id subject patient reference code coding system status issue entry "
    "severity medicationReference medication concept contained meta versionId"
).split()
WORDS = st.sampled_from(
    [
        *KINDS,
        "Patient/p1",
        "Patient/p2",
        "#a",
        "urn:uuid:1",
        "p1",
        "1",
        "error",
        "final",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda each: st.lists(each, max_size=4)
    | st.dictionaries(st.sampled_from(MEMBERS), each, max_size=6),
    max_leaves=12,
)
SUBJECT = st.fixed_dictionaries({"reference": WORDS})
RESOURCE = st.builds(
    lambda more, kind, subject, identifier: {
        **more,
        "resourceType": kind,
        "subject": subject,
        "id": identifier,
    },
    st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=6),
    st.sampled_from(KINDS),
    SUBJECT | JSON,
    st.sampled_from(["a", "b", "c", None, 7]),
)
ENTRIES = st.lists(
    JSON
    | st.fixed_dictionaries({"resource": JSON})
    | st.fixed_dictionaries({"resource": RESOURCE, "fullUrl": WORDS | JSON}),
    max_size=8,
)


@pytest.mark.slow
@given(ENTRIES, JSON)
def test_p_20_an_entry_is_read_or_counted(entries: list[Any], other: Any) -> None:
    page = {"resourceType": "Bundle", "entry": entries}
    prefetch = {query.key: page for query in QUERIES}
    prefetch["observations"] = other

    chart = gather(QUERIES, ask(prefetch), None, 5.0)

    for name in ("conditions", "medication_requests", "medication_statements"):
        source = chart.sources[name]
        kinds = [kind_of(each) for each in entries]
        own = [each["resource"] for each in entries if kind_of(each) == SOURCES[name]]
        again = sum(
            any(is_again(each, before) for before in own[:place])
            for place, each in enumerate(own)
        )
        odd = sum(kind in (None, "Bundle") for kind in kinds)
        odd += kinds.count(SOURCES[name].lower())
        beside = {*COMES_ALONG, SOURCES[name], "OperationOutcome", None, "Bundle"}
        odd += sum(kind not in beside | {SOURCES[name].lower()} for kind in kinds)
        told = len(source.resources) + len(source.unusable) + source.foreign
        most = len(own) + odd
        if source.state.name != "MISSING":
            assert most - again <= told <= most, name
        assert all(each.reason for each in source.unusable)


def kind_of(entry: Any) -> str | None:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    return kind if isinstance(kind, str) else None


def is_again(one: Any, other: Any) -> bool:
    """Whether a resource may be left uncounted: it is there, or an older version is."""
    named = isinstance(one.get("id"), str) and one["id"] == other.get("id")
    return named and (one == other or bool(one.get("meta")))


def ask(prefetch: dict[str, Any]) -> HookRequest:
    return HookRequest(
        hook="patient-view",
        hook_instance="d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        instance_is_uuid=True,
        patient_id="p1",
        user_id="Practitioner/1",
        encounter_id=None,
        context={"patientId": "p1"},
        prefetch=prefetch,
        fhir_server=None,
        fhir_authorization=None,
    )


def test_two_resources_of_one_id_that_have_no_bottom_are_no_exception(
    fhir, hook_request, reader_for, queries, patient
):
    depth = 970
    whose = '"subject": {"reference": "Patient/p1"}, "note": '
    note = "[" * depth + "]" * depth
    deep = f'{{"resourceType": "Condition", "id": "c1", {whose}{note}}}'
    entries = f'{{"resource": {deep}}}, {{"resource": {deep}}}'
    body = f'{{"resourceType": "Bundle", "entry": [{entries}]}}'
    fhir.routes |= {"Condition": body.encode(), "Patient/p1": patient}
    request = hook_request(server=fhir)

    chart = gather(queries(rest="optional"), request, reader_for(request), 60.0)

    assert chart.sources["conditions"].why == "not JSON"
    assert chart.patient == patient
