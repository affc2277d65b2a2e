"""What can be wrong with a detector's numbers: that it can never open, or always does.

A detector that loads and never opens is a silence that looks like health.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ...wearables.metrics import Catalogue, Metric
from ..language.detectors import DetectorTree, PatternNode
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Path
from ..values.intervals import RISING, Duration, seconds, size

Values = Mapping[Path, float | Duration]
OF_SHARE = ("band:", "coverage")
"""What names of statistics begin with that are shares of a day."""
CUMULATIVE, OF_EACH = ("total",), ("mean", "median", "min", "max")
"""Statistics of metrics that add up over a day, and of those that do not."""


def unit_of(node: PatternNode, metric: Metric) -> str:
    """Return the UCUM unit in which a pattern's limit is, and an episode's value."""
    statistic = node.words.get("statistic", "")
    if node.kind == "days" and statistic.startswith(OF_SHARE):
        return "1"
    return "min" if statistic == "worn" else metric.unit


def check_pattern(
    tree: DetectorTree,
    values: Values,
    metric: Metric,
    catalogue: Catalogue,
    findings: Findings,
) -> None:
    """Report what of a detector does not fit together, its amounts being known."""
    _Checker(tree, values, metric, catalogue, findings).check()


@dataclass(slots=True)
class _Checker:
    tree: DetectorTree
    values: Values
    metric: Metric
    catalogue: Catalogue
    findings: Findings

    def check(self) -> None:
        kind = self.tree.pattern.kind
        self._check_limit()
        self._check_statistic()
        self._check_days()
        if kind == "sustained":
            self._check_clear()
            self._check_lengths()
            self._check_pace()
            self._check_rest()
        elif kind == "gain":
            self._check_steps()
        for few, many, said in _OF_DAYS.get(kind, ()):
            if self._number(few) > self._number(many):
                message = f"this can never open: {self._said(few)} {said} "
                message += self._said(many)
                help = f"write a smaller {quote(few)}, or a greater {quote(many)}"
                self._error(self._path(few), "CDS266", message, help)

    def _check_limit(self) -> None:
        """A limit that no plausible value reaches, or every one, was hardly meant."""
        node, low, high = self.tree.pattern, self.metric.lowest, self.metric.highest
        if node.limit is None or node.kind not in ("sustained", "days"):
            return
        unit = unit_of(node, self.metric)
        if unit == "1":
            low, high = 0.0, 1.0
        elif unit != self.metric.unit or node.words.get("statistic") == "total":
            return
        limit, rising = self.values[node.limit.path], node.comparison in RISING
        assert not isinstance(limit, Duration)
        strict = node.comparison in ("above", "below")
        best, worst = (high, low) if rising else (low, high)
        sign = 1 if rising else -1
        range_ = f"values are {low:g} to {high:g} {unit}".removesuffix(" 1")
        written = f"{node.comparison.replace('_', ' ')} {limit:g}"
        reach, least = sign * (best - limit), sign * (worst - limit)
        if reach < 0 or (strict and reach == 0):
            message = f"this can never open: no value is {written}; {range_}"
            self._error(node.limit.path, "CDS266", message, "correct the limit")
        elif least > 0 or (not strict and least == 0):
            message = f"every value is {written}; {range_}"
            self._error(node.limit.path, "CDS267", message, "correct the limit")

    def _check_clear(self) -> None:
        """What is clear lies on the safe side of the limit, or at it."""
        node = self.tree.pattern
        if "clear" not in node.amounts:
            return
        clear, limit = self._number("clear"), self._limit()
        rising = node.comparison in RISING
        if (clear > limit) if rising else (clear < limit):
            side = "at most" if rising else "at least"
            message = f"{clear:g} is on the wrong side of the limit, {limit:g}"
            help = f"write a number that is {side} {limit:g}"
            self._error(self._path("clear"), "CDS265", message, help)

    def _check_lengths(self) -> None:
        for short, long, why in _OF_TIME:
            if self._number(short) >= self._number(long):
                message = (
                    f"{quote(long)}, {self._said(long)}, is not longer than "
                    f"{quote(short)}, {self._said(short)}: {why}"
                )
                help = f"write a longer {quote(long)}"
                self._error(self._path(long), "CDS268", message, help)

    def _check_pace(self) -> None:
        """Readings as far apart as one may speak fill the time with too few."""
        hold, gap = self._number("for"), self._number("speaks_for")
        wanted = int(self._number("readings"))
        if not gap or wanted <= int(hold / gap) + 1:
            return
        there = int(hold / gap) + 1
        message = (
            f"this can never open on readings every {self._said('speaks_for')}: "
            f"{there} of them lie in {self._said('for')}, and {wanted} are asked for"
        )
        help = "require fewer readings, or write a shorter `speaks_for`"
        self.findings.warning(
            self.tree.document, self._path("readings"), "CDS274", message, help
        )

    def _check_rest(self) -> None:
        rest = self.tree.pattern.rest
        if self.metric.cumulative:
            message = (
                f"{quote(self.metric.name)} is summed: single readings cannot be"
                " compared"
            )
            help = "compare its days: `days`, `shift` or `decline` of a `total`"
            self._error(self.tree.pattern.path, "CDS273", message, help)
        if rest is None:
            return
        proof = self.catalogue.metrics.get(rest.metric)
        path: Path = (*rest.path, "metric")
        if proof is not None and not proof.cumulative:
            message = f"{quote(rest.metric)} does not prove rest: it is not summed"
            help = "name a metric with `cumulative: true`, such as `steps`"
            self._error(path, "CDS271", message, help)
        elif self.metric.at_rest:
            message = f"{quote(self.metric.name)} is measured at rest by definition"
            help = "remove `at_rest`: it would leave out every reading without steps"
            self.findings.warning(
                self.tree.document, rest.path, "CDS271", message, help, key=True
            )

    def _check_statistic(self) -> None:
        statistic = self.tree.pattern.words.get("statistic", "")
        fits = CUMULATIVE if self.metric.cumulative else OF_EACH
        known = (*CUMULATIVE, *OF_EACH)
        if statistic in known and statistic not in fits:
            adds = "adds up" if self.metric.cumulative else "does not add up"
            message = f"{quote(self.metric.name)} has no {quote(statistic)}: it {adds}"
            help = "write " + " or ".join(fits)
            self._error(self._statistic, "CDS272", message, help)
        bands = [each.name for each in self.metric.bands]
        band = statistic.removeprefix("band:")
        if band != statistic and band not in bands:
            message = f"{quote(self.metric.name)} has no band {quote(band)}"
            help = suggest(band, bands) or "write it under `bands` in metrics.yaml"
            self._error(self._statistic, "CDS272", message, help)

    @property
    def _statistic(self) -> Path:
        return (*self.tree.pattern.path, "statistic")

    def _check_days(self) -> None:
        """A day that cannot be covered never counts, nor a night that nobody tells."""
        node, name = self.tree.pattern, quote(self.metric.name)
        asked = "coverage" in node.amounts and node.kind != "sustained"
        if asked and self._number("coverage") > 0 and self.metric.speaks_for is None:
            message = f"this can never open: {name} has no `speaks_for`"
            help = "remove `coverage`, or give the metric `speaks_for`"
            self._error(self._path("coverage"), "CDS266", message, help)
        if node.words.get("part") == "night" and self.catalogue.night is None:
            message = "this can never open: metrics.yaml does not say when it is night"
            path = (*node.path, "part")
            self._error(path, "CDS266", message, "write `night` there")

    def _check_steps(self) -> None:
        """More over fewer days makes the longer of two gains say nothing."""
        most = self._number("implausible")
        for step in self.tree.pattern.steps:
            gain, days = self.values[step.at_least.path], self.values[step.days.path]
            if size(gain) > most * size(days):
                message = (
                    f"this can never open: {size(gain):g} in {size(days):g} days is "
                    f"more than {most:g} a day, which counts as somebody else's reading"
                )
                help = "write a smaller gain, or a greater `implausible`"
                self._error(step.at_least.path, "CDS266", message, help)

    def _limit(self) -> float:
        assert self.tree.pattern.limit is not None
        return size(self.values[self.tree.pattern.limit.path])

    def _number(self, key: str) -> float:
        value = self.values[self._path(key)]
        return seconds(value) if isinstance(value, Duration) else value

    def _said(self, key: str) -> str:
        value = self.values[self._path(key)]
        return str(value) if isinstance(value, Duration) else f"{value:g}"

    def _path(self, key: str) -> Path:
        return self.tree.pattern.amounts[key].path

    def _error(self, path: Path, code: str, message: str, help: str) -> None:
        self.findings.error(self.tree.document, path, code, message, help)


_OF_DAYS = {
    "days": (("days", "of", "days of the last"),),
    "shift": (("valid_days", "baseline_days", "days that count, of"),),
    "decline": (
        ("valid_days", "recent_days", "days that count, of"),
        ("valid_days", "before_days", "days that count, of"),
    ),
}
"""Of how many days, by the keys of both, some must be that there are not."""
_OF_TIME = (
    ("speaks_for", "for", "one reading would be enough"),
    ("speaks_for", "silence", "it would end between two readings"),
    ("late_start", "for", "no reading would be required"),
)
"""Of which two lengths one must be the longer, and why."""
