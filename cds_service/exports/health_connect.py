"""Health Connect's export as a phone writes it: a ZIP with a SQLite database.

The file is somebody else's: it is opened to be read only, nothing in its schema is run,
and a table or column that another version of Android does not have is passed over.
"""

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile, ZipInfo, is_zipfile

from ..wearables.adapters.health_connect import KINDS, SERIES, STAGES, ExportedRow
from .files import DAMAGED_ARCHIVE

HEAD = b"SQLite format 3\0"
LARGEST = 8 * 1024**3
"""Bytes of the database, not compressed."""
DEVICES, APPS = "device_info_table", "application_info_table"


class BrokenDatabase(ValueError):
    """A file that is no export of Health Connect; the message says why."""


@dataclass(frozen=True, slots=True)
class PhoneDatabase:
    """An open export."""

    connection: sqlite3.Connection
    columns: Mapping[str, frozenset[str]]
    """Of each table."""
    wanted: Mapping[str, tuple[str, ...]]
    """By table: the columns that hold what the site knows."""

    def count(self) -> int:
        """Return how many rows there are to be read."""
        return sum(self._count(table) for table in self.wanted if table in self.columns)

    def _count(self, table: str) -> int:
        query = f"SELECT count(*) FROM {table}"  # nosec B608 # our names
        (count,) = self.connection.execute(query).fetchone()
        return int(count)


@contextmanager
def open_health_connect(path: Path, names: Iterable[str]) -> Iterator[PhoneDatabase]:
    """Open an export, or the database alone, for the time of the block.

    Args:
        names: What the site knows of it, as ``table/column`` or ``table/column/kind``.

    Raises:
        BrokenDatabase: if it is none.
        OSError: if it cannot be read.
    """
    with TemporaryDirectory(prefix="cds-health-connect-") as folder:
        file = _database_of(path, Path(folder))
        with closing(_connect(file)) as connection:
            try:
                wanted = _wanted(names)
                columns = _columns(connection, wanted)
            except sqlite3.DatabaseError as error:
                raise BrokenDatabase(f"the database cannot be read: {error}") from error
            if not any(table in columns for table in wanted):
                raise BrokenDatabase("it holds no records of Health Connect")
            yield PhoneDatabase(connection, columns, wanted)


def read_rows(database: PhoneDatabase) -> Iterator[ExportedRow]:
    """Yield every value that has a place here, a table after the other.

    Raises:
        BrokenDatabase: where the file is damaged, after what stands before.
    """
    try:
        for table, wanted in database.wanted.items():
            held = [each for each in wanted if each in database.columns.get(table, ())]
            if held:
                yield from _rows_of(database, table, held)
    except sqlite3.DatabaseError as error:
        raise BrokenDatabase(f"the database cannot be read: {error}") from error


def _rows_of(
    database: PhoneDatabase, table: str, held: list[str]
) -> Iterator[ExportedRow]:
    cursor = database.connection.execute(_select(database, table, held))
    for number, row in enumerate(cursor):
        values, rest = row[: len(held)], row[len(held) :]
        start, end, offset, uuid, modified, recorded, kind, device, app = rest
        for column, value in zip(held, values, strict=True):
            yield ExportedRow(
                table,
                column,
                value,
                start,
                end,
                offset,
                uuid,
                modified,
                recorded,
                _text(device),
                _text(app),
                number,
                kind,
            )


def _select(database: PhoneDatabase, table: str, held: list[str]) -> str:
    """Return the query over a table and, of a series, the record that it is part of."""
    parent = PARENTS.get(table, "")
    known, of = database.columns[table], database.columns.get(
        parent or table, frozenset()
    )
    record = "p" if parent else "r"
    start, end, zone = _time_columns(table, known)
    about = [
        f"r.{start}",
        f"r.{end}" if end else "NULL",
        *(
            f"{record}.{name}" if name in of else "NULL"
            for name in (
                zone if zone in of else "start_zone_offset",
                "uuid",
                "last_modified_time",
                "recording_method",
            )
        ),
        f"r.{KINDS[table]}" if KINDS.get(table) in known else "NULL",
    ]
    joins = f" JOIN {parent} p ON p.row_id = r.parent_key" if parent else ""
    for alias, names, key, said in (
        ("d", DEVICES, "device_info_id", ("manufacturer", "model")),
        ("a", APPS, "app_info_id", ("package_name",)),
    ):
        there = database.columns.get(names, frozenset())
        if key in of and {"row_id", *said} <= there:
            joins += f" LEFT JOIN {names} {alias} ON {alias}.row_id = {record}.{key}"
            parts = (f"coalesce({alias}.{each}, '')" for each in said)
            about.append("trim(" + " || ' ' || ".join(parts) + ")")
        else:
            about.append("''")
    columns = ", ".join([*(f"r.{each}" for each in held), *about])
    return f"SELECT {columns} FROM {table} r{joins}"  # nosec B608 # our names


PARENTS = {**SERIES, STAGES: "sleep_session_record_table"}


def _time_columns(table: str, known: frozenset[str]) -> tuple[str, str, str]:
    """Return where start, end and offset stand; an empty end is that of an instant."""
    if table == STAGES:
        return "stage_start_time", "stage_end_time", "start_zone_offset"
    if table in SERIES:
        return "epoch_millis", "", "start_zone_offset"
    if "start_time" in known:
        return "start_time", "end_time", "start_zone_offset"
    return "time", "", "zone_offset"


def _wanted(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    parts = [each.split("/") for each in names]
    pairs = sorted({(each[0], each[1]) for each in parts if len(each) > 1})
    return {
        table: tuple(column for other, column in pairs if other == table)
        for table, _ in pairs
    }


def _text(value: object) -> str:
    return value[:200] if isinstance(value, str) else ""


def _columns(
    connection: sqlite3.Connection, wanted: Iterable[str]
) -> dict[str, frozenset[str]]:
    found = {}
    for table in {*wanted, *PARENTS.values(), DEVICES, APPS}:
        rows = connection.execute("SELECT name FROM pragma_table_info(?)", [table])
        if names := frozenset(name for (name,) in rows):
            found[table] = names
    return found


def _connect(file: Path) -> sqlite3.Connection:
    with file.open("rb") as stream:
        if stream.read(len(HEAD)) != HEAD:
            raise BrokenDatabase("it is no database of SQLite")
    uri = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _database_of(path: Path, folder: Path) -> Path:
    if not is_zipfile(path):
        return path
    try:
        with ZipFile(path) as archive:
            found = [each for each in archive.infolist() if _is_database(archive, each)]
            if len(found) != 1:
                raise BrokenDatabase(f"it holds {len(found)} databases, not one")
            with archive.open(found[0]) as stream, (folder / "export.db").open(
                "wb"
            ) as to:
                shutil.copyfileobj(stream, to, 1024 * 1024)
    except (*DAMAGED_ARCHIVE, RuntimeError) as error:
        raise BrokenDatabase(f"the archive cannot be read: {error}") from error
    return folder / "export.db"


def _is_database(archive: ZipFile, info: ZipInfo) -> bool:
    if info.is_dir() or info.file_size > LARGEST:
        return False
    with archive.open(info) as stream:
        return stream.read(len(HEAD)) == HEAD
