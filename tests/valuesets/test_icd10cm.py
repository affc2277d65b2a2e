"""Every code of ICD-10-CM that a shipped value set names is one."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cds_service.fhir.code_systems import SYSTEMS, is_well_formed, normalise_code
from cds_service.rulebook.load import read_folder
from cds_service.rulebook.terminology.valuesets import ValueSet

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]  # it reads a whole release

ICD = SYSTEMS["icd10cm"]
FILES = {
    name: yaml.load(text, Loader=yaml.CSafeLoader)
    for name, text in read_folder(Path(__file__).parents[2] / "rules").items()
    if name.startswith("valuesets/") and name.endswith(".yaml")
}


def named(file: Mapping[str, Any], *kinds: str) -> Iterator[str]:
    """The codes and prefixes that a file includes or excludes."""
    for kind in kinds:
        for entry in file.get(kind, ()):
            if entry.get("system") == "icd10cm":
                yield from [*entry.get("codes", ()), *entry.get("under", ())]


def unknown(codes: Iterator[str], icd10cm: Any) -> list[str]:
    return [code for code in codes if not icd10cm.is_valid_item(code)]


@pytest.mark.parametrize("name", [n for n in FILES if list(named(FILES[n], "include"))])
def test_every_code_and_every_prefix_exists(name: str, icd10cm: Any) -> None:
    assert unknown(named(FILES[name], "include", "exclude"), icd10cm) == []


def test_a_code_that_does_not_exist_is_found(icd10cm: Any) -> None:
    file = {"include": [{"system": "icd10cm", "codes": ["I50.9", "I50.7"]}]}

    assert unknown(named(file, "include"), icd10cm) == ["I50.7"]


@pytest.mark.parametrize("name", [n for n in FILES if list(named(FILES[n], "exclude"))])
def test_what_is_excluded_would_be_in_otherwise(name: str) -> None:
    taken = tuple(named(FILES[name], "include"))

    for code in named(FILES[name], "exclude"):
        assert code.startswith(taken) and code not in taken


def test_no_code_of_a_set_stands_below_another_of_it() -> None:
    for name, file in FILES.items():
        under = [c for e in file["include"] for c in e.get("under", ())]
        for code in named(file, "include"):
            above = [each for each in under if code.startswith(each) and code != each]
            assert above == [], f"{name}: {code} is below {above}"


def test_a_set_is_not_empty_in_the_release_of_today(
    sets: Mapping[str, ValueSet], icd10cm: Any
) -> None:
    codes = [each.replace(".", "") for each in icd10cm.get_all_codes()]

    for valueset in sets.values():
        if ICD in valueset.systems:
            assert any(valueset.holds(ICD, code) for code in codes), valueset.name


def test_every_code_that_exists_is_taken_for_one(icd10cm: Any) -> None:
    listed = icd10cm.get_all_codes()
    codes = [each for each in listed if not each.isdigit() and "-" not in each]

    assert len(codes) > 90_000
    assert [
        each for each in codes if not is_well_formed(ICD, normalise_code(ICD, each))
    ] == []


@pytest.mark.parametrize("code", ["E1O.9", "I5O", "EI0.9", "I50.O", "I50.I", "Y93.O1"])
def test_a_letter_that_looks_like_a_digit_makes_no_code(code: str) -> None:
    assert not is_well_formed(ICD, normalise_code(ICD, code))
