"""When resources are from, what they are of, and what number they hold."""

from dataclasses import replace
from typing import Any

import pytest

from cds_service.fhir.chart import Source, SourceState

from .resources import BETA_BLOCKER, DIABETES, HR, condition, request, statement, status


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ({"effectiveDateTime": "2026-11-15T12:00:00Z"}, True),
        ({"effectiveDateTime": "2026-11-15T11:59:59Z"}, False),
        ({"effectiveDateTime": "2026-11-22T12:05:00Z"}, True),
        ({"effectiveDateTime": "2026-11-22T12:05:01Z"}, False),
        ({"effectiveDateTime": "2026-11-16"}, True),
        ({"effectiveDateTime": "2026-11-15"}, {"boundary"}),
        ({"effectiveDateTime": "2026-11-22"}, True),
        ({"effectiveDateTime": "2026-11-23"}, False),
        ({"effectiveDateTime": "2026-11"}, {"boundary"}),
        ({"effectiveDateTime": "2026"}, {"boundary"}),
        ({"effectiveDateTime": "2026-11-20T24:00:00"}, True),
        ({"_effectiveDateTime": {}, "issued": "2026-11-20T00:00:00Z"}, True),
        ({"effectiveTiming": {"event": ["2026-11-20"]}}, {"unusable"}),
        ({"effectivePeriod": {"start": "2020", "end": "2026-11-20"}}, True),
        ({"effectivePeriod": {"start": "2020"}}, True),
        ({"effectiveInstant": "2026-11-20T00:00:00.123456789Z"}, True),
        ({"issued": "2026-11-20T00:00:00Z"}, True),
        ({"effectiveDateTime": "2020-01-01", "issued": "2026-11-20T00:00:00Z"}, False),
        ({"effectiveDateTime": "yesterday"}, {"unusable"}),
        ({"effectiveDateTime": "2026-02-30"}, {"unusable"}),
        ({}, {"uncertain"}),
    ],
)
def test_within_keeps_what_certainly_lies_in_the_window(
    rules: Any,
    chart: Any,
    reasons: Any,
    reading: Any,
    time: dict[str, Any],
    expected: Any,
) -> None:
    made = {k: v for k, v in reading(80).items() if k != "effectiveDateTime"}

    verdict = rules.verdict(HR, "hr: present", chart(observations=[{**made, **time}]))

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"valueQuantity": {"value": 101, "code": "/min"}}, True),
        ({"valueQuantity": {"value": 101, "unit": "bpm"}}, True),
        ({"valueQuantity": {"value": 101, "code": "{beats}/min"}}, True),
        ({"valueQuantity": {"value": 1.7, "code": "/s"}}, True),
        ({"valueQuantity": {"value": 1.6, "code": "/s"}}, False),
        ({"valueQuantity": {"value": 101, "code": "kg"}}, {"unusable"}),
        ({"valueQuantity": {"value": 101}}, {"unusable"}),
        ({"valueQuantity": {"value": "101", "code": "/min"}}, True),
        ({"valueQuantity": {"value": "1O1", "code": "/min"}}, {"unusable"}),
        ({"valueQuantity": {"value": True, "code": "/min"}}, {"unusable"}),
        (
            {"valueQuantity": {"value": 101, "code": "/min", "comparator": "~"}},
            {"unusable"},
        ),
        ({"valueQuantity": None, "valueString": "fast"}, {"unusable"}),
        ({"valueQuantity": None, "dataAbsentReason": {"text": "asleep"}}, {"unusable"}),
        ({"status": "preliminary"}, {"not_recorded"}),
        ({"status": "entered-in-error"}, {"not_recorded"}),
        ({"status": "corrected"}, True),
        ({"status": None}, {"unusable"}),
    ],
)
def test_which_observations_have_a_number_in_the_unit(
    rules: Any,
    chart: Any,
    reasons: Any,
    reading: Any,
    more: dict[str, Any],
    expected: Any,
) -> None:
    patient = chart(observations=[reading(101, **more)])

    verdict = rules.verdict(HR, "hr: {latest: {above: 100}}", patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_draft_orders_are_read_from_the_context_only(rules: Any, chart: Any) -> None:
    facts = BETA_BLOCKER.format(", from: draft_orders")
    charted = chart(requests=[request()])
    draft = request(status="draft", intent="proposal")
    drafts = Source("draft_orders", SourceState.LOADED, (draft,))
    drafted = replace(charted, sources={**charted.sources, "draft_orders": drafts})
    empty = replace(drafts, resources=())
    none = replace(charted, sources={**charted.sources, "draft_orders": empty})

    assert rules.verdict(facts, "bb: present", drafted) is True
    assert rules.verdict(facts, "bb: present", none) is False


HOSTILE = [None, 7, "text", [], {}, [None], [7], {"coding": None}, {"coding": [None]}]


@pytest.mark.parametrize("junk", HOSTILE, ids=repr)
def test_p_20_a_member_of_the_wrong_shape_never_crashes(
    rules: Any, chart: Any, reading: Any, junk: Any
) -> None:
    facts = "\n".join(
        [
            BETA_BLOCKER.format(", taken_for: 14 days"),
            DIABETES.format(", onset_within: 1 day"),
            HR,
        ]
    )
    when = "any: [{bb: present}, {dm: absent}, {hr: {latest: {above: 100}}}]"
    resources = [
        (condition, "conditions"),
        (request, "requests"),
        (statement, "statements"),
    ]

    for make, source in resources:
        whole = {
            **make(),
            "component": [],
            "onsetPeriod": {},
            "effectivePeriod": {},
            "dosageInstruction": [],
            "contained": [],
            "medicationReference": {"reference": "#x"},
        }
        for name in whole:
            rules.verdict(facts, when, chart(**{source: [{**whole, name: junk}]}))
    for name in [*reading(80), "component", "effectivePeriod", "issued"]:
        rules.verdict(facts, when, chart(observations=[{**reading(80), name: junk}]))

    assert rules.verdict(DIABETES.format(""), "dm: present", chart()) is False


LONG = "hr: {observation: {in: heart-rate, unit: /min, within: 1 year}}"


@pytest.mark.parametrize(
    ("time", "when", "expected"),
    [
        ("2026-11-22", "hr: present", True),
        ("2026-11-22", "hr: absent", False),
        ("2026-11-22", "hr: {latest: {above: 100}}", True),
        ("2026-11-22", "hr: {latest: {above: 120}}", False),
        ("2026-11-22", "hr: {count: {at_least: 1}}", True),
        ("2026-11", "hr: {latest: {above: 100}}", True),
        ("2026", "hr: {max: {above: 100}}", True),
        ("2025", "hr: present", {"boundary"}),
        ("2025", "hr: absent", {"boundary"}),
        ("2026-11-23", "hr: present", False),
        ("2027", "hr: {latest: {above: 100}}", {"not_recorded"}),
    ],
)
def test_what_is_recorded_as_of_today_has_happened(
    rules: Any,
    chart: Any,
    reasons: Any,
    reading: Any,
    time: str,
    when: str,
    expected: Any,
) -> None:
    patient = chart(observations=[reading(101, effectiveDateTime=time)])

    verdict = rules.verdict(LONG, when, patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_of_today_nobody_knows_which_reading_came_last(
    rules: Any, chart: Any, reasons: Any, reading: Any
) -> None:
    low = reading(80, "2 hours")
    today = reading(101, effectiveDateTime="2026-11-22")
    yesterday = reading(101, effectiveDateTime="2026-11-21")
    above = "hr: {latest: {above: 100}}"

    perhaps = rules.verdict(HR, above, chart(observations=[low, today]))

    assert reasons(perhaps) == {"boundary"}
    assert rules.verdict(HR, above, chart(observations=[low, yesterday])) is False


LOINC, HEART_RATE = "http://loinc.org", "8867-4"


@pytest.mark.parametrize(
    ("concept", "expected"),
    [
        ({"coding": [{"system": LOINC, "code": HEART_RATE}]}, True),
        ({"coding": {"system": LOINC, "code": HEART_RATE}}, True),
        ({"coding": [None, {"system": LOINC, "code": HEART_RATE}]}, True),
        ({"coding": [{"system": f" {LOINC}/ ", "code": f" {HEART_RATE} "}]}, True),
        ({"coding": [{"system": "HTTPS://LOINC.ORG", "code": HEART_RATE}]}, True),
        ({"coding": [{"system": f"{LOINC}|2.77", "code": HEART_RATE}]}, True),
        (
            {
                "coding": [
                    {"system": "URN:OID:2.16.840.1.113883.6.1", "code": HEART_RATE}
                ]
            },
            True,
        ),
        (
            {
                "coding": [
                    {"system": LOINC, "code": "1-8", "userSelected": True},
                    {"system": LOINC, "code": HEART_RATE},
                ]
            },
            True,
        ),
        ({"coding": [{"system": LOINC, "code": "1-8"}]}, False),
        ({"coding": [{"code": HEART_RATE}]}, {"unresolved"}),
        ({"coding": [{"system": LOINC, "code": ""}]}, {"not_read"}),
        ({"coding": [{"system": LOINC, "_code": {}}]}, {"not_read"}),
        ({"coding": [{"system": [LOINC], "code": HEART_RATE}]}, {"unusable"}),
        ({"coding": [{"system": LOINC, "code": [HEART_RATE]}]}, {"unusable"}),
        ({"coding": [{"system": LOINC, "code": True}]}, {"unusable"}),
        ({"coding": [None]}, {"unusable"}),
        ({"coding": HEART_RATE}, {"unusable"}),
        ({"coding": HEART_RATE, "text": "Heart rate"}, {"unusable"}),
        ({"text": "Heart rate"}, {"unresolved"}),
        ({"text": ["Heart rate"]}, {"unusable"}),
        (HEART_RATE, {"unusable"}),
        ([{"coding": [{"system": LOINC, "code": HEART_RATE}]}], {"unusable"}),
        (None, {"not_read"}),
    ],
    ids=str,
)
def test_a_concept_is_in_the_set_out_of_it_or_in_doubt(
    rules: Any, chart: Any, reasons: Any, reading: Any, concept: Any, expected: Any
) -> None:
    patient = chart(observations=[reading(80, code=concept)])

    verdict = rules.verdict(HR, "none: [{hr: absent}]", patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_a_code_may_be_written_as_a_number(rules: Any, chart: Any) -> None:
    rxnorm = {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": 6918}
    patient = chart(requests=[request(medicationCodeableConcept={"coding": [rxnorm]})])

    assert rules.verdict(BETA_BLOCKER.format(""), "bb: present", patient) is True


SYSTOLIC = {"coding": [{"system": LOINC, "code": "8480-6"}]}
PANEL = {"coding": [{"system": LOINC, "code": "85354-9"}]}
BP = "sbp: {observation: {in: systolic, unit: 'mm[Hg]', within: 7 days}}"


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ([{"code": SYSTOLIC, "valueQuantity": {"value": 190, "unit": "mmHg"}}], True),
        ({"code": SYSTOLIC, "valueQuantity": {"value": 190, "unit": "mmHg"}}, True),
        (
            [7, {"code": SYSTOLIC, "valueQuantity": {"value": 190, "unit": "mmHg"}}],
            True,
        ),
        ([{"code": SYSTOLIC, "valueString": "190/80"}], {"unusable"}),
        ([{"code": SYSTOLIC, "dataAbsentReason": {"text": "x"}}], {"unusable"}),
        ([], {"not_recorded"}),
        (None, {"not_recorded"}),
        ([{"code": {"text": "upper"}}], {"not_recorded"}),
    ],
    ids=str,
)
def test_a_panels_parts_are_read_one_by_one(
    rules: Any, chart: Any, reasons: Any, reading: Any, component: Any, expected: Any
) -> None:
    panel = reading(0, code=PANEL, component=component)
    del panel["valueQuantity"]

    verdict = rules.verdict(
        BP, "sbp: {latest: {above: 180}}", chart(observations=[panel])
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize("component", [7, "text", [7], [None], [{"code": 7}]], ids=str)
def test_a_part_that_cannot_be_read_may_be_anything(
    rules: Any, chart: Any, reasons: Any, reading: Any, component: Any
) -> None:
    panel = reading(0, code=PANEL, component=component)

    for test in ("present", "absent"):
        verdict = rules.verdict(BP, f"sbp: {test}", chart(observations=[panel]))
        assert reasons(verdict) == {"unusable"}


@pytest.mark.parametrize(
    ("facts", "when", "sources"),
    [
        (
            DIABETES.format(""),
            "dm: present",
            {"conditions": [condition(modifierExtension=[{"url": "x"}])]},
        ),
        (
            BETA_BLOCKER.format(""),
            "bb: present",
            {"requests": [request(modifierExtension=[{"url": "x"}])]},
        ),
        (
            BETA_BLOCKER.format(""),
            "bb: present",
            {"statements": [statement(modifierExtension={"url": "x"})]},
        ),
    ],
    ids=str,
)
def test_what_an_extension_may_turn_round_is_no_evidence(
    rules: Any, chart: Any, reasons: Any, facts: str, when: str, sources: Any
) -> None:
    verdict = rules.verdict(facts, when, chart(**sources))

    assert reasons(verdict) == {"unusable"}


def test_what_cannot_be_used_is_told_with_its_type_and_reason(
    rules: Any, chart: Any, reading: Any
) -> None:
    facts = "\n".join([HR, DIABETES.format(""), BETA_BLOCKER.format("")])
    when = (
        "any: [{hr: {latest: {above: 100}}}, {dm: present}, {bb: {count: {above: 1}}}]"
    )
    patient = chart(
        conditions=[condition(clinicalStatus=status("sleeping"))],
        requests=[request(), request(modifierExtension=[{"url": "x"}])],
        observations=[
            reading(80, valueQuantity={"value": 80}),
            reading(81, effectiveDateTime="yesterday"),
            reading(82),
        ],
    )

    case = rules.evaluate(facts, when, patient).case

    assert sorted(set(case.unusable())) == [
        ("Condition", "status or intent cannot be read"),
        ("MedicationRequest", "modified by an extension"),
        ("Observation", "no number in the unit asked for"),
        ("Observation", "no time that can be read"),
    ]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("no-known-problems", True),
        ("no-problem-info", {"unresolved"}),
    ],
)
def test_nothing_known_is_none_and_no_information_is_not(
    rules: Any, chart: Any, reasons: Any, code: str, expected: Any
) -> None:
    ips = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
    said = condition(code={"coding": [{"system": ips, "code": code}]})

    verdict = rules.verdict(DIABETES.format(""), "dm: absent", chart(conditions=[said]))

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize("born", ["1850-01-01", "2027-01-01"])
def test_an_onset_by_an_age_that_nobody_has_is_unusable(
    rules: Any, chart: Any, reasons: Any, born: str
) -> None:
    facts = DIABETES.format(", onset_within: 4 weeks")
    problem = condition(onsetAge={"value": 40, "code": "a"})
    person = {"resourceType": "Patient", "id": "p", "birthDate": born}
    patient = chart(conditions=[problem], patient=person)

    assert reasons(rules.verdict(facts, "none: [{dm: absent}]", patient)) == {
        "unusable"
    }
