"""Conditions that can never hold together.

What is joined by ``all`` is read as ranges: of an age, of a count, of the one number
that a reducer makes of a fact. An empty range is a card that is never shown.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..engine.facts import REDUCERS, Fact
from ..engine.rules import Param
from ..language.diagnostics import Findings, Level, quote
from ..language.document import Document, Path
from ..values.intervals import RISING, Duration, parse_duration, seconds

_OPPOSITE = {
    "above": "at_most",
    "at_most": "above",
    "below": "at_least",
    "at_least": "below",
}
_SINGLE = frozenset({*REDUCERS, "count", "value"})
"""What is one number, whichever criterion asks for it."""
_JOINTS = frozenset({"all", "any", "none"})
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
    document: Document,
    facts: Mapping[str, Fact],
    params: Mapping[str, Param],
    findings: Findings,
) -> None:
    """Report conditions of a rule that can never hold together."""
    reader = _Reader(document, facts, params, findings)
    whole = reader.check(document.data["when"], ("when",), ())
    if whole is None:
        return
    cards: list[tuple[Path, Any]] = [(("card",), document.data.get("card"))]
    cards += [(("cards", n), c) for n, c in enumerate(document.data.get("cards", ()))]
    for path, card in cards:
        if card and "when" in card:
            reader.check(card["when"], (*path, "when"), whole)


class _Reader:
    def __init__(
        self,
        document: Document,
        facts: Mapping[str, Fact],
        params: Mapping[str, Param],
        findings: Findings,
    ) -> None:
        self.document = document
        self.facts = facts
        self.params = params
        self.findings = findings

    def check(
        self,
        node: Any,
        path: Path,
        known: tuple[Demand, ...],
        level: Level = Level.ERROR,
    ) -> tuple[Demand, ...] | None:
        """Return all that holds where *node* does; None, with a finding, if never."""
        demands = known
        for demand in self._demands(node, path):
            other = next((each for each in demands if _clash(each, demand)), None)
            if other is not None:
                self._tell(other, demand, level)
                return None
            demands += (demand,)
        for branches, where in _choices(node, path):
            for index, branch in enumerate(branches):
                # The others may hold still.
                self.check(branch, (*where, index), demands, Level.WARNING)
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
            f"this can never hold beside {quote(first.said)} on line {line}: "
            f"{quote(second.said)}",
            "correct one of the two; for either of them, write `any`",
            key=True,
        )

    def _demands(self, node: Any, path: Path) -> Iterator[Demand]:
        """What must hold wherever *node* does."""
        (word, body), *_ = node.items()
        where = (*path, word)
        if word == "all":
            for index, each in enumerate(body):
                yield from self._demands(each, (*where, index))
        elif word == "none":
            for index, each in enumerate(body):
                yield from self._refused(each, (*where, index))
        elif word == "any" and len(body) == 1:
            yield from self._demands(body[0], (*where, 0))
        elif word == "patient":
            yield from self._of_patient(body, where)
        elif word != "any":
            yield from self._of_fact(word, body, where)

    def _refused(self, node: Any, path: Path) -> Iterator[Demand]:
        """What must hold where *node* does not: of a single test, its opposite."""
        (word, body), *_ = node.items()
        if word == "any" or (word == "all" and len(body) == 1):
            for index, each in enumerate(body):
                yield from self._refused(each, (*path, word, index))
        found = [] if word in _JOINTS else list(self._demands(node, path))
        if len(found) == 1 and found[0].comparison in _OPPOSITE:
            only = found[0]
            if only.subject[1] in ("count", "age") or isinstance(body, str):
                turned_to = _OPPOSITE[only.comparison]
                yield only._replace(comparison=turned_to, said=f"not {only.said}")

    def _of_patient(self, body: Mapping[str, Any], path: Path) -> Iterator[Demand]:
        if "sex" in body:
            said = "sex " + " or ".join(body["sex"]["in"])
            where = (*path, "sex")
            yield Demand(
                ("patient", "sex"), "in", frozenset(body["sex"]["in"]), where, said
            )
        yield from self._compared("patient", "age", body.get("age"), path)

    def _of_fact(self, name: str, body: Any, path: Path) -> Iterator[Demand]:
        there = Demand((name, "count"), "at_least", 1.0, path, f"{name} present")
        if body == "absent":
            yield there._replace(comparison="below", said=f"{name} absent")
        elif body == "present":
            yield there
        else:
            kind = self.facts[name].kind
            if set(body) - {"count"} and kind != "score":
                yield there._replace(said=f"{name} {next(iter(body))}")
            for test in body:
                # Each alert may have another value, and be counted otherwise.
                if test in _SINGLE and kind != "wearable_alert":
                    yield from self._compared(name, test, body[test], path)

    def _compared(self, name: str, of: str, body: Any, path: Path) -> Iterator[Demand]:
        for comparison, limit in (body or {}).items():
            where = (*path, of, comparison)
            pairs = [(comparison, limit)]
            if comparison == "between":
                pairs = [("at_least", limit[0]), ("below", limit[1])]
            for word, value in pairs:
                number = self._number(value)
                if number is not None:
                    said = f"{name} {of} {word.replace('_', ' ')} {value}"
                    yield Demand((name, of), word, number, where, said)

    def _number(self, value: Any) -> float | None:
        if isinstance(value, str) and value.startswith("$"):
            param = self.params.get(value[1:])
            value = param.value if param else None
        elif isinstance(value, str):
            value = parse_duration(value)
        if isinstance(value, Duration):
            days = _DAYS.get(value.unit)
            return value.count * days * 86400 if days else seconds(value)
        return float(value) if isinstance(value, int | float) else None


def _choices(node: Any, path: Path) -> Iterator[tuple[list[Any], Path]]:
    """Every ``any`` of which one branch must hold where *node* does."""
    (word, body), *_ = node.items()
    if word == "any" and len(body) > 1:
        yield body, (*path, word)
    elif word in ("all", "any"):
        for index, each in enumerate(body):
            yield from _choices(each, (*path, word, index))


def _clash(one: Demand, other: Demand) -> bool:
    """Whether two demands leave nothing between them."""
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
