"""``python -m bench samples``: samples a second into the store, beside bare statements.

One patient's heart rate, minute by minute, in deliveries of so many samples; then the
same once more, which changes nothing. Beside it rows, ready made: into a table of the
same shape (bare), and into one as most would have it, in which each row says all of its
reading as text (in full); by executemany to SQLite, by COPY into a temporary table and
an insert with ON CONFLICT to PostgreSQL. Runs alternate, and medians are printed. Then
what one metric takes up that is measured every minute of a year, and how long a call
takes of a patient who has that, among many with some, beside a call where there is
none.
"""

import os
import sqlite3
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from cds_service.audit import build_call_event
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.samples.rows import COLUMNS, sample_rows
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Device, Sample
from tests.postgresql import running_server

from .store import build_call

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
EVENT = AuditEvent(NOW, "delivery", "default", "watch")
WATCH = Device("w-1", "Watch")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SIZES = (1_000, 20_000)
"""Samples of a delivery."""
PATIENT = PatientKey("default", "-", "p1")
PATIENTS = int(os.environ.get("BENCH_PATIENTS", "10000"))
"""Others, with 200 samples each."""
CALLS = 500
YEAR = 365 * 24 * 60
"""In minutes."""
NAMES = ", ".join(COLUMNS)
INSTEAD = "ON CONFLICT (stream, start_us, key) DO UPDATE SET " + ", ".join(
    f"{each} = excluded.{each}" for each in COLUMNS[3:]
)
IN_FULL = """CREATE TABLE in_full (
    patient TEXT, source TEXT, metric TEXT, unit TEXT, start TEXT, "end" TEXT,
    value DOUBLE PRECISION, stat TEXT, device TEXT, received TEXT,
    PRIMARY KEY (patient, source, metric, start, stat, device)
)"""
"""The same as most would keep it, a reading a row that says it all."""
FULL_NAMES = (
    'patient, source, metric, unit, start, "end", value, stat, device, received'
)
FULL_INSTEAD = (
    "ON CONFLICT (patient, source, metric, start, stat, device)"
    " DO UPDATE SET value = excluded.value, received = excluded.received"
)
Rows = Sequence[tuple[object, ...]]
Put = Callable[[Rows], None]


@dataclass(frozen=True, slots=True)
class Opened:
    """A database to measure in."""

    url: str
    put: Put
    """Puts ready-made rows into a table like ours, beside it."""
    put_full: Put
    """Puts rows that say it all into a table of text."""
    size: Callable[[], int]
    """How many bytes our samples take."""


@contextmanager
def open_sqlite() -> Iterator[Opened]:
    """A file that waits for the disk, and another beside it."""
    with tempfile.TemporaryDirectory(prefix="cds-bench-") as folder:
        file = Path(folder) / "cds.sqlite"
        with closing(Store.open(f"sqlite:///{file}")) as store:
            store.migrate()
        with closing(_connect(file)) as ours:
            asked = "SELECT sql FROM sqlite_schema WHERE tbl_name = 'samples'"
            shape = [sql for (sql,) in ours.execute(asked) if sql]
        with closing(_connect(Path(folder) / "bare.sqlite")) as bare:
            for sql in (*shape, IN_FULL):
                bare.execute(sql)

            def putting(table: str, names: str, instead: str) -> Put:
                places = ", ".join("?" * (names.count(",") + 1))
                sql = f"INSERT INTO {table} ({names}) VALUES ({places}) {instead}"

                def put(rows: Rows) -> None:
                    bare.execute("BEGIN IMMEDIATE")
                    bare.executemany(sql, rows)
                    bare.execute("COMMIT")

                return put

            def size() -> int:
                with closing(_connect(file)) as ours:
                    asked = "SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'samples%'"
                    return int(ours.execute(asked).fetchone()[0])

            yield Opened(
                f"sqlite:///{file}",
                putting("samples", NAMES, INSTEAD),
                putting("in_full", FULL_NAMES, FULL_INSTEAD),
                size,
            )


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


@contextmanager
def open_postgresql() -> Iterator[Opened]:
    """A server that waits for the disk."""
    with running_server(fsync="on") as server:
        url = server.url(server.template())
        with closing(Store.open(url)) as store:
            store.migrate()
        with psycopg.connect(url.replace("+psycopg", "")) as bare:
            bare.execute("CREATE TABLE bare (LIKE samples INCLUDING ALL)")
            bare.execute(IN_FULL)
            bare.commit()

            def putting(table: str, names: str, instead: str) -> Put:
                bare.execute(f"CREATE TEMPORARY TABLE added_{table} (LIKE {table})")
                bare.commit()

                def put(rows: Rows) -> None:
                    with bare.transaction(), bare.cursor() as cursor:
                        cursor.execute(f"TRUNCATE added_{table}")
                        into = f"COPY added_{table} ({names}) FROM STDIN"
                        with cursor.copy(into) as copy:
                            for row in rows:
                                copy.write_row(row)
                        chosen = f"SELECT {names} FROM added_{table} {instead}"
                        cursor.execute(f"INSERT INTO {table} ({names}) {chosen}")

                return put

            def size() -> int:
                asked = "SELECT pg_total_relation_size('samples')"
                found = bare.execute(asked).fetchone()
                bare.commit()
                return int(found[0]) if found else 0

            yield Opened(
                url,
                putting("bare", NAMES, INSTEAD),
                putting("in_full", FULL_NAMES, FULL_INSTEAD),
                size,
            )


DATABASES = {"SQLite": open_sqlite, "PostgreSQL": open_postgresql}


def main() -> None:
    """Measure and print."""
    for kind, opened in DATABASES.items():
        with opened() as database, closing(Store.open(database.url)) as store:
            for number in SIZES:
                measure(kind, store, database, number)
            measure_year(kind, store, database)
            with opened() as other, closing(Store.open(other.url)) as empty:
                measure_calls(kind, store, empty)


def measure(kind: str, store: Store, database: Opened, number: int) -> None:
    """Print how many samples a second there are, and which share of bare rows."""
    rates = defaultdict(list)
    for round in range(ROUNDS):
        told = samples(NOW + timedelta(days=30 * round, seconds=number), number)
        rows = list(sample_rows(told, {("heart-rate", "/min"): 1}, {WATCH: 1}, 0))
        full = list(map(in_full, told))
        for way, work in (
            ("in full", lambda: database.put_full(full)),
            ("bare", lambda: database.put(rows)),
            ("new", lambda: take_in(store, told)),
            ("again", lambda: take_in(store, told)),
        ):
            begun = time.perf_counter()
            work()
            rates[way].append(number / (time.perf_counter() - begun))
    medians = {way: statistics.median(found) for way, found in rates.items()}
    for way, rate in medians.items():
        shares = (
            f"{rate / medians[each]:.2f} of {each}" for each in ("in full", "bare")
        )
        share = f"{rate:9,.0f} samples a second, {', '.join(shares)}"
        print(f"{kind:>10}, {number:6,} a delivery, {way:>7}: {share}")


def measure_year(kind: str, store: Store, database: Opened) -> None:
    """Print how many bytes a year of a metric takes up."""
    before, since = database.size(), NOW - timedelta(days=400)
    for start in range(0, YEAR, SIZES[-1]):
        number = min(SIZES[-1], YEAR - start)
        take_in(store, samples(since + timedelta(minutes=start), number))
    taken = database.size() - before
    print(f"{kind:>10}, a year of minutes: {taken / 2**20:.0f} MiB,", end=" ")
    print(f"{taken / YEAR:.0f} bytes a sample")


def measure_calls(kind: str, full: Store, empty: Store) -> None:
    """Print what a call's reads and its record take, beside samples and beside none."""
    for start in range(0, PATIENTS, 100):
        told = samples(NOW - timedelta(days=1), 200)
        many = (PatientKey("default", "-", f"q{start + each}") for each in range(100))
        batches = tuple(SampleBatch(StreamOwner(each, "watch"), told) for each in many)
        full.take_in(Intake(samples=batches), EVENT, NOW)
    took: dict[str, list[float]] = {"none": [], "a year": []}
    for number in range(CALLS):
        for way, store in (("none", empty), ("a year", full)):
            call = replace(build_call(number), patient=PATIENT)
            begun = time.perf_counter()
            store.wearable_alerts(PATIENT, NOW - timedelta(days=30))
            store.consents.of([PATIENT])
            store.record_call(call, build_call_event(call))
            took[way].append(time.perf_counter() - begun)
    none, year = (statistics.median(found) for found in took.values())
    beside = f"beside a year of minutes and {PATIENTS:,} patients"
    print(f"{kind:>10}, a call {beside}: {year / none:.2f} of one beside none")


def in_full(sample: Sample) -> tuple[object, ...]:
    """A row that says all of a sample."""
    told = (
        sample.metric,
        sample.unit,
        sample.start.isoformat(),
        sample.end.isoformat(),
    )
    measured = (sample.value, str(sample.stat), sample.device.id, NOW.isoformat())
    return ("default/-/p1", "watch", *told, *measured)


def take_in(store: Store, told: Sequence[Sample]) -> None:
    """Store samples of one patient, as a delivery does."""
    owner = StreamOwner(PATIENT, "watch")
    store.take_in(Intake(samples=(SampleBatch(owner, told),)), EVENT, NOW)


def samples(since: datetime, number: int) -> list[Sample]:
    """Heart rates from then on, one a minute."""
    minute = timedelta(minutes=1)
    return [
        Sample(
            "heart-rate",
            60.0 + place % 40,
            "/min",
            since + minute * place,
            since + minute * place,
            local=True,
            device=WATCH,
        )
        for place in range(number)
    ]
