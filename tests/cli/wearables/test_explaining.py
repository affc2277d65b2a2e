"""``detect --replay`` and ``--patient``: why an episode opened, or did not."""

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
    found = lines(invoke("detect", "--replay", file, "--detector", HIGH, "--json"))

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
    told = invoke("detect", "--replay", file, "--detector", HIGH).stdout

    assert told.splitlines()[10] == (
        f"{HIGH} 2026-11-22T13:10:00+00:00 115 /min, in breach of 100, 11 readings"
        " speak for 100% of the time before, 100% of that in breach, opens"
    )


def test_all_detectors_that_look_at_readings_are_told(file: str) -> None:
    found = lines(invoke("detect", "--replay", file, "--json"))

    looking = {HIGH, "fast-heart-rate-for-half-an-hour", "low-heart-rate-at-rest"}
    assert {each["detector"] for each in found} == looking


def test_a_detector_that_is_not_there_is_named_with_those_that_are(file: str) -> None:
    refused = invoke("detect", "--replay", file, "--detector", "no", code=2)

    assert "There is no detector no" in refused.output and HIGH in refused.output


def test_a_file_of_which_no_detector_looks_at_anything_says_so(tmp_path: Path) -> None:
    walked = {**FAST[0], "metric": "steps", "unit": "{steps}", "stat": "total"}
    path = tmp_path / "steps.json"
    path.write_text(json.dumps({"samples": [walked]}))

    told = invoke("detect", "--replay", str(path))

    assert told.output == "no reading that a detector uses\n"


def trace(url: str, *words: str) -> list[Any]:
    since = ("--from", SINCE.isoformat(), "--to", NOW.isoformat())
    database = ("--assumed", "--database", url, "--patient", "p1", "--json")
    return lines(invoke("detect", *database, *since, *words))


def test_readings_of_a_patient_are_explained(told: str) -> None:
    found = trace(told, "--detector", HIGH)

    opened = [each for each in found if each.get("event") == "opens"]
    assert len(found) == 60
    assert [each["n"] for each in opened] == [11]


def test_readings_that_a_patient_does_not_permit_to_use_are_not_told(told: str) -> None:
    say(told, "collect")

    assert trace(told) == []


@pytest.mark.parametrize(
    "words", [("samples",), ("nightscout", "samples"), ("samples", "--detector", HIGH)]
)
def test_the_format_of_a_file_may_be_named(file: str, words: tuple[str, ...]) -> None:
    assert len(lines(invoke("detect", "--replay", file, "--json", *words))) >= 13


def test_a_file_of_which_the_format_is_not_told_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "entries.json"
    entry = {"type": "sgv", "sgv": 50, "date": 1795352700000, "device": "CGM"}
    path.write_text(json.dumps([{**entry, "dateString": "2026-11-22T13:05:00.000Z"}]))

    found = lines(invoke("detect", "--replay", str(path), "--json"))

    assert {each["source"] for each in found} == {"nightscout"}


def test_of_a_file_only_some_time_may_be_told(file: str) -> None:
    span = ("--from", "2026-11-22T13:10:00Z", "--to", "2026-11-22T13:11:00Z")

    found = lines(
        invoke("detect", "--replay", file, *span, "--detector", HIGH, "--json")
    )

    assert [each["at"] for each in found] == [
        "2026-11-22T13:10:00+00:00",
        "2026-11-22T13:11:00+00:00",
    ]
    assert found[0]["event"] == "opens"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Give what to explain, with --patient ID or --replay FILE, or what to"),
        (["--due", "--all"], "Use only one of --replay, --due"),
        (["--replay", "FILE", "--due"], "Use only one of --replay, --due"),
        (["--replay", "FILE", "--patient", "p1"], "Give either a file or a patient"),
        (["--json"], "--patient ID or --replay FILE"),
        (["--from", "2026-11-22"], "--patient ID or --replay FILE"),
        (
            ["--due", "--from", "2026-11-22"],
            "--from and --to cannot be used with --due",
        ),
        (["--due", "--detector", HIGH], "--detector can be used only to explain"),
        (
            ["--patient", "p1", "--time-zone", "UTC"],
            "--time-zone can be used only with --replay",
        ),
        (["--replay", "FILE", "sampels"], "There is no format sampels"),
        (["--replay", "-"], "Name the format of standard input"),
        (["--replay", "nowhere.json"], "'nowhere.json' does not exist"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(
    file: str, words: list[str], said: str
) -> None:
    asked = [file if each == "FILE" else each for each in words]

    refused = invoke("detect", *asked, code=2)

    assert said in " ".join(refused.output.split())


def test_a_file_of_no_format_says_how_to_name_one(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"hello": 1}')

    refused = invoke("detect", "--replay", str(path), code=1)

    assert "is of no format that is known" in refused.output


def test_help_tells_both_ways() -> None:
    told = CliRunner().invoke(main, ["detect", "--help"]).stdout

    assert "cds-service detect --replay FILE [FORMAT]..." in " ".join(told.split())
    assert "cds-service detect --patient ID" in " ".join(told.split())
