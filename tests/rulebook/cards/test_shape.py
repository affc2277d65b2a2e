"""Every card is read in five seconds, and none claims that something is not there."""

from typing import Any

import pytest

from cds_service.protocol.cards import Indicator
from cds_service.rulebook.cards.shape import (
    ALSO,
    HEADING,
    absence_in,
    claims_absence,
    compose_detail,
    flaws,
    longest_value,
    with_also,
    with_note,
)
from cds_service.rulebook.engine.facts import Criterion, Fact, Item
from cds_service.rulebook.language.document import Position

GOOD = f"""\
**Ask about syncope.**

Heart rate 42 /min for 12 min, 5 h ago, on diltiazem.

- Alerts in 30 days: 1.
  In the chart: 52 /min.
- Syncope: none recorded among 3 problems.

{HEADING} No ECG. This rule awaits local approval."""


def told(detail: str, severity: Indicator = Indicator.WARNING) -> list[str]:
    return list(flaws(detail, severity))


def test_an_action_a_reason_bullets_and_limits_are_the_shape() -> None:
    assert told(GOOD) == []


TABLE = "\n\n| Day | /min |\n| --- | ---: |\n| 2026-11-21 | 42 |\n\n"
FIRST = "the first line is not what to do, in bold and alone"
SECOND = "the second paragraph is not why"
THEN = "after the reason come bullets, and nothing else"


@pytest.mark.parametrize(
    ("detail", "flaw"),
    [
        (GOOD.removeprefix("**"), FIRST),
        (GOOD.replace("**\n\nHeart", "** Now.\n\nHeart"), FIRST),
        (GOOD.replace("\n\nHeart", "\n- a\n- b\n\nHeart"), FIRST),
        ("", FIRST),
        (GOOD.replace("Heart rate", "- Heart rate"), SECOND),
        ("**Ask about syncope.**", SECOND),
        (GOOD.replace("- Syncope", "\nSyncope"), THEN),
        (GOOD.replace("- Syncope", "\n- Syncope"), THEN),
        ("**Ask.**\n\nHeart rate 42 /min.\n\nOn diltiazem.", THEN),
        (GOOD.replace("\n\n- Alerts", f"{TABLE}- Alerts"), THEN),
        (GOOD.replace("\n\n- Alerts", f"\n\n{ALSO} x.\n\n- Alerts"), THEN),
        (
            GOOD.replace("- Syncope", "- a\n- b\n- Syncope"),
            "there are 4 bullets; 3 are read",
        ),
        (GOOD + f"\n\n{HEADING} More.", "the heading of the limits stands there twice"),
        (
            GOOD.replace("No ECG.", "word " * 52),
            "the detail may have 91 words, 90 are read",
        ),
    ],
)
def test_what_is_not_the_shape_is_told(detail: str, flaw: str) -> None:
    assert flaw in told(detail)


@pytest.mark.parametrize(
    "detail",
    [
        "**Ask about syncope.**\n\nHeart rate 42 /min.",
        GOOD.replace("- Syncope", "- a\n- Syncope"),
        GOOD.replace("No ECG.", "word " * 51),
        GOOD.replace("No ECG.", "word " * 51).replace(
            f"\n\n{HEADING}", f"{TABLE}{HEADING}"
        ),
    ],
    ids=["without bullets", "three bullets", "ninety words", "a table beside them"],
)
def test_what_has_just_room_is_the_shape(detail: str) -> None:
    assert told(detail) == []


def test_a_critical_card_may_be_a_little_longer() -> None:
    longer = GOOD.replace("No ECG.", "word " * 61)

    assert told(longer) == ["the detail may have 100 words, 90 are read"]
    assert told(longer, Indicator.CRITICAL) == []


def test_what_there_is_nothing_of_has_no_heading() -> None:
    assert compose_detail("Why.", "", []) == "Why."
    assert compose_detail("Why.", "No ECG.", ["Not known: x."]) == (
        f"Why.\n\n{HEADING} No ECG. Not known: x."
    )


def test_what_else_is_true_stands_before_the_limits_and_what_is_held_back_after() -> (
    None
):
    detail = with_also(GOOD, "**Also:** b. c.")

    assert told(detail) == []
    assert detail == GOOD.replace(f"{HEADING}", f"**Also:** b. c.\n\n{HEADING}")
    assert with_also("Why.", "**Also:** b.") == "Why.\n\n**Also:** b."
    assert with_note(GOOD, "1 card.") == f"{GOOD} 1 card."
    assert with_note("Why.", "1 card.") == f"Why.\n\n{HEADING} 1 card."


@pytest.mark.parametrize(
    "text",
    [
        "Pregnancy: none found.",
        "no pacing device found",
        "Heart valve prosthesis was not found",
        "None was recorded",
        "no anaemia, pulmonary embolism or hyperthyroidism found",
        "no anticoagulant in the data received",
        "No atrial fibrillation on the problem list",
        "Nothing found",
    ],
)
def test_words_that_claim_an_absence_are_found(text: str) -> None:
    assert absence_in(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "Look for a cause, and ask whether one was found.",
        "Bradycardia without symptoms needs no treatment by itself.",
        "No ECG. A recorded rhythm is needed.",
        "not known",
        "That no further alert came does not exclude atrial fibrillation.",
    ],
)
def test_other_words_are_left_alone(text: str) -> None:
    assert absence_in(text) is None


@pytest.mark.parametrize(
    ("attribute", "otherwise", "claims"),
    [
        ("name", "none", True),
        ("ingredient", "not recorded", True),
        ("name", "none found", True),
        ("latest", "not recorded", False),
        ("name", "not known", False),
        ("count", "no", False),
    ],
)
def test_the_text_after_or_claims_nothing_either(
    attribute: str, otherwise: str, claims: bool
) -> None:
    assert claims_absence(attribute, otherwise) is claims


def found(rules: Any, card: str, more: str = "") -> list[tuple[str, str]]:
    """Code and message of what `check` says of a card on beta-blockers."""
    rules.files["test.yaml"] = RULE.replace("facts:\n", f"facts:\n{more}") + card
    return [
        (each.code, each.message)
        for each in rules.compile().findings
        if each.code.startswith("CDS5")
    ]


DAYS = "  w: {wearable: {metric: heart-rate, within: 7 days, unit: /min}}\n"
RULE = """\
format: 1
rule: test
version: 1.0.0
title: The rule under test
status: active
severity: warning
hooks: [patient-view]
facts:
  bb: {medication: {in: beta-blockers}}
  dm: {condition: {in: diabetes}}
when: {bb: present}
card:
  source: {label: Test}
"""


def test_check_says_what_to_write_for_none_found(rules: Any) -> None:
    card = "  summary: Ask\n  limits: \"Diabetes: {{ dm.name or 'none found' }}\"\n"

    assert found(rules, card) == [
        ("CDS520", "`none found` is shown whatever could be read")
    ]


def test_check_measures_a_summary_with_the_longest_that_it_may_show(
    rules: Any,
) -> None:
    short = '  summary: "' + "x" * 88 + ' {{ bb.ingredient }}"\n'

    assert found(rules, short) == []
    assert found(rules, short.replace("xx", "xxx", 1).replace("xx", "xxx", 1)) == [
        ("CDS521", "the summary may have 101 characters")
    ]


def fact(kind: str, **more: Any) -> Fact:
    return Fact("f", kind, (0,), 0, (kind,), title="Its title", **more)


def item(label: str) -> Item:
    return Item(1, label, Criterion("", Position(1, 1), lambda case: True))


RATE = fact("observation", unit="/min")
ALERT = fact("wearable_alert", unit="/min")
DRUG = fact("medication")
SCORE = fact("score", items=tuple(map(item, ["A", "B", "C", "D", "E"])))


@pytest.mark.parametrize(
    ("asked", "attribute", "longest"),
    [
        (RATE, "latest", "99.9 /min"),
        (RATE, "median", "99.9 /min"),
        (RATE, "rise", "99.9 /min"),
        (RATE, "fall", "99.9 /min"),
        (fact("observation"), "mean", "99.9"),
        (ALERT, "value", "99.9 /min"),
        (ALERT, "threshold", "99.9 /min"),
        (ALERT, "typical", "99.9 /min (median)"),
        (SCORE, "value", "9"),
        (SCORE, "title", "Its title"),
        (SCORE, "counted", "A (1), B (1), C (1), D (1)"),
        (SCORE, "unassessed", "Age 65 or more (1), Age 75 or more as well (1)"),
        (ALERT, "name", "Its title"),
        (ALERT, "type", "high-resting-heart-rate"),
        (RATE, "name", "Usual words of a record"),
        (DRUG, "ingredient", "hydrochlorothiazide"),
        (
            DRUG,
            "recorded",
            "Its title: none current among 99 entries; name ended 2026-11-22",
        ),
        (DRUG, "started", "2026-11-22"),
        (DRUG, "count", "99"),
    ],
)
def test_a_summary_is_measured_with_about_the_longest_that_it_may_show(
    asked: Fact, attribute: str, longest: str
) -> None:
    ingredients = ("atenolol", "hydrochlorothiazide", "metoprolol")

    assert longest_value(asked, attribute, ingredients) == longest


def test_a_set_that_names_no_ingredient_is_measured_with_its_title() -> None:
    assert longest_value(DRUG, "ingredient", ()) == "Its title"


def test_check_holds_a_detail_to_the_shape(rules: Any) -> None:
    card = "  summary: Ask\n  detail: It is so.\n"

    assert [code for code, _ in found(rules, card)] == ["CDS522"]


def test_an_empty_or_is_for_lines_and_not_for_resources(rules: Any) -> None:
    card = """\
  summary: Ask
  suggestions:
    - label: Call
      actions:
        - description: Call
          create:
            resourceType: Task
            status: draft
            intent: proposal
            description: "{{ dm.name or '' }}"
"""

    assert [code for code, _ in found(rules, card)] == ["CDS501"]


@pytest.mark.parametrize(
    "detail",
    [
        "Why. {{ w.days_table or '' }}",
        "Why.\\n\\n- {{ w.days_table or '' }}",
        "Why.\\n{{ w.days_table or '' }} x",
        "Why.\\n{{ w.days_table or 'no days' }}",
    ],
)
def test_a_table_stands_alone_in_a_line_of_the_detail(rules: Any, detail: str) -> None:
    card = f'  summary: Ask\n  detail: "**Ask.**\\n\\n{detail}"\n'

    assert "CDS511" in [code for code, _ in found(rules, card, DAYS)]


@pytest.mark.parametrize(
    "card",
    [
        "  summary: \"{{ w.days_table or 'no days' }}\"\n",
        "  summary: Ask\n  limits: \"{{ w.days_table or '' }}\"\n",
    ],
)
def test_no_table_stands_in_a_summary_or_in_limits(rules: Any, card: str) -> None:
    assert [code for code, _ in found(rules, card, DAYS)] == ["CDS511"]


def test_a_table_in_a_line_of_its_own_is_right(rules: Any) -> None:
    card = (
        "  summary: Ask\n"
        "  detail: \"**Ask.**\\n\\nWhy.\\n\\n{{ w.days_table or '' }}\"\n"
    )

    assert found(rules, card, DAYS) == []


def test_no_draft_holds_a_table(rules: Any) -> None:
    card = """\
  summary: Ask
  suggestions:
    - label: Call
      actions:
        - description: Call
          create:
            resourceType: Task
            status: draft
            intent: proposal
            description: "{{ w.days_table or 'no days' }}"
"""

    assert [code for code, _ in found(rules, card, DAYS)] == ["CDS511"]
