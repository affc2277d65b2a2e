"""Strict models of what we write."""

import pytest

from cds_service.fhir.models import check_resource

OBSERVATION = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "heart rate"},
}


def test_a_sound_resource_has_no_problems():
    assert check_resource(OBSERVATION) == []


@pytest.mark.parametrize(
    ("members", "problems"),
    [
        ({"resourceType": None}, ["resourceType: is missing"]),
        ({"resourceType": "Oops"}, ["resourceType: Oops is no FHIR R4 resource"]),
        ({"resourceType": "Element"}, ["resourceType: Element is no FHIR R4 resource"]),
        ({"status": None}, ['Non-optional property "status" is missing']),
        ({"colour": "red"}, ['Superfluous entry "colour"']),
        (
            {"code": {"text": 1}},
            [
                'Non-optional property "code" is missing',
                'code.text: Wrong type int for property "text", expecting str',
            ],
        ),
        (
            {"effectiveDateTime": "2020-02-30"},
            ["effectiveDateTime: day is out of range" " for month"],
        ),
        ({"category": ["x"]}, ["category: an item is not an object"]),
        (
            {"contained": [{"resourceType": "Patient", "x": 1}]},
            ['contained.0: Superfluous entry "x"'],
        ),
    ],
)
def test_each_problem_is_named_with_its_place(members, problems):
    assert check_resource(OBSERVATION | members) == problems
