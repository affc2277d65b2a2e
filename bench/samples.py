"""``python -m bench samples``: samples a second into the store, beside bare statements.

One patient's heart rate, minute by minute, in deliveries of so many samples; then the
same once more, which changes nothing. Beside it the same rows, ready made, into a table
of the same shape: by executemany to SQLite, by COPY into a temporary table and an
insert with ON CONFLICT to PostgreSQL. Runs alternate, and medians are printed. Then
what one metric takes up that is measured every minute of a year.
"""

import os
import sqlite3
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.samples.rows import COLUMNS, SampleRow, sample_rows
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Device, Sample
from tests.postgresql import running_server

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
EVENT = AuditEvent(NOW, "delivery", "default", "watch")
WATCH = Device("w-1", "Watch")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SIZES = (1_000, 20_000)
"""Samples of a delivery."""
YEAR = 365 * 24 * 60
"""In minutes."""
NAMES = ", ".join(COLUMNS)
INSTEAD = "ON CONFLICT (stream, start_us, key) DO UPDATE SET " + ", ".join(
    f"{each} = excluded.{each}" for each in COLUMNS[3:]
)
Rows = Sequence[SampleRow]


@contextmanager
def open_sqlite() -> Iterator[tuple[str, Callable[[Rows], None], Callable[[], int]]]:
    """A URL, what puts rows beside its table, and how many bytes its samples take."""
    with tempfile.TemporaryDirectory(prefix="cds-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'cds.sqlite'}"
        with closing(Store.open(url)) as store:
            store.migrate()
        with closing(_connect(Path(folder) / "cds.sqlite")) as ours:
            asked = "SELECT sql FROM sqlite_schema WHERE tbl_name = 'samples'"
            shape = [sql for (sql,) in ours.execute(asked) if sql]
        with closing(_connect(Path(folder) / "bare.sqlite")) as bare:
            for sql in shape:
                bare.execute(sql)
            places = ", ".join("?" * len(COLUMNS))
            sql = f"INSERT INTO samples ({NAMES}) VALUES ({places}) {INSTEAD}"

            def put(rows: Rows) -> None:
                bare.execute("BEGIN IMMEDIATE")
                bare.executemany(sql, rows)
                bare.execute("COMMIT")

            def size() -> int:
                with closing(_connect(Path(folder) / "cds.sqlite")) as ours:
                    asked = "SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'samples%'"
                    return int(ours.execute(asked).fetchone()[0])

            yield url, put, size


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


@contextmanager
def open_postgresql() -> (
    Iterator[tuple[str, Callable[[Rows], None], Callable[[], int]]]
):
    """Likewise, on a server that waits for the disk."""
    with running_server(fsync="on") as server:
        url = server.url(server.template())
        with closing(Store.open(url)) as store:
            store.migrate()
        with psycopg.connect(url.replace("+psycopg", "")) as bare:
            bare.execute("CREATE TABLE bare (LIKE samples INCLUDING ALL)")
            bare.execute("CREATE TEMPORARY TABLE added (LIKE samples)")
            bare.commit()

            def put(rows: Rows) -> None:
                with bare.transaction(), bare.cursor() as cursor:
                    cursor.execute("TRUNCATE added")
                    with cursor.copy(f"COPY added ({NAMES}) FROM STDIN") as copy:
                        for row in rows:
                            copy.write_row(row)
                    chosen = f"SELECT {NAMES} FROM added {INSTEAD}"
                    cursor.execute(f"INSERT INTO bare ({NAMES}) {chosen}")

            def size() -> int:
                asked = "SELECT pg_total_relation_size('samples')"
                found = bare.execute(asked).fetchone()
                bare.commit()
                return int(found[0]) if found else 0

            yield url, put, size


DATABASES = {"SQLite": open_sqlite, "PostgreSQL": open_postgresql}


def main() -> None:
    """Measure and print."""
    for kind, opened in DATABASES.items():
        with opened() as (url, put, size), closing(Store.open(url)) as store:
            for number in SIZES:
                measure(kind, store, put, number)
            measure_year(kind, store, size)


def measure(kind: str, store: Store, put: Callable[[Rows], None], number: int) -> None:
    """Print how many samples a second there are, and which share of the bare rows."""
    rates = defaultdict(list)
    for round in range(ROUNDS):
        told = samples(NOW + timedelta(days=30 * round, seconds=number), number)
        rows = list(sample_rows(told, {("heart-rate", "/min"): 1}, {WATCH: 1}, 0))
        for way, work in (
            ("bare", lambda: put(rows)),
            ("new", lambda: take_in(store, told)),
            ("again", lambda: take_in(store, told)),
        ):
            begun = time.perf_counter()
            work()
            rates[way].append(number / (time.perf_counter() - begun))
    base = statistics.median(rates["bare"])
    for way, found in rates.items():
        rate = statistics.median(found)
        share = f"{rate:9,.0f} samples a second, {rate / base:.2f} of bare"
        print(f"{kind:>10}, {number:6,} a delivery, {way:>5}: {share}")


def measure_year(kind: str, store: Store, size: Callable[[], int]) -> None:
    """Print how many bytes a year of a metric takes up."""
    before, since = size(), NOW - timedelta(days=400)
    for start in range(0, YEAR, SIZES[-1]):
        number = min(SIZES[-1], YEAR - start)
        take_in(store, samples(since + timedelta(minutes=start), number))
    taken = size() - before
    print(f"{kind:>10}, a year of minutes: {taken / 2**20:.0f} MiB,", end=" ")
    print(f"{taken / YEAR:.0f} bytes a sample")


def take_in(store: Store, told: Sequence[Sample]) -> None:
    """Store samples of one patient, as a delivery does."""
    owner = StreamOwner(PatientKey("default", "-", "p1"), "watch")
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
