"""The small mistakes that are made in a rule on purpose, and where."""

from textwrap import dedent

import pytest

from cds_service.rulebook.language.criterion_tree import Branch, FactTest
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.schemas import check_shape
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.language.tree import RuleTree
from cds_service.rulebook.language.tree_reader import read_rule
from cds_service.rulebook.testing.mutation import Mutant, build_mutants

HEAD = """\
format: 1
rule: slow
version: 1.0.0
title: Slow
status: draft
hooks: [patient-view]
"""


def parse(text: str) -> RuleTree:
    findings = Findings()
    document = parse_yaml(HEAD + text, "slow.yaml", findings)
    assert document is not None
    assert check_shape("rule", document, findings), list(findings)
    return read_rule(document)


def mutants(
    when: str, facts: str = "x: {use: x}", more: str = "card: {summary: Slow}"
) -> tuple[Mutant, ...]:
    return build_mutants(parse(f"facts: {{{facts}}}\nwhen: {when}\n{dedent(more)}\n"))


def said(
    when: str, facts: str = "x: {use: x}", more: str = "card: {summary: Slow}"
) -> list[str]:
    return [each.change for each in mutants(when, facts, more)]


@pytest.mark.parametrize(
    ("when", "changes"),
    [
        ("{x: present}", ["present -> absent"]),
        ("{x: absent}", ["absent -> present"]),
        ("{all: [{x: present}]}", ["present -> absent"]),
        (
            "{all: [{x: present}, {y: absent}]}",
            [
                "all -> any",
                "clause removed: x present",
                "present -> absent",
                "clause removed: y absent",
                "absent -> present",
            ],
        ),
        (
            "{any: [{x: present}, {all: [{y: present}]}]}",
            [
                "any -> all",
                "clause removed: x present",
                "present -> absent",
                "clause removed: all …",
                "present -> absent",
            ],
        ),
        ("{none: [{x: present}]}", ["none -> any", "present -> absent"]),
    ],
)
def test_clauses_are_swapped_and_removed(when: str, changes: list[str]) -> None:
    assert said(when) == changes


@pytest.mark.parametrize(
    ("test", "changes"),
    [
        (
            "{latest: {above: 100}}",
            ["above -> at_least", "100 -> 105", "100 -> 95"],
        ),
        ("{latest: {at_most: 45}}", ["at_most -> below", "45 -> 47.25", "45 -> 42.75"]),
        ("{latest: {below: $limit}}", ["below -> at_most"]),
        ("{latest: {above: 0}}", ["above -> at_least"]),
        ("{mean: {between: [30, 45.5]}}", "30 -> 31.5|30 -> 28.5|45.5 -> 47.775|"
         "45.5 -> 43.225".split("|")),
        ("{count: {at_least: 2}}", ["at_least -> above", "2 -> 3", "2 -> 1"]),
        ("{count: {equals: 0}}", ["0 -> 1"]),
        (
            "{age: {below: 24 hours}}",
            ["below -> at_most", "24 hours -> 25.2 hours", "24 hours -> 22.8 hours"],
        ),
        (
            "{local_time: {between: ['07:00', '24:00']}}",
            ["07:00 -> 07:30", "07:00 -> 06:30", "24:00 -> 23:30"],
        ),
        (
            "{on_days: {at_least: $limit, days: 2}}",
            ["at_least -> above", "2 -> 3", "2 -> 1"],
        ),
        (
            "{sustained: {above: $limit, for: 5 days, share: 0.8, readings: 1}}",
            ["above -> at_least", "5 days -> 6 days", "5 days -> 4 days",
             "share 0.8 -> 1", "0.8 -> 0.6", "1 -> 2"],
        ),
        (
            "{repeated: {above: $limit, times: 2, apart: 5 minutes}}",
            ["above -> at_least", "2 -> 3", "2 -> 1", "5 minutes -> 6 minutes",
             "5 minutes -> 4 minutes"],
        ),
        (
            "{value: {below: $a}, coverage: {above: $b}}",
            ["test removed: value", "below -> at_most", "test removed: coverage",
             "above -> at_least"],
        ),
    ],
)  # fmt: skip
def test_a_test_is_off_by_a_little(test: str, changes: list[str]) -> None:
    assert said(f"{{x: {test}}}") == changes


def test_years_and_months_move_by_whole_ones() -> None:
    assert said("{patient: {age: {at_least: 18 years}}}") == [
        "at_least -> above",
        "18 years -> 19 years",
        "18 years -> 17 years",
    ]
    assert said("{patient: {age: {at_least: 1 month}, sex: {in: [male, other]}}}") == [
        "test removed: age",
        "at_least -> above",
        "1 month -> 2 months",
        "test removed: sex",
        "male removed",
        "other removed",
    ]


@pytest.mark.parametrize(
    ("fact", "changes"),
    [
        ("{use: pregnancy}", []),
        ("{condition: {in: a}}", []),
        ("{condition: {in: a, status: active}}", []),
        ("{medication: {in: a, status: current}}", []),
        (
            "{condition: {in: a, status: any, verification: confirmed}}",
            ["status removed", "verification removed"],
        ),
        (
            "{condition: {in: a, status: not_resolved, category: [health-concern]}}",
            ["status removed", "category removed"],
        ),
        (
            "{condition: {in: a, category: [health-concern, problem-list-item]}}",
            ["category removed", "health-concern removed", "problem-list-item removed"],
        ),
        (
            "{condition: {in: a, recorded_within: 20 weeks}}",
            ["window removed", "20 weeks -> 24 weeks", "20 weeks -> 16 weeks"],
        ),
        ("{medication: {in: a, from: draft_orders}}", ["from removed"]),
        (
            "{observation: {in: a, within: 7 days}}",
            ["window removed", "7 days -> 8.4 days", "7 days -> 5.6 days"],
        ),
        (
            "{medication: {in: a, taken_for: 1 year}}",
            ["window removed", "1 year -> 2 years"],
        ),
        ("{wearable_alert: {type: [a]}}", []),
        ("{wearable_alert: {type: [a, b]}}", ["a removed", "b removed"]),
        ("{any_of: [a, b]}", ["a removed", "b removed"]),
    ],
)
def test_a_fact_reads_a_little_more_or_less(fact: str, changes: list[str]) -> None:
    assert said("{x: present}", f"x: {fact}") == [*changes, "present -> absent"]


def test_a_score_counts_a_little_more_or_less() -> None:
    items = (
        "{points: 2, label: A, when: {a: present}}, "
        "{points: -1, label: B, when: {b: absent}}"
    )
    facts = f"s: {{score: {{title: S, items: [{items}]}}}}"

    assert said("{s: {value: {at_least: 2}}}", facts) == [
        "+2 removed",
        "2 -> 3",
        "2 -> 1",
        "present -> absent",
        "-1 removed",
        "-1 -> -2",
        "absent -> present",
        "at_least -> above",
        "2 -> 3",
        "2 -> 1",
    ]


def test_parameters_cards_and_the_dead() -> None:
    more = """\
    params:
      limit: {default: 50, unit: /min}
      often: {default: 2}
      long: {default: 10 days}
    deceased: any
    cards:
      - {summary: A, severity: critical, when: {x: present}}
      - {summary: B, severity: info}
    """
    assert said("{x: absent}", more=more) == [
        "absent -> present",
        "50 -> 52.5",
        "50 -> 47.5",
        "2 -> 3",
        "2 -> 1",
        "10 days -> 10.5 days",
        "10 days -> 9.5 days",
        "deceased removed",
        "card removed",
        "condition of the card removed",
        "present -> absent",
        "card removed",
    ]


def test_what_a_file_leaves_to_its_default_is_left_alone() -> None:
    plain = "{x: {sustained: {above: $limit, for: $long}}}"
    asked = "{x: {sustained: {above: $limit, for: $long, share: 1, readings: 3}}}"

    assert said(plain) == ["above -> at_least"]
    assert said(asked) == ["above -> at_least", "1 -> 0.8", "3 -> 4", "3 -> 2"]


def test_a_mutant_stands_in_its_place_and_differs_in_nothing_else() -> None:
    rule = parse(dedent("""\
            facts: {x: {use: x}}
            when:
              all:
                - x: present
                - x: {latest: {below: 45}}
            card: {summary: Slow}
            """))
    present, latest = branch(rule).children

    found = {each.change: each for each in build_mutants(rule)}

    assert found["45 -> 47.25"].position == (11, 27)
    assert found["below -> at_most"].position == (11, 20)
    assert found["clause removed: x present"].position == (10, 7)
    moved = found["45 -> 47.25"].tree
    first, changed = branch(moved).children
    assert first is present and isinstance(changed, FactTest)
    (test,) = changed.tests
    assert test == parse("""\
facts: {x: {use: x}}
when: {x: {latest: {below: 47.25}}}
card: {summary: Slow}
""").when.tests[0]
    assert moved.facts is rule.facts and moved.cards is rule.cards
    assert branch(found["clause removed: x present"].tree).children == (latest,)
    assert branch(rule).children == (present, latest)


def branch(rule: RuleTree) -> Branch:
    assert isinstance(rule.when, Branch)
    return rule.when
