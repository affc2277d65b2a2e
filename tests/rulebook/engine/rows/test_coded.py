"""What a medicine is called and coded as, wherever a resource says so."""

from typing import Any

import pytest

from cds_service.fhir.chart import Chart
from cds_service.rulebook.engine.rows.coded import coded_medication

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
METOPROLOL = {"coding": [{"system": RXNORM, "code": "6918", "display": "metoprolol"}]}
CODED = [(RXNORM, "6918", "metoprolol")]
HELD = {"resourceType": "Medication", "id": "m", "code": METOPROLOL}
SUBSTANCE = {"resourceType": "Substance", "id": "s", "code": METOPROLOL}


def at(reference: Any) -> dict[str, Any]:
    return {"medicationReference": {"reference": reference}}


@pytest.mark.parametrize(
    ("resource", "codes", "names"),
    [
        ({"medicationCodeableConcept": METOPROLOL}, CODED, ["metoprolol"]),
        ({"medication": {"concept": METOPROLOL}}, CODED, ["metoprolol"]),
        (
            {"medication": {"reference": {"reference": "Medication/m"}}},
            CODED,
            ["metoprolol"],
        ),
        (at("Medication/m"), CODED, ["metoprolol"]),
        (at("urn:uuid:1"), CODED, ["metoprolol"]),
        ({**at("#m"), "contained": [HELD]}, CODED, ["metoprolol"]),
        ({**at("#m"), "contained": [None, HELD | {"id": "#m"}]}, CODED, ["metoprolol"]),
        ({**at("#m"), "contained": HELD}, CODED, ["metoprolol"]),
        (at("#m"), [], []),
        (at("#"), [], []),
        (at("Medication/absent"), [], []),
        (at("Medication/ingredients"), CODED, ["metoprolol"]),
        (at("Medication/r5"), CODED, ["metoprolol"]),
        (at("Medication/by-reference"), CODED, ["metoprolol"]),
        (at("Medication/substance"), CODED, ["metoprolol"]),
        (at("Medication/worded"), [], ["Lopressor"]),
        ({"medicationReference": {"display": "Lopressor"}}, [], ["Lopressor"]),
        (
            {"medicationCodeableConcept": {"text": "Lopressor", "coding": []}},
            [],
            ["Lopressor"],
        ),
        ({"medicationCodeableConcept": "Lopressor"}, [], []),
        ({"medication": "Lopressor"}, [], []),
        ({"medication": {"concept": "x", "reference": "y"}}, [], []),
        ({"medicationReference": "Medication/m"}, [], []),
        ({}, [], []),
    ],
    ids=str,
)
def test_p_21_the_codes_and_names_of_a_medicine(
    resource: dict[str, Any], codes: list[Any], names: list[str]
) -> None:
    medications = {
        "Medication/m": HELD,
        "urn:uuid:1": HELD,
        "Medication/ingredients": {
            "ingredient": [7, {"itemCodeableConcept": METOPROLOL}]
        },
        "Medication/r5": {"ingredient": {"item": {"concept": METOPROLOL}}},
        "Medication/by-reference": {
            "ingredient": [{"item": {"reference": {"reference": "Medication/m"}}}]
        },
        "Medication/substance": {
            "contained": [SUBSTANCE],
            "ingredient": [{"itemReference": {"reference": "#s"}}],
        },
        "Medication/worded": {
            "ingredient": [{"itemReference": {"display": "Lopressor"}}]
        },
    }

    coded = coded_medication(resource, Chart("p", None, {}, medications))

    assert (coded.codings, coded.names) == (codes, names)


def test_an_ingredient_is_what_its_concept_and_its_reference_say() -> None:
    both = {
        "itemCodeableConcept": METOPROLOL,
        "itemReference": {"display": "Lopressor"},
    }
    medication = {"ingredient": [both]}

    coded = coded_medication(
        at("Medication/x"), Chart("p", None, {}, {"Medication/x": medication})
    )

    assert (coded.codings, coded.names) == (CODED, ["metoprolol", "Lopressor"])


@pytest.mark.parametrize(
    "medication",
    [
        {"form": {"text": "Ophthalmic solution"}},
        {"doseForm": {"coding": [{"display": "Ophthalmic solution"}]}},
    ],
)
def test_the_dose_form_of_either_release_is_read(medication: dict[str, Any]) -> None:
    coded = coded_medication(
        at("Medication/x"), Chart("p", None, {}, {"Medication/x": medication})
    )

    (form,) = coded.shape().forms
    assert list(form.texts) == ["Ophthalmic solution"]


@pytest.mark.parametrize("member", ["dosageInstruction", "dosage"])
def test_the_route_of_an_order_or_a_statement_is_read_and_its_text_is_not(
    member: str,
) -> None:
    route = {"coding": [{"system": "http://snomed.info/sct", "code": "54485002"}]}
    dosage = {"route": route, "site": {"text": "left eye"}, "text": "one drop"}
    resource = {"medicationCodeableConcept": METOPROLOL, member: [dosage, "odd"]}

    shape = coded_medication(resource, Chart("p", None, {})).shape()

    assert [(list(each.texts), each.codings) for each in shape.routes] == [
        ([], [("http://snomed.info/sct", "54485002", "")]),
        (["left eye"], []),
    ]
    assert shape.forms == []
