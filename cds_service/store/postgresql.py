"""Connections of one process to a PostgreSQL database.

Every transaction is READ COMMITTED and takes the locks that it needs: what loses a race
waits, and then sees who won. What can be repeated is repeated: the database may kill a
connection, restart, or hand over to another server in the middle of anything.
"""

import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, Engine, RootTransaction, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError

from .condition.faults import Condition
from .condition.files import Place
from .condition.incarnation import Incarnation, expect_sessions, find_database
from .condition.refusals import ERRORS, Failure, read_failure, translated_errors
from .database import SEND_BY, DatabaseLimits, T
from .records import Pool, StoreBusy, StoreError, StoreLost, Usage

CONNECT_SECONDS = 5
"""How long a server may take to accept a connection."""
PAUSES = (0.02, 0.1, 0.4, 1.0)
"""Seconds before a transaction is done again, about; after the last it is given up."""
WHOLE_TRANSACTION = 170000
"""The first version of the server that can bound a transaction as a whole."""
USUAL = {
    "fallback_application_name": "cds-service",
    "connect_timeout": str(CONNECT_SECONDS),
    "target_session_attrs": "read-write",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""What libpq is told where the URL does not say otherwise: nobody asks a standby, and a
server that is gone without a word is noticed."""
DURABLE_LATER = text("SET LOCAL synchronous_commit = off")
"""A commit that does not wait; the next that waits makes it durable as well."""
SIZE = text("SELECT pg_database_size(current_database())")
ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(4920175208346177)")
"""Held while the schema is changed; the number is ours alone."""
CHANNEL = "cds_news"
LOOK_SECONDS = 1.0
"""Between two looks for what others have written, where nobody tells of it."""
DATABASE = "database"
"""Where a connection keeps the number of the database that it leads to."""
GENERATION = "generation"
"""Where a connection keeps how often the server had changed before it was made."""
LOOKED = "looked"
"""Where a connection keeps when it was last seen to lead to the database."""
TRUSTED = 1.0
"""Seconds for which it is taken to lead there still, by what only reads and is done
again on another connection if this one is lost."""

Settle = Callable[[Connection, T], None]
Find = Callable[[Connection, T], bool]


class _Again(Exception):
    """Nothing of it was stored, and it may be done again."""

    def __init__(self, error: StoreError) -> None:
        super().__init__(str(error))
        self.error = error


class PostgresDatabase:
    """The connections of this process to one database."""

    def __init__(
        self,
        url: URL,
        limits: DatabaseLimits = DatabaseLimits(),
        place: Place | None = None,
    ) -> None:
        """Take the database; *place* is which it has to be, None for whichever is."""
        self.condition = Condition()
        self._incarnation = Incarnation(place)
        self._generation = 0
        self._engine = self._build_engine(url, limits)
        self._listener = Listener(self._connect_alone)

    def write(
        self,
        work: Callable[[Connection], T],
        *,
        durable: bool = True,
        repeatable: bool = False,
        settle: Settle[T] | None = None,
        find: Find[T] | None = None,
    ) -> T:
        """Return what *work* does in one transaction, after that is committed.

        Args:
            durable: Whether it must survive a crash of the server.
            repeatable: Whether it may be done again as well where it was done and
                nobody heard of it.
            settle: Told of the result on the connection that committed it.
            find: Whether the result was stored after all, where the connection broke
                before the server said so. What it does itself is rolled back; while
                the transaction of before may still be committed, it waits. Without
                it, that is an error, unless the work is repeatable.
        """
        if repeatable:
            find = _never
        with self._noticing():
            result = self._repeat(work, durable, settle, find)
        self.condition.went_well()
        return result

    def _repeat(
        self,
        work: Callable[[Connection], T],
        durable: bool,
        settle: Settle[T] | None,
        find: Find[T] | None,
    ) -> T:
        for pause in PAUSES:
            try:
                return self._attempt(work, durable, settle, find)
            except _Again:
                time.sleep(pause * random.uniform(0.5, 1.5))  # nosec B311 # no secret
        try:
            return self._attempt(work, durable, settle, find)
        except _Again as last:
            raise last.error from None

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what *work* finds; on a lost connection it looks again, once."""
        with self._watched():
            try:
                return self._ask(work, TRUSTED)
            except ERRORS as error:
                if not read_failure(error).lost:
                    raise
                self._generation += 1
            return self._ask(work)

    def _ask(self, work: Callable[[Connection], T], trusted: float = 0.0) -> T:
        with self._take(trusted) as connection, _left_when_interrupted(connection):
            return work(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Return a connection that sees what was committed before each statement."""
        with (
            self._watched(),
            self._take() as connection,
            _left_when_interrupted(connection),
        ):
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Return a connection that goes on seeing what was committed before the first.

        Keys are given out before they are committed. Who reads on from the highest key
        that was seen would miss the lower ones that are committed later.
        """
        with self._watched(), self._take() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin(), _left_when_interrupted(connection):
                _take_time(connection)
                yield connection

    def await_news(self, seconds: float | None = None) -> None:
        """Return when somebody has told news, or after a while without."""
        self._listener.wait(LOOK_SECONDS if seconds is None else seconds)

    def tell_news(self, connection: Connection) -> None:
        """Have all who await news hear of some once the transaction is committed.

        Those who commit such transactions do so one after another, so that it is not
        for what happens often.
        """
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")

    def migrate(self, upgrade: Callable[[Connection], None]) -> None:
        """Do *upgrade* in one transaction, while no other process does."""
        with self._watched():
            expect_sessions(self._connect_alone)

        def work(connection: Connection) -> None:
            _take_time(connection)
            connection.execute(ONE_AT_A_TIME)
            upgrade(connection)

        self.write(work)

    @property
    def pool(self) -> Pool:
        """Those that are lent, of all that may be open."""
        lending: Any = self._engine.pool
        return Pool(lending.checkedout(), lending.size())

    def measure(self) -> Usage:
        """Return what the database takes; its disk is not ours to see."""
        with self.reading() as connection:
            return Usage(connection.execute(SIZE).scalar_one(), None)

    @property
    def place(self) -> Place | None:
        """Which database it is, and which table of it the trail."""
        return self._incarnation.place

    def room(self) -> None:
        """Return nothing: its disk is not ours to see."""
        return None

    def probe(self) -> None:
        """Return if the database answers.

        Raises:
            StoreError: if not.
        """
        with self.reading() as connection:
            connection.exec_driver_sql("SELECT 1")

    def close(self) -> None:
        """Close every connection."""
        self._listener.close()
        self._engine.dispose()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        with self._noticing(), translated_errors():
            yield

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """Note how the block fails; once it is another database, all is refused."""
        try:
            with self.condition.watched():
                yield
        except StoreLost as lost:
            self._incarnation.lose(str(lost))
            raise

    def _attempt(
        self,
        work: Callable[[Connection], T],
        durable: bool,
        settle: Settle[T] | None,
        find: Find[T] | None,
    ) -> T:
        with self._connection() as connection:
            try:
                with (
                    connection.begin() as transaction,
                    _left_when_interrupted(connection),
                ):
                    if not durable:
                        connection.execute(DURABLE_LATER)
                    result = work(connection)
                    told = self._commit(transaction, result, find)
                if told and settle:
                    settle(connection, result)
                return result
            except ERRORS as error:
                raise self._judge(connection, error) from None

    def _commit(
        self, transaction: RootTransaction, result: T, find: Find[T] | None
    ) -> bool:
        """Whether the connection that committed has lived to say so."""
        try:
            transaction.commit()
        except ERRORS as error:
            failure = read_failure(error)
            if not failure.lost:
                raise
            transaction.connection.invalidate()
            self._find_out(find, result, failure)
            return False
        return True

    def _judge(self, connection: Connection, error: Exception) -> Exception:
        """What is to be raised for an error of a transaction."""
        failure = read_failure(error)
        if failure.lost:
            connection.invalidate()
        if failure.standby:
            self._generation += 1
        return _Again(failure.error) if failure.again else failure.error

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            connection = self._take()
        except ERRORS as error:
            failure = read_failure(error)
            if failure.again:
                raise _Again(failure.error) from None
            raise failure.error from None
        try:
            yield connection
        finally:
            connection.close()

    def _find_out(self, find: Find[T] | None, result: T, failure: Failure) -> None:
        """Return if the result was stored, though nobody said so.

        Raises:
            _Again: if it was not.
            StoreError: if that cannot be found out.
        """
        if find is None:
            raise failure.error
        for pause in (*PAUSES, 0.0):
            try:
                if self._is_stored(find, result):
                    return
            except StoreBusy:
                break
            except StoreError:
                time.sleep(pause)
                continue
            raise _Again(failure.error)
        raise failure.error

    def _is_stored(self, find: Find[T], result: T) -> bool:
        with translated_errors(), self._take() as connection:
            with connection.begin() as transaction:
                try:
                    with _left_when_interrupted(connection):
                        return find(connection, result)
                finally:
                    transaction.rollback()

    def _connect_alone(self) -> psycopg.Connection:
        """A connection outside of the pool."""
        words, options = self._engine.dialect.create_connect_args(self._engine.url)
        return psycopg.connect(*words, **options, autocommit=True)

    def _take(self, trusted: float = 0.0) -> Connection:
        """A connection that leads to our database.

        The pool gives the one that was used last. If that is lost, so are others: none
        of before is used any more.

        Args:
            trusted: For how many seconds nobody looks again.
        """
        connection = self._engine.connect()
        try:
            self._look(connection, trusted)
        except psycopg.Error:
            self._generation += 1
            connection = self._engine.connect()
            self._look(connection, trusted)
        return connection

    def _look(self, connection: Connection, trusted: float) -> None:
        """Return if it is our database; a connection that is not is closed."""
        try:
            self._incarnation.refuse()
            info, now = connection.info, time.monotonic()
            if now - info.get(LOOKED, -math.inf) >= trusted:
                driver = connection.connection.driver_connection
                self._incarnation.check(driver, info[DATABASE])
                info[LOOKED] = now
        except BaseException:
            connection.invalidate()  # the question may be on its way
            connection.close()
            raise

    def _build_engine(self, url: URL, limits: DatabaseLimits) -> Engine:
        engine = create_engine(
            _with_usual(url),
            isolation_level="AUTOCOMMIT",
            execution_options={SEND_BY: psycopg.RawCursor},
            paramstyle="format",
            pool_size=limits.connections,
            max_overflow=0,
            pool_timeout=limits.lock_seconds,
            pool_use_lifo=True,
            hide_parameters=True,
        )

        def connected(connection: Any, record: Any) -> None:
            record.info[GENERATION] = self._generation
            record.info[DATABASE] = find_database(connection)
            connection.execute(_timeouts(connection, limits))

        def taken(connection: Any, record: Any, _: Any) -> None:
            if record.info[GENERATION] != self._generation:
                raise DisconnectionError("the connection is no longer usable")

        event.listen(engine, "connect", connected)
        event.listen(engine, "checkout", taken)
        event.listen(engine, "begin", _begin)
        return engine


class Listener:
    """A connection of its own by which one thread hears of news.

    A pooler that pools transactions would not keep it; then there is only looking.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection]) -> None:
        self._connect = connect
        self._connection: psycopg.Connection | None = None

    def wait(self, seconds: float) -> None:
        """Return when there is or may be news, or after so many seconds."""
        try:
            if self._connection is None:
                # What was told before this, nobody heard.
                self._connection = self._connect()
                self._connection.execute(f"LISTEN {CHANNEL}")
                return
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                return
        except psycopg.Error:
            self.close()
            time.sleep(seconds)

    def close(self) -> None:
        """Close the connection; who waits again opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _begin(connection: Connection) -> None:
    """Begin a transaction; beside one, each statement is committed by itself."""
    driver: Any = connection.connection.driver_connection
    if driver.autocommit:
        driver.execute("BEGIN", prepare=False)


def _timeouts(driver: psycopg.Connection, limits: DatabaseLimits) -> sql.Composed:
    """What has the server give up in time, as far as it can."""
    longest = limits.transaction_seconds
    seconds = {
        "statement_timeout": limits.statement_seconds,
        "lock_timeout": limits.lock_seconds,
        "idle_in_transaction_session_timeout": longest,
    }
    if driver.info.server_version >= WHOLE_TRANSACTION:
        seconds["transaction_timeout"] = longest
    return sql.SQL("; ").join(
        sql.SQL("SET {} = {}").format(sql.Identifier(name), int(each * 1000))
        for name, each in seconds.items()
    )


def _take_time(connection: Connection) -> None:
    """Have nothing in the transaction that is open end for having taken long."""
    driver: Any = connection.connection.driver_connection
    for name in ("statement", "lock", "idle_in_transaction_session", "transaction"):
        if name != "transaction" or driver.info.server_version >= WHOLE_TRANSACTION:
            connection.exec_driver_sql(f"SET LOCAL {name}_timeout = 0")


@contextmanager
def _left_when_interrupted(connection: Connection) -> Iterator[None]:
    """Close the connection where somebody ends the block, or the process.

    A statement may be on its way then. The driver would refuse to roll back, and the
    transaction be done again for that error: nobody would hear of the interruption.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        connection.invalidate()
        raise


def _never(connection: Connection, result: Any) -> bool:
    return False


def _with_usual(url: URL) -> URL:
    """The URL with what libpq is told unless it says otherwise."""
    usual = {each: USUAL[each] for each in USUAL if each not in url.query}
    return url.set(drivername="postgresql+psycopg").update_query_dict(usual)
