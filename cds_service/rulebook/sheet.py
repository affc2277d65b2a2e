"""The rows of one chart, filed under the selectors of a rulebook: one pass per call."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Sheet:
    """What one chart holds for the selectors of a rulebook."""

    rows: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    """By slot: what matched and counts."""
    unclear: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    """By slot: what matched, but its status cannot be read."""
    unresolved: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By group: what may belong, in the record's words."""
    unread: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By kind (or ``draft_orders``): the sources that are not fully loaded."""


class _Filer:
    def __init__(
        self, selectors: Selectors, chart: Chart, now: datetime, zone: tzinfo
    ) -> None:
        self.selectors = selectors
        self.chart = chart
        self.now = now
        self.zone = zone
        self.sheet = Sheet()

    def file(self, kind: str, origin: str, resources: Sequence[Resource]) -> None:
        index = self.selectors.indexes.get((kind, origin))
        if index is None:
            return
        groups = self.selectors.groups_of(kind, origin)
        for resource in resources:
            for holder, coded in self._coded(kind, resource):
                hits, known = index.find(coded)
                for slot, hit in hits.items():
                    self._add(slot, hit, resource, holder, coded)
                if kind != "medication" or not known:
                    self._leave(groups, resource, coded)

    def _coded(
        self, kind: str, resource: Resource
    ) -> list[tuple[Mapping[str, Any], Coded]]:
        if kind == "medication":
            return [(resource, coded_medication(resource, self.chart))]
        whole = [(resource, Coded(codings(resource.get("code"))))]
        if kind == "condition" or "component" not in resource:
            return whole
        return whole + [
            (part, Coded(codings(part.get("code"))))
            for part in items(resource["component"])
            if isinstance(part, dict)
        ]

    def _add(
        self,
        slot: int,
        hit: Hit,
        resource: Resource,
        holder: Mapping[str, Any],
        coded: Coded,
    ) -> None:
        selector = self.selectors.all[slot]
        standing = self._standing(selector, resource)
        if standing is Standing.DOES_NOT:
            return
        called = coded.names or texts_of(holder.get("code"))
        name = "" if hit.by_name else hit.name
        moment = self._moment(selector.kind, resource)
        row = Row(
            reference=reference_of(resource),
            name=name or next(iter(called), "") or hit.name,
            code=hit.code,
            by_name=hit.by_name,
            moment=moment or EVER,
            dated=moment is not None,
            holder=holder,
            resource=resource,
        )
        counts = standing is Standing.COUNTS
        (self.sheet.rows if counts else self.sheet.unclear)[slot].append(row)

    def _leave(
        self, groups: Sequence["Group"], resource: Resource, coded: Coded
    ) -> None:
        """Note for whom the resource stays unresolved."""
        for group in groups:
            if any(system in group.settled for system, _, _ in coded.codings):
                continue
            if self._standing(group.selector, resource) is not Standing.DOES_NOT:
                called = coded.names or texts_of(resource.get("code"))
                self.sheet.unresolved[group.number].append(next(iter(called), ""))

    def _standing(self, selector: Selector, resource: Resource) -> Standing:
        if selector.kind == "condition":
            return condition_standing(resource, selector.status, selector.confirmed)
        if selector.kind == "observation":
            return observation_standing(resource, selector.status)
        return medication_standing(resource, selector.status, self.now, self.zone)

    def _moment(self, kind: str, resource: Resource) -> Moment | None:
        read = {
            "condition": condition_moment,
            "medication": medication_moment,
            "observation": observation_moment,
        }[kind]
        return read(resource, self.zone)

    def file_alerts(self, alerts: Sequence[WearableAlert]) -> None:
        for alert in alerts:
            if alert.status == "retracted":
                continue
            # An alert that lasts is as fresh as the moment of asking.
            at = (alert.end or self.now).astimezone(timezone.utc)
            row = Row(
                reference=f"WearableAlert/{alert.id}",
                name=alert.type,
                moment=Moment(at, at),
                dated=True,
                value=None if alert.value is None else exactly(alert.value),
                alert=alert,
            )
            for slot in self.selectors.of_type.get(alert.type, ()):
                self.sheet.rows[slot].append(row)


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
    filer = _Filer(selectors, chart, now, zone)
    for kind, names in SOURCES_OF.items():
        read = [chart.sources[name] for name in names if name in chart.sources]
        for source in read:
            filer.file(kind, "chart", source.resources)
        filer.sheet.unread[kind] = tuple(
            source.name for source in read if source.state is not SourceState.LOADED
        ) or (() if read else names)
    drafts = chart.sources.get("draft_orders")
    filer.file("medication", "draft_orders", drafts.resources if drafts else ())
    drafted = drafts is not None and drafts.state is SourceState.LOADED
    filer.sheet.unread["draft_orders"] = () if drafted else ("draft_orders",)
    filer.sheet.unread["wearable_alert"] = (
        ("wearable_alerts",) if alerts is None else ()
    )
    filer.file_alerts(alerts or ())
    return filer.sheet
