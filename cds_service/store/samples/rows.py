"""Samples to rows and back."""

from datetime import UTC, datetime, timedelta, timezone

from ...wearables.readings import KeptSample
from ...wearables.samples import (
    EPOCH,
    Context,
    Device,
    Flag,
    Sample,
    Stat,
    microseconds,
)
from .bulk import SampleRow
from .records import SampleStream

STATS = (Stat.INSTANT, Stat.MEAN, Stat.MIN, Stat.MAX, Stat.MEDIAN, Stat.TOTAL)
CONTEXTS = (Context.UNKNOWN, Context.REST, Context.ACTIVE, Context.ASLEEP)
"""What is stored of each is its place here, which never changes."""
_STAT_NUMBERS = {each: number for number, each in enumerate(STATS)}
_CONTEXT_NUMBERS = {each: number for number, each in enumerate(CONTEXTS)}


def sample_row(sample: Sample, stream: int, device: int, received_us: int) -> SampleRow:
    """Return the row of ``samples``."""
    start_us = microseconds(sample.start)
    offset = sample.start.utcoffset() if sample.local else None
    return SampleRow(
        stream,
        start_us,
        sample.key,
        microseconds(sample.end) - start_us,
        float(sample.value),
        sample.revision,
        received_us,
        None if offset is None else offset.days * 86400 + offset.seconds,
        device,
        _STAT_NUMBERS[sample.stat],
        _CONTEXT_NUMBERS[sample.context],
        int(sample.flags),
        bool(sample.source_id),
    )


def kept_sample(row: SampleRow, stream: SampleStream, device: Device) -> KeptSample:
    """Return the sample that a row of a stream holds.

    Its id at the source is not kept, nor where it stood in what came.
    """
    zone = UTC if row.offset_s is None else timezone(timedelta(seconds=row.offset_s))
    start = moment(row.start_us).astimezone(zone)
    sample = Sample(
        metric=stream.metric,
        value=row.value,
        unit=stream.unit,
        start=start,
        end=start + timedelta(microseconds=row.length_us),
        local=row.offset_s is not None,
        device=device,
        revision=row.revision,
        stat=STATS[row.stat],
        context=CONTEXTS[row.context],
        flags=Flag(row.flags),
    )
    owner = stream.owner
    return KeptSample(sample, owner.source, owner.link, moment(row.received_us))


def moment(us: int) -> datetime:
    """Return the instant so many microseconds after 1970-01-01T00:00:00Z; UTC."""
    return EPOCH + timedelta(microseconds=us)
