"""Every construct of the rule language, in every place that has to know it.

An example of each is compiled, told, compared, mutated and looked up in the authors'
page. What the grammar offers without an example fails, and so does a node of the tree
that one of its readers passes over: a construct is either known everywhere or nowhere.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import pytest

from cds_service.rulebook.compile.compiler import compile_rulebook
from cds_service.rulebook.describe.meaning import RuleFile
from cds_service.rulebook.describe.prose import tell
from cds_service.rulebook.describe.rule_difference import Book, compare_rules
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.rulebook.language.criterion_tree import FactTest, Node, Test, When
from cds_service.rulebook.language.document import Position
from cds_service.rulebook.language.schemas import Schema, read_schema
from cds_service.rulebook.language.tree import FactNode, RuleTree
from cds_service.rulebook.testing.mutation import Mutant, build_mutants
from cds_service.rulebook.testing.notation import ExampleError
from cds_service.rulebook.testing.one_rule import (
    OneRule,
    build_shared_parts,
    open_rule,
)

PAGE = Path(__file__).parents[2] / "docs" / "authors.md"

PROBLEM = "it: {condition: {in: diabetes, recorded_within: 12 months}}"
MEDICINE = "it: {medication: {in: beta-blockers, taken_for: 14 days}}"
RATE = "it: {observation: {in: heart-rate, unit: /min, within: 7 days}}"
ALERT = "it: {wearable_alert: {type: [low-heart-rate], within: 3 days}}"
DAYS = "it: {wearable: {metric: heart-rate, part: night, unit: /min, within: 7 days}}"
SILENT = "it: {stream: {metric: heart-rate, silent_for: 3 days}}"
UNJUDGED = (
    "it: {stream: {detector: fast, not_judged: [rest-unknown, too-sparse], "
    "within: 3 days}}"
)
SHARED = "it: {use: pregnancy}"
JOINED = "it: {any_of: [a, b]}, a: {condition: {in: diabetes}}, b: {use: pregnancy}"
SCORE = (
    "a: {condition: {in: diabetes}}, it: {score: {title: Risk, items: "
    "[{points: 1, label: A, when: {a: present}}]}}"
)


def _compared(name: str, facts: str, limit: str) -> tuple[str, str]:
    return facts, f"it: {{{name}: {{{limit}}}}}"


CRITERIA: Mapping[str, tuple[str, str]] = {
    "all": (PROBLEM, "all: [{it: present}, {patient: {sex: {in: [male, other]}}}]"),
    "any": (PROBLEM, "any: [{it: present}, {patient: {sex: {in: [male, other]}}}]"),
    "none": (PROBLEM, "none: [{it: present}]"),
    "age": (PROBLEM, "all: [{it: present}, {patient: {age: {above: 18 years}}}]"),
    "sex": (PROBLEM, "all: [{it: present}, {patient: {sex: {in: [male, other]}}}]"),
    "present": (PROBLEM, "it: present"),
    "absent": (PROBLEM, "it: absent"),
    **{
        name: _compared(name, RATE, "above: 100")
        for name in ("latest", "earliest", "min", "max", "mean", "median")
    },
    "count": _compared("count", PROBLEM, "at_least: 2"),
    "days": _compared("days", DAYS, "at_least: 5"),
    "coverage of days": _compared("coverage", DAYS, "at_least: 0.7"),
    "mean of days": _compared("mean", DAYS, "above: 100"),
    "sustained by days": _compared("sustained", DAYS, "above: 100, for: 3 days"),
    "value": _compared("value", SCORE, "at_least: 1"),
    "typical": _compared("typical", ALERT, "above: 40"),
    "threshold": _compared("threshold", ALERT, "above: 40"),
    "duration": _compared("duration", ALERT, "above: 10 minutes"),
    "age of an alert": _compared("age", ALERT, "below: 24 hours"),
    "coverage": _compared("coverage", ALERT, "above: 0.5"),
    "local_time": _compared("local_time", ALERT, "between: ['07:00', '22:00']"),
    "sustained": _compared(
        "sustained", RATE, "above: 100, for: 3 days, share: 0.8, readings: 4"
    ),
    "on_days": _compared("on_days", RATE, "above: 100, days: 2"),
    "repeated": _compared("repeated", RATE, "above: 100, times: 2, apart: 5 minutes"),
    "rise": _compared("rise", RATE, "above: 20, over: 3 days"),
    "fall": _compared("fall", RATE, "above: 20, over: 3 days"),
}
"""Facts and ``when`` of a rule that uses a criterion, by its key in the grammar."""
COMPARISONS: Mapping[str, tuple[str, str]] = {
    **{
        name: _compared("latest", RATE, f"{name}: 100")
        for name in ("above", "at_least", "below", "at_most")
    },
    "between": _compared("latest", RATE, "between: [90, 120]"),
    "equals": _compared("count", PROBLEM, "equals: 2"),
}
FACTS: Mapping[str, tuple[str, str]] = {
    "condition": (PROBLEM, "it: present"),
    "medication": (MEDICINE, "it: present"),
    "observation": (RATE, "it: present"),
    "wearable_alert": (ALERT, "it: present"),
    "wearable": (DAYS, "it: present"),
    "stream": (SILENT, "it: present"),
    "stream of a detector": (UNJUDGED, "it: present"),
    "score": _compared("value", SCORE, "at_least: 1"),
    "use": (SHARED, "it: present"),
    "any_of": (JOINED, "it: present"),
}
EXAMPLES = {**CRITERIA, **COMPARISONS, **FACTS}
WRITTEN_ELSEWHERE = {"use"}
"""What is compared and mutated where it is written, and not where it is named."""

FACTS_LINE, WHEN_LINE = 7, 8
RULE = """\
format: 1
rule: test
version: 1.0.0
title: The rule under test
status: active
hooks: [patient-view]
facts: {{{facts}}}
when: {{{when}}}
card: {{summary: It fires, source: {{label: Test}}}}
"""


@dataclass(frozen=True)
class Example:
    """A rule that uses one construct, compiled."""

    one: OneRule
    book: Book

    @property
    def tree(self) -> RuleTree:
        return self.one.tree


Build = Callable[[tuple[str, str]], Example]


@pytest.fixture
def build(rules: Any) -> Build:
    def example(written: tuple[str, str]) -> Example:
        facts, when = written
        rules.files["test.yaml"] = RULE.format(facts=facts, when=when)
        rules.files["facts/pregnancy.yaml"] = (
            "format: 1\nfact: pregnancy\ncondition: {in: diabetes}\n"
        )
        compiled = compile_rulebook(rules.files)
        assert compiled.rulebook, compiled.findings
        one = open_rule(build_shared_parts(rules.files), "test")
        return Example(one, of(one, one.tree, compiled.rulebook))

    return example


def of(one: OneRule, tree: RuleTree, rulebook: Rulebook) -> Book:
    """A book with a version of the rule alone."""
    service = one.compile({}, tree)
    services = {("review", "patient-view"): service}
    rule = service.rules[0]
    alone = replace(rulebook, rules={rule.id: rule}, services=services)
    return Book(alone, {rule.file: tree})


def unhandled(example: Example, tree: RuleTree) -> list[str]:
    """The readers of the tree that cannot read this one."""
    book = example.book
    source = RuleFile(book.rulebook.rules["test"], tree)
    other = Book(book.rulebook, {source.rule.file: tree})
    readers: dict[str, Callable[[], object]] = {
        "compile": lambda: example.one.compile({}, tree),
        "describe": lambda: tell(source, book.rulebook),
        "diff": lambda: compare_rules("test", "test", book, other),
        "mutants": lambda: build_mutants(tree),
    }
    found = []
    for name, read in readers.items():
        try:
            read()
        except (AssertionError, ExampleError, LookupError):
            found.append(name)
    return found


def unnoticed(example: Example, mutants: Iterable[Mutant]) -> list[str]:
    """The mutants that compile and that comparing takes for the same rule."""
    found = []
    for mutant in mutants:
        try:
            changed = of(example.one, mutant.tree, example.book.rulebook)
        except ExampleError:
            continue
        if not compare_rules("test", "test", example.book, changed):
            found.append(mutant.change)
    return found


def without_example(grammar: Schema) -> list[str]:
    """What the grammar offers and no example uses."""
    parts = grammar["definitions"]
    criterion = parts["criterion"]["properties"]
    offered = {
        "criterion": {*criterion, *parts["tests"]["properties"]} - {"patient"},
        "presence": {*parts["test"]["then"]["enum"]},
        "patient": {*criterion["patient"]["properties"]},
        "fact": {*parts["fact"]["properties"]},
        "comparison": {*parts["count_comparison"]["properties"]},
    }
    return sorted({name for names in offered.values() for name in names} - {*EXAMPLES})


def not_in_page(names: Iterable[str], page: str) -> list[str]:
    """What no code in the sections on facts and conditions of a page has."""
    sections = re.findall(r"^## (?:Facts|Conditions)\n(.*?)(?=^## )", page, re.M | re.S)
    code = re.findall(r"```.*?```|`[^`]+`", "\n".join(sections), re.S)
    known = set(re.findall(r"\w+", " ".join(code)))
    return [name for name in names if name.partition(" ")[0] not in known]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_construct_is_compiled_told_compared_and_mutated(
    build: Build, name: str
) -> None:
    example = build(EXAMPLES[name])
    mutants = build_mutants(example.tree)
    line = FACTS_LINE if name in FACTS else WHEN_LINE

    assert unhandled(example, example.tree) == []
    assert unnoticed(example, mutants) == []
    if name not in WRITTEN_ELSEWHERE:
        assert line in {mutant.position.line for mutant in mutants}


def test_every_construct_of_the_grammar_has_an_example() -> None:
    assert without_example(read_schema("grammar")) == []


def test_every_node_of_criteria_and_facts_has_an_example(
    build: Build, nodes: Callable[[Any], Iterator[Node]]
) -> None:
    kinds = {each for part in (When, Test, FactNode) for each in get_args(part)}
    used = {type(n) for e in EXAMPLES.values() for n in nodes(build(e).tree)}

    assert kinds - used == set()


def test_every_construct_is_in_the_page_for_authors() -> None:
    assert not_in_page([*EXAMPLES], PAGE.read_text("utf-8")) == []


@dataclass(frozen=True, slots=True)
class Planted(Node):
    """A node that nobody knows."""

    fact: str = "it"
    name: str = "planted"
    kind: str = "planted"


def test_a_criterion_that_nobody_knows_is_found(build: Build) -> None:
    example = build(CRITERIA["present"])
    planted: Any = Planted(("when", "planted"))

    found = unhandled(example, replace(example.tree, when=planted))

    assert found == ["compile", "describe", "diff", "mutants"]


def test_a_test_that_nobody_knows_is_found(build: Build) -> None:
    example = build(CRITERIA["latest"])
    planted: Any = Planted(("when", "it", "planted"))
    when = FactTest(("when", "it"), "it", (planted,))

    found = unhandled(example, replace(example.tree, when=when))

    assert found == ["compile", "describe", "diff", "mutants"]


def test_a_test_that_has_no_meaning_and_no_words_is_found(build: Build) -> None:
    example = build(CRITERIA["latest"])
    (test,) = example.tree.when.tests
    planted = replace(test, name="newest")
    when = FactTest(("when", "it"), "it", (planted,))

    found = unhandled(example, replace(example.tree, when=when))

    assert found == ["compile", "describe"]


def test_a_kind_of_fact_that_nobody_knows_is_found(build: Build) -> None:
    example = build(FACTS["condition"])
    planted: Any = Planted(("facts", "it", "planted"))

    found = unhandled(example, replace(example.tree, facts={"it": planted}))

    assert found == ["compile", "mutants"]


def test_a_criterion_that_only_the_grammar_knows_is_found() -> None:
    grammar = read_schema("grammar")
    grammar["definitions"]["tests"]["properties"]["newest"] = {}

    assert without_example(grammar) == ["newest"]


def test_a_construct_that_the_page_passes_over_is_found() -> None:
    page = "## Facts\n\n`latest`, but equals.\n\n## Conditions\n\n## Text\n"

    assert not_in_page(["latest", "equals"], page) == ["equals"]


def test_a_change_that_comparing_passes_over_is_found(build: Build) -> None:
    example = build(COMPARISONS["above"])
    planted = Mutant(Position(WHEN_LINE, 1), "unread", example.tree)

    assert unnoticed(example, [planted]) == ["unread"]
