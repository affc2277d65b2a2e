"""Dates at the ends of the calendar, and none: one odd entry stops no other's call."""

from typing import Any

import pytest

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
LOINC = "http://loinc.org"
FIRST, LAST = "0001-01-01T00:00:00Z", "9999-12-31"
HR = "hr: {observation: {in: heart-rate, unit: /min}}"


def order(authored: str, status: str, unit: str) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": f"{status}-{authored}",
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": "6918"}]},
        "authoredOn": authored,
        "dispenseRequest": {"expectedSupplyDuration": {"value": 60, "code": unit}},
    }


def heart_rate(value: float, at: str | None = None) -> dict[str, Any]:
    dated = {} if at is None else {"effectiveDateTime": at}
    return {
        "resourceType": "Observation",
        "id": f"{value}-{at}",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "8867-4"}]},
        "valueQuantity": {"value": value, "code": "/min"},
        **dated,
    }


@pytest.mark.parametrize(("authored", "unit"), [(FIRST, "mo"), (LAST, "d")])
def test_a_supply_that_would_leave_the_calendar_ends_with_it(
    rules: Any, chart: Any, authored: str, unit: str
) -> None:
    orders = [
        order(authored, "active", unit),
        order(authored, "completed", unit),
        order("2026-11-01", "active", unit),
    ]

    fact = "bb: {medication: {in: beta-blockers}}"

    assert rules.verdict(fact, "bb: present", chart(requests=orders)) is True


def test_a_birth_in_the_first_hours_of_the_calendar_is_no_birth(
    rules: Any, chart: Any, reasons: Any
) -> None:
    born = {"resourceType": "Patient", "id": "p", "birthDate": FIRST}
    fact = "dm: {condition: {in: diabetes}}"
    adult = "patient: {age: {at_least: 18 years}}"

    assert reasons(rules.verdict(fact, adult, chart(patient=born))) == {"unusable"}


@pytest.mark.parametrize("at", [None, FIRST, "0001"])
def test_a_reading_without_a_date_is_no_series(
    rules: Any, chart: Any, reasons: Any, at: str | None
) -> None:
    undated = chart(observations=[heart_rate(110, at)])
    test = "hr: {sustained: {above: 100, for: 3 days}}"

    assert reasons(rules.verdict(HR, test, undated)) == {"not_recorded"}


@pytest.mark.parametrize("at", [None, "2026-11", "2026"])
@pytest.mark.parametrize(
    ("value", "days", "expected"),
    [
        (110, 1, True),
        (110, 2, {"boundary"}),
        (110, 3, {"not_recorded"}),
        (90, 1, True),
        (90, 2, False),
        (90, 3, {"not_recorded"}),
    ],
)
def test_a_reading_without_a_day_may_be_of_any_day(
    rules: Any,
    chart: Any,
    reasons: Any,
    at: str | None,
    value: float,
    days: int,
    expected: bool | set[str],
) -> None:
    observations = [heart_rate(110, "2026-11-20T10:00:00Z"), heart_rate(value, at)]
    test = f"hr: {{on_days: {{above: 100, days: {days}}}}}"

    verdict = rules.verdict(HR, test, chart(observations=observations))

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize("at", [None, "2026-11"])
def test_readings_without_a_day_are_of_one_day_at_least(
    rules: Any, chart: Any, reasons: Any, at: str | None
) -> None:
    observations = [heart_rate(110, at), heart_rate(111, at)]
    test = "hr: {{on_days: {{above: 100, days: {}}}}}"

    one, two = (
        rules.verdict(HR, test.format(days), chart(observations=observations))
        for days in (1, 2)
    )

    assert one is True
    assert reasons(two) == {"boundary"}


def test_what_ended_in_the_first_hours_of_the_calendar_has_its_first_day(
    rules: Any, chart: Any
) -> None:
    ended = {
        "resourceType": "Condition",
        "id": "c",
        "clinicalStatus": {"coding": [{"code": "resolved"}]},
        "code": {"coding": [{"system": ICD, "code": "E11"}], "text": "Diabetes"},
        "abatementDateTime": FIRST,
    }
    fact = "dm: {condition: {in: diabetes}}"

    (found,) = rules.evaluate(fact, "dm: absent", chart(conditions=[ended])).items

    said = found.text("dm", "recorded").text
    assert said.endswith("among 1 problem; Diabetes resolved 0001-01-01")
