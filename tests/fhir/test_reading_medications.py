"""Medications by the references that name them."""

from cds_service.fhir.reading import (
    ids_to_fetch,
    index_medications,
    medication_references,
)

BASE = "https://ehr.example/fhir"
DRUG = {"resourceType": "Medication", "id": "m1"}


def referring(reference):
    return {"medicationReference": {"reference": reference}}


def test_references_are_those_out_of_the_resource():
    resources = [
        referring("Medication/m1"),
        referring("#inside"),
        referring(""),
        referring(7),
        {"medicationReference": "Medication/m2"},
        {"medicationCodeableConcept": {}},
        {"medication": {"reference": {"reference": "Medication/r5"}}},
        {"medication": {"concept": {}}},
        {"medication": "Medication/m3"},
    ]

    assert medication_references(resources) == {"Medication/m1", "Medication/r5"}


def test_p_21_a_medication_is_found_by_every_name_it_has():
    urn = "urn:uuid:5cbc121b-cd71-4428-b8b7-31e53eba8184"
    nameless = {"resourceType": "Medication"}
    page = {
        "entry": [
            {"fullUrl": f"{BASE}/Medication/m1", "resource": DRUG},
            {"fullUrl": urn, "resource": nameless},
            {"fullUrl": f"{BASE}/Medication/m3", "resource": nameless},
            {"resource": {"resourceType": "Patient", "id": "m1"}},
        ]
    }

    index = index_medications([page, None], [], BASE)

    assert sorted(index) == [
        "Medication/m1",
        "Medication/m3",
        f"{BASE}/Medication/m1",
        f"{BASE}/Medication/m3",
        urn,
    ]
    assert index["Medication/m1"] is DRUG


def test_p_21_versioned_and_absolute_references_find_it_too():
    references = [f"{BASE}/Medication/m1", "Medication/m1/_history/2", "Medication/m9"]

    index = index_medications([{"entry": [{"resource": DRUG}]}], references, BASE)

    assert set(index) == {
        "Medication/m1",
        "Medication/m1/_history/2",
        f"{BASE}/Medication/m1",
    }


def test_only_what_lacks_and_can_be_asked_is_fetched():
    references = [
        "Medication/m1",
        "Medication/m3",
        f"{BASE}/Medication/m2",
        "https://other.example/Medication/m4",
        "Medication/a,b",
        "Substance/s1",
        "urn:uuid:1",
    ]

    assert ids_to_fetch(references, {"Medication/m1": DRUG}, BASE) == ["m2", "m3"]


def test_half_a_character_in_a_reference_names_no_medication():
    page = {
        "entry": [
            {
                "fullUrl": "urn:uuid:\ufffd",
                "resource": {"resourceType": "Medication", "id": "m\ufffd"},
            }
        ]
    }
    references = medication_references(
        [referring("Medication/m\ufffd"), referring("urn:uuid:\ufffd")]
    )

    assert references == frozenset()
    assert index_medications([page], ["Medication/m\ufffd"], BASE) == {}
