"""``cds-service database backup``, ``restore``: whole, looked at, not under one."""

import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from tests.postgresql import Server, program

SERVE = """
import sys
from cds_service.store.store import Store
store = Store.open(sys.argv[1])
store.ping()
print("ready", flush=True)
sys.stdin.read()
"""

KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
store = Store.open(sys.argv[1])
for _ in range(5):
    store.record_audit(AuditEvent(datetime.now(UTC), "call"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def run(*arguments: str | Path, path: Path | None = None) -> Result:
    env = {"PATH": str(path)} if path else None
    return CliRunner(env=env).invoke(main, list(map(str, arguments)))


def add(url: str, rows: int) -> Store:
    store = Store.open(url)
    for _ in range(rows):
        store.record_audit(AuditEvent(datetime.now(UTC), "call"))
    return store


def rows_of(url: str) -> int:
    store = Store.open(url)
    try:
        return len(list(store.audit_entries()))
    finally:
        store.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cds.sqlite"


@pytest.fixture
def url(file: Path, new_database: Callable[[Path], str]) -> str:
    """A database of our schema in the file."""
    return new_database(file)


@pytest.fixture
def server(url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the database open."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def test_a_backup_has_what_is_still_in_the_log_of_a_server_that_goes_on(
    url: str, tmp_path: Path
) -> None:
    store = add(url, 3)
    backup = tmp_path / "backup.sqlite"

    done = run("database", "backup", backup, "--database", url)

    assert done.exit_code == 0, done.output
    assert "3 rows of the audit trail, as they were written" in done.output
    assert backup.stat().st_mode & 0o777 == 0o600
    assert sorted(
        each.name for each in tmp_path.iterdir() if "backup" in each.name
    ) == ["backup.sqlite"]
    store.close()
    assert rows_of(f"sqlite:///{backup}") == 3


def test_a_copy_of_the_bare_file_is_recognised_by_an_anchor(
    url: str, file: Path, tmp_path: Path
) -> None:
    """What was committed last is in the log beside the file, which was not copied."""
    store = add(url, 3)
    bare, kept = tmp_path / "bare.sqlite", tmp_path / "anchors.jsonl"
    assert run("audit", "anchors", "--database", url, "--out", kept).exit_code == 0

    subprocess.run(["cp", str(file), str(bare)], check=True)

    store.close()
    copied = f"sqlite:///{bare}"
    assert run("audit", "verify", "--database", copied).exit_code == 0
    found = run("audit", "verify", "--database", copied, "--anchors", kept)
    assert found.exit_code == 1
    assert "the row that was anchored is missing" in found.output


def test_a_backup_without_the_rows_that_were_anchored_gets_no_name(
    url: str, tmp_path: Path
) -> None:
    add(url, 1).close()
    backup, kept = tmp_path / "backup.sqlite", tmp_path / "anchors.jsonl"
    backup.write_text("of yesterday")
    kept.write_text('{"writer": "w", "sequence": 7, "hash": "h"}\n')

    done = run("database", "backup", backup, "--database", url, "--anchors", kept)

    assert done.exit_code == 1
    assert "row 7: the row that was anchored is missing" in done.output
    assert backup.read_text() == "of yesterday"


def test_a_backup_is_restored_with_nothing_of_what_was_there(
    url: str, file: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.sqlite"
    add(url, 2).close()
    assert run("database", "backup", backup, "--database", url).exit_code == 0
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, url], capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    log = file.with_name(file.name + "-wal")
    assert log.stat().st_size

    refused = run("database", "restore", backup, "--database", url)
    done = run("database", "restore", backup, "--database", url, "--replace")

    assert (refused.exit_code, done.exit_code) == (1, 0), done.output
    assert "--replace" in refused.output
    assert "2 rows of the audit trail, as they were written" in done.output
    assert not log.exists()
    assert rows_of(url) == 2


def test_a_restore_is_refused_beside_a_server_and_free_as_soon_as_that_was_killed(
    url: str, tmp_path: Path, server: subprocess.Popen[str]
) -> None:
    backup = tmp_path / "backup.sqlite"
    assert run("database", "backup", backup, "--database", url).exit_code == 0
    restore = ("database", "restore", backup, "--database", url, "--replace")

    beside = run(*restore)
    server.kill()
    server.wait()
    after = run(*restore)

    assert (beside.exit_code, after.exit_code) == (1, 0), after.output
    assert "a server or a command uses the database" in beside.output


def test_a_backup_is_restored_where_there_was_no_database(
    url: str, tmp_path: Path
) -> None:
    backup, other = tmp_path / "backup.sqlite", tmp_path / "new" / "cds.sqlite"
    add(url, 2).close()
    assert run("database", "backup", backup, "--database", url).exit_code == 0

    done = run("database", "restore", backup, "--database", f"sqlite:///{other}")

    assert done.exit_code == 0, done.output
    assert rows_of(f"sqlite:///{other}") == 2


def test_a_damaged_backup_is_refused_and_what_was_there_stays(
    url: str, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.sqlite"
    add(url, 500).close()
    assert run("database", "backup", backup, "--database", url).exit_code == 0
    with backup.open("r+b") as damaged:
        damaged.seek(backup.stat().st_size // 4)
        damaged.write(bytes(backup.stat().st_size // 2))

    done = run("database", "restore", backup, "--database", url, "--replace")

    assert done.exit_code == 1
    assert rows_of(url) == 500


def test_a_backup_of_postgresql_is_made_by_its_own_tool_and_comes_back_whole(
    postgresql: Server, tmp_path: Path
) -> None:
    old, new = postgresql.create(), postgresql.create("template0")
    add(postgresql.url(old), 3).close()
    backup, tools = tmp_path / "cds.dump", program("pg_dump").parent

    done = run(
        "database", "backup", backup, "--database", postgresql.url(old), path=tools
    )

    assert done.exit_code == 0, done.output
    told = run("database", "restore", backup, "--database", postgresql.url(new))
    assert told.exit_code == 1
    assert "stop all servers" in told.output
    command = shlex.split(told.output.split("restore it with ")[1])
    subprocess.run([tools / command[0], *command[1:]], check=True)
    assert rows_of(postgresql.url(new)) == 3
    for each in (old, new):
        postgresql.drop(each)


def test_without_the_tool_of_the_servers_version_the_command_is_named(
    postgresql: Server, tmp_path: Path
) -> None:
    old = tmp_path / "bin"
    old.mkdir()
    older = old / "pg_dump"
    older.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.4'\n")
    older.chmod(0o755)
    name = postgresql.create()
    url = postgresql.url(name)

    done = run("database", "backup", tmp_path / "b", "--database", url, path=old)

    assert done.exit_code == 1
    assert "pg_dump 18 or newer is needed and not on the PATH" in done.output
    assert "run: pg_dump --format=custom" in done.output
    assert f"--file={tmp_path / 'b'}" in done.output
    assert not (tmp_path / "b").exists()
    postgresql.drop(name)
