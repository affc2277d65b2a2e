"""What waits for destinations, as health and metrics say it; nobody is named."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from cds_service.app import create_app
from cds_service.config import load_config
from cds_service.decision import World
from cds_service.starting import build_world
from cds_service.store.outbox.sending import FailedAttempt
from cds_service.store.records import AuditEvent, Intake
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.telling import Subscription

from .. import shipped

JANE = PatientKey("default", "-", "patient-jane")
GATE = ConsentGate(Catalogue({}, {}), UTC, assumed=True)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    """A server that has two destinations."""
    settings = {
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_RELOAD": "off",
        "CDS_DATABASE_URL": database_url,
    }
    made = build_world(load_config(settings), shipped.rulebook())
    takes = [Subscription("ehr", "default"), Subscription("engine", "default")]
    made.store.outbox.subscribe(takes)
    yield made
    made.store.close()
    made.fhir.close()


@pytest.fixture
def http(world: World) -> FlaskClient:
    """It, asked."""
    return create_app(world=world).test_client()


def tell(world: World, ago: timedelta = timedelta(0)) -> None:
    now = datetime.now(UTC) - ago
    alert = WearableAlert(
        *("a1", JANE, "high-heart-rate"), start=now, opened=now, source="watch"
    )
    event = AuditEvent(now, "delivery", "default", "watch")
    world.store.take_in(Intake(alerts=(alert,)), event, now)


def fail(world: World, failed: FailedAttempt) -> None:
    outbox, now = world.store.outbox, datetime.now(UTC)
    (lane,) = outbox.claim("ehr", 1, now)
    begun = outbox.begin(lane, GATE, now)
    assert begun is not None
    outbox.fail(lane, begun, failed, GATE, now)


def numbers(http: FlaskClient) -> dict[tuple[str, str], float]:
    text = http.get("/metrics").text
    return {
        (each.name, each.labels["destination"]): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if "destination" in each.labels and "outcome" not in each.labels
    }


def destinations(http: FlaskClient) -> Any:
    health = http.get("/health").json
    assert health is not None
    return health["status"], health["problems"], health["destinations"]


def test_where_nothing_waits_all_is_well(world: World, http: FlaskClient) -> None:
    status, problems, told = destinations(http)

    assert (status, problems) == ("ok", [])
    assert [each["destination"] for each in told] == ["ehr", "engine"]
    assert all(each["lag_seconds"] == each["waiting"] == 0 for each in told)


def test_what_waits_too_long_is_said(world: World, http: FlaskClient) -> None:
    tell(world, ago=timedelta(hours=1))

    status, problems, told = destinations(http)

    assert status == "degraded"
    assert problems == [
        "destination ehr: deliveries are late",
        "destination engine: deliveries are late",
    ]
    assert [each["waiting"] for each in told] == [1, 1]
    assert 3600 <= told[0]["lag_seconds"] < 3700
    assert numbers(http)["cds_outbox_oldest_seconds", "ehr"] >= 3600


def test_what_was_given_up_is_said(world: World, http: FlaskClient) -> None:
    tell(world)
    fail(world, FailedAttempt("of patient-jane", again=None))

    status, problems, _ = destinations(http)
    told = numbers(http)

    assert (status, problems) == (
        "degraded",
        ["destination ehr: some deliveries were given up"],
    )
    assert told["cds_outbox_dead", "ehr"] == 1
    assert told["cds_outbox_waiting", "engine"] == 1


def test_a_destination_that_is_left_alone_is_said(
    world: World, http: FlaskClient
) -> None:
    tell(world)
    again = datetime.now(UTC) + timedelta(hours=1)
    hour = timedelta(hours=1)
    fail(world, FailedAttempt("down", again, rest=lambda failures: hour))

    status, problems, _ = destinations(http)

    assert (status, problems) == (
        "degraded",
        ["destination ehr: fails, and is paused"],
    )
    assert numbers(http)["cds_destination_paused", "ehr"] == 1


def test_attempts_of_all_deliverers_are_counted(
    world: World, http: FlaskClient
) -> None:
    world.store.outbox.count("ehr", sent=3, failed=1)
    world.store.outbox.count("ehr", sent=2, failed=0)

    text = http.get("/metrics").text

    assert 'cds_outbox_attempts_total{destination="ehr",outcome="sent"} 5.0' in text
    assert 'cds_outbox_attempts_total{destination="ehr",outcome="failed"} 1.0' in text


def test_no_patient_is_named(world: World, http: FlaskClient) -> None:
    tell(world)
    fail(world, FailedAttempt("of patient-jane", again=None))

    assert "jane" not in http.get("/health").text + http.get("/metrics").text
