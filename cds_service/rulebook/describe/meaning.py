"""What the conditions of a rule file ask, without how they are written.

Formatting, nesting that changes nothing and the names of parameters are gone; defaults
are filled in. Pages say it in words, and comparing two files compares it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..compile.params import number_or_duration
from ..engine.facts import Criterion, Fact
from ..engine.rules import Rule
from ..language.document import Document, Path, Position
from ..language.tree import ALERT_ATTRIBUTES
from ..values.intervals import COMPARISONS, Duration, parse_duration

Value = float | Duration | str
"""A limit: a number in the fact's unit, a length of time, or a time of day."""

Params = Mapping[str, float | Duration]
BRANCHES = ("all", "any", "none")
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "sustained": {"share": 1.0, "readings": 3.0},
}


@dataclass(frozen=True, slots=True)
class Bound:
    """One comparison: ``above 100``."""

    attribute: str
    """What is compared, such as ``latest``, ``local_time`` or ``age``."""
    comparison: str
    value: Value
    param: str = ""
    """The parameter that the limit comes from; no part of what it means."""


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
    """What a test is told beside its limit: ``for``, ``share``, ``days``; ``sex``."""
    children: tuple["Clause", ...] = ()

    def walk(self) -> Iterator["Clause"]:
        """The clause and all in it, in the order of the file."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A compiled rule beside the file that it was compiled from."""

    rule: Rule
    document: Document

    @property
    def data(self) -> Mapping[str, Any]:
        """The file's content."""
        data: Mapping[str, Any] = self.document.data
        return data

    def line(self, path: Path) -> int:
        """The line of a key; of its nearest parent where it is not there."""
        return self.document.position(path, key=True).line

    def defaults(self) -> dict[str, float | Duration]:
        """The parameters as the file sets them, whatever a site tunes."""
        found = {
            name: number_or_duration(body["default"])
            for name, body in self.data.get("params", {}).items()
        }
        return {name: value for name, value in found.items() if value is not None}

    def tuned(self) -> dict[str, float | Duration]:
        """The parameters as they hold at this site."""
        return {name: param.value for name, param in self.rule.params.items()}

    def when(self, params: Params) -> Clause:
        """What the rule asks."""
        return simplified(self._read(("when",), params))

    def scores(self, params: Params) -> dict[str, Clause]:
        """The scores among the facts, by name."""
        return {
            name: Clause(
                "score", ("facts", name), name, (), {}, self._items(name, params)
            )
            for name, fact in self.rule.facts.items()
            if fact.kind == "score"
        }

    def clauses(self, params: Params) -> Iterator[Clause]:
        """Everything that the rule, its cards and its scores ask."""
        yield from self.when(params).walk()
        for path in self.card_paths():
            when = self.card_when(path, params)
            if when is not None:
                yield from when.walk()
        for score in self.scores(params).values():
            yield from score.walk()

    def card_paths(self) -> list[Path]:
        """Where the cards stand, in order."""
        if "card" in self.data:
            return [("card",)]
        return [("cards", index) for index in range(len(self.data["cards"]))]

    def card_when(self, path: Path, params: Params) -> Clause | None:
        """What a card asks beyond the rule; None if nothing."""
        where = (*path, "when")
        if self.document.value(where) is None:
            return None
        return simplified(self._read(where, params))

    def _read(self, path: Path, params: Params) -> Clause:
        kinds = {name: fact.kind for name, fact in self.rule.facts.items()}
        return read_clause(self.document.value(path), path, params, kinds)

    def _items(self, name: str, params: Params) -> tuple[Clause, ...]:
        where: Path = ("facts", name, "score", "items")
        return tuple(
            Clause(
                "item",
                (*where, index, "label"),
                "",
                (),
                {"points": float(body["points"]), "label": body["label"]},
                (simplified(self._read((*where, index, "when"), params)),),
            )
            for index, body in enumerate(self.document.value(where))
        )


@dataclass(frozen=True, slots=True)
class Use:
    """One place where a rule makes use of a fact."""

    text: str
    """The criterion, as an author reads it; empty for card text."""
    position: Position


def read_clause(
    written: Mapping[str, Any], path: Path, params: Params, kinds: Mapping[str, str]
) -> Clause:
    """The node at *path* of a rule file that compiles, as it stands.

    Args:
        kinds: The kind of each fact.
    """
    word, body = next(iter(written.items()))
    here = (*path, word)
    if word in BRANCHES:
        children = tuple(
            read_clause(each, (*here, index), params, kinds)
            for index, each in enumerate(body)
        )
        return Clause(word, here, children=children)
    if word == "patient":
        return _patient(body, here, params)
    if isinstance(body, str):
        return Clause(body, here, word)
    single = [name for name in body if name in ALERT_ATTRIBUTES]
    if kinds.get(word) != "wearable_alert":
        single = []
    elif single:
        single += [name for name in body if name == "count"]
    leaves = [
        _test(word, name, body[name], (*here, name), params)
        for name in body
        if name not in single
    ]
    if single:
        bounds = tuple(b for name in single for b in _bounds(name, body[name], params))
        leaves.append(Clause("alert", here, word, bounds))
    return leaves[0] if len(leaves) == 1 else Clause("all", here, children=(*leaves,))


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


def _patient(body: Mapping[str, Any], path: Path, params: Params) -> Clause:
    leaves = []
    if "sex" in body:
        options = {"sex": tuple(sorted(body["sex"]["in"]))}
        leaves.append(Clause("patient", path, "", (), options))
    if "age" in body:
        bounds = tuple(_bounds("age", body["age"], params))
        leaves.append(Clause("patient", path, "", bounds))
    return leaves[0] if len(leaves) == 1 else Clause("all", path, children=(*leaves,))


def _test(fact: str, name: str, body: Any, path: Path, params: Params) -> Clause:
    if not isinstance(body, Mapping):
        return Clause(name, path, fact, (), {"value": _value(body, params)[0]})
    options = dict(_DEFAULTS.get(name, {}))
    for key, value in body.items():
        if key not in COMPARISONS and key != "between":
            options[key] = _value(value, params)[0]
    bounds = tuple(_bounds(name, body, params))
    return Clause(name, path, fact, bounds, options)


def _bounds(attribute: str, body: Mapping[str, Any], params: Params) -> Iterator[Bound]:
    for comparison, written in body.items():
        if comparison == "between":
            for word, each in zip(("at_least", "below"), written, strict=True):
                yield Bound(attribute, word, *_value(each, params))
        elif comparison in COMPARISONS:
            yield Bound(attribute, comparison, *_value(written, params))


def _value(written: Any, params: Params) -> tuple[Any, str]:
    """A value with its parameter resolved, and the parameter's name."""
    if isinstance(written, str) and written.startswith("$"):
        name = written[1:]
        return params.get(name, written), name
    if isinstance(written, bool) or not isinstance(written, int | float | str):
        return written, ""
    if isinstance(written, str):
        return parse_duration(written) or written, ""
    return float(written), ""
