"""Tests of the patient: age, sex, and whether the patient is alive."""

from dataclasses import replace
from typing import Any

import pytest

from .facts import DIABETES, HR, condition


@pytest.mark.parametrize(
    "born",
    [
        "9999-12-31",
        "0001-01-01",
        "1850",
        "1895-11-22",
        "1894",
        "2026-11-23",
        "2027",
        "spring 1958",
        ["1958-03-14"],
        {"value": "1958-03-14"},
        19580314,
        True,
        "",
    ],
)
def test_an_age_that_nobody_has_is_unusable(
    rules: Any, chart: Any, reasons: Any, born: Any
) -> None:
    patient = chart(patient={"resourceType": "Patient", "id": "p", "birthDate": born})

    for unit in ("years", "months", "days"):
        test = f"patient: {{age: {{at_least: 18 {unit}}}}}"
        assert reasons(rules.verdict(HR, test, patient)) == {"unusable"}


@pytest.mark.parametrize(
    ("born", "test", "shown"),
    [
        ("1895-11-23", "at_least: 130 years", "130"),
        ("1895", "at_least: 129 years", "130"),
        ("2026-11-22", "below: 1 days", "0"),
        ("2026", "below: 1 years", "0"),
        ("2026-11", "below: 1 months", "0"),
    ],
)
def test_the_oldest_and_those_born_today_have_an_age(
    rules: Any, chart: Any, born: str, test: str, shown: str
) -> None:
    patient = chart(patient={"resourceType": "Patient", "id": "p", "birthDate": born})

    assert rules.verdict(HR, f"patient: {{age: {{{test}}}}}", patient) is True
    (found,) = rules.evaluate(HR, "hr: absent", patient, more="deceased: any").items
    assert found.text("patient", "age").text == shown


@pytest.mark.parametrize(
    ("birth", "expected"),
    [
        ("2008-11-22", True),
        ("2008-11-23", False),
        ("2008-11", None),
        ("2008-10", True),
        ("2008", None),
        ("2007", True),
        ("2009", False),
    ],
)
def test_age_follows_the_calendar(
    rules: Any, chart: Any, reasons: Any, birth: str, expected: bool | None
) -> None:
    patient = {"resourceType": "Patient", "id": "p", "birthDate": birth}

    verdict = rules.verdict(
        HR, "patient: {age: {at_least: 18 years}}", chart(patient=patient)
    )

    if expected is None:
        assert reasons(verdict) == {"boundary"}
    else:
        assert verdict is expected


def test_an_unrecorded_birth_date_or_sex_is_not_recorded(
    rules: Any, chart: Any, reasons: Any
) -> None:
    patient = chart(patient={"resourceType": "Patient", "id": "p", "gender": "unknown"})

    assert reasons(
        rules.verdict(HR, "patient: {age: {at_least: 18 years}}", patient)
    ) == {"not_recorded"}
    assert reasons(rules.verdict(HR, "patient: {sex: {in: [female]}}", patient)) == {
        "not_recorded"
    }


@pytest.mark.parametrize(
    "deceased",
    [
        {"deceasedBoolean": True},
        {"deceasedBoolean": "true"},
        {"deceasedDateTime": "2026-01-01"},
        {"deceasedDateTime": "2026"},
        {"deceasedDateTime": "2026-11"},
        {"deceasedDateTime": "2026-11-22"},
        {"deceasedDateTime": "2026-11-22T07:00:00-05:00"},
        {"deceasedBoolean": True, "deceasedDateTime": "2026-01-01"},
    ],
    ids=str,
)
def test_rules_do_not_fire_for_the_deceased(
    rules: Any, chart: Any, deceased: dict[str, Any]
) -> None:
    patient = {"resourceType": "Patient", "id": "p", "birthDate": "1950", **deceased}
    dead = chart(conditions=[condition()], patient=patient)

    assert rules.verdict(DIABETES, "dm: present", dead) is False
    evaluations = rules.evaluate(DIABETES, "dm: present", dead, more="deceased: any")
    assert [each.outcome for each in evaluations.items] == ["fires"]


ABSENT = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "unknown",
        }
    ]
}


@pytest.mark.parametrize(
    "deceased",
    [
        {"_deceasedDateTime": ABSENT},
        {"_deceasedBoolean": ABSENT},
        {"deceasedDateTime": None, "_deceasedDateTime": ABSENT},
        {"deceasedBoolean": False, "_deceasedDateTime": ABSENT},
        {"deceasedDateTime": "last spring"},
        {"deceasedDateTime": ""},
        {"deceasedDateTime": ["2026-01-01"]},
        {"deceasedDateTime": True},
        {"deceasedDateTime": 2026},
        {"deceasedBoolean": [True]},
        {"deceasedBoolean": [False]},
        {"deceasedBoolean": {"value": False}},
        {"deceasedBoolean": 0},
        {"deceasedBoolean": "no"},
        {"deceasedBoolean": False, "deceasedDateTime": "2026-01-01"},
        {"deceasedBoolean": True, "deceasedDateTime": "2027-03-01"},
        {"deceasedBoolean": False, "deceasedDateTime": "2027-03-01"},
        # Nobody knows a death that lies ahead: the date is wrong, or the word.
        {"deceasedDateTime": "2026-11-23"},
        {"deceasedDateTime": "2027-03-01"},
        {"deceasedDateTime": "2027"},
        {"deceasedAge": {"value": 80}},
    ],
    ids=str,
)
def test_who_may_be_dead_is_never_taken_for_alive(
    rules: Any, chart: Any, reasons: Any, deceased: dict[str, Any]
) -> None:
    patient = {"resourceType": "Patient", "id": "p", "birthDate": "1950", **deceased}
    perhaps = chart(conditions=[condition()], patient=patient)

    assert reasons(rules.verdict(DIABETES, "dm: present", perhaps)) == {"unusable"}
    (found,) = rules.evaluate(DIABETES, "dm: present", perhaps).items
    assert found.could_not_check
    (found,) = rules.evaluate(
        DIABETES, "dm: present", perhaps, more="deceased: any"
    ).items
    assert found.outcome == "fires"


@pytest.mark.parametrize(
    "deceased",
    [
        {},
        {"deceasedBoolean": False},
        {"deceasedBoolean": "false"},
        {"deceasedBoolean": None},
        {"deceasedDateTime": None},
    ],
    ids=str,
)
def test_who_is_not_recorded_as_dead_by_now_is_alive(
    rules: Any, chart: Any, deceased: dict[str, Any]
) -> None:
    patient = {"resourceType": "Patient", "id": "p", "birthDate": "1950", **deceased}

    assert (
        rules.verdict(
            DIABETES, "dm: present", chart(conditions=[condition()], patient=patient)
        )
        is True
    )


@pytest.mark.parametrize(
    "test",
    ["patient: {age: {at_least: 18 years}}", "patient: {sex: {in: [female]}}"],
)
def test_a_patient_who_was_not_read_leaves_everything_unknown(
    rules: Any, chart: Any, reasons: Any, test: str
) -> None:
    unread = replace(chart(conditions=[condition()]), patient=None)

    assert reasons(rules.verdict(HR, test, unread)) == {"not_read"}
    assert reasons(rules.verdict(DIABETES, "dm: present", unread)) == {"not_read"}


def test_a_birth_date_that_is_no_date_is_unusable(
    rules: Any, chart: Any, reasons: Any
) -> None:
    odd = {"resourceType": "Patient", "id": "p", "birthDate": "spring 1958"}

    verdict = rules.verdict(
        HR, "patient: {age: {at_least: 18 years}}", chart(patient=odd)
    )

    assert reasons(verdict) == {"unusable"}


@pytest.mark.parametrize(
    "gender", ["F", "woman", "", ["female"], {"code": "female"}, 1]
)
def test_a_sex_that_is_none_of_fhirs_is_unusable(
    rules: Any, chart: Any, reasons: Any, gender: Any
) -> None:
    person = {"resourceType": "Patient", "id": "p", "gender": gender}

    verdict = rules.verdict(HR, "patient: {sex: {in: [female]}}", chart(patient=person))

    assert reasons(verdict) == {"unusable"}


@pytest.mark.parametrize(
    ("gender", "expected"),
    [("female", True), ("Female ", True), ("male", False), ("other", False)],
)
def test_sex_is_one_of_those_listed(
    rules: Any, chart: Any, gender: str, expected: bool
) -> None:
    person = {"resourceType": "Patient", "id": "p", "gender": gender}

    assert (
        rules.verdict(HR, "patient: {sex: {in: [female]}}", chart(patient=person))
        is expected
    )
