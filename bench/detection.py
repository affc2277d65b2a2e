"""``python -m bench detection``: what it costs to judge readings as they are stored.

Heart rate and steps of a patient, minute by minute, by the shipped detectors: an hour
at a time and a week that comes late, each beside the same that nobody judges; a year
that is judged anew; and what a call reads of a patient with a year of episodes beside
one with none. Runs alternate, and medians are printed.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cds_service.audit import build_call_event
from cds_service.cli.rules.compiled import compile_folder
from cds_service.store.detection.records import Detection
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Device, Sample, Stat
from tests.postgresql import running_server

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
CALLS = 500
JUDGED, KEPT, CALM = (PatientKey("default", "-", each) for each in ("j", "k", "c"))


def main() -> None:
    """Measure and print."""
    rulebook = compile_folder(RULES).rulebook
    gate = ConsentGate(rulebook.catalogue, rulebook.site.time_zone, assumed=True)
    detection = Detection(tuple(rulebook.detectors.values()), gate)
    for kind, opened in (("SQLite", open_sqlite), ("PostgreSQL", open_postgresql)):
        with opened() as url, closing(Store.open(url)) as store:
            measure(kind, store, detection, "an hour", HOUR)
            measure(kind, store, detection, "a late week", WEEK)
            measure_year(kind, store, detection)
            measure_calls(kind, store)


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


def measure_calls(kind: str, store: Store) -> None:
    """Print what a call's reads and record take, beside a year of episodes."""
    took: dict[str, list[float]] = {"none": [], "a year": []}
    for number in range(CALLS):
        for way, patient in (("none", CALM), ("a year", KEPT)):
            call = replace(build_call(number), patient=patient)
            begun = time.perf_counter()
            store.wearable_alerts(patient, NOW - timedelta(days=30))
            store.consents.of([patient])
            store.record_call(call, build_call_event(call))
            took[way].append(time.perf_counter() - begun)
    none, year = (statistics.median(found) for found in took.values())
    print(
        f"{kind:>10}, a call beside a year of episodes: {year / none:.2f} of one",
        end=" ",
    )
    print("beside none")


def readings(since: datetime, minutes: int) -> list[Sample]:
    """A heart rate and the steps of each minute; an episode each day."""
    starts = [since + n * MINUTE for n in range(minutes)]
    beats = [
        Sample("heart-rate", 120.0 if 3 <= at.hour < 4 else 72.0, "/min", at, at,
               device=WATCH)  # fmt: skip
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
