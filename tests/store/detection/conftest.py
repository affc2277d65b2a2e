"""Deliveries of samples, as the tests of samples make them, judged by one detector."""

from datetime import UTC, timedelta

import pytest

from cds_service.store.detection.records import Detection
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.detection.detectors import (
    Detector,
    Direction,
    OwnLimit,
    Rest,
    SustainedBreach,
)
from cds_service.wearables.metrics import Catalogue, Metric
from cds_service.wearables.records import AlertType

from ..samples.conftest import deliver, make_sample

__all__ = ["deliver", "make_sample"]

MINUTE = timedelta(minutes=1)
LOINC = "http://loinc.org"


@pytest.fixture
def detector() -> Detector:
    """More than 100 a minute for ten minutes, at rest."""
    return Detector(
        name="high-heart-rate-at-rest",
        version="1.0.0",
        title="High heart rate at rest",
        metric="heart-rate",
        alert_type="high-heart-rate",
        unit="/min",
        pattern=SustainedBreach(
            direction=Direction.ABOVE,
            limit=100.0,
            clear=95.0,
            hold=10 * MINUTE,
            gap=3 * MINUTE,
            coverage=0.7,
            share=0.9,
            readings=4,
            edge=0 * MINUTE,
            recovery=10 * MINUTE,
            silence=60 * MINUTE,
            rest=Rest("steps", 10.0, 5 * MINUTE, 15 * MINUTE, 0.8),
        ),
        status="active",
        lateness=timedelta(hours=48),
        cooldown=timedelta(hours=24),
        own_limit=OwnLimit(90.0, 150.0),
    )


@pytest.fixture
def catalogue() -> Catalogue:
    """Heart rate, steps and what a detector raises of them."""
    heart = frozenset({(LOINC, "8867-4")})
    steps = frozenset({(LOINC, "55423-8")})
    return Catalogue(
        {
            "heart-rate": Metric(
                "heart-rate", "Heart rate", "/min", 20, 300, consent_codes=heart
            ),
            "steps": Metric(
                *("steps", "Steps", "1", 0, 1_000_000),
                consent_codes=steps,
                cumulative=True,
            ),
        },
        {
            "high-heart-rate": AlertType(
                "high-heart-rate", "High heart rate", "heart-rate", "/min", heart
            )
        },
    )


@pytest.fixture
def detection(detector: Detector, catalogue: Catalogue) -> Detection:
    """That detector, for patients who agree until they say anything."""
    return Detection((detector,), ConsentGate(catalogue, UTC, assumed=True))
