"""``python -m bench backlog``: a long backlog of tellings, drained.

A hundred thousand things wait for a destination that takes at once. Printed are things
a second, beside bare transactions that note as much in the same run, the lag on the
way, and how the memory of the process grows.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import psycopg
from sqlalchemy import (
    Connection,
    Integer,
    Table,
    Text,
    cast,
    create_engine,
    func,
    insert,
    literal,
    select,
    text,
    true,
)

from cds_service.delivery.records import Accepted, Reply
from cds_service.store.outbox.tables import LANES, OUTBOX
from cds_service.store.store import Store
from cds_service.store.tables import CONSENT_GUARDS, WEARABLE_ALERTS
from cds_service.wearables.telling import Telling

from .samples import DATABASES
from .telling import CONNECTIONS, NOW, close, deliver, open_world, put_in

BACKLOG = int(os.environ.get("BENCH_BACKLOG", "100000"))
OF_EACH = 10
"""Things of a patient in it."""
BARE = 4000
"""Bare transactions beside it."""


def main() -> None:
    """Measure and print."""
    for name, opened in DATABASES.items():
        with opened() as database:
            drain(name, database.url)


@dataclass
class Observer:
    """A destination that takes at once, and looks at this process on the way."""

    backlogs: Callable[[], float]
    """The lag in seconds, as ``/health`` tells it."""
    id: str = "ehr"
    told: int = 0
    first: int = 0
    most: int = 0
    lags: list[float] = field(default_factory=list)
    looked: list[float] = field(default_factory=list)
    """Seconds that each look at the lag took."""
    turn: threading.Lock = field(default_factory=threading.Lock)

    def send(self, telling: Telling, deadline: float) -> Reply:
        """Take it; after a tenth of all the memory is looked at."""
        with self.turn:
            self.told += 1
            told = self.told
        if told % 1000 == 0:
            used = resident()
            self.most = max(self.most, used)
            if told == BACKLOG // 10:
                self.first = used
        if told % (BACKLOG // 4) == 0:
            begun = time.perf_counter()
            self.lags.append(self.backlogs())
            self.looked.append(time.perf_counter() - begun)
        return Accepted(telling.key, "", telling.status)

    def close(self) -> None:
        """Nothing is open."""


def drain(name: str, url: str) -> None:
    """Drain a long backlog, and print how fast and with how much memory."""
    world = open_world(url)
    fill(world.store, url)
    bare = bare_seconds(url)
    started = time.monotonic()

    def lag() -> float:
        now = NOW + timedelta(seconds=1 + time.monotonic() - started)
        (backlog,) = world.store.outbox_desk.backlogs(now)
        return backlog.oldest_seconds

    observer = Observer(lag)
    used = time.process_time()
    seconds = deliver(world, observer)
    used = (time.process_time() - used) / BACKLOG
    assert observer.told == BACKLOG
    rate, yardstick = BACKLOG / seconds, 2 * BARE / (bare + bare_seconds(url))
    print(
        f"{name}: a backlog of {BACKLOG:,} in {seconds:,.0f} s, {rate:,.0f} a second"
        f" with {used * 1000:.2f} ms of our CPU each; {rate / yardstick:.2f} of"
        f" {yardstick:,.0f} bare transactions a second, before and after"
    )
    lags = ", ".join(f"{each:,.0f}" for each in observer.lags)
    grown = (observer.most - observer.first) / 1024
    print(
        f"{name}: memory {observer.first / 1024:,.0f} MB after a tenth, at most"
        f" {grown:+,.1f} MB from there on; lag after each quarter {lags} s, which"
        f" takes at most {max(observer.looked) * 1000:,.0f} ms to ask"
    )
    close(world)


def fill(store: Store, url: str) -> None:
    """Have a long backlog wait: one patient's by the store, the others' by its rows."""
    put_in(store, OF_EACH, 1)
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in (WEARABLE_ALERTS, CONSENT_GUARDS, LANES, OUTBOX):
            multiply(connection, table, BACKLOG // OF_EACH - 1)
        waiting = connection.execute(select(func.count()).select_from(OUTBOX))
        assert waiting.scalar() == BACKLOG
    with engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    engine.dispose()


def multiply(connection: Connection, table: Table, times: int) -> None:
    """Have so many patients more of whom there is what there is of the first."""
    first = select(literal(1, Integer).label("n")).cte("numbers", recursive=True)
    after = select(first.c.n + 1).where(first.c.n < times)
    numbers = first.union_all(after)
    names = [
        each.name for each in table.columns if table is not OUTBOX or each.name != "id"
    ]
    patient = literal("p", Text).concat(cast(numbers.c.n, Text))
    told = [patient if name == "patient_id" else table.c[name] for name in names]
    each = select(*told).select_from(table.join(numbers, true()))
    rows = each.where(table.c.patient_id == "p0")
    connection.execute(insert(table).from_select(names, rows))


def bare_seconds(url: str) -> float:
    """Return how many seconds it takes to note so many tellings and no more.

    Each is one transaction that waits for the disk: a row of what waits goes, one of
    what is told and one of the trail come. As many connections as we have.
    """
    one = note_on_server if url.startswith("postgresql") else note_in_file
    with one(url) as note:
        share = BARE // CONNECTIONS
        threads = [
            threading.Thread(target=note, args=(each * share, share))
            for each in range(CONNECTIONS)
        ]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - begun


Note = Callable[[int, int], None]
"""Notes so many tellings from a number on."""
BARE_TABLES = (
    "DROP TABLE IF EXISTS bare_outbox",
    "CREATE TABLE bare_outbox (id INTEGER PRIMARY KEY, thing TEXT)",
    "DROP TABLE IF EXISTS bare_told",
    "CREATE TABLE bare_told (thing TEXT PRIMARY KEY, remote TEXT)",
    "CREATE TABLE IF NOT EXISTS bare_trail (id {key}, body TEXT)",
)
BODY = "x" * 300


@contextmanager
def note_in_file(url: str) -> Iterator[Note]:
    """One writes at a time, as SQLite has it."""
    file = url.removeprefix("sqlite:///")
    lock = threading.Lock()
    with closing(
        sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    ) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        for each in BARE_TABLES:
            connection.execute(each.format(key="INTEGER PRIMARY KEY"))
        rows = [(each, f"watch|{each}") for each in range(BARE)]
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO bare_outbox VALUES (?, ?)", rows)
        connection.execute("COMMIT")

        def note(first: int, number: int) -> None:
            for each in range(first, first + number):
                with lock:
                    connection.execute("BEGIN IMMEDIATE")
                    gone = "DELETE FROM bare_outbox WHERE id = ?"
                    connection.execute(gone, (each,))
                    told = (f"watch|{each}", "remote")
                    connection.execute("INSERT INTO bare_told VALUES (?, ?)", told)
                    trail = "INSERT INTO bare_trail (body) VALUES (?)"
                    connection.execute(trail, (BODY,))
                    connection.execute("COMMIT")

        yield note


@contextmanager
def note_on_server(url: str) -> Iterator[Note]:
    """Each on a connection of its own."""
    address = url.replace("+psycopg", "")
    with psycopg.connect(address) as connection:
        for each in BARE_TABLES:
            key = "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
            connection.execute(each.format(key=key).encode())
        with connection.cursor() as cursor:
            added = "INSERT INTO bare_outbox VALUES (%s, %s)"
            cursor.executemany(added, [(n, f"watch|{n}") for n in range(BARE)])

    def note(first: int, number: int) -> None:
        with psycopg.connect(address) as mine:
            for each in range(first, first + number):
                mine.execute("DELETE FROM bare_outbox WHERE id = %s", (each,))
                told = (f"watch|{each}", "remote")
                mine.execute("INSERT INTO bare_told VALUES (%s, %s)", told)
                mine.execute("INSERT INTO bare_trail (body) VALUES (%s)", (BODY,))
                mine.commit()

    yield note


def resident() -> int:
    """Return what this process holds in memory, in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("the system does not tell")
