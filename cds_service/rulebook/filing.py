"""Filing: every resource of one chart under its selectors, in one pass per call."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone, tzinfo
from typing import Any

from ..fhir.chart import Chart, Resource, SourceState
from ..wearables.records import WearableAlert
from .intervals import Moment, exactly
from .matching import Coded, Hit
from .medicines import coded_medication
from .readings import Row, codings, items, says_none, texts_of
from .sheet import Group, Match, Selectors, Sheet
from .standing import Standing

SOURCES_OF: Mapping[str, tuple[str, ...]] = {
    "condition": ("conditions",),
    "medication": ("medication_requests", "medication_statements"),
    "observation": ("observations",),
}
"""The parts of the chart that a kind of fact is read from."""


_NOTHING: Mapping[str, Any] = {}


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
                    self._leave(groups, resource, coded, hits)

    def _coded(
        self, kind: str, resource: Resource
    ) -> Sequence[tuple[Mapping[str, Any], Coded]]:
        if kind == "medication":
            return ((resource, coded_medication(resource, self.chart)),)
        whole = (resource, Coded(codings(resource.get("code"))))
        if kind == "condition" or "component" not in resource:
            return (whole,)
        written = resource["component"]
        parts = items(written)
        if written and not parts:
            parts = [written]
        return [whole] + [
            # What cannot be read may be anything, and stays unresolved.
            (
                (part, Coded(codings(part.get("code"))))
                if isinstance(part, dict)
                else (_NOTHING, Coded([]))
            )
            for part in parts
        ]

    def _leave(
        self,
        groups: Sequence[Group],
        resource: Resource,
        coded: Coded,
        hits: Mapping[int, Hit],
    ) -> None:
        """Note for whom the resource stays unresolved."""
        for group in groups:
            if any(
                [system in group.settled for system, _, _ in coded.codings]
            ) and not (
                group.words and self._may_be_meant(group, resource, coded, hits)
            ):
                continue
            standing = self.sheet.standing(group.selector, resource)
            if standing is not Standing.DOES_NOT and not says_none(coded.codings):
                called = coded.names or texts_of(resource.get("code"))
                self.sheet.unresolved[group.number].append(next(iter(called), ""))

    def _may_be_meant(
        self,
        group: Group,
        resource: Resource,
        coded: Coded,
        hits: Mapping[int, Hit],
    ) -> bool:
        """Whether words of the set name a resource whose code it does not list.

        A list without a hierarchy never has all subtypes, and a subtype of what a rule
        excludes must not read as something else.
        """
        group_of = self.selectors.group_of
        if any(group_of.get(slot) == group.number for slot in hits):
            return False
        systems = {system for system, _, _ in coded.codings}
        if systems & (group.settled - group.listed):
            return False
        said = " ".join(texts_of(resource.get("code"))).lower()
        return any(word in said for word in group.words)

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
