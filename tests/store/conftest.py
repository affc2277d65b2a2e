"""A real store on a real file, and the records to put into it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cds_service.store.records import (
    AuditEvent,
    CallRecord,
    CardRecord,
    EvaluationRecord,
    SourceRecord,
)
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey, WearableAlert

from ..waiting import PATIENCE

NOW = datetime(2026, 3, 1, 7, 0, tzinfo=timezone(timedelta(hours=-5)))
PATIENT = PatientKey("default", "-", "p1")


@pytest.fixture
def now() -> datetime:
    """Now, in a zone that is not UTC."""
    return NOW


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the database is, if it is SQLite."""
    return tmp_path / "cds.sqlite"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A migrated store."""
    opened = Store.open(url)
    yield opened
    opened.close()


@pytest.fixture
def make_call() -> Callable[..., CallRecord]:
    """A call that showed a card; what is given replaces the usual."""

    def make(**changes: Any) -> CallRecord:
        usual: dict[str, Any] = {
            "at": NOW,
            "client": "sandbox",
            "service": "wearable-review",
            "hook": "patient-view",
            "hook_instance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
            "patient": PATIENT,
            "rulebook": "sha256:0123",
            "user": "Practitioner/1",
            "encounter": None,
            "sources": (SourceRecord("conditions", "loaded", "prefetch", count=2),),
            "evaluations": (EvaluationRecord("a-rule", "1.2.0", "fires"),),
            "cards": (CardRecord("card-1", "a-rule", "1.2.0", "key", "warning", NOW),),
            "deviations": ("patientId was written Patient/…",),
        }
        return CallRecord(**{**usual, **changes})

    return make


@pytest.fixture
def make_alert() -> Callable[..., WearableAlert]:
    """An alert that began at ten to seven and lasts; changed as given."""

    def make(**changes: Any) -> WearableAlert:
        usual: dict[str, Any] = {
            "id": "alert-1",
            "patient": PATIENT,
            "type": "high-resting-heart-rate",
            "start": NOW - timedelta(minutes=10),
            "opened": NOW.astimezone(UTC),
            "metric": "heart-rate",
            "value": 112.5,
            "unit": "/min",
            "stat": "mean",
            "threshold": 100.0,
            "device": "watch",
            "source": "simulator",
            "coverage": 0.9,
            "n": 12,
        }
        return WearableAlert(**{**usual, **changes})

    return make


@pytest.fixture
def event() -> AuditEvent:
    """Something that happened."""
    return AuditEvent(NOW, "call", "default", "sandbox", PATIENT, {"cards": []})


@pytest.fixture
def run_at_once() -> Callable[..., list[str]]:
    """Runs a script in a process for each of the arguments; gives what they printed.

    The script prints ``ready`` and waits for a line before it does what it is for.
    """

    def run(script: str, *arguments: tuple[str, ...]) -> list[str]:
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", script, *each],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for each in arguments
        ]
        for process in processes:
            assert process.stdout and process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        printed = [process.communicate(timeout=PATIENCE)[0] for process in processes]
        assert [process.returncode for process in processes] == [0] * len(processes)
        return printed

    return run
