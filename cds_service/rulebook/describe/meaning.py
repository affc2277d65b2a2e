"""What the criteria of a rule ask, without how they are written.

Nesting that changes nothing and the names of params are gone. Pages say it in words,
and comparing two rules compares it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from ..engine.facts import Criterion, Fact
from ..engine.rules import Rule
from ..language.criterion_tree import (
    Bound,
    Branch,
    Compared,
    FactTest,
    OnDays,
    PatientTest,
    PresenceTest,
    Repeated,
    RiseOrFall,
    Sustained,
    Test,
    When,
)
from ..language.document import Path, Position
from ..language.tree import RuleTree, ScoreFact, ScoreItem
from ..values.intervals import Duration

Params = Mapping[str, float | Duration]


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing that is asked, or several that belong together."""

    kind: str
    """``all``, ``any``, ``none``; ``present``, ``absent``; the name of a test;
    ``alert`` for what is asked of one and the same wearable alert; ``patient``;
    ``score``, whose children are ``item`` clauses."""
    path: Path
    fact: str = ""
    bounds: tuple[Bound, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    """What a test is told beside its bounds: ``for``, ``share``, ``days``; ``sex``."""
    children: tuple["Clause", ...] = ()

    def walk(self) -> Iterator["Clause"]:
        """The clause and all in it, in the order of the file."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A compiled rule beside the tree that it was compiled from."""

    rule: Rule
    tree: RuleTree

    def line(self, path: Path) -> int:
        """The line of a key; of its nearest parent where it is not there."""
        return self.tree.line(path)

    def defaults(self) -> dict[str, float | Duration]:
        """The params as the file sets them, whatever a site tunes."""
        found = {name: node.default.quantity for name, node in self.tree.params.items()}
        return {name: value for name, value in found.items() if value is not None}

    def tuned(self) -> dict[str, float | Duration]:
        """The params as they hold at this site."""
        return {name: param.value for name, param in self.rule.params.items()}

    def when(self, params: Params) -> Clause:
        """Return what the rule asks."""
        return self._reader(params).clause(self.tree.when)

    def scores(self, params: Params) -> dict[str, Clause]:
        """The scores among the facts, by name."""
        reader = self._reader(params)
        return {
            name: reader.score(name, node)
            for name, node in self.tree.facts.items()
            if isinstance(node, ScoreFact)
        }

    def card_whens(self, params: Params) -> list[Clause | None]:
        """Return what each card asks beyond the rule; None if nothing."""
        reader = self._reader(params)
        whens = (card.when for card in self.tree.cards)
        return [None if when is None else reader.clause(when) for when in whens]

    def clauses(self, params: Params) -> Iterator[Clause]:
        """Everything that the rule, its cards and its scores ask."""
        cards = (each for each in self.card_whens(params) if each is not None)
        for asked in (self.when(params), *cards, *self.scores(params).values()):
            yield from asked.walk()

    def _reader(self, params: Params) -> "_Reader":
        return _Reader(params, {n: fact.kind for n, fact in self.rule.facts.items()})


@dataclass(frozen=True, slots=True)
class Use:
    """One place where a rule makes use of a fact."""

    text: str
    """The criterion, as an author reads it; empty for card text."""
    position: Position


class _Reader:
    """Reads nodes as clauses, with the values of params and the kinds of facts."""

    def __init__(self, params: Params, kinds: Mapping[str, str]) -> None:
        self.params = params
        self.kinds = kinds

    def clause(self, node: When) -> Clause:
        """Return what a node asks, without nesting that adds nothing."""
        return simplified(self._read(node))

    def score(self, name: str, node: ScoreFact) -> Clause:
        """A score with its items."""
        items = tuple(map(self._item, node.items))
        return Clause("score", ("facts", name), name, children=items)

    def _item(self, node: ScoreItem) -> Clause:
        options = {"points": float(node.points), "label": node.label}
        children = (self.clause(node.when),)
        return Clause("item", (*node.path, "label"), options=options, children=children)

    def _read(self, node: When) -> Clause:
        match node:
            case Branch():
                children = tuple(map(self._read, node.children))
                return Clause(node.word, node.path, children=children)
            case PatientTest():
                return self._of_patient(node)
            case PresenceTest():
                return Clause(node.word, node.path, node.fact)
            case FactTest():
                return self._of_fact(node)
            case _:
                assert_never(node)

    def _of_patient(self, node: PatientTest) -> Clause:
        leaves = []
        if node.sexes:
            options = {"sex": tuple(sorted(node.sexes))}
            leaves.append(Clause("patient", node.path, options=options))
        if node.ages:
            bounds = self._settled(*node.ages)
            leaves.append(Clause("patient", node.path, bounds=bounds))
        return _joined(leaves, node.path)

    def _of_fact(self, node: FactTest) -> Clause:
        of_all, of_one = node.parted(self.kinds[node.fact])
        leaves = [self._test(node.fact, test) for test in of_all]
        if of_one:
            bounds = self._settled(*(each for test in of_one for each in test.bounds))
            leaves.append(Clause("alert", node.path, node.fact, bounds))
        return _joined(leaves, node.path)

    def _test(self, fact: str, test: Test) -> Clause:
        options: Mapping[str, Any]
        match test:
            case Compared():
                bounds, options = test.bounds, {}
            case Sustained():
                bounds = (test.bound,)
                options = {
                    "share": float(test.share),
                    "readings": float(test.readings),
                    "for": test.period.settled(self.params).value,
                }
            case OnDays():
                bounds, options = (test.bound,), {"days": float(test.days)}
            case Repeated():
                bounds = (test.bound,)
                options = {
                    "times": test.times.settled(self.params).value,
                    "apart": test.apart.settled(self.params).value,
                }
            case RiseOrFall():
                bounds = (test.bound,)
                options = {"over": test.over.settled(self.params).value}
            case _:
                assert_never(test)
        return Clause(test.name, test.path, fact, self._settled(*bounds), options)

    def _settled(self, *bounds: Bound) -> tuple[Bound, ...]:
        return tuple(each.settled(self.params) for each in bounds)


def _joined(leaves: list[Clause], path: Path) -> Clause:
    return leaves[0] if len(leaves) == 1 else Clause("all", path, children=(*leaves,))


def simplified(clause: Clause) -> Clause:
    """The same meaning without nesting that adds nothing."""
    children: list[Clause] = []
    for child in map(simplified, clause.children):
        joins = child.kind == clause.kind and child.kind in ("all", "any")
        unwraps = clause.kind == "none" and child.kind == "any"
        children += child.children if joins or unwraps else [child]
    if clause.kind in ("all", "any") and len(children) == 1:
        return children[0]
    return Clause(
        clause.kind,
        clause.path,
        clause.fact,
        clause.bounds,
        clause.options,
        tuple(children),
    )


def uses_of(rule: Rule, name: str) -> tuple[Use, ...]:
    """Every criterion of the rule that asks the fact, itself or as part of another."""
    names = {
        each.name
        for each in rule.facts.values()
        if each.name == name or name in {part.name for part in within(each)}
    }
    return tuple(
        dict.fromkeys(
            Use(node.text, node.position)
            for node in criteria_of(rule)
            if node.fact in names
        )
    )


def criteria_of(rule: Rule) -> Iterator[Criterion]:
    """Every criterion of the rule, its cards and its scores."""
    waiting = [
        rule.when,
        *(card.when for card in rule.cards if card.when),
        *(item.criterion for fact in rule.facts.values() for item in fact.items),
    ]
    while waiting:
        node = waiting.pop(0)
        yield node
        waiting = [*node.children, *waiting]


def canonical(value: Any) -> Any:
    """A value by which two that mean the same are equal: 24 hours and 1 day."""
    if not isinstance(value, Duration):
        return value
    if value.unit in ("month", "year"):
        return "months", value.count * (12 if value.unit == "year" else 1)
    return "seconds", value.length.total_seconds()


def within(fact: Fact) -> Iterator[Fact]:
    """All facts that a fact is made of, at any depth."""
    for part in fact.parts:
        yield part
        yield from within(part)
