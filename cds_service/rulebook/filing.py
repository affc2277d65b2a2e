"""Filing: every resource of one chart under its selectors, in one pass per call."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone, tzinfo
from typing import Any

from ..fhir.chart import SOURCES, Chart, Resource, SourceState
from ..wearables.records import WearableAlert
from .intervals import Moment, exactly, parse_moment
from .matching import Coded, Hit
from .medicines import INGREDIENT_NOT_OBTAINED, coded_medication
from .problems import Times
from .readings import (
    MISSHAPEN,
    Lack,
    Row,
    codings,
    items,
    lack_of,
    says_none,
    texts_of,
)
from .sheet import Group, Match, Selectors, Sheet
from .standing import Standing
from .truth import ReasonKind

SOURCES_OF: Mapping[str, tuple[str, ...]] = {
    "condition": ("conditions",),
    "medication": ("medication_requests", "medication_statements"),
    "observation": ("observations",),
}
"""The parts of the chart that a kind of fact is read from."""


_NOTHING: Mapping[str, Any] = {}
_NOT_PLACED = Lack(ReasonKind.UNRESOLVED, "no value set can place it")


def _coded_as(concept: Any) -> Coded:
    return Coded(codings(concept), lack=lack_of(concept))


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
                    matches[slot].append(Match(hit, resource, holder, coded))
                in_part = coded.lack is INGREDIENT_NOT_OBTAINED
                if kind != "medication" or not known or in_part:
                    self._leave(groups, resource, coded, hits)

    def _coded(
        self, kind: str, resource: Resource
    ) -> Sequence[tuple[Mapping[str, Any], Coded]]:
        if kind == "medication":
            return ((resource, coded_medication(resource, self.chart)),)
        whole = (resource, _coded_as(resource.get("code")))
        if kind == "condition" or "component" not in resource:
            return (whole,)
        written = resource["component"]
        parts = items(written)
        if written and not parts:
            parts = [written]
        return [whole] + [
            # What cannot be read may be anything.
            (
                (part, _coded_as(part.get("code")))
                if isinstance(part, dict)
                else (_NOTHING, Coded([], lack=MISSHAPEN))
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
        """Note for whom the resource stays in doubt."""
        stray: Row | None = None
        for group in groups:
            if (
                not coded.lack
                and any([system in group.settled for system, _, _ in coded.codings])
                and not (
                    group.words and self._may_be_meant(group, resource, coded, hits)
                )
            ):
                continue
            standing = self.sheet.standing(group.selector, resource)
            # An order not to give something unknown does not tell that it is taken.
            passed = standing in (Standing.DOES_NOT, Standing.NOT_TO_GIVE)
            if not passed and not says_none(coded.codings):
                stray = stray or self._stray(group.selector.kind, resource, coded)
                self.sheet.strays[group.number].append(stray)

    def _stray(self, kind: str, resource: Resource, coded: Coded) -> Row:
        """What no code and no name placed, as a row that may be anything."""
        doubt, why = coded.lack or _NOT_PLACED
        called = coded.names or texts_of(resource.get("code"))
        row = self.sheet.row(kind, resource, next(iter(called), ""))
        row.doubt, row.why = doubt, why
        return row

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
    born = parse_moment((chart.patient or {}).get("birthDate"), zone)
    sheet = Sheet(selectors, Times(now, zone, born))
    filer = _Filer(selectors, chart, sheet)
    for kind, names in SOURCES_OF.items():
        read = [chart.sources[name] for name in names if name in chart.sources]
        for source in read:
            filer.file(kind, "chart", source.resources)
        sheet.unread[kind] = tuple(
            source.name for source in read if source.state is not SourceState.LOADED
        ) or (() if read else names)
    drafts = chart.sources.get("draft_orders")
    ordered = [
        each
        for each in (drafts.resources if drafts else ())
        if each.get("resourceType") == SOURCES["medication_requests"]
    ]
    filer.file("medication", "draft_orders", ordered)
    drafted = drafts is not None and drafts.state is SourceState.LOADED
    sheet.unread["draft_orders"] = () if drafted else ("draft_orders",)
    sheet.unread["wearable_alert"] = ("wearable_alerts",) if alerts is None else ()
    filer.file_alerts(alerts or (), now)
    return sheet
