"""Not ready while nothing can be recorded, and ready again by itself."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cds_service.decision import World
from cds_service.store.condition.files import Room
from cds_service.store.records import AuditEvent, StoreError
from cds_service.web.health import read_readiness
from cds_service.web.readiness import STALE, TOLD_EVERY, Readiness, find_shortage

from ..postgresql import Server, running_server
from ..waiting import until

Caller = Any
MIB = 1024**2


@pytest.fixture
def caller(
    url: str, build: Callable[..., World], connect: Callable[[World], Caller]
) -> Caller:
    """An EHR before a server on either database."""
    return connect(build(database_url=url))


def record(caller: Caller) -> None:
    world = caller.world
    world.store.record_audit(AuditEvent(world.clock(), "call"))


def ask(caller: Caller) -> tuple[int, str]:
    """Status, and what is wrong."""
    answer = caller.http.get("/health/ready")
    if answer.status_code == 200:
        return 200, ""
    (issue,) = answer.json["issue"]
    assert answer.headers["Retry-After"]
    return answer.status_code, issue["details"]["text"]


@contextmanager
def locked(url: str, statement: str) -> Iterator[None]:
    """While somebody else holds what a writer needs, and does not let go."""
    if url.startswith("sqlite"):
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
    else:
        plain = url.replace("postgresql+psycopg", "postgresql")
        other = psycopg.connect(plain)
        other.execute(statement)
    with closing(other):
        yield


class Desk:
    """What is logged, by a clock that is set."""

    def __init__(self, world: World) -> None:
        self.now = 0.0
        self.lines: list[dict[str, Any]] = []
        self.readiness = Readiness(world, self.note, lambda: self.now)

    def note(self, event: str, **facts: Any) -> None:
        self.lines.append({"event": event, **facts})


def test_it_is_ready_while_rows_of_this_machine_are_committed(caller: Caller) -> None:
    assert ask(caller) == (200, "")
    assert ask(caller) == (200, "")


def test_it_is_not_ready_while_another_holds_the_database(
    caller: Caller, url: str
) -> None:
    assert ask(caller)[0] == 200
    with locked(url, "LOCK TABLE probes"):
        status, told = ask(caller)

    assert status == 503
    assert "SQLITE_BUSY" in told or "55P03" in told
    assert ask(caller) == (200, "")


def test_a_call_that_is_not_recorded_tells_before_the_next_look(caller: Caller) -> None:
    readiness, condition = Desk(caller.world).readiness, caller.world.store.condition
    readiness.look()
    condition.failed(StoreError("the database is locked", "SQLITE_BUSY"))

    assert readiness.known.kind == "SQLITE_BUSY"
    record(caller)
    assert readiness.known is None


@pytest.mark.parametrize("kind", ["SQLITE_FULL", "SQLITE_IOERR_WRITE", "53100"])
def test_a_full_disk_on_which_a_small_row_finds_room_is_full_until_the_next_look(
    caller: Caller, kind: str
) -> None:
    readiness, condition = Desk(caller.world).readiness, caller.world.store.condition
    readiness.look()
    condition.failed(StoreError("the database refused: no room", kind))

    record(caller)
    assert readiness.known.kind == kind
    readiness.look()
    assert readiness.known is None


def test_what_is_no_fault_of_the_database_leaves_it_ready(caller: Caller) -> None:
    condition = caller.world.store.condition
    condition.failed(StoreError("the delivery is not in progress"))

    assert condition.fault is None
    assert ask(caller) == (200, "")


def test_a_row_that_cannot_be_stored_leaves_it_ready(caller: Caller) -> None:
    world = caller.world
    for jti in ("half \udc00", "a" * 100):
        until = world.clock()
        try:
            world.store.spend_token("https://ehr", jti, until, until)
        except StoreError as error:
            assert error.kind == ""

    assert world.store.condition.fault is None


def test_failures_are_counted_by_what_the_database_calls_them(
    caller: Caller, url: str
) -> None:
    with locked(url, "LOCK TABLE audit"), pytest.raises(StoreError):
        record(caller)

    text = caller.http.get("/metrics").text
    (line,) = (each for each in text.splitlines() if each.startswith(COUNTED))
    assert 'kind="SQLITE_BUSY"' in line or 'kind="55P03"' in line
    assert line.endswith(" 1.0")


COUNTED = "cds_store_failures_total{"


def test_a_disk_with_little_room_is_not_waited_for() -> None:
    assert find_shortage(Room(free=64 * MIB + 1, wal=0)) is None
    assert find_shortage(Room(free=64 * MIB, wal=0)).kind == "room"
    assert find_shortage(Room(free=200 * MIB, wal=99 * MIB)) is None
    assert find_shortage(Room(free=200 * MIB, wal=100 * MIB)).text == (
        "209715200 bytes are free, but 209715200 are required"
    )


def test_the_cause_is_logged_once_a_minute_while_it_lasts(caller: Caller) -> None:
    desk, condition = Desk(caller.world), caller.world.store.condition
    wrong = StoreError("the database refused: disk I/O error", "SQLITE_IOERR_WRITE")
    for moment in (0.0, 1.0, TOLD_EVERY - 1, TOLD_EVERY):
        desk.now = moment
        condition.failed(wrong)
        desk.readiness.tell()
    desk.readiness.look()

    told = [each["event"] for each in desk.lines]
    assert told == ["not ready", "not ready", "ready again"]
    first = desk.lines[0]
    assert (first["level"], first["kind"]) == ("error", "SQLITE_IOERR_WRITE")
    assert first["problem"] == "the database refused: disk I/O error"
    assert first["database"].startswith(("sqlite:///", "postgresql+psycopg://"))
    assert "free_bytes" in first and first["worker"] == os.getpid()


def test_a_fault_that_lasts_is_logged_at_once_after_one_that_may_pass(
    caller: Caller,
) -> None:
    desk, condition = Desk(caller.world), caller.world.store.condition
    for moment, kind in enumerate(("SQLITE_IOERR_SHORT_READ", "files", "files")):
        desk.now = float(moment)
        condition.failed(StoreError("the database refused", kind))
        desk.readiness.tell()

    told = [each["kind"] for each in desk.lines]
    assert told == ["SQLITE_IOERR_SHORT_READ", "files"]


def test_a_look_that_does_not_come_back_is_a_fault(caller: Caller) -> None:
    desk = Desk(caller.world)
    desk.readiness.look()
    assert desk.readiness.known is None

    desk.now = STALE + 1

    assert desk.readiness.known.kind == "stale"


def test_what_a_listener_beside_the_requests_says_is_the_same(caller: Caller) -> None:
    answer = read_readiness(caller.http.application)

    assert (answer.status, answer.body) == (200, caller.http.get("/health/ready").data)


def test_a_server_that_ends_is_not_ready_whatever_can_be_recorded(
    caller: Caller,
) -> None:
    ended: list[bool] = []
    caller.http.application.extensions["cds_ends"] = lambda: bool(ended)
    assert ask(caller)[0] == 200

    ended.append(True)

    assert ask(caller) == (503, "This server is shutting down.")


# One database alone


def sqlite_file(caller: Caller) -> Path:
    return Path(caller.world.config.database_url.removeprefix("sqlite:///"))


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_file_that_was_overwritten_is_seen_and_stays_a_fault(ehr: Caller) -> None:
    assert ask(ehr)[0] == 200
    file = sqlite_file(ehr)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    good = file.with_name("good")
    shutil.copy(file, good)
    with file.open("r+b") as opened:
        opened.write(b"\0" * 4096)

    assert ask(ehr) == (503, "Nothing can be recorded: SQLITE_NOTADB.")

    file.write_bytes(good.read_bytes())
    assert ask(ehr) == (503, "Nothing can be recorded: SQLITE_NOTADB.")


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_file_that_was_replaced_is_seen_without_a_call(ehr: Caller) -> None:
    assert ask(ehr)[0] == 200
    file = sqlite_file(ehr)
    shutil.copy(file, file.with_name("copy"))
    file.with_name("copy").replace(file)

    assert ask(ehr) == (503, "Nothing can be recorded: files.")
    summary = ehr.http.get("/health").json
    assert summary["status"] == "failing"
    assert "was replaced by another" in summary["problems"][0]


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server that may be killed."""
    with running_server() as server:
        yield server


@pytest.mark.parametrize("kind", ["postgresql"])
def test_it_is_ready_again_when_postgresql_is(
    mortal: Server, build: Callable[..., World], connect: Callable[[World], Caller]
) -> None:
    caller = connect(build(database_url=mortal.url(mortal.template())))
    caller.world.store.migrate()
    assert ask(caller)[0] == 200
    mortal.kill()

    until(lambda: ask(caller) == (503, "Nothing can be recorded: unreachable."))
    mortal.start()

    until(lambda: ask(caller) == (200, ""))


@pytest.mark.parametrize(
    ("attributes", "told"), [("any", "25006"), ("read-write", "unreachable")]
)
@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_database_that_is_read_only_by_now_is_seen(
    url: str,
    postgresql: Server,
    build: Callable[..., World],
    connect: Callable[[World], Caller],
    attributes: str,
    told: str,
) -> None:
    caller = connect(build(database_url=f"{url}&target_session_attrs={attributes}"))
    assert ask(caller)[0] == 200
    name = url.partition("?")[0].rpartition("/")[2]
    with postgresql.connect("postgres") as connection:
        change = f"ALTER DATABASE {name} SET default_transaction_read_only ="
        connection.execute(f"{change} on")
        of_ours = f"FROM pg_stat_activity WHERE datname = '{name}'"
        connection.execute(f"SELECT pg_terminate_backend(pid) {of_ours}")
        until(lambda: not connection.execute(f"SELECT 1 {of_ours}").fetchall())
        assert ask(caller) == (503, f"Nothing can be recorded: {told}.")
        connection.execute(f"{change} off")

    until(lambda: ask(caller) == (200, ""))
