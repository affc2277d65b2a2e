"""Filing: every resource of one chart under its selectors, in one pass per call."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone, tzinfo
from typing import Any

from ....fhir.chart import SOURCES, Chart, Resource, SourceState
from ....fhir.code_systems import HIERARCHIES, short_name
from ....fhir.moments import Moment
from ....wearables.records import WearableAlert
from ...values.intervals import exactly
from ...values.truth import ReasonKind
from .absence import NOT_MEASURED, absence_of
from .index import Group, Match, Selectors, Sheet
from .matching import RXNORM, Coded, CodeIndex, Placing
from .medicines import INGREDIENT_NOT_OBTAINED, coded_medication
from .problems import Reading, Times
from .readings import (
    MISSHAPEN,
    Lack,
    Row,
    birth_moment,
    codings,
    items,
    lack_of,
    says_none,
    texts_of,
)
from .standing import Standing

SOURCES_OF: Mapping[str, tuple[str, ...]] = {
    "condition": ("conditions",),
    "medication": ("medication_requests", "medication_statements"),
    "observation": ("observations",),
}
"""The parts of the chart that a kind of fact is read from."""


_NOTHING: Mapping[str, Any] = {}
_NOT_PLACED = Lack(ReasonKind.UNRESOLVED, "no value set can place it")
_PASSED = (Standing.DOES_NOT, Standing.NOT_TO_GIVE)
"""An order not to give something unknown does not tell that it is taken."""
_MAY_BE_MEANT = Lack(ReasonKind.UNRESOLVED, "its words say so, and no code does")


def _coded_as(concept: Any) -> Coded:
    found = codings(concept)
    return Coded(found, lack=None if found else lack_of(concept))


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
        measures = kind == "observation"
        for resource in resources:
            for holder, coded in self._coded(kind, resource):
                why = absence_of(holder, resource) if measures else ""
                if why is NOT_MEASURED:
                    continue
                placing = index.find(coded)
                for slot, hit in placing.hits.items():
                    matches[slot].append(Match(hit, resource, holder, coded, why))
                for slot, text in placing.meant.items():
                    self._add_likely(slot, text, resource)
                in_part = coded.lack is INGREDIENT_NOT_OBTAINED
                if kind != "medication" or not placing.known or in_part:
                    self._leave(index, groups, resource, coded, placing)

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

    def _add_likely(self, slot: int, text: str, resource: Resource) -> None:
        """Note that a resource may be meant by a selector."""
        selector = self.selectors.all[slot]
        if self.sheet.standing(selector, resource) not in _PASSED:
            row = self.sheet.row(selector.kind, resource, text)
            row.doubt, row.why = _MAY_BE_MEANT
            row.likely = True
            self.sheet.meant[slot].append(row)

    def _leave(
        self,
        index: CodeIndex,
        groups: Sequence[Group],
        resource: Resource,
        coded: Coded,
        placing: Placing,
    ) -> None:
        """Note for whom the resource stays in doubt."""
        if says_none(coded.codings):
            return
        systems = {system for system, _, _ in coded.codings}
        if not coded.lack:
            groups = [
                group
                for group in groups
                if group.words or systems.isdisjoint(group.settled)
            ]
        if not groups:
            return
        names = coded.names or texts_of(resource.get("code"))
        # Words cannot judge what comes without any; the code of a classification can.
        told = bool(names) or placing.known or not systems.isdisjoint(HIERARCHIES)
        stray: Row | None = None
        for group in groups:
            worded = group.slots & index.worded(names) if group.words else set()
            not_said = told and not worded
            if not coded.lack and _is_settled(group, systems, placing, not_said):
                continue
            if self.sheet.standing(group.selector, resource) in _PASSED:
                continue
            for slot in worded:
                self._add_likely(slot, names[0], resource)
            if not worded:
                stray = stray or self._stray(group.selector.kind, resource, coded)
                self.sheet.strays[group.number].append(stray)

    def _stray(self, kind: str, resource: Resource, coded: Coded) -> Row:
        """What no code and no name placed, as a row that may be anything.

        An import of RxNorm has all products that hold what the sets name: one that it
        does not list is none of them. Without it, a product's code tells nothing.
        """
        doubt, why = coded.lack or _NOT_PLACED
        called = [
            *(coded.names or texts_of(resource.get("code"))),
            *(f"{short_name(system)} {code}" for system, code, _ in coded.codings),
        ]
        row = self.sheet.row(kind, resource, next(iter(called), ""))
        row.doubt, row.why = doubt, why
        row.likely = kind == "medication" and not (
            self.selectors.has_import
            and any(system == RXNORM for system, _, _ in coded.codings)
        )
        return row

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


def _is_settled(
    group: Group, systems: set[str], placing: Placing, not_said: bool
) -> bool:
    """Whether the codes of a resource tell that it belongs to a group, or does not.

    A list without a hierarchy never has all subtypes, and a subtype of what a rule
    excludes must not read as something else: where a set has words for that case, its
    words must be *not_said*.
    """
    if systems.isdisjoint(group.settled):
        return False
    return (
        not group.words
        or not_said
        or not systems.isdisjoint(group.settled - group.listed)
        or not group.slots.isdisjoint(placing.hits)
    )


def fill_sheet(
    selectors: Selectors,
    chart: Chart,
    alerts: Sequence[WearableAlert] | None,
    now: datetime,
    zone: tzinfo,
    reading: Reading,
) -> Sheet:
    """Every row of *chart* and *alerts* under the selectors that it belongs to.

    *alerts* is None where they could not be read.
    """
    born = birth_moment(chart.patient or {}, now, zone)
    sheet = Sheet(selectors, Times(now, zone, born, reading))
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
