"""A database that was restored under a server: nothing is recorded in it until it is
started anew, and nobody is answered by Consents of yesterday.
"""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cds_service.audit import verify
from cds_service.store.records import AuditEvent, CallRecord, StoreLost
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey
from tests.postgresql import Server, program, running_server

MakeCall = Callable[..., CallRecord]
Rows = Callable[[str], list[dict[str, Any]]]
TOLD = "was restored|was replaced"


@pytest.fixture
def database(postgresql: Server) -> Iterator[str]:
    """The name of a database that may be put away."""
    name = postgresql.create()
    yield name
    postgresql.drop(name)


def run(server: Server, name: str, *options: str) -> None:
    done = subprocess.run(
        [program(name), "--host", server.folder, "--username", "nobody", *options],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def put_back_into_it(server: Server, database: str, dump: Path) -> None:
    """What is there is removed, and made anew; no connection ends."""
    dropped = ("--clean", "--single-transaction", "--exit-on-error")
    run(server, "pg_restore", *dropped, f"--dbname={database}", str(dump))


def put_back_into_another(server: Server, database: str, dump: Path) -> None:
    """The database is made anew under the same name."""
    server.drop(database)
    with server.connect("postgres") as connection:
        connection.execute(f'CREATE DATABASE "{database}" TEMPLATE template0'.encode())
    run(server, "pg_restore", f"--dbname={database}", str(dump))


@pytest.mark.parametrize("put_back", [put_back_into_it, put_back_into_another])
def test_a_dump_that_is_restored_under_a_server_is_noticed_before_anything_is_recorded(
    postgresql: Server,
    database: str,
    event: AuditEvent,
    make_call: MakeCall,
    tmp_path: Path,
    put_back: Callable[[Server, str, Path], None],
) -> None:
    url, dump = postgresql.url(database), tmp_path / "dump"
    store = Store.open(url)
    store.record_call(make_call(), event)
    run(postgresql, "pg_dump", "--format=custom", f"--file={dump}", database)
    store.record_call(make_call(), event)

    put_back(postgresql, database, dump)

    with pytest.raises(StoreLost, match=TOLD):
        store.record_call(make_call(), event)
    with pytest.raises(StoreLost, match=TOLD):
        store.consents.of([PatientKey("default", "-", "p1")])
    fault = store.condition.fault
    assert fault and fault.lasting
    # A worker that comes later, of the same server.
    later = Store.open(url, place=store.place)
    with pytest.raises(StoreLost, match=TOLD):
        later.record_call(make_call(), event)
    store.close()
    later.close()
    # A new start.
    anew = Store.open(url)
    anew.record_call(make_call(), event)
    assert len(list(anew.audit_entries())) == 2
    assert verify(anew) == []
    anew.close()


@pytest.fixture
def machine() -> Iterator[Server]:
    """A server of PostgreSQL whose disk may be put back."""
    with running_server() as server:
        store = Store.open(server.url(server.template()))
        store.migrate()
        store.close()
        yield server


def put_disk_back(machine: Server, kept: Path) -> None:
    machine.kill()
    shutil.rmtree(machine.folder / "data")
    subprocess.run(["cp", "-a", kept, machine.folder / "data"], check=True)
    (machine.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
    machine.start()


def test_a_disk_that_is_put_back_under_servers_is_noticed_by_all_that_have_looked(
    machine: Server, event: AuditEvent, make_call: MakeCall, now: datetime
) -> None:
    url = machine.url(machine.create())
    at_work, idle, fresh = (Store.open(url) for _ in range(3))
    at_work.record_call(make_call(), event)
    machine.kill()
    kept = machine.folder / "kept"
    subprocess.run(["cp", "-a", machine.folder / "data", kept], check=True)
    machine.start()
    at_work.record_call(make_call(), event)
    idle.probe("idle", now)

    put_disk_back(machine, kept)

    with pytest.raises(StoreLost, match=TOLD):
        at_work.record_call(make_call(), event)
    with pytest.raises(StoreLost, match=TOLD):
        at_work.consents.of([PatientKey("default", "-", "p1")])
    with pytest.raises(StoreLost, match=TOLD):
        idle.probe("idle", now)
    with pytest.raises(StoreLost, match=TOLD):
        idle.record_call(make_call(), event)
    fresh.record_call(make_call(), event)
    for each in (at_work, idle, fresh):
        each.close()


def test_a_database_that_only_ended_and_came_back_is_gone_on_with(
    machine: Server, event: AuditEvent, make_call: MakeCall, now: datetime
) -> None:
    store = Store.open(machine.url(machine.create()))
    store.record_call(make_call(), event)
    store.probe("node", now)

    machine.kill()
    machine.start()

    store.probe("node", now)
    store.record_call(make_call(), event)
    assert len(list(store.audit_entries())) == 2
    assert verify(store) == []
    store.close()


def test_rows_that_were_pruned_since_are_not_missed(
    store: Store, event: AuditEvent, now: datetime
) -> None:
    store.record_audit(event)
    store.probe("node", now)
    later = now + timedelta(days=2)
    sealed = list(store.seals.seal(later, later))
    assert len(sealed) == 1
    other = store.seals.prunable(later)
    assert store.seals.prune(other[0], later) == 1

    store.probe("node", later)


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_copy_that_is_written_into_the_file_of_a_server_is_noticed_when_it_looks(
    store: Store, file: Path, event: AuditEvent, now: datetime, tmp_path: Path
) -> None:
    store.record_audit(event)
    copy = tmp_path / "copy.sqlite"
    with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(copy)) as kept:
        live.backup(kept)
        store.record_audit(event)
        store.probe("node", now)
        kept.backup(live)

    with pytest.raises(StoreLost, match=TOLD):
        store.probe("node", now)
    with pytest.raises(StoreLost, match=TOLD):
        store.record_audit(event)
