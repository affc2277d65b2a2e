"""Recorders: transactions that extend a chain of audit rows.

To SQLite one writes at a time, and a process has one chain. Whoever gets the turn to
write commits for all who wait, each as if alone: eight threads then share one wait for
the disk, and answer half again as many calls (measured with `Store.record_call` on
SQLite with eight threads).

To PostgreSQL many write at a time, and each connection has a chain of its own, so that
nobody waits for another's last hash. Where a connection is lost its chain ends, and the
next that begins says after which row of that one: what was cut off there shows.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection, Select, insert, select
from sqlalchemy.exc import IntegrityError

from . import rows
from .condition.incarnation import expect_row
from .database import Database
from .records import AuditEntry, AuditEvent, StoreBusy, StoreError, StoreLost
from .sqlite import SqliteDatabase
from .statements import ADD_AUDIT, CallRows, add_call, write_call
from .tables import AUDIT, AUDIT_SEALS
from .trail.chain import Tail, chained, extended, new_writer, successor, unchained
from .trail.pseudonyms import Pseudonyms

Work = Callable[[Connection], Mapping[str, Any] | None]
"""Gives what its row is to tell beside what was known before; it may be asked twice."""


class Recorder(Protocol):
    """Does something together with its row in the audit trail."""

    def record(
        self, event: AuditEvent, work: Work, call: CallRows | None = None
    ) -> None:
        """Do the work and append the event; return when both survive a power cut.

        Args:
            call: What is stored after the work, together with the event.

        Raises:
            StoreError: if nothing of it was stored.
        """


def build_recorder(database: Database) -> Recorder:
    """Return the recorder of a database."""
    if isinstance(database, SqliteDatabase):
        return ProcessChain(database)
    # Imported where it is asked for: what serves from a file needs no driver.
    from .postgresql import PostgresDatabase

    assert isinstance(database, PostgresDatabase)
    return ConnectionChains(database.write, Pseudonyms(database))


@dataclass(slots=True, eq=False)
class _Item:
    """What one caller waits for."""

    draft: AuditEntry
    work: Work
    call: CallRows | None
    error: Exception | None = field(default_factory=lambda: StoreError("not recorded"))
    """What its caller is to be told; None once it is recorded."""
    taken: bool = False
    given_up: bool = False


class ProcessChain:
    """Writes one audit chain; thread-safe."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._waiting: deque[_Item] = deque()
        self._pseudonyms = Pseudonyms(database)
        self._writer = new_writer()
        self._tail: Tail | None = Tail(self._writer)

    def record(
        self, event: AuditEvent, work: Work, call: CallRows | None = None
    ) -> None:
        """Do the work and append the event; return when both survive a power cut.

        Raises:
            StoreError: if nothing of it was stored.
        """
        item = _Item(_draft(event, self._pseudonyms), work, call)
        self._waiting.append(item)
        try:
            with self._database.writing() as connection:
                if not item.taken:
                    self._settle(connection, self._take_all())
        finally:
            item.given_up = True
        if item.error is not None:
            raise item.error

    def _take_all(self) -> list[_Item]:
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        for item in taken:
            item.taken = True
        return [item for item in taken if not item.given_up]

    def _settle(self, connection: Connection, items: Sequence[_Item]) -> None:
        """Store the items together or, where one of them fails, each alone.

        What the work of one raises is for its own caller, and not for who settles it.
        """
        try:
            self._commit(connection, items)
        except Exception as error:
            if len(items) > 1 and not isinstance(error, StoreBusy | StoreLost):
                for item in items:
                    self._settle(connection, [item])
                return
            for item in items:
                item.error = error

    def _commit(self, connection: Connection, items: Sequence[_Item]) -> None:
        with self._database.watched():
            tail = self._tail or _read_tail(connection, self._writer)
            self._tail = None
            with connection.begin():
                for item in items:
                    draft = extended(item.draft, item.work(connection))
                    if item.call:
                        add_call(connection, item.call)
                    entry = chained(draft, tail)
                    ADD_AUDIT.run(connection, rows.audit_row(entry))
                    tail = Tail(entry.writer, entry.sequence, entry.hash)
            self._tail = tail
            self._database.confirm()
        for item in items:
            item.error = None


class ConnectionChains:
    """Writes a chain for each connection, as long as that lives."""

    def __init__(
        self, write: Callable[..., AuditEntry], pseudonyms: Pseudonyms
    ) -> None:
        self._write = write
        self._pseudonyms = pseudonyms
        self._tails: dict[Any, Tail] = {}
        """The last row of each of the driver's connections, lost ones included until
        another chain has taken their end up."""
        self._lock = threading.Lock()

    def record(
        self, event: AuditEvent, work: Work, call: CallRows | None = None
    ) -> None:
        """Do the work and append the event; return when both are durable."""
        draft = _draft(event, self._pseudonyms)

        def whole(connection: Connection) -> AuditEntry:
            told = extended(draft, work(connection))
            entry = chained(told, self._tail(connection))
            row = rows.audit_row(entry)
            if call:
                write_call(connection, call, row)
            else:
                ADD_AUDIT.run(connection, row)
            return entry

        self._write(whole, settle=self._advance, find=_is_stored)

    def _tail(self, connection: Connection) -> Tail:
        driver = connection.connection.driver_connection
        tail = self._tails.get(driver)
        if tail is None:
            with self._lock:
                lost = next((each for each in self._tails if each.closed), None)
                ended = self._tails.get(lost)
                expect_row(connection, ended)
                self._tails.pop(lost, None)
                tail = self._tails[driver] = successor(ended, new_writer())
        return tail

    def _advance(self, connection: Connection, entry: AuditEntry) -> None:
        tail = Tail(entry.writer, entry.sequence, entry.hash)
        self._tails[connection.connection.driver_connection] = tail


def _draft(event: AuditEvent, pseudonyms: Pseudonyms) -> AuditEntry:
    """The row of an event; nobody gets a key by being asked for and refused."""
    if event.patient is None or event.kind == "refusal":
        return unchained(event)
    return unchained(event, pseudonyms.of(event.patient))


def _is_stored(connection: Connection, entry: AuditEntry) -> bool:
    """Whether the row is there, once the transaction that wrote it is over.

    Its place in the chain is free only after that was rolled back.
    """
    try:
        connection.execute(insert(AUDIT).values(rows.audit_row(entry)))
    except IntegrityError:
        return True
    return False


def _read_tail(connection: Connection, writer: str) -> Tail:
    """The writer's last row, after a transaction of which nobody is sure."""
    with connection.begin():
        row = connection.execute(_newest(writer)).first()
        if row is None:
            return sealed_tail(connection, writer)
    return Tail(writer, row.sequence, row.hash)


def sealed_tail(connection: Connection, writer: str) -> Tail:
    """Return the last row of a writer that was sealed."""
    seal = AUDIT_SEALS.c
    asked = (
        select(seal.last, seal.hash_last)
        .where(seal.writer == writer)
        .order_by(seal.last.desc())
        .limit(1)
    )
    found = connection.execute(asked).first()
    return Tail(writer, found.last, found.hash_last) if found else Tail(writer)


def _newest(writer: str) -> Select[Any]:
    return (
        select(AUDIT.c.sequence, AUDIT.c.hash)
        .where(AUDIT.c.writer == writer)
        .order_by(AUDIT.c.sequence.desc())
        .limit(1)
    )
