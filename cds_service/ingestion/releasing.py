"""What was held of a wearer, taken in once links say whose it is."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from ..config import WebhookSource
from ..store.records import AuditEvent, TakenIn
from ..store.samples.quarantine import HeldItem
from ..store.samples.records import UnknownWearer
from ..wearables.links import WearerLink
from .delivery import again_while_outdated
from .importing import ImportTotals
from .judging import Ingestion
from .readings import Shelves, sort_items
from .whose import Deliverer, place_items

AT_ONCE = 1000
"""Items of one transaction."""


def release_held(
    wearer: UnknownWearer, fhir_base: str, ingestion: Ingestion, event: AuditEvent
) -> ImportTotals:
    """Return what became of what was held; what stays held counts as left out.

    Each item is taken in once, whoever releases at the same time.

    Raises:
        StoreError: if some of it could not be stored; what was before it is.
    """
    source = WebhookSource(wearer.source, wearer.tenant, fhir_base, ())
    totals, last = ImportTotals(), 0
    while held := ingestion.store.quarantine.items(wearer, last, AT_ONCE):
        last = held[-1].id
        shelves, taken = again_while_outdated(
            partial(
                _release, wearer, last, held[0].id, Deliverer(source), ingestion, event
            )
        )
        totals.add(shelves, taken)
        totals.left_out["unknown"] += sum(map(len, shelves.held.values()))
    return totals


def _release(
    wearer: UnknownWearer,
    last: int,
    first: int,
    deliverer: Deliverer,
    ingestion: Ingestion,
    event: AuditEvent,
) -> tuple[Shelves, TakenIn]:
    """Take in a page of what is held, as far as somebody's it is by now."""
    page = ingestion.store.quarantine.items(wearer, first - 1, AT_ONCE)
    held = [each for each in page if each.id <= last]
    items = [each.item for each in held]
    shelves, intake, _ = sort_items(items, deliverer, ingestion, "held", event.at)
    ids = list(_ids(held, deliverer, intake.links, event))
    places = [place for batch in shelves.samples.values() for place, _ in batch]
    places += [place for place, _ in shelves.alerts]
    if not places:
        return shelves, TakenIn()
    released = tuple(sorted({ids[place] for place in places}))
    owned = replace(intake, held=(), released=released)
    return shelves, ingestion.store.take_in(owned, event, event.at)


def _ids(
    held: Sequence[HeldItem],
    deliverer: Deliverer,
    links: Sequence[WearerLink],
    event: AuditEvent,
) -> Iterator[int]:
    """Yield the id of what is held for each place: a removal may go to several."""
    for each in held:
        for _ in place_items([each.item], deliverer, links, event.at):
            yield each.id
