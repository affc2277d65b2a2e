"""``cds-service detect trace`` and ``replay``: why an episode opened, or did not."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store

from .test_detect import HIGH, NOW, P1, RULES, SINCE, hour, say

FAST = [
    {
        "patient": "p1",
        "metric": "heart-rate",
        "value": 115,
        "unit": "/min",
        "start": f"2026-11-22T08:{minute:02}:00-05:00",
        "context": "rest",
        "device": {"name": "Watch"},
    }
    for minute in range(13)
]


def invoke(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [*words, *RULES])
    assert result.exit_code == code, result.output
    return result


def lines(result: Result) -> list[Any]:
    return [json.loads(each) for each in result.stdout.splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "samples.json"
    path.write_text(json.dumps({"samples": FAST}))
    return str(path)


@pytest.fixture
def kind() -> str:
    """What differs between the databases is tested with the store."""
    return "sqlite"


@pytest.fixture
def told(database_url: str) -> str:
    """A database with an hour of readings."""
    store = Store.open(database_url)
    intake = Intake(samples=(SampleBatch(StreamOwner(P1, "vendor"), hour()),))
    store.take_in(intake, AuditEvent(NOW, "delivery", "default", "vendor"), NOW)
    store.close()
    return database_url


def test_a_file_is_replayed_reading_by_reading(file: str) -> None:
    found = lines(
        invoke("detect", "replay", "samples", file, "--detector", HIGH, "--json")
    )

    assert len(found) == 13
    assert found[10] == {
        "detector": HIGH,
        "at": "2026-11-22T13:10:00+00:00",
        "value": 115.0,
        "unit": "/min",
        "source": "samples",
        "device": "Watch",
        "limit": 100,
        "in_breach": True,
        "resting": "at-rest",
        "covered": 1.0,
        "breached": 1.0,
        "n": 11,
        "late_seconds": 0.0,
        "event": "opens",
    }
    assert found[9]["lacks"] == ["start"]


def test_for_people_it_is_told_in_words(file: str) -> None:
    told = invoke("detect", "replay", "samples", file, "--detector", HIGH).stdout

    assert told.splitlines()[10] == (
        f"{HIGH} 2026-11-22T13:10:00+00:00 115 /min, in breach of 100, 11 readings"
        " speak for 100% of the time before, 100% of that in breach, opens"
    )


def test_all_detectors_that_look_at_readings_are_told(file: str) -> None:
    found = lines(invoke("detect", "replay", "samples", file, "--json"))

    assert {each["detector"] for each in found} == {HIGH, "low-heart-rate-at-rest"}


def test_a_detector_that_is_not_there_is_named_with_those_that_are(file: str) -> None:
    refused = invoke("detect", "replay", "samples", file, "--detector", "no", code=2)

    assert "There is no detector no" in refused.output and HIGH in refused.output


def test_a_file_of_which_no_detector_looks_at_anything_says_so(tmp_path: Path) -> None:
    walked = {**FAST[0], "metric": "steps", "unit": "{steps}", "stat": "total"}
    path = tmp_path / "steps.json"
    path.write_text(json.dumps({"samples": [walked]}))

    told = invoke("detect", "replay", "samples", str(path))

    assert told.output == "no reading that a detector looks at\n"


def trace(url: str, *words: str) -> list[Any]:
    since = ("--from", SINCE.isoformat(), "--to", NOW.isoformat())
    database = ("--assumed", "--database", url, "--patient", "p1", "--json")
    return lines(invoke("detect", "trace", *database, *since, *words))


def test_readings_of_a_patient_are_explained(told: str) -> None:
    found = trace(told, "--detector", HIGH)

    opened = [each for each in found if each.get("event") == "opens"]
    assert len(found) == 60
    assert [each["n"] for each in opened] == [11]


def test_readings_that_a_patient_does_not_permit_to_use_are_not_told(told: str) -> None:
    say(told, "collect")

    assert trace(told) == []
