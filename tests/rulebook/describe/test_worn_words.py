"""Facts of wearables as a rule's page says them, and how a change of one is told."""

from typing import Any

import pytest

from cds_service.rulebook.describe.explain import explain
from cds_service.rulebook.describe.meaning import RuleFile
from cds_service.rulebook.describe.prose import tell
from cds_service.rulebook.describe.rule_difference import Book, compare_rules
from cds_service.wearables.worn import Wearables

from ..engine.worn_days import day

RATE = "it: {wearable: {metric: heart-rate, unit: /min, within: 7 days}}"
NIGHT = RATE.replace("heart-rate,", "heart-rate, part: night,")
RANGE = """\
it:
  wearable: {metric: sensor-glucose, summary: "band:in-range", within: 14 days}
"""
SILENT = "it: {stream: {metric: heart-rate, silent_for: 3 days}}"
UNJUDGED = "it: {stream: {detector: fast, not_judged: [rest-unknown], within: 3 days}}"


def book_of(rules: Any, facts: str, when: str) -> Book:
    rules.rule(facts, when)
    compiled = rules.compile()
    assert compiled.rulebook, compiled.findings
    return Book(compiled.rulebook, compiled.trees)


def sentence(rules: Any, facts: str, when: str) -> str:
    book = book_of(rules, facts, when)
    rule = book.rulebook.rules["test"]
    logic = tell(RuleFile(rule, book.trees[rule.file]), book.rulebook)
    (said,) = (*logic.shown, *logic.hidden)
    return said.text


@pytest.mark.parametrize(
    ("facts", "when", "said"),
    [
        (
            RATE,
            "it: {mean: {above: 100}}",
            "the mean *Heart rate* by wearables (the day's mean) of the last 7 days is "
            "above 100 /min",
        ),
        (
            NIGHT,
            "it: {on_days: {above: 100, days: 2}}",
            "on at least 2 of the last 7 days, *Heart rate at night* is above 100 /min",
        ),
        (
            NIGHT,
            "it: {max: {above: 100}}",
            "the highest *Heart rate at night* by wearables (the night's mean) of the "
            "last 7 days is above 100 /min",
        ),
        (
            RANGE,
            "it: {latest: {below: 70}}",
            "the latest *Glucose by a sensor* by wearables (the day's share that is "
            "*in range*) of the last 14 days is below 70 %",
        ),
        (
            RATE,
            "it: present",
            "there are data for *Heart rate* by wearables from the last 7 days",
        ),
        (
            RATE,
            "it: {days: {at_least: 5}}",
            "there are data for *Heart rate* by wearables on at least 5 days of the "
            "last 7 days",
        ),
        (
            RATE,
            "it: {coverage: {at_least: 0.7}}",
            "the share of the time of the last 7 days for which readings for *Heart "
            "rate* by wearables speak is 70 % or more",
        ),
        (
            RATE,
            "it: {count: {at_least: 50}}",
            "there are at least 50 readings for *Heart rate* by wearables from the "
            "last 7 days",
        ),
        (
            SILENT,
            "it: present",
            "*Heart rate* was agreed, and no source has told of it for 3 days",
        ),
        (
            SILENT,
            "it: {count: {at_least: 2}}",
            "there are at least 2 streams of *Heart rate*, all silent for 3 days",
        ),
        (
            UNJUDGED,
            "it: present",
            "the detector *Fast heart* met what it could not judge (rest unknown) in "
            "the last 3 days",
        ),
        (
            UNJUDGED,
            "it: {count: {at_least: 2}}",
            "there are at least 2 days from the last 3 days on which the detector "
            "*Fast heart* met what it could not judge (rest unknown)",
        ),
    ],
)
def test_a_page_says_what_is_asked_of_wearables(
    rules: Any, facts: str, when: str, said: str
) -> None:
    assert sentence(rules, facts, when) == said


@pytest.mark.parametrize(
    ("was", "now", "step", "text"),
    [
        (RATE, NIGHT, "MAJOR", "it part night, was day"),
        (
            RATE,
            RATE.replace("unit", "summary: max, unit"),
            "MAJOR",
            "it summary max, was mean",
        ),
        (
            RATE,
            RATE.replace("7 days", "8 days"),
            "MINOR",
            "it within 8 days, was within 7",
        ),
        (
            SILENT,
            SILENT.replace("3 days", "4 days"),
            "MINOR",
            "it silent for 4 days, was 3",
        ),
        (
            UNJUDGED,
            UNJUDGED.replace("not_judged: [rest-unknown], ", ""),
            "MINOR",
            "it not judged any, was rest-unknown",
        ),
    ],
)
def test_a_change_of_what_is_taken_of_wearables_is_told(
    rules: Any, was: str, now: str, step: str, text: str
) -> None:
    old, new = (book_of(rules, each, "it: present") for each in (was, now))

    (change,) = compare_rules("test", "test", old, new)

    assert change.step.name == step
    assert change.text.startswith(text)


def test_the_same_time_in_other_words_is_no_change(rules: Any) -> None:
    old = book_of(rules, SILENT, "it: present")
    new = book_of(rules, SILENT.replace("3 days", "72 hours"), "it: present")

    assert list(compare_rules("test", "test", old, new)) == []


def test_an_explanation_says_on_how_many_days_a_number_rests(
    rules: Any, chart: Any
) -> None:
    told = day(1, 90, covered=720.0, sources=("garmin",), devices=("Watch\x1b",))
    found = rules.evaluate(
        RATE, "it: {mean: {above: 80}}", chart(), worn=Wearables(days=(told,))
    )
    rule = found.items[0].rule

    lines = explain(rule, found.case)

    assert "mean = 90 /min, 1 of 7 days, coverage 7.143 %" in lines[-1]
    assert "source garmin, device Watch" in lines[-1]
    assert "\x1b" not in lines[-1]
    assert "WearableDay/heart-rate/day/2026-11-21" in lines[-1]


@pytest.mark.parametrize(("fact", "word"), [(RATE, "days"), (SILENT, "present")])
def test_absent_is_refused_with_what_to_ask_instead(
    rules: Any, fact: str, word: str
) -> None:
    rules.rule(fact, "it: absent")

    (finding,) = [each for each in rules.compile().findings if each.code == "CDS306"]

    assert f"`{word}`" in finding.help
