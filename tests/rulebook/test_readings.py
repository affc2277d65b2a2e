"""Which resources count, when they are from, and what number they hold."""

from dataclasses import replace
from typing import Any

import pytest

from cds_service.fhir.chart import Source, SourceState

BETA_BLOCKER = "bb: {{medication: {{in: beta-blockers{}}}}}"
DIABETES = "dm: {{condition: {{in: diabetes{}}}}}"
HR = "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}"

METOPROLOL = {
    "coding": [
        {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "6918"}
    ]
}
E11 = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]}


def request(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": "r",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": METOPROLOL,
        **more,
    }


def statement(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationStatement",
        "id": "s",
        "status": "active",
        "medicationCodeableConcept": METOPROLOL,
        **more,
    }


def condition(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "id": "c", "code": E11, **more}


def status(code: str) -> dict[str, Any]:
    return {"coding": [{"code": code}]}


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (condition(), True),
        (condition(clinicalStatus=status("active")), True),
        (condition(clinicalStatus=status("recurrence")), True),
        (condition(clinicalStatus=status("relapse")), True),
        (condition(clinicalStatus="active"), True),
        (condition(clinicalStatus={"text": "Active"}), True),
        (condition(clinicalStatus=status("inactive")), False),
        (condition(clinicalStatus=status("remission")), False),
        (condition(clinicalStatus=status("resolved")), False),
        (condition(abatementDateTime="2020"), False),
        (condition(abatementString="last year"), False),
        (condition(verificationStatus=status("refuted")), False),
        (condition(verificationStatus=status("entered-in-error")), False),
        (condition(verificationStatus=status("provisional")), True),
        (condition(clinicalStatus=status("sleeping")), {"unusable"}),
    ],
)
def test_p_24_which_conditions_are_active(
    rules: Any, chart: Any, reasons: Any, resource: Any, expected: Any
) -> None:
    verdict = rules.verdict(
        DIABETES.format(""), "dm: present", chart(conditions=[resource])
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("option", "resource", "expected"),
    [
        (", verification: confirmed", condition(), False),
        (
            ", verification: confirmed",
            condition(verificationStatus=status("confirmed")),
            True,
        ),
        (", status: resolved", condition(clinicalStatus=status("resolved")), True),
        (", status: resolved", condition(), False),
        (", status: any", condition(clinicalStatus=status("resolved")), True),
        (", status: any", condition(verificationStatus=status("refuted")), False),
    ],
)
def test_a_fact_may_ask_for_other_conditions(
    rules: Any, chart: Any, option: str, resource: Any, expected: bool
) -> None:
    facts = DIABETES.format(option)

    assert rules.verdict(facts, "dm: present", chart(conditions=[resource])) is expected


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (request(), True),
        (request(intent="instance-order"), True),
        (request(intent="plan"), False),
        (request(intent="proposal"), False),
        (request(doNotPerform=True), False),
        (request(status="on-hold"), False),
        (request(status="stopped"), False),
        (request(status="completed"), False),
        (request(status="entered-in-error"), False),
        (request(status="unknown"), {"unusable"}),
        (request(intent="?"), {"unusable"}),
        (statement(), True),
        (statement(status="not-taken"), False),
        (statement(status="stopped"), False),
        (statement(status="intended"), False),
        (statement(status="entered-in-error"), False),
        (statement(effectivePeriod={"end": "2026-11-01"}), False),
        (statement(effectivePeriod={"end": "2026-12-01"}), True),
        (statement(effectivePeriod={"end": "2026"}), True),
        ({k: v for k, v in statement().items() if k != "status"}, {"unusable"}),
    ],
)
def test_p_24_which_medicines_are_current(
    rules: Any, chart: Any, reasons: Any, resource: Any, expected: Any
) -> None:
    is_request = resource["resourceType"] == "MedicationRequest"
    patient = chart(**{"requests" if is_request else "statements": [resource]})

    verdict = rules.verdict(BETA_BLOCKER.format(""), "bb: present", patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (request(authoredOn="2026-11-08T12:00:00Z"), True),
        (request(authoredOn="2026-11-08T12:00:01Z"), False),
        (request(authoredOn="2026-11"), {"boundary"}),
        (request(), True),
        (
            request(
                authoredOn="2026-11-20",
                dosageInstruction=[
                    {"timing": {"repeat": {"boundsPeriod": {"start": "2025"}}}}
                ],
            ),
            True,
        ),
        (statement(effectivePeriod={"start": "2026-01"}), True),
        (statement(effectivePeriod={"start": "2026-11-20"}), False),
        (statement(effectiveDateTime="2026-01-01"), True),
    ],
)
def test_taken_for_counts_from_the_start_and_trusts_an_unrecorded_one(
    rules: Any, chart: Any, reasons: Any, resource: Any, expected: Any
) -> None:
    is_request = resource["resourceType"] == "MedicationRequest"
    patient = chart(**{"requests" if is_request else "statements": [resource]})
    facts = BETA_BLOCKER.format(", taken_for: 14 days")

    verdict = rules.verdict(facts, "bb: present", patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("onset", "expected"),
    [
        ({"onsetDateTime": "2026-11-01"}, True),
        ({"onsetDateTime": "2026-10-01"}, False),
        ({"onsetDateTime": "2026"}, {"boundary"}),
        ({"onsetPeriod": {"start": "2020-01-01"}}, True),
        ({"onsetPeriod": {"start": "2020", "end": "2021"}}, False),
        ({"onsetAge": {"value": 50}}, {"unusable"}),
        ({}, {"unusable"}),
        ({"recordedDate": "2020-01-01"}, False),
        ({"recordedDate": "2026-11-20"}, {"boundary"}),
    ],
)
def test_onset_within_needs_an_onset(
    rules: Any, chart: Any, reasons: Any, onset: dict[str, Any], expected: Any
) -> None:
    facts = DIABETES.format(", onset_within: 4 weeks")

    verdict = rules.verdict(
        facts, "dm: present", chart(conditions=[condition(**onset)])
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ({"effectiveDateTime": "2026-11-15T12:00:00Z"}, True),
        ({"effectiveDateTime": "2026-11-15T11:59:59Z"}, False),
        ({"effectiveDateTime": "2026-11-22T12:05:00Z"}, True),
        ({"effectiveDateTime": "2026-11-22T12:05:01Z"}, False),
        ({"effectiveDateTime": "2026-11-16"}, True),
        ({"effectiveDateTime": "2026-11-15"}, {"boundary"}),
        ({"effectiveDateTime": "2026"}, {"boundary"}),
        ({"effectivePeriod": {"start": "2020", "end": "2026-11-20"}}, True),
        ({"effectivePeriod": {"start": "2020"}}, True),
        ({"effectiveInstant": "2026-11-20T00:00:00.123456789Z"}, True),
        ({"issued": "2026-11-20T00:00:00Z"}, True),
        ({"effectiveDateTime": "2020-01-01", "issued": "2026-11-20T00:00:00Z"}, False),
        ({"effectiveDateTime": "yesterday"}, {"unusable"}),
        ({"effectiveDateTime": "2026-02-30"}, {"unusable"}),
        ({}, {"unusable"}),
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
        ({"valueQuantity": {"value": "101", "code": "/min"}}, {"unusable"}),
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
