"""``cds-service database prune``: what it would do, what it did, what it refuses."""

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.store.records import AuditEvent, CallRecord
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey

NOW = datetime.now(UTC)


@pytest.fixture
def url(database_url: str) -> str:
    """A call of today and one of 400 days ago, in a database."""
    store = Store.open(database_url)
    patient = PatientKey("default", "-", "p1")
    for days in (400, 0):
        at = NOW - timedelta(days=days)
        call = CallRecord(at, "ehr", "review", "patient-view", "h", patient, "d")
        store.record_call(call, AuditEvent(at, "call", patient=patient))
    store.close()
    return database_url


def prune(url: str, *options: str, **env: str) -> Result:
    command = ["database", "prune", "--database", url, *options]
    return CliRunner(env=env).invoke(main, command)


def test_a_dry_run_counts_and_removes_nothing(url: str) -> None:
    for _ in range(2):
        done = prune(
            url, "--older-than", "365", "--audit-older-than", "365", "--dry-run"
        )

        assert done.exit_code == 0, done.output
        assert "calls: 1 rows are older" in done.output
        assert "audit: 1 rows are older" in done.output


def test_it_says_what_was_removed_and_the_trail_verifies(url: str) -> None:
    done = prune(url, "--older-than", "365", "--audit-older-than", "365")

    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "calls: 1 rows removed",
        "audit: 1 rows sealed",
        "audit: 1 rows removed",
    ]
    verified = CliRunner().invoke(main, ["audit", "verify", "--database", url])
    assert verified.exit_code == 0
    assert "1 rows were removed under 1 seals" in verified.output


def test_the_days_are_those_of_the_servers_settings(url: str) -> None:
    done = prune(url, CDS_KEEP_DAYS="365")

    assert "calls: 1 rows removed" in done.output
    assert "rows removed" not in prune(url).output


@pytest.mark.parametrize(
    "options",
    [
        ["--audit-older-than", "30"],
        ["--older-than", "60", "--audit-older-than", "30"],
    ],
)
def test_the_trail_is_not_kept_for_less_than_what_it_tells_of(
    url: str, options: list[str]
) -> None:
    done = prune(url, *options)

    assert done.exit_code == 2
    assert "at least as long as what they tell of" in done.output
