"""A rule file as a tree: what each short form and everything left out stands for."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path as FilePath
from textwrap import dedent, indent
from typing import Any

import pytest

from cds_service.protocol.cards import CardSource, Indicator
from cds_service.rulebook.compile.compiler import kind_of
from cds_service.rulebook.language.criterion_tree import (
    Amount,
    Bound,
    Branch,
    Compared,
    FactTest,
    Node,
    OnDays,
    PatientTest,
    PresenceTest,
    Repeated,
    RiseOrFall,
    Sustained,
    When,
)
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.document import Document
from cds_service.rulebook.language.schemas import check_shape
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.language.tree import (
    ActionNode,
    AlertFact,
    AlertingNode,
    Approval,
    ConditionFact,
    Evidence,
    GovernanceNode,
    JoinedFact,
    MedicationFact,
    ObservationFact,
    PeriodNode,
    RuleTree,
    ScoreFact,
    ScoreItem,
    SharedFact,
    Snooze,
)
from cds_service.rulebook.language.tree_reader import read_fact, read_rule
from cds_service.rulebook.values.intervals import Duration

RULES = FilePath(__file__).parents[3] / "rules"
RULE = """\
format: 1
rule: fast
version: 1.0.0
title: Fast
status: draft
hooks: [patient-view]
facts:
{facts}
when:
{when}
{more}
"""
CARD = "card: {summary: Fast}"
CONDITION = "af: {condition: {in: atrial-fibrillation}}"


def parse(text: str, kind: str = "rule") -> Document:
    findings = Findings()
    document = parse_yaml(text, "fast.yaml", findings)
    assert document is not None
    assert check_shape(kind, document, findings), list(findings)
    return document


def tree(
    when: str = "af: present", facts: str = CONDITION, more: str = CARD
) -> RuleTree:
    parts = {
        "facts": indent(dedent(facts).strip(), "  "),
        "when": indent(dedent(when).strip(), "  "),
        "more": dedent(more).strip(),
    }
    return read_rule(parse(RULE.format(**parts)))


def number(value: float) -> Amount:
    return Amount((), value, float(value))


def lasting(count: float, unit: str) -> Amount:
    return Amount((), "", Duration(count, unit))


def bound(attribute: str, comparison: str, amount: Amount) -> Bound:
    return Bound((), attribute, comparison, amount)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("af: present", PresenceTest((), "af", "present")),
        ("af: absent", PresenceTest((), "af", "absent")),
        (
            "af: {count: {above: 1}}",
            FactTest(
                (),
                "af",
                (Compared((), "count", (bound("count", "above", number(1)),)),),
            ),
        ),
        (
            "none: [{any: [{af: absent}]}]",
            Branch(
                (),
                "none",
                (Branch((), "any", (PresenceTest((), "af", "absent"),)),),
            ),
        ),
        ("patient: {sex: {in: [male, other]}}", PatientTest((), ("male", "other"))),
        (
            "patient: {age: {at_least: 18 years}}",
            PatientTest((), (), (bound("age", "at_least", lasting(18, "year")),)),
        ),
    ],
)
def test_a_criterion_is_a_node_of_its_kind(written: str, meant: When) -> None:
    assert tree(written).when == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (
            "mean: {between: [90, 120.5]}",
            Compared(
                (),
                "mean",
                (
                    bound("mean", "at_least", number(90)),
                    bound("mean", "below", number(120.5)),
                ),
            ),
        ),
        (
            "local_time: {between: ['22:00', '06:00']}",
            Compared(
                (),
                "local_time",
                (
                    bound("local_time", "at_least", Amount((), "", "22:00")),
                    bound("local_time", "below", Amount((), "", "06:00")),
                ),
            ),
        ),
        (
            "sustained: {above: 100, for: 3 days}",
            Sustained(
                (), bound("sustained", "above", number(100)), lasting(3, "day"), 1.0, 3
            ),
        ),
        (
            "sustained: {for: 3 days, readings: 5, share: 0.8, at_most: 50}",
            Sustained(
                (), bound("sustained", "at_most", number(50)), lasting(3, "day"), 0.8, 5
            ),
        ),
        (
            "on_days: {above: 100, days: 2}",
            OnDays((), bound("on_days", "above", number(100)), 2),
        ),
        (
            "repeated: {at_least: 180, times: 2, apart: 5 minutes}",
            Repeated(
                (),
                bound("repeated", "at_least", number(180)),
                number(2),
                lasting(5, "minute"),
            ),
        ),
        (
            "fall: {at_least: 2, over: 3 days}",
            RiseOrFall(
                (), "fall", bound("fall", "at_least", number(2)), lasting(3, "day")
            ),
        ),
    ],
)
def test_a_test_of_a_fact_is_a_node_of_its_kind(written: str, meant: Node) -> None:
    assert tree(f"af: {{{written}}}").when == FactTest((), "af", (meant,))


def test_a_param_is_named_and_holds_what_the_site_says_once_that_is_known() -> None:
    (test,) = of_fact(tree("af: {latest: {above: $limit}}").when).tests
    assert isinstance(test, Compared)
    amount = test.bounds[0].amount

    assert (amount.param, amount.value) == ("limit", "$limit")
    assert amount.settled({"limit": 110.0}).value == 110.0
    assert amount.settled({"other": 110.0}).value == "$limit"


def of_fact(when: When) -> FactTest:
    assert isinstance(when, FactTest)
    return when


def test_a_length_of_time_that_is_too_long_stays_the_text_that_it_is() -> None:
    read = tree(facts="rate: {observation: {in: rate, within: 2000 years}}")

    period = read.facts["rate"].period

    assert period.length.value == "2000 years"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (
            "condition: {in: af}",
            ConditionFact((), "af", "active", None, (), False),
        ),
        (
            "condition: {in: af, status: any, verification: confirmed, "
            "category: [problem-list-item], onset_within: 2 years}",
            ConditionFact(
                (),
                "af",
                "any",
                PeriodNode((), "onset_within", lasting(2, "year")),
                ("problem-list-item",),
                True,
            ),
        ),
        (
            "medication: {in: digoxin}",
            MedicationFact((), "digoxin", "current", None, "chart"),
        ),
        (
            "medication: {in: digoxin, from: draft_orders, taken_for: 14 days}",
            MedicationFact(
                (),
                "digoxin",
                "current",
                PeriodNode((), "taken_for", lasting(14, "day")),
                "draft_orders",
            ),
        ),
        ("observation: {in: rate}", ObservationFact((), "rate", "final", None, "")),
        (
            "observation: {in: rate, unit: /min, within: 7 days}",
            ObservationFact(
                (), "rate", "final", PeriodNode((), "within", lasting(7, "day")), "/min"
            ),
        ),
        ("wearable_alert: {type: [slow]}", AlertFact((), ("slow",), "", None)),
        ("use: pregnancy", SharedFact((), "pregnancy")),
        ("any_of: [x, y]", JoinedFact((), ("x", "y"))),
        (
            "score: {title: Sum, items: [{points: -1, label: AF, when: {x: present}}]}",
            ScoreFact(
                (),
                "Sum",
                (ScoreItem((), -1, "AF", PresenceTest((), "x", "present")),),
            ),
        ),
    ],
)
def test_what_a_fact_leaves_out_is_what_it_has_by_default(
    written: str, meant: Node
) -> None:
    assert tree(facts=f"fact: {{{written}}}").facts == {"fact": meant}


def test_a_shared_fact_is_read_as_one_of_a_rule() -> None:
    text = "format: 1\nfact: pregnancy\ntitle: Pregnant\ncondition: {in: pregnancy}\n"

    shared = read_fact(parse(text, "fact"))

    assert (shared.name, shared.title) == ("pregnancy", "Pregnant")
    assert shared.fact == ConditionFact((), "pregnancy", "active", None, (), False)
    assert shared.fact.path == ("condition",)


def test_card_is_the_only_one_of_cards() -> None:
    one, several = tree(more=CARD), tree(more="cards: [{summary: Fast}]")

    assert one.cards == several.cards
    assert [card.path for card in one.cards] == [("card",)]
    assert [card.path for card in several.cards] == [("cards", 0)]


def test_a_card_says_what_the_defaults_say_unless_it_says_otherwise() -> None:
    more = """
        cards:
          - summary: First
          - {summary: Second, source: {label: Own}, limits: None here}
        card_defaults: {source: {label: All, url: https://x.example/}, limits: None}
        """

    first, second = tree(more=more).cards

    assert first.source == CardSource("All", "https://x.example/")
    assert first.place("source") == ("card_defaults", "source")
    assert second.source == CardSource("Own")
    assert second.place("source") == ("cards", 1, "source")
    assert (first.limits, second.limits) == ("None", "None here")
    assert first.place("detail") == ("card_defaults", "detail")


@pytest.mark.parametrize(
    ("more", "severities"),
    [
        ("card: {summary: Fast}", [Indicator.INFO]),
        ("severity: warning\ncard: {summary: Fast}", [Indicator.WARNING]),
        (
            "severity: warning\n"
            "cards: [{summary: A, severity: critical}, {summary: B}]",
            [Indicator.CRITICAL, Indicator.WARNING],
        ),
    ],
)
def test_a_card_has_its_own_severity_or_the_rule_s(
    more: str, severities: list[Indicator]
) -> None:
    read = tree(more=more)

    assert [card.severity for card in read.cards] == severities
    assert read.severity is max(severities)


def test_an_action_names_what_it_creates_changes_or_removes() -> None:
    more = """
        card:
          summary: Fast
          suggestions:
            - label: Act
              actions:
                - {description: C, create: {resourceType: Task}, reason: [af]}
                - {description: U, update: af, set: {status: on-hold}}
                - {description: R, remove: af}
        """

    (suggestion,) = tree(more=more).cards[0].suggestions

    assert not suggestion.recommended
    assert suggestion.actions == (
        ActionNode((), "create", "C", "", {"resourceType": "Task"}, ("af",)),
        ActionNode((), "update", "U", "af", {"status": "on-hold"}, ()),
        ActionNode((), "remove", "R", "af", {}, ()),
    )


def test_an_action_of_the_defaults_is_among_all_actions_once() -> None:
    act = "suggestions: [{label: A, actions: [{description: %s, remove: af}]}]"
    defaults = f"card_defaults: {{{act % 'Shared'}}}"

    shared = tree(more=f"cards: [{{summary: A}}, {{summary: B}}]\n{defaults}")
    replaced = tree(more=f"card: {{summary: A, {act % 'Own'}}}\n{defaults}")

    assert [each.description for each in shared.actions] == ["Shared"]
    assert [each.description for each in replaced.actions] == ["Shared", "Own"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("7 days", (Snooze((), "other", lasting(7, "day")),)),
        (
            "{artifact: 30 days, other: 7 days}",
            (
                Snooze((), "artifact", lasting(30, "day")),
                Snooze((), "other", lasting(7, "day")),
            ),
        ),
    ],
)
def test_one_length_of_a_snooze_is_that_of_every_reason(
    written: str, meant: tuple[Snooze, ...]
) -> None:
    read = tree(more=f"{CARD}\nalerting: {{snooze_on_override: {written}}}")

    assert read.alerting.snooze_on_override == meant


def test_what_a_rule_leaves_out_is_what_it_has_by_default() -> None:
    read = tree()

    assert (read.if_unknown, read.deceased) == ("silent", "")
    assert read.alerting == AlertingNode(())
    assert read.alerting.once_per == ("patient", "rule", "user")
    assert read.governance == GovernanceNode(())
    assert not read.says("if_unknown")
    assert not read.says("alerting", "once_per")


def test_governance_has_its_dates_and_documents() -> None:
    more = f"""
        {CARD}
        governance:
          owner: The board
          approved: {{by: Dr Who, on: 2026-02-01}}
          effective: 2026-03-01
          evidence: [{{citation: A trial, year: 2020}}]
        """

    governance = tree(more=more).governance

    assert governance == GovernanceNode(
        (),
        owner="The board",
        approved=Approval("Dr Who", "2026-02-01"),
        effective=date(2026, 3, 1),
        evidence=(Evidence("A trial", "", 2020),),
    )


def test_nodes_that_say_the_same_are_equal_wherever_they_stand() -> None:
    read = tree("all: [{af: present}, {any: [{af: present}]}]").when
    assert isinstance(read, Branch)
    first, second = read.children
    assert isinstance(second, Branch)

    assert first.path != second.children[0].path
    assert first == second.children[0]


def test_every_node_of_the_shipped_rules_knows_where_it_stands(
    nodes: Callable[[Any], Iterator[Node]],
) -> None:
    read = 0
    for file in sorted(RULES.rglob("*.yaml")):
        name = file.relative_to(RULES).as_posix()
        if kind_of(name) not in ("rule", "fact"):
            continue
        document = parse_yaml(file.read_text("utf-8"), name, Findings())
        assert document is not None
        whole = (read_rule if kind_of(name) == "rule" else read_fact)(document)
        for node in nodes(whole):
            assert node.path in document.marks, (name, node)
            read += 1

    assert read > 1000
