"""A whole database, copied into another, which may be of the other kind.

Rows are copied in the order of their keys, some at a time, each part whole. What is
there already was copied before, so that a copy that broke off goes on where it was.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
)

from ..database import Database
from ..records import StoreError
from ..store import open_database
from ..tables import METADATA

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
        tables = METADATA.sorted_tables
        for table in tables:
            try:
                yield from _copy_table(old, new, table)
            except StoreError as error:
                raise StoreError(f"table {table.name}: {error}") from error
        for table in tables:
            if _count(old, table) != _count(new, table):
                raise StoreError(
                    f"table {table.name} has changed meanwhile; stop the servers, and"
                    " copy again"
                )
        new.write(_settle_keys)


def _copy_table(old: Database, new: Database, table: Table) -> Iterator[Progress]:
    names = [column.name for column in table.primary_key]
    newest = _last_row(new, table)
    last = tuple(newest[name] for name in names) if newest else None
    total, copied = _count(old, table), _count(new, table)
    if last is not None:
        before = ~_after(table, last)
        same = _last_row(old, table, before) == newest
        if not same or _count(old, table, before) != copied:
            raise StoreError("the target holds rows that the source does not")
    yield Progress(table.name, copied, total)
    with old.snapshot() as connection:
        while rows := connection.execute(_page(table, last)).mappings().all():
            values = [dict(row) for row in rows]

            def add(connection: Connection, values: Any = values) -> None:
                connection.execute(insert(table), values)

            new.write(add)
            last = tuple(values[-1][name] for name in names)
            copied += len(values)
            yield Progress(table.name, copied, total)


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
    for table in METADATA.sorted_tables:
        key = table.autoincrement_column
        if key is not None:
            sequence = func.pg_get_serial_sequence(table.name, key.name)
            highest = select(func.coalesce(func.max(key), 0) + 1).scalar_subquery()
            connection.execute(select(func.setval(sequence, highest, False)))
