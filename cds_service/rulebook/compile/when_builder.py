"""The criteria of a rule file, compiled: ``when``, and what a score counts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from ..engine import criteria, person, scores, trend
from ..engine.alert_tests import AlertTest
from ..engine.days import OF_DAYS
from ..engine.facts import KINDS, REDUCERS, WORN, Criterion, Fact, Item, Predicate
from ..engine.rules import Param
from ..language.criterion_tree import (
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
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Path, Position
from ..language.tree import RuleTree, ScoreFact
from ..values.intervals import Duration, Limit, exactly
from .limits import LimitReader, words


class WhenBuilder:
    """Compiles the criteria of one rule."""

    def __init__(
        self,
        rule: RuleTree,
        facts: Mapping[str, Fact],
        params: Mapping[str, Param],
        findings: Findings,
    ) -> None:
        self.rule = rule
        self.facts = dict(facts)
        self.findings = findings
        self.used_facts: set[str] = set()
        self.limits = LimitReader(rule.document, params, findings)
        self.sustained: dict[str, Duration] = {}
        """The period of each fact's ``sustained`` test."""
        self.changes: dict[str, Duration] = {}
        """The longest period of each fact's ``rise`` and ``fall`` tests."""
        self.alert_tests: dict[str, list[AlertTest]] = {}
        """What is asked of single alerts of each fact."""
        self.counted: dict[str, AlertTest] = {}
        """The alerts that each fact's ``count`` counts."""

    def finished(self, name: str) -> Fact:
        """The fact with what the criteria ask of it, to which card text refers."""
        sustained, change = self.sustained.get(name), self.changes.get(name)
        tests, counted = self.alert_tests.get(name, ()), self.counted.get(name)
        if not (sustained or change or tests):
            return self.facts[name]
        return replace(
            self.facts[name],
            sustained_for=sustained,
            change_over=change,
            alert_tests=tuple(tests),
            counted=counted,
        )

    def add_scores(self, reader: int) -> None:
        """Add every score of the rule that can be built to the facts.

        What its items ask is asked of the other facts. *reader* stands for no rows.
        """
        written = {
            name: node
            for name, node in self.rule.facts.items()
            if isinstance(node, ScoreFact)
        }
        if self.rule.facts.keys() - self.facts.keys() - written.keys():
            return  # what is wrong with a fact has been told; its scores add nothing
        built = {name: self._items(node) for name, node in written.items()}
        for name, items in built.items():
            if items is not None:
                title = written[name].title
                fact = Fact(name, "score", (), reader, (), title=title, items=items)
                self.facts[name] = fact

    def _items(self, score: ScoreFact) -> tuple[Item, ...] | None:
        items = []
        for node in score.items:
            asked = self.build(node.when)
            if asked is not None:
                text = f"{node.points:+g} {node.label}"
                place = self.rule.document.position(node.path)
                whole = Criterion(
                    text, place, asked.predicate, (asked,), operator="item"
                )
                items.append(Item(node.points, node.label, whole))
        return tuple(items) if len(items) == len(score.items) else None

    def build(self, node: When) -> Criterion | None:
        """The criterion that a node stands for; None where it has an error."""
        match node:
            case Branch():
                return self._branch(node)
            case PatientTest():
                return self._patient(node)
            case PresenceTest() | FactTest():
                return self._of_fact(node)
            case _:
                assert_never(node)

    def _branch(self, node: Branch) -> Criterion | None:
        built = [self.build(child) for child in node.children]
        children = tuple(child for child in built if child is not None)
        if len(children) < len(built):
            return None
        predicates = [child.verdict for child in children]
        if node.word == "all":
            predicate = criteria.conjunction(predicates)
        else:
            predicate = criteria.disjunction(predicates)
        if node.word == "none":
            predicate = criteria.negation(predicate)
        place = self._place(node.path)
        return Criterion(node.word, place, predicate, children, operator=node.word)

    def _patient(self, node: PatientTest) -> Criterion | None:
        leaves: list[Criterion] = []
        place = self._place(node.path)
        if node.sexes:
            text = "patient sex " + " or ".join(node.sexes)
            sure = frozenset({"patient.sex"})
            predicate = person.sex(node.sexes)
            leaves.append(Criterion(text, place, predicate, sure=sure))
        for bound in node.ages:
            length = self.limits.duration(bound.amount)
            if length is None:
                return None
            text = f"patient age {bound.comparison.replace('_', ' ')} {length}"
            predicate = person.age(bound.comparison, length)
            sure = frozenset({"patient.age"})
            leaves.append(Criterion(text, place, predicate, sure=sure))
        return self._joined(leaves, node.path)

    def _joined(self, leaves: Sequence[Criterion], path: Path) -> Criterion:
        if len(leaves) == 1:
            return leaves[0]
        predicate = criteria.conjunction([leaf.verdict for leaf in leaves])
        return Criterion(
            "all", self._place(path), predicate, tuple(leaves), operator="all"
        )

    def _of_fact(self, node: PresenceTest | FactTest) -> Criterion | None:
        fact = self.facts.get(node.fact)
        if fact is None:
            self._unknown_fact(node.fact, node.path)
            return None
        self.used_facts.add(node.fact)
        if isinstance(node, PresenceTest):
            return self._presence(fact, node)
        of_all, of_one = node.parted(fact.kind)
        leaves = [self._test(fact, test) for test in of_all]
        if of_one:
            leaves.append(self._alert_test(fact, of_one, node.path))
        known = [leaf for leaf in leaves if leaf is not None]
        return self._joined(known, node.path) if len(known) == len(leaves) else None

    def _presence(self, fact: Fact, node: PresenceTest) -> Criterion | None:
        if not self._allowed(fact, node.word, node.path):
            return None
        predicates = {"present": criteria.present, "absent": criteria.absent}
        predicate = predicates[node.word](fact)
        return self._leaf(fact, node.word, node.path, predicate, node.word)

    def _alert_test(
        self, fact: Fact, tests: Sequence[Compared], path: Path
    ) -> Criterion | None:
        """All that is asked of single alerts, to hold of one and the same."""
        asked: list[tuple[str, tuple[Limit, ...]]] = []
        number: list[Limit] = []
        for test in tests:
            if not self._has_unit(fact, test):
                return None
            limits = self.limits.read(fact, test)
            if not limits:
                return None
            if test.name == "count":
                number = limits
            else:
                asked.append((test.name, tuple(limits)))
        passing = AlertTest(tuple(asked))
        self.alert_tests.setdefault(fact.name, []).append(passing)
        said = " and ".join(
            f"{name} {words(limit, name, fact)}"
            for name, limits_of in asked
            for limit in limits_of
        )
        if number:
            return self._alert_count(fact, number, passing, said, path)
        predicate = criteria.some_alert(fact, passing)
        sure = frozenset(f"{fact.name}.{name}" for name, _ in asked)
        return self._leaf(fact, said, path, predicate, "compare", sure)

    def _alert_count(
        self,
        fact: Fact,
        limits: Sequence[Limit],
        test: AlertTest,
        said: str,
        path: Path,
    ) -> Criterion:
        """Return how many alerts pass a test."""
        self.counted.setdefault(fact.name, test)
        number = " and ".join(words(limit, "count", fact) for limit in limits)
        predicates = [criteria.count_alerts(fact, test, limit) for limit in limits]
        text = f"count {number} with {said}"
        predicate = criteria.conjunction(predicates)
        return self._leaf(fact, text, path, predicate, _counts(fact, limits))

    def _test(self, fact: Fact, test: Test) -> Criterion | None:
        if not self._allowed(fact, test.name, test.path):
            return None
        if not self._has_unit(fact, test):
            return None
        match test:
            case Compared():
                return self._compared(fact, test)
            case Sustained():
                return self._sustained(fact, test)
            case OnDays():
                return self._on_days(fact, test)
            case Repeated():
                return self._repeated(fact, test)
            case RiseOrFall():
                return self._rise_or_fall(fact, test)
            case _:
                assert_never(test)

    def _compared(self, fact: Fact, test: Compared) -> Criterion | None:
        name, path = test.name, test.path
        limits = self.limits.read(fact, test)
        if not limits:
            return None
        text = f"{name} " + " and ".join(words(each, name, fact) for each in limits)
        if fact.kind == "score":
            return self._score(fact, text, limits, path)
        predicates = [criteria.compare(fact, name, limit) for limit in limits]
        predicate = (
            predicates[0] if len(predicates) == 1 else criteria.conjunction(predicates)
        )
        counts = name in OF_DAYS
        operator = _counts(fact, limits) if counts else "compare"
        needed = not counts or _needs_one(limits)
        there = {fact.name, f"{fact.name}.{name}"} if needed else ()
        return self._leaf(fact, text, path, predicate, operator, frozenset(there))

    def _score(
        self, fact: Fact, text: str, limits: Sequence[Limit], path: Path
    ) -> Criterion:
        """A limit on a score, with what it counts as its children."""
        predicates = [scores.compare(fact.items, limit) for limit in limits]
        leaf = self._leaf(fact, text, path, criteria.conjunction(predicates), "score")
        return replace(leaf, children=tuple(item.criterion for item in fact.items))

    def _sustained(self, fact: Fact, test: Sustained) -> Criterion | None:
        limit = self.limits.single(fact, test.bound)
        period = self.limits.duration(test.period)
        if limit is None or period is None:
            return None
        self.sustained[fact.name] = period
        predicate = trend.sustained(fact, limit, period, test.share, test.readings)
        text = f"sustained {words(limit, '', fact)} for {period}"
        return self._leaf(fact, text, test.path, predicate, "compare")

    def _on_days(self, fact: Fact, test: OnDays) -> Criterion | None:
        limit = self.limits.single(fact, test.bound)
        if limit is None:
            return None
        predicate = trend.on_days(fact, limit, test.days)
        text = f"{words(limit, '', fact)} on {test.days} days"
        return self._leaf(fact, text, test.path, predicate, "compare")

    def _repeated(self, fact: Fact, test: Repeated) -> Criterion | None:
        limit = self.limits.single(fact, test.bound)
        times = self.limits.number(test.times)
        apart = self.limits.duration(test.apart)
        if limit is None or times is None or apart is None:
            return None
        predicate = trend.repeated(fact, limit, times, apart)
        text = f"repeated {words(limit, '', fact)} {times:g} times, {apart} apart"
        return self._leaf(fact, text, test.path, predicate, "compare")

    def _rise_or_fall(self, fact: Fact, test: RiseOrFall) -> Criterion | None:
        limit = self.limits.single(fact, test.bound)
        over = self.limits.duration(test.over)
        if limit is None or over is None:
            return None
        windows = [part.window.length for part in fact.simple() if part.window]
        shortest = min(windows, key=lambda each: each.length, default=over)
        if over.length > shortest.length:
            self._error(
                test.over.path,
                "CDS308",
                f"`over` is {over}, but {quote(fact.name)} reads only {shortest}",
                "make the fact's `within` longer, or `over` shorter",
            )
            return None
        longest = self.changes.get(fact.name)
        if longest is None or over.length > longest.length:
            self.changes[fact.name] = over
        predicate = trend.changed(fact, test.name, limit, over)
        text = f"{test.name} {words(limit, '', fact)} over {over}"
        sure = frozenset({f"{fact.name}.{test.name}"})
        return self._leaf(fact, text, test.path, predicate, "compare", sure)

    def _allowed(self, fact: Fact, name: str, path: Path) -> bool:
        allowed = KINDS[fact.kind].tests
        if name == "coverage" and fact.kind == "wearable" and not fact.has_coverage:
            message = f"the coverage of days of {quote(fact.name)} cannot be known"
            help = "test on how many `days` there are data"
            self._error(path, "CDS311", message, help, key=True)
            return False
        if name in allowed:
            return True
        if fact.kind in WORN and name == "absent":
            message = f"`absent` cannot be used for {quote(fact.name)}"
            self._error(path, "CDS306", message, _NOTHING_CAME[fact.kind])
            return False
        self._error(
            path,
            "CDS302",
            f"{quote(name)} does not apply to {quote(fact.name)}",
            suggest(name, allowed),
            key=name not in ("present", "absent"),
        )
        return False

    def _has_unit(self, fact: Fact, test: Test) -> bool:
        compared = (*REDUCERS, "value", "typical", "threshold")
        numeric = not isinstance(test, Compared) or test.name in compared
        if fact.unit or not numeric or fact.kind == "score":
            return True
        message = f"{quote(fact.name)} has no unit, so its numbers cannot be compared"
        self._error(test.path, "CDS305", message, "give the fact a `unit:`", key=True)
        return False

    def _leaf(
        self,
        fact: Fact,
        words: str,
        path: Path,
        predicate: Predicate,
        operator: str,
        sure: frozenset[str] = frozenset(),
    ) -> Criterion:
        place, text = self._place(path), f"{fact.name} {words}"
        return Criterion(text, place, predicate, (), fact.name, operator, sure)

    def _unknown_fact(self, name: str, path: Path) -> None:
        if isinstance(self.rule.facts.get(name), ScoreFact):
            message = f"{quote(name)} is a score, and a score cannot count another"
            self._error(path, "CDS229", message, "list its items here", key=True)
            return
        self._error(
            path,
            "CDS301",
            f"there is no fact {quote(name)} in this rule",
            suggest(name, [*self.facts, "all", "any", "none", "patient"]),
            key=True,
        )

    def _place(self, path: Path) -> Position:
        return self.rule.document.position(path, key=True)

    def _error(
        self, path: Path, code: str, message: str, help: str = "", key: bool = False
    ) -> None:
        self.findings.error(self.rule.document, path, code, message, help, key)


def _counts(fact: Fact, limits: Sequence[Limit]) -> str:
    """The operator of a leaf that counts: ``compare`` where no row means no.

    Entries that are not recognised may be counted too, but alerts are all recognised.
    """
    needed = _needs_one(limits) and fact.kind in WORN
    return "compare" if needed else "count"


_NOTHING_CAME = {
    "wearable_alert": "no alert proves nothing; test for one that was received",
    "wearable": "no data proves nothing; test how many `days` there are",
    "stream": "there may be no stream at all; test for one that is `present`",
}


def _needs_one(limits: Sequence[Limit]) -> bool:
    """Return whether a count of none does not pass."""
    return any(each.of(exactly(0)) is False for each in limits)
