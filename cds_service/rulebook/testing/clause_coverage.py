"""Clause coverage: which clauses of a rule its tests have seen true, false, unknown.

Every clause is judged for itself in every case, also where another clause has decided
before it: what is counted is what the clause saw, not whether the answer needed it. A
clause is a leaf of ``when``, of a card's ``when`` or of a score's item, and a limit on
a score. That the patient is alive stands in no file and is not counted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..compile.rule_builder import ALIVE
from ..engine.case import Case
from ..engine.facts import Criterion
from ..engine.rules import Rule
from ..language.document import Position
from ..values.truth import Unknown
from .example_runner import ExampleRunner
from .examples import Example
from .notation import ExampleError

TRUTHS = ("true", "false", "unknown")


@dataclass(slots=True)
class SeenClause:
    """One clause, and how often it was what."""

    text: str
    position: Position
    true: int = 0
    false: int = 0
    unknown: int = 0

    def count(self, criterion: Criterion, case: Case) -> None:
        """Judge one case."""
        verdict = criterion.verdict(case)
        if isinstance(verdict, Unknown):
            self.unknown += 1
        elif verdict:
            self.true += 1
        else:
            self.false += 1

    @property
    def never(self) -> tuple[str, ...]:
        """What it never was, of ``TRUTHS``."""
        seen = (self.true, self.false, self.unknown)
        return tuple(t for t, times in zip(TRUTHS, seen, strict=True) if not times)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The clauses of one rule, in the order of its file."""

    rule: str
    file: str
    cases: int
    """How many cases were judged; one that cannot be played is not."""
    clauses: tuple[SeenClause, ...]

    @property
    def decided(self) -> int:
        """How many of the clauses were true once, plus how many were false once."""
        return sum(bool(each.true) + bool(each.false) for each in self.clauses)

    @property
    def decidable(self) -> int:
        """What ``decided`` is at best."""
        return 2 * len(self.clauses)

    @property
    def unknown(self) -> int:
        """How many of the clauses were unknown once."""
        return sum(bool(each.unknown) for each in self.clauses)


def cover(runner: ExampleRunner, rule: str, examples: Iterable[Example]) -> Coverage:
    """Return what the cases of a rule have seen of its clauses.

    Raises:
        ExampleError: if there is no such rule, or it does not compile.
    """
    one = runner.rule(rule)
    clauses = [
        SeenClause(each.text, each.position)
        for each in _clauses(one.compile({}).rules[0])
    ]
    judged = 0
    for example in examples:
        try:
            service, scene = runner.service(example), runner.scene(example)
        except ExampleError:
            continue
        judged += 1
        case = scene.case(service)
        # Other params change the words of a clause, never how many there are.
        criteria = _clauses(service.rules[0])
        for clause, criterion in zip(clauses, criteria, strict=True):
            clause.count(criterion, case)
    clauses.sort(key=lambda each: each.position)
    return Coverage(rule, one.tree.document.file, judged, tuple(clauses))


def _clauses(rule: Rule) -> list[Criterion]:
    """Every clause once, though several limits may look at the same score."""
    trees = [rule.when, *(card.when for card in rule.cards if card.when)]
    leaves = (leaf for tree in trees for leaf in _leaves(tree))
    return list({(leaf.position, leaf.text): leaf for leaf in leaves}.values())


def _leaves(node: Criterion) -> Iterator[Criterion]:
    if (node.operator == "score" or not node.children) and node.text != ALIVE:
        yield node
    for child in node.children:
        yield from _leaves(child)
