"""``python -m bench readings``: readings a second through the endpoint and an import.

The endpoint is the whole way in one process: the request's bytes, the signature, JSON,
the adapter, links and Consents, the store and the answer. Beside it ready-made rows of
the same readings, bare and in full as ``bench samples`` has them, by executemany to
SQLite and by COPY with ON CONFLICT to PostgreSQL. Runs alternate, and medians are
printed. Then an export of an iPhone through ``cds-service import`` in a process of its
own: megabytes a second, and its peak memory.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from standardwebhooks import Webhook

from cds_service.config import Clients, Config, Profile, WebhookSource
from cds_service.decision import World
from cds_service.fhir.client import FhirPool
from cds_service.publishing.serving import Serving
from cds_service.rulebook.load import check_folder
from cds_service.store.records import AuditEvent
from cds_service.store.samples.rows import sample_rows
from cds_service.store.store import Store
from cds_service.wearables.links import WearerLink
from cds_service.web.errors import register_errors
from cds_service.web.limits import limit_requests
from cds_service.web.metrics import Metrics
from cds_service.web.wearables import build_wearables

from .samples import DATABASES, NOW, PATIENT, ROUNDS, WATCH, Opened, in_full, samples

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1iZW5jaC13YXRjaC1oZXJl"
RULES = Path(__file__).parents[1] / "rules"
SIZES = {"samples": (60, 1_000), "open-mhealth": (20_000,)}
"""By format: readings of a delivery."""
EXPORTED = int(os.environ.get("BENCH_EXPORT_MB", "100"))
"""Megabytes of the export."""
RECORD = (
    ' <Record type="HKQuantityTypeIdentifierHeartRate" sourceName="Watch"'
    ' sourceVersion="26.1" device="&lt;&lt;HKDevice: 0x1&gt;, name:Apple Watch,'
    ' manufacturer:Apple Inc., model:Watch, hardware:Watch7,5, software:26.1&gt;"'
    ' unit="count/min" creationDate="{at}" startDate="{at}" endDate="{at}"'
    ' value="{value}">\n  <MetadataEntry key="HKMetadataKeyHeartRateMotionContext"'
    ' value="0"/>\n </Record>\n'
)


def main() -> None:
    """Measure and print."""
    for kind, opened in DATABASES.items():
        with opened() as database, closing(Store.open(database.url)) as store:
            post = open_endpoint(database.url, store)
            for format, sizes in SIZES.items():
                for number in sizes:
                    measure_endpoint(kind, format, number, post, database)
            measure_import(kind, database)


Post = Callable[[str, bytes, str], int]


def open_endpoint(url: str, store: Store) -> Post:
    """Return what delivers a signed body in a format, and gives what was accepted."""
    rulebook = check_folder(RULES).rulebook
    link = WearerLink("watch", PATIENT, NOW - timedelta(days=900), user="u-1")
    store.links.add(link, AuditEvent(NOW, "link"))
    source = WebhookSource("watch", "default", "-", (SECRET,), tuple(SIZES))
    world = World(
        config=Config(profile=Profile.DEVELOPMENT, database_url=url),
        clients=Clients(webhooks=(source,)),
        store=store,
        serving=Serving(rulebook, NOW),
        clock=lambda: NOW + timedelta(days=400),
        fhir=FhirPool(),
    )
    app = Flask("bench")
    app.extensions["cds_metrics"] = Metrics()
    register_errors(app)
    limit_requests(app, world.config)
    app.register_blueprint(build_wearables(world))
    client, signer = app.test_client(), Webhook(SECRET)

    def post(format: str, body: bytes, delivery: str) -> int:
        at = world.clock()
        headers = {
            "webhook-id": delivery,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signer.sign(delivery, at, body.decode()),
        }
        own = format == "samples"
        path = "/wearables/v1/samples" if own else f"/wearables/v1/sources/{format}"
        answer = client.post(
            path, data=body, headers=headers, content_type="application/json"
        )
        return int(answer.get_json()["accepted"])

    return post


def measure_endpoint(
    kind: str, format: str, number: int, post: Post, database: Opened
) -> None:
    """Print how many readings a second there are, and which share of bare rows."""
    rates = defaultdict(list)
    for round in range(ROUNDS):
        since = NOW + timedelta(days=30 * round, seconds=number)
        told = samples(since, number)
        keys = {("heart-rate", "/min"): number}
        rows = list(sample_rows(told, keys, {WATCH: 1}, 0))
        full = list(map(in_full, told))
        body = json.dumps(BODIES[format](since, number)).encode()

        def deliver(
            body: bytes = body, key: str = f"{format}-{number}-{round}"
        ) -> None:
            assert post(format, body, key) == number

        for way, work in (
            ("in full", lambda: database.put_full(full)),
            ("bare", lambda: database.put(rows)),
            ("all", deliver),
        ):
            begun = time.perf_counter()
            work()
            rates[way].append(number / (time.perf_counter() - begun))
    medians = {way: statistics.median(each) for way, each in rates.items()}
    whole = medians["all"]
    parts = (f"{whole / medians[way]:.2f} of rows {way}" for way in ("in full", "bare"))
    told = f"{whole:7,.0f} readings a second, {', '.join(parts)}"
    print(f"{kind:>10}, {format}, {number:6,} a delivery: {told}")


def as_samples(since: datetime, number: int) -> Any:
    """Return a delivery in the own format."""
    told = {"patient": "p1", "metric": "heart-rate", "unit": "/min"}
    device = {"id": "w-1", "name": "Watch"}
    return {
        "samples": [
            {
                **told,
                "value": 60 + place % 40,
                "start": _at(since, place),
                "device": device,
            }
            for place in range(number)
        ]
    }


def as_open_mhealth(since: datetime, number: int) -> Any:
    """Return data points of Open mHealth."""
    schema = {"namespace": "omh", "name": "heart-rate", "version": "2.0"}
    return [
        {
            "header": {
                "id": f"p-{place}",
                "creation_date_time": _at(since, place),
                "schema_id": schema,
                "user_id": "u-1",
            },
            "body": {
                "heart_rate": {"value": 60 + place % 40, "unit": "beats/min"},
                "effective_time_frame": {"date_time": _at(since, place)},
            },
        }
        for place in range(number)
    ]


BODIES: dict[str, Callable[[datetime, int], Any]] = {
    "samples": as_samples,
    "open-mhealth": as_open_mhealth,
}


def measure_import(kind: str, database: Opened) -> None:
    """Print how fast an export is taken in, and how much memory that takes."""
    with tempfile.TemporaryDirectory(prefix="cds-bench-") as folder:
        file = Path(folder) / "export.xml"
        write_export(file)
        command = [
            *(sys.executable, "-m", "cds_service.cli", "import", "apple-health"),
            *(str(file), "--patient", "p2", "--database", database.url),
            *("--rules", str(RULES), "--assumed", "--json"),
        ]
        for way in ("new", "again"):
            begun = time.perf_counter()
            done, peak = run(command)
            took = time.perf_counter() - begun
            counts = json.loads(done)
            number = counts["accepted"] + counts.get("duplicate", 0)
            size = file.stat().st_size / 1e6
            rate = f"{size / took:.1f} MB/s, {number / took:,.0f} readings a second"
            told = f"an export of {size:.0f} MB, {way}: {rate}, {peak:.0f} MiB"
            print(f"{kind:>10}, {told}")


def run(command: list[str]) -> tuple[bytes, float]:
    """Return what a command prints, and its largest memory in MiB."""
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
            peak = max(peak, int(found[1]) if found else 0)
            time.sleep(0.05)
        assert process.stdout and process.returncode == 0
        return process.stdout.read(), peak / 1024


def write_export(file: Path) -> None:
    """Write a heart rate every twenty seconds, until it is as large as it is to be."""
    since, place = datetime(2024, 1, 1, tzinfo=UTC), 0
    with file.open("w") as to:
        to.write("<?xml version='1.0'?>\n<HealthData>\n")
        while to.tell() < EXPORTED * 1e6:
            for _ in range(1000):
                at = since + timedelta(seconds=20 * place)
                told = f"{at:%Y-%m-%d %H:%M:%S} -0500"
                to.write(RECORD.format(at=told, value=60 + place % 40))
                place += 1
        to.write("</HealthData>\n")


def _at(since: datetime, minute: int) -> str:
    return (since + timedelta(minutes=minute)).isoformat()
