"""Samples taken in: the same again changes nothing, and order does not matter.

Of one sample the highest revision holds, whichever came first; of equal ones the one
that came last. What a source takes back is gone up to the revision that it says, and
a removal stays, since what it takes back may arrive after it. So the same deliveries in
any order, split in any way, leave the same samples, as long as one revision says one
thing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection

from ...wearables.samples import Removal, Sample, microseconds
from . import bulk
from .bulk import AT_ONCE, SampleRow
from .records import ItemOutcome, SampleBatch, SampleStream
from .removals import read_taken_back, take_back
from .rows import sample_row
from .streams import (
    LONG_AGO,
    Numbers,
    lock_streams,
    mark_arrival,
    number_devices,
)

Pending = tuple[SampleRow, list[ItemOutcome], int]
"""A row, and where what becomes of it is told."""


def upsert(
    connection: Connection, batches: Sequence[SampleBatch], now: datetime
) -> list[list[ItemOutcome]]:
    """Return what became of every item, in the order of the batches and their items.

    Nobody else writes to the streams of these owners until the transaction ends.
    """
    now_us = microseconds(now)
    wanted = {
        SampleStream(batch.owner, sample.metric, sample.unit)
        for batch in batches
        for sample in _samples(batch)
    }
    numbers = lock_streams(connection, {each.owner for each in batches}, wanted)
    outcomes = [_take_back(connection, each, numbers, now_us) for each in batches]
    pending = _pending(connection, zip(batches, outcomes), numbers, now_us)
    newest: dict[int, int] = {}
    while some := list(islice(pending, AT_ONCE)):
        rows = [row for row, _, _ in some]
        done = put_together(connection, rows, now_us)
        for (row, told, place), outcome in zip(some, done):
            told[place] = outcome
            newest[row.stream] = max(row.start_us, newest.get(row.stream, LONG_AGO))
    mark_arrival(connection, newest, now_us)
    return outcomes


def _samples(batch: SampleBatch) -> Iterator[Sample]:
    return (each for each in batch.items if isinstance(each, Sample))


def _take_back(
    connection: Connection, batch: SampleBatch, numbers: Numbers, now_us: int
) -> list[ItemOutcome]:
    """What became of the removals; the samples come after them, whatever the order."""
    removals = [each for each in batch.items if isinstance(each, Removal)]
    done = iter(take_back(connection, batch.owner, removals, numbers, now_us))
    return [
        next(done) if isinstance(each, Removal) else ItemOutcome.OUTDATED
        for each in batch.items
    ]


def _pending(
    connection: Connection,
    batches: Iterable[tuple[SampleBatch, list[ItemOutcome]]],
    numbers: Numbers,
    now_us: int,
) -> Iterator[Pending]:
    """Yield the samples that were not taken back."""
    for batch, outcomes in batches:
        patient = batch.owner.patient
        measured_by = {(patient, each.device) for each in _samples(batch)}
        devices = number_devices(connection, measured_by)
        taken_back = read_taken_back(connection, batch.owner, _samples(batch))
        for place, sample in enumerate(batch.items):
            if isinstance(sample, Removal):
                continue
            stream = numbers[SampleStream(batch.owner, sample.metric, sample.unit)]
            row = sample_row(sample, stream, devices[patient, sample.device], now_us)
            if not taken_back or not taken_back.holds(sample, row.start_us):
                yield row, outcomes, place


def put_together(
    connection: Connection, rows: Sequence[SampleRow], now_us: int
) -> list[ItemOutcome]:
    """Put rows with those that are there; what became of each, in their order."""
    stored = bulk.find(connection, rows)
    held, outcomes = dict(stored), []
    for row in rows:
        key = (row.stream, row.key)
        outcome, held[key] = _settle(held.get(key), row)
        outcomes.append(outcome)
    changed, moved, replaced = [], [], []
    for key, row in held.items():
        old = stored.get(key)
        if row is old:
            continue
        changed.append(row)
        if old and not _says_the_same(old, row):
            replaced.append(old)
            if old.start_us != row.start_us:
                moved.append(old)
    bulk.keep(connection, replaced, now_us)
    bulk.remove(connection, moved)
    bulk.put(connection, changed)
    return outcomes


def _settle(old: SampleRow | None, new: SampleRow) -> tuple[ItemOutcome, SampleRow]:
    """What becomes of a sample, and which row holds from then on."""
    if old is None:
        return ItemOutcome.ACCEPTED, new
    if _says_the_same(old, new):
        return ItemOutcome.DUPLICATE, _both(old, new)
    if new.revision >= old.revision:
        return ItemOutcome.REVISED, new
    return ItemOutcome.OUTDATED, old


def _says_the_same(old: SampleRow, new: SampleRow) -> bool:
    return (
        old.value == new.value
        and old.context == new.context
        and old.flags == new.flags
        and old.start_us == new.start_us
        and old.length_us == new.length_us
    )


def _both(old: SampleRow, new: SampleRow) -> SampleRow:
    """The row of two that say the same: the higher revision, and the clock if known."""
    offset = new.offset_s if old.offset_s is None else old.offset_s
    if new.revision <= old.revision and offset == old.offset_s:
        return old
    revision = max(old.revision, new.revision)
    return old._replace(revision=revision, offset_s=offset)
