"""Exports of phones, taken in batch by batch: each is whole, or as if it had not been.

Who stops it, in whatever way, and begins anew takes in nothing twice, and goes on from
the last batch.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Any

from .. import __version__
from ..audit import build_readings_event
from ..config import WebhookSource
from ..store.records import AuditEvent, Intake, TakenIn
from ..store.samples.records import ImportProgress, StreamOwner
from ..wearables.consent_gate import stamp_of
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


@dataclass(frozen=True, slots=True)
class Import:
    """One export of one patient's phone."""

    format: str
    deliverer: Deliverer
    owner: StreamOwner
    basis: str
    """A digest of the file and of all that its reading rests on."""
    begin: int = 0
    """So many items from its beginning were taken in or left out before."""


def open_import(
    format: str,
    owner: StreamOwner,
    export: str,
    rules: str,
    ingestion: Ingestion,
    again: bool = False,
) -> Import:
    """Return the import of an export, from where an earlier one of it broke off.

    That counts only if the same file is read under the same rules and Consents: else
    something that was left out might be taken in by now.

    Args:
        export: The digest of the export.
        rules: The digest of the rules that say what is known in it.
        again: Whether it begins at the beginning all the same.
    """
    patient = owner.patient
    gate = ingestion.gate_of(patient.tenant)
    consents = ingestion.store.consents.of([patient])[patient]
    told = [
        *(export, format, __version__, rules, gate.assumed),
        *(sorted(gate.actors), sorted(map(list, stamp_of(consents)))),
    ]
    basis = sha256(json.dumps(told, default=str).encode()).hexdigest()
    source = WebhookSource(format, patient.tenant, patient.fhir_base, ())
    known = None if again else ingestion.store.samples.import_progress(owner)
    begin = known.items if known and known.basis == basis else 0
    return Import(format, Deliverer(source, owner=owner), owner, basis, begin)


def take_in_all(
    items: Iterable[Item],
    work: Import,
    ingestion: Ingestion,
    clock: Callable[[], datetime],
) -> Iterator[ImportTotals]:
    """Yield how many items became what so far, after each batch that is stored.

    Args:
        items: Of the export, those that were not taken in before.

    Raises:
        StoreError: if a batch could not be stored; those before it are.
    """
    totals, rest, done = ImportTotals(), iter(items), work.begin
    while batch := list(islice(rest, AT_ONCE)):
        totals.add(*_take_in(batch, done, work, ingestion, clock()))
        done += len(batch)
        yield totals
    _conclude(totals, done, work, ingestion, clock())


def _take_in(
    batch: Sequence[Item], done: int, work: Import, ingestion: Ingestion, now: datetime
) -> tuple[Shelves, TakenIn]:
    whole = done + len(batch)
    progress = ImportProgress(work.owner, work.basis, whole)

    def sort_and_store() -> tuple[Shelves, TakenIn]:
        shelves, intake, _ = sort_items(
            batch, work.deliverer, ingestion, work.format, now
        )
        detail = tell_shelves(shelves, work.format)
        key = f"items {done + 1} to {whole}"
        event = _event(now, work, key, detail)
        intake = replace(intake, progress=progress)
        return shelves, ingestion.store.take_in(intake, event, now)

    return again_while_outdated(sort_and_store)


def _conclude(
    totals: ImportTotals, done: int, work: Import, ingestion: Ingestion, now: datetime
) -> None:
    """Have it known that all of it was taken in, and what became of it."""
    told = {
        "items": done,
        "passed_over": work.begin,
        "outcomes": dict(totals.outcomes),
        "left_out": dict(totals.left_out),
    }
    event = _event(now, work, "whole", {"format": work.format, "import": told})
    progress = ImportProgress(work.owner, work.basis, done, whole=True)
    ingestion.store.take_in(Intake(progress=progress), event, now)


def _event(
    now: datetime, work: Import, key: str, detail: Mapping[str, Any]
) -> AuditEvent:
    tenant, patients = work.owner.patient.tenant, (work.owner.patient,)
    return build_readings_event(now, tenant, work.format, key, 0, patients, detail)
