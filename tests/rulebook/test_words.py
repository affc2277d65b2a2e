"""Problems that words name and whose codes a set does not list."""

from typing import Any

import pytest

FLUTTER = "af: {condition: {in: flutter}}"
SET = """
format: 1
valueset: flutter
version: 1.0.0
title: Atrial fibrillation
words: [Atrial Fibrillation]
include:
  - {system: icd10cm, under: [I48]}
  - {system: snomed, codes: ["49436004"]}
"""
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"


@pytest.fixture
def rules(rules: Any) -> Any:
    """With a set that has one system whole and one as a list."""
    rules.files["valuesets/flutter.yaml"] = SET
    return rules


def problem(system: str, code: str, text: str) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/p"},
        "code": {"coding": [{"system": system, "code": code, "display": text}]},
    }


@pytest.mark.parametrize(
    "text", ["Paroxysmal atrial fibrillation", "ATRIAL FIBRILLATION"]
)
def test_a_subtype_that_is_not_listed_may_be_meant(
    rules: Any, chart: Any, reasons: Any, text: str
) -> None:
    patient = chart(conditions=[problem(SNOMED, "282825002", text)])

    assert reasons(rules.verdict(FLUTTER, "af: absent", patient)) == {"unresolved"}
    assert rules.verdict(FLUTTER, "af: present", patient) is False


def test_what_is_listed_is_not_in_doubt_for_its_words(rules: Any, chart: Any) -> None:
    patient = chart(conditions=[problem(SNOMED, "49436004", "Atrial fibrillation")])

    assert rules.verdict(FLUTTER, "af: present", patient) is True
    assert rules.verdict(FLUTTER, "af: absent", patient) is False


def test_another_problem_of_the_same_system_is_settled(rules: Any, chart: Any) -> None:
    patient = chart(conditions=[problem(SNOMED, "38341003", "Hypertension")])

    assert rules.verdict(FLUTTER, "af: absent", patient) is True


def test_a_system_that_the_set_has_whole_needs_no_words(rules: Any, chart: Any) -> None:
    old = problem(ICD, "Z86.79", "History of atrial fibrillation")

    assert rules.verdict(FLUTTER, "af: absent", chart(conditions=[old])) is True


def test_words_of_an_included_set_count(rules: Any, chart: Any, reasons: Any) -> None:
    rules.files["valuesets/rhythm.yaml"] = """
        format: 1
        valueset: rhythm
        version: 1.0.0
        title: Rhythm
        include: [{valueset: flutter}]
        """
    patient = chart(conditions=[problem(SNOMED, "1", "Atrial fibrillation, chronic")])

    verdict = rules.verdict("af: {condition: {in: rhythm}}", "af: absent", patient)

    assert reasons(verdict) == {"unresolved"}
