"""What card text shows of readings, of the patient and of a rule's own words."""

from typing import Any

import pytest

from .shown import FACTS, ICD, WHEN, condition, show


def test_numbers_of_readings_carry_their_unit(
    rules: Any, chart: Any, reading: Any
) -> None:
    patient = chart(observations=[reading(100, "1 hours"), reading(111, "49 hours")])

    shown = show(
        rules, patient, "hr.latest", "hr.earliest", "hr.max", "hr.mean", "hr.count",
        "hr.span", "hr.unit", "hr.code", "hr.latest_date",
    )  # fmt: skip

    assert shown == [
        "100 /min",
        "111 /min",
        "111 /min",
        "105.5 /min",
        "2",
        "2 d",
        "/min",
        "http://loinc.org|8867-4",
        "2026-11-22",
    ]


@pytest.mark.parametrize(
    ("comparator", "shown"),
    [(">", "> 60 /min"), (">=", "≥ 60 /min"), ("<", "< 60 /min"), ("<=", "≤ 60 /min")],
)
def test_a_range_is_shown_as_a_range(
    rules: Any, chart: Any, reading: Any, comparator: str, shown: str
) -> None:
    quantity = {"value": 60, "comparator": comparator, "code": "/min"}
    patient = chart(observations=[reading(60, valueQuantity=quantity)])

    assert show(rules, patient, "hr.latest") == [shown]


def test_two_readings_at_one_time_are_shown_as_from_to(
    rules: Any, chart: Any, reading: Any
) -> None:
    patient = chart(observations=[reading(99, "1 hours"), reading(101, "1 hours")])

    assert show(rules, patient, "hr.latest", "hr.span") == ["99–101 /min", None]


def test_what_is_not_there_shows_nothing(rules: Any, chart: Any) -> None:
    patient = chart(conditions=[condition("E11.9")])

    shown = show(
        rules, patient, "hr.latest", "hr.count", "dm.onset", "bb.name", "low.age"
    )

    assert shown == [None, "0", None, None, None]


@pytest.mark.parametrize(
    ("birth", "age"),
    [("1958-11-22", "68"), ("1958-11-23", "67"), ("1958", "67–68"), ("?", None)],
)
def test_age_is_counted_in_whole_years(
    rules: Any, chart: Any, birth: str, age: str | None
) -> None:
    person = {
        "resourceType": "Patient",
        "id": "p",
        "birthDate": birth,
        "gender": "male",
    }
    patient = chart(conditions=[condition("E11.9")], patient=person)

    assert show(rules, patient, "patient.age", "patient.sex") == [age, "male"]


def test_a_rise_and_a_fall_are_shown_with_their_unit(
    rules: Any, chart: Any, reading: Any
) -> None:
    readings = [
        reading(90, "1 hours"),
        reading(70, "20 hours"),
        reading(99, "80 hours"),
    ]
    when = "all: [{hr: {rise: {at_least: 5, over: 3 days}}}]"

    (found,) = rules.evaluate(FACTS, when, chart(observations=readings)).items

    assert found.text("hr", "rise").text == "20 /min"
    # Of the readings of three days alone; the one of 99 is older.
    assert found.text("hr", "fall").text == "-20 /min"


def test_without_a_period_a_change_is_one_of_all_readings(
    rules: Any, chart: Any, reading: Any
) -> None:
    readings = [
        reading(90, "1 hours"),
        reading(70, "20 hours"),
        reading(99, "80 hours"),
    ]

    shown = show(rules, chart(observations=readings), "hr.rise", "hr.fall")

    assert shown == ["20 /min", "9 /min"]


def test_one_reading_has_not_changed(rules: Any, chart: Any, reading: Any) -> None:
    assert show(rules, chart(observations=[reading(90)]), "hr.rise", "hr.fall") == [
        None,
        None,
    ]


def test_a_param_is_shown_with_its_unit_and_is_the_authors_word(
    rules: Any, chart: Any
) -> None:
    dm = {
        "resourceType": "Condition",
        "id": "c",
        "code": {"coding": [{"system": ICD, "code": "E11"}]},
    }
    params = "params: {rate: {default: 50, unit: /min}, length: {default: 2 days}}"
    (found,) = rules.evaluate(FACTS, WHEN, chart([dm]), more=params).items

    rate, length = (found.text("$", name) for name in ("rate", "length"))
    assert (rate.text, rate.trusted) == ("50 /min", True)
    assert (length.text, length.trusted) == ("2 days", True)


def trust(rules: Any, patient: Any, *names: str, alerts: Any = ()) -> list[bool]:
    """Whether each text is ours or the author's, and not the record's."""
    (found,) = rules.evaluate(FACTS, WHEN, patient, list(alerts)).items
    return [found.text(*name.split(".")).trusted for name in names]


def test_words_of_a_record_or_a_device_are_quoted_and_ours_are_not(
    rules: Any, chart: Any, reading: Any, wearable: Any
) -> None:
    alert = wearable(value=38.0, unit="/min", device="Watch")
    person = {"resourceType": "Patient", "id": "p", "gender": "female"}
    seen = chart(observations=[reading(80)], patient=person)

    quoted = trust(
        rules, seen, "low.device", "low.unit", "hr.code", "patient.sex", alerts=[alert]
    )
    ours = trust(
        rules, seen, "low.type", "low.name", "low.value", "hr.unit", "hr.latest",
        "hr.latest_date", alerts=[alert],
    )  # fmt: skip

    assert quoted == [False] * 4
    assert ours == [True] * 6


def test_the_latest_date_is_that_of_the_newest_at_the_site(
    rules: Any, chart: Any, reading: Any
) -> None:
    evening = reading(80, effectiveDateTime="2026-11-22T02:30:00Z")
    before = reading(70, effectiveDateTime="2026-11-20T12:00:00Z")
    more = reading(60, effectiveDateTime="2026-11-19T12:00:00Z")
    seen = chart(observations=[before, evening, more])

    assert show(rules, seen, "hr.latest_date", "hr.latest") == ["2026-11-21", "80 /min"]


@pytest.mark.parametrize("written", ["2026-11-20", "2026-11", "2026"])
def test_a_date_is_shown_as_exactly_as_it_is_recorded(
    rules: Any, chart: Any, reading: Any, written: str
) -> None:
    seen = chart(observations=[reading(80, effectiveDateTime=written)])
    ever = "hr: {observation: {in: heart-rate, unit: /min}}"
    (found,) = rules.evaluate(ever, "hr: present", seen).items

    assert found.text("hr", "latest_date").text == written


def test_what_is_not_said_is_not_shown(rules: Any, chart: Any, reading: Any) -> None:
    dm = {
        "resourceType": "Condition",
        "id": "c",
        "code": {"coding": [{"system": ICD, "code": "E11"}]},
    }
    by_name = {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "Metoprolol"},
    }
    seen = chart([dm], [by_name], observations=[reading(80)])
    facts = FACTS.replace(", unit: /min", "")
    (found,) = rules.evaluate(facts, WHEN, seen).items

    assert found.text("hr", "unit") is None
    assert found.text("bb", "code") is None
    assert found.text("dm", "latest_date") is None
    assert found.text("patient", "sex") is None


def test_a_mean_is_of_what_lasts_and_a_greatest_of_all(
    rules: Any, chart: Any, reading: Any
) -> None:
    times = ((105, "1 hours"), (115, "2 hours"), (140, "30 hours"))
    seen = chart(observations=[reading(*each) for each in times])
    when = "hr: {sustained: {above: 100, for: 3 hours, readings: 2}}"

    (found,) = rules.evaluate(FACTS, when, seen).items

    assert found.text("hr", "mean").text == "110 /min"
    assert found.text("hr", "max").text == "140 /min"
