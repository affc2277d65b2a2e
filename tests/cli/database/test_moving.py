"""``cds-service database``, and what commands tell of a database that is not there."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.store.records import AuditEvent, StoreError
from cds_service.store.store import Store

from ...waiting import until

WAITING = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
NOWHERE = "postgresql+psycopg://cds:geheim@/cds?host=/nowhere"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def old(tmp_path: Path) -> str:
    """A file with rows in it."""
    url = f"sqlite:///{tmp_path / 'old.sqlite'}"
    store = Store.open(url)
    store.migrate()
    for _ in range(3):
        store.record_audit(AuditEvent(datetime.now(UTC), "call"))
    store.publications.take_lease("a", datetime.now(UTC), 60)
    store.close()
    return url


def test_the_schema_is_made_and_made_again(empty: str) -> None:
    for _ in range(2):
        done = run("database", "migrate", "--database", empty)
        assert done.exit_code == 0, done.output
        assert "the schema is up to date" in done.output

    store = Store.open(empty)
    store.ping()
    store.close()


def test_a_database_is_copied_counted_and_verified(old: str, empty: str) -> None:
    assert run("database", "migrate", "--database", empty).exit_code == 0

    done = run("database", "copy", old, empty)

    assert done.exit_code == 0, done.output
    assert "audit: 3 of 3 rows" in done.output
    assert "copied whole; the audit trail is as it was written" in done.output


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_copy_that_was_killed_goes_on_and_is_whole(old: str, empty: str) -> None:
    command = [sys.executable, "-m", "cds_service.cli", "database", "copy", old, empty]
    plain = empty.replace("+psycopg", "")
    assert run("database", "migrate", "--database", empty).exit_code == 0
    with psycopg.connect(plain) as session, psycopg.connect(plain) as other:
        session.execute("LOCK TABLE leases IN SHARE MODE")
        copying = subprocess.Popen(command, stderr=subprocess.PIPE)
        other.autocommit = True
        until(lambda: other.execute(WAITING).fetchone(), process=copying)
        copying.kill()
        copying.communicate()
        assert other.execute("SELECT count(*) FROM audit").fetchone() == (3,)
        assert other.execute("SELECT count(*) FROM leases").fetchone() == (0,)
    store = Store.open(empty)
    with pytest.raises(StoreError, match="is not whole"):
        store.migrate()

    done = run("database", "copy", old, empty)

    assert done.exit_code == 0, done.output
    assert "audit: 3 of 3 rows" in done.output
    store.migrate()
    assert len(list(store.audit_entries())) == 3
    store.close()


def test_where_nothing_can_be_copied_one_sentence_says_why(old: str) -> None:
    done = run("database", "copy", old, NOWHERE)

    assert done.exit_code == 1
    assert done.output.startswith("Error: the database cannot be reached")


@pytest.mark.parametrize(
    "command",
    [
        ["audit", "verify", "--database"],
        ["feedback", "report", "--database"],
        ["database", "migrate", "--database"],
        ["database", "copy", NOWHERE],
    ],
)
def test_no_command_tells_the_password_of_a_database(command: list[str]) -> None:
    done = run(*command, NOWHERE)

    assert done.exit_code == 1
    assert "cannot be reached" in done.output
    assert "geheim" not in done.output
