"""Exports of phones, taken in batch by batch: each is whole, or as if it had not been.

Who stops it, in whatever way, and begins anew takes in nothing twice.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from ..audit import build_readings_event
from ..store.records import TakenIn
from ..wearables.samples import Item
from .delivery import again_while_outdated
from .judging import Ingestion
from .readings import Shelves, sort_items, tell_shelves
from .whose import Deliverer

AT_ONCE = 5000
"""Items of one transaction."""


@dataclass(slots=True)
class ImportTotals:
    """How many items became what."""

    outcomes: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    """By reason."""

    def add(self, shelves: Shelves, taken: TakenIn) -> None:
        """Count what was stored of some items."""
        self.outcomes.update(taken.count())
        if shelves.alerts:
            self.outcomes["accepted"] += len(shelves.alerts)
        self.left_out.update(each.reason for _, each in shelves.left_out)


def take_in_all(
    items: Iterable[Item],
    deliverer: Deliverer,
    ingestion: Ingestion,
    format: str,
    clock: Callable[[], datetime],
) -> Iterator[ImportTotals]:
    """Yield how many items became what so far, after each batch that is stored.

    Raises:
        StoreError: if a batch could not be stored; those before it are.
    """
    totals, rest, number = ImportTotals(), iter(items), 0
    while batch := list(islice(rest, AT_ONCE)):
        number += 1
        _take_in(
            batch, deliverer, ingestion, format, clock(), f"batch {number}", totals
        )
        yield totals


def _take_in(
    batch: Sequence[Item],
    deliverer: Deliverer,
    ingestion: Ingestion,
    format: str,
    now: datetime,
    key: str,
    totals: ImportTotals,
) -> None:
    source = deliverer.source

    def sort_and_store() -> tuple[Shelves, TakenIn]:
        shelves, intake, _ = sort_items(batch, deliverer, ingestion, format, now)
        detail = tell_shelves(shelves, format)
        event = build_readings_event(
            now, source.tenant, source.id, key, 0, intake.seen, detail
        )
        return shelves, ingestion.store.take_in(intake, event, now)

    totals.add(*again_while_outdated(sort_and_store))
