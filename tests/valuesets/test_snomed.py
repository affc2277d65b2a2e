"""SNOMED CT identifiers that charts carry, without terms: which set has them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cds_service.fhir.code_systems import SYSTEMS
from cds_service.rulebook.load import read_folder
from cds_service.rulebook.terminology.valuesets import ValueSet

SNOMED = SYSTEMS["snomed"]
OVERLAY = {
    name: yaml.load(text, Loader=yaml.CSafeLoader)
    for name, text in read_folder(Path(__file__).parents[2] / "rules").items()
    if name.startswith("valuesets/snomed/") and name.endswith(".yaml")
}

IN = {
    # permanent, persistent, paroxysmal, with a fast response; flutter
    "atrial-fibrillation-flutter": "440028005 440059007 282825002 120041000119109"
    " 1010405004 5370000",
    # congestive and chronic, acute on chronic, diastolic, systolic, high output
    "heart-failure": "88805009 42343007 443253003 418304008 417996009 10091002",
    # essential, benign, secondary, of the heart, crisis
    "hypertension": "59621000 1201005 31992008 64715009 706882009 38341003",
    # type 1, type 2, secondary, of the young, and complications alone
    "diabetes": "46635009 44054006 8801005 609561005 368581000119106 127013003 4855003",
    # infarction, by embolism, small vessels, transient, in the past
    "stroke-or-tia": "432504007 422504002 413758000 230698000 266257000 161511000",
    # acute, with and without ST elevation, old, peripheral, claudication
    "vascular-disease": "22298006 401303003 401314000 1755008 399211009 62695002"
    " 400047006 840580004 63491006 127014009",
    "chronic-kidney-disease": "709044004 431855005 431856006 433144002 700378005"
    " 700379002 431857002 433146000 46177005 105502003",
    "end-stage-kidney-disease": "46177005 714152005 105502003 236435004",
    "prosthetic-heart-valve": "271984008 213036006",
    "rheumatic-mitral-stenosis": "86466006 838450006",
    "long-term-anticoagulant-use": "711150003",
    "cardiac-pacing-device": "441509002 443325000",
    "pulmonary-embolism": "59282003 706870000",
    "conduction-disease": "36083008 195042002 27885002 28189009 65778007 74021003",
    "syncope": "271594007 398665005 51723007 309585006",
    "pregnancy": "77386006 72892002 47200007 65147003",
    "copd": "13645005 87433001 63480004 313299006",
    "anaemia": "271737000 87522002 84027009 413532003",
    "hyperthyroidism": "34486009 353295004 90739004",
    "anxiety": "197480006 21897009 371631005",
    "sleep-apnoea": "78275009 73430006 27405005",
    "hypoventilation": "39871006 190966007",
    "palliative-care": "103735009 170935008",
    "systemic-embolism": "286959000",
    "aftercare-following-surgery": "19585003 133899007",
}
OUT = {
    # of any kind, bleeding included; bleeding; transient amnesia; a stroke of the spine
    "stroke-or-tia": "230690007 274100004 230739000",
    # before it shows; gestational; insipidus
    "diabetes": "15777000 11687002 15771004",
    # pulmonary, portal, of the eye, of a pregnancy
    "hypertension": "70995007 34742003 4210003 48194001",
    # a weak ventricle that does not fail; shock
    "heart-failure": "134401001 89138009",
    # coronary disease without infarction
    "vascular-disease": "53741008",
    # acute
    "chronic-kidney-disease": "14669001",
    "end-stage-kidney-disease": "433146000",
    # first degree
    "conduction-disease": "270492004",
    # a trait
    "anaemia": "16402000",
    # ectopic, over
    "pregnancy": "34801009 79586000 19169002",
    "copd": "195967001",
    # an operation of any time; after what was no operation
    "aftercare-following-surgery": "161615003 128926000",
}


def cases(table: dict[str, str]) -> list[tuple[str, str]]:
    return [(name, code) for name, codes in table.items() for code in codes.split()]


@pytest.mark.parametrize("name,code", cases(IN))
def test_a_chart_is_understood(holds: Any, name: str, code: str) -> None:
    assert holds(name, f"snomed|{code}")


@pytest.mark.parametrize("name,code", cases(OUT))
def test_something_else_is_not_taken_for_it(holds: Any, name: str, code: str) -> None:
    assert not holds(name, f"snomed|{code}")


@pytest.mark.parametrize("name", OVERLAY)
def test_identifiers_are_of_concepts_of_editions_that_american_charts_carry(
    name: str,
) -> None:
    for entry in OVERLAY[name]["include"]:
        for code in entry["codes"]:
            international = code[-3:-1] == "00"
            american = code[-10:-1] in ("100011910", "100012410")
            assert international or american, code


def test_the_end_stage_is_chronic_kidney_disease_too(
    sets: Mapping[str, ValueSet],
) -> None:
    end = sets["end-stage-kidney-disease"].codes[SNOMED]

    assert end - sets["chronic-kidney-disease"].codes[SNOMED] == frozenset()


def test_a_set_of_problems_that_are_judged_by_words_has_identifiers(
    sets: Mapping[str, ValueSet],
) -> None:
    for valueset in sets.values():
        if valueset.words:
            assert SNOMED in valueset.codes, valueset.name
