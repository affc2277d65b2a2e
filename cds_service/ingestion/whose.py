"""Whose wrist it was: who owns each item of a delivery, or why nobody does. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..config import WebhookSource
from ..protocol.errors import Problem
from ..store.samples.records import NO_LINK, StreamOwner
from ..wearables.adapters.reading import SHORTEST_DAY
from ..wearables.clock import find_zone
from ..wearables.links import WearerLink, resolve
from ..wearables.records import PatientKey
from ..wearables.samples import Flag, Item, LeftOut, Notice, Removal, Sample

AHEAD = timedelta(minutes=5)
"""How far a device's clock may be ahead of ours."""
FUTURE = "Lies in the future; is the device's clock right?"
NOBODY = "Names no wearer, nor does the sender."
NOT_COVERED = "The link of this token does not hold at that time."
ANOTHER = "Is not the wearer to whom this token belongs."


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Who delivers: a source, or one wearer of it."""

    source: WebhookSource
    link: WearerLink | None = None
    """Of the wearer whose token it was; None where the source itself has signed."""
    owner: StreamOwner | None = None
    """Whose everything is, where somebody says so by hand."""


@dataclass(frozen=True, slots=True)
class OwnedItem:
    """An item, and whose it is."""

    owner: StreamOwner
    item: Sample | Notice | Removal


@dataclass(frozen=True, slots=True)
class FutureItem:
    """A reading of the future, and whose it is: the clock that it has is wrong."""

    owner: StreamOwner
    sample: Sample

    @property
    def left_out(self) -> LeftOut:
        """Why it is not taken in."""
        return _left_out(self.sample, "clock", FUTURE)


@dataclass(frozen=True, slots=True)
class UnlinkedItem:
    """An item whose wearer no link names at its time."""

    item: Sample | Notice | Removal


Placed = OwnedItem | UnlinkedItem | FutureItem | LeftOut


def place_items(
    items: Iterable[Item],
    deliverer: Deliverer,
    links: Sequence[WearerLink],
    now: datetime,
) -> Iterator[Placed]:
    """Yield every item with its owner, in their order.

    Args:
        links: All that name a user or device of the items.
    """
    for item in items:
        if isinstance(item, LeftOut):
            yield item
        elif isinstance(item, Removal):
            yield from _place_removal(item, deliverer, links)
        else:
            yield _place(item, deliverer, links, now)


def _place(
    item: Sample | Notice,
    deliverer: Deliverer,
    links: Sequence[WearerLink],
    now: datetime,
) -> Placed:
    placed = _place_known(item, deliverer, links)
    if isinstance(placed, LeftOut) or item.start <= now + AHEAD:
        return placed
    if isinstance(placed, OwnedItem) and isinstance(placed.item, Sample):
        return FutureItem(placed.owner, placed.item)
    return _left_out(item, "clock", FUTURE)


def _place_known(
    item: Sample | Notice, deliverer: Deliverer, links: Sequence[WearerLink]
) -> OwnedItem | UnlinkedItem | LeftOut:
    if deliverer.owner is not None:
        return OwnedItem(deliverer.owner, item)
    if deliverer.link is not None:
        link = deliverer.link
        if not _may_be(item, link):
            return _left_out(item, "wearer", ANOTHER)
        if not link.holds(item.start):
            return _left_out(item, "wearer", NOT_COVERED)
        return _owned(item, link)
    wearer = item.wearer
    if wearer.patient:
        source = deliverer.source
        patient = PatientKey(source.tenant, source.fhir_base, wearer.patient)
        return OwnedItem(StreamOwner(patient, source.id, NO_LINK), item)
    if not wearer.user and not item.device.id:
        return _left_out(item, "wearer", NOBODY)
    found = resolve(links, wearer.user, item.device.id, item.start)
    return UnlinkedItem(item) if found is None else _owned(item, found)


def _place_removal(
    item: Removal, deliverer: Deliverer, links: Sequence[WearerLink]
) -> Iterator[Placed]:
    """A source does not tell of whom it was at the time: it is taken from each."""
    source, wearer = deliverer.source, item.wearer
    if deliverer.owner is not None:
        yield OwnedItem(deliverer.owner, item)
    elif deliverer.link is not None:
        same = wearer.patient in ("", deliverer.link.patient.patient_id)
        known = same and wearer.user in ("", deliverer.link.user or wearer.user)
        yield (
            OwnedItem(_owner(deliverer.link), item)
            if known
            else _left_out(item, "wearer", ANOTHER)
        )
    elif wearer.patient:
        patient = PatientKey(source.tenant, source.fhir_base, wearer.patient)
        yield OwnedItem(StreamOwner(patient, source.id, NO_LINK), item)
    elif not wearer.user:
        yield _left_out(item, "wearer", NOBODY)
    else:
        named = [each for each in links if each.user == wearer.user]
        if not named:
            yield UnlinkedItem(item)
        for owner in dict.fromkeys(map(_owner, named)):
            yield OwnedItem(owner, item)


def _may_be(item: Sample | Notice, link: WearerLink) -> bool:
    """Check that nothing of the item names somebody else than the link does."""
    wearer = item.wearer
    return (
        wearer.patient in ("", link.patient.patient_id)
        and (not wearer.user or not link.user or wearer.user == link.user)
        and (not link.device or item.device.id in ("", link.device))
    )


def _owned(item: Sample | Notice, link: WearerLink) -> OwnedItem:
    known = _on_clock(item, link)
    if isinstance(known, Sample) and known.flags & Flag.GROUPED and link.grouping:
        known = _grouped(known, link.grouping)
    return OwnedItem(_owner(link), known)


def _grouped(sample: Sample, length: timedelta) -> Sample:
    """The sample of the time that its link says it was taken over."""
    known = sample.flags & ~Flag.GROUPED
    if length >= SHORTEST_DAY and sample.flags & Flag.DAY_TOTAL:
        return replace(sample, flags=known)
    end = sample.start + length
    return replace(sample, end=end, flags=known & ~Flag.DAY_TOTAL)


def _on_clock(item: Sample | Notice, link: WearerLink) -> Sample | Notice:
    zone = None if item.local else find_zone(link.time_zone)
    if zone is None:
        return item
    end = item.end and item.end.astimezone(zone)
    start = item.start.astimezone(zone)
    if isinstance(item, Sample):
        return replace(item, start=start, end=end or start, local=True)
    return replace(item, start=start, end=end, local=True)


def _owner(link: WearerLink) -> StreamOwner:
    return StreamOwner(link.patient, link.source, link.id)


def _left_out(item: Sample | Notice | Removal, reason: str, text: str) -> LeftOut:
    id = item.id if isinstance(item, Notice) else item.source_id
    return LeftOut(reason, Problem(text, item.path), id)
