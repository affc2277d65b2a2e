"""What the statements know of a database: transactions, and how a text reaches it.

A statement is written once. Where the two databases differ in more than its text, the
difference is a module of its own, ``sqlite.py`` and ``postgresql.py``.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Column, Connection, Table, text
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import ArgumentError
from sqlalchemy.sql.expression import ClauseElement

from .condition.faults import Condition
from .condition.files import Place, Room
from .records import Pool, StoreError, Usage

T = TypeVar("T")
SEND_BY = "send_by"
"""The option of an engine that names the driver's cursor to which values are told by
their numbers, where it has one: with any other it looks for their places each time."""


@dataclass(frozen=True, slots=True)
class DatabaseLimits:
    """What a process may take of a PostgreSQL server."""

    connections: int = 16
    """At a time; one is opened when there is work for it."""
    statement_seconds: float = 10.0
    lock_seconds: float = 5.0
    """For a lock, and for a connection while others have them all."""
    transaction_seconds: float = 30.0
    """For a whole transaction, as far as the server can; else for one without work."""


class Database(Protocol):
    """The connections of this process; they must not be used across a fork."""

    condition: Condition
    """What became of the last transactions."""

    @property
    def place(self) -> Place | None:
        """Where the file is, or which database it is; None before it was opened."""

    def write(
        self,
        work: Callable[[Connection], T],
        *,
        durable: bool = True,
        repeatable: bool = False,
    ) -> T:
        """Return what *work* does in one transaction, after that is committed.

        It may be done more than once, each time as if the times before had not been.

        Args:
            durable: Whether it must survive a power cut.
            repeatable: Whether it may be done again as well where it was done and
                nobody heard of it.

        Raises:
            StoreBusy: if others do not let go in time.
            StoreError: if the database refuses, or cannot be reached.
        """

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what *work* finds, which may be asked twice.

        Each of its statements sees what was committed before it.

        Raises:
            StoreError: if the database refuses, or cannot be reached.
        """

    def reading(self) -> AbstractContextManager[Connection]:
        """Return a connection that sees what was committed before each statement.

        Raises:
            StoreError: if the database refuses, or cannot be reached.
        """

    def snapshot(self) -> AbstractContextManager[Connection]:
        """Return a connection that shows every key that is lower than one it shows.

        Raises:
            StoreError: if the database refuses, or cannot be reached.
        """

    def await_news(self, seconds: float | None = None) -> None:
        """Return when somebody has told news, or after a while without.

        News may be lost, and are never more than a hint to look: looking is the truth.

        Args:
            seconds: How long to wait; by default as long as is right between two looks.
        """

    def tell_news(self, connection: Connection) -> None:
        """Have all who await news hear of some once the transaction is committed."""

    def migrate(self, upgrade: Callable[[Connection], None]) -> None:
        """Do *upgrade* in one transaction, while no other process does.

        Raises:
            StoreError: if the database refuses, or cannot be reached.
        """

    @property
    def pool(self) -> Pool:
        """Return how many connections are in use at this moment."""

    def measure(self) -> Usage:
        """Return what the database takes on its disk, and what is left there.

        Raises:
            StoreError: if the database refuses, or cannot be reached.
        """

    def room(self) -> Room | None:
        """Return how much room there is; None where that cannot be seen from here.

        Raises:
            StoreError: if it could be seen elsewhere.
        """

    def probe(self) -> None:
        """Return if what is recorded next has a place, as far as can be seen.

        Raises:
            StoreError: if not.
        """

    def close(self) -> None:
        """Close every connection."""


class Prepared:
    """A statement, compiled once and handed to the driver as it stands.

    Building, caching and dressing each one anew would take longer than SQLite does.
    """

    def __init__(
        self,
        statement: ClauseElement,
        columns: Sequence[str] = (),
        key: Column[int] | None = None,
    ) -> None:
        """Take the statement.

        Args:
            columns: What an insert fills.
            key: The key that the database gives to a new row.
        """
        self._statement = statement
        self._columns = columns
        self._key = key
        self._forms: dict[str, _Form] = {}

    def run(self, connection: Connection, *rows: Mapping[str, Any]) -> DBAPICursor:
        """Write one row, or several, in the transaction that is open."""
        form = self._form(connection.dialect)
        cursor = open_cursor(connection)
        if len(rows) == 1:
            cursor.execute(form.sql, form.values(rows[0]))
        else:
            cursor.executemany(form.sql, [form.values(row) for row in rows])
        return cursor

    def add(self, connection: Connection, row: Mapping[str, Any]) -> int:
        """Return the key of the new row."""
        cursor = self.run(connection, row)
        if connection.dialect.name == "sqlite":
            return int(cursor.lastrowid)
        found: Any = cursor.fetchone()
        return int(found[0])

    def ask(self, connection: Connection, row: Mapping[str, Any]) -> list[Any]:
        """Return the rows that a query finds, each with its columns as attributes."""
        form = self._form(connection.dialect)
        cursor = open_cursor(connection)
        cursor.execute(form.sql, form.values(row))
        return form.named(cursor)

    def as_sent(
        self, dialect: Dialect, row: Mapping[str, Any]
    ) -> tuple[str, tuple[Any, ...]]:
        """Return its text and its values as a driver takes them."""
        form = self._form(dialect)
        return form.sql, form.values(row)

    def _form(self, dialect: Dialect) -> "_Form":
        form = self._forms.get(dialect.name)
        if form is None:
            statement = self._statement
            if dialect.name != "sqlite" and self._key is not None:
                assert isinstance(statement, Insert)
                statement = statement.returning(self._key)
            form = self._forms[dialect.name] = _Form(statement, self._columns, dialect)
        return form


class _Form:
    """A statement as one of the databases takes it."""

    def __init__(
        self, statement: ClauseElement, columns: Sequence[str], dialect: Dialect
    ) -> None:
        if dialect.name != "sqlite":
            numbering: Any = type(dialect)
            dialect = numbering(paramstyle="numeric_dollar")
        compiled = statement.compile(dialect=dialect, column_keys=columns or None)
        self.sql = str(compiled)
        self._names: Sequence[str] = getattr(compiled, "positiontup", None) or ()
        self._fixed = {
            name: value for name, value in compiled.params.items() if value is not None
        }
        self._row: Any = None
        """A type of tuple; the columns are known with the first answer."""

    def values(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        full = {**self._fixed, **row} if self._fixed else row
        return tuple([full[name] for name in self._names])

    def named(self, cursor: DBAPICursor) -> list[Any]:
        """The rows of a cursor by the names of their columns."""
        if self._row is None:
            names = [column[0] for column in cursor.description]
            self._row = namedtuple("Row", names)  # type: ignore[misc]
        return [self._row._make(each) for each in cursor.fetchall()]


def open_cursor(connection: Connection) -> DBAPICursor:
    """Return a cursor of the driver that takes the statements of this house."""
    driver = connection.connection
    make: Any = connection.get_execution_options().get(SEND_BY)
    cursor: DBAPICursor = make(driver.driver_connection) if make else driver.cursor()
    return cursor


def lock_table(connection: Connection, table: Table) -> None:
    """Have no other transaction write to the table until this one ends.

    Whoever writes to SQLite has it alone already.
    """
    if connection.dialect.name != "sqlite":
        mode = "SHARE ROW EXCLUSIVE"
        connection.execute(text(f"LOCK TABLE {table.name} IN {mode} MODE"))


def read_url(url: str) -> URL:
    """Return the parts of a database URL.

    Raises:
        StoreError: if it is none.
    """
    try:
        return make_url(url)
    except ArgumentError as error:
        raise StoreError("the database URL cannot be read") from error


def mask_url(url: str) -> str:
    """Return a database URL for people: no query, ``***`` for a password.

    Raises:
        StoreError: if it is none.
    """
    return read_url(url).set(query={}).render_as_string()
