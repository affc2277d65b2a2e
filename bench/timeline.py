"""``python -m bench timeline``: pages about a year of minutes, beside /health.

A heart rate every minute of a year, judged as it came in, on each database. Each page
is asked as a browser asks it, in one process, and the median is printed: a day, a week,
a month and a year, which is made of what its days were. Medicines are asked of a server
of this machine that has none; what an EHR takes to answer comes on top.
"""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from flask.testing import FlaskClient

from cds_service.app import create_app, settle
from cds_service.config import load_config
from cds_service.decision import World
from cds_service.http.addresses import ListedServer, Reach
from cds_service.rulebook.load import check_folder
from cds_service.starting import build_world
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Device, Sample
from tests.web.smart.opening import CLIENT, open_session, url_of, with_ehrs

from .samples import DATABASES

RULES = Path(__file__).parents[1] / "rules"
NOW = datetime(2026, 11, 22, 19, 30, tzinfo=UTC)
DAYS = int(os.environ.get("BENCH_DAYS", "365"))
ROUNDS = 15
NOTHING = json.dumps({"resourceType": "Bundle", "type": "searchset"}).encode()
WATCH = Device("w-1", "Watch")
MINUTE = timedelta(minutes=1)
LENGTHS = {"a day": 1, "a week": 7, "a month": 30, "a year": 365}


class Empty(BaseHTTPRequestHandler):
    """A FHIR server that has nothing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a search."""
        self.send_response(200)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(NOTHING)))
        self.end_headers()
        self.wfile.write(NOTHING)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def empty_server() -> Iterator[str]:
    """The base of a FHIR server that has nothing."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/fhir"
        server.shutdown()


def main() -> None:
    """Measure and print."""
    rulebook = check_folder(RULES).rulebook
    for kind, opened in DATABASES.items():
        with opened() as database, empty_server() as base:
            environ = {
                "CDS_PROFILE": "development",
                "CDS_AUTH": "off",
                "CDS_PUBLIC_URL": "http://127.0.0.1:8000",
                "CDS_DATABASE_URL": database.url,
            }
            built = build_world(load_config(environ), rulebook)
            servers = (ListedServer(base, Reach.LOCAL),)
            client = replace(CLIENT, fhir_base=base, fhir_servers=servers)
            world = with_ehrs(replace(built, clock=lambda: NOW), client)
            with closing(world.store), closing(world.fhir):
                begun = time.perf_counter()
                number = tell(world, base)
                took = time.perf_counter() - begun
                print(f"{kind}: {number:,} readings taken in and judged, {took:.0f} s")
                settle()
                measure(world, base)


def tell(world: World, base: str) -> int:
    """Have a watch tell the year; how many readings that is."""
    whose = PatientKey(CLIENT.tenant, base, "jane")
    event, start = AuditEvent(NOW, "link"), NOW - timedelta(days=DAYS)
    link = WearerLink("watch", whose, start, user="u-1", time_zone="America/New_York")
    owner = StreamOwner(whose, "watch", world.store.links.add(link, event).id)
    detection = replace(world.detection(whose.tenant), days=DAYS + 1)
    number = 0
    for day in range(DAYS):
        items = list(beats(start + timedelta(days=day)))
        intake = Intake(samples=(SampleBatch(owner, items),), detection=detection)
        world.store.take_in(intake, event, NOW)
        number += len(items)
    return number


def beats(since: datetime) -> Iterator[Sample]:
    """A day of minutes, an hour of which the watch lay on a charger."""
    for minute in range(24 * 60):
        if not 600 <= minute < 660:
            at, value = since + minute * MINUTE, 60.0 + minute % 37
            yield Sample("heart-rate", value, "/min", at, at, device=WATCH)


def measure(world: World, base: str) -> None:
    """Print how long each page takes, and how large it is."""
    http = create_app(world=world).test_client()
    session = open_session(world, http, fhir_base=base)
    pages = {"/health": "/health"}
    for name, days in LENGTHS.items():
        first = NOW.date() - timedelta(days=days - 1)
        times = f"from={first}&to={NOW.date() + timedelta(days=1)}"
        query = f"timeline?metric=heart-rate&{times}"
        pages[name] = url_of(session, query)
    pages["resting, a year"] = pages["a year"].replace(
        "heart-rate", "resting-heart-rate"
    )
    for name, path in pages.items():
        size = len(http.get(path).data)
        took = median_of(lambda: ask(http, path))
        print(f"  {name:<18}{took:>8.1f} ms{size / 1024:>8.0f} KiB")


def ask(http: FlaskClient, path: str) -> None:
    """Ask for a page, which has to come."""
    status = http.get(path).status_code
    assert status == 200, status


def median_of(read: Callable[[], object]) -> float:
    """Milliseconds of one read."""
    took = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        read()
        took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1000
