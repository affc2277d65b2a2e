"""Whose a resource is."""

import pytest

from cds_service.fhir.subjects import Identity, Whose, identify, relative_form, whose

URN = "urn:uuid:5cbc121b-cd71-4428-b8b7-31e53eba8184"
BASE = "https://ehr.example/fhir"


def referring(reference):
    return {"resourceType": "Condition", "subject": {"reference": reference}}


@pytest.mark.parametrize(
    ("reference", "verdict"),
    [
        ("Patient/p1", Whose.OWN),
        (" Patient/p1 ", Whose.OWN),
        ("Patient/p1/_history/3", Whose.OWN),
        ("p1", Whose.OWN),
        (f"{BASE}/Patient/p1", Whose.OWN),
        (f"{BASE}/Patient/p1/_history/3", Whose.OWN),
        ("http://EHR.example/fhir/Patient/p1", Whose.OWN),
        ("https://ehr.example:443/fhir/Patient/p1", Whose.OWN),
        ("Patient/p2", Whose.FOREIGN),
        ("Patient/p%31", Whose.OWN),
        (f"{BASE}/Patient/%70%31", Whose.OWN),
        ("Patient/p%32", Whose.FOREIGN),
        ("Patient/x%2Fp1", Whose.FOREIGN),
        ("Patient/P1", Whose.UNKNOWN),
        ("patient/p1", Whose.UNKNOWN),
        (f"{BASE}/PATIENT/p1", Whose.UNKNOWN),
        ("Patient/p10", Whose.FOREIGN),
        ("Patient/p2/_history/1", Whose.FOREIGN),
        ("Patient/p1/_history/", Whose.UNKNOWN),
        ("Device/p1", Whose.FOREIGN),
        ("RelatedPerson/p1", Whose.FOREIGN),
        ("Location/p1", Whose.FOREIGN),
        # The patient may be a member.
        ("Group/p1", Whose.UNKNOWN),
        (f"{BASE}/Group/7", Whose.UNKNOWN),
        ("Patient/p1\u200b", Whose.UNKNOWN),
        ("Patient/p1\x00", Whose.UNKNOWN),
        ("Patient/p\u0131", Whose.UNKNOWN),
        ("Patient/p 1", Whose.UNKNOWN),
        (f"{BASE}/Patient/p2", Whose.FOREIGN),
        ("https://other.example/fhir/Patient/p2", Whose.FOREIGN),
        ("https://other.example/fhir/Patient/p1", Whose.UNKNOWN),
        ("https://ehr.example/other/Patient/p1", Whose.UNKNOWN),
        ("https://ehr.example:8443/fhir/Patient/p1", Whose.UNKNOWN),
        ("Patient?identifier=7", Whose.UNKNOWN),
        ("p2", Whose.UNKNOWN),
        ("#nobody", Whose.UNKNOWN),
        ("#p1", Whose.UNKNOWN),
        ("urn:oid:p1", Whose.UNKNOWN),
        ("https://a@ehr.example/fhir/Patient/p1", Whose.UNKNOWN),
        ("https://ehr.example./fhir/Patient/p1", Whose.UNKNOWN),
        (URN, Whose.UNKNOWN),
        ("Patient/p1\ufffd", Whose.UNKNOWN),
        (f"{BASE}/Patient/p\ufffd", Whose.UNKNOWN),
        ("Device/\ufffd", Whose.UNKNOWN),
        ("urn:uuid:\ufffd", Whose.UNKNOWN),
        ("", Whose.NOBODY),
        (7, Whose.NOBODY),
        (None, Whose.NOBODY),
    ],
)
def test_p_23_a_subject_is_own_foreign_or_unknown(reference, verdict):
    assert whose(referring(reference), Identity("p1", BASE)) is verdict


def test_without_a_known_base_an_absolute_reference_counts_by_its_id():
    identity = Identity("p1")

    assert whose(referring("https://a.example/Patient/p1"), identity) is Whose.OWN
    assert whose(referring("https://a.example/Patient/p2"), identity) is Whose.FOREIGN


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Condition"},
        {"resourceType": "Condition", "subject": "Patient/p1"},
        {"resourceType": "Condition", "subject": {"display": "Ann"}},
        {"resourceType": "Condition", "subject": {"identifier": {"value": "p1"}}},
        {"resourceType": "Condition", "subject": []},
    ],
)
def test_a_resource_without_a_reference_has_no_subject(resource):
    assert whose(resource, Identity("p1")) is Whose.NOBODY


def test_patient_is_read_as_well_as_subject_and_neither_may_be_another():
    own, other = {"reference": "Patient/p1"}, {"reference": "Patient/p2"}
    identity = Identity("p1")

    assert whose({"patient": own}, identity) is Whose.OWN
    assert whose({"patient": other}, identity) is Whose.FOREIGN
    assert whose({"subject": own, "patient": other}, identity) is Whose.FOREIGN
    assert whose({"subject": other, "patient": own}, identity) is Whose.FOREIGN


def entry(full_url, identifier, kind="Patient"):
    return {"fullUrl": full_url, "resource": {"resourceType": kind, "id": identifier}}


def test_p_21_a_urn_is_the_patient_that_a_bundle_gives_it_to():
    other = "urn:uuid:11111111-cd71-4428-b8b7-31e53eba8184"
    pages = [{"entry": [entry(URN, "p1"), entry(other, "p2")]}, None, "text", {}]

    identity = identify(Identity("p1", BASE), pages)

    assert whose(referring(URN), identity) is Whose.OWN
    assert whose(referring(URN.upper()), identity) is Whose.OWN
    assert whose(referring(other), identity) is Whose.FOREIGN


def test_p_21_a_urn_of_the_patients_own_id_is_the_patient():
    identity = Identity(URN.removeprefix("urn:uuid:"))

    assert whose(referring(URN), identity) is Whose.OWN


def test_a_full_url_names_the_patient_only_as_a_urn():
    elsewhere = "https://other.example/fhir/Patient/p1"
    identity = identify(Identity("p1", BASE), [{"entry": [entry(elsewhere, "p1")]}])

    assert whose(referring(elsewhere), identity) is Whose.UNKNOWN


def test_a_full_url_that_contradicts_the_id_beside_it_leaves_the_subject_unknown():
    page = {"entry": [entry(f"{BASE}/Patient/3", "p1")]}

    verdict = whose(
        referring(f"{BASE}/Patient/3"), identify(Identity("p1", BASE), [page])
    )

    assert verdict is Whose.UNKNOWN


@pytest.mark.parametrize("identifier", ["p1", "#p1", "x"])
def test_p_21_a_contained_patient_is_nobody_in_particular(identifier):
    """Its id is its own affair: that it is the context's too says nothing."""
    resource = referring(f"#{identifier.lstrip('#')}")
    resource["contained"] = [{"resourceType": "Patient", "id": identifier}]

    assert whose(resource, Identity("p1")) is Whose.UNKNOWN


@pytest.mark.parametrize(
    ("reference", "relative"),
    [
        ("Medication/m1", "Medication/m1"),
        ("Medication/m1/_history/2", "Medication/m1"),
        (f"{BASE}/Medication/m1", "Medication/m1"),
        ("https://other.example/Medication/m1", ""),
        ("urn:uuid:1", ""),
        ("#m1", ""),
    ],
)
def test_a_reference_into_the_server_has_a_relative_form(reference, relative):
    assert relative_form(reference, BASE) == relative


def test_half_a_character_in_full_urls_makes_nobody_of_two_patients():
    pages = [{"entry": [entry("urn:x\ufffd", "p1"), entry("urn:x\ufffd", "p2")]}]

    identity = identify(Identity("p1", BASE), pages)

    assert whose(referring("urn:x\ufffd"), identity) is Whose.UNKNOWN


DAR = {
    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
    "valueCode": "unknown",
}
FOCAL = "http://hl7.org/fhir/StructureDefinition/observation-focal-subject"
CODED = "http://hl7.org/fhir/StructureDefinition/observation-focusCode"
LATER = "http://hl7.org/fhir/4.0/StructureDefinition/extension-Observation.focus"
FETUS = {"valueCodeableConcept": {"text": "Fetus"}}


def observed(**more):
    return {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/p1"},
        **more,
    }


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ({}, Whose.OWN),
        ({"focus": None}, Whose.OWN),
        ({"focus": []}, Whose.OWN),
        ({"focus": [{"reference": "Patient/p1"}]}, Whose.OWN),
        ({"focus": {"reference": f"{BASE}/Patient/p1"}}, Whose.OWN),
        ({"focus": [{"reference": "Patient/baby"}]}, Whose.FOREIGN),
        ({"focus": {"reference": "Patient/baby"}}, Whose.FOREIGN),
        ({"focus": [{"reference": "RelatedPerson/fetus"}]}, Whose.FOREIGN),
        ({"focus": [{"reference": "Device/pump"}]}, Whose.FOREIGN),
        ({"focus": [{"reference": "BodyStructure/tumour"}]}, Whose.FOREIGN),
        ({"focus": [{"reference": "#baby"}]}, Whose.FOREIGN),
        ({"focus": [{"identifier": {"value": "MRN-2"}}]}, Whose.FOREIGN),
        ({"focus": [{"type": "Patient", "display": "Baby girl"}]}, Whose.FOREIGN),
        (
            {"focus": [{"reference": "Patient/p1"}, {"reference": "Patient/baby"}]},
            Whose.FOREIGN,
        ),
        # Of these nobody can say whom they mean.
        ({"focus": [{"reference": URN}]}, Whose.UNKNOWN),
        ({"focus": [{"reference": "https://other.example/Patient/p1"}]}, Whose.UNKNOWN),
        ({"focus": [{}]}, Whose.UNKNOWN),
        ({"focus": [{"extension": [DAR]}]}, Whose.UNKNOWN),
        ({"focus": [{"reference": 7}]}, Whose.UNKNOWN),
        ({"focus": ["Patient/baby"]}, Whose.UNKNOWN),
        ({"focus": "Patient/baby"}, Whose.UNKNOWN),
        # As other releases say it.
        ({"extension": [{"url": FOCAL, **FETUS}]}, Whose.FOREIGN),
        ({"extension": {"url": FOCAL, **FETUS}}, Whose.FOREIGN),
        ({"modifierExtension": [{"url": FOCAL, **FETUS}]}, Whose.FOREIGN),
        ({"extension": [{"url": CODED, **FETUS}]}, Whose.FOREIGN),
        (
            {
                "extension": [
                    {"url": LATER, "valueReference": {"reference": "Patient/baby"}}
                ]
            },
            Whose.FOREIGN,
        ),
        (
            {
                "extension": [
                    {"url": LATER, "valueReference": {"reference": "Patient/p1"}}
                ]
            },
            Whose.OWN,
        ),
        ({"extension": [{"url": "https://x.example/y"}, None, 7]}, Whose.OWN),
        # Of whom the specimen is.
        (
            {
                "specimen": {"reference": "#cord"},
                "contained": [
                    {
                        "resourceType": "Specimen",
                        "id": "cord",
                        "subject": {"reference": "Patient/baby"},
                    }
                ],
            },
            Whose.FOREIGN,
        ),
        (
            {
                "specimen": {"reference": "#blood"},
                "contained": [
                    {
                        "resourceType": "Specimen",
                        "id": "blood",
                        "subject": {"reference": "Patient/p1"},
                    }
                ],
            },
            Whose.OWN,
        ),
        ({"specimen": {"reference": "#none"}, "contained": [7]}, Whose.OWN),
        ({"specimen": {"reference": "Specimen/1"}}, Whose.OWN),
        # A subject that is not the patient is one whatever the focus is.
        (
            {
                "subject": {"reference": "Patient/p2"},
                "focus": [{"reference": "Patient/p1"}],
            },
            Whose.FOREIGN,
        ),
        ({"subject": None, "focus": [{"reference": "Patient/p1"}]}, Whose.NOBODY),
        ({"subject": None, "focus": [{"reference": "Patient/baby"}]}, Whose.FOREIGN),
    ],
    ids=str,
)
def test_what_was_observed_of_somebody_else_is_not_the_patients(more, verdict):
    assert whose(observed(**more), Identity("p1", BASE)) is verdict


def test_the_patients_own_full_url_may_be_a_focus():
    identity = Identity("p1", "", frozenset({URN}))

    assert whose(observed(focus=[{"reference": URN}]), identity) is Whose.OWN


def test_only_an_observation_has_a_focus():
    condition = {**observed(focus=[{"reference": "Patient/baby"}])}
    condition["resourceType"] = "Condition"

    assert whose(condition, Identity("p1")) is Whose.OWN
