"""Medications that orders refer to, from real servers on loopback."""

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.fhir.gather import gather
from cds_service.protocol.errors import UnmetPrecondition

from ..waiting import with_time_enough

LOADED, PARTIAL, MISSING = SourceState
LONG = 30.0
REST = {"rest": "optional"}


def order(identifier, reference):
    return {
        "resourceType": "MedicationRequest",
        "id": identifier,
        "subject": {"reference": "Patient/p1"},
        "medicationReference": {"reference": reference},
    }


def test_p_21_medications_referred_to_are_fetched_in_one_search(
    full, queries, hook_request, fhir, reader_for, bundle
):
    medications = [{"resourceType": "Medication", "id": each} for each in ("m1", "m2")]
    fhir.routes["Medication"] = bundle(*medications)
    full["medication-requests"] = bundle(
        order("o1", "Medication/m2"),
        order("o2", f"{fhir.base}/Medication/m1"),
        order("o3", "#inside"),
        order("o4", "Medication/here"),
        order("o5", "urn:uuid:0d4e0e0c-0000-4000-8000-000000000000"),
        {"resourceType": "Medication", "id": "here"},
    )
    request = hook_request(full, fhir)

    chart = gather(queries(), request, reader_for(request), LONG)

    assert [each.query["_id"] for each in fhir.asked] == [["m1,m2"]]
    assert chart.medications[f"{fhir.base}/Medication/m1"]["id"] == "m1"
    assert chart.medications["Medication/m2"]["id"] == "m2"
    assert chart.medications["Medication/here"]["id"] == "here"


@pytest.mark.parametrize("status", [410, 404, 500])
def test_an_order_whose_medication_is_gone_is_kept_without_it(
    full, queries, hook_request, fhir, reader_for, bundle, status
):
    fhir.routes["Medication"] = (status, {"resourceType": "OperationOutcome"})
    full["medication-requests"] = bundle(order("o1", "Medication/gone"))
    request = hook_request(full, fhir)

    chart = gather(queries(), request, reader_for(request), LONG)

    (kept,) = chart.sources["medication_requests"].resources
    assert kept["id"] == "o1"
    assert chart.state("medication_requests") is SourceState.LOADED
    assert chart.medications == {}


def test_many_medications_are_fetched_in_several_searches(
    full, queries, hook_request, fhir, reader_for, bundle
):
    fhir.routes["Medication"] = bundle()
    orders = [order(f"o{n}", f"Medication/m{n}") for n in range(120)]
    full["medication-requests"] = bundle(*orders)
    request = hook_request(full, fhir)

    gather(queries(), request, reader_for(request), LONG)

    asked = [each.query["_id"][0].split(",") for each in fhir.asked]
    assert sorted(map(len, asked)) == [20, 50, 50]


def test_p_21_medications_of_the_first_page_do_not_wait_for_the_last(
    full, queries, hook_request, fhir, reader_for, bundle
):
    def first_then_hang(handler):
        if "page" in handler.path:
            return handler.hang()
        page = f"{fhir.base}/MedicationRequest?page=2"
        return bundle(order("o1", "Medication/m1"), following=page)

    fhir.routes["MedicationRequest"] = first_then_hang
    fhir.routes["Medication"] = bundle({"resourceType": "Medication", "id": "m1"})
    del full["medication-requests"]
    request = hook_request(full, fhir)

    def read(seconds):
        fhir.asked.clear()
        return gather(queries(**REST), request, reader_for(request), seconds)

    chart = with_time_enough(read, lambda chart: chart.medications)

    assert chart.sources["medication_requests"].why == "timeout"
    assert chart.medications["Medication/m1"]["id"] == "m1"
    assert fhir.paths.count("Medication") == 1


def test_a_5_medications_that_may_not_be_searched_are_read_one_by_one(
    full, queries, hook_request, fhir, reader_for, bundle
):
    for each in ("m1", "m2"):
        fhir.routes[f"Medication/{each}"] = {"resourceType": "Medication", "id": each}
    full["medication-requests"] = bundle(
        order("o1", "Medication/m1"), order("o2", "Medication/m2")
    )
    request = hook_request(full, fhir, scope="user/Medication.r user/Patient.r")

    chart = gather(queries(), request, reader_for(request), LONG)

    assert fhir.paths == ["Medication/m1", "Medication/m2"]
    assert sorted(chart.medications) == ["Medication/m1", "Medication/m2"]


def test_p_21_medications_of_others_or_out_of_scope_are_not_fetched(
    full, queries, hook_request, fhir, reader_for, bundle
):
    foreign = order("o1", "Medication/m1") | {"subject": {"reference": "Patient/p2"}}
    full["medication-requests"] = bundle(foreign)
    full["medication-statements"] = bundle(
        order("s1", "Medication/m2") | {"resourceType": "MedicationStatement"}
    )
    request = hook_request(full, fhir, scope="patient/MedicationStatement.rs")

    chart = gather(queries(), request, reader_for(request), LONG)

    assert fhir.asked == []
    assert chart.medications == {}


def test_q_18_drafts_come_from_the_context_and_are_never_read_by_id(
    full, queries, hook_request, fhir, reader_for, bundle
):
    drafts = bundle(
        {"resourceType": "MedicationRequest", "id": "d1"},
        {"resourceType": "ServiceRequest", "subject": {"reference": "Patient/p2"}},
    )
    context = {"patientId": "p1", "draftOrders": drafts}
    request = hook_request(full, fhir, hook="order-sign", context=context)

    chart = gather(queries(), request, reader_for(request), LONG)

    source = chart.sources["draft_orders"]
    assert [each["id"] for each in source.resources] == ["d1"]
    assert (source.state, source.foreign, source.origin) == (LOADED, 1, "context")
    assert fhir.asked == []


def test_what_was_fetched_is_told_with_its_time_also_where_the_call_is_refused(
    full, queries, hook_request, fhir, reader_for, bundle
):
    fhir.routes |= {"Condition": (500, {}), "Medication": bundle()}
    del full["conditions"]
    full["medication-requests"] = bundle(order("o1", "Medication/m1"))
    request = hook_request(full, fhir)
    told = {}

    with pytest.raises(UnmetPrecondition):
        gather(queries(), request, reader_for(request), LONG, note=told.__setitem__)

    assert sorted(told) == ["conditions", "medications"]
    assert all(0 < seconds < LONG for seconds in told.values())
