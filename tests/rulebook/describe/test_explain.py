"""An explanation shows every criterion, its truth, its place and what it saw."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cds_service.fhir.chart import Chart, Source, SourceState
from cds_service.rulebook.compile.compiler import compile_rulebook
from cds_service.rulebook.describe.explain import explain, explain_json, trace
from cds_service.rulebook.engine.case import Case
from cds_service.rulebook.engine.evaluate import open_case
from cds_service.rulebook.engine.rulebook import ServiceRules
from cds_service.rulebook.engine.rules import Rule
from cds_service.wearables.worn import Wearables

from ...small_rules import AROUND, review

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

FILES = {
    **AROUND,
    "site.yaml": "format: 1\ntime_zone: UTC\nunapproved: serve\n",
    "services.yaml": review("tachycardia"),
    "alert-types.yaml": """\
format: 1
alert_types:
  high-resting-heart-rate: {title: High resting heart rate, unit: /min}
""",
    "valuesets/heart-rate.yaml": """\
format: 1
valueset: heart-rate
version: 1.0.0
title: Heart rate
include:
  - system: loinc
    codes: [40443-4]
""",
    "valuesets/sinus-node.yaml": """\
format: 1
valueset: sinus-node
version: 1.0.0
title: Sinus node disease
include:
  - system: icd10cm
    codes: [I49.5]
""",
    "cardiology/tachycardia.yaml": """\
format: 1
rule: tachycardia
version: 1.2.0
title: Tachycardia
status: active
severity: warning
hooks: [patient-view]
facts:
  drug:
    medication: {in: beta-blockers}
  hr:
    observation: {in: heart-rate, unit: /min, within: 7 days}
  watch:
    wearable_alert: {type: [high-resting-heart-rate], within: 7 days}
  sinus:
    condition: {in: sinus-node}
when:
  all:
    - patient:
        age: {at_least: 18 years}
    - drug: present
    - any:
        - hr: {latest: {above: 100}}
        - watch: present
    - sinus: absent
card:
  summary: Tachycardia
  source: {label: Committee}
governance:
  owner: someone@example.org
""",
}


@pytest.fixture(scope="module")
def service() -> ServiceRules:
    compiled = compile_rulebook(FILES)
    assert compiled.rulebook is not None, compiled.findings
    return compiled.rulebook.services["review", "patient-view"]


def heart_rate(value: Any, id: str = "o1") -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "40443-4"}]},
        "effectiveDateTime": "2026-11-21T08:00:00Z",
        "valueQuantity": {"value": value, "code": "/min"},
    }


METOPROLOL = {
    "resourceType": "MedicationRequest",
    "id": "m1",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": {"text": "Metoprolol 50 mg"},
}


def case_of(
    service: ServiceRules,
    *observations: dict[str, Any],
    conditions: SourceState = SourceState.LOADED,
) -> tuple[Rule, Case]:
    sources = {
        "conditions": Source("conditions", conditions),
        "medication_requests": Source(
            "medication_requests", SourceState.LOADED, (METOPROLOL,)
        ),
        "medication_statements": Source("medication_statements", SourceState.LOADED),
        "observations": Source("observations", SourceState.LOADED, observations),
    }
    patient = {"resourceType": "Patient", "id": "p1", "birthDate": "1958-03-14"}
    chart = Chart("p1", patient, sources)
    return service.rules[0], open_case(service, chart, Wearables(), NOW)


def test_every_criterion_has_its_line_whatever_the_others_say(
    service: ServiceRules,
) -> None:
    rule, case = case_of(service, heart_rate(107), conditions=SourceState.MISSING)

    lines = [" ".join(line.split()) for line in explain(rule, case)]

    assert lines == [
        "tachycardia v1.2.0 -> unknown",
        "✓ true :18 patient is alive",
        "✓ true :19 patient age at least 18 years age 68",
        "✓ true :21 drug present 1 match, 1 by name [MedicationRequest/m1]",
        "✓ true :22 any",
        "✓ true :23 hr latest above 100 /min latest = 107 /min [Observation/o1]",
        "✗ false :24 watch present 0 match",
        "? unknown :25 sinus absent 0 match, conditions missing",
    ]


def test_what_stands_in_any_is_set_in(service: ServiceRules) -> None:
    rule, case = case_of(service, heart_rate(107))

    lines = trace(rule, case)

    assert [line.depth for line in lines] == [0, 0, 0, 0, 1, 1, 0]
    assert "  :22   any" in explain(rule, case)[4]
    assert "  :23     hr latest" in explain(rule, case)[5]


def test_the_criteria_of_the_cards_come_after_those_of_the_rule(
    service: ServiceRules,
) -> None:
    rule, case = case_of(service, heart_rate(90))
    severe = replace(rule.cards[0], when=rule.when.children[1].children[2])

    lines = trace(replace(rule, cards=(severe, rule.cards[0])), case)

    assert len(lines) == 10
    assert [(line.truth, line.text) for line in lines[7:]] == [
        ("false", "any"),
        ("false", "hr latest above 100 /min"),
        ("false", "watch present"),
    ]


def test_a_line_names_what_matched(service: ServiceRules) -> None:
    rule, case = case_of(service, heart_rate(107), heart_rate(90, "o2"))

    found = {line.text: line.references for line in trace(rule, case)}

    assert found["drug present"] == ("MedicationRequest/m1",)
    assert set(found["hr latest above 100 /min"]) == {
        "Observation/o1",
        "Observation/o2",
    }


def test_what_cannot_be_used_is_counted(service: ServiceRules) -> None:
    rule, case = case_of(service, heart_rate("fast"))

    (line,) = (line for line in trace(rule, case) if line.text.startswith("hr"))

    assert (line.truth, line.seen) == (
        "unknown",
        "0 match, 1 unusable, no number in the unit asked for",
    )


UNPLACED = {
    "resourceType": "Condition",
    "id": "c1",
    "code": {
        "coding": [{"system": "http://snomed.info/sct", "code": "60423000"}],
        "text": "Sinus node dysfunction of Mrs Smith",
    },
}
UNOBTAINED = {
    "resourceType": "MedicationRequest",
    "id": "m2",
    "status": "active",
    "intent": "order",
    "medicationReference": {"reference": "Medication/4711", "display": "Smith's pill"},
}


def doubtful_case(service: ServiceRules) -> tuple[Rule, Case]:
    withheld = heart_rate(None, "o2") | {
        "effectiveDateTime": "2026-11-22T08:00:00Z",
        "valueQuantity": None,
        "dataAbsentReason": {"text": "masked"},
    }
    weight = heart_rate(80, "o3") | {"valueQuantity": {"value": 80, "unit": "kg"}}
    sources = {
        name: Source(name, SourceState.LOADED, resources)
        for name, resources in {
            "conditions": (UNPLACED,),
            "medication_requests": (UNOBTAINED,),
            "medication_statements": (),
            "observations": (withheld, weight),
        }.items()
    }
    patient = {"resourceType": "Patient", "id": "p1", "birthDate": "1958-03-14"}
    return service.rules[0], open_case(
        service, Chart("p1", patient, sources), Wearables(), NOW
    )


def test_each_row_in_doubt_says_why_with_its_code_unit_and_reference(
    service: ServiceRules,
) -> None:
    rule, case = doubtful_case(service)

    lines = [" ".join(line.split()) for line in explain(rule, case)]

    told = [line for line in lines if line[0] not in "✓✗?"][1:]
    assert told == [
        "not obtained: MedicationRequest/m2: its Medication was not obtained "
        "(Medication/4711)",
        "unusable: Observation/o2: its value is withheld (loinc|40443-4)",
        "unusable: Observation/o3: no number in the unit asked for "
        "(loinc|40443-4, unit kg)",
        "unresolved: Condition/c1: no value set can place it (snomed|60423000)",
    ]
    assert "Smith" not in "\n".join(lines)


def test_a_program_is_told_why_each_row_is_in_doubt(service: ServiceRules) -> None:
    rule, case = doubtful_case(service)

    said = explain_json(rule, case)

    _, whole = said["when"]["children"]
    _, drug, *_ = whole["children"]
    assert drug["counts"]["not_obtained"] == 1
    assert drug["reasons"][0]["kind"] == "not_read"
    assert drug["in_doubt"] == [
        {
            "resource": "MedicationRequest/m2",
            "state": "not_obtained",
            "why": "its Medication was not obtained",
            "codes": [],
            "unit": None,
            "refers_to": "Medication/4711",
        }
    ]
    assert "Smith" not in str(said)


def test_of_many_rows_in_doubt_the_first_are_told(service: ServiceRules) -> None:
    odd = [heart_rate("fast", f"o{number}") for number in range(7)]
    rule, case = case_of(service, *odd)

    lines = explain(rule, case)

    assert sum(line.strip().startswith("unusable: ") for line in lines) == 4
    assert any(line.strip() == "and 3 more in doubt" for line in lines)


def test_no_words_out_of_the_record_are_in_an_explanation(
    service: ServiceRules,
) -> None:
    rule, case = case_of(service, heart_rate(107))

    assert "Metoprolol" not in "\n".join(explain(rule, case))


def test_a_terminal_is_not_steered_by_an_id(service: ServiceRules) -> None:
    rule, case = case_of(service, heart_rate(107, "\x1b[2J"))

    assert "\x1b" not in "\n".join(explain(rule, case))


def test_the_tree_is_there_for_programs(service: ServiceRules) -> None:
    rule, case = case_of(service, heart_rate(107))

    said = explain_json(rule, case)

    assert (said["outcome"], said["indicator"], said["card"]) == ("fires", "warning", 0)
    assert said["cards"] == [{"index": 0, "severity": "warning", "when": None}]
    assert said["when"]["operator"] == "all"
