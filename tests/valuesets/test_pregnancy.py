"""The set of pregnancy is what its script makes, and no code of it tells of an end."""

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cds_service.fhir.code_systems import SYSTEMS
from cds_service.rulebook.terminology.valuesets import ValueSet

ICD = SYSTEMS["icd10cm"]


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(Path(__file__).parent / "pregnancy.py"))


def test_the_file_is_what_the_script_makes_of_the_release(
    script: dict[str, Any],
) -> None:
    text = script["FILE"].read_text(encoding="utf-8")

    assert script["render"](text) == text


def test_a_list_that_was_changed_by_hand_is_made_anew(script: dict[str, Any]) -> None:
    text = script["FILE"].read_text(encoding="utf-8")

    assert script["render"](text.replace("O20, ", "")) == text


def test_it_holds_what_is_coded_in_a_pregnancy(
    sets: Mapping[str, ValueSet], icd10cm: Any
) -> None:
    held = [
        code
        for code in icd10cm.get_all_codes()
        if icd10cm.is_leaf(code) and sets["pregnancy"].holds(ICD, code.replace(".", ""))
    ]

    assert len(held) == 1928
    for code in held:
        said = icd10cm.get_description(code)
        assert "childbirth" not in said and "puerperium" not in said


@pytest.mark.parametrize(
    "code",
    ["Z33.1", "Z33.3", "Z3A.20", "O09.521", "O13.2", "O14.93", "O24.410", "O26.893"]
    + ["O36.5930", "O42.02", "O47.9", "O60.02", "O99.012", "O99.891", "O9A.213"],
)
def test_a_pregnancy_goes_on(holds: Any, code: str) -> None:
    assert holds("pregnancy", f"icd10cm|{code}")


@pytest.mark.parametrize(
    "code",
    ["O03.9", "O00.102", "O10.02", "O13.4", "O14.15", "O24.430", "O60.12X0", "O70.1"]
    + ["O80", "O86.4", "O90.3", "O92.79", "O99.03", "O99.893", "Z37.0", "Z39.2"]
    + ["Z32.01", "Z33.2", "Z87.51"],
)
def test_it_is_over_or_was_never_said(holds: Any, code: str) -> None:
    assert not holds("pregnancy", f"icd10cm|{code}")
