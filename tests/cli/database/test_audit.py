"""What ``cds-service audit`` writes and finds."""

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.fhir.models import check_resource
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey

PATIENT = PatientKey("north", "-", "p1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database with a row of each of three days."""
    file = tmp_path / "cds.sqlite"
    store = Store.open(f"sqlite:///{file}")
    store.migrate()
    for day in (1, 2, 3):
        at = datetime(2026, 3, day, 12, tzinfo=UTC)
        store.record_audit(AuditEvent(at, "call", "north", "ehr", PATIENT, {"n": day}))
    store.close()
    return file


@pytest.fixture
def run(file: Path) -> Callable[..., Result]:
    """Run a command on the database."""

    def invoke(*arguments: str) -> Result:
        options = ["--database", f"sqlite:///{file}"]
        return CliRunner().invoke(main, ["audit", *arguments, *options])

    return invoke


def test_rows_of_a_time_are_written_one_a_line(run: Callable[..., Result]) -> None:
    result = run("export", "--since", "2026-03-02", "--until", "2026-03-03")

    (row,) = map(json.loads, result.output.splitlines())
    assert (row["sequence"], row["patient_id"], row["detail"]) == (2, "p1", {"n": 2})


def test_the_whole_trail_is_written_as_fhir_to_a_file_of_the_owner(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    out = tmp_path / "trail.ndjson"

    result = run("export", "--all", "--format", "fhir", "--out", str(out))

    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in out.read_text().splitlines()]
    assert [check_resource(each) for each in events] == [[], [], []]
    assert out.stat().st_mode & 0o777 == 0o600


def test_an_untouched_trail_is_verified(run: Callable[..., Result]) -> None:
    result = run("verify")

    assert result.exit_code == 0
    assert "3 rows, as they were written" in result.output


def test_a_changed_row_is_named(run: Callable[..., Result], file: Path) -> None:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("DROP TRIGGER audit_is_append_only_update")
    connection.execute("UPDATE audit SET patient_id = 'p2' WHERE sequence = 2")
    connection.close()

    result = run("verify")

    assert result.exit_code == 1
    assert "row 2: the row was changed" in result.output


def test_anchors_show_that_the_end_is_gone(
    run: Callable[..., Result], file: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "anchors.jsonl"
    assert run("anchors", "--out", str(kept)).exit_code == 0
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("DROP TRIGGER audit_is_append_only_delete")
    connection.execute("DELETE FROM audit WHERE sequence = 3")
    connection.close()

    assert run("verify").exit_code == 0
    result = run("verify", "--anchors", str(kept))

    assert result.exit_code == 1
    assert "row 3: the row that was anchored is missing" in result.output


def test_a_file_that_holds_no_anchors_is_said(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"a": 1}')

    result = run("verify", "--anchors", str(other))

    assert result.exit_code == 1
    assert (
        "contains no anchors; `cds-service audit anchors` writes them" in result.output
    )


def test_a_command_finds_the_database_by_the_file_that_the_server_reads(
    file: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "url"
    secret.write_text(f"sqlite:///{file}\n")
    command = ["audit", "export", "--since", "2026-03-01", "--until", "2026-03-04"]
    named = {"CDS_DATABASE_URL": "", "CDS_DATABASE_URL_FILE": str(secret)}

    found = CliRunner().invoke(main, command, env=named)
    secret.unlink()
    missed = CliRunner().invoke(main, command, env=named)

    assert (found.exit_code, len(found.output.splitlines())) == (0, 3)
    assert missed.exit_code == 1
    assert f"{secret}: No such file or directory" in missed.output
