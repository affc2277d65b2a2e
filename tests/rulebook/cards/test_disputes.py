"""What a card rests on, and what is left where somebody called the data wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.protocol.cards import Indicator
from cds_service.rulebook.cards.disputes import (
    disputes,
    evaluate_without,
    evidence_of,
    weigh,
)
from cds_service.rulebook.engine.alerting import AboutData, Alerting, Display
from cds_service.rulebook.engine.evaluate import Evaluation, Outcome, evaluate
from cds_service.rulebook.values.intervals import Duration
from cds_service.wearables.worn import Wearables

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")
RATE = "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}"
SLOW = "slow: {wearable_alert: {type: [low-heart-rate], within: 7 days}}"
BOTH = f"{RATE}\n{SLOW}"
ABOUT = AboutData({"urn:s|wrong": Duration(9, "day")}, {"a": Alerting()})


@pytest.fixture
def asked(rules: Any, chart: Any, reading: Any, wearable: Any) -> Any:
    """The rule, asked of three readings and two alerts."""

    def ask(facts: str, when: str, more: str = "", **states: SourceState) -> Evaluation:
        readings = [reading(105), reading(120, "2 hours"), reading(101, "30 hours")]
        alerts = [
            wearable(value=38.0, source="watch", id="1"),
            wearable(hours=3, value=44.0, source="ring", id="1"),
        ]
        seen = chart(observations=readings, states=states)
        (found,) = rules.evaluate(facts, when, seen, alerts, more).items
        evaluation: Evaluation = found
        return evaluation

    return ask


@pytest.mark.parametrize(
    ("when", "rests_on"),
    [
        ("latest: {above: 100}", ["o-105-1hours"]),
        ("earliest: {above: 100}", ["o-101-30hours"]),
        ("max: {above: 110}", ["o-120-2hours"]),
        ("min: {below: 110}", ["o-101-30hours"]),
        ("mean: {above: 100}", ["o-101-30hours", "o-105-1hours", "o-120-2hours"]),
        ("count: {at_least: 3}", ["o-101-30hours", "o-105-1hours", "o-120-2hours"]),
        (
            "sustained: {above: 100, for: 2 hours, readings: 2}",
            ["o-105-1hours", "o-120-2hours"],
        ),
    ],
)
def test_a_card_rests_on_the_readings_that_made_it_true(
    asked: Any, when: str, rests_on: list[str]
) -> None:
    found = evidence_of(asked(RATE, f"all: [hr: {{{when}}}]"))

    assert found == tuple(f"Observation/{each}" for each in rests_on)


def test_a_mean_rests_on_all_readings_also_beside_a_test_of_the_last_hours(
    asked: Any,
) -> None:
    lasting = "hr: {sustained: {above: 100, for: 2 hours, readings: 2}}"

    found = evidence_of(
        asked(RATE, f"all: [{{{lasting}}}, hr: {{mean: {{above: 100}}}}]")
    )

    assert "Observation/o-101-30hours" in found


def test_a_card_rests_on_what_its_own_condition_asks_for(
    rules: Any, chart: Any, reading: Any, wearable: Any
) -> None:
    rules.rule(BOTH, "all: [hr: present]")
    more = "  when: {slow: {value: {below: 40}}}\n"
    rules.files["test.yaml"] += more
    service = rules.compile().rulebook.services["review", "patient-view"]
    alerts = [wearable(value=38.0, source="watch", id="1")]

    (found,) = evaluate(
        service, chart(observations=[reading(105)]), Wearables(tuple(alerts)), NOW
    ).items

    assert evidence_of(found) == ("Observation/o-105-1hours", "WearableAlert/watch/1")


def test_a_card_rests_on_the_alerts_that_passed_and_names_their_source(
    asked: Any,
) -> None:
    found = evidence_of(asked(SLOW, "all: [slow: {value: {below: 40}}]"))

    assert found == ("WearableAlert/watch/1",)


def test_what_is_false_or_excluded_or_merely_recorded_is_no_evidence(
    asked: Any,
) -> None:
    either = "any: [hr: {latest: {above: 200}}, slow: {value: {below: 40}}]"
    spared = "all: [slow: {value: {below: 40}}, none: [hr: {latest: {above: 200}}]]"

    for when in (either, spared):
        assert evidence_of(asked(BOTH, when)) == ("WearableAlert/watch/1",)


def test_what_is_true_within_what_is_false_and_what_is_unknown_is_no_evidence(
    asked: Any,
) -> None:
    slow = "slow: {value: {below: 40}}"
    false = "all: [hr: {latest: {above: 100}}, slow: {value: {below: 10}}]"
    unknown = "hr: {mean: {above: 100}}"

    within = asked(BOTH, f"any: [{{{false}}}, {slow}]")
    beside = asked(BOTH, f"any: [{unknown}, {slow}]", observations=SourceState.PARTIAL)

    for fired in (within, beside):
        assert evidence_of(fired) == ("WearableAlert/watch/1",)


def test_what_may_be_excluded_is_no_evidence(asked: Any) -> None:
    high = "all: [hr: {count: {at_least: 1}}, hr: {mean: {above: 100}}]"
    either = f"any: [none: [{{{high}}}], slow: {{value: {{below: 40}}}}]"

    found = evidence_of(asked(BOTH, either, observations=SourceState.PARTIAL))

    assert found == ("WearableAlert/watch/1",)


def test_a_card_rests_on_the_alerts_that_are_over_for_as_long_as_is_asked(
    asked: Any,
) -> None:
    found = evidence_of(asked(SLOW, "all: [slow: {age: {below: 2 hours}}]"))

    assert found == ("WearableAlert/watch/1",)


def test_a_reading_without_an_id_cannot_be_named(
    rules: Any, chart: Any, reading: Any
) -> None:
    unnamed = {name: each for name, each in reading(120).items() if name != "id"}
    seen = chart(observations=[unnamed, reading(110, "2 hours")])

    (found,) = rules.evaluate(RATE, "all: [hr: {mean: {above: 100}}]", seen).items

    assert evidence_of(found) == ("Observation/o-110-2hours",)


def test_a_rule_that_rests_on_problems_and_medicines_has_no_evidence(
    rules: Any, chart: Any
) -> None:
    facts = "drug: {medication: {in: beta-blockers}}"
    order = {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {
            "coding": [
                {
                    "system": "http://www.nlm.nih.gov/research/umls/rxnorm",
                    "code": "6918",
                }
            ]
        },
    }
    (found,) = rules.evaluate(
        facts, "all: [drug: present]", chart(requests=[order])
    ).items

    assert found.outcome is Outcome.FIRES
    assert evidence_of(found) == ()


def test_without_the_wrong_reading_the_rule_is_judged_by_the_others(
    asked: Any,
) -> None:
    fired = asked(RATE, "all: [hr: {max: {above: 104}}]")

    again = evaluate_without(fired, {"Observation/o-120-2hours"})
    none = evaluate_without(
        fired, {"Observation/o-120-2hours", "Observation/o-105-1hours"}
    )

    assert again and again.outcome is Outcome.FIRES
    assert evidence_of(again) == ("Observation/o-105-1hours",)
    assert none is None


def test_the_same_id_of_another_source_is_another_alert(asked: Any) -> None:
    fired = asked(SLOW, "all: [slow: {value: {below: 50}}]")

    again = evaluate_without(fired, {"WearableAlert/watch/1"})

    assert again and evidence_of(again) == ("WearableAlert/ring/1",)


def test_what_was_not_read_may_hold_the_card_and_that_is_said(asked: Any) -> None:
    every = {f"Observation/o-{each}" for each in ("105-1hours", "120-2hours")}
    fired = asked(
        RATE, "all: [hr: {max: {above: 104}}]", observations=SourceState.PARTIAL
    )

    again = evaluate_without(fired, every)

    assert again and (again.outcome, again.could_not_check) == (Outcome.UNKNOWN, True)


def test_what_was_not_read_is_said_once_and_not_noted_besides(asked: Any) -> None:
    fired = asked(
        RATE,
        "all: [hr: {max: {above: 110}}]",
        "if_unknown: note",
        observations=SourceState.PARTIAL,
    )

    again = evaluate_without(fired, {"Observation/o-120-2hours"})

    assert again and (again.could_not_check, again.noted) == (True, False)


def said(**more: Any) -> Display:
    usual: dict[str, Any] = {
        "overridden": NOW - timedelta(days=1),
        "reason": "urn:s|wrong",
        "evidence": ("Observation/o",),
        "user": "Practitioner/1",
    }
    shown = {
        "rule": "b" if more.get("told_under") else "a",
        "version": "1.0.0",
        "dedup_key": "k",
        "indicator": Indicator.WARNING,
        "at": NOW - timedelta(days=2),
    }
    return Display(**{**shown, **usual, **more})


def counted(
    display: Display, user: str | None = "Practitioner/1", for_all: bool = False
) -> bool:
    call = {"user": user, "encounter": "e1"}
    once_per = ("patient", "rule") if for_all else ("patient", "rule", "user")
    weighed = weigh([display], ABOUT, call, NOW, ZONE)
    return bool(disputes(weighed, Alerting(once_per)))


def test_a_word_about_the_data_counts_for_whoever_said_it_until_it_is_over() -> None:
    assert counted(said())
    assert counted(said(overridden=NOW - timedelta(days=8.9)))
    assert not counted(said(overridden=NOW - timedelta(days=9)))
    assert not counted(said(overridden=None))
    assert not counted(said(reason="urn:s|busy"))
    assert not counted(said(evidence=()))


def test_a_word_about_the_data_counts_as_long_as_the_rule_says_of_its_card() -> None:
    own = Alerting(snooze={"urn:s|wrong": Duration(2, "day")})
    about = AboutData(ABOUT.reasons, {"a": own})

    (weighed,) = weigh([said()], about, {}, NOW, ZONE)

    assert weighed.disputed_until == NOW + timedelta(days=1)


def test_a_month_of_doubt_is_one_of_the_sites_calendar() -> None:
    about = AboutData({"urn:s|wrong": Duration(1, "month")})
    in_summer_time = datetime(2026, 10, 25, 3, 30, tzinfo=UTC)

    (weighed,) = weigh([said(overridden=in_summer_time)], about, {}, NOW, ZONE)

    assert weighed.disputed_until == datetime(2026, 11, 25, 4, 30, tzinfo=UTC)


def test_a_colleagues_word_counts_where_a_rule_counts_for_all() -> None:
    assert not counted(said(), user="Practitioner/2")
    assert counted(said(), user="Practitioner/2", for_all=True)


def test_without_a_user_a_word_counts_within_the_encounter() -> None:
    assert counted(said(user=None, encounter="e1"), user=None)
    assert not counted(said(user=None, encounter="e2"), user=None)
    assert not counted(said(user=None, encounter="e1"), user="Practitioner/1")
    assert not counted(said(encounter="e1"), user=None)
    assert not counted(said(user=None, encounter=None), user=None)
    (nobodys,) = weigh([said(user=None, encounter=None)], ABOUT, {}, NOW, ZONE)
    assert not nobodys.mine


def test_a_word_about_a_card_is_one_about_the_lines_on_it() -> None:
    line = said(overridden=None, reason="", told_under="a")
    lead = said(rule="a")
    other = said(overridden=None, reason="", told_under="a", at=NOW - timedelta(days=3))

    weighed = weigh([lead, line, other], ABOUT, {}, NOW, ZONE)

    until = NOW + timedelta(days=8)
    assert [each.disputed_until for each in weighed] == [until, until, None]


def test_a_rules_own_length_goes_before_the_sites() -> None:
    own = Alerting(snooze={"urn:s|wrong": Duration(2, "day")})
    about = AboutData({"urn:s|wrong": None, "urn:s|x": Duration(1, "day")}, {"a": own})

    assert about.lasts("a", "urn:s|wrong") == Duration(2, "day")
    assert about.lasts("b", "urn:s|wrong") is None
    assert about.lasts("b", "urn:s|x") == Duration(1, "day")
    assert about.lasts("a", "urn:s|busy") is None
    assert set(about.looks_back) == {Duration(2, "day"), Duration(1, "day")}
