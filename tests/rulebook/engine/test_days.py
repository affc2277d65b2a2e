"""What rules ask of the days that wearables told: in which days, how much, how sure."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from cds_service.fhir.moments import Moment
from cds_service.rulebook.engine.evaluate import Outcome
from cds_service.rulebook.engine.facts import Fact
from cds_service.rulebook.engine.rows.readings import Row
from cds_service.rulebook.values.intervals import exactly
from cds_service.rulebook.values.truth import ReasonKind, Unknown
from cds_service.wearables.worn import Wearables

from .worn_days import IN_RANGE, NIGHT, RATE, STEPS, WEIGHT, day, weighed, worn


@pytest.mark.parametrize(
    ("ago", "found"), [(0, False), (1, True), (7, True), (8, False)]
)
def test_a_week_is_the_seven_days_that_are_over(
    rules: Any, chart: Any, ago: int, found: bool
) -> None:
    (item,) = rules.evaluate(
        RATE, "it: present", chart(), worn=worn(day(ago, 80))
    ).items

    assert (item.outcome is Outcome.FIRES) is found


@pytest.mark.parametrize(("ago", "found"), [(0, True), (2, True), (3, False)])
def test_the_night_that_ended_today_is_the_last_of_three(
    rules: Any, chart: Any, ago: int, found: bool
) -> None:
    told = worn(day(ago, 80, part="night"))

    (item,) = rules.evaluate(NIGHT, "it: present", chart(), worn=told).items

    assert (item.outcome is Outcome.FIRES) is found


def test_what_is_weighed_today_counts_today(rules: Any, chart: Any) -> None:
    told = worn(weighed(3, 80.0), weighed(0, 82.1))

    when = "it: {latest: {at_least: 82.1}}"
    (item,) = rules.evaluate(WEIGHT % "kg", when, chart(), worn=told).items

    assert item.outcome is Outcome.FIRES


def test_the_steps_of_today_are_not_all_of_them(rules: Any, chart: Any) -> None:
    walked = [
        day(ago, None, metric="steps", total=total, covered=600.0)
        for ago, total in ((0, 40.0), (1, 6000.0))
    ]

    when = "it: {latest: {at_least: 6000}}"
    (item,) = rules.evaluate(STEPS, when, chart(), worn=worn(*walked)).items

    assert item.outcome is Outcome.FIRES


def test_the_day_is_that_of_the_wearer(rules: Any, chart: Any) -> None:
    # In Auckland the 22nd of November is over when New York has breakfast.
    told = worn(day(0, 80, zone="Pacific/Auckland"))

    (item,) = rules.evaluate(RATE, "it: present", chart(), worn=told).items

    assert item.outcome is Outcome.FIRES


def test_values_are_told_in_the_unit_of_the_fact(rules: Any, chart: Any) -> None:
    told = worn(weighed(1, 80.0))
    when = "it: {latest: {between: [176, 177]}}"

    (item,) = rules.evaluate(WEIGHT % "[lb_av]", when, chart(), worn=told).items

    assert item.outcome is Outcome.FIRES


def test_glucose_is_told_in_moles_by_its_molar_mass(rules: Any, chart: Any) -> None:
    fact = "it: {wearable: {metric: sensor-glucose, unit: mmol/L, within: 7 days}}"
    told = worn(day(1, 180.16, metric="sensor-glucose"))
    when = "it: {mean: {between: [9.9, 10.1]}}"

    (item,) = rules.evaluate(fact, when, chart(), worn=told).items

    assert item.outcome is Outcome.FIRES


@pytest.mark.parametrize(("minutes", "fires"), [(1008.0, False), (1007.0, True)])
def test_time_in_range_is_a_share_of_what_was_measured(
    rules: Any, chart: Any, minutes: float, fires: bool
) -> None:
    told = day(1, 150, metric="sensor-glucose", bands={"in-range": minutes})
    when = "it: {mean: {below: 70}}"

    (item,) = rules.evaluate(IN_RANGE, when, chart(), worn=worn(told)).items

    assert (item.outcome is Outcome.FIRES) is fires


@pytest.mark.parametrize(
    ("limit", "fires"), [("at_least: 0.28", True), ("at_least: 0.29", False)]
)
def test_a_day_without_data_has_no_coverage(
    rules: Any, chart: Any, limit: str, fires: bool
) -> None:
    # Two whole days of seven.
    told = worn(day(1, 80), day(2, 80))

    when = f"it: {{coverage: {{{limit}}}}}"
    (item,) = rules.evaluate(RATE, when, chart(), worn=told).items

    assert (item.outcome is Outcome.FIRES) is fires


def test_no_data_at_all_is_no_coverage_and_no_day(rules: Any, chart: Any) -> None:
    when = "all: [it: {coverage: {below: 0.1}}, it: {days: {at_most: 0}}]"

    (item,) = rules.evaluate(RATE, when, chart(), worn=Wearables()).items

    assert item.outcome is Outcome.FIRES


@pytest.mark.parametrize(
    ("when", "fires"),
    [
        ("it: {days: {at_least: 2}}", True),
        ("it: {days: {at_least: 3}}", False),
        ("it: {count: {at_least: 200}}", True),
        ("it: {count: {above: 200}}", False),
        ("it: {on_days: {above: 79, days: 2}}", True),
        ("it: {on_days: {above: 80, days: 2}}", False),
        ("it: {sustained: {above: 79, for: 2 days, readings: 2}}", True),
        ("it: {mean: {above: 84}}", True),
        ("it: {max: {above: 90}}", False),
        ("it: {rise: {at_least: 10, over: 1 day}}", True),
        ("it: {fall: {at_least: 1, over: 1 day}}", False),
    ],
)
def test_days_are_asked_as_readings_are(
    rules: Any, chart: Any, when: str, fires: bool
) -> None:
    told = worn(day(2, 80), day(1, 90))

    found = rules.evaluate(RATE, when, chart(), worn=told).items

    assert (bool(found) and found[0].outcome is Outcome.FIRES) is fires


def test_three_days_before_are_within_three_days_when_clocks_go_forward(
    rules: Any, chart: Any
) -> None:
    rules.now = datetime(2026, 3, 11, 12, tzinfo=UTC)
    days = [date(2026, 3, 10) - timedelta(days=back) for back in (3, 0)]
    told = worn(*(day(0, 80.0 + each.day, day=each) for each in days))
    when = "it: {rise: {at_least: 3, over: 3 days}}"

    (item,) = rules.evaluate(RATE, when, chart(), worn=told).items

    assert item.outcome is Outcome.FIRES


def test_of_several_of_one_day_the_first_that_has_the_value_is_read(
    rules: Any, chart: Any
) -> None:
    told = worn(day(1), day(1, 90, source="garmin"), day(1, 70, source="fitbit"))
    when = "all: [it: {max: {at_most: 90}}, it: {min: {at_least: 90}}]"

    (item,) = rules.evaluate(RATE, when, chart(), worn=told).items

    assert item.outcome is Outcome.FIRES


def test_a_day_is_a_row_of_its_own_date(rules: Any, chart: Any) -> None:
    told, noon = day(1, 80), datetime(2026, 11, 21, 12, tzinfo=UTC)
    days = worn(weighed(1, 80.0), told)

    found = rules.evaluate(RATE, "it: present", chart(), worn=days)

    fact: Fact = found.items[0].rule.facts["it"]
    assert found.case.found(fact).rows == [
        Row(
            "WearableDay/heart-rate/day/2026-11-21",
            name="heart-rate",
            moment=Moment(noon, noon),
            dated=True,
            value=exactly(80),
            worn=told,
        )
    ]


def test_a_number_is_unknown_without_data(rules: Any, chart: Any, reasons: Any) -> None:
    verdict = rules.verdict(RATE, "it: {mean: {above: 100}}", chart())

    assert reasons(verdict) == {"not_recorded"}


@pytest.mark.parametrize(
    "when", ["it: present", "it: {mean: {above: 100}}", "it: {coverage: {below: 0.5}}"]
)
def test_days_that_were_not_read_are_no_days_without_data(
    rules: Any, chart: Any, when: str
) -> None:
    unread = Wearables(days=None, streams=None, tallies=None)

    (item,) = rules.evaluate(RATE, when, chart(), worn=unread).items

    assert item.outcome is Outcome.UNKNOWN
    assert {each.kind for each in item.reasons} == {ReasonKind.NOT_READ}
    assert item.could_not_check


def test_days_stand_for_nobody_but_the_rule_that_asks_them(
    rules: Any, chart: Any
) -> None:
    told = worn(day(1, 80, part="night"), weighed(1, 80.0))

    assert not [
        each
        for each in rules.evaluate(RATE, "it: present", chart(), worn=told).items
        if each.outcome is Outcome.FIRES
    ]


def test_a_day_that_somebody_called_wrong_is_left_out(rules: Any, chart: Any) -> None:
    found = rules.evaluate(
        RATE, "it: {max: {above: 100}}", chart(), worn=worn(day(1, 120), day(2, 90))
    )

    without = found.case.without(["WearableDay/heart-rate/day/2026-11-21"])

    fact: Fact = found.items[0].rule.facts["it"]
    assert [row.worn.mean for row in without.found(fact).rows] == [90]


def test_the_verdict_of_a_coverage_that_was_not_read_names_the_fact(
    rules: Any, chart: Any
) -> None:
    rules.evaluate(RATE, "it: {coverage: {below: 0.5}}", chart())
    service = rules.compile().rulebook.services["review", "patient-view"]
    (rule,) = service.rules
    case = rules.evaluate(
        RATE,
        "it: {coverage: {below: 0.5}}",
        chart(),
        worn=replace(Wearables(), days=None),
    ).case

    verdict = rule.when.predicate(case)

    assert isinstance(verdict, Unknown)
    assert [each.fact for each in verdict.reasons] == ["it"]
