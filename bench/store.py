"""``python -m bench store``: recorded calls a second, SQLite beside PostgreSQL.

Both wait for the disk before a call counts. Each call has two cards, a line that was
held back, twelve evaluations, a Consent that must still hold, and its audit row; each
is about a patient of its own. Runs alternate, and medians are printed.
"""

import os
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from uuid import uuid4

from cds_service.audit import build_call_event
from cds_service.store.records import (
    CallRecord,
    CardRecord,
    ConsentUse,
    EvaluationRecord,
    SourceRecord,
    SuppressionRecord,
)
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey
from tests.postgresql import running_server

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
THREADS = (1, 8)
RULES = [f"rule-{number}" for number in range(12)]
SOURCES = ("patient", "conditions", "medication-requests", "observations")


def main() -> None:
    """Measure and print."""
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    costs: dict[tuple[str, int], list[float]] = defaultdict(list)
    with ExitStack() as opened:
        stores = {"SQLite": opened.enter_context(open_sqlite())}
        stores["PostgreSQL"] = opened.enter_context(open_postgresql())
        for _ in range(ROUNDS):
            for threads in THREADS:
                for name, store in stores.items():
                    rate, cost = measure(store, threads)
                    rates[name, threads].append(rate)
                    costs[name, threads].append(cost)
    for threads in THREADS:
        base = statistics.median(rates["SQLite", threads])
        for name in ("SQLite", "PostgreSQL"):
            rate = statistics.median(rates[name, threads])
            cost = statistics.median(costs[name, threads])
            told = f"{rate:7.0f} calls a second, {rate / base:.2f} of SQLite"
            print(f"{name:>10}, {threads} threads: {told}, {cost:.2f} ms of our CPU")


@contextmanager
def open_sqlite() -> Iterator[Store]:
    """A store in a file."""
    with tempfile.TemporaryDirectory(prefix="cds-bench-") as folder:
        with closing(Store.open(f"sqlite:///{Path(folder) / 'cds.sqlite'}")) as store:
            store.migrate()
            yield store


@contextmanager
def open_postgresql() -> Iterator[Store]:
    """A store on a server of its own, which waits for the disk."""
    with running_server(fsync="on") as server:
        with closing(Store.open(server.url(server.template()))) as store:
            store.migrate()
            yield store


def measure(store: Store, threads: int) -> tuple[float, float]:
    """Calls a second of so many threads, and milliseconds of CPU a call."""
    done = [0] * threads
    stop = time.monotonic() + SECONDS
    numbers = count()

    def work(thread: int) -> None:
        while time.monotonic() < stop:
            call = build_call(next(numbers))
            store.record_call(call, build_call_event(call))
            done[thread] += 1

    workers = [threading.Thread(target=work, args=(each,)) for each in range(threads)]
    begun, spent = time.monotonic(), time.process_time()
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    calls = sum(done)
    cost = (time.process_time() - spent) / calls * 1000
    return calls / (time.monotonic() - begun), cost


def build_call(number: int) -> CallRecord:
    """A call like most of those that have cards."""
    patient = PatientKey("default", "-", f"p{number % 500}")
    return CallRecord(
        at=NOW,
        client="ehr",
        service="wearable-review",
        hook="patient-view",
        hook_instance=str(uuid4()),
        patient=patient,
        rulebook="0123456789abcdef" * 4,
        user="Practitioner/1",
        sources=tuple(
            SourceRecord(each, "loaded", "prefetch", count=12) for each in SOURCES
        ),
        evaluations=tuple(EvaluationRecord(each, "1.0.0", "fires") for each in RULES),
        cards=tuple(
            CardRecord(str(uuid4()), each, "1.0.0", f"key-{each}", "warning", NOW)
            for each in RULES[:2]
        ),
        suppressions=(
            SuppressionRecord(
                RULES[2], "1.0.0", 0, "key", "grouped", None, "group", "info", RULES[0]
            ),
        ),
        consent=ConsentUse("permitted", seen=frozenset()),
    )
