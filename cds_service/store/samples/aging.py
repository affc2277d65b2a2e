"""Samples that are older than they are kept, and what is held of nobody for too long.

Stream by stream, along the key in which samples are stored: nothing is read that stays.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    func,
    or_,
    select,
)

from ...wearables.samples import microseconds
from ..database import Database
from ..rows import instant
from ..statements import RAISE_MARK
from .tables import QUARANTINE, REMOVALS, REVISIONS, SAMPLES, STREAMS

AT_ONCE = 5000
"""Samples of one transaction, about."""
OF_STREAMS = (SAMPLES, REVISIONS)
SAMPLES_MARK = "samples"
"""In ``marks``: up to when samples are not there any more; nobody judges by them."""


def count_old(
    connection: Connection, samples: datetime | None, held: datetime | None
) -> dict[str, int]:
    """Return how many rows of each table are of before then; None for not at all.

    Args:
        samples: Those that were measured before, and all that goes with them.
        held: What is in quarantine since before.
    """
    counted: dict[str, int] = {}
    if samples is not None:
        us = microseconds(samples)
        for table in OF_STREAMS:
            joined = STREAMS.join(table, table.c.stream == STREAMS.c.id)
            asked = select(func.count()).select_from(joined)
            found = connection.execute(asked.where(table.c.start_us < us))
            counted[table.name] = int(found.scalar_one())
    for table, old in _others(samples, held):
        found = connection.execute(select(func.count()).select_from(table).where(old))
        counted[table.name] = int(found.scalar_one())
    return counted


def remove_old(
    database: Database, samples: datetime | None, held: datetime | None
) -> Iterator[tuple[str, int]]:
    """Remove them; yields table and number of rows after each transaction."""
    if samples is not None:
        mark = {"name": SAMPLES_MARK, "at_utc": samples.timestamp()}
        database.write(lambda connection: RAISE_MARK.run(connection, mark))
        yield from _remove_samples(database, microseconds(samples))
    for table, which in _others(samples, held):
        while rows := database.write(_some_gone(table, which)):
            yield table.name, rows


def _remove_samples(database: Database, us: int) -> Iterator[tuple[str, int]]:
    for table in OF_STREAMS:
        old = and_(table.c.stream == STREAMS.c.id, table.c.start_us < us)
        asked = select(STREAMS.c.id).where(select(table.c.stream).where(old).exists())
        with database.reading() as connection:
            streams = connection.execute(asked).scalars().all()
        for stream in streams:
            while rows := database.write(_oldest_gone(table, stream, us)):
                yield table.name, rows


def _others(
    samples: datetime | None, held: datetime | None
) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Which rows are too old of tables that are not in the order of time."""
    if samples is not None:
        # Nothing can come any more that they take back and that is kept.
        row, us = REMOVALS.c, microseconds(samples)
        ended = or_(row.source_id != "", row.end_us < us)
        yield REMOVALS, and_(row.received_us < us, ended)
    if held is not None:
        yield QUARANTINE, QUARANTINE.c.held < instant(held)


def _oldest_gone(table: Table, stream: int, us: int) -> Callable[[Connection], int]:
    """Remove a range of a stream, up to where enough of it have begun."""
    start = table.c.start_us
    old = and_(table.c.stream == stream, start < us)
    last = select(start).where(old).order_by(start).limit(1).offset(AT_ONCE - 1)

    def work(connection: Connection) -> int:
        end = connection.execute(last).scalar()
        gone = old if end is None else and_(old, start <= end)
        return connection.execute(delete(table).where(gone)).rowcount

    return work


def _some_gone(table: Table, old: ColumnElement[bool]) -> Callable[[Connection], int]:
    some = select(table.c.id).where(old).limit(AT_ONCE)
    gone = delete(table).where(table.c.id.in_(some))
    return lambda connection: connection.execute(gone).rowcount
