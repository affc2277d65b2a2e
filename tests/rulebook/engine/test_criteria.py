"""The truth of every test, as the table of decisions has it."""

from dataclasses import replace
from datetime import datetime, timedelta
from textwrap import dedent
from typing import Any

import pytest

from cds_service.fhir.chart import Source, SourceState
from cds_service.rulebook.engine.evaluate import evaluate

NOW = datetime.fromisoformat("2026-11-22T12:00:00+00:00")
LOADED, PARTIAL, MISSING = SourceState
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"

HR = "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}"
DIABETES = "dm: {condition: {in: diabetes}}"


def condition(code: str = "E11.9", system: str = ICD, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": f"c-{code}",
        "code": {"coding": [{"system": system, "code": code}]},
        **more,
    }


SNOMED_ONLY = condition("44054006", "http://snomed.info/sct")
UNCODED = {**condition(), "code": {"coding": []}}
MISSHAPEN = {**condition(), "code": ["E11.9"]}


@pytest.mark.parametrize(
    ("test", "conditions", "state", "expected"),
    [
        ("present", [condition()], LOADED, True),
        ("present", [condition()], PARTIAL, True),
        ("present", [], LOADED, False),
        ("present", [], PARTIAL, {"not_read"}),
        ("present", [], MISSING, {"not_read"}),
        ("present", [SNOMED_ONLY], LOADED, False),
        ("present", [UNCODED], LOADED, {"not_read"}),
        ("present", [UNCODED], PARTIAL, {"not_read"}),
        ("present", [condition(), UNCODED], LOADED, True),
        ("present", [SNOMED_ONLY, UNCODED], LOADED, {"not_read"}),
        ("present", [MISSHAPEN], LOADED, {"unusable"}),
        ("absent", [condition()], LOADED, False),
        ("absent", [condition()], PARTIAL, False),
        ("absent", [], LOADED, True),
        ("absent", [], PARTIAL, {"not_read"}),
        ("absent", [], MISSING, {"not_read"}),
        ("absent", [SNOMED_ONLY], LOADED, {"unresolved"}),
        ("absent", [condition(clinicalStatus={"text": "?"})], LOADED, {"unusable"}),
        ("absent", [UNCODED], LOADED, {"not_read"}),
        ("absent", [condition(), UNCODED], LOADED, False),
        ("absent", [SNOMED_ONLY, UNCODED], LOADED, {"not_read", "unresolved"}),
        ("absent", [MISSHAPEN], LOADED, {"unusable"}),
        ("{count: {at_least: 1}}", [condition()], LOADED, True),
        ("{count: {at_least: 1}}", [condition()], PARTIAL, True),
        ("{count: {at_least: 2}}", [condition()], LOADED, False),
        ("{count: {at_least: 2}}", [condition()], PARTIAL, {"not_read"}),
        ("{count: {at_least: 1}}", [], LOADED, False),
        ("{count: {at_least: 1}}", [], PARTIAL, {"not_read"}),
        ("{count: {at_least: 1}}", [SNOMED_ONLY], LOADED, {"unresolved"}),
        ("{count: {at_least: 1}}", [UNCODED], LOADED, {"not_read"}),
        ("{count: {at_least: 1}}", [condition(), UNCODED], LOADED, True),
        ("{count: {at_least: 2}}", [condition(), UNCODED], LOADED, {"not_read"}),
        ("{count: {at_least: 2}}", [condition(), MISSHAPEN], LOADED, {"unusable"}),
        ("{count: {below: 1}}", [UNCODED], LOADED, {"not_read"}),
        ("{count: {below: 1}}", [condition(), UNCODED], LOADED, False),
        ("{count: {equals: 1}}", [condition(), UNCODED], LOADED, {"not_read"}),
        ("{count: {below: 1}}", [], LOADED, True),
        ("{count: {below: 1}}", [condition()], PARTIAL, False),
        ("{count: {below: 2}}", [condition()], PARTIAL, {"not_read"}),
        ("{count: {equals: 1}}", [condition()], LOADED, True),
        ("{count: {equals: 1}}", [condition()], PARTIAL, {"not_read"}),
        ("{count: {equals: 2}}", [condition()], LOADED, False),
        ("{count: {equals: 2}}", [condition()], PARTIAL, {"not_read"}),
    ],
)
def test_what_a_test_of_conditions_says(
    rules: Any,
    chart: Any,
    reasons: Any,
    test: str,
    conditions: list[Any],
    state: SourceState,
    expected: bool | set[str],
) -> None:
    patient = chart(conditions=conditions, states={"conditions": state})

    verdict = rules.verdict(DIABETES, f"dm: {test}", patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("test", "values", "state", "expected"),
    [
        ("{max: {above: 100}}", [90, 101], LOADED, True),
        ("{max: {above: 100}}", [90, 101], PARTIAL, True),
        ("{max: {above: 100}}", [90, 100], LOADED, False),
        ("{max: {above: 100}}", [90, 100], PARTIAL, {"not_read"}),
        ("{max: {above: 100}}", [], LOADED, {"not_recorded"}),
        ("{max: {above: 100}}", [], PARTIAL, {"not_read"}),
        ("{max: {below: 100}}", [90], LOADED, True),
        ("{max: {below: 100}}", [90], PARTIAL, {"not_read"}),
        ("{max: {below: 100}}", [100], PARTIAL, False),
        ("{min: {below: 50}}", [49, 60], PARTIAL, True),
        ("{min: {below: 50}}", [50, 60], LOADED, False),
        ("{min: {below: 50}}", [50, 60], PARTIAL, {"not_read"}),
        ("{min: {above: 50}}", [50, 60], PARTIAL, False),
        ("{min: {above: 50}}", [51, 60], PARTIAL, {"not_read"}),
        ("{mean: {above: 100}}", [100, 102], LOADED, True),
        ("{mean: {above: 100}}", [98, 102], LOADED, False),
        ("{mean: {above: 100}}", [100, 102], PARTIAL, {"not_read"}),
        ("{median: {at_least: 100}}", [1, 100, 300], LOADED, True),
        ("{median: {at_least: 100}}", [1, 100, 300], PARTIAL, {"not_read"}),
        ("{earliest: {above: 100}}", [90, 101], LOADED, True),
        ("{earliest: {above: 100}}", [90, 101], PARTIAL, {"not_read"}),
        ("{latest: {above: 100}}", [101, 90], LOADED, True),
        ("absent", [90], LOADED, False),
        ("absent", [90], PARTIAL, False),
        ("absent", [], LOADED, True),
        ("absent", [], PARTIAL, {"not_read"}),
        ("{count: {at_least: 0}}", [], PARTIAL, True),
        ("{count: {below: 1}}", [], PARTIAL, {"not_read"}),
        ("{count: {equals: 1}}", [], PARTIAL, {"not_read"}),
        ("{latest: {between: [100, 110]}}", [100], LOADED, True),
        ("{latest: {between: [100, 110]}}", [110], LOADED, False),
    ],
)
def test_what_a_test_of_readings_says(
    rules: Any,
    chart: Any,
    reading: Any,
    reasons: Any,
    test: str,
    values: list[float],
    state: SourceState,
    expected: bool | set[str],
) -> None:
    # The first value is the newest.
    readings = [
        reading(value, f"{hours + 1} hours") for hours, value in enumerate(values)
    ]
    patient = chart(observations=readings, states={"observations": state})

    verdict = rules.verdict(HR, f"hr: {test}", patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_the_latest_of_a_partial_list_is_known_if_it_came_newest_first(
    rules: Any, chart: Any, reading: Any, reasons: Any
) -> None:
    newest_first = [reading(101, "1 hours"), reading(90, "2 hours")]
    states = {"observations": PARTIAL}

    first = rules.verdict(
        HR,
        "hr: {latest: {above: 100}}",
        chart(observations=newest_first, states=states),
    )
    last = rules.verdict(
        HR,
        "hr: {latest: {above: 100}}",
        chart(observations=newest_first[::-1], states=states),
    )

    assert first is True
    assert reasons(last) == {"not_read"}


def test_the_latest_is_unknown_if_a_newer_reading_is_unusable(
    rules: Any, chart: Any, reading: Any, reasons: Any
) -> None:
    broken = reading("n/a", "1 hours")
    older = reading("n/a", "3 hours")

    newer_broken = rules.verdict(
        HR,
        "hr: {latest: {above: 100}}",
        chart(observations=[broken, reading(101, "2 hours")]),
    )
    older_broken = rules.verdict(
        HR,
        "hr: {latest: {above: 100}}",
        chart(observations=[reading(101, "2 hours"), older]),
    )

    assert reasons(newer_broken) == {"unusable"}
    assert older_broken is True


UNTIMED = {"effectiveDateTime": None, "issued": None}


@pytest.mark.parametrize(
    ("within", "changes", "expected"),
    [
        (7, {"effectiveDateTime": "2026-11-22T11:59:00Z", "code": {}}, {"not_read"}),
        (7, {"effectiveDateTime": "2026-11-22T09:59:00Z", "code": {}}, True),
        (7, UNTIMED, {"uncertain"}),
        (7, {"effectiveDateTime": "2026-11"}, {"boundary"}),
        (40, {"effectiveDateTime": "2026-10"}, True),
    ],
    ids=[
        "newer, without a code", "older, without a code", "without a time",
        "of this month", "of the month before",
    ],
)  # fmt: skip
def test_the_latest_is_known_only_if_nothing_in_doubt_may_be_newer(
    rules: Any,
    chart: Any,
    reading: Any,
    reasons: Any,
    within: int,
    changes: dict[str, Any],
    expected: bool | set[str],
) -> None:
    other = reading(90, "3 hours") | changes
    known = {name: each for name, each in other.items() if each is not None}
    readings = [reading(101, "2 hours"), known]

    verdict = rules.verdict(
        HR.replace("7 days", f"{within} days"),
        "hr: {latest: {above: 100}}",
        chart(observations=readings),
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_a_range_across_the_limit_in_a_list_read_in_part_is_unknown_for_both_reasons(
    rules: Any, chart: Any, reading: Any, reasons: Any
) -> None:
    vague = reading(90, valueQuantity={"value": 90, "comparator": ">", "code": "/min"})
    patient = chart(observations=[vague], states={"observations": PARTIAL})

    verdict = rules.verdict(HR, "hr: {latest: {above: 100}}", patient)

    assert reasons(verdict) == {"boundary", "not_read"}


def test_the_latest_is_unknown_if_a_reading_of_the_same_time_is_unusable(
    rules: Any, chart: Any, reading: Any, reasons: Any
) -> None:
    verdict = rules.verdict(
        HR,
        "hr: {latest: {above: 100}}",
        chart(observations=[reading(101, "2 hours"), reading("n/a", "2 hours")]),
    )

    assert reasons(verdict) == {"unusable"}


def test_two_readings_at_one_time_straddle_the_limit(
    rules: Any, chart: Any, reading: Any, reasons: Any
) -> None:
    twins = [reading(99, "1 hours"), reading(101, "1 hours")]

    verdict = rules.verdict(HR, "hr: {latest: {above: 100}}", chart(observations=twins))

    assert reasons(verdict) == {"boundary"}


@pytest.mark.parametrize(
    ("comparator", "limit", "expected"),
    [
        (">", 30, False),
        (">", 60, False),
        (">", 90, None),
        ("<", 90, True),
        ("<", 60, True),
        ("<", 50, None),
        (">=", 60, False),
        ("<=", 60, None),
    ],
)
def test_a_comparator_makes_a_range(
    rules: Any,
    chart: Any,
    reading: Any,
    reasons: Any,
    comparator: str,
    limit: int,
    expected: bool | None,
) -> None:
    quantity = {"value": 60, "comparator": comparator, "code": "/min"}
    patient = chart(observations=[reading(60, valueQuantity=quantity)])

    verdict = rules.verdict(HR, f"hr: {{latest: {{below: {limit}}}}}", patient)

    if expected is None:
        assert reasons(verdict) == {"boundary"}
    else:
        assert verdict is expected


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
        {"deceasedDateTime": "2026-11-23"},
        {"deceasedDateTime": "2027-03-01"},
        {"deceasedDateTime": "2027"},
        {"deceasedBoolean": False, "deceasedDateTime": "2027-03-01"},
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
    ("when", "expected"),
    [
        ("all: [{dm: present}, {hr: {latest: {above: 100}}}]", {"not_recorded"}),
        ("all: [{dm: absent}, {hr: {latest: {above: 100}}}]", False),
        ("any: [{dm: present}, {hr: {latest: {above: 100}}}]", True),
        ("any: [{dm: absent}, {hr: {latest: {above: 100}}}]", {"not_recorded"}),
        ("none: [{dm: absent}, {hr: {latest: {above: 100}}}]", {"not_recorded"}),
        ("none: [{dm: present}, {hr: {latest: {above: 100}}}]", False),
        ("none: [{dm: absent}]", True),
    ],
)
def test_the_tree_is_kleenes_logic(
    rules: Any, chart: Any, reasons: Any, when: str, expected: bool | set[str]
) -> None:
    verdict = rules.verdict(f"{DIABETES}\n{HR}", when, chart(conditions=[condition()]))

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


LOW = "low: {wearable_alert: {type: [low-heart-rate], within: 7 days}}"


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("present", True),
        ("{value: {below: 45}}", True),
        ("{value: {below: 38}}", False),
        ("{min: {below: 40}}", True),
        ("{max: {at_least: 42}}", True),
        ("{duration: {at_least: 15 minutes}}", True),
        ("{duration: {above: 15 minutes}}", False),
        ("{age: {at_most: 2 hours}}", True),
        ("{age: {at_most: 50 minutes}}", False),
        ("{local_time: {between: [09:00, 22:00]}}", True),
        ("{local_time: {between: ['22:00', '01:30']}}", True),
        ("{local_time: {between: ['22:00', '00:30']}}", False),
        ("{count: {at_least: 2}}", True),
        ("{value: {below: 40}, local_time: {between: [09:00, 22:00]}}", False),
        ("{value: {below: 45}, local_time: {between: [09:00, 22:00]}}", True),
        ("{value: {below: 45}, count: {at_least: 3}}", False),
    ],
)
def test_all_that_is_asked_holds_of_one_and_the_same_alert(
    rules: Any, chart: Any, wearable: Any, test: str, expected: bool
) -> None:
    local = datetime.fromisoformat("2026-11-22T11:45:00+01:00")
    by_day = wearable(
        hours=1,
        start=local,
        end=local.replace(hour=12, minute=0),
        value=42.0,
        unit="/min",
    )
    by_night = wearable(hours=6, value=38.0, unit="/min")

    assert rules.verdict(LOW, f"low: {test}", chart(), [by_night, by_day]) is expected


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("{local_time: {between: [09:00, 22:00]}}", {"uncertain"}),
        ("{local_time: {between: ['22:00', '06:00']}}", {"uncertain"}),
        ("{value: {below: 45}, local_time: {at_least: 09:00}}", {"uncertain"}),
        ("{value: {below: 40}, local_time: {at_least: 09:00}}", False),
        (
            "{coverage: {at_least: 0.8}, local_time: {at_least: 09:00}}",
            {"not_recorded", "uncertain"},
        ),
        ("{count: {at_least: 1}, local_time: {at_least: 09:00}}", {"uncertain"}),
        ("{count: {at_least: 2}, local_time: {at_least: 09:00}}", False),
        ("{value: {below: 45}}", True),
        ("present", True),
    ],
)
def test_what_the_wearers_clock_showed_is_unknown_where_only_utc_was_sent(
    rules: Any, chart: Any, wearable: Any, reasons: Any, test: str, expected: Any
) -> None:
    alert = wearable(hours=1, value=42.0, unit="/min", local=False)

    verdict = rules.verdict(LOW, f"low: {test}", chart(), [alert])

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_an_alert_that_fails_a_test_leaves_nothing_open(
    rules: Any, chart: Any, wearable: Any, reasons: Any
) -> None:
    slow_at_night = (
        "low: {value: {below: 40}, local_time: {between: ['00:00', '12:00']}}"
    )
    in_utc = wearable(hours=1, value=42.0, unit="/min", local=False)
    without_value = wearable(hours=2)

    verdict = rules.verdict(LOW, slow_at_night, chart(), [in_utc, without_value])

    assert reasons(verdict) == {"not_recorded"}


@pytest.mark.parametrize(
    ("second", "until", "expected"),
    [(0, "at_most: 06:00", True), (30, "at_most: 06:00", False)]
    + [(59, "below: 06:01", True), (0, "below: 06:00", False)],
)
def test_the_clock_is_read_to_the_second(
    rules: Any, chart: Any, wearable: Any, second: int, until: str, expected: bool
) -> None:
    start = datetime.fromisoformat(f"2026-11-22T06:00:{second:02}-05:00")
    alert = wearable(start=start)

    verdict = rules.verdict(LOW, f"low: {{local_time: {{{until}}}}}", chart(), [alert])

    assert verdict is expected


def test_an_alert_whose_end_is_still_ahead_has_no_age(
    rules: Any, chart: Any, wearable: Any
) -> None:
    ahead = wearable(hours=-0.05)

    verdict = rules.verdict(LOW, "low: {age: {at_most: 0 seconds}}", chart(), [ahead])

    assert verdict is True


def test_an_alert_that_lasts_has_lasted_until_now(
    rules: Any, chart: Any, wearable: Any
) -> None:
    lasting = wearable(start=NOW - timedelta(hours=3), end=None)

    for length, expected in (("3 hours", True), ("181 minutes", False)):
        asked = f"low: {{duration: {{at_least: {length}}}}}"
        assert rules.verdict(LOW, asked, chart(), [lasting]) is expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("coverage: {at_least: 0.8}, age: {below: 2 hours}", {"not_recorded"}),
        ("coverage: {at_least: 0.8}, age: {below: 1 hour}", False),
        (
            "count: {at_least: 1}, coverage: {at_least: 0.8}, age: {below: 2 hours}",
            {"not_recorded"},
        ),
        (
            "count: {at_least: 1}, coverage: {at_least: 0.8}, age: {below: 1 hour}",
            False,
        ),
        ("count: {at_least: 1}, age: {below: 2 hours}", True),
    ],
)
def test_what_an_alert_does_not_say_is_open_only_while_it_is_as_old_as_is_asked(
    rules: Any, chart: Any, wearable: Any, reasons: Any, asked: str, expected: Any
) -> None:
    verdict = rules.verdict(LOW, f"low: {{{asked}}}", chart(), [wearable(hours=1)])

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_where_there_is_no_alert_what_it_would_say_is_not_recorded(
    rules: Any, chart: Any, reasons: Any
) -> None:
    verdict = rules.verdict(LOW, "low: {value: {below: 45}}", chart(), [])

    assert reasons(verdict) == {"not_recorded"}


def test_an_alert_whose_clock_is_known_decides_beside_one_in_utc(
    rules: Any, chart: Any, wearable: Any
) -> None:
    told, untold = wearable(hours=1), wearable(hours=2, local=False)

    by_night = "low: {local_time: {between: ['00:00', '12:00']}}"

    assert rules.verdict(LOW, by_night, chart(), [untold, told]) is True


@pytest.mark.parametrize(
    "test", ["{coverage: {at_least: 0.8}}", "{threshold: {at_most: 45}}"]
)
def test_an_alert_that_does_not_say_is_not_taken_for_a_no(
    rules: Any, chart: Any, wearable: Any, reasons: Any, test: str
) -> None:
    silent = wearable(hours=1)
    telling = wearable(hours=2, coverage=0.8, threshold=45.0, unit="/min")

    assert rules.verdict(LOW, f"low: {test}", chart(), [silent, telling]) is True
    assert reasons(rules.verdict(LOW, f"low: {test}", chart(), [silent])) == {
        "not_recorded"
    }


@pytest.mark.parametrize(
    ("test", "values", "expected"),
    [
        ("count: {at_least: 2}, value: {below: 45}", [38, 44], True),
        ("count: {at_least: 2}, value: {below: 45}", [38, 45], False),
        ("value: {below: 45}, count: {at_least: 2}", [38, 50, 60], False),
        ("count: {at_least: 2}, value: {below: 45}", [], False),
        ("count: {below: 2}, value: {below: 45}", [38, 50], True),
        ("count: {between: [2, 3]}, value: {below: 45}", [1, 2], True),
        ("count: {between: [2, 3]}, value: {below: 45}", [1, 2, 3], False),
        # An alert without a value may be one of those that are counted.
        ("count: {at_least: 2}, value: {below: 45}", [38, None], {"not_recorded"}),
        ("count: {at_least: 3}, value: {below: 45}", [38, None], False),
    ],
)
def test_count_beside_other_tests_counts_the_alerts_that_pass_them(
    rules: Any,
    chart: Any,
    wearable: Any,
    reasons: Any,
    test: str,
    values: list[float | None],
    expected: bool | set[str],
) -> None:
    alerts = [
        wearable(hours=hours, value=value, unit="/min")
        for hours, value in enumerate(values, start=1)
    ]

    verdict = rules.verdict(LOW, f"low: {{{test}}}", chart(), alerts)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_alerts_that_could_not_be_read_are_not_counted_as_none(
    rules: Any, chart: Any
) -> None:
    rules.evaluate(LOW, "low: {count: {at_least: 2}, value: {below: 45}}", chart())
    service = rules.compile().rulebook.services["review", "patient-view"]

    (found,) = evaluate(service, chart(), None, rules.now).items

    assert [each.kind.value for each in found.reasons] == ["not_read"]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("count: {at_least: 1}", []),
        ("count: {above: 0}", []),
        ("count: {at_least: 2}, value: {below: 45}", []),
        ("count: {at_least: 0}, value: {below: 45}", ["CDS504"]),
        ("count: {below: 2}, value: {below: 45}", ["CDS504"]),
    ],
)
def test_text_may_rely_on_an_alert_only_where_one_must_be_counted(
    rules: Any, chart: Any, test: str, expected: list[str]
) -> None:
    rules.evaluate(LOW, f"low: {{{test}}}", chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("It fires", '"{{ low.age }}"')

    found = [each.code for each in rules.compile().findings if each.level == "error"]

    assert found == expected


def test_a_count_of_entries_is_asked_although_none_is_recognised(
    rules: Any, chart: Any
) -> None:
    patient = chart(conditions=[SNOMED_ONLY])

    (found,) = rules.evaluate(DIABETES, "dm: {count: {at_least: 1}}", patient).items

    assert found.could_not_check


def test_text_counts_the_alerts_that_were_counted(
    rules: Any, chart: Any, wearable: Any
) -> None:
    alerts = [
        wearable(hours=hours, value=value, unit="/min")
        for hours, value in enumerate([38.0, 44.0, 60.0], start=1)
    ]
    when = "low: {count: {at_least: 2}, value: {below: 45}}"

    (found,) = rules.evaluate(LOW, when, chart(), alerts).items

    assert found.text("low", "count").text == "2"
    assert found.text("low", "value").text == "38 /min"


def test_text_is_about_the_alert_that_was_asked_for(
    rules: Any, chart: Any, wearable: Any
) -> None:
    slow = wearable(hours=5, value=38.0, unit="/min", device="Watch by day")
    slower_than_usual = wearable(
        hours=1, value=48.0, unit="/min", device="Watch at night"
    )

    (found,) = rules.evaluate(
        LOW, "low: {value: {below: 45}}", chart(), [slow, slower_than_usual]
    ).items

    shown = {name: found.text("low", name).text for name in ("value", "device", "max")}
    assert shown == {"value": "38 /min", "device": "Watch by day", "max": "48 /min"}


def test_a_wearable_alert_without_a_value_says_nothing_of_it(
    rules: Any, chart: Any, wearable: Any, reasons: Any
) -> None:
    verdict = rules.verdict(LOW, "low: {value: {below: 45}}", chart(), [wearable()])

    assert reasons(verdict) == {"not_recorded"}


def test_alerts_that_last_can_be_told_from_those_that_ended(
    rules: Any, chart: Any, wearable: Any
) -> None:
    lasting = LOW.replace("type:", "status: open, type:")
    ended = LOW.replace("type:", "status: closed, type:")
    alerts = [wearable(status="open", end=None)]

    assert rules.verdict(lasting, "low: present", chart(), alerts) is True
    assert rules.verdict(ended, "low: present", chart(), alerts) is False
    assert rules.verdict(lasting, "low: present", chart(), [wearable()]) is False
    assert rules.verdict(ended, "low: present", chart(), [wearable()]) is True


def test_a_retracted_alert_is_not_there(rules: Any, chart: Any, wearable: Any) -> None:
    assert (
        rules.verdict(LOW, "low: present", chart(), [wearable(status="retracted")])
        is False
    )


def test_an_alert_that_lasts_is_as_fresh_as_the_moment(
    rules: Any, chart: Any, wearable: Any
) -> None:
    lasting = wearable(hours=400, end=None)

    assert (
        rules.verdict(LOW, "low: {age: {at_most: 1 minute}}", chart(), [lasting])
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


def test_an_unknown_is_never_taken_for_true_or_false(rules: Any, chart: Any) -> None:
    verdict = rules.verdict(HR, "hr: {latest: {above: 100}}", chart())

    with pytest.raises(TypeError):
        bool(verdict)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("low: present", True),
        ("low: {duration: {above: 10 minutes}}", True),
        ("low: {duration: {above: 1 hour}}", {"not_read"}),
        ("low: {count: {at_least: 1}}", True),
        ("low: {count: {at_least: 2}}", {"not_read"}),
        ("low: {count: {at_most: 0}}", False),
        ("recently: {count: {at_least: 2}}", False),
        ("recently: {duration: {above: 1 hour}}", False),
        ("irregular: present", {"not_read"}),
    ],
)
def test_of_alerts_that_were_read_in_part_those_before_the_oldest_are_not_known(
    rules: Any, chart: Any, wearable: Any, reasons: Any, asked: str, expected: Any
) -> None:
    facts = f"""\
        {LOW}
        recently: {{wearable_alert: {{type: [low-heart-rate], within: 2 days}}}}
        irregular: {{wearable_alert: {{type: [irregular-rhythm], within: 7 days}}}}"""
    whole = chart()
    source = Source("wearable_alerts", PARTIAL)
    partial = replace(whole, sources={**whole.sources, source.name: source})
    alerts = [wearable(hours=1), wearable("another-kind", hours=72)]

    verdict = rules.verdict(dedent(facts), asked, partial, alerts)

    answer = verdict if isinstance(verdict, bool) else reasons(verdict)
    assert answer == expected
