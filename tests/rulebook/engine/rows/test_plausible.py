"""What no living patient has is set aside, said, and never compared."""

from collections.abc import Callable, Mapping
from textwrap import dedent
from typing import Any

import pytest

from cds_service.fhir.chart import Chart
from cds_service.protocol.services import Service
from cds_service.rulebook.cards.cards import draft_cards
from cds_service.rulebook.describe.explain import explain_json, trace
from cds_service.rulebook.engine.evaluate import Outcome
from cds_service.rulebook.values.truth import Verdict

PLAUSIBLE = """
    format: 1
    valueset: heart-rate
    version: 1.0.0
    title: Heart rate
    unit: /min
    plausible: [20, 300]
    include: [{system: loinc, codes: [8867-4]}]
    """
EGFR = """
    format: 1
    valueset: egfr
    version: 1.0.0
    title: Kidney function
    unit: mL/min/{1.73_m2}
    plausible: [1, 200]
    include: [{system: loinc, codes: [98979-8]}]
    """
GLUCOSE = """
    format: 1
    valueset: glucose
    version: 1.0.0
    title: Glucose
    unit: mg/dL
    plausible: [10, 1000]
    molar_mass: 180.16
    include: [{system: loinc, codes: [2339-0]}]
    """
CLEARANCE = """
    format: 1
    valueset: clearance
    version: 1.0.0
    title: Clearance
    include: [{system: loinc, codes: [2164-2]}]
    """
HR = "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}"
FAST = "hr: {latest: {above: 100}}"
WHY = "outside the plausible range, 20 to 300 /min"


RULE = """
    format: 1
    rule: test
    version: 1.0.0
    title: The rule under test
    status: active
    severity: warning
    hooks: [patient-view]
    facts:
      hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}
    when: {all: [hr: {latest: {above: 100}}]}
    card:
      summary: It fires
      source: {label: Test}
    """


@pytest.fixture
def rules(rules: Any) -> Any:
    for name, text in {
        "heart-rate": PLAUSIBLE,
        "egfr": EGFR,
        "glucose": GLUCOSE,
        "clearance": CLEARANCE,
    }.items():
        rules.files[f"valuesets/{name}.yaml"] = dedent(text)
    return rules


def of(code: str, value: float, unit: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o-{value}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "effectiveDateTime": "2026-11-22T10:00:00Z",
        "valueQuantity": {"value": value, "unit": unit, **more},
    }


@pytest.mark.parametrize(
    ("readings", "when", "truth", "because"),
    [
        (["0 1"], FAST, None, {"unusable"}),
        (["999 1"], FAST, None, {"unusable"}),
        (["999 1"], "hr: present", None, {"unusable"}),
        (["999 1"], "hr: absent", None, {"unusable"}),
        (["999 1", "110 2"], FAST, None, {"unusable"}),
        (["110 1", "999 2"], FAST, True, set()),
        (["999 1", "110 2"], "hr: {max: {above: 100}}", True, set()),
        (["999 1", "90 2"], "hr: {max: {above: 100}}", None, {"unusable"}),
        (["0 1", "90 2"], "hr: {min: {below: 50}}", None, {"unusable"}),
        (["999 1", "90 2"], "hr: {mean: {above: 100}}", None, {"unusable"}),
        (["999 300", "90 2"], "hr: {mean: {above: 100}}", False, set()),
    ],
)
def test_a_heart_rate_of_0_or_999_is_no_extreme_but_cannot_be_used(
    rules: Any,
    chart: Callable[..., Chart],
    reading: Callable[..., dict[str, Any]],
    reasons: Callable[[Verdict], set[str]],
    readings: list[str],
    when: str,
    truth: bool | None,
    because: set[str],
) -> None:
    rows = [
        reading(float(each.split()[0]), f"{each.split()[1]} hours") for each in readings
    ]

    verdict = rules.verdict(HR, when, chart(observations=rows))

    assert (verdict if isinstance(verdict, bool) else None) is truth
    assert reasons(verdict) == because


def test_the_clinician_and_the_author_are_told_why(
    rules: Any, chart: Callable[..., Chart], reading: Callable[..., dict[str, Any]]
) -> None:
    rows = [
        reading(999, code={"coding": reading(1)["code"]["coding"], "text": "Pulse"})
    ]

    found = rules.evaluate(HR, FAST, chart(observations=rows))

    (evaluation,) = found.items
    assert evaluation.outcome is Outcome.UNKNOWN and evaluation.could_not_check
    (card,) = draft_cards(found, Service("s", "patient-view", "S", "", "", {}))
    assert (
        "Heart rate: recorded in a form that cannot be used: outside the plausible "
        "range, 20 to 300 /min (Pulse)" in card.card.detail
    )
    lines = trace(evaluation.rule, found.case)
    assert any(line.seen == f"0 match, 1 unusable, {WHY}" for line in lines)
    (reason,) = explain_json(evaluation.rule, found.case)["reasons"]
    assert (reason["kind"], reason["why"]) == ("unusable", WHY)
    assert found.case.unusable() == [("Observation", WHY)]


def test_readings_that_fail_for_two_reasons_are_told_apart(
    rules: Any, chart: Callable[..., Chart], reading: Callable[..., dict[str, Any]]
) -> None:
    rows = [
        reading(999),
        reading(7, "2 hours", valueQuantity={"value": 7, "unit": "kg"}),
    ]

    found = rules.evaluate(HR, FAST, chart(observations=rows))

    (evaluation,) = found.items
    assert [each.why for each in evaluation.reasons] == [
        WHY,
        "no number in the unit asked for",
    ]


@pytest.mark.parametrize(
    ("unit", "truth"),
    [
        ("mL/min/1.73", True),
        ("mL/min/1.73m2", True),
        ("mL/min/1.73 m²", True),
        ("mL/min/{1.73_m2}", True),
        ("mL/min", True),
        ("mL", None),
    ],
)
def test_an_egfr_of_22_is_below_30_in_every_common_form_of_its_unit(
    rules: Any, chart: Callable[..., Chart], unit: str, truth: bool | None
) -> None:
    facts = "egfr: {observation: {in: egfr, unit: 'mL/min/{1.73_m2}', within: 1 year}}"
    rows = [of("98979-8", 22, unit)]

    verdict = rules.verdict(
        facts, "egfr: {latest: {below: 30}}", chart(observations=rows)
    )

    assert (verdict if isinstance(verdict, bool) else None) is truth


def test_a_clearance_is_no_egfr_and_an_egfr_no_clearance(
    rules: Any, chart: Callable[..., Chart]
) -> None:
    facts = "c: {observation: {in: clearance, unit: '%s', within: 1 year}}"
    below = "c: {latest: {below: 30}}"

    def verdict(asked: str, written: str) -> Verdict:
        rows = [of("2164-2", 22, written)]
        found: Verdict = rules.verdict(facts % asked, below, chart(observations=rows))
        return found

    assert verdict("mL/min", "mL/min") is True
    assert not isinstance(verdict("mL/min", "mL/min/1.73"), bool)
    assert not isinstance(verdict("mL/min", "mL/min/{1.73_m2}"), bool)
    assert not isinstance(verdict("mL/min/{1.73_m2}", "mL/min"), bool)


@pytest.mark.parametrize(
    ("value", "unit", "truth"),
    [
        (2.8, "MMOL/L", True),
        (3.2, "mmol/L", False),
        (50, "mg%", True),
        (50, "mM", None),
    ],
)
def test_glucose_is_told_in_moles_where_the_set_says_its_molar_mass(
    rules: Any, chart: Callable[..., Chart], value: float, unit: str, truth: bool | None
) -> None:
    facts = "glucose: {observation: {in: glucose, unit: mg/dL, within: 1 year}}"
    rows = [of("2339-0", value, unit)]

    verdict = rules.verdict(
        facts, "glucose: {latest: {below: 54}}", chart(observations=rows)
    )

    if unit == "mM":  # 50 mmol/L is 901 mg/dL
        assert verdict is False
    else:
        assert verdict is truth


ANY_RATE = """
    format: 1
    valueset: any-rate
    version: 1.0.0
    title: Any rate
    include: [{valueset: heart-rate}%s]
    """


@pytest.mark.parametrize(
    ("beside", "plausible"),
    [("", (20.0, 300.0)), (", {valueset: egfr}", None), (", {valueset: other}", None)],
)
def test_a_set_of_sets_holds_to_what_all_of_them_say(
    rules: Any, beside: str, plausible: tuple[float, float] | None
) -> None:
    rules.files["valuesets/other.yaml"] = dedent(
        PLAUSIBLE.replace("valueset: heart-rate", "valueset: other").replace(
            "300", "250"
        )
    )
    rules.files["valuesets/any-rate.yaml"] = dedent(ANY_RATE % beside)
    rules.files["test.yaml"] = dedent(RULE)

    rulebook = rules.compile().rulebook

    assert rulebook.valuesets["any-rate"].measure.plausible == plausible


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"plausible: [20, 300]": "plausible: [300, 20]"}, "CDS230"),
        ({"plausible: [20, 300]": "plausible: [20, 20]"}, "CDS230"),
        # The grammar of UCUM, which is asked for these, takes a second to load.
        pytest.param({"unit: /min": "unit: bpm"}, "CDS228", marks=pytest.mark.slow),
        pytest.param({"unit: /min": "unit: b/min"}, "CDS228", marks=pytest.mark.slow),
        ({"unit: /min": "unit: kg"}, "CDS231"),
        ({"    unit: /min\n": ""}, "CDS108"),
        ({"plausible: [20, 300]": "plausible: 300"}, "CDS103"),
    ],
)
def test_what_a_set_says_of_its_results_is_checked(
    rules: Any, change: Mapping[str, str], code: str
) -> None:
    text = PLAUSIBLE
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    rules.files["valuesets/heart-rate.yaml"] = dedent(text)
    rules.files["test.yaml"] = dedent(RULE)

    assert code in {each.code for each in rules.compile().findings}


RATE = "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}"
MORE = """
params: {limit: {default: 400, unit: /min}}
"""


def limits_told(rules: Any, chart: Any, test: str) -> list[tuple[str, str]]:
    more = MORE if "$limit" in test else ""
    rules.evaluate(RATE, "hr: present", chart())
    text = rules.files["test.yaml"].replace("hr: present", test)
    rules.files["test.yaml"] = text + more
    found = [each for each in rules.compile().findings if each.level == "error"]
    return [(each.code, each.message.split(" value")[0]) for each in found]


@pytest.mark.parametrize(
    ("test", "which"),
    [
        ("hr: {latest: {above: 400}}", "no"),
        ("hr: {latest: {above: 300}}", "no"),
        ("hr: {latest: {below: 20}}", "no"),
        ("hr: {latest: {above: 7.5}}", "every"),
        ("hr: {mean: {at_most: 300}}", "every"),
        ("hr: {latest: {above: $limit}}", "no"),
        ("hr: {max: {between: [1000, 2000]}}", "no"),
        ("hr: {on_days: {at_least: 500, days: 2}}", "no"),
        ("hr: {sustained: {above: 500, for: 1 day}}", "no"),
        ("hr: {repeated: {above: 500, times: 2, apart: 1 hour}}", "no"),
    ],
)
def test_a_limit_that_no_value_or_every_value_meets_is_told(
    rules: Any, chart: Any, test: str, which: str
) -> None:
    assert ("CDS243", which) in limits_told(rules, chart, test)


@pytest.mark.parametrize(
    "test",
    [
        "hr: {latest: {at_least: 300}}",
        "hr: {latest: {above: 100}}",
        "hr: {count: {above: 400}}",
        "hr: {rise: {at_least: 5, over: 3 days}}",
    ],
)
def test_a_limit_that_some_values_meet_is_none(
    rules: Any, chart: Any, test: str
) -> None:
    assert limits_told(rules, chart, test) == []


def test_a_limit_in_another_unit_is_held_to_the_range_in_that_unit(
    rules: Any, chart: Any
) -> None:
    name = "valuesets/heart-rate.yaml"
    degrees = rules.files[name].replace("unit: /min", "unit: Cel")
    rules.files[name] = degrees.replace("[20, 300]", "[30, 45]")
    fact = RATE.replace("/min", "'[degF]'")
    rules.evaluate(fact, "hr: {latest: {above: 101}}", chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("above: 101", "above: 38.5")

    codes = [each.code for each in rules.compile().findings if each.level == "error"]

    assert codes == ["CDS243"]
