"""Samples to rows and back.

A row is a plain tuple: hundreds of thousands come at once, and each dearer object would
be felt.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, cast

from sqlalchemy import Row

from ...wearables.samples import (
    EPOCH,
    Context,
    Device,
    Flag,
    KeptSample,
    Sample,
    Stat,
    key_at_start,
    key_of_id,
    microseconds,
)
from .records import SampleStream

STATS = (Stat.INSTANT, Stat.MEAN, Stat.MIN, Stat.MAX, Stat.MEDIAN, Stat.TOTAL)
CONTEXTS = (Context.UNKNOWN, Context.REST, Context.ACTIVE, Context.ASLEEP)
"""What is stored of each is its place here, which never changes."""

SampleRow = tuple[
    int, int, bytes, int, float, int, int, int | None, int, int, int, int, bool
]
COLUMNS = (
    *("stream", "start_us", "key", "length_us", "value", "revision", "received_us"),
    *("offset_s", "device", "stat", "context", "flags", "named"),
)
"""Of ``samples``, in the order of a row."""
STREAM: Final = 0
START: Final = 1
KEY: Final = 2
LENGTH: Final = 3
VALUE: Final = 4
REVISION: Final = 5
RECEIVED: Final = 6
OFFSET: Final = 7
DEVICE: Final = 8
STAT: Final = 9
CONTEXT: Final = 10
FLAGS: Final = 11
NAMED: Final = 12


Spans = dict[int, tuple[int, int]]
"""By stream: from the first start to the last end of some rows."""


def widen(spans: Spans, rows: Iterable[SampleRow]) -> None:
    """Have the spans reach over these rows as well."""
    for row in rows:
        start = row[START]
        end, known = start + row[LENGTH], spans.get(row[STREAM])
        if known is None:
            spans[row[STREAM]] = (start, end)
        elif start < known[0] or end > known[1]:
            spans[row[STREAM]] = (min(start, known[0]), max(end, known[1]))


def sample_rows(
    samples: Iterable[Sample],
    streams: Mapping[tuple[str, str], int],
    devices: Mapping[Device, int],
    received_us: int,
) -> Iterator[SampleRow]:
    """Yield the row of each sample.

    Mostly one is like the one before, but for its time and its value.

    Args:
        streams: Their numbers, by metric and unit.
        devices: Their numbers.
    """
    before, length_before = None, 0
    key, told = b"", (0, 0, 0, 0)
    for each in samples:
        start_us = microseconds(each.start)
        length = 0 if each.end is each.start else microseconds(each.end) - start_us
        if before is None or length != length_before or not _is_like(each, before):
            before, length_before = each, length
            key = key_at_start(each.device, each.stat, each.flags, length)
            stat, context = STATS.index(each.stat), CONTEXTS.index(each.context)
            told = (devices[each.device], stat, context, int(each.flags))
        zone = each.start.utcoffset() if each.local else None
        yield (
            streams[each.metric, each.unit],
            start_us,
            key_of_id(each.source_id, each.stat) if each.source_id else key,
            length,
            float(each.value),
            each.revision,
            received_us,
            None if zone is None else zone.days * 86_400 + zone.seconds,
            *told,
            bool(each.source_id),
        )


def kept_sample(row: SampleRow, stream: SampleStream, device: Device) -> KeptSample:
    """Return the sample that a row of a stream holds.

    Its id at the source is not kept, nor where it stood in what came.
    """
    offset = row[OFFSET]
    zone = UTC if offset is None else timezone(timedelta(seconds=offset))
    start = moment(row[START]).astimezone(zone)
    sample = Sample(
        metric=stream.metric,
        value=row[VALUE],
        unit=stream.unit,
        start=start,
        end=start + timedelta(microseconds=row[LENGTH]),
        local=offset is not None,
        device=device,
        revision=row[REVISION],
        stat=STATS[row[STAT]],
        context=CONTEXTS[row[CONTEXT]],
        flags=Flag(row[FLAGS]),
    )
    owner = stream.owner
    return KeptSample(sample, owner.source, owner.link, moment(row[RECEIVED]))


def plain(row: Row[Any]) -> SampleRow:
    """Return a row of the columns above as they were asked for."""
    return cast(SampleRow, tuple(row))


def moment(us: int) -> datetime:
    """Return the instant so many microseconds after 1970-01-01T00:00:00Z; UTC."""
    return EPOCH + timedelta(microseconds=us)


def _is_like(one: Sample, other: Sample) -> bool:
    return (
        one.stat is other.stat
        and one.context is other.context
        and (one.flags is other.flags or one.flags == other.flags)
        and (one.device is other.device or one.device == other.device)
    )
