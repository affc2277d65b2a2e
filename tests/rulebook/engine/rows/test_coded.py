"""What a medicine is called and coded as, wherever a resource says so."""

from typing import Any

import pytest

from cds_service.fhir.chart import Chart
from cds_service.rulebook.engine.rows.coded import (
    INGREDIENT_NOT_OBTAINED,
    MISSHAPEN,
    NO_CODE,
    NOT_FOLLOWED,
    NOT_OBTAINED,
    Coded,
    Lack,
    coded_medication,
    coded_observation,
    codings,
    is_misshapen,
    says_none,
)

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


def test_a_route_that_is_not_said_is_none() -> None:
    said = {"route": {"text": "by mouth"}}
    resource = {"medicationCodeableConcept": METOPROLOL, "dosage": [said, {}]}

    shape = coded_medication(resource, Chart("p", None, {})).shape()

    assert [list(each.texts) for each in shape.routes] == [["by mouth"]]


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


@pytest.mark.parametrize(
    ("known", "wanted", "called"),
    [
        ([("s", "a", "A")], "s|a", "A"),
        ([("s", "a", "A")], "s|z", "A"),
        ([("s", "a", "A"), ("s", "b", "B")], "s|b", "B"),
        ([("s", "a", "A"), ("t", "a", "B")], "t|a", "B"),
        ([("s", "a", "A"), ("s", "b", "B")], "s|z", ""),
        ([], "s|a", ""),
    ],
)
def test_a_row_is_called_what_the_code_that_matched_is_called(
    known: list[Any], wanted: str, called: str
) -> None:
    assert Coded(known, {}).display_of(wanted) == called


LOINC = ("http://loinc.org", "8867-4", "")
RATE = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}


@pytest.mark.parametrize(
    ("components", "parts"),
    [
        ([], []),
        (None, []),
        ([{"code": RATE}], [Coded([LOINC], {"code": RATE})]),
        ({"code": RATE}, [Coded([LOINC], {"code": RATE})]),
        ([7], [Coded([], {}, lack=MISSHAPEN)]),
        (7, [Coded([], {}, lack=MISSHAPEN)]),
        ([{}], [Coded([], {}, lack=NO_CODE)]),
        (
            [{"code": {"text": "rate"}}],
            [Coded([], {"code": {"text": "rate"}}, ("rate",))],
        ),
        ([{"code": 7}], [Coded([], {"code": 7}, lack=MISSHAPEN)]),
    ],
    ids=str,
)
def test_each_part_of_a_panel_is_coded_and_what_cannot_be_read_may_be_anything(
    components: Any, parts: list[Coded]
) -> None:
    panel = {"code": RATE, "component": components}

    assert coded_observation(panel) == [Coded([LOINC], panel), *parts]


def test_an_observation_without_parts_is_coded_as_a_whole() -> None:
    assert coded_observation({"code": RATE}) == [Coded([LOINC], {"code": RATE})]
    called = {"code": {**RATE, "text": "Fetal heart rate"}}
    assert coded_observation(called) == [Coded([LOINC], called, ("Fetal heart rate",))]


@pytest.mark.parametrize(
    ("resource", "lack"),
    [
        ({"medicationCodeableConcept": METOPROLOL}, None),
        ({"medicationCodeableConcept": {"text": "Metoprolol"}}, None),
        ({}, NO_CODE),
        ({"medicationCodeableConcept": {}}, NO_CODE),
        ({"medicationCodeableConcept": 7}, MISSHAPEN),
        ({"medicationReference": 7}, MISSHAPEN),
        (at(7), MISSHAPEN),
        (at("Medication/absent"), NOT_OBTAINED),
        (at(""), NOT_FOLLOWED),
        ({"medicationReference": {"display": "Metoprolol"}}, NOT_FOLLOWED),
        (at("Medication/empty"), NO_CODE),
        (at("Medication/named"), None),
        (at("Medication/coded"), None),
        (at("Medication/parts"), None),
        (at("Medication/worded"), None),
        (at("Medication/half"), INGREDIENT_NOT_OBTAINED),
    ],
    ids=str,
)
def test_why_no_code_of_a_medicine_is_known(
    resource: dict[str, Any], lack: Lack | None
) -> None:
    known = {"itemCodeableConcept": METOPROLOL}
    unknown = {"itemReference": {"reference": "Substance/absent"}}
    medications: dict[str, Any] = {
        "Medication/empty": {},
        "Medication/named": {"code": {"text": "Metoprolol"}},
        "Medication/coded": HELD,
        "Medication/parts": {"ingredient": [known, known]},
        "Medication/worded": {"ingredient": [{"itemReference": {"display": "X"}}]},
        "Medication/half": {"ingredient": [known, unknown]},
    }

    assert coded_medication(resource, Chart("p", None, {}, medications)).lack == lack


@pytest.mark.parametrize(
    ("concept", "misshapen"),
    [
        (None, False),
        ({}, False),
        ({"text": "x"}, False),
        ({"text": None, "coding": None}, False),
        ({"coding": []}, False),
        ({"coding": {"system": "s", "code": "c", "display": "d"}}, False),
        ({"coding": [{"system": "s", "code": 7}]}, False),
        ({"coding": [{"system": None, "code": None, "display": None}]}, False),
        ("x", True),
        (7, True),
        ([], True),
        ({"text": 7}, True),
        ({"text": 7, "coding": [{"code": "c"}]}, True),
        ({"coding": [{"code": "c", "display": 7}, {"code": "c"}]}, True),
        ({"coding": "c"}, True),
        ({"coding": ["c"]}, True),
        ({"coding": [{"code": True}]}, True),
        ({"coding": [{"code": ["c"]}]}, True),
        ({"coding": [{"code": "c", "system": 7}]}, True),
        ({"coding": [{"code": "c", "display": 7}]}, True),
        ({"coding": [{"code": "c"}, {"code": "c", "display": {}}]}, True),
    ],
    ids=str,
)
def test_a_concept_of_a_shape_that_fhir_does_not_know_is_told(
    concept: Any, misshapen: bool
) -> None:
    assert is_misshapen(concept) is misshapen


def test_an_ingredient_may_be_contained_in_the_order() -> None:
    held = {"id": "m", "ingredient": [{"itemReference": {"reference": "#s"}}]}
    order = {**at("#m"), "contained": [held, SUBSTANCE]}

    assert coded_medication(order, Chart("p", None, {})).codings == CODED


def test_a_medicine_is_what_its_concept_and_its_reference_say() -> None:
    lisinopril = {"coding": [{"system": RXNORM, "code": "29046"}]}
    both = {"concept": METOPROLOL, "reference": {"reference": "Medication/x"}}

    coded = coded_medication(
        {"medication": both},
        Chart("p", None, {}, {"Medication/x": {"code": lisinopril}}),
    )

    assert coded.codings == [*CODED, (RXNORM, "29046", "")]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ([{"system": RXNORM, "code": "1", "display": "One"}], [(RXNORM, "1", "One")]),
        ({"system": RXNORM, "code": "1"}, [(RXNORM, "1", "")]),
        (
            [{"code": " 1 "}, {"system": RXNORM, "code": 2}],
            [("", "1", ""), (RXNORM, "2", "")],
        ),
        ([{"system": RXNORM, "code": "1", "display": 7}], [(RXNORM, "1", "")]),
        ([{"system": 7, "code": "1"}, {"code": True}, {"code": ""}, {}, 7], []),
        ([{"system": 7, "code": "1"}, {"code": "2"}], [("", "2", "")]),
        (7, []),
        (None, []),
    ],
    ids=str,
)
def test_each_coding_of_a_shape_that_is_known_is_read(
    written: Any, found: list[Any]
) -> None:
    assert codings({"coding": written}) == found


NONE = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"


@pytest.mark.parametrize(
    ("said", "none"),
    [
        ([(NONE, "no-known-problems", "")], True),
        ([LOINC, (NONE, "no-known-medications", "")], True),
        ([(NONE, "no-problem-info", "")], False),
        ([("http://example.org", "no-known-problems", "")], False),
        ([], False),
    ],
)
def test_a_code_may_say_that_there_is_none(said: list[Any], none: bool) -> None:
    assert says_none(said) is none
