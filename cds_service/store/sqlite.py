"""Connections of one process to one SQLite file.

In a process, writers queue for a lock of its own, which wakes the next one at once;
only between processes do they meet at SQLite's, which is asked again after a pause.
Rows whose loss in a power cut harms nobody go through a second connection that does
not wait for the disk.
"""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from .database import T
from .presence import Presence
from .records import Pool, StoreBusy, StoreError, Usage

BUSY_SECONDS = 5.0
"""How long a writer waits for its turn before it gives up."""
RETRY_SECONDS = 0.0003


class SqliteDatabase:
    """The connections of this process to one file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._presence = Presence(file)
        self._durable = _writing_engine(file, "FULL")
        self._light = _writing_engine(file, "NORMAL")
        self._readers = _engine(file, "NORMAL", BUSY_SECONDS)
        self._writers: dict[bool, Connection] = {}
        self._lock = threading.Lock()

    def write(self, work: Callable[[Connection], T], *, durable: bool = True) -> T:
        """Return what *work* does in one transaction, after that is committed."""
        with self.writing(durable=durable) as connection, connection.begin():
            return work(connection)

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """The connection for writing, while no other thread here has it.

        What is committed on a durable one survives a power cut.

        Raises:
            StoreBusy: if the turn does not come.
            StoreError: if the database refuses.
        """
        if not self._lock.acquire(timeout=BUSY_SECONDS):
            raise StoreBusy("the database is busy")
        try:
            with translated_errors():
                yield self._writer(durable)
        finally:
            self._lock.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees what was committed before each statement."""
        with translated_errors(), self._readers.connect() as connection:
            yield connection

    def snapshot(self) -> AbstractContextManager[Connection]:
        """Return a connection for reading; keys are committed in their order."""
        return self.reading()

    def migrate(self, upgrade: Callable[[Connection], None]) -> None:
        """Do *upgrade* in one transaction, while no other process does."""
        with _alone(self._file.with_name(self._file.name + ".lock")):
            with self.reading() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            self.write(upgrade)

    @property
    def pool(self) -> Pool:
        """Who reads and who writes; there are as many as there are threads."""
        reading: Any = self._readers.pool
        return Pool(reading.checkedout() + self._lock.locked())

    def measure(self) -> Usage:
        """Return what the file and its journal take. None of them is opened."""
        names = (self._file.name, f"{self._file.name}-wal", f"{self._file.name}-shm")
        taken = 0
        try:
            for name in names:
                with suppress(FileNotFoundError):
                    taken += self._file.with_name(name).stat().st_size
            disk = os.statvfs(self._file.parent)
        except OSError as error:
            raise StoreError(f"{self._file}: {error.strerror}") from error
        return Usage(taken, disk.f_bavail * disk.f_frsize)

    def close(self) -> None:
        """Close every connection."""
        with self._lock, translated_errors():
            for connection in self._writers.values():
                connection.close()
            self._writers.clear()
            for engine in (self._durable, self._light, self._readers):
                engine.dispose()
        self._presence.close()

    def _writer(self, durable: bool) -> Connection:
        connection = self._writers.get(durable)
        if connection is None:
            engine = self._durable if durable else self._light
            connection = self._writers[durable] = engine.connect()
        return connection


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the database library's errors into ours, without any value of a row."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        if _is_busy(error):
            raise StoreBusy("the database is busy") from error
        cause = _cause(error) or type(error).__name__
        raise StoreError(f"the database refused: {cause}") from error
    except (OverflowError, UnicodeEncodeError) as error:
        cause = type(error).__name__
        raise StoreError(f"the database refused: {cause}") from error


def make_file(file: Path) -> None:
    """Make the database file, which only its owner may read, unless it is there.

    A file that is there is not opened: closing it would drop the locks that SQLite
    holds on it elsewhere in this process.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from error


@contextmanager
def _alone(lock_file: Path) -> Iterator[None]:
    """Wait until no other process is here. The lock goes when its holder dies."""
    try:
        descriptor = os.open(lock_file, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise StoreError(f"{lock_file}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _writing_engine(file: Path, synchronous: str) -> Engine:
    engine = _engine(file, synchronous, timeout=0.0)
    event.listen(engine, "begin", _begin)
    return engine


def _engine(file: Path, synchronous: str, timeout: float) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        connect_args={"timeout": timeout, "check_same_thread": False},
        pool_size=0,
        hide_parameters=True,
    )

    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA synchronous={synchronous}")

    event.listen(engine, "connect", connected)
    return engine


def _begin(connection: Connection) -> None:
    """Begin as the writer, waiting for those of other processes.

    SQLite itself would wait up to 100 ms between two tries, hundreds of times longer
    than a writer takes.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.connection.cursor().execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
        time.sleep(RETRY_SECONDS)


def _is_busy(error: Exception) -> bool:
    code: int = getattr(_cause(error), "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY


def _cause(error: Exception) -> BaseException | None:
    """What the driver said, if it said anything."""
    if isinstance(error, SQLAlchemyError):
        cause: BaseException | None = getattr(error, "orig", None)
        return cause
    return error
