"""Alerts, days and readings for the tests of what leaves, and how it is framed."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from cds_service.rulebook.load import check_folder
from cds_service.wearables.outputs.naming import Naming
from cds_service.wearables.outputs.observations import OutputFrame
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.summaries import DaySummary

SHIPPED = check_folder(Path(__file__).parents[3] / "rules").rulebook.catalogue
PATIENT = PatientKey("default", "-", "123")
NAMING = Naming("https://cds.example.org")
WATCH = {"reference": "Device/watch-1", "display": "Watch"}
FRAME = OutputFrame(PATIENT, NAMING, SHIPPED, WATCH)
LATER = datetime(2026, 12, 24, tzinfo=UTC)
NEW_YORK = "America/New_York"


def an_episode(**changed: Any) -> WearableAlert:
    """Twelve minutes of a fast heart in New York, as a detector found them."""
    told: dict[str, Any] = {
        "id": "ep-7f3a",
        "patient": PATIENT,
        "type": "high-heart-rate",
        "start": datetime.fromisoformat("2026-11-22T08:00:00-05:00"),
        "end": datetime.fromisoformat("2026-11-22T13:12:00+00:00"),
        "opened": datetime(2026, 11, 22, 13, 10, tzinfo=UTC),
        "local": True,
        "metric": "heart-rate",
        "value": 131.0,
        "unit": "/min",
        "stat": "max",
        "threshold": 120.0,
        "status": "closed",
        "origin": "detector",
        "device": "Watch",
        "source": "phones",
        "coverage": 0.92,
        "n": 12,
        "detector": "sustained-high-heart-rate",
        "median": 126.0,
    }
    return WearableAlert(**told | changed)


def a_day(metric: str = "steps", day: str = "2026-11-21", **changed: Any) -> DaySummary:
    """A day in New York; of steps, 6120 of them."""
    told: dict[str, Any] = {
        "zone": NEW_YORK,
        "minutes": 1440.0,
        "total": 6120.0 if metric == "steps" else None,
        "sources": ("google",),
        "devices": ("Watch",),
    }
    return DaySummary(metric, date.fromisoformat(day), **told | changed)
