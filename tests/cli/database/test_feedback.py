"""What ``cds-service feedback`` prints and writes."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.audit import build_call_event
from cds_service.cli import main
from cds_service.protocol.feedback import parse_feedback
from cds_service.store.records import (
    AuditEvent,
    CallRecord,
    CardRecord,
    EvaluationRecord,
    SuppressionRecord,
)
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CARD = "aaaaaaaa-0000-4000-8000-000000000001"
PERIOD = ("--since", "2026-03-01", "--until", "2026-03-02")


@dataclass(frozen=True)
class Sender:
    id: str = "main-ehr"
    tenant: str = "north"


@pytest.fixture
def url(database_url: str) -> str:
    """A database in which one rule showed two cards, one of them overridden."""
    store = Store.open(database_url)
    event = AuditEvent(AT, "call")
    call = CallRecord(
        at=AT,
        client="main-ehr",
        service="wearable-review",
        hook="patient-view",
        hook_instance="d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        patient=PatientKey("north", "-", "p1"),
        rulebook="0123",
        user="Practitioner/1",
        encounter="Encounter/7",
        evaluations=(EvaluationRecord("a-rule", "1.2.0", "fires"),),
        cards=(
            CardRecord(CARD, "a-rule", "1.2.0", "key", "warning", AT),
            CardRecord("other", "a-rule", "1.2.0", "key", "info", AT),
        ),
        suppressions=(
            SuppressionRecord("a-rule", "1.2.0", 1, "key", "grouped", None, ""),
        ),
    )
    store.record_call(call, build_call_event(call))
    word = {
        "card": CARD,
        "outcome": "overridden",
        "outcomeTimestamp": "2026-03-01T12:05:00Z",
        "overrideReason": {
            "reason": {"system": "urn:site", "code": "artifact", "display": "=1+1"},
            "userComment": "Mrs Miller wore it",
        },
    }
    entries = parse_feedback({"feedback": [word]})
    store.record_feedback("wearable-review", entries, Sender(), event, AT)
    store.close()
    return database_url


@pytest.fixture
def run(url: str) -> Callable[..., Result]:
    """Run a command on the database."""

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(
            main, ["feedback", *arguments, "--database", url, *PERIOD]
        )

    return invoke


def test_the_report_is_a_table_by_rule_and_version(run: Callable[..., Result]) -> None:
    result = run("report")

    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "from 2026-03-01 00:00 UTC until 2026-03-02 00:00 UTC",
        "rule          fired  shown  held  accepted  overridden  no word",
        "a-rule@1.2.0      1      2     1    0 (0%)     1 (50%)  1 (50%)",
        "a-rule@1.2.0 was overridden because: artifact 1",
    ]


def test_the_report_as_json_has_the_rates_and_the_reasons(
    run: Callable[..., Result],
) -> None:
    (report,) = json.loads(run("report", "--format", "json").output)

    assert report["accept_rate"] == 0
    assert report["override_rate"] == 0.5
    assert report["held_back"] == {"grouped": 1}
    assert report["override_reasons"] == [
        {"system": "urn:site", "code": "artifact", "count": 1}
    ]


def test_the_report_as_csv_has_one_line_a_rule(run: Callable[..., Result]) -> None:
    output = run("report", "--format", "csv").output

    (row,) = csv.DictReader(output.splitlines())
    assert (row["rule"], row["override_rate"], row["held_back"]) == (
        "a-rule",
        "0.5",
        "1",
    )


def test_a_time_without_calls_is_said(url: str) -> None:
    options = ["--database", url, "--since", "2025-01-01", "--until", "2025-01-02"]
    result = CliRunner().invoke(main, ["feedback", "report", *options])

    assert result.exit_code == 0
    assert "no calls in this period" in result.output


def test_the_export_has_the_fields_that_a_hospital_has_to_export(
    run: Callable[..., Result],
) -> None:
    (row,) = csv.DictReader(run("export").output.splitlines())

    assert row["intervention"] == "a-rule@1.2.0"
    assert row["action"] == "overridden"
    assert row["reason_code"] == "artifact"
    assert row["user"] == "Practitioner/1"
    assert row["date"] == "2026-03-01T12:05:00.000000Z"
    assert (row["tenant"], row["client"]) == ("north", "main-ehr")
    assert row["encounter"] == "Encounter/7"


def test_no_cell_of_the_export_is_taken_for_a_formula(
    run: Callable[..., Result],
) -> None:
    (row,) = csv.DictReader(run("export").output.splitlines())

    assert row["reason"] == "'=1+1"


@pytest.mark.parametrize("form", ["csv", "json"])
def test_f_11_what_clinicians_wrote_is_exported_only_when_asked_for(
    run: Callable[..., Result], form: str
) -> None:
    assert "Miller" not in run("export", "--format", form).output
    assert "Miller" in run("export", "--format", form, "--with-comments").output


def test_the_export_as_json_is_the_same(run: Callable[..., Result]) -> None:
    (record,) = json.loads(run("export", "--format", "json").output)

    assert record["intervention"]["rule"] == "a-rule"
    assert record["feedback"]["reason_code"] == "artifact"
    assert record["location"] == {
        "tenant": "north",
        "client": "main-ehr",
        "encounter": "Encounter/7",
    }


def test_the_export_goes_to_a_file_whole(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    out = tmp_path / "feedback.csv"
    out.write_text("what was there before")

    result = run("export", "--out", str(out))

    assert result.exit_code == 0
    assert out.read_bytes().startswith(b"intervention,service,card")
    assert [each.name for each in tmp_path.glob("*.csv*")] == ["feedback.csv"]


def test_an_export_of_nothing_has_its_header(url: str) -> None:
    options = ["--database", url, "--since", "2025-01-01", "--until", "2025-01-02"]
    result = CliRunner().invoke(main, ["feedback", "export", *options])

    assert result.output.startswith("intervention,service,card,indicator")


def test_a_folder_that_cannot_be_written_is_said(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    result = run("export", "--out", str(tmp_path / "no-such-folder" / "f.csv"))

    assert result.exit_code == 1
    assert "No such file or directory" in result.output


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    file = tmp_path / "none.sqlite"
    options = ["--database", f"sqlite:///{file}"]
    result = CliRunner().invoke(main, ["feedback", "report", *options])

    assert result.exit_code == 1
    assert "there is no such database" in result.output
    assert not file.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--since", "yesterday"], "--since is written 2026-11-01"),
        (["--since", "2026-03-02", "--until", "2026-03-01"], "must be before"),
    ],
)
def test_a_period_that_is_none_is_a_usage_error(
    url: str, options: list[str], said: Any
) -> None:
    arguments = ["feedback", "report", "--database", url, *options]
    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 2
    assert said in result.output
