"""A database: whether it is still the one that this process used, with what was in it.

It may be restored under a server that goes on: by what was withdrawn since then the
server would act again, and what it acknowledged is gone. Two signs tell. On PostgreSQL
the table of the audit trail has to be the one that was there at first: one that was
dropped and made again has another number, in the same database or in another. It is
asked for with each connection that is taken, in place of a question that would only
show that the connection lives. And what was committed is not uncommitted: a row of the
trail that was there has to be there still, or be pruned under a seal. That tells even
of a disk that was put back, on which all numbers are the same.

A pooler before PostgreSQL may give each transaction another session. Then timeouts,
prepared statements and the claim of a delivery are those of somebody else, and nobody
hears of news; so that is refused at the start.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, select

from ..records import StoreError, StoreLost
from ..tables import AUDIT, AUDIT_SEALS
from ..trail.chain import Tail
from .files import Place

KIND = "restored"
"""Of faults: the database is another than it was, or lacks what was in it."""
SESSION = "SELECT pg_backend_pid()"
LOOKS = 5
"""Where others use a pooler as well, it may give two sessions by chance."""
POOLED = (
    "a pooler before the database gives a connection the sessions of others; it has to"
    " pool sessions (pool_mode = session in PgBouncer), or be left out"
)
WHOSE = "SELECT oid::int8 FROM pg_database WHERE datname = current_database()"
TRAIL = "SELECT coalesce(to_regclass('audit')::oid::int8, 0)"
"""Which table the trail is in; 0 before there is one."""
REPLACED = "the database was replaced while it was in use; start anew"
RESTORED = (
    "the database was restored while it was in use: rows of the audit trail that were"
    " in it are gone; start anew"
)


class Incarnation:
    """Which database of PostgreSQL it is, by its number and that of the trail."""

    def __init__(self, place: Place | None) -> None:
        """Take which it was when the server began; None for whichever it is."""
        self.place = place
        self._lost = ""

    def check(self, driver: Any, database: int) -> None:
        """Return if a connection leads to it; the first one says which it is.

        Raises:
            StoreLost: if it leads to another, now and ever after.
        """
        self.refuse()
        trail = _number(driver, TRAIL)
        if trail == 0:
            return
        found = (database, trail)
        if self.place is None:
            self.place = found
        elif self.place != found:
            self.lose(REPLACED)
            self.refuse()

    def lose(self, why: str) -> None:
        """Refuse everything from now on."""
        self._lost = self._lost or why

    def refuse(self) -> None:
        """Return unless it was found to be lost before.

        Raises:
            StoreLost: if it was.
        """
        if self._lost:
            raise StoreLost(self._lost, KIND)


def expect_sessions(connect: Callable[[], Any]) -> None:
    """Return if two connections have a session each, and keep it.

    Raises:
        StoreError: if not.
    """
    with connect() as one, connect() as other:
        pairs = {(_number(one, SESSION), _number(other, SESSION)) for _ in range(LOOKS)}
    if len(pairs) > 1 or any(first == second for first, second in pairs):
        raise StoreError(POOLED)


def find_database(driver: Any) -> int:
    """Return the number of the database that a connection leads to."""
    return _number(driver, WHOSE)


def _number(driver: Any, asked: str) -> int:
    """What a question is answered, outside of a transaction.

    Where it is not answered the connection is of no more use.
    """
    (number,) = driver.execute(asked).fetchone()
    return int(number)


def newest_row(connection: Connection) -> Tail | None:
    """Return the row of the trail that arrived last; None where there is none."""
    row = AUDIT.c
    asked = select(row.writer, row.sequence, row.hash).order_by(row.id.desc()).limit(1)
    found = connection.execute(asked).first()
    return Tail(found.writer, found.sequence, found.hash) if found else None


def expect_row(connection: Connection, known: Tail | None) -> None:
    """Return if a row that was committed is there, or was pruned under a seal.

    Raises:
        StoreLost: if it is not.
    """
    if known is None or known.sequence == 0:
        return
    row = AUDIT.c
    asked = select(row.hash).where(
        row.writer == known.writer, row.sequence == known.sequence
    )
    found = connection.execute(asked).scalar()
    if found is None and _is_pruned(connection, known):
        return
    if found != known.hash:
        raise StoreLost(RESTORED, KIND)


def _is_pruned(connection: Connection, known: Tail) -> bool:
    seal = AUDIT_SEALS.c
    asked = select(seal.number).where(
        seal.writer == known.writer,
        seal.first <= known.sequence,
        seal.last >= known.sequence,
        seal.pruned.is_not(None),
    )
    return connection.execute(asked).first() is not None
