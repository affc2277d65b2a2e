"""The limits of a rule file as numbers: in the fact's unit, in seconds, or minutes."""

from collections.abc import Mapping
from typing import Any

from ..engine.facts import CHANGES, REDUCERS, Fact
from ..engine.rules import Param
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..values import intervals
from ..values.intervals import Duration, Limit, exactly, parse_duration

_TIMES = {"duration", "age"}
_PLAIN = {"count", "coverage"}
"""Numbers that need no unit."""


class LimitReader:
    """Reads the limits of one rule."""

    def __init__(
        self, document: Document, params: Mapping[str, Param], findings: Findings
    ) -> None:
        self.document = document
        self.params = params
        self.findings = findings
        self.used_params: set[str] = set()

    def single(self, fact: Fact, body: Mapping[str, Any], path: Path) -> Limit | None:
        """The one comparison of a test of the trend of readings."""
        comparison = next(name for name in intervals.COMPARISONS if name in body)
        where = (*path, comparison)
        value = self._number(body[comparison], where, "", fact)
        if value is None:
            return None
        limit = Limit(comparison, value)
        if path[-1] not in CHANGES:
            self._check_plausible(limit, where, fact)
        return limit

    def read(
        self, fact: Fact, name: str, body: Mapping[str, Any], path: Path
    ) -> list[Limit]:
        """What a value is compared with; nothing where there is an error."""
        limits = []
        for comparison, value, where in self.comparisons(body, path[:-1], name):
            number = self._number(value, where, name, fact)
            if number is None:
                return []
            limits.append(Limit(comparison, number))
            if name in REDUCERS:
                self._check_plausible(limits[-1], where, fact)
        if len(limits) == 2 and name != "local_time":
            if limits[0].value >= limits[1].value:
                help = "write the smaller limit first"
                self._error((*path, "between"), "CDS307", "this range is empty", help)
                return []
        return limits

    def _check_plausible(self, limit: Limit, path: Path, fact: Fact) -> None:
        """A limit that every value that is used meets, or none, was hardly meant."""
        if fact.plausible is None:
            return
        low, high = fact.plausible
        answers = {limit.of(exactly(each)) for each in (low, high)}
        if len(answers) == 2:
            return
        always = answers == {True}
        said = words(limit, "", fact)
        self._error(
            path,
            "CDS243",
            f"{'every' if always else 'no'} value of {quote(fact.name)} is {said}: "
            f"those outside {low:g} to {high:g} {fact.unit} are not used",
            "correct the limit, the unit, or what its value set calls plausible",
        )

    def comparisons(
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
            length = self.duration(value, path)
            return None if length is None else intervals.seconds(length)
        if name == "local_time":
            return self._minutes(value, path)
        self._compare_units(value, path, fact)
        return self.number(value, path)

    def _compare_units(self, value: Any, path: Path, fact: Fact) -> None:
        """A param that says its unit says the unit of what it is compared with."""
        param = self.params.get(value[1:]) if _is_param(value) else None
        if param and param.unit and fact.unit and param.unit != fact.unit:
            message = f"{quote(value)} is in {param.unit}, {quote(fact.name)} in "
            help = "give both the same unit; the number is not converted"
            self._error(path, "CDS309", message + fact.unit, help)

    def number(self, value: Any, path: Path) -> float | None:
        """A number, or the param that holds one."""
        found = self._param(value, path) if _is_param(value) else value
        if isinstance(found, Duration) or isinstance(found, str):
            help = "write a number, or name a param that is one"
            self._error(path, "CDS304", f"{quote(value)} is not a number", help)
            return None
        return None if found is None else float(found)

    def duration(self, value: Any, path: Path) -> Duration | None:
        """A duration, or the param that holds one."""
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
                suggest(value, names) or "define it under `params`",
            )
            return None
        self.used_params.add(param.name)
        return param.value

    def _error(self, path: Path, code: str, message: str, help: str = "") -> None:
        self.findings.error(self.document, path, code, message, help)


def _is_param(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("$")


def words(limit: Limit, name: str, fact: Fact) -> str:
    """A comparison as an author reads it: ``above 100 /min``."""
    comparison = limit.comparison.replace("_", " ")
    if name in _TIMES:
        return f"{comparison} {limit.value / 60:g} minutes"
    if name == "local_time":
        hour, minute = divmod(int(limit.value), 60)
        return f"{comparison} {hour:02}:{minute:02}"
    unit = "" if name in _PLAIN or not fact.unit else f" {fact.unit}"
    return f"{comparison} {limit.value:g}{unit}"


def number_or_duration(value: Any) -> float | Duration | None:
    """What the value of a param is; None if it is neither."""
    if isinstance(value, bool) or value is None:
        return None
    return float(value) if isinstance(value, int | float) else parse_duration(value)


def size(value: float | Duration) -> float:
    """A number by which values of one param compare."""
    return intervals.seconds(value) if isinstance(value, Duration) else value
