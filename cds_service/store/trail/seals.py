"""Seals: rows of the audit trail that are old, and so can be removed whole.

A seal holds what a run of rows follows from and what it ends with, and the digest of
the seal before it. Rows that it covers are there all together or not at all: where they
were removed, the seal stands in for them, and the chain goes on behind it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from ..database import Database, lock_table
from ..recorder import Recorder, sealed_tail
from ..records import AuditEntry, AuditEvent, Seal, StoreError
from ..rows import audit_entry, instant
from ..tables import AUDIT, AUDIT_SEALS
from .chain import GENESIS, Tail, entry_hash, seal_digest

AT_ONCE = 1000
"""Rows of one seal at most, which are removed in one transaction."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A row at which a chain does not hold; nothing from there on is sealed."""

    writer: str
    sequence: int


class Seals:
    """The seals of one database."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def all(self) -> tuple[Seal, ...]:
        """Return every seal, in their order."""
        with self._database.reading() as connection:
            found = connection.execute(select(AUDIT_SEALS).order_by(_NUMBER)).mappings()
            return tuple(Seal(**row) for row in found)

    def newest(self) -> Seal | None:
        """Return the last seal; None before the first."""
        with self._database.reading() as connection:
            return _newest(connection)

    def seal(self, before: datetime, now: datetime) -> Iterator[Seal | Broken]:
        """Seal every row that is older, a transaction each; yields what was done."""
        writer = ""
        while True:
            with self._database.reading() as connection:
                asked = select(func.min(AUDIT.c.writer)).where(AUDIT.c.writer > writer)
                writer = connection.execute(asked).scalar() or ""
            if not writer:
                return
            yield from self._seal_writer(writer, instant(before), instant(now))

    def _seal_writer(
        self, writer: str, before: str, at: str
    ) -> Iterator[Seal | Broken]:
        def work(connection: Connection) -> Seal | Broken | None:
            return _seal_next(connection, writer, before, at)

        while True:
            done = self._database.write(work)
            if done is None:
                return
            yield done
            if isinstance(done, Broken):
                return

    def prunable(self, before: datetime) -> tuple[Seal, ...]:
        """Return the seals of which every row is older, in order.

        Of a writer only the first: what is left follows from what was removed.
        """
        limit, kept, found = instant(before), set(), []
        for seal in self.all():
            if seal.pruned is not None or seal.writer in kept:
                continue
            if seal.newest < limit:
                found.append(seal)
            else:
                kept.add(seal.writer)
        return tuple(found)

    def prune(self, seal: Seal, now: datetime) -> int:
        """Remove the rows of a seal, audited; return how many there were.

        Raises:
            StoreError: if they are not all there; then none is removed.
        """
        rows = seal.last - seal.first + 1
        told = {
            "seal": seal.number,
            "digest": seal.digest,
            "rows": [seal.writer, seal.first, seal.last],
        }

        def work(connection: Connection) -> None:
            marked = connection.execute(
                update(AUDIT_SEALS)
                .where(_NUMBER == seal.number, AUDIT_SEALS.c.pruned.is_(None))
                .values(pruned=instant(now))
            )
            removed = connection.execute(
                delete(AUDIT)
                .where(AUDIT.c.writer == seal.writer)
                .where(AUDIT.c.sequence.between(seal.first, seal.last))
            )
            if (marked.rowcount, removed.rowcount) != (1, rows):
                raise StoreError(
                    f"the rows of seal {seal.number} are not all there; see"
                    " `cds-service audit verify`"
                )

        self._recorder.record(AuditEvent(now, "pruning", detail=told), work)
        return rows


_NUMBER = AUDIT_SEALS.c.number


def _seal_next(
    connection: Connection, writer: str, before: str, at: str
) -> Seal | Broken | None:
    """Seal the next rows of a writer; None where there is none that is old."""
    lock_table(connection, AUDIT_SEALS)
    tail = sealed_tail(connection, writer)
    found = connection.execute(_rows_after(writer, tail.sequence)).mappings()
    entries = list(takewhile(lambda each: each.at < before, map(audit_entry, found)))
    if not entries:
        return None
    if tail.sequence == 0:
        tail = replace(tail, hash=entries[0].previous_hash)
    broken = _first_break(entries, tail)
    if broken is not None:
        return broken
    last = _newest(connection)
    seal = Seal(
        number=last.number + 1 if last else 1,
        writer=writer,
        first=entries[0].sequence,
        last=entries[-1].sequence,
        hash_before=tail.hash,
        hash_last=entries[-1].hash,
        newest=max(each.at for each in entries),
        previous=last.digest if last else GENESIS,
        digest="",
        at=at,
    )
    seal = replace(seal, digest=seal_digest(seal))
    row = {name: getattr(seal, name) for name in Seal.__slots__}
    connection.execute(insert(AUDIT_SEALS).values(row))
    return seal


def _rows_after(writer: str, sequence: int) -> Select[Any]:
    return (
        select(AUDIT)
        .where(AUDIT.c.writer == writer, AUDIT.c.sequence > sequence)
        .order_by(AUDIT.c.sequence)
        .limit(AT_ONCE)
    )


def _first_break(entries: list[AuditEntry], tail: Tail) -> Broken | None:
    hash = tail.hash
    for sequence, entry in enumerate(entries, tail.sequence + 1):
        follows = entry.sequence == sequence and entry.previous_hash == hash
        if not follows or entry.hash != entry_hash(entry):
            return Broken(entry.writer, entry.sequence)
        hash = entry.hash
    return None


def _newest(connection: Connection) -> Seal | None:
    asked = select(AUDIT_SEALS).order_by(_NUMBER.desc()).limit(1)
    row = connection.execute(asked).mappings().first()
    return Seal(**row) if row else None
