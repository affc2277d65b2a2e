"""``cds-service adapt``: what an integrator sees of a file before anything is sent."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main

RULES = Path(__file__).parents[3] / "rules"
GOOD = {
    "user": "u-7",
    "metric": "heart-rate",
    "value": 112,
    "unit": "bpm",
    "start": "2026-11-22T08:05:00-05:00",
}


def adapt(*words: str | Path, stdin: str | None = None) -> Result:
    told = ["adapt", *map(str, words), "--rules", str(RULES)]
    return CliRunner().invoke(main, told, input=stdin)


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """Writes a delivery of samples."""

    def write(*samples: Any) -> Path:
        path = tmp_path / "samples.json"
        path.write_text(json.dumps({"samples": list(samples)}))
        return path

    return write


def test_what_is_read_is_printed_a_line_each_and_counted(file: Any) -> None:
    result = adapt("samples", file(GOOD, {**GOOD, "value": 113}))

    assert result.exit_code == 0
    assert [json.loads(each) for each in result.stdout.splitlines()] == [
        {
            "kind": "sample",
            "metric": "heart-rate",
            "value": value,
            "unit": "/min",
            "start": "2026-11-22T08:05:00-05:00",
            "user": "u-7",
            "stat": "instant",
            "path": f"$.samples[{index}]",
        }
        for index, value in enumerate((112.0, 113.0))
    ]
    assert result.stderr == "2 samples, 0 left out\n"


def test_what_is_left_out_is_told_with_its_place_and_the_reason(file: Any) -> None:
    result = adapt("samples", file(GOOD, {**GOOD, "unit": "kg"}))

    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr.splitlines() == [
        "$.samples[1].unit: unit: Must be UCUM and convertible to /min.",
        "1 sample, 1 left out (1 unit)",
    ]


def test_what_is_left_out_may_go_to_a_file(file: Any, tmp_path: Path) -> None:
    path = tmp_path / "left.jsonl"

    result = adapt("samples", file(7, GOOD), "--left-out", path)

    assert result.stderr == "1 sample, 1 left out (1 malformed)\n"
    assert json.loads(path.read_text()) == {
        "kind": "left-out",
        "path": "$.samples[0]",
        "reason": "malformed",
        "text": "Must be an object.",
    }


def test_a_removal_is_counted_as_one(file: Any) -> None:
    result = adapt("samples", file({"id": "a", "deleted": True}))

    assert result.stderr == "0 samples, 1 removal, 0 left out\n"


def test_standard_input_is_a_file(file: Any) -> None:
    result = adapt("samples", "-", stdin=file(GOOD).read_text())

    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)


def test_the_zone_of_the_wearers_tells_their_clock(file: Any) -> None:
    read = file({**GOOD, "start": "2026-11-22T13:05:00Z"})

    result = adapt("samples", read, "--time-zone", "America/New_York")

    assert json.loads(result.stdout)["start"] == "2026-11-22T08:05:00-05:00"


def test_the_base_of_the_fhir_server_may_end_in_a_slash(tmp_path: Path) -> None:
    base = "https://ehr.example.org/fhir"
    path = tmp_path / "observation.json"
    told = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": f"{base}/Patient/p1"},
        "effectiveDateTime": "2026-11-22T08:05:00-05:00",
        "valueQuantity": {"value": 61, "unit": "bpm"},
    }
    path.write_text(json.dumps(told))

    result = adapt("fhir", path, "--fhir-base", f"{base}/")

    assert json.loads(result.stdout)["patient"] == "p1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "is not samples: $.samples: Must be a list of samples."),
        ("{", "is not JSON: "),
        ("[" * 100_000, "is not JSON: "),
        ("\udcff", "is not JSON: "),
    ],
)
def test_what_is_none_of_the_format_is_said_in_a_sentence(
    tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))

    result = adapt("samples", path)

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"Error: {path} {said}" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("format", ["apple-health", "health-connect"])
def test_a_file_that_is_no_export_of_a_phone_is_said_to_be_none(
    format: str, file: Any
) -> None:
    result = adapt(format, file(GOOD))

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("0 samples, 0 left out\nError: ")


def test_an_export_of_an_iphone_is_read(tmp_path: Path) -> None:
    path = tmp_path / "export.xml"
    path.write_text(
        '<HealthData><Record type="HKQuantityTypeIdentifierHeartRate"'
        ' unit="count/min" value="112" startDate="2026-11-22 08:05:00 -0500"'
        ' endDate="2026-11-22 08:05:00 -0500"/></HealthData>'
    )

    result = adapt("apple-health", path)

    assert (result.exit_code, json.loads(result.stdout)["value"]) == (0, 112.0)


def test_an_ecg_of_an_iphone_is_read_beside_its_records(tmp_path: Path) -> None:
    (tmp_path / "export.xml").write_text("<HealthData></HealthData>")
    folder = tmp_path / "electrocardiograms"
    folder.mkdir()
    (folder / "ecg_2026-11-22.csv").write_text("Name,Jane\nClassification,Odd\n")

    result = adapt("apple-health", tmp_path)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "electrocardiograms/ecg_2026-11-22.csv: time: Must say when it was recorded.",
        "0 samples, 1 left out (1 time)",
    ]


def test_an_export_of_health_connect_is_read(tmp_path: Path) -> None:
    path = tmp_path / "health_connect_export.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE steps_record_table"
            " (count INTEGER, start_time INTEGER, end_time INTEGER);"
            "INSERT INTO steps_record_table VALUES (420, 1795352700000, 1795353300000);"
        )

    result = adapt("health-connect", path)

    assert (result.exit_code, json.loads(result.stdout)["value"]) == (0, 420.0)


@pytest.mark.parametrize(
    "words",
    [
        ("samplez", "-"),
        ("samples", "nowhere.json"),
        ("samples", "-", "--time-zone", "Mars/Olympus"),
    ],
)
def test_a_command_that_is_not_understood_ends_with_2(words: tuple[str, ...]) -> None:
    assert adapt(*words, stdin="{}").exit_code == 2
