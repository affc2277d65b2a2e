"""``python -m bench telling``: episodes a second to a hospital.

A FHIR server answers each request in 20 ms. Beside a bare loop of POSTs over one
connection, what ``cds-service deliver`` does with eight: order per patient, consent,
audit and all.
"""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cds_service.config import Config, load_config
from cds_service.config.destinations import FhirDestination
from cds_service.decision import World
from cds_service.delivery.dispatcher import Dispatcher, Surroundings, run
from cds_service.delivery.opening import Needs, open_destinations
from cds_service.delivery.records import Destination
from cds_service.http.addresses import ListedServer, Reach
from cds_service.rulebook.load import check_folder
from cds_service.starting import build_world
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.telling import Subscription

from .samples import DATABASES

RULES = Path(__file__).parents[1] / "rules"
SECONDS = 0.02
POSTS = 200
EPISODES = int(os.environ.get("BENCH_EPISODES", "2000"))
PATIENTS = 250
CONNECTIONS = 8
TAKES = Subscription("ehr", "default")
NOW = datetime.now(UTC)


def main() -> None:
    """Measure and print."""
    for name, opened in DATABASES.items():
        with slow_ehr() as port, opened() as database:
            bare = POSTS / loop_of_posts(port)
            world = open_world(database.url)
            put_in(world.store, EPISODES, PATIENTS)
            seconds = deliver(world, fhir_destination(world, port))
            ours = EPISODES / seconds
            print(
                f"{name}: a loop of POSTs {bare:,.0f} a second; with {CONNECTIONS}"
                f" connections {ours:,.0f} episodes a second, {ours / bare:.1f} times"
            )
            close(world)


@contextmanager
def slow_ehr() -> Iterator[int]:
    """The port of a FHIR server that takes its time."""
    command = [sys.executable, "-m", "bench.slow_ehr", str(SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield int(server.stdout.readline())
        finally:
            server.terminate()


def loop_of_posts(port: int) -> float:
    """Return how many seconds so many POSTs take, one after another."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps(
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "high heart rate"},
            "subject": {"reference": "Patient/p1"},
            "effectiveDateTime": NOW.isoformat(),
            "valueQuantity": {"value": 120, "unit": "/min"},
        }
    )
    headers = {"Content-Type": "application/fhir+json"}
    begun = time.perf_counter()
    for _ in range(POSTS):
        connection.request("POST", "/fhir/Observation", body, headers)
        assert connection.getresponse().read()
    return time.perf_counter() - begun


def open_world(url: str) -> World:
    """A server's world on a database, in which an EHR is told."""
    settings = {
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_RELOAD": "off",
        "CDS_DATABASE_URL": url,
    }
    config: Config = load_config(settings)
    world = build_world(config, check_folder(RULES).rulebook)
    world.store.outbox.subscribe([TAKES])
    return world


def close(world: World) -> None:
    """Let go of what the world holds."""
    world.store.close()
    world.fhir.close()


def put_in(store: Store, number: int, patients: int) -> None:
    """Have so many alerts of so many patients wait."""
    event = AuditEvent(NOW, "delivery", "default", "watch")
    start = NOW - timedelta(days=1)
    for begin in range(0, number, 500):
        alerts = tuple(
            WearableAlert(
                id=f"a{each}",
                patient=PatientKey("default", "-", f"p{each % patients}"),
                type="high-heart-rate",
                start=start + timedelta(seconds=each % 80_000),
                end=start + timedelta(seconds=each % 80_000 + 600),
                opened=NOW,
                metric="heart-rate",
                value=120.0,
                unit="/min",
                stat="max",
                source="watch",
                status="closed",
            )
            for each in range(begin, min(begin + 500, number))
        )
        store.take_in(Intake(alerts=alerts), event, NOW)


def fhir_destination(world: World, port: int) -> Destination:
    """What the server ships for FHIR servers, told of that one."""
    server = ListedServer(f"http://127.0.0.1:{port}/fhir", Reach.LOCAL)
    base = world.config.public_url
    needs = Needs(lambda: world.rulebook, base, lambda event, **facts: None)
    (opened,) = open_destinations([FhirDestination(TAKES, server)], needs)
    return opened


def deliver(world: World, destination: Destination) -> float:
    """Return how many seconds it takes to tell it all."""
    around = Surroundings(world.consent_gate, lambda: NOW + timedelta(seconds=1))
    dispatcher = Dispatcher(world.store.outbox, destination, around, CONNECTIONS)
    begun = time.perf_counter()
    run([dispatcher], threading.Event(), once=True)
    seconds = time.perf_counter() - begun
    assert dispatcher.progress.failed == dispatcher.progress.declined == 0
    return seconds
