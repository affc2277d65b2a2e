"""What is measured: a patient with 20 problems and 20 drugs, and folders of rules."""

import json
import shutil
from pathlib import Path
from typing import Any

from cds_service.rulebook.compile.prefetch import CODES_PER_QUERY

from .load import INSTANCE

PATIENT = "bench-1"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SERVICE = "bench"
SHIPPED = Path(__file__).parent.parent / "rules"

SERVICES = f"""\
format: 1
services:
  - id: {SERVICE}
    hooks: [patient-view]
    title: Measured
    description: Generated rules, of which one fires.
    rules: [generated]
"""
SITE = """\
format: 1
time_zone: UTC
unapproved: serve
"""
RULE = """\
format: 1
rule: generated-{n}
version: 1.0.0
title: Generated rule {n}
status: active
severity: info
hooks: [patient-view]

facts:
  problem:
    condition:
      in: problem-{n}
  medicine:
    medication:
      in: medicine-{n}
      status: current

when:
  all:
    - problem: present
    - medicine: present
if_unknown: silent

card:
  summary: "{{{{ problem.name }}}} with {{{{ medicine.name }}}}"
  detail: |
    **Generated advice {n}**

    - {{{{ problem.name }}}}
    - {{{{ medicine.name }}}}
  source:
    label: Benchmark

governance:
  owner: bench@example.org
  effective: 2020-01-01
  review_by: 2099-01-01
  evidence:
    - citation: None; generated for measuring.
      year: 2026
"""
TEST = """\
test: generated-{n}
now: 2026-11-22T12:00:00Z
patients:
  base:
    conditions:
      - {{code: icd10cm|{problem}, name: Problem}}
    medications:
      - {{code: rxnorm|{medicine}, name: Medicine, status: active}}
cases:
  - name: fires on both
    patient: base
    expect: {{card: info}}
  - name: silent without the medicine
    patient: base
    set: {{medications: []}}
    expect: no card
  - name: unknown without the problems
    patient: base
    set: {{not_loaded: [Condition]}}
    expect: unknown
"""
VALUE_SET = """\
format: 1
valueset: {name}
version: 1.0.0
title: Generated {name}
include:
  - system: {system}
    codes: ["{code}"]
"""

OBSERVATION_RULE = """\
format: 1
rule: generated-observation
version: 1.0.0
title: Generated rule of observations
status: active
severity: info
hooks: [patient-view]

facts:
  value:
    observation:
      in: observed
      unit: /min
      within: 7 days

when:
  all:
    - value: {latest: {above: 100}}
if_unknown: silent

card:
  summary: "Generated value {{ value.latest }}"
  source:
    label: Benchmark

governance:
  owner: bench@example.org
  effective: 2020-01-01
  review_by: 2099-01-01
  evidence:
    - citation: None; generated for measuring.
      year: 2026
"""
OBSERVATION_TEST = """\
test: generated-observation
now: 2026-11-22T12:00:00Z
patients:
  base:
    observations:
      - {code: loinc|90000-1, values: 120, unit: /min, ends: 1 day ago}
cases:
  - name: fires above
    patient: base
    expect: {card: info}
  - name: silent at the limit
    patient: base
    set:
      observations:
        - {code: loinc|90000-1, values: 100, unit: /min, ends: 1 day ago}
    expect: no card
  - name: unknown without observations
    patient: base
    set: {not_loaded: [Observation]}
    expect: unknown
"""


def write_observation_rule(folder: Path) -> Path:
    """The folder with one more rule, whose many codes make four queries."""
    rule = folder / "generated" / "generated-observation.yaml"
    rule.write_text(OBSERVATION_RULE)
    rule.with_suffix(".test.yaml").write_text(OBSERVATION_TEST)
    codes = '", "'.join(f"9{n:04}-1" for n in range(4 * CODES_PER_QUERY))
    text = VALUE_SET.format(name="observed", system="loinc", code=codes)
    (folder / "valuesets" / "observed.yaml").write_text(text)
    return folder


def write_rules(folder: Path, count: int) -> Path:
    """A folder of *count* rules; the first fires for the patient, no other does."""
    for name in ("generated", "valuesets"):
        (folder / name).mkdir(parents=True)
    (folder / "services.yaml").write_text(SERVICES)
    shutil.copy(SHIPPED / "alert-types.yaml", folder)
    (folder / "site.yaml").write_text(SITE)
    for n in range(count):
        (folder / "generated" / f"generated-{n}.yaml").write_text(RULE.format(n=n))
        test = TEST.format(n=n, problem=problem_code(n), medicine=medicine_code(n))
        (folder / "generated" / f"generated-{n}.test.yaml").write_text(test)
        for name, system, code in (
            (f"problem-{n}", "icd10cm", problem_code(n)),
            (f"medicine-{n}", "rxnorm", medicine_code(n)),
        ):
            text = VALUE_SET.format(name=name, system=system, code=code)
            (folder / "valuesets" / f"{name}.yaml").write_text(text)
    return folder


def problem_code(n: int) -> str:
    """An ICD-10-CM code in form only."""
    return f"X{n // 100 % 100:02}.{n % 100:02}"


def medicine_code(n: int) -> str:
    """An RxNorm identifier in form only."""
    return str(9_000_000 + n)


def build_body() -> bytes:
    """A patient-view call of about 26 kB with everything prefetched.

    The patient has problems 0 to 19 and medicines 0 and 20 to 38, so that twenty rules
    are looked at closely and one fires.
    """
    medicines = [0, *range(20, 39)]
    prefetch = {
        "patient": {
            "resourceType": "Patient",
            "id": PATIENT,
            "birthDate": "1958-03-14",
            "gender": "female",
        },
        "conditions": _bundle([_condition(n) for n in range(20)]),
        "medication-statements": _bundle([_statement(n) for n in medicines]),
        "medication-requests": _bundle([]),
    }
    body = {
        "hook": "patient-view",
        "hookInstance": INSTANCE.decode(),
        "context": {"userId": "Practitioner/1", "patientId": PATIENT},
        "prefetch": prefetch,
    }
    return json.dumps(body, separators=(",", ":")).encode()


def _bundle(resources: list[dict[str, Any]]) -> dict[str, Any]:
    entries = [{"resource": each, "search": {"mode": "match"}} for each in resources]
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(entries),
    }
    return {**bundle, "entry": entries} if entries else bundle


def _condition(n: int) -> dict[str, Any]:
    terminology = "http://terminology.hl7.org/CodeSystem/condition-"
    return {
        "resourceType": "Condition",
        "id": f"condition-{n}",
        "meta": {"versionId": "1"},
        "clinicalStatus": _concept(terminology + "clinical", "active"),
        "verificationStatus": _concept(terminology + "ver-status", "confirmed"),
        "category": [_concept(terminology + "category", "problem-list-item")],
        "code": _concept(ICD10CM, problem_code(n), f"Generated problem {n}"),
        "subject": {"reference": f"Patient/{PATIENT}"},
        "onsetDateTime": f"20{n:02}-04-01",
        "recordedDate": f"20{n:02}-04-02T09:30:00Z",
    }


def _statement(n: int) -> dict[str, Any]:
    return {
        "resourceType": "MedicationStatement",
        "id": f"statement-{n}",
        "meta": {"versionId": "1"},
        "status": "active",
        "medicationCodeableConcept": _concept(
            RXNORM, medicine_code(n), f"Generated medicine {n} 50 MG Oral Tablet"
        ),
        "subject": {"reference": f"Patient/{PATIENT}"},
        "effectivePeriod": {"start": "2024-05-01"},
        "dateAsserted": "2026-01-05T10:00:00Z",
        "dosage": [{"text": "one tablet every morning", "asNeededBoolean": False}],
    }


def _concept(system: str, code: str, text: str = "") -> dict[str, Any]:
    coding = {"system": system, "code": code}
    return (
        {"coding": [{**coding, "display": text}], "text": text}
        if text
        else {"coding": [coding]}
    )
