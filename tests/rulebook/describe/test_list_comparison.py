"""A value set beside a list: what counts as found, missing, extra, not to be judged."""

from dataclasses import replace
from typing import Any

import pytest

from cds_service.fhir.code_systems import SYSTEMS
from cds_service.rulebook.describe.list_comparison import (
    NoList,
    compare_with,
    concepts_of,
    read_list,
)
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.terminology.expansions import KnownProducts
from cds_service.rulebook.terminology.fhir_import import Imported
from cds_service.rulebook.terminology.valuesets import build_valuesets

ICD, SNOMED = SYSTEMS["icd10cm"], SYSTEMS["snomed"]
RXNORM, ATC = SYSTEMS["rxnorm"], SYSTEMS["atc"]
HTN = """\
format: 1
valueset: htn
version: 1.0.0
title: Hypertension
include:
  - {system: icd10cm, codes: [I10, I67.4], under: [I11, O10]}
  - {system: snomed, codes: ["38341003"]}
exclude: [{system: icd10cm, under: [O10.2]}]
"""
BB = """\
format: 1
valueset: bb
version: 1.0.0
title: Beta-blockers
include:
  - system: rxnorm
    ingredients: [{code: "6918", name: metoprolol}, {code: "20352", name: carvedilol}]
  - {system: atc, under: [C07]}
"""


def built(text: str) -> tuple[Any, Any]:
    document = parse_yaml(text, "valuesets/x.yaml", Findings())
    assert document is not None
    (valueset,) = build_valuesets([document], (), Findings()).values()
    return valueset, [document]


def beside(text: str, *concepts: tuple[str, str, str], **change: Any) -> Any:
    valueset, documents = built(text)
    return compare_with(replace(valueset, **change), concepts, documents)


def codes(concepts: Any) -> list[str]:
    return [code for _, code, _ in concepts]


def test_a_branch_covers_each_code_below_it_and_counts_as_one() -> None:
    listed = ["I10", "i11.0", "I119", "O10.0", "O10.211", "I27.0"]

    found = beside(HTN, *((ICD, code, "") for code in listed))

    (icd,) = found.systems
    assert codes(icd.found) == ["I10", "i11.0", "I119", "O10.0"]
    assert codes(icd.missing) == ["O10.211", "I27.0"]
    assert icd.recall == found.recall == pytest.approx(4 / 6)
    assert (icd.confirmed, icd.extra, icd.precision) == (3, ("I67.4",), 0.75)
    assert found.not_listed == {SNOMED: 1}


def test_codes_of_a_system_that_the_set_does_not_cover_are_in_no_figure() -> None:
    found = beside(HTN, (ICD, "I10", ""), ("urn:icd9", "401.9", ""), (ATC, "C07", ""))

    assert found.recall == 1
    assert found.not_covered == {"urn:icd9": 1, ATC: 1}


def test_what_is_no_code_of_its_system_is_named_apart() -> None:
    found = beside(HTN, (ICD, "I10", ""), (ICD, "401.9", "old"), (SNOMED, "I10", ""))

    assert codes(found.malformed) == ["401.9", "I10"]
    assert found.recall == 1


def test_a_branch_of_which_the_list_has_nothing_is_extra() -> None:
    (icd,) = beside(HTN, (ICD, "I10", "")).systems

    assert icd.extra == ("I11 and below", "I67.4", "O10 and below")
    assert icd.precision == 0.25


def test_nothing_in_common_is_a_recall_of_zero_and_no_list_is_no_recall() -> None:
    assert beside(HTN, (ICD, "E11", "")).recall == 0
    assert beside(HTN, ("urn:x", "1", "")).recall is None


def test_a_product_is_judged_by_its_name_as_in_a_chart() -> None:
    found = beside(
        BB,
        (RXNORM, "6918", "metoprolol"),
        (RXNORM, "866436", "24 HR metoprolol succinate 50 MG Oral Tablet"),
        (RXNORM, "11289", "warfarin"),
        (ATC, "C07AB02", ""),
        (ATC, "B01AA03", ""),
    )

    rxnorm, atc = found.systems
    assert codes(rxnorm.found) == ["6918"]
    assert codes(rxnorm.by_name) == ["866436"]
    assert codes(rxnorm.missing) == ["11289"]
    assert (rxnorm.confirmed, rxnorm.extra) == (1, ("20352 carvedilol",))
    assert (codes(atc.found), codes(atc.missing)) == (["C07AB02"], ["B01AA03"])


def test_a_product_without_a_name_cannot_be_judged_until_rxnorm_is_imported() -> None:
    listed = [(RXNORM, "6918", ""), (RXNORM, "866436", ""), (RXNORM, "11289", "")]

    (unsure,) = beside(BB, *listed).systems
    (sure,) = beside(
        BB,
        *listed,
        codes={RXNORM: frozenset({"6918", "20352", "866436"})},
        known=KnownProducts(frozenset({"866436", "11289"})),
    ).systems

    assert codes(unsure.found) == ["6918"]
    assert codes(unsure.not_judged) == ["866436", "11289"]
    assert (unsure.recall, unsure.precision) == (1, None)
    assert (codes(sure.found), codes(sure.missing)) == (["6918", "866436"], ["11289"])
    assert sure.not_judged == ()


def test_a_medicine_of_another_system_is_judged_by_its_name_if_it_has_one() -> None:
    ndc = SYSTEMS["ndc"]

    named = beside(BB, (ndc, "0378-1234-01", "Carvedilol 25 MG"))
    bare = beside(BB, (ndc, "0378-1234-01", ""))

    assert codes(named.systems[0].by_name) == ["0378-1234-01"]
    assert bare.systems == () and bare.not_covered == {ndc: 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I10\n\n# a note\nI11.0\n", [(ICD, "I10", ""), (ICD, "I11.0", "")]),
        ("I10, Essential\n", [(ICD, "I10", "Essential")]),
        ("I10\tEssential, primary\n", [(ICD, "I10", "Essential, primary")]),
        (
            "icd10cm|I10\nsnomed|38341003\n",
            [(ICD, "I10", ""), (SNOMED, "38341003", "")],
        ),
        ("http://snomed.info/sct|38341003\n", [(SNOMED, "38341003", "")]),
        ("I10\ni10\n I10 \n", [(ICD, "I10", "")]),
        (
            "Name,Hypertension\nCode,Description,Code System\n"
            'I10,"Essential, primary",ICD10CM\n38341003,HTN,SNOMEDCT_US\n',
            [(ICD, "I10", "Essential, primary"), (SNOMED, "38341003", "HTN")],
        ),
        (
            "Code;Code System OID\nI10;2.16.840.1.113883.6.90\n",
            [(ICD, "I10", "")],
        ),
        ("code,name\n38341003,HTN\n", [(SNOMED, "38341003", "HTN")]),
    ],
)
def test_a_list_is_one_code_a_line_or_a_table_with_a_column_of_codes(
    text: str, expected: list[tuple[str, str, str]]
) -> None:
    assert list(read_list(text, {ICD, SNOMED})) == expected


@pytest.mark.parametrize(
    ("text", "systems", "said"),
    [
        ("", {ICD}, "it lists no code"),
        ("# nothing\n", {ICD}, "it lists no code"),
        ("code,name\n", {ICD}, "it lists no code"),
        ("I10\n38341003\n", {ICD, SNOMED}, "of which system"),
        ("6918\n", {RXNORM, "urn:x"}, "of which system"),
        ("I10\n", {RXNORM}, "of which system"),
    ],
)
def test_a_list_whose_system_must_be_guessed_is_refused(
    text: str, systems: set[str], said: str
) -> None:
    with pytest.raises(NoList, match=said):
        read_list(text, systems)


def test_what_a_fhir_value_set_excludes_is_not_listed() -> None:
    imported = Imported(
        "", "", "", "", "", ((ICD, "I10", ""), (ICD, "I15.0", "")), ((ICD, "i150", ""),)
    )

    assert codes(concepts_of(imported)) == ["I10"]
