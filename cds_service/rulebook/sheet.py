"""The rows of one chart, filed under the selectors of a rulebook: one pass per call."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone, tzinfo
from typing import Any, NamedTuple

from ..fhir.chart import Chart, Resource, SourceState
from ..wearables.records import WearableAlert
from .intervals import EVER, Moment, exactly
from .matching import Coded, CodeIndex, Hit, Selector
from .medicines import coded_medication
from .readings import (
    Row,
    Standing,
    codings,
    condition_moment,
    condition_standing,
    items,
    medication_moment,
    medication_standing,
    observation_moment,
    observation_standing,
    quantity,
    reference_of,
    texts_of,
)
from .valuesets import ValueSet

SOURCES_OF: Mapping[str, tuple[str, ...]] = {
    "condition": ("conditions",),
    "medication": ("medication_requests", "medication_statements"),
    "observation": ("observations",),
}
"""The parts of the chart that a kind of fact is read from."""


class Selectors:
    """All selectors of a rulebook, numbered, with the index of their codes."""

    def __init__(
        self, selectors: Sequence[Selector], valuesets: Mapping[str, ValueSet]
    ) -> None:
        self.all = tuple(selectors)
        self.indexes: dict[tuple[str, str], CodeIndex] = {}
        """By kind and origin."""
        self.of_type: dict[str, list[int]] = defaultdict(list)
        """Slots of wearable alerts, by alert type."""
        coded: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
        for slot, selector in enumerate(self.all):
            for name in selector.types:
                self.of_type[name].append(slot)
            if selector.valueset:
                coded[selector.kind, selector.origin][slot] = selector.valueset
        for (kind, origin), slots in coded.items():
            wanted = set(slots.values())
            # Every drug set helps to recognise a medicine, used by a rule or not.
            sets = {
                name: each
                for name, each in valuesets.items()
                if name in wanted or (kind == "medication" and each.names)
            }
            self.indexes[kind, origin] = CodeIndex(slots, sets)
        self.group_of: dict[int, int] = {}
        """Slots that leave the same resources unresolved share a group."""
        self._groups: dict[tuple[str, str], list[Group]] = defaultdict(list)
        self._group()

    def groups_of(self, kind: str, origin: str) -> Sequence["Group"]:
        """The groups that resources of a kind may be unresolved for."""
        return self._groups.get((kind, origin), ())

    def _group(self) -> None:
        numbers: dict[tuple[Any, ...], int] = {}
        for slot, selector in enumerate(self.all):
            index = self.indexes.get((selector.kind, selector.origin))
            if index is None:
                continue
            settled = index.settled(slot)
            key = (
                selector.kind,
                selector.origin,
                selector.status,
                selector.confirmed,
                settled,
            )
            if key not in numbers:
                group = Group(len(numbers), selector, settled)
                numbers[key] = group.number
                self._groups[selector.kind, selector.origin].append(group)
            self.group_of[slot] = numbers[key]


class Group(NamedTuple):
    """Selectors for which the same resources stay unresolved."""

    number: int
    selector: Selector
    """One of them."""
    settled: frozenset[str]
    """The systems whose codes settle membership."""


class Match(NamedTuple):
    """A resource that belongs to a selector by its codes or names."""

    hit: Hit
    resource: Resource
    holder: Mapping[str, Any]
    """Where its value stands: itself or one of its components."""
    names: Sequence[str]


class Filed(NamedTuple):
    """The rows of one selector."""

    rows: list[Row]
    """What matched and counts."""
    unclear: list[Row]
    """What matched, but its status cannot be read."""


class Sheet:
    """What one chart holds for the selectors of a rulebook.

    Most of what matches is never asked for, since the rule lacks something else; so
    its status, time and value are read when the first fact asks.
    """

    def __init__(self, selectors: Selectors, now: datetime, zone: tzinfo) -> None:
        self.matches: dict[int, list[Match]] = defaultdict(list)
        """By slot: what matched, whether it counts or not."""
        self.alerts: dict[int, list[Row]] = defaultdict(list)
        """By slot: wearable alerts."""
        self.unresolved: dict[int, list[str]] = defaultdict(list)
        """By group: what may belong, in the record's words."""
        self.unread: dict[str, tuple[str, ...]] = {}
        """By kind (or ``draft_orders``): the sources that are not fully loaded."""
        self._selectors = selectors
        self._now = now
        self._zone = zone
        self._filed: dict[tuple[int, str], Filed] = {}

    def has(self, slot: int) -> bool:
        """Whether anything matched that counts, or of which that cannot be read."""
        if slot in self.alerts:
            return True
        selector = self._selectors.all[slot]
        return any(
            self.standing(selector, match.resource) is not Standing.DOES_NOT
            for match in self.matches.get(slot, ())
        )

    def filed(self, slot: int, unit: str = "") -> Filed:
        """The rows of a slot, with the values of observations in *unit*."""
        if slot in self.alerts:
            return Filed(self.alerts[slot], [])
        filed = self._filed.get((slot, unit))
        if filed is None:
            filed = self._filed[slot, unit] = Filed([], [])
            selector = self._selectors.all[slot]
            for match in self.matches.get(slot, ()):
                standing = self.standing(selector, match.resource)
                if standing is not Standing.DOES_NOT:
                    counts = standing is Standing.COUNTS
                    lot = filed.rows if counts else filed.unclear
                    lot.append(self._row(selector.kind, match, unit))
        return filed

    def standing(self, selector: Selector, resource: Resource) -> Standing:
        """Whether a resource counts for a selector that it belongs to."""
        if selector.kind == "condition":
            return condition_standing(resource, selector.status, selector.confirmed)
        if selector.kind == "observation":
            return observation_standing(resource, selector.status)
        return medication_standing(resource, selector.status, self._now, self._zone)

    def _row(self, kind: str, match: Match, unit: str) -> Row:
        hit, resource, holder, names = match
        called = names or texts_of(holder.get("code"))
        name = "" if hit.by_name else hit.name
        moment = _MOMENTS[kind](resource, self._zone)
        return Row(
            reference=reference_of(resource),
            name=name or next(iter(called), "") or hit.name,
            code=hit.code,
            by_name=hit.by_name,
            moment=moment or EVER,
            dated=moment is not None,
            value=quantity(holder, unit) if unit else None,
            holder=holder,
            resource=resource,
        )


_MOMENTS: Mapping[str, Callable[[Resource, tzinfo], Moment | None]] = {
    "condition": condition_moment,
    "medication": medication_moment,
    "observation": observation_moment,
}


class _Filer:
    def __init__(self, selectors: Selectors, chart: Chart, sheet: Sheet) -> None:
        self.selectors = selectors
        self.chart = chart
        self.sheet = sheet

    def file(self, kind: str, origin: str, resources: Sequence[Resource]) -> None:
        index = self.selectors.indexes.get((kind, origin))
        if index is None:
            return
        groups = self.selectors.groups_of(kind, origin)
        matches = self.sheet.matches
        for resource in resources:
            for holder, coded in self._coded(kind, resource):
                hits, known = index.find(coded)
                for slot, hit in hits.items():
                    matches[slot].append(Match(hit, resource, holder, coded.names))
                if kind != "medication" or not known:
                    self._leave(groups, resource, coded)

    def _coded(
        self, kind: str, resource: Resource
    ) -> Sequence[tuple[Mapping[str, Any], Coded]]:
        if kind == "medication":
            return ((resource, coded_medication(resource, self.chart)),)
        whole = (resource, Coded(codings(resource.get("code"))))
        if kind == "condition" or "component" not in resource:
            return (whole,)
        return [whole] + [
            (part, Coded(codings(part.get("code"))))
            for part in items(resource["component"])
            if isinstance(part, dict)
        ]

    def _leave(
        self, groups: Sequence["Group"], resource: Resource, coded: Coded
    ) -> None:
        """Note for whom the resource stays unresolved."""
        for group in groups:
            if any([system in group.settled for system, _, _ in coded.codings]):
                continue
            standing = self.sheet.standing(group.selector, resource)
            if standing is not Standing.DOES_NOT:
                called = coded.names or texts_of(resource.get("code"))
                self.sheet.unresolved[group.number].append(next(iter(called), ""))

    def file_alerts(self, alerts: Sequence[WearableAlert], now: datetime) -> None:
        for alert in alerts:
            if alert.status == "retracted":
                continue
            # An alert that lasts is as fresh as the moment of asking.
            at = (alert.end or now).astimezone(timezone.utc)
            row = Row(
                reference=f"WearableAlert/{alert.id}",
                name=alert.type,
                moment=Moment(at, at),
                dated=True,
                value=None if alert.value is None else exactly(alert.value),
                alert=alert,
            )
            lasts = "open" if alert.end is None else "closed"
            for slot in self.selectors.of_type.get(alert.type, ()):
                if self.selectors.all[slot].status in ("", lasts):
                    self.sheet.alerts[slot].append(row)


def fill_sheet(
    selectors: Selectors,
    chart: Chart,
    alerts: Sequence[WearableAlert] | None,
    now: datetime,
    zone: tzinfo,
) -> Sheet:
    """Every row of *chart* and *alerts* under the selectors that it belongs to.

    *alerts* is None where they could not be read.
    """
    sheet = Sheet(selectors, now, zone)
    filer = _Filer(selectors, chart, sheet)
    for kind, names in SOURCES_OF.items():
        read = [chart.sources[name] for name in names if name in chart.sources]
        for source in read:
            filer.file(kind, "chart", source.resources)
        sheet.unread[kind] = tuple(
            source.name for source in read if source.state is not SourceState.LOADED
        ) or (() if read else names)
    drafts = chart.sources.get("draft_orders")
    filer.file("medication", "draft_orders", drafts.resources if drafts else ())
    drafted = drafts is not None and drafts.state is SourceState.LOADED
    sheet.unread["draft_orders"] = () if drafted else ("draft_orders",)
    sheet.unread["wearable_alert"] = ("wearable_alerts",) if alerts is None else ()
    filer.file_alerts(alerts or (), now)
    return sheet
