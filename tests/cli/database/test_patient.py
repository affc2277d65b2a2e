"""``cds-service patient``: what is kept of one, on request."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.store.records import AuditEvent, CallRecord
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


@pytest.fixture
def url(database_url: str) -> str:
    """A call about one patient."""
    store = Store.open(database_url)
    patient = PatientKey("default", "-", "p1")
    call = CallRecord(NOW, "ehr", "review", "patient-view", "h", patient, "d")
    store.record_call(call, AuditEvent(NOW, "call", "default", patient=patient))
    store.close()
    return database_url


def run(url: str, *arguments: str, answer: str = "") -> Result:
    command = ["patient", *arguments, "--patient", "p1", "--database", url]
    return CliRunner().invoke(main, command, input=answer)


def test_what_is_kept_is_written_for_its_owner_alone(url: str, tmp_path: Path) -> None:
    out = tmp_path / "p1.jsonl"

    done = run(url, "export", "--out", str(out), "--by", "records office")

    assert done.exit_code == 0, done.output
    assert "2 rows written" in done.output
    assert out.stat().st_mode & 0o777 == 0o600
    tables = [json.loads(line)["table"] for line in out.read_text().splitlines()]
    assert tables == ["calls", "audit"]
    store = Store.open(url)
    assert list(store.audit_entries())[-1].client == "operator:records office"
    store.close()


def test_it_is_said_what_was_removed_and_what_stays(url: str) -> None:
    done = run(url, "erase", "--yes")

    assert done.exit_code == 0, done.output
    assert "wearable_alerts: 0 rows removed" in done.output
    assert "calls: 1 rows stay" in done.output
    assert "calls: 1 rows removed" in run(url, "erase", "--with-calls", "--yes").output


def test_nothing_is_removed_without_a_word(url: str) -> None:
    done = run(url, "erase", answer="n\n")

    assert done.exit_code == 1
    assert "calls: 1 rows stay" in run(url, "erase", "--yes").output
