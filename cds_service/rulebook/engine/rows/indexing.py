"""Indexing: every resource of one chart under its selectors, in one pass a call."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone

from ....fhir.chart import SOURCES, Chart, Resource, SourceState
from ....fhir.code_systems import HIERARCHIES, can_be_read, short_name
from ....fhir.moments import Moment
from ....wearables.records import WearableAlert
from ....wearables.worn import Wearables
from ...values.intervals import exactly
from ...values.truth import ReasonKind
from .chart_index import ChartIndex, Match
from .coded import (
    INGREDIENT_NOT_OBTAINED,
    Coded,
    Lack,
    coded_as,
    coded_medication,
    coded_observation,
    says_none,
    texts_of,
)
from .exclusions import RXNORM
from .matching import Hit, Placing
from .observations import NO_NUMBER, NOT_MEASURED, absence_of
from .problems import Times
from .readings import Row, text_of
from .selectors import Group, Selectors
from .standing import Standing
from .worn import add_worn

SOURCES_OF: Mapping[str, tuple[str, ...]] = {
    "condition": ("conditions",),
    "medication": ("medication_requests", "medication_statements"),
    "observation": ("observations",),
}
"""The parts of the chart that a kind of fact is read from."""
ALERTS = "wearable_alerts"
"""What the alerts are called beside the parts of a chart."""


def index_chart(
    selectors: Selectors,
    chart: Chart,
    wearables: Wearables,
    times: Times,
) -> ChartIndex:
    """Return every row of *chart* and *wearables* under the selectors it belongs to."""
    index = ChartIndex(selectors, times)
    for kind, names in SOURCES_OF.items():
        read = [chart.sources[name] for name in names if name in chart.sources]
        for source in read:
            _add(index, chart, kind, "chart", source.resources)
        index.unread[kind] = tuple(
            source.name for source in read if source.state is not SourceState.LOADED
        ) or (() if read else names)
    drafts = chart.sources.get("draft_orders")
    ordered = [
        each
        for each in (drafts.resources if drafts else ())
        if each.get("resourceType") == SOURCES["medication_requests"]
    ]
    _add(index, chart, "medication", "draft_orders", ordered)
    drafted = drafts is not None and drafts.state is SourceState.LOADED
    index.unread["draft_orders"] = () if drafted else ("draft_orders",)
    alerts = wearables.alerts
    partial = ALERTS in chart.sources and chart.state(ALERTS) is not SourceState.LOADED
    index.unread["wearable_alert"] = (ALERTS,) if alerts is None or partial else ()
    _add_alerts(index, alerts or (), times.now)
    add_worn(index, wearables, times)
    return index


def _add(
    index: ChartIndex,
    chart: Chart,
    kind: str,
    origin: str,
    resources: Sequence[Resource],
) -> None:
    if (kind, origin) in index.selectors.indexes:
        _Indexer(index, chart, kind, origin).add(resources)


class _Indexer:
    """Puts the resources of one kind and origin under the selectors of a rulebook."""

    def __init__(self, index: ChartIndex, chart: Chart, kind: str, origin: str) -> None:
        self._index = index
        self._chart = chart
        self._kind = kind
        self._codes = index.selectors.indexes[kind, origin]
        self._groups = index.selectors.groups_of[kind, origin]

    def add(self, resources: Sequence[Resource]) -> None:
        """Note under every selector what belongs to it, and what may."""
        for resource in resources:
            read = self._read(resource)
            found = [self._add_coded(coded, resource) for coded in read]
            if self._codes.panels and self._kind == "observation":
                self._add_panel(read[0], resource, set().union(*found))

    def _add_coded(self, coded: Coded, resource: Resource) -> Collection[int]:
        """Note what belongs to selectors, or may; return the slots of the former."""
        by_codes = self._codes.find(coded)
        left = self._left_by_codes(coded, by_codes)
        placing = self._heeding_words(coded, by_codes)
        if not (placing.hits or placing.meant or left):
            return ()  # as most resources: no rule asks for them
        no_value = self._no_value(coded, resource)
        if no_value is NOT_MEASURED:
            return placing.hits.keys()
        for slot, hit in placing.hits.items():
            self._match(slot, hit, coded, resource, no_value)
        for slot, text in placing.meant.items():
            self._add_likely(slot, text, resource)
        if left:
            self._leave(left, resource, coded, by_codes)
        return placing.hits.keys()

    def _match(
        self, slot: int, hit: Hit, coded: Coded, resource: Resource, no_value: str
    ) -> None:
        match = Match(
            hit,
            resource,
            coded.holder,
            hit.text or coded.display_of(hit.code),
            coded if self._kind == "medication" else None,
            no_value,
        )
        self._index.matches[slot].append(match)
        if hit.by_name:
            self._index.named.add(slot)

    def _add_panel(
        self, whole: Coded, resource: Resource, found: Collection[int]
    ) -> None:
        """Note a panel with a value of its own, such as 120/80 in words.

        It is noted under the parts that it was not split into: what those were cannot
        be told, and they are newer than others.
        """
        panels = self._codes.panels
        named = [(s, c) for s, c, _ in whole.codings if (s, c) in panels]
        if not named or not _has_value(resource):
            return
        if self._no_value(whole, resource) is NOT_MEASURED:
            return
        for system, code in named:
            for slot in set(panels[system, code]).difference(found):
                hit = Hit(f"{system}|{code}")
                self._match(slot, hit, whole, resource, NO_NUMBER)

    def _read(self, resource: Resource) -> Sequence[Coded]:
        """The codes of a resource, and those of an observation's components."""
        if self._kind == "medication":
            return (coded_medication(resource, self._chart),)
        if self._kind == "observation":
            return coded_observation(resource)
        return (coded_as(resource.get("code"), resource),)

    def _no_value(self, coded: Coded, resource: Resource) -> str:
        measures = self._kind == "observation"
        return absence_of(coded.holder, resource) if measures else ""

    def _heeding_words(self, coded: Coded, placing: Placing) -> Placing:
        """Return what codes tell, and what a problem's own words make of it.

        A disease's code under "family history of" was chosen for want of a better one,
        as was that of something wider under "history of atrial fibrillation".
        """
        texts = texts_of(coded.holder.get("code")) if self._kind == "condition" else []
        if not (texts and coded.codings):
            return placing
        denied = self._codes.denied(texts) & placing.hits.keys()
        doubts = denied | (self._said_beyond(coded) - placing.hits.keys())
        if not doubts:
            return placing
        hits = {k: hit for k, hit in placing.hits.items() if k not in denied}
        meant = {**placing.meant, **dict.fromkeys(doubts, texts[0])}
        return Placing(hits, placing.known, meant)

    def _said_beyond(self, coded: Coded) -> set[int]:
        """The slots that a text names, and not what its codes are called."""
        text = text_of(coded.holder["code"].get("text"))
        displays = [display for _, _, display in coded.codings if display]
        settled = any(system in HIERARCHIES for system, _, _ in coded.codings)
        if not (text and displays and settled):
            return set()
        return self._codes.worded([text]) - self._codes.worded(displays)

    def _left_by_codes(self, coded: Coded, placing: Placing) -> Sequence[Group]:
        """The groups for which the codes of a resource do not settle what it is."""
        in_part = coded.lack is INGREDIENT_NOT_OBTAINED
        if self._kind == "medication" and placing.known and not in_part:
            return ()
        if coded.lack:
            return self._groups.all
        return self._groups.left_by(coded.codings, worded=True)

    def _add_likely(self, slot: int, text: str, resource: Resource) -> None:
        """Note that a resource may be meant by a selector."""
        selector = self._index.selectors.all[slot]
        if self._index.standing(selector, resource) not in _PASSED:
            row = self._index.row(self._kind, resource, text)
            row.doubt, row.why = _MAY_BE_MEANT
            row.likely = True
            self._index.meant[slot].append(row)

    def _leave(
        self,
        left: Sequence[Group],
        resource: Resource,
        coded: Coded,
        placing: Placing,
    ) -> None:
        """Note for whom the resource stays in doubt, by its words as well."""
        if says_none(coded.codings):
            return
        names = coded.names or texts_of(resource.get("code"))
        said = self._codes.worded(names)
        systems = {
            system for system, code, _ in coded.codings if can_be_read(system, code)
        }
        # Words cannot judge what comes without any; the code of a classification can.
        told = bool(names) or placing.known or not systems.isdisjoint(HIERARCHIES)
        if told and not said and not coded.lack:
            left = self._groups.left_by(coded.codings, worded=False)
        unplaced: Row | None = None
        for group in left:
            worded = group.slots & said
            not_said = told and not worded
            if not coded.lack and _is_settled(group, systems, placing, not_said):
                continue
            if self._index.standing(group.selector, resource) in _PASSED:
                continue
            for slot in worded:
                self._add_likely(slot, names[0], resource)
            if not worded:
                unplaced = unplaced or self._unplaced(resource, coded)
                self._index.unplaced[group.number].append(unplaced)

    def _unplaced(self, resource: Resource, coded: Coded) -> Row:
        """Return what no code and no name placed, as a row that may be anything.

        An import of RxNorm has all products that hold what the sets name: one that it
        does not list is none of them. Without it, a product's code tells nothing.
        """
        called = [
            *(coded.names or texts_of(resource.get("code"))),
            *(f"{short_name(system)} {code}" for system, code, _ in coded.codings),
        ]
        row = self._index.row(self._kind, resource, next(iter(called), ""))
        row.doubt, row.why = coded.lack or _NOT_PLACED
        row.likely = self._kind == "medication" and not (
            self._index.selectors.has_import
            and any(system == RXNORM for system, _, _ in coded.codings)
        )
        return row


_NOT_PLACED = Lack(ReasonKind.UNRESOLVED, "no value set can place it")
_MAY_BE_MEANT = Lack(ReasonKind.UNRESOLVED, "its words say so, and no code does")
_PASSED = (Standing.DOES_NOT, Standing.NOT_TO_GIVE)
"""An order not to give something unknown does not tell that it is taken."""


def _has_value(observation: Resource) -> bool:
    return any(
        name.lstrip("_").startswith("value") and value is not None
        for name, value in observation.items()
    )


def _is_settled(
    group: Group, systems: set[str], placing: Placing, not_said: bool
) -> bool:
    """Check if the codes of a resource tell that it belongs to a group, or does not.

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


def _add_alerts(
    index: ChartIndex, alerts: Sequence[WearableAlert], now: datetime
) -> None:
    selectors = index.selectors
    for alert in alerts:
        if alert.status == "retracted":
            continue
        # A vendor's alert that lasts is as fresh as the moment of asking.
        at = alert.until(now).astimezone(timezone.utc)
        row = Row(
            reference=f"WearableAlert/{alert.id}",
            name=alert.type,
            moment=Moment(at, at),
            dated=True,
            value=None if alert.value is None else exactly(alert.value),
            alert=alert,
        )
        lasts = "open" if alert.end is None else "closed"
        for slot in selectors.of_type.get(alert.type, ()):
            if selectors.all[slot].status in ("", lasts):
                index.worn[slot].append(row)
