"""Conditions that can never hold together.

What is joined by ``all`` is read as ranges: of an age, of a count, of the one number
that a reducer makes of a fact. An empty range is a card that is never shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, assert_never

from ..engine.days import OF_DAYS
from ..engine.facts import REDUCERS, Fact
from ..engine.rules import Param
from ..language.criterion_tree import (
    Amount,
    Bound,
    Branch,
    Compared,
    FactTest,
    PatientTest,
    PresenceTest,
    When,
)
from ..language.diagnostics import Findings, Level, quote
from ..language.document import Path
from ..language.tree import RuleTree
from ..values.intervals import RISING, Duration, seconds

_OPPOSITE = {
    "above": "at_most",
    "at_most": "above",
    "below": "at_least",
    "at_least": "below",
}
_SINGLE = frozenset({*REDUCERS, "count", "value"})
"""What is one number, whichever criterion asks for it."""
_DAYS = {"month": 365.25 / 12, "year": 365.25}
"""So that 24 months are two years."""


class Demand(NamedTuple):
    """One thing that must hold."""

    subject: tuple[str, str]
    """A fact or ``patient``, and what of it is asked."""
    comparison: str
    """As in a rule, or ``in`` for the sexes."""
    limit: Any
    path: Path
    said: str


def check_conflicts(
    rule: RuleTree,
    facts: Mapping[str, Fact],
    params: Mapping[str, Param],
    findings: Findings,
) -> None:
    """Report criteria of a rule that can never hold together."""
    reader = _Reader(rule, facts, params, findings)
    whole = reader.check(rule.when, ())
    if whole is None:
        return
    for card in rule.cards:
        if card.when is not None:
            reader.check(card.when, whole)


class _Reader:
    def __init__(
        self,
        rule: RuleTree,
        facts: Mapping[str, Fact],
        params: Mapping[str, Param],
        findings: Findings,
    ) -> None:
        self.document = rule.document
        self.facts = facts
        self.params = params
        self.findings = findings

    def check(
        self, node: When, known: tuple[Demand, ...], level: Level = Level.ERROR
    ) -> tuple[Demand, ...] | None:
        """Return all that holds where *node* does; None, with a finding, if never."""
        demands = known
        for demand in self._demands(node):
            other = next((each for each in demands if _clash(each, demand)), None)
            if other is not None:
                self._tell(other, demand, level)
                return None
            demands += (demand,)
        for branch in _choices(node):
            for child in branch.children:
                # The others may hold still.
                self.check(child, demands, Level.WARNING)
        return demands

    def _tell(self, first: Demand, second: Demand, level: Level) -> None:
        line = self.document.position(first.path, key=True).line
        say = self.findings.error
        if level is Level.WARNING:
            say = self.findings.warning
        say(
            self.document,
            second.path,
            "CDS330",
            f"this excludes {quote(first.said)} on line {line}: "
            f"{quote(second.said)}",
            "correct one of them; if either is enough, write `any`",
            key=True,
        )

    def _demands(self, node: When) -> Iterator[Demand]:
        """Yield what must hold wherever *node* does."""
        match node:
            case Branch():
                yield from self._of_branch(node)
            case PatientTest():
                yield from self._of_patient(node)
            case PresenceTest():
                said = f"{node.fact} {node.word}"
                comparison = "at_least" if node.word == "present" else "below"
                yield self._count(node.fact, comparison, node.path, said)
            case FactTest():
                yield from self._of_fact(node)
            case _:
                assert_never(node)

    def _of_branch(self, node: Branch) -> Iterator[Demand]:
        if node.word == "none":
            for child in node.children:
                yield from self._refused(child)
        elif node.word == "all" or len(node.children) == 1:
            for child in node.children:
                yield from self._demands(child)

    def _refused(self, node: When) -> Iterator[Demand]:
        """Yield what must hold where *node* does not; of one test, its opposite."""
        if isinstance(node, Branch):
            one = node.word == "all" and len(node.children) == 1
            for child in node.children if node.word == "any" or one else ():
                yield from self._refused(child)
            return
        found = list(self._demands(node))
        if len(found) == 1 and found[0].comparison in _OPPOSITE:
            only = found[0]
            if only.subject[1] in ("count", "age") or isinstance(node, PresenceTest):
                turned_to = _OPPOSITE[only.comparison]
                yield only._replace(comparison=turned_to, said=f"not {only.said}")

    def _of_patient(self, node: PatientTest) -> Iterator[Demand]:
        if node.sexes:
            said = "sex " + " or ".join(node.sexes)
            where, sexes = (*node.path, "sex"), frozenset(node.sexes)
            yield Demand(("patient", "sex"), "in", sexes, where, said)
        yield from self._compared("patient", node.ages)

    def _of_fact(self, node: FactTest) -> Iterator[Demand]:
        fact = self.facts.get(node.fact)
        if fact is None:
            return  # that there is none is told where it is compiled
        names = {test.name for test in node.tests}
        if names - {*OF_DAYS} and fact.kind != "score":
            said = f"{node.fact} {node.tests[0].name}"
            yield self._count(node.fact, "at_least", node.path, said)
        for test in node.tests:
            # Each alert may have another value, and be counted otherwise.
            if test.name in _SINGLE and fact.kind != "wearable_alert":
                assert isinstance(test, Compared)
                yield from self._compared(node.fact, test.bounds)

    def _count(self, fact: str, comparison: str, path: Path, said: str) -> Demand:
        return Demand((fact, "count"), comparison, 1.0, path, said)

    def _compared(self, subject: str, bounds: Sequence[Bound]) -> Iterator[Demand]:
        for each in bounds:
            number = self._number(each.amount)
            if number is not None:
                of, word = each.attribute, each.comparison
                compared = f"{word.replace('_', ' ')} {each.amount.written}"
                said = f"{subject} {of} {compared}"
                yield Demand((subject, of), word, number, each.key, said)

    def _number(self, amount: Amount) -> float | None:
        param = self.params.get(amount.param)
        value = param.value if param else amount.quantity
        if isinstance(value, Duration):
            days = _DAYS.get(value.unit)
            return value.count * days * 86400 if days else seconds(value)
        return value


def _choices(node: When) -> Iterator[Branch]:
    """Every ``any`` of which one branch must hold where *node* does."""
    if not isinstance(node, Branch) or node.word == "none":
        return
    if node.word == "any" and len(node.children) > 1:
        yield node
    else:
        for child in node.children:
            yield from _choices(child)


def _clash(one: Demand, other: Demand) -> bool:
    """Return whether two demands leave nothing between them."""
    if one.subject != other.subject:
        return False
    if one.comparison == "in":
        return not one.limit & other.limit
    if (one.comparison in RISING) is (other.comparison in RISING):
        return False
    if one.path == other.path and one.subject[1] != "age":
        return False  # an empty `between`, which is told where it is read
    low, high = (one, other) if one.comparison in RISING else (other, one)
    closed = low.comparison == "at_least" and high.comparison == "at_most"
    return bool(low.limit > high.limit or (low.limit == high.limit and not closed))
