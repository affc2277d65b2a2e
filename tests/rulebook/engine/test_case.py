"""What a case holds of one patient, as facts ask it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from cds_service.fhir.chart import Chart, Source, Unusable
from cds_service.rulebook.engine.case import Case
from cds_service.rulebook.engine.days import Days
from cds_service.rulebook.engine.evaluate import open_case
from cds_service.rulebook.engine.facts import Fact, Found
from cds_service.rulebook.engine.rows.readings import Row
from cds_service.rulebook.values.truth import Reason, ReasonKind, Unknown
from cds_service.wearables.detection.episodes import DayTally, NotJudged
from cds_service.wearables.worn import Wearables

from .facts import DIABETES, HR, NOW, PARTIAL, SNOMED_ONLY, condition
from .rows.resources import request
from .worn_days import RATE, day, worn

MIDNIGHT = datetime.fromisoformat("2026-11-22T00:00:00-05:00")
"""Where the rules' site is."""
MONTH = "hr: {observation: {in: heart-rate, unit: /min, within: 1 months}}"
ALERTS = "slow: {wearable_alert: {type: [low-heart-rate], within: 1 months}}"
A_MONTH_AGO = datetime(2026, 10, 22, 11, tzinfo=UTC)
"""By the site's clocks, which went back on the way."""


def case_and_fact(
    rules: Any, facts: str, chart: Chart, **told: Any
) -> tuple[Case, Fact]:
    """The case of a patient, and the last of these facts."""
    name = facts.strip().splitlines()[-1].partition(":")[0].strip()
    rules.rule(facts, f"{name}: present")
    rulebook = rules.compile().rulebook
    assert rulebook is not None, rules.compile().findings
    found = rules.evaluate(facts, f"{name}: present", chart, **told)
    return found.case, rulebook.rules["test"].facts[name]


def at(moment: datetime, id: str, value: float = 80) -> dict[str, Any]:
    """A heart rate at a moment."""
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "effectiveDateTime": moment.isoformat(),
        "valueQuantity": {"value": value, "code": "/min"},
    }


def on(text: str, id: str) -> dict[str, Any]:
    """A heart rate of which only a date is recorded."""
    return {**at(NOW, id), "effectiveDateTime": text}


def ids(rows: Sequence[Row]) -> list[str]:
    return [row.reference.rpartition("/")[2] for row in rows]


@pytest.mark.parametrize(
    ("reading", "inside", "maybe"),
    [
        (at(MIDNIGHT - timedelta(days=7), "o"), ["o"], []),
        (at(MIDNIGHT - timedelta(days=7, seconds=1), "o"), [], []),
        (at(MIDNIGHT + timedelta(minutes=5), "o"), ["o"], []),
        (at(MIDNIGHT + timedelta(minutes=5, seconds=1), "o"), [], []),
        (on("2026-11-15", "o"), ["o"], []),
        (on("2026-11-22", "o"), ["o"], []),
        (on("2026-11-23", "o"), [], []),
        (on("2026-11", "o"), [], ["o"]),
    ],
    ids=[
        "a week ago to the second",
        "a second longer ago",
        "as far ahead as a clock may be",
        "further ahead",
        "the day a week ago, from its midnight on",
        "of today, which has just begun",
        "of tomorrow",
        "some day of this month",
    ],
)
def test_a_week_begins_and_ends_to_the_second(
    rules: Any, chart: Any, reading: Any, inside: list[str], maybe: list[str]
) -> None:
    rules.now = MIDNIGHT
    case, fact = case_and_fact(rules, HR, chart(observations=[reading]))

    found = case.found(fact)

    assert (ids(found.rows), ids(found.possible)) == (inside, maybe)


@pytest.mark.parametrize(
    ("later", "inside"), [(timedelta(0), True), (timedelta(seconds=-1), False)]
)
def test_a_month_is_one_of_the_site_s_calendar(
    rules: Any, chart: Any, later: timedelta, inside: bool
) -> None:
    read = chart(observations=[at(A_MONTH_AGO + later, "o")])

    case, fact = case_and_fact(rules, MONTH, read)

    assert (ids(case.found(fact).rows) == ["o"]) is inside


@pytest.mark.parametrize(("hours", "unread"), [(0, True), (-0.01, False), (0.5, True)])
def test_alerts_of_which_not_all_came_are_whole_where_they_reach_far_enough(
    rules: Any, chart: Any, wearable: Any, hours: float, unread: bool
) -> None:
    ended = A_MONTH_AGO + timedelta(hours=hours)
    told = Wearables((wearable(end=ended), wearable(hours=1)))
    read = replace(chart(), sources={"wearable_alerts": Source("a", PARTIAL)})

    case, fact = case_and_fact(rules, ALERTS, read, worn=told)

    assert bool(case.found(fact).unread) is unread


def test_the_days_of_a_detector_are_those_of_the_site(rules: Any, chart: Any) -> None:
    # In the afternoon of New York the next day has begun elsewhere.
    rules.now = datetime(2026, 11, 22, 20, tzinfo=UTC)
    fact = "it: {stream: {detector: fast, within: 3 days}}"
    tally = DayTally("fast", date(2026, 11, 20), "garmin", 0, {NotJudged.TOO_SPARSE: 1})

    case, asked = case_and_fact(rules, fact, chart(), worn=Wearables(tallies=(tally,)))

    assert ids(case.found(asked).rows) == ["2026-11-20"]
    assert case.days_of(asked) == Days(date(2026, 11, 20), date(2026, 11, 22))


def test_days_are_those_that_are_over_and_alerts_look_at_none(
    rules: Any, chart: Any
) -> None:
    case, fact = case_and_fact(rules, RATE, chart(), worn=worn(day(1, 80)))
    assert case.days_of(fact) == Days(date(2026, 11, 15), date(2026, 11, 21))

    case, fact = case_and_fact(rules, ALERTS, chart())

    assert case.days_of(fact) is None
    assert case.entries_read(fact) == 0


ONSET = """
late: {condition: {in: diabetes, onset_within: 42 weeks}}
entered: {condition: {in: diabetes, recorded_within: 12 months}}
dm: {any_of: [late, entered]}
"""


def test_of_facts_that_are_joined_all_is_found_each_once_oldest_first(
    rules: Any, chart: Any
) -> None:
    problems = [
        condition(id="new", onsetDateTime="2026-09-01", recordedDate="2026-09-02"),
        condition(id="old", onsetDateTime="2015", recordedDate="2026-08-01"),
        condition(id="maybe", onsetDateTime="2026", recordedDate="2015-01-01"),
        condition(id="unsaid"),
        condition(id="odd", onsetDateTime="soon", recordedDate="2015-01-01"),
        {**SNOMED_ONLY, "id": "elsewhere", "onsetDateTime": "2026-10-01"},
    ]
    read = chart(conditions=problems, states={"conditions": PARTIAL})

    case, fact = case_and_fact(rules, ONSET, read)

    found = case.found(fact)
    assert found.fact is fact
    assert ids(found.rows) == ["old", "new"]
    assert ids(found.possible) == ["maybe"]
    assert ids(found.uncertain) == ["unsaid", "unsaid"]
    assert ids(found.unresolved) == ["elsewhere", "elsewhere"]
    assert ids(found.unusable) == ["odd"]
    assert found.unread == ("conditions",)


def test_of_joined_facts_what_never_came_is_known_of(rules: Any, chart: Any) -> None:
    facts = """
    bb: {medication: {in: beta-blockers}}
    other: {medication: {in: other-drugs}}
    it: {any_of: [bb, other]}
    """
    order = request(id="lost", medicationReference={"reference": "Medication/x"})
    del order["medicationCodeableConcept"]

    case, fact = case_and_fact(rules, facts, chart(requests=[order]))

    assert ids(case.found(fact).unobtained) == ["lost", "lost"]
    assert case.found(fact).unread == ()


def test_a_fact_under_another_name_has_the_same_rows_and_doubts(
    rules: Any, chart: Any
) -> None:
    facts = f"{DIABETES}\n{DIABETES.replace('dm', 'same', 1)}"
    case, same = case_and_fact(rules, facts, chart(conditions=[condition()]))
    row = Row("Condition/c")
    found = Found(replace(same, name="dm"), *[[row]] * 4, ("conditions",), [row], [row])

    assert case.found(same).fact is same
    assert case.found(replace(same, name="other")).fact.name == "other"
    assert found.asked_as(same) == replace(found, fact=same)
    assert replace(found, possible=[]).asked_as(same).unobtained == [row]


def test_what_lies_outside_is_told_oldest_first(rules: Any, chart: Any) -> None:
    read = chart(
        observations=[
            at(NOW - timedelta(days=9), "nine"),
            at(NOW - timedelta(days=30), "thirty"),
            at(NOW - timedelta(days=1), "one"),
        ]
    )

    case, fact = case_and_fact(rules, HR, read)

    assert ids(case.outside(fact)) == ["thirty", "nine"]


def test_each_resource_that_cannot_be_used_is_told(rules: Any, chart: Any) -> None:
    odd = [{**at(NOW, id), "valueQuantity": {"value": "high"}} for id in ("a", "b")]

    case, fact = case_and_fact(rules, HR, chart(observations=odd))
    case.found(fact)

    assert [kind for kind, _ in case.unusable()] == ["Observation", "Observation"]


def test_what_ended_last_is_told_last_and_what_nobody_dates_first(
    rules: Any, chart: Any
) -> None:
    over = {"clinicalStatus": {"coding": [{"code": "resolved"}]}}
    problems = [
        condition(id="late", abatementDateTime="2026-05-01", **over),
        condition(id="undated", **over),
        condition(id="early", abatementDateTime="2020", **over),
    ]

    case, fact = case_and_fact(rules, DIABETES, chart(conditions=problems))

    assert ids([row for row, _ in case.past(fact)]) == ["undated", "early", "late"]


def test_a_medicine_without_an_end_is_over_since_it_was_ordered(
    rules: Any, chart: Any
) -> None:
    facts = "bb: {medication: {in: beta-blockers}}"
    orders = [
        request(id="later", status="stopped", authoredOn="2026-03-01"),
        request(id="sooner", status="stopped", authoredOn="2019-03-01"),
    ]

    case, fact = case_and_fact(rules, facts, chart(requests=orders))

    assert ids([row for row, _ in case.past(fact)]) == ["sooner", "later"]


def test_a_medicine_is_called_by_the_set_that_it_is_of(rules: Any, chart: Any) -> None:
    facts = """
    other: {medication: {in: other-drugs}}
    bb: {medication: {in: beta-blockers}}
    it: {any_of: [other, bb]}
    """
    case, fact = case_and_fact(rules, facts, chart(requests=[request()]))
    (row,) = case.found(fact).rows

    assert case.called(fact, row) == ("metoprolol",)
    assert case.called(fact, Row("MedicationRequest/x")) == ()
    assert case.called(fact, Row("MedicationRequest/x", name="Beta")) == ("Beta",)


@pytest.mark.parametrize(
    ("readings", "newest_first"),
    [
        ([], True),
        ([at(NOW, "a")], False),
        ([at(NOW, "a"), at(NOW, "b")], True),
        ([at(NOW, "a"), at(NOW + timedelta(seconds=1), "b")], False),
        (
            [on("2026-11-20", "a"), at(datetime(2026, 11, 20, 20, tzinfo=UTC), "b")],
            True,
        ),
        ([on("soon", "a")], False),
    ],
)
def test_readings_come_newest_first_where_none_is_newer_than_one_before(
    rules: Any, chart: Any, readings: list[Any], newest_first: bool
) -> None:
    case, _ = case_and_fact(rules, HR, chart(observations=readings))

    assert case.newest_first() is newest_first


def test_where_one_was_set_aside_nobody_knows_which_is_the_newest(
    rules: Any, chart: Any
) -> None:
    whole = chart(observations=[at(NOW, "a"), at(NOW, "b")])
    source = whole.sources["observations"]
    aside = replace(source, unusable=(Unusable("no subject", "Observation/c"),))
    case, _ = case_and_fact(rules, HR, replace(whole, sources={"observations": aside}))

    assert case.newest_first() is False


def test_without_observations_none_came_in_another_order(
    rules: Any, chart: Any
) -> None:
    case, _ = case_and_fact(rules, HR, replace(chart(), sources={}))

    assert case.newest_first() is True


def test_a_case_without_some_of_it_is_of_the_same_site(rules: Any, chart: Any) -> None:
    rules.files["site.yaml"] = (
        "format: 1\ntime_zone: America/New_York\nunresolved: ignore\n"
        "reading: {encounter_diagnosis: 10 years}\n"
    )
    visit = condition(
        id="visit",
        category=[{"coding": [{"code": "encounter-diagnosis"}]}],
        recordedDate="2020-05-02",
    )
    problems = [visit, {**SNOMED_ONLY, "id": "elsewhere"}]
    months = f"{DIABETES}\n{MONTH}"
    read = chart(conditions=problems, observations=[at(A_MONTH_AGO, "o")])
    case, fact = case_and_fact(rules, months, read)

    without = case.without(["Observation/another"])

    assert ids(without.found(fact).rows) == ["o"]
    case, dm = case_and_fact(rules, DIABETES, read)
    found = case.without(["Observation/another"]).found(dm)
    assert (ids(found.rows), ids(found.unresolved), ids(found.uncertain)) == (
        ["visit"],
        [],
        [],
    )


def test_what_a_code_does_not_tell_is_named_as_the_record_does(
    rules: Any, chart: Any
) -> None:
    told = {**SNOMED_ONLY, "code": {**SNOMED_ONLY["code"], "text": "Sugar"}}

    verdict = rules.verdict(DIABETES, "dm: absent", chart(conditions=[told]))

    assert isinstance(verdict, Unknown)
    assert verdict.reasons == (Reason(ReasonKind.UNRESOLVED, "dm", (), ("Sugar",)),)


def test_one_reading_in_two_sets_that_are_joined_is_one(rules: Any, chart: Any) -> None:
    pulse = rules.files["valuesets/heart-rate.yaml"].replace("heart-rate", "pulse")
    rules.files["valuesets/pulse.yaml"] = pulse.replace("Heart rate", "Pulse")
    facts = f"{HR}\n{HR.replace('hr', 'pulse', 1).replace('heart-rate', 'pulse')}"
    readings = [at(NOW - timedelta(hours=hours), f"{hours}") for hours in (1, 2)]

    case, fact = case_and_fact(
        rules, f"{facts}\nit: {{any_of: [hr, pulse]}}", chart(observations=readings)
    )

    assert ids(case.found(fact).rows) == ["2", "1"]


def test_a_case_draws_and_discloses_until_somebody_says_otherwise(
    rules: Any, chart: Any
) -> None:
    rules.rule(DIABETES, "dm: present")
    service = rules.compile().rulebook.services["review", "patient-view"]

    case = open_case(service, chart(), Wearables(), NOW)

    assert (case.draws, case.may_disclose) == (True, True)
