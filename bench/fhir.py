"""FHIR: calls that bring nothing along, beside an EHR's server that takes 50 ms.

One gthread worker, trust off, recording on, loopback; eight queries a call. The FHIR
server is bench/slow_fhir.py, which answers whatever is asked 50 ms later.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import requests

from cds_service.fhir.chart import SourceQuery
from cds_service.fhir.client import FhirLimits, FhirPool, open_reader
from cds_service.fhir.gather import gather
from cds_service.http.addresses import ListedServer, Reach
from cds_service.protocol.requests import HookRequest, parse_request

from .content import PATIENT, build_body, write_observation_rule, write_rules
from .serving import SECONDS, Subject, ask_once, load, serve
from .slow_fhir import MANY, ORDERS

LATE = 50
"""Milliseconds that the FHIR server takes."""
QUERIES = 8
THREADS = 64
"""Of the worker; the default of the server."""
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CALLS = int(os.environ.get("BENCH_CALLS", "10000"))


@dataclass(frozen=True)
class Measured:
    """One load on the server."""

    rate: float
    p50: float
    p99: float
    """Milliseconds."""


def main() -> None:
    """Measure and print."""
    print(f"load {os.getloadavg()[0]:.1f}; FHIR answers after {LATE} ms")
    with tempfile.TemporaryDirectory(prefix="cds-bench-") as name:
        folder = Path(name)
        with serve_fhir(0) as base:
            compare_pages(base)
        with serve_fhir(LATE) as base, serve_calls(folder / "late", base) as subject:
            body = write_body(folder / "late.json", base)
            check_queries(subject, body)
            load(subject, body, 4, 2)
            measure_calls(subject, body)
            measure_starvation(subject, body, folder)
        with serve_fhir(0) as base, serve_calls(folder / "soon", base) as subject:
            body = write_body(folder / "soon.json", base)
            measure_cost(subject, body, write_given(folder / "given.json"), base)
            measure_memory(subject, body)


@contextmanager
def serve_fhir(milliseconds: int) -> Iterator[str]:
    """The base of a FHIR server that answers so late."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "bench.slow_fhir", str(port), str(milliseconds)]
    process = subprocess.Popen(command)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/fhir"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def serve_calls(folder: Path, base: str) -> Iterator[Subject]:
    """This server, which may read that FHIR server and asks it eight queries a call."""
    folder.mkdir()
    rules = write_observation_rule(write_rules(folder / "rules", 10))
    settings = {
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_RULES": str(rules),
        "CDS_DATABASE_URL": f"sqlite:///{folder / 'store.sqlite'}",
        "CDS_FHIR_SERVERS": base,
        "CDS_GATHER_DEADLINE_MS": "10000",
    }
    with serve("cds_service.app:create_app()", settings, threads=THREADS) as (port, _):
        yield Subject("cds-service", port)


def write_body(file: Path, base: str) -> Path:
    """A call that brings nothing along."""
    call = json.loads(build_body())
    file.write_text(json.dumps({**call, "prefetch": {}, "fhirServer": base}))
    return file


def write_given(file: Path) -> Path:
    """A call that brings everything along."""
    call = json.loads(build_body())
    extra = {f"observations{each}": None for each in ("", "-2", "-3", "-4")}
    call["prefetch"] = {**call["prefetch"], "medication-requests": None, **extra}
    file.write_text(json.dumps(call))
    return file


def check_queries(subject: Subject, body: Path) -> None:
    """Stop where the service does not ask what is to be measured."""
    with urlopen(f"http://127.0.0.1:{subject.port}/cds-services") as response:
        (service,) = json.load(response)["services"]
    if len(service["prefetch"]) != QUERIES:
        sys.exit(f"{QUERIES} queries were expected, not {len(service['prefetch'])}")
    ask_once(subject.port, body.read_bytes())


def measure_calls(subject: Subject, body: Path) -> None:
    """Calls at once, from one to many."""
    print(f"\n{QUERIES} queries a call      req/s    p50     p99 ms")
    for connections in (1, 8, 32, 64):
        runs = [run(subject, body, connections) for _ in range(ROUNDS)]
        found = middle(runs)
        print(
            f"  {connections:>3} at once          "
            f"{found.rate:6.0f} {found.p50:7.1f} {found.p99:7.1f}"
        )
        if connections == 1:
            alone = found.p50
    print(f"p50 at c = 1: {alone:.1f} ms (aim: 65 or less)")


def measure_starvation(subject: Subject, body: Path, folder: Path) -> None:
    """Prefetch-only calls, alone and while 32 calls fetch."""
    given = write_given(folder / "given.json")
    alone, beside = [], []
    for _ in range(ROUNDS):
        alone.append(run(subject, given, 1))
        with ThreadPoolExecutor(1) as other:
            fetching = other.submit(load, subject, body, 32, SECONDS + 2)
            time.sleep(1)
            beside.append(run(subject, given, 1))
            fetching.result()
    one, two = middle(alone), middle(beside)
    print("\nprefetch only, c = 1     req/s    p50     p99 ms")
    for name, each in (("alone", one), ("beside 32 fetching", two)):
        print(f"  {name:<20} {each.rate:6.0f} {each.p50:7.1f} {each.p99:7.1f}")
    print(f"p99 beside 32 fetching calls: {two.p99 / one.p99:.1f} times (aim: 2)")


def measure_cost(subject: Subject, body: Path, given: Path, base: str) -> None:
    """CPU of a call: its chart fetched, brought along, and its queries made barely."""
    load(subject, body, 8, 2)
    found: dict[str, list[float]] = {"fetched": [], "brought": [], "barely": []}
    urls = queries_of(subject, base)
    with requests.Session() as session:
        for _ in range(ROUNDS):
            for name, sent in (("fetched", body), ("brought", given)):
                before = spent(worker_of(subject))
                took, _ = load(subject, sent, 8, SECONDS)
                found[name].append((spent(worker_of(subject)) - before) / len(took))
            found["barely"].append(ask_barely(urls, session))
    fetched, brought, barely = (statistics.median(each) for each in found.values())
    print("\nCPU of the worker                 ms a call")
    print(f"  whose chart is fetched           {fetched * 1000:7.2f}")
    print(f"  that brings everything along     {brought * 1000:7.2f}")
    print(f"the same {len(urls)} queries by requests    {barely * 1000:7.2f}")
    print(f"fetching, beside those queries: {(fetched - brought) / barely:.2f} times")


def queries_of(subject: Subject, base: str) -> list[str]:
    """The URLs that a call asks for."""
    with urlopen(f"http://127.0.0.1:{subject.port}/cds-services") as response:
        (service,) = json.load(response)["services"]
    filled = [
        each.replace("{{context.patientId}}", PATIENT)
        for each in service["prefetch"].values()
    ]
    return [f"{base}/{each}" for each in filled]


def ask_barely(urls: list[str], session: requests.Session) -> float:
    """Seconds of CPU for all of them, one after the other, by the shortest code."""
    begun, rounds = time.process_time(), 50
    for _ in range(rounds):
        for url in urls:
            session.get(url, timeout=30).json()
    return (time.process_time() - begun) / rounds


def spent(process: int) -> float:
    """Seconds of CPU of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_memory(subject: Subject, body: Path) -> None:
    """Resident memory of the worker after a thousand calls, and after all."""
    worker = worker_of(subject)
    made, after = 0, {}
    while made < CALLS:
        took, _ = load(subject, body, 8, SECONDS)
        made += len(took)
        if made >= 1_000 and not after:
            after[made] = resident(worker)
    after[made] = resident(worker)
    print("\nresident memory of the worker")
    for calls, mib in after.items():
        print(f"  after {calls:>6,} calls  {mib:7.1f} MiB")


def compare_pages(base: str) -> None:
    """A patient of many orders, beside a bare loop that only reads the pages."""
    ours, bare = [], []
    with open_pool() as pool, requests.Session() as session:
        for turn in range(ROUNDS + 1):
            begun = time.perf_counter()
            read = gather_orders(base, pool)
            middle = time.perf_counter()
            found = loop_orders(base, session)
            ended = time.perf_counter()
            if not read == found == ORDERS:
                sys.exit(f"{ORDERS} orders were expected, not {read} and {found}")
            if turn:
                ours.append(middle - begun)
                bare.append(ended - middle)
    one, two = statistics.median(ours) * 1000, statistics.median(bare) * 1000
    print(f"\n{ORDERS:,} orders over 50 pages: {one:.0f} ms")
    print(f"a bare loop of requests:     {two:.0f} ms, ratio {one / two:.2f}")


@contextmanager
def open_pool() -> Iterator[FhirPool]:
    """The connections, closed afterwards."""
    pool = FhirPool()
    try:
        yield pool
    finally:
        pool.close()


def gather_orders(base: str, pool: FhirPool) -> int:
    """How many orders our own reading finds."""
    query = SourceQuery(
        "orders",
        "medication_requests",
        "MedicationRequest?patient={{context.patientId}}",
    )
    asked = about(MANY, base)
    servers = [ListedServer(base, Reach.LOCAL)]
    reader = open_reader(asked, [], servers, pool, FhirLimits(pages=100))
    chart = gather([query], asked, reader, 60.0)
    return len(chart.sources["medication_requests"].resources)


def about(patient: str, base: str) -> HookRequest:
    """A call about the patient."""
    call = json.loads(build_body())
    call["context"] = {**call["context"], "patientId": patient}
    return parse_request({**call, "prefetch": {}, "fhirServer": base}, https_only=False)


def loop_orders(base: str, session: requests.Session) -> int:
    """How many orders the shortest possible loop finds."""
    url, found = f"{base}/MedicationRequest?patient={MANY}", 0
    while url:
        page = session.get(url, timeout=30).json()
        found += len(page["entry"])
        url = next((link["url"] for link in page.get("link", ())), "")
    return found


def run(subject: Subject, body: Path, connections: int) -> Measured:
    """One load, in numbers."""
    took, elapsed = load(subject, body, connections, SECONDS)
    cuts = statistics.quantiles(took, n=100)
    return Measured(len(took) / elapsed, cuts[49] * 1000, cuts[98] * 1000)


def middle(runs: list[Measured]) -> Measured:
    """The median of each number."""
    return Measured(
        statistics.median(each.rate for each in runs),
        statistics.median(each.p50 for each in runs),
        statistics.median(each.p99 for each in runs),
    )


def worker_of(subject: Subject) -> int:
    """The process that answers."""
    with urlopen(f"http://127.0.0.1:{subject.port}/health") as response:
        return int(json.load(response)["worker"])


def resident(process: int) -> float:
    """MiB of memory that a process holds."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
