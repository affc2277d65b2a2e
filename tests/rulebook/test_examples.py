import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.rulebook.evaluate import Outcome
from cds_service.rulebook.examples import ExampleRunner, parse_examples
from cds_service.rulebook.findings import Findings
from cds_service.rulebook.load import read_folder
from cds_service.rulebook.notation import ExampleError
from cds_service.rulebook.source import parse_yaml

FILES = read_folder(Path(__file__).parents[2] / "rules")
FILE = "cardiology/av-nodal-agent-bradycardia.test.yaml"


def parse(case: str, now: str = "2026-11-22T12:00:00Z") -> Any:
    text = f"""\
test: av-nodal-agent-bradycardia
now: {now}
patients:
  base: {{ born: 1949-01-20, sex: female }}
cases:
  - {case}
"""
    document = parse_yaml(text, FILE, Findings())
    assert document is not None
    return parse_examples(document)


def test_a_case_takes_its_patient_and_replaces_parts_of_it() -> None:
    case = "{name: a, patient: base, set: {born: 2001-02-03}, expect: no card}"
    (example,) = parse(case)

    assert example.patient == {"born": "2001-02-03", "sex": "female"}
    assert example.expect.outcome is Outcome.NO
    assert example.id == "av-nodal-agent-bradycardia: a"
    assert (example.file, example.line) == (FILE, 6)


def test_a_patient_who_is_not_in_the_file_is_named() -> None:
    with pytest.raises(ExampleError, match="there is no patient `bsae`"):
        parse("{name: a, patient: bsae, expect: unknown}")


def test_now_without_an_offset_is_refused() -> None:
    with pytest.raises(ExampleError, match="needs an offset"):
        parse("{name: a, patient: base, expect: unknown}", now="2026-11-22T12:00:00")


CASE = """\
name: a
    patient: base
    set:
      fhir: ../fhir/jane.json
      wearable_alerts:
        - {type: low-heart-rate, at: 2026-11-21T15:00:00-05:00, value: 42}
    expect: {card: warning, summary: %s}
"""
SUMMARY = '"Watch: heart rate 42 /min while awake, 16 hours ago, on Digoxin"'
JANE = {
    "resourceType": "Bundle",
    "entry": [
        {"fullUrl": "urn:uuid:1"},
        {"resource": {"resourceType": "Patient", "id": "jane", "birthDate": "1940"}},
        {
            "resource": {
                "resourceType": "MedicationStatement",
                "status": "active",
                "medicationCodeableConcept": {"text": "Digoxin"},
            }
        },
    ],
}


def test_a_patient_may_be_taken_from_a_file_of_fhir() -> None:
    (example,) = parse(CASE % SUMMARY)
    files = {**FILES, "fhir/jane.json": json.dumps(JANE)}

    assert ExampleRunner(files).problems(example) == ()


def test_a_file_of_fhir_that_is_not_there_is_named() -> None:
    (example,) = parse(CASE % SUMMARY)

    assert ExampleRunner(FILES).problems(example) == (
        "there is no file fhir/jane.json",
    )


def test_a_file_of_fhir_that_is_no_json_is_named() -> None:
    (example,) = parse(CASE % SUMMARY)
    (problem,) = ExampleRunner({**FILES, "fhir/jane.json": "{"}).problems(example)

    assert problem.startswith("fhir/jane.json is no JSON")


def test_a_known_gap_that_cannot_be_run_is_a_problem() -> None:
    (example,) = parse("todo: later\n    " + CASE % SUMMARY)

    assert ExampleRunner(FILES).problems(example) == (
        "there is no file fhir/jane.json",
    )


def test_a_rule_that_does_not_compile_is_a_problem_with_its_place() -> None:
    (example,) = parse("{name: a, patient: base, expect: no card}")
    rule = "cardiology/av-nodal-agent-bradycardia.yaml"
    broken = FILES[rule].replace("pacing_device: absent", "pacing_divice: absent")

    (problem,) = ExampleRunner({**FILES, rule: broken}).problems(example)

    assert f"{rule}:" in problem
    assert "pacing_divice" in problem
