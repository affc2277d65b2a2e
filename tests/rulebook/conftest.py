"""Small rulebooks, written in the test and compiled for real."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from functools import cache
from textwrap import dedent, indent
from typing import Any

import pytest

from cds_service.fhir.chart import Chart, Source, SourceState
from cds_service.rulebook.compile.compiler import Compiled, compile_rulebook
from cds_service.rulebook.engine.evaluate import Evaluations, evaluate
from cds_service.rulebook.language.criterion_tree import Node
from cds_service.rulebook.values.truth import Unknown, Verdict
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.worn import Wearables

from ..small_rules import FAST

NOW = datetime.fromisoformat("2026-11-22T07:00:00-05:00")
"""Noon UTC, written at the offset of New York on purpose."""

FILES = {
    "site.yaml": "format: 1\ntime_zone: America/New_York\nunapproved: serve\n",
    "services.yaml": """
        format: 1
        services:
          - id: review
            hooks: [patient-view]
            title: Review
            description: Reviews the chart.
            rules: [test]
        """,
    "alert-types.yaml": """
        format: 1
        alert_types:
          low-heart-rate: {title: Low heart rate, unit: /min}
          irregular-rhythm: {title: Irregular rhythm}
          fast-heart: {title: Fast heart, metric: heart-rate, unit: /min}
        """,
    "metrics.yaml": """
        format: 1
        night: {from: "22:00", to: "08:00", sleep_from: "18:00"}
        metrics:
          heart-rate:
            {title: Heart rate, unit: /min, plausible: [25, 250], speaks_for: 3 minutes,
            proves_wear: 15 minutes}
          body-weight: {title: Body weight, unit: kg, plausible: [1, 400]}
          steps:
            {title: Steps, unit: "{steps}", plausible: [0, 200000], cumulative: true}
          sensor-glucose:
            title: Glucose by a sensor
            unit: mg/dL
            plausible: [39, 600]
            molar_mass: 180.16
            speaks_for: 450 seconds
            bands: {low: [null, 70], in-range: [70, 181], high: [181, null]}
        """,
    "detectors/fast.yaml": FAST.replace("active", "shadow").replace(
        "high-heart-rate", "fast-heart"
    ),
    "valuesets/diabetes.yaml": """
        format: 1
        valueset: diabetes
        version: 1.0.0
        title: Diabetes
        include: [{system: icd10cm, under: [E11]}]
        """,
    "valuesets/beta-blockers.yaml": """
        format: 1
        valueset: beta-blockers
        version: 1.0.0
        title: Beta-blockers
        include:
          - system: rxnorm
            ingredients:
              - {code: "6918", name: metoprolol}
              - {code: "10600", name: timolol}
          - {system: atc, under: [C07]}
        exclude: [{system: rxnorm, dose_forms: [ophthalmic]}]
        """,
    "valuesets/other-drugs.yaml": """
        format: 1
        valueset: other-drugs
        version: 1.0.0
        title: Other drugs
        include:
          - system: rxnorm
            ingredients: [{code: "29046", name: lisinopril}]
        """,
    "valuesets/heart-rate.yaml": """
        format: 1
        valueset: heart-rate
        version: 1.0.0
        title: Heart rate
        unit: /min
        include: [{system: loinc, codes: [8867-4]}]
        """,
    "valuesets/systolic.yaml": """
        format: 1
        valueset: systolic
        version: 1.0.0
        title: Systolic blood pressure
        unit: mm[Hg]
        include: [{system: loinc, codes: [8480-6], panels: [85354-9]}]
        """,
}

RULE = """\
format: 1
rule: test
version: 1.0.0
title: The rule under test
status: active
severity: warning
hooks: [patient-view]
facts:
{facts}
when:
{when}
{more}
card:
  summary: It fires
  source: {{label: Test}}
"""

TEXTS = {name: dedent(text) for name, text in FILES.items()}
KNOWN = compile_rulebook(TEXTS).documents
"""The files as they were read once. A test has only those parsed that it changes."""

LOADED, PARTIAL, MISSING = SourceState


def rule_file(facts: str, when: str, more: str = "") -> str:
    """A rule file of the least that a rule needs."""
    return RULE.format(
        facts=indent(dedent(facts).strip(), "  "),
        when=indent(dedent(when).strip(), "  "),
        more=dedent(more).strip(),
    )


def make_chart(
    conditions: list[Any] | None = None,
    requests: list[Any] | None = None,
    statements: list[Any] | None = None,
    observations: list[Any] | None = None,
    patient: Mapping[str, Any] | None = None,
    states: Mapping[str, SourceState] | None = None,
    medications: Mapping[str, Any] | None = None,
) -> Chart:
    """A chart of patient p, all loaded unless *states* says otherwise."""
    read = {
        "conditions": conditions,
        "medication_requests": requests,
        "medication_statements": statements,
        "observations": observations,
    }
    states = states or {}
    sources = {
        name: Source(name, states.get(name, LOADED), tuple(resources or ()))
        for name, resources in read.items()
    }
    born = {"resourceType": "Patient", "id": "p", "birthDate": "1958-03-14"}
    return Chart("p", patient or born, sources, medications or {})


def compile_texts(files: tuple[tuple[str, str], ...]) -> Compiled:
    """What comes of a folder."""
    return compile_rulebook(dict(files), known=KNOWN)


compile_once = cache(compile_texts)
"""It is never changed, and so the same for each test of it."""
MUTATED = "mutmut" in sys.modules
"""mutmut runs the tests in a process that has run them before, with other code."""


@dataclass
class Bench:
    """A rules folder that tests change and ask."""

    files: dict[str, str] = field(default_factory=TEXTS.copy)
    now: datetime = NOW

    def rule(self, facts: str, when: str, more: str = "") -> None:
        """Write the rule."""
        self.files["test.yaml"] = rule_file(facts, when, more)

    def compile(self) -> Compiled:
        compile = compile_texts if MUTATED else compile_once
        return compile(tuple(self.files.items()))

    def evaluate(
        self,
        facts: str,
        when: str,
        chart: Chart,
        alerts: list[WearableAlert] | None = None,
        more: str = "",
        worn: Wearables | None = None,
    ) -> Evaluations:
        self.rule(facts, when, more)
        compiled = self.compile()
        assert compiled.rulebook, compiled.findings
        service = compiled.rulebook.services["review", "patient-view"]
        told = worn or Wearables(tuple(alerts or ()))
        return evaluate(service, chart, told, self.now)

    def verdict(
        self,
        facts: str,
        when: str,
        chart: Chart,
        alerts: list[WearableAlert] | None = None,
    ) -> Verdict:
        """What ``when`` says, asked directly: the trigger index has no part in it."""
        self.rule(facts, when)
        compiled = self.compile()
        assert compiled.rulebook, compiled.findings
        rule = compiled.rulebook.rules["test"]
        service = compiled.rulebook.services["review", "patient-view"]
        case = evaluate(service, chart, Wearables(tuple(alerts or ())), self.now).case
        return rule.when.predicate(case)


@pytest.fixture(scope="module", autouse=True)
def far_from_greenwich() -> Iterator[None]:
    """The machine stands in a zone that is neither UTC nor a site's: none reads it."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Asia/Kathmandu"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture
def rules() -> Bench:
    """A small rules folder."""
    return Bench()


@pytest.fixture
def nodes() -> Callable[[Any], Iterator[Node]]:
    """Finds a node of a syntax tree and all in it."""

    def find(value: Any) -> Iterator[Node]:
        if isinstance(value, Node):
            yield value
            for each in fields(value):
                yield from find(getattr(value, each.name))
        elif isinstance(value, tuple):
            for each in value:
                yield from find(each)
        elif isinstance(value, Mapping):
            for each in value.values():
                yield from find(each)

    return find


@pytest.fixture
def chart() -> Callable[..., Chart]:
    """Makes charts."""
    return make_chart


@pytest.fixture
def reasons() -> Callable[[Verdict], set[str]]:
    """The kinds of reason of an unknown; empty for true and false.

    Each reason names the fact that it is about.
    """

    def kinds(verdict: Verdict) -> set[str]:
        if not isinstance(verdict, Unknown):
            return set()
        assert all(isinstance(each.fact, str) for each in verdict.reasons)
        assert "" not in {each.fact for each in verdict.reasons}
        return {reason.kind.value for reason in verdict.reasons}

    return kinds


@pytest.fixture
def reading() -> Callable[..., dict[str, Any]]:
    """Makes heart rate observations."""

    def make(value: Any, age: str = "1 hours", **more: Any) -> dict[str, Any]:
        count, unit = age.split()
        at = NOW - timedelta(**{unit: float(count)})
        quantity = {
            "value": value,
            "code": "/min",
            "system": "http://unitsofmeasure.org",
        }
        return {
            "resourceType": "Observation",
            "id": f"o-{value}-{count}{unit}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "effectiveDateTime": at.astimezone(UTC).isoformat(),
            "valueQuantity": quantity,
            **more,
        }

    return make


@pytest.fixture
def wearable() -> Callable[..., WearableAlert]:
    """Makes wearable alerts of patient p that ended some hours ago."""

    def make(
        type: str = "low-heart-rate", hours: float = 1, **more: Any
    ) -> WearableAlert:
        end = NOW - timedelta(hours=hours)
        return WearableAlert(
            **{
                "id": f"a-{hours}",
                "patient": PatientKey("default", "-", "p"),
                "type": type,
                "start": end - timedelta(minutes=15),
                "end": end,
                "opened": end.astimezone(UTC),
                "local": True,
                **more,
            }
        )

    return make
