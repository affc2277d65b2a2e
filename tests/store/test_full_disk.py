"""A disk that is full: what was acknowledged is stored, and more is when there is room.

Where the tests may mount one, it is a small disk of its own; elsewhere the system lets
the process write no file any further, as a quota does.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from cds_service.audit import verify
from cds_service.store.store import Store

SIZE = 16 * 1024**2
FURTHEST = 1024**2
"""Bytes that a file may have where there is no disk of its own."""
RECORD = """
import sys
from datetime import UTC, datetime
from cds_service.store.records import AuditEvent, StoreError
from cds_service.store.store import Store

store = Store.open(sys.argv[1])
store.migrate()
event = AuditEvent(datetime.now(UTC), "call", detail={"filler": "x" * 20_000})
store.record_audit(event)
print("ready", flush=True)
sys.stdin.readline()
recorded = 1
try:
    while recorded < 10_000:
        store.record_audit(event)
        recorded += 1
except StoreError as error:
    print(recorded, error.kind, store.condition.fault.kind, flush=True)
sys.stdin.readline()
store.probe("node", event.at, 1024**2)
print(store.condition.fault, flush=True)
store.record_audit(event)
print("recorded", flush=True)
"""


@dataclass(frozen=True, slots=True)
class Disk:
    """Where a database is, and how its disk is full and has room again."""

    folder: Path
    fill: Callable[[int], None]
    clear: Callable[[int], None]


def mounted(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", folder]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with ExitStack() as stack:
        if not mounted(folder):
            most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            yield Disk(folder, limited_to(FURTHEST), limited_to(most))
            return
        stack.callback(subprocess.run, ["umount", folder], check=True)
        filler = folder / "filler"

        def fill(_: int) -> None:
            room = os.statvfs(folder)
            left = room.f_bavail * room.f_frsize - FURTHEST
            filler.write_bytes(bytes(left))

        yield Disk(folder, fill, lambda _: filler.unlink())


def limited_to(size: int) -> Callable[[int], None]:
    def limit(process: int) -> None:
        most = resource.prlimit(process, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process, resource.RLIMIT_FSIZE, (size, most))

    return limit


def test_a_full_disk_loses_nothing_that_was_acknowledged_and_is_over_with_room(
    disk: Disk,
) -> None:
    url = f"sqlite:///{disk.folder / 'cds.sqlite'}"
    with subprocess.Popen(
        [sys.executable, "-c", RECORD, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "ready\n"
        disk.fill(process.pid)
        process.stdin.write("full\n")
        process.stdin.flush()
        recorded, *kinds = process.stdout.readline().split()
        disk.clear(process.pid)
        process.stdin.write("room\n")
        process.stdin.flush()
        after = process.stdout.read()

    assert kinds[0] in ("SQLITE_FULL", "SQLITE_IOERR_WRITE") and kinds[0] == kinds[1]
    assert after == "None\nrecorded\n"
    store = Store.open(url)
    assert len(list(store.audit_entries())) == int(recorded) + 1
    assert verify(store) == []
    store.close()
