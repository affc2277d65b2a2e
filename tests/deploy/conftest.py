"""A server whose metrics are read, for what is written about them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from cds_service.app import create_app
from cds_service.config import Cloud, WebhookSource, load_config
from cds_service.decision import World
from cds_service.ingestion import ReadingsTally
from cds_service.rulebook.load import check_folder
from cds_service.starting import build_world
from cds_service.store.detection.records import DetectionOutcome, EpisodeChange
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import NO_LINK, SampleBatch, StreamOwner
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Sample
from cds_service.wearables.telling import Subscription

HOME = Path(__file__).parents[2]


def take_in_one(world: World, source: WebhookSource) -> None:
    """Let a reading of the source come."""
    now = world.clock()
    owner = StreamOwner(PatientKey("default", "-", "p1"), source.id, NO_LINK)
    beat = Sample("heart-rate", 72, "/min", now, now)
    intake = Intake(samples=(SampleBatch(owner, [beat]),))
    world.store.take_in(intake, AuditEvent(now, "delivery"), now)


def found_much() -> DetectionOutcome:
    """Return an episode that opened, of readings one of which could not be judged."""
    patient = PatientKey("default", "-", "p1")
    name = "high-heart-rate-at-rest"
    episode = EpisodeChange(patient, "e1", 1, name, "high-heart-rate", "open")
    return DetectionOutcome((episode,), {name: 9}, {(name, "too-sparse"): 1}, 0.1)


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Metric]]:
    """What ``/metrics`` holds once everything that is counted has happened.

    Without when a process began to count, which several of them do not tell.
    """
    folder = tmp_path_factory.mktemp("deploy")
    config = load_config(
        {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_TOKEN_KEY": "A" * 43 + "=",
            "CDS_DATABASE_URL": f"sqlite:///{folder / 'store.sqlite'}",
        }
    )
    world = build_world(config, check_folder(HOME / "rules").rulebook)
    world.store.migrate()
    world.store.outbox.subscribe([Subscription("ehr", "default")])
    source = WebhookSource("watch", "default", "-", ())
    fit = Cloud("fit", "default", "-", "google-fit", "us", "secret")
    ring = Cloud("ring", "default", "-", "oura", "us", "secret")
    clients = replace(world.clients, webhooks=(source,), clouds=(fit, ring))
    world = replace(world, clients=clients)
    take_in_one(world, source)
    app = create_app(world=world)
    http, counted = app.test_client(), app.extensions["cds_metrics"]
    assert http.get("/cds-services").status_code == 200
    counted.count_card("wearable-review", "warning")
    counted.count_suppressed("wearable-review", "repeated")
    counted.count_unusable("Observation", "a unit of something else")
    counted.count_foreign("Observation", 1)
    counted.count_withheld("wearable-review", 1)
    counted.count_readings(
        "watch", ReadingsTally({"rejected": 1}, {"unit": 1}, lag=60.0)
    )
    counted.count_detected(found_much())
    counted.count_halves("fhir", 1)
    counted.count_notifications("fit", {"wanted": 1})
    counted.count_launch("launched")
    counted.count_store_failure("SQLITE_FULL")
    counted.count_given_up("late")
    told = text_string_to_metric_families(http.get("/metrics").text)
    yield [each for each in told if not each.name.endswith("_created")]
    world.store.close()
    world.fhir.close()
