"""Whatever becomes of PostgreSQL: what was stored is there once, what was not is said.

Each fault is one of a real server, or of the wire to it.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, make_url

from cds_service.audit import verify
from cds_service.store.database import DatabaseLimits
from cds_service.store.postgresql import PostgresDatabase
from cds_service.store.records import (
    Attempt,
    AuditEvent,
    CallRecord,
    DeliveryState,
    Intake,
    StoreBusy,
    StoredAnswer,
    StoreError,
)
from cds_service.store.store import Store
from cds_service.store.trail.chain import GENESIS
from tests.postgresql import Server, running_server

from ..waiting import PATIENCE, until
from .pooler import pooling
from .wire import CUTS, Wire, laid_to

Rows = Callable[[str], list[dict[str, Any]]]
MakeCall = Callable[..., CallRecord]
HASTY = DatabaseLimits(connections=2, statement_seconds=0.3, lock_seconds=0.3)
TLS_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
"""Source: PostgreSQL, "Message Formats", SSLRequest."""
RAISES = """
    CREATE SEQUENCE turns;
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('turns') <= {turns} THEN
            RAISE EXCEPTION 'as it happens' USING ERRCODE = '{state}';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER fail BEFORE INSERT ON cards FOR EACH ROW EXECUTE FUNCTION fail();
"""
SLEEPS = """
    CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_sleep({seconds}); RETURN NEW;
    END $$;
    CREATE {kind} TRIGGER rest AFTER INSERT ON audit {when}
        FOR EACH ROW EXECUTE FUNCTION rest();
"""
WAITS_FOR_ANOTHER = """
    CREATE SEQUENCE turns;
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('turns') = 1 THEN
            PERFORM pg_advisory_xact_lock(1);
            WHILE NOT EXISTS (SELECT FROM pg_locks WHERE objid = 1 AND NOT granted) LOOP
                PERFORM pg_sleep(0.01);
            END LOOP;
            PERFORM pg_advisory_xact_lock(2);
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER wait BEFORE INSERT ON calls FOR EACH ROW EXECUTE FUNCTION wait();
"""
HANDS_OVER = """
    CREATE SEQUENCE refusals_counted;
    CREATE FUNCTION hand_over() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM pg_stat_activity JOIN handed_over ON backend_start < at
                WHERE pid = pg_backend_pid()) THEN
            PERFORM nextval('refusals_counted');
            RAISE EXCEPTION 'read only' USING ERRCODE = '25006';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TABLE handed_over AS SELECT clock_timestamp() AS at;
    CREATE TRIGGER hand_over BEFORE INSERT ON audit
        FOR EACH ROW EXECUTE FUNCTION hand_over();
"""


@pytest.fixture
def kind() -> str:
    return "postgresql"


@pytest.fixture
def hasty(url: str) -> Iterator[Store]:
    """A node that waits for nothing longer than it must."""
    store = Store.open(url, limits=HASTY)
    yield store
    store.close()


@pytest.fixture
def session(url: str) -> Iterator[psycopg.Connection]:
    """Somebody else who works with the database."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def wire(url: str, postgresql: Server) -> Iterator[Wire]:
    with laid_to(postgresql.folder) as wire:
        yield wire


@pytest.fixture
def far(wire: Wire, url: str) -> Iterator[Store]:
    """A node at the other end of the wire."""
    server = url.rpartition("=")[2]
    store = Store.open(url.replace(server, str(wire.folder)))
    yield store
    store.close()


@contextmanager
def meanwhile(work: Callable[[], Any]) -> Iterator[Future[Any]]:
    """Something that goes on in another thread, and has ended at the end."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work)


def test_a_pooler_that_pools_transactions_is_refused_at_the_start(
    url: str, postgresql: Server, rows: Rows
) -> None:
    server = url.rpartition("=")[2]
    with pooling(postgresql.folder) as pooler:
        store = Store.open(url.replace(server, str(pooler.folder)))

        with pytest.raises(StoreError, match="has to pool sessions"):
            store.migrate()

        store.close()
    assert rows("SELECT * FROM audit") == []


@pytest.mark.parametrize("cut", CUTS)
def test_a_commit_of_which_nobody_heard_is_there_once(
    wire: Wire, far: Store, event: AuditEvent, make_call: MakeCall, rows: Rows, cut: str
) -> None:
    if cut == "under way":
        when = "DEFERRABLE INITIALLY DEFERRED"
        rows(SLEEPS.format(seconds=0.3, kind="CONSTRAINT", when=when))
    far.record_audit(event)
    wire.cut = cut

    far.record_call(make_call(), event)

    assert wire.cut == ""
    assert len(rows("SELECT * FROM calls")) == 1
    far.record_audit(event)
    assert len(list(far.audit_entries())) == 3
    assert verify(far) == []


@pytest.mark.parametrize("cut", CUTS)
def test_a_claim_of_which_nobody_heard_is_made_all_the_same(
    wire: Wire, far: Store, now: datetime, event: AuditEvent, cut: str
) -> None:
    attempt = Attempt("watch", "key")
    wire.cut = cut

    claim = far.begin_delivery(attempt, "digest", now)

    assert wire.cut == ""
    assert claim.state is DeliveryState.NEW
    far.finish_delivery(attempt, StoredAnswer(202, "{}"), Intake(), event, now)


@pytest.mark.parametrize("cut", ["unsent", "unanswered"])
def test_the_chain_of_a_lost_connection_is_taken_up_by_the_next(
    wire: Wire, far: Store, event: AuditEvent, rows: Rows, cut: str
) -> None:
    far.record_audit(event)
    wire.cut = cut
    far.record_audit(event)
    far.record_audit(event)

    entries = list(far.audit_entries())
    first, last = entries[0], entries[-1]
    begun = next(each for each in entries if each.writer == last.writer)
    assert first.previous_hash == GENESIS
    assert begun.previous_hash == f"{first.writer}:1:{first.hash}"
    assert verify(far) == []

    rows("ALTER TABLE audit DISABLE TRIGGER USER")
    rows(f"DELETE FROM audit WHERE writer = '{first.writer}'")

    (broken,) = verify(far)
    assert (broken.writer, broken.sequence) == (last.writer, 1)
    assert f"row 1 of writer {first.writer}, which it takes up, is missing" in (
        broken.problem
    )


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_who_was_outrun_begins_again(
    store: Store, event: AuditEvent, make_call: MakeCall, rows: Rows, state: str
) -> None:
    rows(RAISES.format(turns=3, state=state))

    store.record_call(make_call(), event)

    assert len(rows("SELECT * FROM calls")) == len(rows("SELECT * FROM cards")) == 1
    assert [each.sequence for each in store.audit_entries()] == [1]


def test_who_is_outrun_always_is_told_so(
    store: Store, event: AuditEvent, make_call: MakeCall, rows: Rows
) -> None:
    rows(RAISES.format(turns=100, state="40001"))

    with pytest.raises(StoreError, match="SerializationFailure"):
        store.record_call(make_call(), event)

    assert rows("SELECT * FROM calls") == list(store.audit_entries()) == []


def test_of_two_that_wait_for_each_other_the_one_that_gives_way_begins_again(
    url: str,
    session: psycopg.Connection,
    event: AuditEvent,
    make_call: MakeCall,
    rows: Rows,
) -> None:
    rows(f"ALTER DATABASE {session.info.dbname} SET deadlock_timeout = '50ms'")
    rows(WAITS_FOR_ANOTHER)
    store = Store.open(url)
    session.execute("SET deadlock_timeout = '1min'")
    session.execute("SELECT pg_advisory_xact_lock(2)")

    with meanwhile(lambda: store.record_call(make_call(), event)) as recorded:
        until(lambda: rows("SELECT 1 FROM pg_locks WHERE objid = 1 AND granted"))
        session.execute("SELECT pg_advisory_xact_lock(1)")
        session.commit()
        recorded.result()

    assert rows("SELECT last_value AS turns FROM turns") == [{"turns": 2}]
    assert len(rows("SELECT * FROM calls")) == len(rows("SELECT * FROM cards")) == 1
    assert verify(store) == []
    store.close()


@pytest.mark.parametrize("state", ["53100", "53200", "53300", "25P03", "57014"])
def test_a_server_that_has_no_room_or_time_is_busy(
    store: Store, event: AuditEvent, make_call: MakeCall, rows: Rows, state: str
) -> None:
    rows(RAISES.format(turns=1, state=state))

    with pytest.raises(StoreBusy, match=state):
        store.record_call(make_call(), event)

    assert rows("SELECT * FROM calls") == list(store.audit_entries()) == []
    store.record_call(make_call(), event)
    assert verify(store) == []


def test_a_statement_that_takes_too_long_is_given_up(
    hasty: Store, event: AuditEvent, rows: Rows
) -> None:
    rows(SLEEPS.format(seconds=20, kind="", when=""))

    with pytest.raises(StoreBusy, match="57014"):
        hasty.record_audit(event)


BOUNDED = DatabaseLimits(connections=2, transaction_seconds=2.0)
PATIENT = DatabaseLimits(
    statement_seconds=PATIENCE, lock_seconds=PATIENCE, transaction_seconds=PATIENCE
)


def test_a_transaction_that_is_left_open_is_ended_and_keeps_nobody_waiting(
    url: str, event: AuditEvent, make_call: MakeCall
) -> None:
    database = PostgresDatabase(make_url(url), BOUNDED)
    store = Store.open(url, limits=PATIENT)
    locked, over = threading.Event(), threading.Event()

    def keep(connection: Connection) -> None:
        connection.exec_driver_sql("LOCK TABLE calls")
        locked.set()
        over.wait(PATIENCE)
        connection.exec_driver_sql("SELECT 1")

    with meanwhile(lambda: database.write(keep)) as kept:
        locked.wait(PATIENCE)
        try:
            store.record_call(make_call(), event)
        finally:
            over.set()
        with pytest.raises(StoreBusy, match="25P03|25P04"):
            kept.result()

    database.close()
    store.close()


@pytest.mark.parametrize("statements", [1, 40])
def test_many_short_statements_are_bounded_together_where_postgresql_can(
    url: str, session: psycopg.Connection, statements: int
) -> None:
    database = PostgresDatabase(make_url(url), BOUNDED)

    def rest(connection: Connection) -> int:
        for _ in range(statements):
            connection.exec_driver_sql("SELECT pg_sleep(0.1)")
        return statements

    def has_rested() -> int:
        with suppress(StoreBusy):  # where the machine is busy
            return database.write(rest)
        return 0

    if statements == 1 or session.info.server_version < 170000:
        assert until(has_rested) == statements
    else:
        with pytest.raises(StoreBusy, match="25P04"):
            database.write(rest)
        assert database.write(lambda _: 7) == 7

    database.close()


def test_what_takes_its_time_has_it(url: str) -> None:
    database = PostgresDatabase(make_url(url), BOUNDED)

    with database.snapshot() as connection:
        time.sleep(2.5)
        assert connection.exec_driver_sql("SELECT pg_sleep(0.1), 7").all()[0][1] == 7

    database.close()


def test_a_lock_that_is_not_let_go_is_not_waited_for_longer_than_the_setting(
    hasty: Store, event: AuditEvent, make_call: MakeCall, session: psycopg.Connection
) -> None:
    session.execute("LOCK TABLE calls")

    # Nothing else would end it: the lock is there until it is let go below.
    with pytest.raises(StoreBusy, match="55P03|57014"):
        hasty.record_call(make_call(), event)

    session.rollback()

    def recorded() -> bool:
        with suppress(StoreBusy):  # a busy machine may have it wait as long
            hasty.record_call(make_call(), event)
            return True
        return False

    until(recorded)


def test_threads_for_which_no_connection_is_left_are_told_that_it_is_busy(
    url: str, event: AuditEvent, rows: Rows
) -> None:
    rows(SLEEPS.format(seconds=1.5, kind="", when=""))
    store = Store.open(url, limits=DatabaseLimits(connections=2, lock_seconds=0.3))
    said: list[str] = []

    def record(_: int) -> None:
        try:
            store.record_audit(event)
            said.append("recorded")
        except StoreBusy as error:
            said.append(str(error))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(record, range(8)))

    assert said.count("no connection to the database is free") >= 2
    assert said.count("recorded") == len(list(store.audit_entries())) >= 2
    assert len(said) == 8
    store.close()


def test_a_server_that_takes_no_more_connections_is_not_waited_for(
    url: str, event: AuditEvent, session: psycopg.Connection, rows: Rows
) -> None:
    rows(f"ALTER DATABASE {session.info.dbname} CONNECTION LIMIT 0")
    limited = url.replace("nobody@", "limited@")
    rows("CREATE ROLE limited LOGIN")
    store = Store.open(limited)

    try:
        with pytest.raises(StoreError, match="too many connections"):
            store.record_audit(event)
    finally:
        store.close()
        rows("DROP ROLE limited")


def test_a_server_that_takes_no_writes_any_more_is_left_by_every_connection(
    store: Store, event: AuditEvent, rows: Rows
) -> None:
    """As one that has handed over to another, for the sessions of before."""
    hold = threading.Barrier(4)

    def record() -> None:
        hold.wait()
        store.record_audit(event)

    def record_at_once() -> None:
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(record) for _ in range(4)]:
                done.result()

    rows(SLEEPS.format(seconds=0.1, kind="", when=""))
    record_at_once()
    rows(HANDS_OVER)

    store.record_audit(event)
    record_at_once()

    assert rows("SELECT last_value AS refused FROM refusals_counted") == [
        {"refused": 1}
    ]
    assert len(list(store.audit_entries())) == 9
    assert verify(store) == []


def test_a_server_that_only_reads_is_never_asked(
    url: str, event: AuditEvent, session: psycopg.Connection, rows: Rows
) -> None:
    """A standby knows Consents of yesterday."""
    database = session.info.dbname
    rows(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    store = Store.open(url)

    with pytest.raises(StoreError, match="cannot be reached.*read-only"):
        store.consents.of([])
    with pytest.raises(StoreError, match="cannot be reached.*read-only"):
        store.record_audit(event)

    store.close()


@pytest.mark.slow
def test_a_standby_that_is_promoted_is_found_and_has_everything(
    event: AuditEvent, make_call: MakeCall
) -> None:
    with running_server() as first, ExitStack() as opened:
        database = first.template()
        second = opened.enter_context(first.standby())
        hosts = f"{first.folder},{second.folder}"
        store = Store.open(first.url(database).replace(str(first.folder), hosts))
        opened.callback(store.close)
        store.migrate()
        stop = threading.Event()
        acknowledged: list[str] = []

        def call(number: int) -> None:
            while not stop.is_set():
                name = f"{number}-{time.monotonic_ns()}"
                try:
                    store.record_call(make_call(hook_instance=name, cards=()), event)
                    acknowledged.append(name)
                except StoreError:
                    time.sleep(0.05)

        with ThreadPoolExecutor(3) as pool:
            for number in range(3):
                pool.submit(call, number)
            try:
                until(lambda: len(acknowledged) > 20)
                first.kill()
                before = len(acknowledged)
                second.promote()
                until(lambda: len(acknowledged) > before + 20)
            finally:
                stop.set()

        with second.connect(database) as connection:
            found = connection.execute("SELECT hook_instance FROM calls").fetchall()
        assert set(acknowledged) <= {name for (name,) in found}
        assert len(found) == len(set(found))
        assert verify(store) == []


@pytest.mark.parametrize(
    ("options", "answer", "said"),
    [
        ("sslmode=require", b"N", "does not support SSL, but SSL was required"),
        ("sslmode=verify-full&sslrootcert=/none/ca.pem", b"S", "/none/ca.pem"),
    ],
)
def test_what_the_url_says_of_tls_holds(options: str, answer: bytes, said: str) -> None:
    """As it does with a server that speaks TLS, which that of the tests does not."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as opened:

        def reply() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    asked.append(connection.recv(8))
                    connection.sendall(answer)
                    opened.callback(connection.close)

        threading.Thread(target=reply, daemon=True).start()
        port = listener.getsockname()[1]
        store = Store.open(f"postgresql+psycopg://cds@127.0.0.1:{port}/cds?{options}")
        with pytest.raises(StoreError, match=said):
            store.ping()
        store.close()
        listener.shutdown(socket.SHUT_RDWR)

    assert set(asked) == {TLS_REQUEST}
