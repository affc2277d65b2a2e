"""The facts of a rule file, resolved: names to value sets, shared facts, windows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from ...units import AS_IT_IS, Scale, Substance, scales
from ...wearables.detection.episodes import NotJudged
from ...wearables.metrics import Catalogue, Metric
from ..engine.facts import Fact, Window
from ..engine.rows.selectors import DayValue, Selector, Silence, Unjudged
from ..engine.rules import CheckResource, unchecked
from ..language.criterion_tree import Amount
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..language.slips import check_unit
from ..language.tree import (
    AlertFact,
    CodedFact,
    ConditionFact,
    FactNode,
    FactTree,
    JoinedFact,
    MedicationFact,
    ObservationFact,
    PeriodNode,
    ScoreFact,
    SharedFact,
    SilentFact,
    UnjudgedFact,
    WearableFact,
)
from ..terminology.measured import Quantities
from ..terminology.valuesets import ValueSet
from ..values.intervals import Duration

_KEPT_IN = {"band": "%", "worn": "min"}
"""The units of values of days that are not in their metric's."""
_OF_DAYS = ("day", "week", "month", "year")
DRAFT_ORDERS = "draft_orders"
"""Where a medicine is read from that is only being ordered."""


@dataclass(slots=True)
class Shelf:
    """What rules are resolved against, and the selectors that they share."""

    valuesets: Mapping[str, ValueSet]
    catalogue: Catalogue
    """What wearables tell."""
    shared: Mapping[str, FactTree]
    """The facts of ``facts/`` by name."""
    findings: Findings
    check_resource: CheckResource = unchecked
    quantities: Quantities = Quantities()
    """What codes measure."""
    detectors: Mapping[str, str] = field(default_factory=dict)
    """Titles by name."""
    selectors: list[Selector] = field(default_factory=list)
    """By slot."""
    slots: dict[Selector, int] = field(default_factory=dict)
    readers: dict[tuple[Any, ...], int] = field(default_factory=dict)
    unsaid: dict[str, str] = field(default_factory=dict)
    """The sets that a fact asks in a unit and that do not say theirs, with the unit."""

    def slot(self, selector: Selector) -> int:
        """The number of a selector, the same for all who ask for the same."""
        slot = self.slots.setdefault(selector, len(self.selectors))
        if slot == len(self.selectors):
            self.selectors.append(selector)
        return slot

    def reader(self, *key: Any) -> int:
        """The number of a way to read rows."""
        return self.readers.setdefault(key, len(self.readers))


def _widest(ranges: list[tuple[float, float] | None]) -> tuple[float, float] | None:
    """Return what holds all ranges; None where one of them is open."""
    known = [each for each in ranges if each is not None]
    if len(known) < len(ranges):
        return None
    return min(low for low, _ in known), max(high for _, high in known)


class FactBuilder:
    """Builds the facts of one file."""

    def __init__(self, shelf: Shelf, document: Document) -> None:
        self.shelf = shelf
        self.document = document

    def build_all(self, written: Mapping[str, FactNode]) -> dict[str, Fact]:
        """Every fact that could be built; what could not is among the findings.

        Scores are left out: they are made of criteria, which speak of facts.
        """
        built: dict[str, Fact] = {}
        for name in written:
            self._build(name, written, built, ())
        return built

    def _build(
        self,
        name: str,
        written: Mapping[str, FactNode],
        built: dict[str, Fact],
        chain: tuple[str, ...],
    ) -> Fact | None:
        if name in built:
            return built[name]
        node = written[name]
        if isinstance(node, JoinedFact):
            fact = self._union(name, node, written, built, chain)
        else:
            fact = self.build_one(name, node, ())
        if fact is not None:
            built[name] = fact
        return fact

    def _union(
        self,
        name: str,
        node: JoinedFact,
        written: Mapping[str, FactNode],
        built: dict[str, Fact],
        chain: tuple[str, ...],
    ) -> Fact | None:
        parts = []
        for index, other in enumerate(node.names):
            where = (*node.path, index)
            if other == name or other in chain:
                message = f"{quote(name)} refers to itself"
                self._error(where, "CDS227", message, "name other facts")
                return None
            if other not in written:
                self._unknown_fact(where, other, written)
                return None
            if isinstance(written[other], ScoreFact):
                message = f"{quote(other)} is a score, which has no entries to join"
                self._error(where, "CDS226", message)
                return None
            part = self._build(other, written, built, (*chain, name))
            if part is None:
                return None
            parts.append(part)
        return self._joined(name, parts, node.path)

    def _joined(self, name: str, parts: list[Fact], path: Path) -> Fact | None:
        first = parts[0]
        for index, part in enumerate(parts):
            if (part.kind, part.unit) != (first.kind, first.unit):
                self._error(
                    (*path, index),
                    "CDS226",
                    f"{quote(first.name)} and {quote(part.name)} do not match",
                    "`any_of` joins facts of one kind, observations of one unit",
                )
                return None
        return Fact(
            name=name,
            kind=first.kind,
            slots=tuple(dict.fromkeys(slot for part in parts for slot in part.slots)),
            reader=self.shelf.reader("any_of", *(part.reader for part in parts)),
            origins=tuple(dict.fromkeys(o for part in parts for o in part.origins)),
            unit=first.unit,
            title=" / ".join(dict.fromkeys(part.title for part in parts if part.title)),
            plausible=_widest([part.plausible for part in parts]),
            parts=tuple(parts),
        )

    def build_one(
        self, name: str, node: FactNode, chain: tuple[str, ...]
    ) -> Fact | None:
        """A fact that stands for itself, or a shared one.

        *chain* are the shared facts that it is part of.
        """
        match node:
            case SharedFact():
                return self._use(name, node.name, node.path, chain)
            case JoinedFact():
                return self._union_of_shared(name, node, chain)
            case AlertFact():
                return self._wearable(name, node)
            case WearableFact():
                return self._of_days(name, node)
            case SilentFact():
                return self._silent(name, node)
            case UnjudgedFact():
                return self._unjudged(name, node)
            case ConditionFact() | MedicationFact() | ObservationFact():
                return self._coded(name, node)
            case ScoreFact():
                return None
            case _:
                assert_never(node)

    def _use(
        self, name: str, target: str, path: Path, chain: tuple[str, ...]
    ) -> Fact | None:
        shared = self.shelf.shared.get(target)
        if shared is None:
            self._error(
                path,
                "CDS223",
                f"there is no shared fact {quote(target)}",
                suggest(target, self.shelf.shared) or "write a file in facts/",
            )
            return None
        if target in chain:
            cycle = " → ".join([*chain, target])
            message = f"shared facts use each other: {cycle}"
            self._error(path, "CDS225", message, "remove one of the references")
            return None
        builder = FactBuilder(self.shelf, shared.document)
        fact = builder.build_one(name, shared.fact, (*chain, target))
        return replace(fact, name=name) if fact else None

    def _union_of_shared(
        self, name: str, node: JoinedFact, chain: tuple[str, ...]
    ) -> Fact | None:
        parts = [
            self._use(other, other, (*node.path, index), chain)
            for index, other in enumerate(node.names)
        ]
        known = [part for part in parts if part is not None]
        return (
            self._joined(name, known, node.path) if len(known) == len(parts) else None
        )

    def _wearable(self, name: str, node: AlertFact) -> Fact | None:
        known = self.shelf.catalogue.alert_types
        for index, each in enumerate(node.types):
            if each not in known:
                self._error(
                    (*node.path, "type", index),
                    "CDS224",
                    f"{quote(each)} is not in alert-types.yaml",
                    suggest(each, known) or "add it there",
                )
                return None
        units = {known[each].unit for each in node.types}
        types = tuple(sorted(node.types))
        selector = Selector("wearable_alert", types=types, status=node.status)
        titles = " / ".join(known[each].title for each in node.types)
        window = self._window(node.period)
        unit = units.pop() if len(units) == 1 else ""
        return self._fact(name, "wearable_alert", selector, window, unit, titles)

    def _of_days(self, name: str, node: WearableFact) -> Fact | None:
        metric = self._metric(node.metric, node.path)
        window = self._days(node.period)
        if metric is None or window is None:
            return None
        statistic = node.statistic or metric.statistics[0]
        if statistic not in metric.statistics:
            message = f"a day of {quote(metric.name)} has no {quote(statistic)}"
            help = suggest(statistic, metric.statistics)
            help = help or f"it has {', '.join(metric.statistics)}"
            self._error((*node.path, "summary"), "CDS235", message, help)
            return None
        kept_in = _KEPT_IN.get(statistic.partition(":")[0], "")
        unit = node.unit or kept_in
        scale = self._scale(metric, kept_in or metric.unit, unit, (*node.path, "unit"))
        if scale is None:
            return None
        grows = metric.cumulative or self._speaks(metric)
        to_today = node.part == "night" or not grows
        asked = DayValue(metric.name, statistic, node.part, unit, scale, to_today)
        selector = Selector("wearable", worn=asked)
        at_night = " at night" if node.part == "night" else ""
        title = f"{metric.title}{at_night}"
        fact = self._fact(name, "wearable", selector, window, unit, title)
        return replace(fact, has_coverage=self._speaks(metric))

    def _silent(self, name: str, node: SilentFact) -> Fact | None:
        metric = self._metric(node.metric, node.path)
        length = self._length(node.silent_for)
        if metric is None or length is None:
            return None
        selector = Selector("stream", worn=Silence(metric.name, length))
        return self._fact(name, "stream", selector, None, "", metric.title)

    def _unjudged(self, name: str, node: UnjudgedFact) -> Fact | None:
        window = self._days(node.period)
        title = self.shelf.detectors.get(node.detector)
        if title is None:
            message = f"there is no detector {quote(node.detector)}"
            help = suggest(node.detector, self.shelf.detectors)
            where = (*node.path, "detector")
            self._error(where, "CDS238", message, help or "write a file in detectors/")
        if window is None or title is None:
            return None
        reasons = frozenset(map(NotJudged, node.reasons))
        selector = Selector("stream", worn=Unjudged(node.detector, reasons))
        return self._fact(name, "stream", selector, window, "", title)

    def _speaks(self, metric: Metric) -> bool:
        """Check whether it is known for how much of a day readings speak."""
        of = metric.derived.source if metric.derived else metric.name
        told = self.shelf.catalogue.metrics.get(of)
        return told is not None and told.speaks_for is not None

    def _metric(self, name: str, path: Path) -> Metric | None:
        known = self.shelf.catalogue.metrics
        if name not in known:
            message = f"{quote(name)} is not in metrics.yaml"
            help = suggest(name, known) or "add it there"
            self._error((*path, "metric"), "CDS234", message, help)
        return known.get(name)

    def _scale(
        self, metric: Metric, kept_in: str, unit: str, path: Path
    ) -> Scale | None:
        """Return what leads from a day's value to *unit*; None, with a finding."""
        if unit in ("", kept_in):
            return AS_IT_IS
        if not check_unit(unit, self.document, path, self.shelf.findings):
            return None
        found = scales(kept_in, unit, Substance(molar_mass=metric.molar_mass))
        if not found:
            message = (
                f"{quote(kept_in)}, the unit of the day's value, cannot be converted "
            )
            message += f"to {quote(unit)}"
            self._error(path, "CDS236", message, f"write a unit such as `{kept_in}`")
            return None
        return found[0]

    def _days(self, period: PeriodNode) -> Window | None:
        """The window of whole days."""
        window = self._window(period)
        if window and window.length.unit not in _OF_DAYS:
            message = f"{quote(period.length.written)} is not a number of days"
            help = "a day is the shortest period: write e.g. `7 days`, `2 weeks`"
            self._error(period.path, "CDS237", message, help)
            return None
        return window

    def _coded(self, name: str, node: CodedFact) -> Fact | None:
        valueset = self.shelf.valuesets.get(node.valueset)
        if valueset is None:
            self._error(
                (*node.path, "in"),
                "CDS221",
                f"value set {quote(node.valueset)} does not exist",
                suggest(node.valueset, self.shelf.valuesets)
                or "write it to valuesets/",
            )
            return None
        unit = node.unit if isinstance(node, ObservationFact) else ""
        if unit and not self._is_measured_in(unit, valueset, (*node.path, "unit")):
            return None
        selector = _selector(node, valueset)
        window = self._window(node.period)
        plausible = valueset.measure.range_in(unit) if unit else None
        return self._fact(
            name, node.kind, selector, window, unit, valueset.title, plausible
        )

    def _is_measured_in(self, unit: str, valueset: ValueSet, path: Path) -> bool:
        """Check if results of a set can be told in *unit*; if not, with a finding."""
        shelf, measure = self.shelf, valueset.measure
        if not check_unit(unit, self.document, path, shelf.findings):
            return False
        if measure.unit:
            if scales(measure.unit, unit, measure.substance):
                return True
            self._error(
                path,
                "CDS231",
                f"{quote(measure.unit)}, the unit of {quote(valueset.name)}, cannot be "
                f"told in {quote(unit)}",
                f"write a unit such as `{measure.unit}`, or check that the set is"
                " right",
            )
            return False
        for misfit in shelf.quantities.misfits(valueset.codes, unit, measure.substance):
            self._error(path, "CDS232", misfit.message, misfit.help)
            return False
        shelf.unsaid.setdefault(valueset.name, unit)
        return True

    def _window(self, period: PeriodNode | None) -> Window | None:
        if period is None:
            return None
        length = self._length(period.length)
        return None if length is None else Window(period.key, length)

    def _length(self, amount: Amount) -> Duration | None:
        length, written = amount.quantity, quote(amount.written)
        if not isinstance(length, Duration):
            message = f"{written} is not a duration"
            help = "write e.g. `7 days`, `24 hours`, `12 months`"
            self._error(amount.path, "CDS222", message, help)
            return None
        if length.count == 0:
            message = f"{written} is an empty period"
            help = "say how far back the rule looks"
            self._error(amount.path, "CDS222", message, help)
            return None
        return length

    def _fact(
        self,
        name: str,
        kind: str,
        selector: Selector,
        window: Window | None,
        unit: str,
        title: str,
        plausible: tuple[float, float] | None = None,
    ) -> Fact:
        slot = self.shelf.slot(selector)
        return Fact(
            name=name,
            kind=kind,
            slots=(slot,),
            reader=self.shelf.reader(slot, window, unit),
            origins=(kind if selector.origin == "chart" else selector.origin,),
            window=window,
            unit=unit,
            title=title,
            plausible=plausible,
        )

    def _unknown_fact(
        self, path: Path, name: str, written: Mapping[str, FactNode]
    ) -> None:
        self._error(
            path,
            "CDS301",
            f"there is no fact {quote(name)} in this file",
            suggest(name, written) or "define it under `facts`",
        )

    def _error(self, path: Path, code: str, message: str, help: str = "") -> None:
        self.shelf.findings.error(self.document, path, code, message, help)


def _selector(node: CodedFact, valueset: ValueSet) -> Selector:
    """Return what of the chart a fact reads."""
    kind, name = node.kind, valueset.name
    match node:
        case ConditionFact():
            categories = tuple(sorted(node.categories))
            return Selector(
                kind,
                name,
                status=node.status,
                confirmed=node.confirmed,
                categories=categories,
            )
        case MedicationFact() if node.origin == DRAFT_ORDERS:
            return Selector(kind, name, status="draft", origin=DRAFT_ORDERS)
        case _:
            return Selector(kind, name, status=node.status)
