"""Orders in the hook's context."""

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.fhir.reading import draft_pages, read_drafts
from cds_service.fhir.subjects import Identity

LOADED, PARTIAL, MISSING = SourceState
ORDER = {"resourceType": "MedicationRequest", "id": "d1"}


def read(context):
    return read_drafts(draft_pages(context), Identity("p1"))


@pytest.mark.parametrize(
    "context",
    [
        {"draftOrders": {"resourceType": "Bundle", "entry": [{"resource": ORDER}]}},
        {"draftOrders": {"entry": [{"resource": ORDER}]}},
        {"draftOrders": [ORDER]},
        {"draftOrders": [{"resource": ORDER}]},
        {"medications": {"resourceType": "Bundle", "entry": [{"resource": ORDER}]}},
        {"orders": {"resourceType": "Bundle", "entry": [{"resource": ORDER}]}},
        {"medication": ORDER},
        {"medication": {"resource": ORDER}},
        {"order": {"resource": ORDER}},
    ],
)
def test_orders_are_found_in_every_shape_that_hooks_use(context):
    source = read(context)

    assert (source.resources, source.state) == ((ORDER,), LOADED)
    assert (source.name, source.origin) == ("draft_orders", "context")


@pytest.mark.parametrize(
    "context",
    [{}, {"patientId": "p1"}, {"draftOrders": None}, {"order": "ServiceRequest/1"}],
)
def test_a_context_without_orders_has_no_pages_of_them(context):
    assert draft_pages(context) == ()


@pytest.mark.parametrize("value", ["text", 7, True])
def test_orders_of_a_wrong_shape_are_missing(value):
    assert read({"draftOrders": value}).state is MISSING


def test_an_unreadable_draft_hides_no_other():
    source = read({"draftOrders": [7, ORDER, {"resourceType": "Bundle"}]})

    assert (source.resources, source.state) == ((ORDER,), PARTIAL)
    assert len(source.unusable) == 2


def test_drafts_without_an_id_are_all_kept():
    anonymous = {"resourceType": "ServiceRequest"}

    assert len(read({"draftOrders": [anonymous, anonymous]}).resources) == 2


def test_p_23_drafts_of_another_patient_are_dropped_and_counted():
    other = ORDER | {"subject": {"reference": "Patient/p2"}}

    source = read({"draftOrders": [other]})

    assert (source.resources, source.foreign, source.state) == ((), 1, LOADED)


def test_medications_and_patients_among_the_drafts_are_no_orders():
    context = [ORDER, {"resourceType": "Medication"}, {"resourceType": "Patient"}]

    assert read({"draftOrders": context}).resources == (ORDER,)


def test_one_field_of_a_wrong_shape_makes_the_rest_partial():
    source = read({"draftOrders": [ORDER], "medications": "text"})

    assert (source.resources, source.state) == ((ORDER,), PARTIAL)
