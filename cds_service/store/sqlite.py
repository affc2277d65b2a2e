"""Connections of one process to one SQLite file.

In a process, writers queue for a lock of its own, which wakes the next one at once;
only between processes do they meet at SQLite's, which is asked again after a pause.
Rows whose loss in a power cut harms nobody go through a second connection that does
not wait for the disk. A third does nothing: as long as it is open, no other process
takes itself for the last one and removes the WAL.
"""

import fcntl
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from .condition.faults import Condition
from .condition.files import Files, Place, Room
from .condition.presence import Presence
from .database import T
from .records import Pool, StoreBusy, StoreError, StoreLost, Usage

BUSY_SECONDS = 5.0
"""How long a writer waits for its turn before it gives up."""
RETRY_SECONDS = 0.0003
LOOK_SECONDS = 0.3
"""Between two looks for what others have written."""


class SqliteDatabase:
    """The connections of this process to one file."""

    def __init__(self, file: Path, place: Place | None = None) -> None:
        """Take the file; *place* is where it has to be, None for wherever it is."""
        self.condition = Condition()
        self.files = Files(file, place)
        self._file = file
        self._presence = Presence(file)
        self._open: sqlite3.Connection | None = None
        self._opening = threading.Lock()
        self._durable = _writing_engine(file, "FULL")
        self._light = _writing_engine(file, "NORMAL")
        self._readers = _engine(file, "NORMAL", BUSY_SECONDS)
        self._idle: deque[Connection] = deque()
        """Of the readers, those that nobody has at this moment."""
        self._writers: dict[bool, Connection] = {}
        self._lock = threading.Lock()

    def write(
        self,
        work: Callable[[Connection], T],
        *,
        durable: bool = True,
        repeatable: bool = False,
    ) -> T:
        """Return what *work* does in one transaction, after that is committed."""
        with self.writing(durable=durable) as connection:
            with connection.begin():
                result = work(connection)
            self.confirm()
        return result

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """The connection for writing, while no other thread here has it.

        What is committed on a durable one survives a power cut.

        Raises:
            StoreBusy: if the turn does not come.
            StoreError: if the database refuses.
        """
        with self.watched():
            if not self._lock.acquire(timeout=BUSY_SECONDS):
                raise StoreBusy("the database is busy in this process", "queue")
            try:
                self._keep_open()
                yield self._writer(durable)
            finally:
                self._lock.release()

    def confirm(self) -> None:
        """Return if what was just committed is where the next process will find it.

        Raises:
            StoreLost: if it is not; then everything is refused from now on.
        """
        try:
            self.files.check()
        except StoreLost:
            self._save_what_can_be()
            raise
        self.condition.went_well()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Translate what the database library raises, and note what failed."""
        try:
            with self.condition.watched(), translated_errors():
                yield
        except StoreLost as lost:
            self.files.lose(str(lost))
            raise

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what *work* finds."""
        with self.reading() as connection:
            return work(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees what was committed before each statement."""
        with self.watched():
            self._keep_open()
            connection = self._reader()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            connection.rollback()
            self._idle.append(connection)

    def snapshot(self) -> AbstractContextManager[Connection]:
        """Return a connection for reading; keys are committed in their order."""
        return self.reading()

    def await_news(self, seconds: float | None = None) -> None:
        """Return after a while; nobody tells of what is written to a file."""
        time.sleep(LOOK_SECONDS if seconds is None else seconds)

    def tell_news(self, connection: Connection) -> None:
        """Do nothing: whoever looks sees it."""

    def migrate(self, upgrade: Callable[[Connection], None]) -> None:
        """Do *upgrade* in one transaction, while no other process does."""
        with _alone(self._file.with_name(self._file.name + ".lock")):
            with self.reading() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            with self.watched(), self._opening:
                self._learn()
            self.write(upgrade)

    @property
    def pool(self) -> Pool:
        """Who reads and who writes; there are as many as there are threads."""
        reading: Any = self._readers.pool
        busy = reading.checkedout() - len(self._idle)
        return Pool(max(0, busy) + self._lock.locked())

    def measure(self) -> Usage:
        """Return what the file and those beside it take. None of them is opened."""
        room = self.files.measure()
        return Usage(room.taken, room.free)

    @property
    def place(self) -> Place | None:
        """Where the file is."""
        return self.files.place

    def room(self) -> Room:
        """Return how much room there is beside the file."""
        return self.files.measure()

    def probe(self) -> None:
        """Return if a new connection can read the file, and the file is ours.

        Pages that are held in memory say nothing about the disk.

        Raises:
            StoreError: if not.
        """
        with self.watched():
            self._keep_open()
            self.files.check()
            connection = _connect(self._file, BUSY_SECONDS)
            try:
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            finally:
                connection.close()

    def close(self) -> None:
        """Close every connection."""
        with self._lock, translated_errors():
            for connection in (*self._writers.values(), *self._idle):
                connection.close()
            self._writers.clear()
            self._idle.clear()
            for engine in (self._durable, self._light, self._readers):
                engine.dispose()
        self._presence.close()
        with self._opening:
            if self._open is not None:
                self._open.close()
                self._open = None
            self.files.forget()

    def _keep_open(self) -> None:
        """Have the connection open that does nothing, and the files ours."""
        if not self.files.are_known:
            with self._opening:
                if not self.files.are_known:
                    self._learn()
        self.files.refuse()

    def _learn(self) -> None:
        """Open the connection, and learn which files that opened."""
        while self._open is None:
            before = self.files.look()
            self.files.expect(before)
            connection = _connect(self._file, BUSY_SECONDS)
            if before[0] == self.files.look()[0] is not None:
                self._open = connection
            else:
                connection.close()
        # In WAL mode, whoever reads has all three files.
        self._open.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        self.files.take(self.files.look())

    def _save_what_can_be(self) -> None:
        """Bring what is in a WAL that was removed into the file itself.

        It was acknowledged, and would go with the last process that has it open.
        """
        with suppress(sqlite3.Error), self._opening:
            if self._open is not None and self.files.without_wal_alone:
                self._open.execute("PRAGMA wal_checkpoint").fetchall()

    def _reader(self) -> Connection:
        """One that was used last; to lend and take back each would take longer."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._readers.connect()

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
        kind = _kind(error)
        if _is_busy(error):
            raise StoreBusy("the database is busy", kind) from error
        cause = _cause(error) or type(error).__name__
        raise StoreError(f"the database refused: {cause}", kind) from error
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
        creator=lambda: _connect(file, timeout),
        pool_size=0,
        hide_parameters=True,
    )

    def connected(connection: Any, _: Any) -> None:
        connection.execute(f"PRAGMA synchronous={synchronous}")

    event.listen(engine, "connect", connected)
    return engine


def _connect(file: Path, timeout: float) -> sqlite3.Connection:
    """A connection to a file that is there; none is made."""
    return sqlite3.connect(
        f"file:{quote(str(file))}?mode=rw",
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )


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


OF_A_ROW = ("SQLITE_CONSTRAINT", "SQLITE_TOOBIG", "SQLITE_MISMATCH", "SQLITE_RANGE")
"""How the names of errors begin that say nothing about the database."""


def _kind(error: Exception) -> str:
    """What SQLite calls it; empty where it is about what was to be stored."""
    name: str = getattr(_cause(error), "sqlite_errorname", "")
    return "" if name.startswith(OF_A_ROW) else name


def _cause(error: Exception) -> BaseException | None:
    """What the driver said, if it said anything."""
    if isinstance(error, SQLAlchemyError):
        cause: BaseException | None = getattr(error, "orig", None)
        return cause
    return error
