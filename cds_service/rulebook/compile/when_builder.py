"""The ``when`` tree of a rule file, compiled to predicates."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..engine import alert_tests, criteria, person, scores
from ..engine.alert_tests import AlertTest
from ..engine.facts import CHANGES, KINDS, REDUCERS, TRENDS, Criterion, Fact, Predicate
from ..engine.rules import Param
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..values.intervals import Limit, exactly
from .limits import LimitReader, words
from .trend_builder import TrendBuilder


class WhenBuilder:
    """Compiles the conditions of one rule."""

    def __init__(
        self,
        document: Document,
        facts: Mapping[str, Fact],
        params: Mapping[str, Param],
        findings: Findings,
    ) -> None:
        self.document = document
        self.facts = dict(facts)
        self.findings = findings
        self.used_facts: set[str] = set()
        self.limits = LimitReader(document, params, findings)
        self.trend = TrendBuilder(document, self.limits, findings)
        self.alert_tests: dict[str, list[AlertTest]] = {}
        """What is asked of single alerts of each fact."""
        self.counted: dict[str, AlertTest] = {}
        """The alerts that each fact's ``count`` counts."""

    def finished(self, name: str) -> Fact:
        """The fact with what the conditions ask of it, to which card text refers."""
        return replace(
            self.facts[name],
            sustained_for=self.trend.sustained.get(name),
            change_over=self.trend.changes.get(name),
            alert_tests=tuple(self.alert_tests.get(name, ())),
            counted=self.counted.get(name),
        )

    def build(self, path: Path) -> Criterion | None:
        """The node at *path*; None where it has an error."""
        written = self.document.value(path)
        word, body = next(iter(written.items()))
        where = (*path, word)
        if word in ("all", "any", "none"):
            return self._branch(word, where, len(body))
        if word == "patient":
            return self._patient(body, where)
        fact = self.facts.get(word)
        if fact is None:
            self._unknown_fact(word, where)
            return None
        self.used_facts.add(word)
        return self._test(fact, body, where)

    def _branch(self, word: str, path: Path, size: int) -> Criterion | None:
        built = [self.build((*path, index)) for index in range(size)]
        children = tuple(child for child in built if child is not None)
        if len(children) < size:
            return None
        predicates = [child.predicate for child in children]
        if word == "all":
            predicate = criteria.conjunction(predicates)
        else:
            predicate = criteria.disjunction(predicates)
        if word == "none":
            predicate = criteria.negation(predicate)
        return Criterion(word, self._place(path), predicate, children, operator=word)

    def _patient(self, body: Mapping[str, Any], path: Path) -> Criterion | None:
        leaves: list[Criterion] = []
        place = self._place(path)
        if "sex" in body:
            allowed = body["sex"]["in"]
            text = "patient sex " + " or ".join(allowed)
            sure = frozenset({"patient.sex"})
            leaves.append(Criterion(text, place, person.sex(allowed), sure=sure))
        for comparison, value, where in self.limits.comparisons(
            body.get("age"), path, "age"
        ):
            length = self.limits.duration(value, where)
            if length is None:
                return None
            text = f"patient age {comparison.replace('_', ' ')} {length}"
            predicate, sure = person.age(comparison, length), frozenset({"patient.age"})
            leaves.append(Criterion(text, place, predicate, sure=sure))
        return self._joined(leaves, path)

    def _joined(self, leaves: Sequence[Criterion], path: Path) -> Criterion:
        if len(leaves) == 1:
            return leaves[0]
        predicate = criteria.conjunction([leaf.predicate for leaf in leaves])
        return Criterion(
            "all", self._place(path), predicate, tuple(leaves), operator="all"
        )

    def _test(self, fact: Fact, body: Any, path: Path) -> Criterion | None:
        if isinstance(body, str):
            return self._presence(fact, body, path)
        of_one = [name for name in body if self._is_of_one_alert(fact, name)]
        # Beside what is asked of single alerts, `count` says how many pass it.
        together = of_one + [name for name in body if of_one and name == "count"]
        leaves = [
            self._one_test(fact, name, body[name], path)
            for name in body
            if name not in together
        ]
        if of_one:
            leaves.append(self._alert_test(fact, body, of_one, path))
        known = [leaf for leaf in leaves if leaf is not None]
        return self._joined(known, path) if len(known) == len(leaves) else None

    def _is_of_one_alert(self, fact: Fact, name: str) -> bool:
        return fact.kind == "wearable_alert" and name in alert_tests.ATTRIBUTES

    def _alert_test(
        self, fact: Fact, body: Mapping[str, Any], names: Sequence[str], path: Path
    ) -> Criterion | None:
        """All that is asked of single alerts, to hold of one and the same."""
        asked: list[tuple[str, tuple[Limit, ...]]] = []
        for name in names:
            where = (*path, name)
            if not self._has_unit(fact, name, where):
                return None
            limits = self.limits.read(fact, name, body[name], where)
            if not limits:
                return None
            asked.append((name, tuple(limits)))
        test = AlertTest(tuple(asked))
        self.alert_tests.setdefault(fact.name, []).append(test)
        said = " and ".join(
            f"{name} {words(limit, name, fact)}"
            for name, limits in asked
            for limit in limits
        )
        if "count" in body:
            return self._alert_count(fact, body["count"], test, said, path)
        predicate = criteria.some_alert(fact, test)
        leaf = self._leaf(fact, said, path, predicate, "compare")
        return replace(leaf, sure=frozenset(f"{fact.name}.{name}" for name in names))

    def _alert_count(
        self,
        fact: Fact,
        body: Mapping[str, Any],
        test: AlertTest,
        said: str,
        path: Path,
    ) -> Criterion | None:
        """How many alerts pass a test."""
        limits = self.limits.read(fact, "count", body, (*path, "count"))
        if not limits:
            return None
        self.counted.setdefault(fact.name, test)
        number = " and ".join(words(limit, "count", fact) for limit in limits)
        predicates = [criteria.count_alerts(fact, test, limit) for limit in limits]
        text = f"count {number} with {said}"
        predicate = criteria.conjunction(predicates)
        return self._leaf(fact, text, path, predicate, _counts(fact, limits))

    def _presence(self, fact: Fact, word: str, path: Path) -> Criterion | None:
        if not self._allowed(fact, word, path):
            return None
        predicate = {"present": criteria.present, "absent": criteria.absent}[word](fact)
        return self._leaf(fact, word, path, predicate, word)

    def _one_test(
        self, fact: Fact, name: str, body: Any, path: Path
    ) -> Criterion | None:
        where = (*path, name)
        if not self._allowed(fact, name, where):
            return None
        if not self._has_unit(fact, name, where):
            return None
        if name in TRENDS:
            built = self.trend.build(fact, name, body, where)
            leaf = self._leaf(fact, *built, "compare") if built else None
            sure = frozenset({f"{fact.name}.{name}"} if name in CHANGES else ())
            return replace(leaf, sure=sure) if leaf else None
        limits = self.limits.read(fact, name, body, where)
        if not limits:
            return None
        text = f"{name} " + " and ".join(words(each, name, fact) for each in limits)
        if fact.kind == "score":
            return self._score(fact, text, limits, where)
        predicates = [criteria.compare(fact, name, limit) for limit in limits]
        predicate = (
            predicates[0] if len(predicates) == 1 else criteria.conjunction(predicates)
        )
        operator = _counts(fact, limits) if name == "count" else "compare"
        leaf = self._leaf(fact, text, where, predicate, operator)
        needed = name != "count" or _needs_one(limits)
        there = {fact.name, f"{fact.name}.{name}"} if needed else ()
        return replace(leaf, sure=frozenset(there))

    def _score(
        self, fact: Fact, text: str, limits: Sequence[Limit], path: Path
    ) -> Criterion:
        """A limit on a score, with what it counts as its children."""
        predicates = [scores.compare(fact.items, limit) for limit in limits]
        leaf = self._leaf(fact, text, path, criteria.conjunction(predicates), "score")
        return replace(leaf, children=tuple(item.criterion for item in fact.items))

    def _allowed(self, fact: Fact, name: str, path: Path) -> bool:
        allowed = KINDS[fact.kind].tests
        if name in allowed:
            return True
        if fact.kind == "wearable_alert" and name == "absent":
            self._error(
                path,
                "CDS306",
                f"`absent` cannot be asked of {quote(fact.name)}",
                "that no alert came proves nothing; ask for one that did",
            )
            return False
        self._error(
            path,
            "CDS302",
            f"{quote(name)} is not something a rule can ask of {quote(fact.name)}",
            suggest(name, allowed),
            key=name not in ("present", "absent"),
        )
        return False

    def _has_unit(self, fact: Fact, name: str, path: Path) -> bool:
        numeric = name in (*REDUCERS, *TRENDS, "value", "threshold")
        if fact.unit or not numeric or fact.kind == "score":
            return True
        message = f"{quote(fact.name)} has no unit, so its numbers mean nothing"
        self._error(path, "CDS305", message, "give the fact a `unit:`", key=True)
        return False

    def _leaf(
        self, fact: Fact, words: str, path: Path, predicate: Predicate, operator: str
    ) -> Criterion:
        text = f"{fact.name} {words}"
        return Criterion(
            text, self._place(path), predicate, fact=fact.name, operator=operator
        )

    def _unknown_fact(self, name: str, path: Path) -> None:
        if self.document.value(("facts", name, "score")) is not None:
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

    def _place(self, path: Path) -> Any:
        return self.document.position(path, key=True)

    def _error(
        self, path: Path, code: str, message: str, help: str = "", key: bool = False
    ) -> None:
        self.findings.error(self.document, path, code, message, help, key)


def _counts(fact: Fact, limits: Sequence[Limit]) -> str:
    """The operator of a leaf that counts: ``compare`` where no row means no.

    Entries that are not recognised may be counted too, but alerts are all recognised.
    """
    needed = _needs_one(limits) and fact.kind == "wearable_alert"
    return "compare" if needed else "count"


def _needs_one(limits: Sequence[Limit]) -> bool:
    """Whether a count of none does not pass."""
    return any(each.of(exactly(0)) is False for each in limits)
