"""Samples taken in: the same again changes nothing, and order does not matter.

Of one sample the highest revision holds, whichever came first; of equal ones the one
that came last. What a source takes back is gone up to the revision that it says, and
a removal stays, since what it takes back may arrive after it. So the same deliveries in
any order, split in any way, leave the same samples, as long as one revision says one
thing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import itemgetter

from sqlalchemy import Connection

from ...wearables.samples import Removal, Sample, microseconds
from . import bulk
from .bulk import AT_ONCE
from .records import ItemOutcome, SampleBatch, SampleStream, StreamOwner
from .removals import read_taken_back, take_back
from .rows import (
    CONTEXT,
    DEVICE,
    FLAGS,
    LENGTH,
    NAMED,
    OFFSET,
    RECEIVED,
    REVISION,
    START,
    STREAM,
    VALUE,
    SampleRow,
    sample_rows,
)
from .streams import (
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
    parts = [_Part.of(each) for each in batches]
    wanted = {each for part in parts for each in part.streams()}
    numbers: dict[StreamOwner, Numbers] = {each.owner: {} for each in parts}
    locked, newest = lock_streams(connection, numbers, wanted)
    for stream, number in locked.items():
        numbers[stream.owner][stream] = number
    for part in parts:
        part.take_back(connection, numbers[part.owner], now_us)
    pending = _pending(connection, parts, numbers, now_us)
    heard = set[int]()
    while some := list(islice(pending, AT_ONCE)):
        rows = [row for row, _, _ in some]
        done = put_together(connection, rows, now_us, newest)
        for (row, told, place), outcome in zip(some, done):
            told[place] = outcome
            if row[START] > newest[row[STREAM]]:
                newest[row[STREAM]] = row[START]
        heard.update(row[STREAM] for row in rows)
    mark_arrival(connection, {each: newest[each] for each in heard}, now_us)
    return [each.outcomes for each in parts]


@dataclass(frozen=True, slots=True)
class _Part:
    """The items of one owner by their kind, and what becomes of each."""

    owner: StreamOwner
    samples: Mapping[int, Sample]
    """By their place; they come after the removals, whatever the order."""
    removals: Mapping[int, Removal]
    outcomes: list[ItemOutcome]

    @classmethod
    def of(cls, batch: SampleBatch) -> "_Part":
        samples, removals = dict[int, Sample](), dict[int, Removal]()
        for place, each in enumerate(batch.items):
            if isinstance(each, Sample):
                samples[place] = each
            else:
                removals[place] = each
        outcomes = [ItemOutcome.OUTDATED] * len(batch.items)
        return cls(batch.owner, samples, removals, outcomes)

    def streams(self) -> Iterator[SampleStream]:
        """The streams of the samples."""
        for metric, unit in {
            (each.metric, each.unit) for each in self.samples.values()
        }:
            yield SampleStream(self.owner, metric, unit)

    def take_back(self, connection: Connection, numbers: Numbers, now_us: int) -> None:
        """Do the removals."""
        told = list(self.removals.values())
        done = take_back(connection, self.owner, told, numbers, now_us)
        for place, outcome in zip(self.removals, done):
            self.outcomes[place] = outcome


def _pending(
    connection: Connection,
    parts: Iterable[_Part],
    numbers: Mapping[StreamOwner, Numbers],
    received_us: int,
) -> Iterator[Pending]:
    """Yield the samples that were not taken back."""
    for part in parts:
        samples = part.samples.values()
        measured_by = {each.device for each in samples}
        devices = number_devices(connection, part.owner.patient, measured_by)
        streams = {
            (stream.metric, stream.unit): number
            for stream, number in numbers[part.owner].items()
        }
        taken_back = read_taken_back(connection, part.owner, samples)
        hides = taken_back.holds if taken_back else _never
        rows = sample_rows(samples, streams, devices, received_us)
        for (place, sample), row in zip(part.samples.items(), rows):
            if not hides(sample, row[START]):
                yield row, part.outcomes, place


def _never(sample: Sample, start_us: int) -> bool:
    return False


def put_together(
    connection: Connection,
    rows: Sequence[SampleRow],
    now_us: int,
    newest: Mapping[int, int],
) -> list[ItemOutcome]:
    """Put rows with those that are there; what became of each, in their order.

    Args:
        newest: By stream the latest start of what is there: what comes after it is new.
    """
    places = list(map(bulk.place_of, rows))
    stored = bulk.find(
        connection,
        (
            place
            for place, row in zip(places, rows)
            if row[NAMED] or row[START] <= newest[row[STREAM]]
        ),
    )
    held, outcomes = dict(stored), []
    for place, row in zip(places, rows):
        outcome, held[place] = _settle(held.get(place), row)
        outcomes.append(outcome)
    changed, moved, replaced = [], [], []
    for place, row in held.items():
        old = stored.get(place)
        if row is old:
            continue
        changed.append(row)
        if old and _said(old) != _said(row):
            replaced.append(old)
            if old[START] != row[START]:
                moved.append(old)
    bulk.keep(connection, replaced, now_us)
    bulk.remove(connection, moved)
    bulk.put(connection, changed)
    return outcomes


_said = itemgetter(VALUE, CONTEXT, FLAGS, START, LENGTH)
"""What a sample says; the rest is how it is known, and since when."""


def _settle(old: SampleRow | None, new: SampleRow) -> tuple[ItemOutcome, SampleRow]:
    """What becomes of a sample, and which row holds from then on."""
    if old is None:
        return ItemOutcome.ACCEPTED, new
    if _said(old) == _said(new):
        return ItemOutcome.DUPLICATE, _both(old, new)
    if new[REVISION] >= old[REVISION]:
        return ItemOutcome.REVISED, new
    return ItemOutcome.OUTDATED, old


def _both(old: SampleRow, new: SampleRow) -> SampleRow:
    """The row of two that say the same: the higher revision, and the clock if known."""
    offset = new[OFFSET] if old[OFFSET] is None else old[OFFSET]
    if new[REVISION] <= old[REVISION] and offset == old[OFFSET]:
        return old
    revision = max(old[REVISION], new[REVISION])
    return (*old[:REVISION], revision, old[RECEIVED], offset, *old[DEVICE:])
