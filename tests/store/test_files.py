"""What is committed is acknowledged only where the next process will find it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cds_service.store.records import AuditEvent, StoreError, StoreLost
from cds_service.store.store import Store

Rows = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def kind() -> str:
    """Files are the affair of SQLite; PostgreSQL minds its own."""
    return "sqlite"


def remove(file: Path) -> None:
    file.unlink()


def replace(file: Path) -> None:
    copy = file.with_name("copy")
    shutil.copy(file, copy)
    copy.replace(file)


def replace_by_nothing(file: Path) -> None:
    file.unlink()
    file.touch()


def remove_wal(file: Path) -> None:
    file.with_name(file.name + "-wal").unlink()


def remove_shm(file: Path) -> None:
    file.with_name(file.name + "-shm").unlink()


def move_folder(file: Path) -> None:
    file.parent.rename(file.parent.with_name("moved"))


@pytest.mark.parametrize(
    ("meddle", "told"),
    [
        (remove, "cds.sqlite was removed"),
        (replace, "cds.sqlite was replaced by another"),
        (replace_by_nothing, "cds.sqlite was replaced by another"),
        (remove_wal, "cds.sqlite-wal was removed"),
        (remove_shm, "cds.sqlite-shm was removed"),
        (move_folder, "cds.sqlite was removed"),
    ],
)
def test_nothing_is_acknowledged_once_the_file_is_another(
    tmp_path: Path,
    new_database: Callable[[Path], str],
    event: AuditEvent,
    meddle: Callable[[Path], None],
    told: str,
) -> None:
    folder = tmp_path / "database"
    folder.mkdir()
    store = Store.open(new_database(folder / "cds.sqlite"))
    store.record_audit(event)
    meddle(folder / "cds.sqlite")

    with pytest.raises(StoreLost, match=told):
        store.record_audit(event)

    store.close()


def test_after_a_loss_everything_is_refused_until_the_process_is_started_anew(
    store: Store, file: Path, url: str, event: AuditEvent
) -> None:
    store.record_audit(event)
    aside = file.with_name("aside")
    file.rename(aside)
    with pytest.raises(StoreLost):
        store.record_audit(event)
    aside.rename(file)

    with pytest.raises(StoreLost):
        store.record_audit(event)
    with pytest.raises(StoreLost):
        list(store.audit_entries())
    with pytest.raises(StoreLost):
        store.ping()

    new = Store.open(url)
    assert len(list(new.audit_entries())) >= 1
    new.record_audit(event)
    new.close()


def test_a_database_that_was_removed_is_not_made_anew_by_who_had_it(
    store: Store, file: Path, event: AuditEvent
) -> None:
    store.record_audit(event)
    file.unlink()
    with pytest.raises(StoreLost):
        store.record_audit(event)

    with pytest.raises(StoreError):
        store.probe("node", event.at)
    assert not file.exists()


def test_a_store_of_a_server_takes_no_other_file_than_the_server_began_with(
    store: Store, file: Path, url: str, event: AuditEvent
) -> None:
    store.record_audit(event)
    place = store.place
    store.close()
    replace(file)

    later = Store.open(url, place=place)

    with pytest.raises(StoreLost, match="replaced by another"):
        later.ping()
    later.close()


IN_A_PROCESS = """
import os, sys
from datetime import UTC, datetime
from cds_service.store.records import AuditEvent, StoreLost
from cds_service.store.store import Store

store = Store.open(sys.argv[1])
for number in range(20):
    event = AuditEvent(datetime.now(UTC), "call", detail={"number": number})
    store.record_audit(event)
print("recorded", flush=True)
sys.stdin.readline()
try:
    store.record_audit(AuditEvent(datetime.now(UTC), "call"))
    print("acknowledged", flush=True)
except StoreLost:
    print("refused", flush=True)
sys.stdin.readline()
"""


def test_what_was_acknowledged_before_the_wal_was_removed_outlives_the_process(
    file: Path, url: str, rows: Rows
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", IN_A_PROCESS, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "recorded\n"
        remove_wal(file)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "refused\n"
        os.kill(process.pid, signal.SIGKILL)

    found = rows("select detail from audit")

    assert {f'{{"number":{each}}}' for each in range(20)} <= {
        row["detail"] for row in found
    }


OPENING = """
import os, sys
from datetime import UTC, datetime

opened = []
def note(event, arguments):
    if event == "open" and arguments[0] in (file, file + "-wal", file + "-shm"):
        opened.append((arguments[0], arguments[2] & os.O_EXCL))
sys.addaudithook(note)
url = sys.argv[1]
file = url.removeprefix("sqlite:///")
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store

store = Store.open(url)
store.migrate()
store.record_audit(AuditEvent(datetime.now(UTC), "call"))
Store.open(url).close()
store.probe("node", datetime.now(UTC))
store.room()
print([path for path, exclusive in opened if not exclusive])
"""


def test_the_files_are_opened_by_sqlite_alone(url: str) -> None:
    command = [sys.executable, "-c", OPENING, url]

    told = subprocess.run(command, capture_output=True, text=True, check=True)

    assert told.stdout == "[]\n"
