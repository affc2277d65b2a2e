import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cds_service.ehr.fixture_server import load_records
from cds_service.ehr.fixtures import (
    fetch_from,
    fill_prefetch,
    load_case,
    resolve_times,
)

NOW = datetime(2026, 3, 31, 9, 30, tzinfo=timezone(timedelta(hours=-5)))


@pytest.mark.parametrize(
    ("token", "time"),
    [
        ("@now", "2026-03-31T09:30:00-05:00"),
        ("@now-6h", "2026-03-31T03:30:00-05:00"),
        ("@now-90m", "2026-03-31T08:00:00-05:00"),
        ("@now-14d", "2026-03-17T09:30:00-05:00"),
        ("@now+30s", "2026-03-31T09:30:30-05:00"),
        ("@today", "2026-03-31"),
        ("@today-40d", "2026-02-19"),
        ("@today-1mo", "2026-02-28"),
        ("@today-62y", "1964-03-31"),
        ("@today+2w", "2026-04-14"),
        ("me@now", "me@now"),
    ],
)
def test_a_time_token_counts_from_the_moment_of_play(token: str, time: str) -> None:
    assert resolve_times({"a": [token]}, NOW) == {"a": [time]}


@pytest.mark.parametrize("token", ["@now-6", "@today-1x", "@tomorrow", "@now-h"])
def test_a_token_that_is_not_understood_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="time not understood"):
        resolve_times([token], NOW)


def test_utc_is_written_with_a_z() -> None:
    assert resolve_times("@now", NOW.astimezone(timezone.utc)) == "2026-03-31T14:30:00Z"


def test_a_case_is_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "fires"
    folder.mkdir()
    (folder / "request.json").write_text('{"hook": "patient-view"}')
    (folder / "alerts.json").write_text('[{"start": "@now-6h"}]')

    case = load_case(folder, NOW)

    assert case.name == "fires"
    assert case.request == {"hook": "patient-view"}
    assert case.alerts == [{"start": "2026-03-31T03:30:00-05:00"}]
    assert case.chart["resourceType"] == "Bundle"
    assert case.expected is None


def test_a_case_without_a_request_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="request.json"):
        load_case(tmp_path, NOW)


def test_a_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text("{")

    with pytest.raises(ValueError, match="request.json"):
        load_case(tmp_path, NOW)


def test_prefetch_is_what_an_ehr_holding_the_chart_would_send() -> None:
    chart = {
        "resourceType": "Bundle",
        "entry": [
            {"resource": {"resourceType": "Patient", "id": "1"}},
            {
                "resource": {
                    "resourceType": "Condition",
                    "id": "c",
                    "subject": {"reference": "Patient/1"},
                }
            },
            {
                "resource": {
                    "resourceType": "Condition",
                    "id": "d",
                    "subject": {"reference": "Patient/2"},
                }
            },
        ],
    }
    templates = {
        "patient": "Patient/{{context.patientId}}",
        "conditions": "Condition?patient={{context.patientId}}",
        "statements": "MedicationStatement?patient={{context.patientId}}",
        "encounter": "Encounter/{{context.encounterId}}",
        "other": "Practitioner/9",
    }

    prefetch = fill_prefetch(templates, chart, {"patientId": "1"})

    assert prefetch["patient"] == {"resourceType": "Patient", "id": "1"}
    assert [each["resource"]["id"] for each in prefetch["conditions"]["entry"]] == ["c"]
    assert prefetch["statements"] == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 0,
    }
    assert prefetch["other"] is None
    assert "encounter" not in prefetch
    json.dumps(prefetch)


def test_what_a_chart_says_that_it_lacks_every_search_of_it_lacks() -> None:
    issue = {"severity": "warning", "code": "suppressed"}
    withheld = {"resourceType": "OperationOutcome", "issue": [issue]}
    patient = {"resource": {"resourceType": "Patient", "id": "p1"}}
    whole = {"resourceType": "Bundle", "entry": [patient]}
    cut = {**whole, "entry": [patient, {"resource": withheld}], "total": 7}
    records = load_records([whole])

    status, found = fetch_from(records, cut)("Condition?patient=p1")

    assert status == 200
    assert found["entry"] == [{"resource": withheld}]
    assert found["total"] == 6
    assert fetch_from(records, cut)("Patient/p1") == (200, patient["resource"])
    assert "entry" not in fetch_from(records, whole)("Condition?patient=p1")[1]
