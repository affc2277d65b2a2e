"""What a code measures decides in which units its results may be."""

from textwrap import dedent
from typing import Any

import pytest

from cds_service.rulebook.testing.gate import check_tests

UNITS = """\
format: 1
units:
  - {title: Heart rate, unit: /min, system: loinc, codes: [8867-4, 40443-4]}
  - {title: Blood pressure, unit: "mm[Hg]", system: loinc, codes: [8480-6]}
  - {title: Body temperature, unit: Cel, system: loinc, codes: [8310-5]}
  - {title: Oxygen saturation, unit: "%", system: loinc, codes: [59408-5]}
  - {title: Glucose by mass, unit: mg/dL, system: loinc, codes: [2345-7]}
  - {title: Glucose by moles, unit: mmol/L, system: loinc, codes: [14749-6]}
  - {title: Potassium, unit: mmol/L, system: loinc, codes: [2823-3]}
  - title: Glomerular filtration rate
    unit: mL/min/{1.73_m2}
    system: loinc
    codes: [62238-1]
  - {title: Creatinine clearance, unit: mL/min, system: loinc, codes: [2164-2]}
  - {title: Steps of a day, unit: "{steps}/d", system: loinc, codes: [41950-7]}
  - {title: Steps, unit: "{steps}", system: loinc, codes: [55423-8]}
"""
SET = """\
format: 1
valueset: results
version: 1.0.0
title: Results
{said}
include: [{{system: {system}, codes: [{codes}]}}]
"""
FACT = "x: {{observation: {{in: results, unit: '{unit}', within: 7 days}}}}"


def told(
    rules: Any, codes: str, unit: str, said: str = "", system: str = "loinc"
) -> list[tuple[str, str]]:
    """File and code of what is found where a fact asks *codes* in *unit*."""
    rules.files["units.yaml"] = UNITS
    text = SET.format(codes=codes, said=said, system=system)
    rules.files["valuesets/results.yaml"] = text
    rules.rule(FACT.format(unit=unit), "x: present")
    return [
        (each.file, each.code)
        for each in rules.compile().findings
        if each.code in ("CDS228", "CDS231", "CDS232", "CDS233")
    ]


CANNOT = [
    ("8867-4", "mmol/L"),
    ("8867-4", "mm[Hg]"),
    ("8867-4", "kg"),
    ("8867-4", "%"),
    ("8867-4", "Cel"),
    ("8867-4", "ms"),
    ("8867-4", "1"),
    ("8480-6", "/min"),
    ("8310-5", "%"),
    ("59408-5", "mmol/L"),
    ("2345-7", "mmol/L"),
    ("14749-6", "mg/dL"),
    ("2823-3", "mg/dL"),
    ("2823-3", "meq/L"),
    ("62238-1", "mL/min"),
    ("2164-2", "mL/min/{1.73_m2}"),
    ("55423-8", "{steps}/d"),
    ("40443-4, 8480-6", "/min"),
    ("8480-6, 99999-9", "/min"),
]


@pytest.mark.parametrize(("codes", "unit"), CANNOT)
def test_a_fact_in_a_unit_that_the_code_cannot_have_is_an_error(
    rules: Any, codes: str, unit: str
) -> None:
    assert told(rules, codes, unit) == [("test.yaml", "CDS232")]


@pytest.mark.parametrize(("codes", "unit"), CANNOT)
def test_a_set_in_a_unit_that_its_code_cannot_have_is_an_error(
    rules: Any, codes: str, unit: str
) -> None:
    said = f"unit: '{unit}'"

    assert told(rules, codes, unit, said) == [("valuesets/results.yaml", "CDS232")]


CAN = [
    ("8867-4", "/min", ""),
    ("8867-4", "{beats}/min", ""),
    ("8867-4", "1/min", ""),
    ("8867-4", "Hz", ""),
    ("8480-6", "kPa", ""),
    ("8310-5", "[degF]", ""),
    ("59408-5", "1", ""),
    ("2345-7", "g/L", ""),
    ("2345-7", "mmol/L", "molar_mass: 180.16"),
    ("2345-7, 14749-6", "mg/dL", "molar_mass: 180.16"),
    ("2823-3", "meq/L", "charge: 1"),
    ("41950-7", "/d", ""),
    ("41950-7", "{steps}/d", ""),
]


@pytest.mark.parametrize(("codes", "unit", "said"), CAN)
def test_a_unit_that_the_code_can_be_told_in_is_none(
    rules: Any, codes: str, unit: str, said: str
) -> None:
    assert told(rules, codes, unit, f"unit: '{unit}'\n{said}") == []


@pytest.mark.parametrize(("codes", "unit"), [e[:2] for e in CAN if not e[2]])
def test_a_set_that_is_asked_in_a_unit_and_does_not_say_its_own_is_told(
    rules: Any, codes: str, unit: str
) -> None:
    assert told(rules, codes, unit) == [("valuesets/results.yaml", "CDS233")]


def test_a_code_that_nobody_knows_is_what_its_author_says(rules: Any) -> None:
    assert told(rules, "99999-9", "mmol/L", "unit: mmol/L") == []


def test_a_code_of_another_system_that_is_written_alike_is_another(rules: Any) -> None:
    system = "https://laboratory.example.org/tests"

    assert told(rules, "8867-4", "mmol/L", "unit: mmol/L", system) == []


@pytest.mark.parametrize(
    "system",
    ["http://loinc.org", "urn:oid:2.16.840.1.113883.6.1", "https://loinc.org/"],
)
def test_loinc_is_known_by_all_its_names(rules: Any, system: str) -> None:
    found = told(rules, "8867-4", "mmol/L", "unit: mmol/L", f"'{system}'")

    assert found == [("valuesets/results.yaml", "CDS232")]


def test_a_unit_that_is_none_is_told_once_and_as_that(rules: Any) -> None:
    found = told(rules, "8867-4", "/min", "unit: bpm")

    assert ("valuesets/results.yaml", "CDS228") in found
    assert "CDS232" not in {code for _, code in found}


def test_the_author_reads_what_the_code_measures_and_what_to_write(rules: Any) -> None:
    told(rules, "40443-4, 2823-3", "/min", "unit: /min")

    (found,) = (e for e in rules.compile().findings if e.code == "CDS232")

    assert (
        found.message
        == "`2823-3` (Potassium) is measured in `mmol/L`, which cannot be converted to"
        " `/min`"
    )
    assert "`mmol/L`" in found.help
    assert (found.line, found.column) == (6, 44)


EXTENSION = """\
format: 1
extends: results
version: 1.0.0
include: [{system: loinc, codes: [2823-3]}]
"""


def test_a_code_that_an_overlay_adds_is_held_to_the_unit_of_the_set(
    rules: Any,
) -> None:
    rules.files["valuesets/ours/results.yaml"] = EXTENSION
    rules.files["site.yaml"] += "overlays: [ours]\n"

    found = told(rules, "8867-4", "/min", "unit: /min")

    assert found == [("valuesets/ours/results.yaml", "CDS232")]


OF_SETS = """\
format: 1
valueset: any-result
version: 1.0.0
title: Any result
unit: mmol/L
include: [{valueset: results}, {fhir: potassium.json}]
"""
IMPORTED = """\
{"resourceType": "ValueSet", "status": "active", "compose": {"include": [
  {"system": "http://loinc.org", "concept": [{"code": "2823-3"}, {"code": "8310-5"}]}]}}
"""


def test_a_code_from_elsewhere_is_told_at_the_unit_of_the_set(rules: Any) -> None:
    rules.files["valuesets/any-result.yaml"] = OF_SETS
    rules.files["valuesets/potassium.json"] = IMPORTED

    found = told(rules, "8867-4", "/min", "unit: /min")

    assert found == [("valuesets/any-result.yaml", "CDS232")]


def test_without_the_file_every_code_is_what_its_author_says(rules: Any) -> None:
    told(rules, "8867-4", "mmol/L", "unit: mmol/L")
    del rules.files["units.yaml"]

    assert rules.compile().rulebook is not None


def test_a_set_that_does_not_say_its_unit_is_told_once_for_all_who_ask(
    rules: Any,
) -> None:
    told(rules, "8867-4", "/min")
    text = rules.files["test.yaml"]
    second = FACT.format(unit="Hz").replace("x:", "y:", 1)
    both = text.replace("when:", f"  {second}\nwhen:", 1)
    when = "all: [x: present, y: present]"
    rules.files["test.yaml"] = both.replace("x: present", when)

    (found,) = (e for e in rules.compile().findings if e.code == "CDS233")

    assert (found.file, found.line, found.level) == (
        "valuesets/results.yaml",
        2,
        "warning",
    )
    assert '`unit: "/min"`' in found.help


def test_a_set_that_nobody_asks_for_a_number_need_not_say_its_unit(rules: Any) -> None:
    told(rules, "8867-4", "/min")
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("unit: '/min', ", "")

    assert "CDS233" not in {each.code for each in rules.compile().findings}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"unit: /min": "unit: bpm"}, "CDS228"),
        ({"8867-4": "8867-5"}, "CDS209"),
        ({"8867-4": "886O-4"}, "CDS208"),
        ({"[8480-6]": "[8867-4]"}, "CDS211"),
        ({"8867-4, 40443-4": "8867-4, 8867-4"}, "CDS211"),
        ({"title: Heart rate, ": ""}, "CDS101"),
        ({"unit: /min, ": ""}, "CDS101"),
        ({"system: loinc, codes: [8867": "system: lionc, codes: [8867"}, "CDS205"),
    ],
)
def test_the_file_itself_is_held_to_ucum_and_to_its_systems(
    rules: Any, change: dict[str, str], code: str
) -> None:
    text = UNITS
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new, 1)
    told(rules, "8867-4", "/min", "unit: /min")
    rules.files["units.yaml"] = text

    found = [e for e in rules.compile().findings if e.code != "CDS604"]

    assert [(each.file, each.code) for each in found] == [("units.yaml", code)]


TESTS = """\
test: test
now: 2026-11-22T12:00:00Z
patients:
  base:
    observations:
      - {{code: "loinc|8867-4", unit: "{first}", ends: now, values: 40}}
cases:
  - {{name: a, patient: base, expect: {{card: warning}}}}
  - {{name: b, set: {{observations: []}}, expect: unknown}}
  - name: c
    set: {{observations: [{{code: "{code}", unit: "{second}", ends: now, values: 7}}]}}
    expect: {expect}
"""
BOTH = """\
x: {observation: {in: results, unit: /min, within: 7 days}}
y: {observation: {in: systolic, unit: 'mm[Hg]', within: 7 days}}
"""


@pytest.mark.parametrize(
    ("code", "first", "second", "expect", "lines"),
    [
        ("loinc|8867-4", "/min", "mm[Hg]", "no card", [11]),
        ("http://loinc.org|8867-4", "/min", "mmHg", "no card", [11]),
        ("loinc|8480-6", "/min", "/min", "no card", [11]),
        ("loinc|8480-6", "mm[Hg]", "mm[Hg]", "no card", [6]),
        ("loinc|8480-6", "beats/min", "mmHg", "no card", []),
        ("loinc|8867-4", "/min", "mm[Hg]", "unknown", []),
        ("loinc|8867-4", "/min", "mm[Hg]", "{unknown_because: [x]}", []),
        ("loinc|99999-9", "/min", "mm[Hg]", "no card", []),
        ("loinc|8310-5", "/min", "[degF]", "no card", []),
    ],
)
def test_a_reading_of_a_test_in_a_unit_that_its_code_cannot_have_is_told(
    rules: Any, code: str, first: str, second: str, expect: str, lines: list[int]
) -> None:
    told(rules, "8867-4", "/min", "unit: /min")
    rules.rule(BOTH, "all: [x: present, y: present]")
    text = TESTS.format(code=code, first=first, second=second, expect=expect)
    files = {**rules.files, "test.test.yaml": dedent(text)}

    compiled = rules.compile()
    held = check_tests(files, compiled.trees, compiled.facts, compiled.quantities)
    found = [each for each in held if each.code == "CDS232"]

    assert [(each.line, each.level) for each in found] == [
        (n, "warning") for n in lines
    ]
