"""``python -m bench detection``: what it costs to judge readings as they are stored.

Heart rate and steps of a patient, minute by minute, by the shipped detectors: an hour,
a week that comes late and a day hour by hour, each beside the same that nobody judges;
a year that is judged anew; and calls about a patient with episodes on each day of a
year beside one with a day of them, and one with none: what the database takes of them,
and whole calls of the shipped service, on a chart to which a fast heart rate matters.
Runs alternate, and medians are printed.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path

from cds_service.audit import build_call_event
from cds_service.cli.rules.compiled import compile_folder
from cds_service.config import Clients, Config, Profile
from cds_service.decision import World, answer
from cds_service.fhir.client import FhirPool
from cds_service.fhir.moments import EVER
from cds_service.protocol.requests import parse_request
from cds_service.protocol.services import discovery
from cds_service.publishing.serving import Serving
from cds_service.rulebook.engine import Rulebook, wearables_asked
from cds_service.store.detection.records import Detection
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.trust import TrustedClient
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Device, Sample, Stat
from tests.postgresql import running_server

from .patients import PATIENT, SERVICE, build_body
from .store import build_call

RULES = Path(__file__).parents[1] / "rules"
NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
EVENT = AuditEvent(NOW, "delivery", "default", "watch")
WATCH = Device("w-1", "Watch")
MINUTE = timedelta(minutes=1)
HOUR, WEEK = 60, 7 * 24 * 60
"""In minutes."""
DAYS = int(os.environ.get("BENCH_DAYS", "365"))
"""Of the year."""
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CALLS = 200
LOOKED_BACK = 35
"""Days, of patients beside whom the year is measured."""
JUDGED, KEPT, CALM, ONCE = (PatientKey("default", "-", each) for each in "jkco")
WAYS = {"none": CALM, "one": ONCE, "a year": KEPT}


def main() -> None:
    """Measure and print."""
    rulebook = compile_folder(RULES).rulebook
    gate = ConsentGate(rulebook.catalogue, rulebook.site.time_zone, assumed=True)
    # What opened before a detector took effect is no episode; here all is.
    detectors = (replace(each, effective=None) for each in rulebook.detectors.values())
    detection = Detection(tuple(detectors), gate)
    for kind, opened in (("SQLite", open_sqlite), ("PostgreSQL", open_postgresql)):
        with opened() as url, closing(Store.open(url)) as store:
            measure(kind, store, detection, "an hour", HOUR)
            measure(kind, store, detection, "a late week", WEEK)
            measure_day(kind, store, detection)
            measure_year(kind, store, detection)
            measure_calls(kind, url, store, detection, rulebook)


def measure(
    kind: str, store: Store, detection: Detection, what: str, minutes: int
) -> None:
    """Print what it takes to store and judge so many minutes of two metrics."""
    took: dict[bool, list[float]] = {True: [], False: []}
    for round in range(ROUNDS):
        since = NOW - timedelta(days=30 + 10 * round, minutes=minutes)
        for judged, patient in ((True, JUDGED), (False, KEPT)):
            told = readings(since, minutes)
            by = detection if judged else None
            seconds = timed(lambda: take_in(store, patient, told, by))
            took[judged].append(seconds)
    both, alone = (statistics.median(took[each]) for each in (True, False))
    each_one = (both - alone) / (2 * minutes) * 1_000_000
    print(
        f"{kind:>10}, {what} of two metrics: {both * 1000:,.0f} ms,"
        f" {alone * 1000:,.0f} unjudged; {each_one:.1f} µs a reading to judge"
    )


def measure_year(kind: str, store: Store, detection: Detection) -> None:
    """Print what it takes to judge a year of a patient anew."""
    since = NOW - timedelta(days=DAYS)
    for start in range(0, DAYS * 24 * 60, WEEK):
        minutes = min(WEEK, DAYS * 24 * 60 - start)
        take_in(store, KEPT, readings(since + start * MINUTE, minutes), None)
    store.detections.note_all(KEPT, NOW)
    event = AuditEvent(NOW, "detection", "default", "", KEPT)
    begun, longest, left = time.perf_counter(), 0.0, 1
    while left:
        seconds = time.perf_counter()
        left = store.detections.detect_due(KEPT, detection, event).due
        longest = max(longest, time.perf_counter() - seconds)
    whole = time.perf_counter() - begun
    found = len(store.detections.episodes(KEPT))
    print(
        f"{kind:>10}, {DAYS} days of two metrics judged anew: {whole:,.1f} s, longest"
        f" transaction {longest:,.1f} s, {found:,} episodes"
    )


def measure_calls(
    kind: str, url: str, store: Store, detection: Detection, rulebook: Rulebook
) -> None:
    """Print what calls take about patients with so many episodes."""
    # As many readings as rules look back for; days are no different for episodes.
    since = NOW - timedelta(days=LOOKED_BACK)
    by = replace(detection, days=LOOKED_BACK + 1)
    for patient, calm in ((CALM, NOW), (ONCE, NOW - timedelta(days=1))):
        told = readings(since, LOOKED_BACK * 24 * HOUR, calm)
        take_in(store, patient, told, by)
    service = rulebook.services[SERVICE, "patient-view"]
    world = World(
        config=Config(profile=Profile.DEVELOPMENT, database_url=url),
        clients=Clients(),
        store=store,
        serving=Serving(rulebook, NOW),
        clock=lambda: NOW,
        fhir=FhirPool(),
    )
    asked = wearables_asked(service, NOW)

    def of_the_store(patient: PatientKey, number: int) -> None:
        call = replace(build_call(number), patient=patient)
        store.wearables(patient, asked, NOW)
        store.consents.of([patient])
        store.record_call(call, build_call_event(call))

    offered = discovery(each.service for each in rulebook.services.values())
    body = build_body(offered["services"], NOW).decode()
    client = TrustedClient("ehr", "default", "")

    def whole(patient: PatientKey, number: int) -> None:
        # Somebody else asks each time, to whom all is shown.
        told = body.replace(PATIENT.decode(), patient.patient_id).replace(
            '"userId":"Practitioner/', f'"userId":"Practitioner/{number}-'
        )
        answer(service, parse_request(json.loads(told)), client, world)

    users = count()
    for what, call in (("of the store", of_the_store), ("whole", whole)):
        for clock in (time.perf_counter, time.thread_time):
            took: dict[str, list[float]] = {way: [] for way in WAYS}
            for number in islice(users, CALLS):
                for way, patient in WAYS.items():
                    begun = clock()
                    call(patient, number)
                    took[way].append(clock() - begun)
            none, one, year = (statistics.median(found) for found in took.values())
            unit = "ms" if clock is time.perf_counter else "ms of CPU"
            print(
                f"{kind:>10}, calls beside a year of episodes, {what}:"
                f" {year * 1000:.2f} {unit}, {year / none:.2f} of those beside none,"
                f" {year / one:.2f} of those beside one"
            )


def measure_day(kind: str, store: Store, detection: Detection) -> None:
    """Print what a day takes that comes hour by hour, beside the same unjudged."""
    took = {JUDGED: 0.0, KEPT: 0.0}
    for number in range(24):
        told = readings(NOW.replace(hour=0) + number * HOUR * MINUTE, HOUR)
        for patient, by in ((JUDGED, detection), (KEPT, None)):
            seconds = time.thread_time()
            take_in(store, patient, told, by)
            took[patient] += time.thread_time() - seconds
    print(
        f"{kind:>10}, a day hour by hour: {took[JUDGED] / 24 * 1000:.1f} ms of CPU an"
        f" hour, {took[KEPT] / took[JUDGED]:.2f} of the rate of plain insertion"
    )


def readings(since: datetime, minutes: int, calm: datetime = EVER.low) -> list[Sample]:
    """A heart rate and the steps of each minute; an episode each day after a time."""
    starts = [since + n * MINUTE for n in range(minutes)]
    beats = [
        Sample("heart-rate", 120.0 if at >= calm and at.hour == 3 else 72.0, "/min", at,
               at, device=WATCH)  # fmt: skip
        for at in starts
    ]
    steps = [
        Sample("steps", 0.0 if at.hour < 7 else 40.0, "{steps}", at, at + MINUTE,
               device=WATCH, stat=Stat.TOTAL)  # fmt: skip
        for at in starts
    ]
    return [*beats, *steps]


def take_in(
    store: Store, patient: PatientKey, told: list[Sample], by: Detection | None
) -> None:
    """Store readings of one patient, as a delivery does."""
    batch = SampleBatch(StreamOwner(patient, "watch"), told)
    store.take_in(Intake(samples=(batch,), detection=by), EVENT, NOW)


def timed(work: Callable[[], None]) -> float:
    """Return the seconds that it takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


@contextmanager
def open_sqlite() -> Iterator[str]:
    """Lend the URL of a new file of our schema."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/cds.sqlite"
        migrate(url)
        yield url


@contextmanager
def open_postgresql() -> Iterator[str]:
    """Lend the URL of a new database of our schema."""
    with running_server() as server:
        url = server.url(server.create("template0"))
        migrate(url)
        yield url


def migrate(url: str) -> None:
    """Bring a database to our schema."""
    with closing(Store.open(url)) as store:
        store.migrate()
