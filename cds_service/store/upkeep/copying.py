"""A whole database, copied into another, which may be of the other kind.

Rows are copied in the order of their keys, some at a time, each part whole. What is
there already was copied before, so that a copy that broke off goes on where it was.
Until it is whole the target bears a mark, with which no server starts on it.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
)

from ..database import Database, mask_url
from ..opening import open_database
from ..records import StoreError
from ..rows import instant
from ..tables import UNFINISHED_COPIES
from ..workbench.tables import EVERY_TABLE

TABLES = [each for each in EVERY_TABLE if each is not UNFINISHED_COPIES]
AT_ONCE = 1000
"""Rows of one transaction."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the copy of a table has come."""

    table: str
    copied: int
    """Rows that the target has."""
    of: int
    """Rows that the source has."""


def copy(source: str, target: str) -> Iterator[Progress]:
    """Copy every row from one database URL to another; yields how far it has come.

    Both have the newest schema, and nobody writes to either meanwhile.

    Raises:
        StoreError: if the schemas differ, the target holds what the source does not, or
            the source has changed meanwhile.
    """
    with closing(open_database(source)) as old, closing(open_database(target)) as new:
        if _version(old) != _version(new):
            raise StoreError(
                "the schemas differ; bring both up to date with `database migrate`"
            )
        copied = {each: _find_copied(old, new, each) for each in TABLES}
        new.write(lambda connection: _mark(connection, mask_url(source)))
        for table in TABLES:
            try:
                yield from _copy_table(old, new, table, copied[table])
            except StoreError as error:
                raise StoreError(f"table {table.name}: {error}") from error
        for table in TABLES:
            if _count(old, table) != _count(new, table):
                raise StoreError(
                    f"table {table.name} has changed meanwhile; stop the servers, and"
                    " copy again"
                )
        new.write(_finish)


def _find_copied(old: Database, new: Database, table: Table) -> int:
    """How many rows of the table were copied before.

    Raises:
        StoreError: if there are others in the target.
    """
    newest, copied = _last_row(new, table), _count(new, table)
    if newest is not None:
        before = ~_after(table, _key(table, newest))
        same = _last_row(old, table, before) == newest
        if not same or _count(old, table, before) != copied:
            raise StoreError(
                f"table {table.name}: the target holds rows that the source does not"
            )
    return copied


def _mark(connection: Connection, source: str) -> None:
    """Have no server start on the target.

    Raises:
        StoreError: if another database was being copied into it.
    """
    other = connection.execute(select(UNFINISHED_COPIES.c.source)).scalar()
    if other == source:
        return
    if other is not None:
        raise StoreError(f"the copy of {other} into the target is not whole yet")
    begun = instant(datetime.now(UTC))
    connection.execute(insert(UNFINISHED_COPIES).values(source=source, begun=begun))


def _finish(connection: Connection) -> None:
    _settle_keys(connection)
    connection.execute(delete(UNFINISHED_COPIES))


def _copy_table(
    old: Database, new: Database, table: Table, copied: int
) -> Iterator[Progress]:
    newest, total = _last_row(new, table), _count(old, table)
    last = _key(table, newest) if newest else None
    yield Progress(table.name, copied, total)
    with old.snapshot() as connection:
        while rows := connection.execute(_page(table, last)).mappings().all():
            values = [dict(row) for row in rows]

            def add(connection: Connection, values: Any = values) -> None:
                connection.execute(insert(table), values)

            new.write(add)
            last = _key(table, values[-1])
            copied += len(values)
            yield Progress(table.name, copied, total)


def _key(table: Table, row: RowMapping | dict[str, Any]) -> tuple[Any, ...]:
    return tuple(dict(row)[column.name] for column in table.primary_key)


def _page(table: Table, last: tuple[Any, ...] | None) -> Select[Any]:
    page = select(table).order_by(*table.primary_key).limit(AT_ONCE)
    return page.where(_after(table, last)) if last else page


def _after(table: Table, last: tuple[Any, ...] | None) -> ColumnElement[bool]:
    key = list(table.primary_key)
    values = (literal(each, column.type) for each, column in zip(last or (), key))
    return tuple_(*key) > tuple_(*values)


def _last_row(
    database: Database, table: Table, *wanted: ColumnElement[bool]
) -> RowMapping | None:
    order = (each.desc() for each in table.primary_key)
    asked = select(table).where(*wanted).order_by(*order).limit(1)
    with database.reading() as connection:
        return connection.execute(asked).mappings().first()


def _count(database: Database, table: Table, *wanted: ColumnElement[bool]) -> int:
    with database.reading() as connection:
        asked = select(func.count()).select_from(table).where(*wanted)
        return int(connection.execute(asked).scalar_one())


def _version(database: Database) -> str:
    with database.reading() as connection:
        asked = text("SELECT version_num FROM alembic_version")
        return str(connection.execute(asked).scalar())


def _settle_keys(connection: Connection) -> None:
    """Have new rows get keys beyond those that were copied."""
    if connection.dialect.name == "sqlite":
        return
    for table in TABLES:
        key = table.autoincrement_column
        if key is not None:
            sequence = func.pg_get_serial_sequence(table.name, key.name)
            highest = select(func.coalesce(func.max(key), 0) + 1).scalar_subquery()
            connection.execute(select(func.setval(sequence, highest, False)))
