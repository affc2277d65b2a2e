"""One detector's file, compiled."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from ...wearables.detection.detectors import (
    BaselineShift,
    DaysBeyond,
    Decline,
    Detector,
    Direction,
    Gain,
    OwnLimit,
    Pattern,
    Rest,
    SustainedBreach,
)
from ...wearables.metrics import Catalogue, Metric
from ...wearables.records import AlertType
from ..engine.rules import Param, Site
from ..language.criterion_tree import Amount
from ..language.detectors import DetectorTree, PatternNode
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..values.intervals import Duration
from .detector_checks import check_pattern, unit_of
from .life_cycle import build_life_cycle, check_successors
from .params import ParamBuilder

WHOLE = frozenset(
    {"readings", "days", "of", "baseline_days", "valid_days", "left_out_days"}
    | {"recent_days", "before_days"}
)
"""Keys of whole numbers, at least 1, but for ``left_out_days``."""
SHARES = frozenset({"coverage", "share", "by", "covered"})
"""Keys of numbers from 0 to 1."""
LENGTHS = frozenset(
    {"for", "speaks_for", "late_start", "recovery", "silence", "lookback", "longest"}
    | {"worn", "lateness", "recurrence_within"}
)
"""Keys of lengths of time."""
PLAIN = frozenset({"per_minute", "deviations"})
"""Keys of numbers of no unit of the metric's; all others are in it."""


def build_detectors(
    trees: Mapping[str, DetectorTree],
    catalogue: Catalogue,
    site: Site,
    site_document: Document | None,
    findings: Findings,
) -> dict[str, Detector]:
    """Return the detectors of files that detect something, by name."""
    known: dict[str, DetectorTree] = {}
    built: dict[str, Detector] = {}
    for tree in trees.values():
        if tree.name in known:
            first = known[tree.name].document.file
            message = f"{quote(tree.name)} is also the name of {first}"
            help = "rename one of the detectors, and its file"
            findings.error(tree.document, ("detector",), "CDS606", message, help)
            continue
        known[tree.name] = tree
        detector = build_detector(tree, catalogue, site, site_document, findings)
        if detector is not None and detector.is_evaluated:
            built[tree.name] = detector
    check_successors(known, findings, "detector")
    settings = site_document.data.get("detectors", {}) if site_document else {}
    for name in settings:
        if site_document is not None and name not in known:
            message = f"there is no detector {quote(name)}"
            help, path = suggest(name, known) or "remove it", ("detectors", name)
            findings.error(site_document, path, "CDS014", message, help, key=True)
    return built


def build_detector(
    tree: DetectorTree,
    catalogue: Catalogue,
    site: Site,
    site_document: Document | None,
    findings: Findings,
) -> Detector | None:
    """Return the detector of a file; None where an error was found."""
    return _DetectorBuilder(tree, catalogue, site, site_document, findings).build()


@dataclass(slots=True)
class _DetectorBuilder:
    tree: DetectorTree
    catalogue: Catalogue
    site: Site
    site_document: Document | None
    findings: Findings

    def build(self) -> Detector | None:
        self._check_name()
        cycle = build_life_cycle(
            self.tree, self.site, self.site_document, self.findings, "detector"
        )
        metric, alert_type = self._metric(), self._alert_type()
        builder = ParamBuilder(self.tree, self.site_document, self.findings, "detector")
        params = builder.build()
        self._check_use(params)
        if metric is None or alert_type is None:
            return None
        self._check_raised(metric, alert_type)
        values = self._values(params, metric)
        own = self._own_limit()
        if values is None:
            return None
        node = self.tree.pattern
        check_pattern(self.tree, values, metric, self.catalogue, self.findings)
        return Detector(
            name=self.tree.name,
            version=self.tree.version,
            title=self.tree.title,
            metric=metric.name,
            alert_type=alert_type.name,
            unit=unit_of(node, metric),
            pattern=build_pattern(node, values),
            status=cycle.status if cycle.status != "active" or cycle.served else SHADOW,
            lateness=_length(values[self.tree.lateness.path]),
            cooldown=_length(values[self.tree.recurrence.path]),
            own_limit=own,
            file=self.tree.document.file,
            effective=cycle.effective,
            expires=cycle.expires,
            review_by=cycle.review_by,
        )

    def _check_name(self) -> None:
        stem = self.tree.document.file.rpartition("/")[2].removesuffix(".yaml")
        if stem != self.tree.name:
            message = f"the file is called {quote(stem)}, the detector is not"
            self._error(("detector",), "CDS607", message, f"write `detector: {stem}`")

    def _metric(self) -> Metric | None:
        known, rest = self.catalogue.metrics, self.tree.pattern.rest
        if rest is not None and rest.metric not in known:
            self._unknown_metric((*rest.path, "metric"), rest.metric)
        if self.tree.metric not in known:
            self._unknown_metric(("metric",), self.tree.metric)
        return known.get(self.tree.metric)

    def _unknown_metric(self, path: Path, name: str) -> None:
        message = f"there is no metric {quote(name)} in metrics.yaml"
        help = suggest(name, self.catalogue.metrics)
        self._error(path, "CDS260", message, help or "use one that is listed there")

    def _alert_type(self) -> AlertType | None:
        name, known = self.tree.raises, self.catalogue.alert_types
        if name not in known:
            message = f"there is no alert type {quote(name)} in alert-types.yaml"
            help = suggest(name, known) or "use one that is listed there, or add it"
            self._error(("raises",), "CDS261", message, help)
        return known.get(name)

    def _check_raised(self, metric: Metric, alert_type: AlertType) -> None:
        unit, name = unit_of(self.tree.pattern, metric), quote(alert_type.name)
        if alert_type.metric != metric.name:
            other = quote(alert_type.metric) if alert_type.metric else "no metric"
            message = (
                f"{name} is about {other}, the detector about {quote(metric.name)}"
            )
            help = (
                "raise an alert of the same metric: a Consent permits it by that name"
            )
            self._error(("raises",), "CDS262", message, help)
        elif alert_type.unit != unit:
            has = (
                f"in {quote(alert_type.unit)}" if alert_type.unit else "without a unit"
            )
            message = f"{name} is {has}, but what is detected is in {quote(unit)}"
            help = f"raise another type, or give it `unit: {unit}` in alert-types.yaml"
            self._error(("raises",), "CDS263", message, help)

    def _values(
        self, params: Mapping[str, Param], metric: Metric
    ) -> "Mapping[Path, float | Duration] | None":
        """Return every amount's value by its place; None where one has none."""
        found: dict[Path, float | Duration] = {}
        for key, amount in self.tree.all_amounts():
            value = self._value(key, amount, params, metric)
            if value is not None:
                found[amount.path] = value
        missing = any(amount.path not in found for _, amount in self.tree.all_amounts())
        return None if missing else found

    def _value(
        self, key: str, amount: Amount, params: Mapping[str, Param], metric: Metric
    ) -> float | Duration | None:
        value = amount.quantity
        if amount.param:
            param = params.get(amount.param)
            if param is None:
                self._unknown_param(amount)
                return None
            value = param.value
            self._check_unit(key, amount, param, metric)
        wants_length = key in LENGTHS
        if isinstance(value, Duration) is not wants_length or value is None:
            code, what = (
                ("CDS222", "duration") if wants_length else ("CDS304", "number")
            )
            message = f"{quote(amount.written)} is not a {what}"
            example = "`10 minutes`" if wants_length else "`100`"
            self._error(amount.path, code, message, f"write e.g. {example}")
            return None
        return self._within(key, amount, value)

    def _unknown_param(self, amount: Amount) -> None:
        message = f"there is no param {quote(amount.written)}"
        names = [f"${name}" for name in self.tree.params]
        help = suggest(str(amount.written), names) or "define it under `params`"
        self._error(amount.path, "CDS303", message, help)

    def _check_unit(
        self, key: str, amount: Amount, param: Param, metric: Metric
    ) -> None:
        """A param that says its unit says that of what it is compared with."""
        if isinstance(param.value, Duration) or key in LENGTHS:
            return
        in_unit = key not in WHOLE | SHARES | PLAIN
        unit = unit_of(self.tree.pattern, metric) if in_unit else "1"
        if (param.unit or "1") != unit:
            node, written = self.tree.params[param.name], quote(amount.written)
            has = f"in {quote(param.unit)}" if param.unit else "without a unit"
            wants = "a plain number" if unit == "1" else f"in {quote(unit)}"
            message = f"{written} is {has}; here it is {wants}"
            help = f"write `unit: {unit}`; the number is not converted"
            help = "remove the unit" if unit == "1" else help
            where = (*node.path, "unit") if param.unit else node.path
            self._error(where, "CDS264", message, help)

    def _within(
        self, key: str, amount: Amount, value: float | Duration
    ) -> float | Duration | None:
        """The value, if it is of what its key takes; a finding if not."""
        said = ""
        if isinstance(value, Duration):
            pass
        elif key in WHOLE:
            least = 0 if key == "left_out_days" else 1
            if value < least or value != int(value):
                said = f"a whole number, {least} or more"
        elif key in SHARES and not 0 <= value <= 1:
            said = "a share, from 0 to 1"
        elif key in ("clear_by", "rises_by", "falls_by", *PLAIN) and value < 0:
            said = "a number that is not below 0"
        if not said:
            return value
        message = f"{quote(key)} is {said}, not {value:g}"
        self._error(amount.path, "CDS269", message, "write the number that was meant")
        return None

    def _own_limit(self) -> OwnLimit | None:
        """Return between what a patient's own limit may lie."""
        if not self.tree.own:
            return None
        limit, kind = self.tree.pattern.limit, self.tree.pattern.kind
        name = self.tree.own[0]
        node = self.tree.params[name]
        path: Path = (*node.path, "own")
        is_limit = limit is not None and limit.param == name
        if len(self.tree.own) > 1 or kind not in ("sustained", "days") or not is_limit:
            message = f"{quote(name)} is not the limit that the detector compares with"
            help = (
                "write `own` on the param that is used as the limit, and nowhere else"
            )
            self._error(path, "CDS270", message, help)
            return None
        bounds = (node.least, node.most)
        low, high = (each.quantity if each else None for each in bounds)
        if not isinstance(low, float) or not isinstance(high, float):
            message = f"a patient's own {quote(name)} has no bounds"
            self._error(path, "CDS270", message, "write `min` and `max`")
            return None
        return OwnLimit(low, high)

    def _check_use(self, params: Mapping[str, Param]) -> None:
        used = {amount.param for _, amount in self.tree.all_amounts()}
        for name in params:
            if name not in used:
                message, path = f"nothing uses the param {quote(name)}", (
                    "params",
                    name,
                )
                self.findings.warning(
                    self.tree.document, path, "CDS402", message, key=True
                )

    def _error(self, path: Path, code: str, message: str, help: str = "") -> None:
        self.findings.error(self.tree.document, path, code, message, help)


def build_pattern(
    node: PatternNode, values: "Mapping[Path, float | Duration]"
) -> Pattern:
    """Return what a detector looks for, with the values of its amounts by place."""
    return _PATTERNS[node.kind](_Numbers(node, values))


class _Numbers:
    """The amounts of a pattern, by their keys."""

    def __init__(
        self, node: PatternNode, values: "Mapping[Path, float | Duration]"
    ) -> None:
        self.node = node
        self.values = values

    def number(self, key: str) -> float:
        value = self.values[self.node.amounts[key].path]
        assert not isinstance(value, Duration)
        return value

    def whole(self, key: str) -> int:
        return int(self.number(key))

    def length(self, key: str) -> timedelta:
        return _length(self.values[self.node.amounts[key].path])

    def of(self, amount: Amount) -> float:
        value = self.values[amount.path]
        assert not isinstance(value, Duration)
        return value

    @property
    def limit(self) -> float:
        assert self.node.limit is not None
        return self.of(self.node.limit)

    @property
    def direction(self) -> Direction:
        return _DIRECTIONS[self.node.comparison]

    @property
    def clear(self) -> float:
        if "clear" in self.node.amounts:
            return self.number("clear")
        by = self.number("clear_by")
        return self.limit - by if self.direction.is_high else self.limit + by


def _sustained(of: _Numbers) -> Pattern:
    return SustainedBreach(
        of.direction,
        of.limit,
        of.clear,
        of.length("for"),
        of.length("speaks_for"),
        of.number("coverage"),
        of.number("share"),
        of.whole("readings"),
        of.length("late_start"),
        of.length("recovery"),
        of.length("silence"),
        _rest(of),
    )


def _rest(of: _Numbers) -> Rest | None:
    node = of.node.rest
    if node is None:
        return None
    amounts, values = node.amounts, of.values
    lookback, longest = (
        _length(values[amounts[key].path]) for key in ("lookback", "longest")
    )
    per_minute, covered = of.of(amounts["per_minute"]), of.of(amounts["covered"])
    return Rest(node.metric, per_minute, lookback, longest, covered)


def _days(of: _Numbers) -> Pattern:
    words = of.node.words
    return DaysBeyond(
        of.direction,
        of.limit,
        words["statistic"],
        of.whole("days"),
        of.whole("of"),
        words["part"],
        of.number("coverage"),
    )


def _shift(of: _Numbers) -> Pattern:
    words = of.node.words
    return BaselineShift(
        of.direction,
        of.limit,
        of.number("deviations"),
        words["statistic"],
        of.whole("days"),
        of.whole("baseline_days"),
        of.whole("valid_days"),
        of.whole("left_out_days"),
        words["part"],
        of.number("coverage"),
    )


def _gain(of: _Numbers) -> Pattern:
    steps = ((int(of.of(each.days)), of.of(each.at_least)) for each in of.node.steps)
    return Gain(tuple(steps), of.number("implausible"))


def _decline(of: _Numbers) -> Pattern:
    return Decline(
        of.number("by"),
        of.node.words["statistic"],
        of.whole("recent_days"),
        of.whole("before_days"),
        of.whole("valid_days"),
        of.length("worn"),
    )


_PATTERNS = {
    "sustained": _sustained,
    "days": _days,
    "shift": _shift,
    "gain": _gain,
    "decline": _decline,
}
_DIRECTIONS = {
    **{each.value: each for each in Direction},
    "rises_by": Direction.AT_LEAST,
    "falls_by": Direction.AT_MOST,
}
SHADOW = "shadow"
"""What an active detector is that nobody approved, where the site withholds such."""


def _length(value: float | Duration) -> timedelta:
    assert isinstance(value, Duration)
    return value.length
