"""What of a patient a rule uses is read off the rule, and nothing more is claimed."""

from typing import Any

import pytest

from cds_service.rulebook.describe.hti1 import SourceAttribute, source_attributes
from cds_service.rulebook.describe.meaning import RuleFile

RULE = """\
format: 1
rule: test
version: 1.2.0
title: The rule under test
status: active
hooks: [patient-view]
facts:
  sugar: {{condition: {{in: diabetes}}}}
  {fact}
when:
  all: [sugar: present, {when}]
card:
  summary: {summary}
  source: {{label: Test}}
{more}
"""


def attributes_of(
    rules: Any,
    when: str = "sugar: present",
    fact: str = "",
    summary: str = "It fires",
    more: str = "",
) -> dict[int, SourceAttribute]:
    rules.files["test.yaml"] = RULE.format(
        when=when, fact=fact, summary=summary, more=more
    )
    compiled = rules.compile()
    assert compiled.rulebook, compiled.findings
    rule = compiled.rulebook.rules["test"]
    source = RuleFile(rule, compiled.trees[rule.file])
    found = source_attributes(source, compiled.rulebook)
    assert [each.number for each in found] == list(range(1, 14))
    return {each.number: each for each in found}


def valueset(rules: Any, name: str, include: str) -> None:
    rules.files[f"valuesets/{name}.yaml"] = (
        f"format: 1\nvalueset: {name}\nversion: 1.0.0\ntitle: The set {name}\n"
        f"include: [{{{include}}}]\n"
    )


def test_a_rule_that_reads_problems_alone_uses_nothing_of_the_nine(rules: Any) -> None:
    found = attributes_of(rules)

    assert {number: found[number].used for number in range(5, 14)} == dict.fromkeys(
        range(5, 14), False
    )
    assert [found[number].value for number in (1, 2, 3)] == ["not recorded"] * 3


@pytest.mark.parametrize(
    ("when", "number"),
    [
        ("patient: {age: {at_least: 18 years}}", 11),
        ("patient: {sex: {in: [female]}}", 10),
    ],
)
def test_what_is_asked_of_the_patient_is_used(
    rules: Any, when: str, number: int
) -> None:
    found = attributes_of(rules, when)

    assert [n for n, each in found.items() if each.used] == [number]
    assert "(line 11)" in found[number].value


def test_what_is_only_shown_of_the_patient_is_used(rules: Any) -> None:
    found = attributes_of(rules, summary="\"Aged {{ patient.age or 'unknown' }}\"")

    assert found[11].value == "used: the card shows the patient's age"


@pytest.mark.parametrize(
    ("include", "used"),
    [
        ("system: icd10cm, codes: [Z59.0]", True),
        ("system: icd10cm, under: [Z60]", True),
        ("system: icd10cm, under: [Z65.5]", True),
        ("system: icd10cm, codes: [Z54.0]", False),
        ("system: icd10cm, under: [Z66]", False),
        ('system: snomed, codes: ["32911000"]', None),
    ],
)
def test_social_determinants_are_found_by_their_codes(
    rules: Any, include: str, used: bool | None
) -> None:
    valueset(rules, "social", include)

    found = attributes_of(rules, "soc: present", "soc: {condition: {in: social}}")[12]

    assert found.used is used
    assert ("The set social" in found.value) is (used is not False)


@pytest.mark.parametrize(
    ("code", "number"),
    [("32624-9", 5), ("69490-1", 6), ("54899-0", 7), ("76690-7", 8), ("76691-5", 9)],
)
def test_demographics_that_are_recorded_as_results_are_found(
    rules: Any, code: str, number: int
) -> None:
    valueset(rules, "about", f"system: loinc, codes: [{code}]")
    fact = "about: {observation: {in: about, within: 1 year}}"

    found = attributes_of(rules, "about: present", fact)

    assert found[number].used is True and code in found[number].value


def test_a_result_is_never_claimed_to_be_no_assessment(rules: Any) -> None:
    fact = "hr: {observation: {in: heart-rate, within: 1 day}}"

    found = attributes_of(rules, "hr: present", fact)[13]

    assert found.used is None
    assert found.value == (
        "no use that a code shows; to be judged by a person: results for Heart rate"
    )


def test_what_governance_records_is_told(rules: Any) -> None:
    more = (
        "governance: {developer: We, funding: None at all, effective: 2026-01-02, "
        "evidence: [{citation: A paper, year: 2020}, {citation: Another}]}"
    )

    found = attributes_of(rules, more=more)

    assert [found[number].value for number in (1, 2, 3, 4)] == [
        "A paper (2020); Another",
        "We",
        "None at all",
        "version 1.2.0: in effect from 2026-01-02",
    ]
