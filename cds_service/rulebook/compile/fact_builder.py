"""The facts of a rule file, resolved: names to value sets, shared facts, windows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...units import scales
from ...wearables.records import AlertType
from ..engine.facts import KINDS, Fact, Window
from ..engine.rows.selectors import Selector
from ..engine.rules import CheckResource, unchecked
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..language.slips import check_unit
from ..terminology.measured import Quantities
from ..terminology.valuesets import ValueSet
from ..values.intervals import parse_duration


@dataclass(slots=True)
class Shelf:
    """What rules are resolved against, and the selectors that they share."""

    valuesets: Mapping[str, ValueSet]
    alert_types: Mapping[str, AlertType]
    shared: Mapping[str, Document]
    """Files of ``facts/`` by name."""
    findings: Findings
    check_resource: CheckResource = unchecked
    quantities: Quantities = Quantities()
    """What codes measure."""
    unsaid: dict[str, str] = field(default_factory=dict)
    """The sets that a fact asks in a unit and that do not say theirs, with the unit."""
    slots: dict[Selector, int] = field(default_factory=dict)
    readers: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def slot(self, selector: Selector) -> int:
        """The number of a selector, the same for all who ask for the same."""
        return self.slots.setdefault(selector, len(self.slots))

    def reader(self, *key: Any) -> int:
        """The number of a way to read rows."""
        return self.readers.setdefault(key, len(self.readers))


def _widest(ranges: list[tuple[float, float] | None]) -> tuple[float, float] | None:
    """What holds all ranges; None where one of them is open."""
    known = [each for each in ranges if each is not None]
    if len(known) < len(ranges):
        return None
    return min(low for low, _ in known), max(high for _, high in known)


class FactBuilder:
    """Builds the facts of one file."""

    def __init__(self, shelf: Shelf, document: Document, path: Path) -> None:
        self.shelf = shelf
        self.document = document
        self.path = path
        """Where the facts of the file stand."""

    def build_all(self) -> dict[str, Fact]:
        """Every fact that could be built; what could not is among the findings."""
        written: Mapping[str, Any] = self.document.value(self.path) or {}
        built: dict[str, Fact] = {}
        for name, body in written.items():
            if "score" not in body:  # made of conditions, which speak of facts
                self._build(name, written, built, ())
        return built

    def _build(
        self,
        name: str,
        written: Mapping[str, Any],
        built: dict[str, Fact],
        chain: tuple[str, ...],
    ) -> Fact | None:
        if name in built:
            return built[name]
        path = (*self.path, name)
        kind, body = next(iter(written[name].items()))
        if kind == "any_of":
            fact = self._union(name, written, built, chain)
        else:
            fact = self.build_one(name, kind, body, (*path, kind), ())
        if fact is not None:
            built[name] = fact
        return fact

    def _union(
        self,
        name: str,
        written: Mapping[str, Any],
        built: dict[str, Fact],
        chain: tuple[str, ...],
    ) -> Fact | None:
        path = (*self.path, name, "any_of")
        parts = []
        for index, other in enumerate(written[name]["any_of"]):
            where = (*path, index)
            if other == name or other in chain:
                message = f"{quote(name)} is made of itself"
                self._error(where, "CDS227", message, "name other facts")
                return None
            if other not in written:
                self._unknown_fact(where, other, written)
                return None
            if "score" in written[other]:
                message = f"{quote(other)} is a score, which has no entries to join"
                self._error(where, "CDS226", message)
                return None
            part = self._build(other, written, built, (*chain, name))
            if part is None:
                return None
            parts.append(part)
        return self._joined(name, parts, path)

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
        self, name: str, kind: str, body: Any, path: Path, chain: tuple[str, ...]
    ) -> Fact | None:
        """A fact of one kind, or a shared one."""
        if kind == "use":
            return self._use(name, body, path, chain)
        if kind == "wearable_alert":
            return self._wearable(name, body, path)
        return self._coded(name, kind, body, path)

    def _use(
        self, name: str, target: str, path: Path, chain: tuple[str, ...]
    ) -> Fact | None:
        document = self.shelf.shared.get(target)
        if document is None:
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
        builder = FactBuilder(self.shelf, document, ())
        kind = next(key for key in (*KINDS, "any_of") if key in document.data)
        body = document.data[kind]
        if kind == "any_of":
            parts = [
                builder._use(other, other, (kind, index), (*chain, target))
                for index, other in enumerate(body)
            ]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            return builder._joined(name, known, (kind,))
        fact = builder.build_one(name, kind, body, (kind,), (*chain, target))
        return replace(fact, name=name) if fact else None

    def _wearable(self, name: str, body: Mapping[str, Any], path: Path) -> Fact | None:
        types: list[str] = body["type"]
        for index, each in enumerate(types):
            if each not in self.shelf.alert_types:
                self._error(
                    (*path, "type", index),
                    "CDS224",
                    f"{quote(each)} is not in alert-types.yaml",
                    suggest(each, self.shelf.alert_types) or "add it there",
                )
                return None
        units = {self.shelf.alert_types[each].unit for each in types}
        selector = Selector(
            "wearable_alert",
            types=tuple(sorted(types)),
            status=body.get("status", ""),
        )
        titles = " / ".join(self.shelf.alert_types[each].title for each in types)
        return self._fact(
            name,
            "wearable_alert",
            selector,
            self._window("wearable_alert", body, path),
            units.pop() if len(units) == 1 else "",
            titles,
        )

    def _coded(
        self, name: str, kind: str, body: Mapping[str, Any], path: Path
    ) -> Fact | None:
        valueset = self.shelf.valuesets.get(body["in"])
        if valueset is None:
            self._error(
                (*path, "in"),
                "CDS221",
                f"value set {quote(body['in'])} does not exist",
                suggest(body["in"], self.shelf.valuesets) or "write it to valuesets/",
            )
            return None
        unit = body.get("unit", "")
        if unit and not self._is_measured_in(unit, valueset, (*path, "unit")):
            return None
        drafts = body.get("from") == "draft_orders"
        selector = Selector(
            kind,
            valueset.name,
            status="draft" if drafts else body.get("status", KINDS[kind].status),
            confirmed="verification" in body,
            categories=tuple(sorted(body.get("category", ()))),
            origin="draft_orders" if drafts else "chart",
        )
        window = self._window(kind, body, path)
        fact = self._fact(name, kind, selector, window, unit, valueset.title)
        plausible = valueset.measure.range_in(unit) if unit else None
        return replace(fact, plausible=plausible)

    def _is_measured_in(self, unit: str, valueset: ValueSet, path: Path) -> bool:
        """Whether results of a set can be told in *unit*; if not, with a finding."""
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
                f"write a unit such as `{measure.unit}`, or see that the set is right",
            )
            return False
        for misfit in shelf.quantities.misfits(valueset.codes, unit, measure.substance):
            self._error(path, "CDS232", misfit.message, misfit.help)
            return False
        shelf.unsaid.setdefault(valueset.name, unit)
        return True

    def _window(self, kind: str, body: Mapping[str, Any], path: Path) -> Window | None:
        for key in KINDS[kind].windows:
            if key in body:
                length = parse_duration(body[key])
                if length is None:
                    self._error(
                        (*path, key),
                        "CDS222",
                        f"{quote(body[key])} is not a duration",
                        "write e.g. `7 days`, `24 hours`, `12 months`",
                    )
                    return None
                if length.count == 0:
                    message = f"{quote(body[key])} is no time at all"
                    help = "say how far back the rule looks"
                    self._error((*path, key), "CDS222", message, help)
                    return None
                return Window(key, length)
        return None

    def _fact(
        self,
        name: str,
        kind: str,
        selector: Selector,
        window: Window | None,
        unit: str,
        title: str,
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
        )

    def _unknown_fact(self, path: Path, name: str, written: Mapping[str, Any]) -> None:
        self._error(
            path,
            "CDS301",
            f"there is no fact {quote(name)} in this file",
            suggest(name, written) or "define it under `facts`",
        )

    def _error(self, path: Path, code: str, message: str, help: str = "") -> None:
        self.shelf.findings.error(self.document, path, code, message, help)
