"""``cds-service database``, and what commands tell of a database that is not there."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store

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
