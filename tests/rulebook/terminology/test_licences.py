"""What may not stand in a folder of value sets, and what must."""

import json
from collections.abc import Mapping

import pytest

from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.terminology.licences import check_licences

NOTICE = """\
RxNorm: data from the U.S. National
Library of Medicine (NLM). LOINC: http://loinc.org/license. SNOMED CT: see there.
"""


def lint(files: Mapping[str, str]) -> list[tuple[str, int, int, str]]:
    findings = Findings()
    check_licences({"valuesets/NOTICE.md": NOTICE, **files}, findings)
    return [(each.file, each.line, each.column, each.code) for each in findings]


def test_what_was_parsed_before_is_not_parsed_again() -> None:
    file = "valuesets/x.yaml"
    (text,) = valueset("  - {system: snomed, under: ['38341003']}\n").values()
    known, findings = parse_yaml(text, file, Findings()), Findings()
    assert known is not None

    check_licences({"valuesets/NOTICE.md": NOTICE, file: "["}, findings, {file: known})

    assert [(each.file, each.line, each.code) for each in findings] == [
        (file, 6, "CDS902")
    ]


def valueset(include: str) -> dict[str, str]:
    head = "format: 1\nvalueset: x\nversion: 1.0.0\ntitle: X\n"
    return {"valuesets/x.yaml": f"{head}include:\n{include}"}


@pytest.mark.parametrize(
    ("include", "found"),
    [
        (
            "  - system: snomed\n    codes: ['38341003'] # hypertension\n",
            (7, 13, "901"),
        ),
        ("  - system: snomed\n    codes: ['38341003'] # 3 of 4\n", None),
        ("  - system: snomed\n    # Hypertension.\n    codes: ['38341003']\n", None),
        ("  - {system: snomed, under: ['38341003']}\n", (6, 22, "902")),
        ("  - {system: 'http://snomed.info/sct', under: ['1']}\n", (6, 40, "902")),
        ("  - system: atc\n    under:\n      - C07 # Beta blockers\n", (8, 9, "903")),
        ("  - {system: atc, under: [C07, C08D], codes: [C01EB17]}\n", None),
        (
            "  - {system: atc, codes: [" + "C07AB02, " * 21 + "C07]}\n",
            (6, 19, "903"),
        ),
        (
            "  - {system: 'urn:oid:2.16.840.1.113883.6.12', codes: [9]}\n",
            (6, 14, "904"),
        ),
        (
            "  - {system: 'http://www.ama-assn.org/go/cpt', codes: [9]}\n",
            (6, 14, "904"),
        ),
        (
            "  - {system: 'http://www.nlm.nih.gov/research/umls/mmsl', codes: [9]}\n",
            (6, 14, "905"),
        ),
        (
            "  - {system: 'http://hl7.org/fhir/sid/icd-10', codes: [I10]}\n",
            (6, 14, "905"),
        ),
        ("  - {system: rxnorm, ingredients: [{code: 6918, name: m}]}\n", None),
        ("  - {system: icd10cm, under: [I10]} # Hypertension\n", None),
    ],
)
def test_each_kind_of_entry(include: str, found: tuple[int, int, str] | None) -> None:
    expected = [] if found is None else [("valuesets/x.yaml", found[0], found[1])]

    said = lint(valueset(include))

    assert [each[:3] for each in said] == expected
    assert [each[3] for each in said] == ([f"CDS{found[2]}"] if found else [])


@pytest.mark.parametrize(
    ("system", "notice", "found"),
    [
        ("loinc", "", ("units.yaml", 3, 39, "CDS906")),
        ("loinc", NOTICE, None),
        ("cpt", NOTICE, ("units.yaml", 3, 39, "CDS904")),
    ],
)
def test_the_codes_of_units_owe_what_those_of_value_sets_owe(
    system: str, notice: str, found: tuple[str, int, int, str] | None
) -> None:
    entry = f"{{title: Rate, unit: /min, system: {system}, codes: [x]}}"
    text = f"format: 1\nunits:\n  - {entry}\n"

    said = lint({"units.yaml": text, "valuesets/NOTICE.md": notice})

    assert said == ([found] if found else [])


def test_a_fhir_file_is_looked_at_for_origin_terms_and_systems() -> None:
    snomed, cpt = "http://snomed.info/sct", "http://www.ama-assn.org/go/cpt"
    resource = {
        "resourceType": "ValueSet",
        "url": "http://cts.nlm.nih.gov/fhir/ValueSet/2.16.840.1.113883.3.526.3.1492",
        "compose": {
            "include": [
                {"system": snomed, "concept": [{"code": "38341003", "display": "Htn"}]},
                {"system": cpt, "concept": [{"code": "93000"}]},
                {"system": cpt, "concept": [{"code": "93005"}]},
            ]
        },
    }

    said = lint({"valuesets/imported/x.json": json.dumps(resource, indent=1)})

    assert sorted(each[3] for each in said) == ["CDS901", "CDS904", "CDS905"]
    assert {each[1] for each in said if each[3] == "CDS905"} == {3}


def test_a_set_that_says_it_comes_from_vsac_is_told() -> None:
    files = valueset("  - {system: icd10cm, codes: [I10]}\n")
    files[
        "valuesets/x.yaml"
    ] += "provenance: {url: 'https://vsac.nlm.nih.gov/valueset/1/expansion'}\n"

    assert [each[3] for each in lint(files)] == ["CDS905"]


def test_codes_of_cpt_in_a_test_are_told() -> None:
    test = "patients:\n  a: {conditions: [{code: cpt|93000}, {code: 'icd10cm|I10'}]}\n"

    assert lint({"x.test.yaml": test}) == [("x.test.yaml", 2, 27, "CDS904")]


@pytest.mark.parametrize(
    ("include", "code"),
    [
        ("  - {system: rxnorm, ingredients: [{code: 6918, name: m}]}\n", "CDS906"),
        ("  - {system: loinc, codes: [8867-4]}\n", "CDS906"),
        ("  - {system: snomed, codes: ['38341003']}\n", "CDS906"),
        ("  - {system: icd10cm, codes: [I10]}\n", None),
    ],
)
def test_a_notice_is_owed_for_what_is_used(include: str, code: str | None) -> None:
    said = lint({**valueset(include), "valuesets/NOTICE.md": "nothing"})

    assert [each[3] for each in said] == ([code] if code else [])
    assert lint(valueset(include)) == []


@pytest.mark.parametrize(
    "text", ["", "- 1\n", "include: 3\n", "include: [3]\n", "include: [{system: 4}]\n"]
)
def test_files_of_another_shape_do_no_harm(text: str) -> None:
    assert lint({"valuesets/x.yaml": text, "valuesets/y.json": text}) == []


def test_a_notice_is_owed_for_routes_by_snomed_ct_and_no_term_stands_beside() -> None:
    routes = """\
format: 1
title: Routes
forms:
  oral: {words: [oral]}
  ophthalmic:
    codes:
      - system: snomed
        codes:
          - "54485002" # Ophthalmic route
      - odd
"""

    found = lint({"lexicon/routes.yaml": routes})
    bare = {"valuesets/NOTICE.md": "RxNorm", "lexicon/routes.yaml": routes}

    assert found == [("lexicon/routes.yaml", 9, 13, "CDS901")]
    assert [each[3] for each in lint(bare)] == ["CDS906", "CDS901"]
