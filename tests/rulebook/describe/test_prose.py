"""A rule in sentences: every test of the language has words that are true to it."""

from textwrap import dedent, indent
from typing import Any

import pytest

from cds_service.rulebook.describe.meaning import RuleFile
from cds_service.rulebook.describe.prose import Logic, Said, tell

FACTS = """
diabetes: {condition: {in: diabetes}}
resolved: {condition: {in: diabetes, status: resolved}}
recent: {condition: {in: diabetes, onset_within: 6 months}}
confirmed: {condition: {in: diabetes, verification: confirmed}}
kept: {condition: {in: diabetes, status: not_resolved}}
listed: {condition: {in: diabetes, category: [problem-list-item, health-concern]}}
said: {condition: {in: diabetes, recorded_within: 12 months}}
blocker: {medication: {in: beta-blockers}}
settled: {medication: {in: beta-blockers, taken_for: 14 days}}
started: {medication: {in: beta-blockers, started_within: 30 days}}
stopped: {medication: {in: beta-blockers, status: stopped}}
ordered: {medication: {in: beta-blockers, from: draft_orders}}
hr: {observation: {in: heart-rate, unit: /min, within: 3 days}}
ever: {observation: {in: heart-rate, unit: /min}}
alert: {wearable_alert: {type: [low-heart-rate], within: 7 days}}
lasting: {wearable_alert: {type: [low-heart-rate], status: open}}
over: {wearable_alert: {type: [low-heart-rate], status: closed, within: 7 days}}
points:
  score:
    title: A score
    items:
      - {points: 1, label: Sugar, when: {diabetes: present}}
      - {points: -2, label: Old, when: {patient: {age: {at_least: 75 years}}}}
"""

RULE = """\
format: 1
rule: test
version: 1.0.0
title: The rule under test
status: active
hooks: [patient-view]
params:
  limit: {{default: 50, unit: /min, min: 40, max: 60}}
facts:
{facts}
when:
{when}
{more}
card:
  summary: Rate {{{{ hr.latest or 'unknown' }}}} under {{{{ $limit }}}}
  source: {{label: Test}}
"""


def logic_of(rules: Any, when: str, more: str = "") -> Logic:
    rules.files["test.yaml"] = RULE.format(
        facts=indent(dedent(FACTS).strip(), "  "), when=indent(when, "  "), more=more
    )
    compiled = rules.compile()
    assert compiled.rulebook, compiled.findings
    rule = compiled.rulebook.rules["test"]
    return tell(RuleFile(rule, compiled.trees[rule.file]), compiled.rulebook)


def written(said: Said) -> str:
    inner = "; ".join(map(written, said.children))
    return f"{said.text} [{inner}]" if inner else said.text


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        ("diabetes: present", "*Diabetes* is recorded as an active problem"),
        ("resolved: present", "*Diabetes* is recorded as a past problem"),
        ("confirmed: present", "*Diabetes* is recorded as a confirmed active problem"),
        ("kept: present", "*Diabetes* is recorded as a problem that is not resolved"),
        (
            "kept: {count: {above: 1}}",
            "there are more than 1 problems that are not resolved recorded as "
            "*Diabetes*",
        ),
        (
            "listed: present",
            "*Diabetes* is recorded as an active problem, as a health concern or "
            "on the problem list",
        ),
        (
            "said: present",
            "*Diabetes* is recorded as an active problem that was entered in the last "
            "12 months",
        ),
        (
            "recent: present",
            "*Diabetes* is recorded as an active problem that began in the last "
            "6 months",
        ),
        (
            "diabetes: {count: {at_least: 2}}",
            "there are at least 2 active problems recorded as *Diabetes*",
        ),
        ("blocker: present", "the patient takes a medicine of the set *Beta-blockers*"),
        (
            "settled: present",
            "the patient has taken a medicine of the set *Beta-blockers* for 14 days "
            "or more, or since a date that is not recorded",
        ),
        (
            "started: present",
            "the patient started a medicine of the set *Beta-blockers* in the last "
            "30 days",
        ),
        (
            "stopped: present",
            "the patient has stopped a medicine of the set *Beta-blockers*",
        ),
        ("ordered: present", "a medicine of the set *Beta-blockers* is being ordered"),
        (
            "hr: present",
            "there is a result for *Heart rate* from the last 3 days",
        ),
        (
            "hr: {latest: {below: $limit}}",
            "the latest *Heart rate* of the last 3 days is below 50 /min",
        ),
        ("ever: {max: {above: 90}}", "the highest *Heart rate* is above 90 /min"),
        (
            "hr: {mean: {between: [60, 90]}}",
            "the mean *Heart rate* of the last 3 days is from 60 /min to below "
            "90 /min",
        ),
        (
            "hr: {on_days: {at_least: 100, days: 2}}",
            "on at least 2 of the last 3 days, *Heart rate* is 100 /min or more",
        ),
        (
            "ever: {on_days: {at_least: 100, days: 1}}",
            "on at least 1 day, *Heart rate* is 100 /min or more",
        ),
        (
            "hr: {sustained: {above: 100, for: 2 days, share: 0.8}}",
            "*Heart rate* of the last 3 days is above 100 /min in 80 % of the readings "
            "of the 2 days up to the newest, at least 3 of them",
        ),
        (
            "hr: {rise: {at_least: 20, over: 2 days}}",
            "*Heart rate* of the last 3 days has risen by at least 20 /min within "
            "2 days",
        ),
        (
            "hr: {fall: {above: 20, over: 1 day}}",
            "*Heart rate* of the last 3 days has fallen by more than 20 /min within "
            "1 day",
        ),
        (
            "hr: {repeated: {at_least: 120, times: 2, apart: 5 minutes}}",
            "*Heart rate* of the last 3 days is 120 /min or more in at least 2 "
            "readings that lie 5 minutes or more apart",
        ),
        (
            "alert: present",
            "there is a wearable alert *Low heart rate* from the last 7 days",
        ),
        (
            "alert: {min: {at_most: 40}}",
            "the lowest value among the wearable alerts *Low heart rate* of the last "
            "7 days is 40 /min or less",
        ),
        (
            'alert: {value: {below: 40}, local_time: {between: ["07:00", "22:00"]}}',
            "a wearable alert *Low heart rate* from the last 7 days has a value below "
            "40 /min and a start by the wearer's clock between 07:00 and 22:00",
        ),
        (
            "alert: {duration: {at_least: 10 minutes}, count: {at_least: 3}}",
            "at least 3 wearable alerts *Low heart rate* from the last 7 days have a "
            "duration of 10 minutes or more",
        ),
        (
            "lasting: present",
            "there is a wearable alert *Low heart rate* that still lasts",
        ),
        (
            "lasting: {value: {below: 40}}",
            "a wearable alert *Low heart rate* that still lasts has a value below "
            "40 /min",
        ),
        (
            "over: {value: {below: 40}, count: {at_least: 2}}",
            "at least 2 wearable alerts *Low heart rate* from the last 7 days that "
            "have ended have a value below 40 /min",
        ),
        (
            "lasting: {max: {above: 40}}",
            "the highest value among the wearable alerts *Low heart rate* that still "
            "last is above 40 /min",
        ),
        (
            "over: {count: {above: 2}}",
            "there are more than 2 wearable alerts *Low heart rate* from the last "
            "7 days that have ended",
        ),
        (
            "alert: {coverage: {above: 0.5}}",
            "a wearable alert *Low heart rate* from the last 7 days has readings for "
            "a share of its time above 50 %",
        ),
        (
            "alert: {value: {below: 40}, duration: {above: 5 minutes}, "
            "age: {below: 24 hours}}",
            "a wearable alert *Low heart rate* from the last 7 days has a value below "
            "40 /min, a duration above 5 minutes and an end less than 24 hours ago",
        ),
        (
            "any: [diabetes: present, {none: [patient: {sex: {in: [female]}}]}]",
            "either *Diabetes* is recorded as an active problem, or the patient is "
            "not female",
        ),
        (
            "any: [ever: present, {all: [any: [diabetes: present, blocker: present], "
            "hr: present]}]",
            "at least one of these holds: [there is a result for *Heart rate*; all of "
            "these hold: [either *Diabetes* is recorded as an active problem, or the "
            "patient takes a medicine of the set *Beta-blockers*; there is a result "
            "for *Heart rate* from the last 3 days]]",
        ),
        ("points: {value: {at_least: 2}}", "the score *A score* is 2 or more"),
        (
            "any: [diabetes: present, {all: [diabetes: absent, blocker: absent]}]",
            "at least one of these holds: [*Diabetes* is recorded as an active "
            "problem; *Diabetes* is not recorded as an active problem, and no current "
            "medicine of the set *Beta-blockers* is found]",
        ),
        (
            "any: [diabetes: present, {none: [hr: {max: {above: 9}}]}]",
            "either *Diabetes* is recorded as an active problem, or it is not so that "
            "the highest *Heart rate* of the last 3 days is above 9 /min",
        ),
    ],
)
def test_every_test_has_words_of_its_own(rules: Any, when: str, sentence: str) -> None:
    (said,) = logic_of(rules, when).shown

    assert written(said) == sentence


def test_age_and_sex_say_whom_the_rule_is_for(rules: Any) -> None:
    when = """\
all:
  - patient: {age: {at_least: 18 years}, sex: {in: [male, female]}}
  - diabetes: present"""

    assert logic_of(rules, when).patients == (
        "female or male patients aged 18 years or more"
    )
    assert logic_of(rules, when, "deceased: any").patients.endswith(", living or dead")


def test_what_must_not_be_is_told_as_what_keeps_the_card_away(rules: Any) -> None:
    when = """\
all:
  - blocker: present
  - diabetes: absent
  - none: [hr: {latest: {above: 90}}, recent: present]"""

    found = logic_of(rules, when)

    assert [each.text for each in found.shown] == [
        "the patient takes a medicine of the set *Beta-blockers*"
    ]
    assert [each.text for each in found.hidden] == [
        "*Diabetes* is recorded as an active problem",
        "the latest *Heart rate* of the last 3 days is above 90 /min",
        "*Diabetes* is recorded as an active problem that began in the last 6 months",
    ]


def test_a_presence_that_another_test_implies_is_not_repeated(rules: Any) -> None:
    when = "all: [alert: present, alert: {value: {below: 40}}]"

    assert len(logic_of(rules, when).shown) == 1


def test_every_sentence_knows_its_line(rules: Any) -> None:
    (said,) = logic_of(rules, "hr: {latest: {below: 40}}").shown

    line = rules.files["test.yaml"].splitlines()[said.line - 1]
    assert line == "  hr: {latest: {below: 40}}"


@pytest.mark.parametrize(
    ("more", "then"),
    [
        ("if_unknown: silent", "nothing is shown."),
        ("if_unknown: note", "a line on an information card says so."),
    ],
)
def test_what_follows_from_what_is_not_recorded_is_said(
    rules: Any, more: str, then: str
) -> None:
    unknown = logic_of(rules, "hr: {latest: {below: 40}}", more).unknown

    assert unknown[0] == (
        "If *Heart rate* of the last 3 days is not recorded, or recorded too vaguely "
        f"to decide, {then}"
    )
    assert "Some checks could not be made" in unknown[-1]


def test_an_absence_says_what_an_unrecognised_entry_does(rules: Any) -> None:
    unknown = logic_of(rules, "all: [blocker: present, diabetes: absent]").unknown

    assert unknown[0] == (
        "An entry that is not recognised may belong to *Diabetes*: the answer then "
        "stays open."
    )


def test_a_score_is_told_item_by_item(rules: Any) -> None:
    ((title, items),) = logic_of(rules, "points: {value: {at_least: 1}}").scores

    assert title == "A score"
    assert [each.text for each in items] == [
        "+1 point for Sugar: *Diabetes* is recorded as an active problem",
        "-2 points for Old: the patient is aged 75 years or more",
    ]


def test_the_summary_shows_the_limit_and_names_what_is_filled_in(rules: Any) -> None:
    (card,) = logic_of(rules, "diabetes: present").cards

    assert card.severity == "info"
    assert card.summary == "Rate ‹hr: latest› under 50 /min"


def test_what_a_site_tunes_is_what_is_told(rules: Any) -> None:
    rules.files["site.yaml"] += "rules: {test: {params: {limit: 45}}}\n"

    (said,) = logic_of(rules, "hr: {latest: {below: $limit}}").shown

    assert said.text.endswith("below 45 /min")
