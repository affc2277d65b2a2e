"""The engine: rules over one chart, without HTTP and without a database.

Ingest and evaluate is all that happens between a chart that was read and what the rules
say of it. However many rules there are, the same few match: what grows is the number of
those that have nothing to say. Each call is about another patient.

Each number of rules runs in turn, round after round. What is printed are ratios to
``json.loads`` of the same charts in the same round, of which the medians are taken.
"""

import gc
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cds_service.fhir.chart import Chart, Source, SourceState
from cds_service.rulebook.compile.compiler import compile_rulebook
from cds_service.rulebook.engine.evaluate import Outcome, evaluate
from cds_service.rulebook.engine.rulebook import ServiceRules
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml
from cds_service.wearables.worn import Wearables

COUNTS = (10, 100, 1000, 5000)
ROUNDS = 7
CALLS = 200
"""Of each number of rules in a round."""
PATIENTS = 50
MATCHING = 10
"""Rules that a chart has everything for, however many rules there are."""
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SETS = 120
"""Value sets of each of the three kinds, of 3 to 200 codes."""

SITE = "format: 1\ntime_zone: America/New_York\nunapproved: serve\n"
ALERT_TYPES = """\
format: 1
alert_types:
  high-heart-rate: { title: High heart rate, metric: heart_rate, unit: /min }
"""
SERVICES = """\
format: 1
services:
  - id: bench
    hooks: [patient-view]
    title: Measured
    description: Generated rules.
    rules: [generated]
"""
RULE = """\
format: 1
rule: generated-{n}
version: 1.0.0
title: Generated rule {n}
status: active
severity: warning
hooks: [patient-view]

facts:
  problem: {{ condition: {{ in: problem-{problem} }} }}
  medicine: {{ medication: {{ in: medicine-{medicine} }} }}
  result: {{ observation: {{ in: result-{result}, unit: mg/dL, within: 90 days }} }}

when:
  all:
    - patient: {{ age: {{ at_least: 18 years }} }}
    - problem: present
    - medicine: {test}
    - result: {{ latest: {{ above: {limit} }} }}

card:
  summary: "{{{{ problem.name }}}}: {{{{ result.latest }}}}"
  source: {{ label: Benchmark }}
"""


def write_files(count: int) -> dict[str, str]:
    """The files of a rulebook of *count* rules; the first are the same in each."""
    files = {
        "site.yaml": SITE,
        "services.yaml": SERVICES,
        "alert-types.yaml": ALERT_TYPES,
    }
    for n in range(SETS):
        for kind, system in SYSTEMS.items():
            files[f"valuesets/{kind}-{n}.yaml"] = value_set(kind, n, system)
    for n in range(count):
        files[f"generated/generated-{n}.yaml"] = rule(n)
    return files


def rule(n: int) -> str:
    """Rule *n*; what the first few ask for is in each chart, and no other's problem."""
    chance = random.Random(n)
    held = [each for each in range(SETS) if is_held(each)]
    others = [each for each in range(SETS) if not is_held(each)]
    matches = n < MATCHING
    return RULE.format(
        n=n,
        problem=chance.choice(held if matches else others),
        medicine=chance.choice(held) if matches else chance.randrange(SETS),
        result=chance.choice(held) if matches else chance.randrange(SETS),
        test="absent" if n % 4 == 0 and not matches else "present",
        limit=chance.randrange(50, 200),
    )


def is_held(n: int) -> bool:
    """Whether each chart has a code of the sets of this number."""
    return n % 3 == 0 and n < 3 * 20


SYSTEMS = {"problem": "icd10cm", "medicine": "rxnorm", "result": "loinc"}


def value_set(kind: str, n: int, system: str) -> str:
    """A value set of 3 to 200 codes that no other of its kind has."""
    size = random.Random(f"{kind}-{n}").randint(3, 200)
    codes = ", ".join(f'"{code(kind, n, i)}"' for i in range(size))
    return (
        f"format: 1\nvalueset: {kind}-{n}\nversion: 1.0.0\ntitle: {kind} {n}\n"
        f"include:\n  - system: {system}\n    codes: [{codes}]\n"
    )


def code(kind: str, n: int, i: int) -> str:
    """A code in form only."""
    if kind == "problem":
        return f"{chr(65 + n % 26)}{n // 26}{i % 10}.{i // 10:02}"
    return str(9_000_000 + n * 1000 + i) if kind == "medicine" else f"{n * 1000 + i}-0"


def build_resources(patient: int) -> dict[str, list[dict[str, Any]]]:
    """Ninety resources: 20 problems, 20 medicines and 50 results.

    Patients differ in their codes, of the same sets, and in all times.
    """
    chance = random.Random(patient)

    def concept(kind: str, n: int) -> dict[str, Any]:
        written = code(kind, n * 3, chance.randrange(3))
        return {
            "coding": [{"system": URIS[kind], "code": written}],
            "text": f"{kind} {n}",
        }

    def clock() -> str:
        return f"{chance.randrange(24):02}:{chance.randrange(60):02}:00"

    subject = {"reference": "Patient/p"}
    return {
        "conditions": [
            {
                "resourceType": "Condition",
                "id": f"c{n}",
                "clinicalStatus": {"coding": [{"code": "active"}]},
                "code": concept("problem", n),
                "subject": subject,
                "onsetDateTime": f"20{chance.randrange(10, 26)}-04-01",
            }
            for n in range(20)
        ],
        "medication_requests": [
            {
                "resourceType": "MedicationRequest",
                "id": f"m{n}",
                "status": "active",
                "intent": "order",
                "medicationCodeableConcept": concept("medicine", n),
                "subject": subject,
                "authoredOn": f"2025-01-{chance.randrange(1, 29):02}T{clock()}Z",
            }
            for n in range(20)
        ],
        "observations": [
            {
                "resourceType": "Observation",
                "id": f"o{n}",
                "status": "final",
                "code": concept("result", n % 25),
                "subject": subject,
                "effectiveDateTime": f"2026-11-{1 + n % 20:02}T{clock()}-05:00",
                "valueQuantity": {
                    "value": 60 + 3 * n,
                    "code": "mg/dL",
                    "system": "http://unitsofmeasure.org",
                },
            }
            for n in range(50)
        ],
        "medication_statements": [],
    }


URIS = {
    "problem": "http://hl7.org/fhir/sid/icd-10-cm",
    "medicine": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "result": "http://loinc.org",
}


def build_chart(resources: Mapping[str, list[dict[str, Any]]]) -> Chart:
    """The chart of a patient of 68 with these resources: 91 with the Patient."""
    patient = {"resourceType": "Patient", "id": "p", "birthDate": "1958-03-14"}
    return Chart(
        patient_id="p",
        patient=patient,
        sources={
            name: Source(name, SourceState.LOADED, tuple(rows))
            for name, rows in resources.items()
        },
    )


def main() -> None:
    """Measure and print."""
    resources = [build_resources(patient) for patient in range(PATIENTS)]
    texts = [json.dumps(each) for each in resources]
    charts = [build_chart(each) for each in resources]
    services = {count: load(count) for count in COUNTS}
    gc.collect()
    gc.freeze()
    runs: dict[str, Callable[[int], object]] = {
        PARSING: lambda call: json.loads(texts[call % PATIENTS])
    }
    for count, service in services.items():
        runs[f"{count:,} rules"] = lambda call, service=service: evaluate(
            service, charts[call % PATIENTS], Wearables(), NOW
        )
    rounds = measure(runs)
    print(f"\ningest and evaluate, 91 resources, median of {ROUNDS} rounds of {CALLS}")
    for name in runs:
        microseconds = statistics.median(each[name] for each in rounds)
        print(
            f"  {name:<24} {microseconds:7.0f} us"
            f"   {ratio(rounds, name, PARSING):5.2f} of json.loads"
            f"   {ratio(rounds, name, '10 rules'):5.2f} of 10 rules"
        )
    for count, service in services.items():
        items = evaluate(service, charts[0], Wearables(), NOW).items
        fired = sum(each.outcome is Outcome.FIRES for each in items)
        print(f"  of {count:,} rules {len(items)} were asked, {fired} fired")
    grown = ratio(rounds, "1,000 rules", "10 rules")
    print(f"1,000 rules beside 10: {grown:.2f} (aim: 1.5 or less)")


PARSING = "json.loads of the chart"


def ratio(rounds: Sequence[Mapping[str, float]], name: str, beside: str) -> float:
    """The median over the rounds of one time beside another."""
    return statistics.median(each[name] / each[beside] for each in rounds)


def load(count: int) -> ServiceRules:
    """A rulebook of *count* rules, and how long a rule takes to load and compile."""
    files = write_files(count)
    sets = {name: text for name, text in files.items() if "generated/" not in name}
    parse = clock(lambda: [parse_yaml(t, n, Findings()) for n, t in files.items()])
    without = clock(lambda: compile_rulebook(sets))
    whole = clock(lambda: compile_rulebook(files))
    compiled = compile_rulebook(files)
    assert compiled.rulebook is not None, compiled.findings[:3]
    each = (whole - without) / count
    print(
        f"load and compile {count:,} rules: {each:.2f} ms a rule (aim: under 1); "
        f"{whole:.0f} ms with {3 * SETS} value sets, of which YAML {parse:.0f} ms"
    )
    return compiled.rulebook.services["bench", "patient-view"]


def clock(work: Callable[[], object]) -> float:
    """The best of three runs, in milliseconds of CPU."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best * 1000


def measure(runs: Mapping[str, Callable[[int], object]]) -> list[dict[str, float]]:
    """CPU microseconds a call of each, in turn, by round."""
    rounds: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        took = {}
        for name, run in runs.items():
            start = time.process_time()
            for call in range(CALLS):
                run(call)
            took[name] = (time.process_time() - start) / CALLS * 1e6
        rounds.append(took)
    return rounds
