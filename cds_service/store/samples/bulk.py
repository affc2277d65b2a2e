"""The statements of samples in bulk: thousands of rows, few ways there and back.

SQLite takes rows one after another from a statement that it has prepared. PostgreSQL
takes a statement with an array for each column. A row is a tuple in the order of the
columns of ``samples``; what tells it from all others is its stream and key.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table

from ..database import T
from .rows import COLUMNS, KEY, NAMED, START, STREAM, SampleRow
from .tables import REVISIONS, SAMPLES

AT_ONCE = 5000
"""Rows of one statement."""


SamplePlace = tuple[int, bytes] | tuple[int, int, bytes]
"""Stream and key of one to which the source has given an id, which may be at any time;
stream, start and key of any other."""
KEPT = (*COLUMNS, "replaced_us")
BY_NAME: tuple[str, ...] = ("stream", "key")
BY_TIME: tuple[str, ...] = ("stream", "start_us", "key")


def place_of(row: SampleRow) -> SamplePlace:
    """Return what tells a row from all others."""
    return (
        (row[STREAM], row[KEY]) if row[NAMED] else (row[STREAM], row[START], row[KEY])
    )


def find(
    connection: Connection, places: Iterable[SamplePlace]
) -> dict[SamplePlace, SampleRow]:
    """Return what is there in these places."""
    named: list[SamplePlace] = []
    unnamed: list[SamplePlace] = []
    for place in places:
        (named if len(place) == 2 else unnamed).append(place)
    found = _find(connection, BY_TIME, unnamed)
    return found | _find(connection, BY_NAME, named) if named else found


def put(connection: Connection, rows: Sequence[SampleRow]) -> None:
    """Have the rows there, instead of what stands under the same key and time."""
    if connection.dialect.name == "sqlite":
        _run(connection, _PUT, rows)
        return
    # Of the columns most are the same in all rows, and told once.
    cursor = connection.connection.cursor()
    for some in _parts(rows):
        columns = dict(zip(COLUMNS, _transposed(some)))
        start = columns.pop("start_us")
        same = {name: told[0] for name, told in columns.items() if _is_one(told)}
        arrays = [told for name, told in columns.items() if name not in same]
        statement = _put_statement_for(tuple(same))
        cursor.execute(statement, [*same.values(), start, *arrays])


def keep(connection: Connection, rows: Iterable[SampleRow], replaced_us: int) -> None:
    """Have the rows among those that were replaced."""
    _run(connection, _KEEP, [(*row, replaced_us) for row in rows])


def remove(connection: Connection, rows: Iterable[SampleRow]) -> None:
    """Have the rows there no longer."""
    _run(connection, _REMOVE, [(row[STREAM], row[START], row[KEY]) for row in rows])


def _find(
    connection: Connection, by: tuple[str, ...], wanted: Sequence[SamplePlace]
) -> dict[SamplePlace, SampleRow]:
    kind = connection.dialect.name
    # PostgreSQL tells bytes and numbers in binary sooner than in text.
    options: dict[str, Any] = {} if kind == "sqlite" else {"binary": True}
    cursor = connection.connection.cursor(**options)
    found: dict[SamplePlace, SampleRow] = {}
    for some in _parts(wanted):
        if kind == "sqlite":
            places = ", ".join([_places(by)] * len(some))
            values = [each for place in some for each in place]
            cursor.execute(_FIND["sqlite", by].format(places), values)
        else:
            cursor.execute(_FIND["postgresql", by], _transposed(some))
        for row in cursor.fetchall():
            found[place_of(row)] = row
    return found


def _run(
    connection: Connection, sql: dict[str, str], rows: Sequence[tuple[Any, ...]]
) -> None:
    cursor, kind = connection.connection.cursor(), connection.dialect.name
    for some in _parts(rows):
        if kind == "sqlite":
            cursor.executemany(sql[kind], some)
        else:
            cursor.execute(sql[kind], _transposed(some))


def _parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), AT_ONCE):
        yield rows[start : start + AT_ONCE]


def _is_one(values: list[Any]) -> bool:
    first = values[0]
    return values.count(first) == len(values)


def _transposed(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return list(map(list, zip(*rows)))


# The texts; our own names alone stand in them


def _find_statement(kind: str, by: tuple[str, ...]) -> str:
    if kind == "postgresql":
        return (
            f"SELECT found.* FROM {_looked_up(by, COLUMNS)}"  # nosec B608 # our names
        )
    columns = ", ".join(f"samples.{each}" for each in COLUMNS)
    wanted = f"WITH wanted ({', '.join(by)}) AS (VALUES {{}})"
    # CROSS has SQLite look each one up, in this order.
    joined = f"wanted CROSS JOIN samples ON {_is_wanted(kind, by)}"
    return f"{wanted} SELECT {columns} FROM {joined}"  # nosec B608 # our names


def _looked_up(by: tuple[str, ...], columns: tuple[str, ...]) -> str:
    """What is there in places, each looked up: a join would read a whole table."""
    told = f"SELECT {', '.join(columns)} FROM samples"  # nosec B608 # our names
    one = f"{told} WHERE {_is_wanted('postgresql', by)} LIMIT 1"
    return f"{_unnested(SAMPLES, by, 'wanted')} CROSS JOIN LATERAL ({one}) AS found"


def _is_wanted(kind: str, by: tuple[str, ...]) -> str:
    same = [f"samples.{each} = wanted.{each}" for each in by]
    if by is BY_NAME:
        # In the words of the index of those that have a name.
        same.append(f"samples.named = {'1' if kind == 'sqlite' else 'true'}")
    return " AND ".join(same)


def _insert_statement(table: Table, names: tuple[str, ...]) -> dict[str, str]:
    into = f"INSERT INTO {table.name} ({', '.join(names)})"  # nosec B608 # our names
    rows = _unnested(table, names, "added")
    return {
        "sqlite": f"{into} VALUES {_places(names)}",
        "postgresql": f"{into} SELECT * FROM {rows}",  # nosec B608 # our names
    }


def _put_instead() -> str:
    changes = ", ".join(
        f"{each} = excluded.{each}" for each in COLUMNS if each not in BY_TIME
    )
    place = f"ON CONFLICT ({', '.join(BY_TIME)})"
    return f"{place} DO UPDATE SET {changes}"  # nosec B608 # our names


@cache
def _put_statement_for(same: tuple[str, ...]) -> str:
    """What puts rows of which these columns are told once, and before the others."""
    others = tuple(each for each in COLUMNS if each not in ("start_us", *same))
    told = (f"%b::{_ARRAYS[SAMPLES.c[each].type.python_type]}" for each in same)
    chosen = ", ".join((*told, "added.*"))
    rows = _unnested(SAMPLES, ("start_us", *others), "added")
    into = f"INSERT INTO samples ({', '.join((*same, 'start_us', *others))})"
    added = f"{into} SELECT {chosen} FROM {rows}"  # nosec B608 # our names
    return f"{added} {_put_instead()}"


def _remove_statement() -> dict[str, str]:
    here = " AND ".join(f"{each} = ?" for each in BY_TIME)
    places = _looked_up(BY_TIME, ("ctid",))
    found = f"SELECT found.ctid FROM {places}"  # nosec B608 # our names
    gone = f"ctid = ANY (ARRAY({found}))"
    return {
        "sqlite": f"DELETE FROM samples WHERE {here}",  # nosec B608 # our names
        "postgresql": f"DELETE FROM samples WHERE {gone}",  # nosec B608 # our names
    }


def _places(names: Sequence[str]) -> str:
    return f"({', '.join('?' * len(names))})"


def _unnested(table: Table, names: tuple[str, ...], called: str) -> str:
    """Arrays as rows; ``%b`` has each sent in binary, which is shorter than text."""
    types = (_ARRAYS[table.c[each].type.python_type] for each in names)
    arrays = ", ".join(f"%b::{each}[]" for each in types)
    return f"unnest({arrays}) AS {called} ({', '.join(names)})"


_ARRAYS = {int: "bigint", float: "float8", bytes: "bytea", bool: "boolean"}
_FIND = {
    (kind, by): _find_statement(kind, by)
    for kind in ("sqlite", "postgresql")
    for by in (BY_TIME, BY_NAME)
}
_PUT = {"sqlite": f"{_insert_statement(SAMPLES, COLUMNS)['sqlite']} {_put_instead()}"}
_KEEP = _insert_statement(REVISIONS, KEPT)
_REMOVE = _remove_statement()
