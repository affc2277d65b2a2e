"""The ``when`` tree of a rule file, compiled to judges."""

from collections.abc import Mapping, Sequence
from typing import Any

from . import criteria
from .criteria import Judge, Limit
from .document import Document, Path
from .facts import KINDS, REDUCERS, Fact
from .findings import Findings, quote, suggest
from .intervals import Duration, parse_duration
from .rules import Criterion, Param

_TIMES = {"duration", "age"}
_PLAIN = {"count", "coverage"}
"""Numbers that need no unit."""


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
        self.facts = facts
        self.params = params
        self.findings = findings
        self.used_facts: set[str] = set()
        self.used_params: set[str] = set()
        self.sustained: dict[str, Duration] = {}
        """The period of each fact's ``sustained`` test."""

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
        judges = [child.judge for child in children]
        if word == "all":
            judge = criteria.conjunction(judges)
        else:
            judge = criteria.disjunction(judges)
        if word == "none":
            judge = criteria.negation(judge)
        return Criterion(word, self._place(path), judge, children, operator=word)

    def _patient(self, body: Mapping[str, Any], path: Path) -> Criterion | None:
        leaves: list[Criterion] = []
        place = self._place(path)
        if "sex" in body:
            allowed = body["sex"]["in"]
            text = "patient sex " + " or ".join(allowed)
            leaves.append(Criterion(text, place, criteria.sex(allowed)))
        for comparison, value, where in self._comparisons(body.get("age"), path, "age"):
            length = self._duration(value, where)
            if length is None:
                return None
            text = f"patient age {comparison.replace('_', ' ')} {length}"
            leaves.append(Criterion(text, place, criteria.age(comparison, length)))
        return self._joined(leaves, path)

    def _joined(self, leaves: Sequence[Criterion], path: Path) -> Criterion:
        if len(leaves) == 1:
            return leaves[0]
        judge = criteria.conjunction([leaf.judge for leaf in leaves])
        return Criterion("all", self._place(path), judge, tuple(leaves), operator="all")

    def _test(self, fact: Fact, body: Any, path: Path) -> Criterion | None:
        if isinstance(body, str):
            return self._presence(fact, body, path)
        leaves = [self._one_test(fact, name, body[name], path) for name in body]
        known = [leaf for leaf in leaves if leaf is not None]
        return self._joined(known, path) if len(known) == len(leaves) else None

    def _presence(self, fact: Fact, word: str, path: Path) -> Criterion | None:
        if not self._allowed(fact, word, path):
            return None
        judge = {"present": criteria.present, "absent": criteria.absent}[word](fact)
        return self._leaf(fact, word, path, judge, word)

    def _one_test(
        self, fact: Fact, name: str, body: Any, path: Path
    ) -> Criterion | None:
        where = (*path, name)
        if not self._allowed(fact, name, where):
            return None
        if name == "sustained":
            return self._sustained(fact, body, where)
        if name == "on_days":
            return self._on_days(fact, body, where)
        if not self._has_unit(fact, name, where):
            return None
        limits = self._limits(fact, name, body, where)
        if not limits:
            return None
        words = " and ".join(_words(each, name, fact) for each in limits)
        if name in ("duration", "age", "local_time", "coverage", "threshold"):
            judge = criteria.newest_alert(fact, name, limits)
        else:
            judges = [criteria.compare(fact, name, limit) for limit in limits]
            judge = judges[0] if len(judges) == 1 else criteria.conjunction(judges)
        operator = "count" if name == "count" else "compare"
        return self._leaf(fact, f"{name} {words}", where, judge, operator)

    def _sustained(
        self, fact: Fact, body: Mapping[str, Any], path: Path
    ) -> Criterion | None:
        limit = self._single_limit(fact, body, path)
        period = self._duration(body["for"], (*path, "for"))
        if (
            limit is None
            or period is None
            or not self._has_unit(fact, "sustained", path)
        ):
            return None
        self.sustained[fact.name] = period
        share, readings = body.get("share", 1.0), body.get("readings", 3)
        judge = criteria.sustained(fact, limit, period, share, readings)
        text = f"sustained {_words(limit, '', fact)} for {period}"
        return self._leaf(fact, text, path, judge, "compare")

    def _on_days(
        self, fact: Fact, body: Mapping[str, Any], path: Path
    ) -> Criterion | None:
        limit = self._single_limit(fact, body, path)
        if limit is None or not self._has_unit(fact, "on_days", path):
            return None
        judge = criteria.on_days(fact, limit, body["days"])
        text = f"{_words(limit, '', fact)} on {body['days']} days"
        return self._leaf(fact, text, path, judge, "compare")

    def _single_limit(
        self, fact: Fact, body: Mapping[str, Any], path: Path
    ) -> Limit | None:
        comparison = next(name for name in criteria.COMPARISONS if name in body)
        value = self._number(body[comparison], (*path, comparison), "", fact)
        return None if value is None else Limit(comparison, value)

    def _limits(
        self, fact: Fact, name: str, body: Mapping[str, Any], path: Path
    ) -> list[Limit]:
        limits = []
        for comparison, value, where in self._comparisons(body, path[:-1], name):
            number = self._number(value, where, name, fact)
            if number is None:
                return []
            limits.append(Limit(comparison, number))
        if len(limits) == 2 and name != "local_time":
            if limits[0].value >= limits[1].value:
                self._error((*path, "between"), "CDS307", "this range is empty")
                return []
        return limits

    def _comparisons(
        self, body: Mapping[str, Any] | None, path: Path, name: str
    ) -> list[tuple[str, Any, Path]]:
        """Comparison, limit and place; ``between`` is two of them."""
        found: list[tuple[str, Any, Path]] = []
        for comparison, value in (body or {}).items():
            where = (*path, name, comparison)
            if comparison == "between":
                found.append(("at_least", value[0], (*where, 0)))
                found.append(("below", value[1], (*where, 1)))
            else:
                found.append((comparison, value, where))
        return found

    def _number(self, value: Any, path: Path, name: str, fact: Fact) -> float | None:
        """A limit as a number: in the fact's unit, in seconds, or minutes of a day."""
        if name in _TIMES:
            length = self._duration(value, path)
            return None if length is None else criteria.seconds(length)
        if name == "local_time":
            return self._minutes(value, path)
        found = self._param(value, path) if _is_param(value) else value
        if isinstance(found, Duration) or isinstance(found, str):
            self._error(path, "CDS304", f"{quote(value)} is not a number")
            return None
        return None if found is None else float(found)

    def _duration(self, value: Any, path: Path) -> Duration | None:
        found = self._param(value, path) if _is_param(value) else parse_duration(value)
        if isinstance(found, Duration):
            return found
        if found is not None or not _is_param(value):
            self._error(
                path,
                "CDS222",
                f"{quote(value)} is not a duration",
                "write e.g. `7 days`, `24 hours`, `18 years`",
            )
        return None

    def _minutes(self, value: Any, path: Path) -> float | None:
        hour, _, minute = str(value).partition(":")
        if not (hour.isdigit() and minute.isdigit() and len(minute) == 2):
            self._error(
                path, "CDS304", f"{quote(value)} is not a time of day", "write `22:00`"
            )
            return None
        return float(int(hour) * 60 + int(minute))

    def _param(self, value: str, path: Path) -> float | Duration | None:
        param = self.params.get(value[1:])
        if param is None:
            names = [f"${name}" for name in self.params]
            self._error(
                path,
                "CDS303",
                f"there is no param {quote(value)}",
                suggest(value, names),
            )
            return None
        self.used_params.add(param.name)
        return param.value

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
        numeric = name in (*REDUCERS, "sustained", "on_days", "value", "threshold")
        if fact.unit or not numeric:
            return True
        message = f"{quote(fact.name)} has no unit, so its numbers mean nothing"
        self._error(path, "CDS305", message, "give the fact a `unit:`", key=True)
        return False

    def _leaf(
        self, fact: Fact, words: str, path: Path, judge: Judge, operator: str
    ) -> Criterion:
        text = f"{fact.name} {words}"
        return Criterion(
            text, self._place(path), judge, fact=fact.name, operator=operator
        )

    def _unknown_fact(self, name: str, path: Path) -> None:
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


def _is_param(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("$")


def _words(limit: Limit, name: str, fact: Fact) -> str:
    comparison = limit.comparison.replace("_", " ")
    if name in _TIMES:
        return f"{comparison} {limit.value / 60:g} minutes"
    if name == "local_time":
        hour, minute = divmod(int(limit.value), 60)
        return f"{comparison} {hour:02}:{minute:02}"
    unit = "" if name in _PLAIN or not fact.unit else f" {fact.unit}"
    return f"{comparison} {limit.value:g}{unit}"
