"""What a record leaves open is neither yes nor no, and the card says it in words."""

from collections.abc import Callable
from typing import Any

import pytest

from cds_service.fhir.chart import Chart
from cds_service.protocol.services import Service
from cds_service.rulebook.cards.cards import draft_cards
from cds_service.rulebook.describe.explain import explain, explain_json

SERVICE = Service("review", "patient-view", "Review", "Reviews.", "", {})
E11 = {"coding": [{"system": "icd10cm", "code": "E11.9", "display": "Type 2 diabetes"}]}
ENCOUNTER = [{"coding": [{"code": "encounter-diagnosis"}]}]
METOPROLOL = {
    "coding": [{"system": "rxnorm", "code": "6918", "display": "Metoprolol tartrate"}]
}
FACTS = """
dm: { condition: { in: diabetes } }
said_dm: { condition: { in: diabetes, recorded_within: 12 months } }
listed_dm: { condition: { in: diabetes, category: [problem-list-item] } }
recent_dm: { condition: { in: diabetes, onset_within: 42 weeks } }
bb: { medication: { in: beta-blockers } }
new_bb: { medication: { in: beta-blockers, started_within: 30 days } }
hr: { observation: { in: heart-rate, unit: /min, within: 7 days } }
"""


def condition(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "id": "c", "code": E11, **more}


def order(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": "r",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": METOPROLOL,
        **more,
    }


def statement(**more: Any) -> dict[str, Any]:
    taken = {k: v for k, v in order().items() if k != "intent"}
    return {**taken, "resourceType": "MedicationStatement", "id": "s", **more}


def told(rules: Any, when: str, chart: Chart) -> str:
    """What the one card says, which tells what could not be checked."""
    evaluations = rules.evaluate(FACTS, f"all: [{when}]", chart)
    (card,) = draft_cards(evaluations, SERVICE)
    assert card.card.summary == "Some checks could not be made"
    return card.card.detail.splitlines()[-1].partition("**: ")[2]


@pytest.mark.parametrize(
    ("when", "resource", "words"),
    [
        ("recent_dm: absent", condition(), "Diabetes: onset not recorded"),
        ("recent_dm: present", condition(), "Diabetes: onset not recorded"),
        (
            "recent_dm: absent",
            condition(recordedDate="2026-10-01"),
            "Diabetes: onset not recorded",
        ),
        (
            "recent_dm: absent",
            condition(onsetString="last spring"),
            "Diabetes: onset recorded in words only",
        ),
        (
            "dm: absent",
            condition(abatementString="after the birth"),
            "Diabetes: recorded with an end of which the date is not known",
        ),
        (
            "dm: absent",
            condition(category=ENCOUNTER, recordedDate="2016-05-02"),
            "Diabetes: a diagnosis of an encounter long ago, without a status",
        ),
        (
            "dm: present",
            condition(category=ENCOUNTER),
            "Diabetes: a diagnosis of an encounter, without a date and a status",
        ),
        (
            "listed_dm: absent",
            condition(),
            "Diabetes: recorded without a category",
        ),
        (
            "said_dm: absent",
            condition(onsetDateTime="2015-01-01"),
            "Diabetes: date of entry not recorded",
        ),
    ],
)
def test_a_problem_of_which_something_is_not_said(
    rules: Any, chart: Callable[..., Chart], when: str, resource: Any, words: str
) -> None:
    said = told(rules, when, chart(conditions=[resource]))

    assert said == f"{words} (Type 2 diabetes)"


@pytest.mark.parametrize("asked", ["present", "absent"])
@pytest.mark.parametrize(
    ("resource", "words"),
    [
        (order(status="on-hold"), "on hold"),
        (statement(status="on-hold"), "on hold"),
        (order(doNotPerform=True), "an order not to give it"),
        (order(status="unknown"), "recorded with an unknown status"),
        (statement(status="unknown"), "recorded with an unknown status"),
        (statement(taken="unk"), "recorded as not known whether it is taken"),
        (statement(taken="na"), "recorded as not known whether it is taken"),
    ],
)
def test_a_medicine_that_is_neither_taken_nor_surely_not(
    rules: Any, chart: Callable[..., Chart], asked: str, resource: Any, words: str
) -> None:
    source = "requests" if "intent" in resource else "statements"

    said = told(rules, f"bb: {asked}", chart(**{source: [resource]}))

    assert said == f"Beta-blockers: {words} (Metoprolol tartrate)"


def test_a_medicine_without_a_start(rules: Any, chart: Callable[..., Chart]) -> None:
    said = told(rules, "new_bb: present", chart(requests=[order()]))

    assert said == "Beta-blockers: start not recorded (Metoprolol tartrate)"


def test_a_reading_without_a_time(
    rules: Any, chart: Callable[..., Chart], reading: Callable[..., dict[str, Any]]
) -> None:
    timeless = {k: v for k, v in reading(80).items() if k != "effectiveDateTime"}

    said = told(rules, "hr: absent", chart(observations=[timeless]))

    assert said == "Heart rate: time not recorded (an entry without a name)"


def test_an_alert_of_which_only_the_time_in_utc_was_told(
    rules: Any, chart: Callable[..., Chart], wearable: Callable[..., Any]
) -> None:
    facts = "low: {wearable_alert: {type: [low-heart-rate], within: 7 days}}"
    asked = "low: {local_time: {at_least: 09:00}}"

    evaluations = rules.evaluate(facts, asked, chart(), [wearable(local=False)])
    (card,) = draft_cards(evaluations, SERVICE)

    assert card.card.detail.endswith("Low heart rate: wearer's local time not known")


def test_a_problem_that_is_too_old_all_the_same_raises_no_doubt(
    rules: Any, chart: Callable[..., Chart]
) -> None:
    held = condition(
        abatementString="after the birth", onsetDateTime="2019", recordedDate="2019"
    )

    assert rules.verdict(FACTS, "recent_dm: absent", chart(conditions=[held])) is True


def test_a_medicine_that_is_taken_beside_one_on_hold_is_taken(
    rules: Any, chart: Callable[..., Chart]
) -> None:
    both = chart(requests=[order(status="on-hold"), order(id="r2")])

    assert rules.verdict(FACTS, "bb: present", both) is True


def test_of_two_kinds_of_doubt_each_is_said(
    rules: Any, chart: Callable[..., Chart]
) -> None:
    both = chart(requests=[order(status="on-hold"), order(id="r2", doNotPerform=True)])

    said = told(rules, "bb: present", both)

    assert said == (
        "Beta-blockers: on hold (Metoprolol tartrate); "
        "Beta-blockers: an order not to give it (Metoprolol tartrate)"
    )


def test_explain_says_what_the_record_leaves_open(
    rules: Any, chart: Callable[..., Chart]
) -> None:
    held = chart(requests=[order(status="on-hold")])
    evaluations = rules.evaluate(FACTS, "all: [bb: present]", held)
    (evaluation,) = evaluations.items

    lines = explain(evaluation.rule, evaluations.case)
    written = explain_json(evaluation.rule, evaluations.case)

    (told,) = (each for each in lines if "bb present" in each)
    assert told.split("bb present")[1].strip() == "0 match, 1 uncertain, on hold"
    (reason,) = written["reasons"]
    assert (reason["kind"], reason["why"]) == ("uncertain", "on hold")
