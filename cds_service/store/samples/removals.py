"""What sources took back: by id, or all of a metric in an interval.

A removal takes away what is there up to its revision, and stays for what comes after it
and is no newer. What it takes away is kept beside the samples, as what a revision
replaces is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, literal_column, select
from sqlalchemy.dialects.postgresql import insert

from ...wearables.samples import Removal, Sample, key_of_id, microseconds
from ..database import Prepared
from . import bulk
from .bulk import AT_ONCE
from .records import ItemOutcome, StreamOwner
from .rows import COLUMNS, REVISION, STATS, SampleRow, Spans, plain, widen
from .streams import LONG_AGO, Numbers, owner_row, streams_of
from .tables import OWNER, REMOVALS, SAMPLES

ALWAYS = -LONG_AGO
"""After any sample."""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What one owner has taken back."""

    by_id: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Revision by metric, which may be empty for any, and id."""
    intervals: Sequence[tuple[str, int, int, int]] = ()
    """Metric, start, end and revision."""

    def __bool__(self) -> bool:
        return bool(self.by_id or self.intervals)

    def holds(self, sample: Sample, start_us: int) -> bool:
        """Check whether a sample was taken back, in this revision or a higher one."""
        metrics = (sample.metric, "")
        if sample.source_id:
            for metric in metrics:
                revision = self.by_id.get((metric, sample.source_id))
                if revision is not None and revision >= sample.revision:
                    return True
        return any(
            metric in metrics and start <= start_us < end
            for metric, start, end, revision in self.intervals
            if revision >= sample.revision
        )


def take_back(
    connection: Connection,
    owner: StreamOwner,
    removals: Sequence[Removal],
    streams: Numbers,
    spans: Spans,
    now_us: int,
) -> list[ItemOutcome]:
    """Return what became of each removal: done, or known before.

    Args:
        streams: Those of the owner, which nobody else writes to.
        spans: Widened by all that is removed.
    """
    outcomes = []
    for each in removals:
        row = _row(owner, each, now_us)
        new = _NOTE.run(connection, row).rowcount == 1
        outcomes.append(ItemOutcome.REMOVED if new else ItemOutcome.DUPLICATE)
        if new:
            _remove(connection, row, _numbers(streams, each.metric), spans, now_us)
    return outcomes


def remove_again(connection: Connection, owner: StreamOwner, now_us: int) -> None:
    """Remove all that an owner ever took back, of what has become theirs since then."""
    streams = streams_of(connection, [owner])
    told = owner_row(owner)
    whose = [REMOVALS.c[name] == value for name, value in told.items()]
    for row in connection.execute(select(REMOVALS).where(*whose)).mappings().all():
        numbers = _numbers(streams, row["metric"])
        _remove(connection, dict(row), numbers, {}, now_us)


def read_taken_back(
    connection: Connection, owner: StreamOwner, samples: Iterable[Sample]
) -> TakenBack:
    """Return what of the samples the owner may have taken back."""
    told = owner_row(owner)
    found = _INTERVALS.run(connection, told).fetchall()
    intervals = [(metric, start, end, number) for metric, start, end, number in found]
    by_id = {}
    removal, ids = REMOVALS.c, sorted({each.source_id for each in samples} - {""})
    for start in range(0, len(ids), AT_ONCE):
        asked = select(removal.metric, removal.source_id, removal.revision).where(
            *(removal[name] == value for name, value in told.items()),
            removal.source_id.in_(ids[start : start + AT_ONCE]),
        )
        for metric, id, revision in connection.execute(asked):
            by_id[metric, id] = revision
    return TakenBack(by_id, intervals)


def _numbers(streams: Numbers, metric: str) -> list[int]:
    """Those of a metric, or all where it is empty."""
    return [
        number for stream, number in streams.items() if metric in ("", stream.metric)
    ]


def _remove(
    connection: Connection,
    removal: Mapping[str, Any],
    streams: Sequence[int],
    spans: Spans,
    now_us: int,
) -> None:
    for some in _rows_of(connection, removal, streams):
        widen(spans, some)
        bulk.keep(connection, some, now_us)
        bulk.remove(connection, some)


def _rows_of(
    connection: Connection, removal: Mapping[str, Any], streams: Sequence[int]
) -> Iterator[Sequence[SampleRow]]:
    """Yield what a removal takes away, some at a time; each must go before the next
    is asked for.
    """
    if removal["source_id"]:
        keys = [key_of_id(removal["source_id"], each) for each in STATS]
        places = [(stream, key) for stream in streams for key in keys]
        named = bulk.find(connection, places).values()
        yield [each for each in named if each[REVISION] <= removal["revision"]]
        return
    sample = SAMPLES.c
    columns = [sample[name] for name in COLUMNS]
    since, until = removal["start_us"], removal["end_us"]
    for stream in streams:
        asked = (
            select(*columns)
            .where(sample.stream == stream, sample.revision <= removal["revision"])
            .where(sample.start_us >= since, sample.start_us < until)
            .limit(AT_ONCE)
        )
        while found := connection.execute(asked).all():
            yield list(map(plain, found))


def _row(owner: StreamOwner, removal: Removal, now_us: int) -> dict[str, Any]:
    start, end = LONG_AGO, ALWAYS
    if not removal.source_id:
        start = microseconds(removal.start) if removal.start else LONG_AGO
        end = microseconds(removal.end) if removal.end else ALWAYS
    return {
        **owner_row(owner),
        "metric": removal.metric,
        "source_id": removal.source_id,
        "start_us": start,
        "end_us": max(end, start + 1),
        "revision": removal.revision,
        "received_us": now_us,
    }


def _note() -> Prepared:
    """Insert, or raise a lower revision."""
    new, removal = insert(REMOVALS), REMOVALS.c
    key = [removal[name] for name in (*OWNER, "source_id", "metric")]
    return Prepared(
        new.on_conflict_do_update(
            index_elements=[*key, removal.start_us, removal.end_us],
            set_={name: new.excluded[name] for name in ("revision", "received_us")},
            where=new.excluded.revision > removal.revision,
        ),
        [each.name for each in REMOVALS.columns if each.name != "id"],
    )


def _intervals() -> Prepared:
    removal = REMOVALS.c
    whose = [removal[name] == bindparam(name) for name in OWNER]
    told = select(removal.metric, removal.start_us, removal.end_us, removal.revision)
    return Prepared(told.where(*whose, removal.source_id == literal_column("''")))


_NOTE = _note()
_INTERVALS = _intervals()
