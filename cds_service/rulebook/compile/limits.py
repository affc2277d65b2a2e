"""The limits of a rule file as numbers: in the fact's unit, in seconds, or minutes."""

from collections.abc import Mapping

from ..engine.facts import CHANGES, REDUCERS, Fact
from ..engine.rules import Param
from ..language.criterion_tree import Amount, Bound, Compared
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..values import intervals
from ..values.intervals import Duration, Limit, exactly

_TIMES = {"duration", "age"}
_PLAIN = {"count", "days", "coverage"}
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

    def single(self, fact: Fact, bound: Bound) -> Limit | None:
        """The one comparison of a test of the trend of readings."""
        value = self._number(bound.amount, "", fact)
        if value is None:
            return None
        limit = Limit(bound.comparison, value)
        if bound.attribute not in CHANGES:
            self._check_plausible(limit, bound.path, fact)
        return limit

    def read(self, fact: Fact, test: Compared) -> list[Limit]:
        """Return what a value is compared with; nothing where there is an error."""
        limits = []
        for bound in test.bounds:
            number = self._number(bound.amount, test.name, fact)
            if number is None:
                return []
            limits.append(Limit(bound.comparison, number))
            if test.name in REDUCERS:
                self._check_plausible(limits[-1], bound.path, fact)
        if len(limits) == 2 and _is_empty(limits[0], limits[1], test.name):
            where, help = test.bounds[0].key, "write the lower limit first"
            if test.name == "local_time":
                help = "let it end at a different time from its start"
            self._error(where, "CDS307", "this range is empty", help)
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

    def _number(self, amount: Amount, name: str, fact: Fact) -> float | None:
        """A limit as a number: in the fact's unit, in seconds, or minutes of a day."""
        if name in _TIMES:
            length = self.duration(amount)
            return None if length is None else intervals.seconds(length)
        if name == "local_time":
            return self._minutes(amount)
        if name not in _PLAIN:
            self._compare_units(amount, fact)
        return self.number(amount)

    def _compare_units(self, amount: Amount, fact: Fact) -> None:
        """A param that says its unit says the unit of what it is compared with."""
        param = self.params.get(amount.param)
        if param and param.unit and fact.unit and param.unit != fact.unit:
            name, unit = quote(amount.written), param.unit
            message = f"{name} is in {unit}, {quote(fact.name)} in {fact.unit}"
            help = "give both the same unit; the number is not converted"
            self._error(amount.path, "CDS309", message, help)

    def number(self, amount: Amount) -> float | None:
        """A number, or the param that holds one."""
        found = self._param(amount) if amount.param else amount.value
        if isinstance(found, Duration | str):
            help = "write a number, or name a param that is one"
            message = f"{quote(amount.written)} is not a number"
            self._error(amount.path, "CDS304", message, help)
            return None
        return found

    def duration(self, amount: Amount) -> Duration | None:
        """A duration, or the param that holds one."""
        found = self._param(amount) if amount.param else amount.value
        if isinstance(found, Duration):
            return found
        if found is not None:
            self._error(
                amount.path,
                "CDS222",
                f"{quote(amount.written)} is not a duration",
                "write e.g. `7 days`, `24 hours`, `18 years`",
            )
        return None

    def _minutes(self, amount: Amount) -> float:
        hour, _, minute = str(amount.written).partition(":")
        return float(int(hour) * 60 + int(minute))

    def _param(self, amount: Amount) -> float | Duration | None:
        param = self.params.get(amount.param)
        if param is None:
            names = [f"${name}" for name in self.params]
            self._error(
                amount.path,
                "CDS303",
                f"there is no param {quote(amount.written)}",
                suggest(str(amount.written), names) or "define it under `params`",
            )
            return None
        self.used_params.add(param.name)
        return param.value

    def _error(self, path: Path, code: str, message: str, help: str = "") -> None:
        self.findings.error(self.document, path, code, message, help)


def _is_empty(first: Limit, last: Limit, name: str) -> bool:
    """Check if nothing lies between; from 22:00 to 06:00 is past midnight."""
    if name == "local_time":
        return first.value == last.value
    return first.value >= last.value


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
