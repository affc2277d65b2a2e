"""A whole database file, copied while it is used, and put into the place of another."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from sqlalchemy import text

from ..condition.presence import sole_user
from ..opening import open_database
from ..records import StoreError

WAIT_SECONDS = 30.0
SHOWN = 5
"""Findings of SQLite about a damaged file; one may have thousands."""


@contextmanager
def room_beside(file: Path) -> Iterator[Path]:
    """Yield where a copy can be made that is to take the place of *file*.

    On the same disk, so that it can take the place at once, and gone afterwards.

    Raises:
        StoreError: if nothing can be written there.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
            yield Path(folder) / file.name
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from error


def copy_file(source: Path, target: Path) -> None:
    """Write the database in one file into another, new one, as it is at one moment.

    Its pages are written anew: what was deleted is not in the copy. What is still in
    the write-ahead log is.

    Raises:
        StoreError: if the source is no whole database, or the target cannot be written.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with _connected(source) as connection:
        connection.execute("VACUUM INTO ?", [str(target)])
    _flush(target)
    with _connected(target) as connection:
        found = [row[0] for row in connection.execute("PRAGMA quick_check")]
    if found != ["ok"]:
        raise StoreError(f"the copy is damaged: {'; '.join(found[:SHOWN])}")


def put_in_place(copy: Path, file: Path) -> None:
    """Have a checked copy take the place of *file*, at once and for good.

    Raises:
        StoreError: if it cannot, or somebody still writes to the copy.
    """
    try:
        if copy.with_name(copy.name + "-wal").exists():
            raise StoreError("the copy is still in use")
        _flush(copy)
        os.replace(copy, file)
        _flush(file.parent)
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from error


@contextmanager
def database_out_of_use(file: Path) -> Iterator[None]:
    """Have nobody use a database file in the block, and leave no log beside it.

    A log of before beside another file would be taken for that file's, and show rows
    of before. So what it holds is written into the file to which it belongs.

    Raises:
        StoreBusy: if a server or a command uses it.
    """
    with sole_user(file):
        if file.exists():
            # Of one that is damaged nothing can be kept.
            with suppress(sqlite3.Error), closing(_connect(file)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for suffix in ("-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        yield


def server_version(url: str) -> int:
    """Return the major version of the PostgreSQL server at a database URL.

    Raises:
        StoreError: if it cannot be reached.
    """
    with closing(open_database(url)) as database, database.reading() as connection:
        number = connection.execute(text("SHOW server_version_num")).scalar_one()
        return int(number) // 10_000


def _flush(path: Path) -> None:
    """Have what was written to a file or folder survive a power cut."""
    held = os.open(path, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)


@contextmanager
def _connected(file: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(_connect(file)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise StoreError(f"{file.name}: {error}") from error


def _connect(file: Path) -> sqlite3.Connection:
    """A connection that makes no file where there is none."""
    name = f"file:{quote(str(file.absolute()))}?mode=rw"
    return sqlite3.connect(name, uri=True, timeout=WAIT_SECONDS, isolation_level=None)
