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

from ...wearables.records import PatientKey
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
    Spans,
    sample_rows,
    widen,
)
from .streams import (
    Numbers,
    lock_streams,
    mark_arrival,
    number_devices,
)

Pending = tuple[SampleRow, list[ItemOutcome], int]
"""A row, and where what becomes of it is told."""


@dataclass(frozen=True, slots=True)
class Upserted:
    """What became of samples that were put to those that are there."""

    outcomes: Sequence[Sequence[ItemOutcome]]
    """Of every item, in the order of the batches and their items."""
    changed: Mapping[tuple[PatientKey, str], tuple[int, int]]
    """By patient and metric, between when anything is other than it was: from the first
    start to the last end, in microseconds since 1970."""


def upsert(
    connection: Connection, batches: Sequence[SampleBatch], now: datetime
) -> Upserted:
    """Return what became of every item, and what has changed with that.

    Nobody else writes to the streams of these owners until the transaction ends.
    """
    now_us = microseconds(now)
    parts = [_Part.of(each) for each in batches]
    wanted = {each for part in parts for each in part.streams()}
    numbers: dict[StreamOwner, Numbers] = {each.owner: {} for each in parts}
    locked, newest = lock_streams(connection, numbers, wanted)
    for stream, number in locked.items():
        numbers[stream.owner][stream] = number
    spans: Spans = {}
    for part in parts:
        part.take_back(connection, numbers[part.owner], spans, now_us)
    pending = _pending(connection, parts, numbers, now_us)
    heard = set[int]()
    while some := list(islice(pending, AT_ONCE)):
        rows = [row for row, _, _ in some]
        done = put_together(connection, rows, spans, now_us, newest)
        for (row, told, place), outcome in zip(some, done):
            told[place] = outcome
            if row[START] > newest[row[STREAM]]:
                newest[row[STREAM]] = row[START]
        heard.update(row[STREAM] for row in rows)
    mark_arrival(connection, {each: newest[each] for each in heard}, now_us)
    return Upserted([each.outcomes for each in parts], _by_metric(spans, numbers))


def _by_metric(
    spans: Spans, numbers: Mapping[StreamOwner, Numbers]
) -> dict[tuple[PatientKey, str], tuple[int, int]]:
    """The spans of several streams of a metric as one."""
    changed: dict[tuple[PatientKey, str], tuple[int, int]] = {}
    for of_owner in numbers.values():
        for stream, number in of_owner.items():
            if number in spans:
                key, (start, end) = (stream.owner.patient, stream.metric), spans[number]
                known = changed.get(key, (start, end))
                changed[key] = (min(start, known[0]), max(end, known[1]))
    return changed


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

    def take_back(
        self, connection: Connection, numbers: Numbers, spans: Spans, now_us: int
    ) -> None:
        """Do the removals."""
        told = list(self.removals.values())
        done = take_back(connection, self.owner, told, numbers, spans, now_us)
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
    spans: Spans,
    now_us: int,
    newest: Mapping[int, int],
) -> list[ItemOutcome]:
    """Put rows with those that are there; what became of each, in their order.

    Args:
        spans: Widened by all that changes.
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
    widen(spans, changed)
    widen(spans, replaced)
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
