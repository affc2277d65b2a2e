"""Calls: the shipped configuration beside bare Flask apps, and beside their ceiling.

This server is started as it is shipped: ``cds-service serve`` with the shipped rules,
signed tokens that are each good for one call, Consents required, everything recorded.
Beside it are bare Flask apps that parse the same body and give the same answer, one of
which records a row a call: what any server takes that can account for what it showed.
Each on SQLite and on PostgreSQL, both of which wait for the disk.

Runs alternate, so that a noisy machine is noisy to all. What is printed are ratios of
one round, of which the medians are taken: of requests a second, and of the CPU that the
server's processes took for each; what PostgreSQL takes by itself is not in it.
"""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import Request, urlopen

import orjson

from tests.postgresql import running_server

from .content import SHIPPED
from .patients import PATH, PATIENTS, PUBLIC, Signer, build_body, fill
from .serving import (
    ROUNDS,
    SECONDS,
    finish,
    print_conditions,
    serve,
    serve_product,
    spent,
    start,
)

CONNECTIONS = (1, 8)
TOKENS = 3000
"""Made for a run at most; it ends early where they are spent."""
WARM = 3 * PATIENTS
"""Calls before anything is measured: each patient has had cards before."""
AIM = 0.45
"""Of the ceiling, at eight connections."""


@dataclass
class Subject:
    """One server that is measured, and what was measured so far."""

    name: str
    port: int
    process: int
    once: bool = True
    """Whether a token is good for one call."""
    rates: dict[int, list[float]] = field(default_factory=dict)
    """By connections: requests a second of each round."""
    costs: dict[int, list[float]] = field(default_factory=dict)
    """By connections: milliseconds of CPU for each request."""
    tails: dict[int, list[float]] = field(default_factory=dict)
    """By connections: the 99th percentile in milliseconds."""


def main() -> None:
    """Measure and print."""
    with ExitStack() as opened:
        folder = Path(
            opened.enter_context(tempfile.TemporaryDirectory(prefix="cds-bench-"))
        )
        server = opened.enter_context(running_server(fsync="on"))
        server.template()
        urls = {
            "SQLite": f"sqlite:///{folder / 'shipped.sqlite'}",
            "PostgreSQL": server.url(server.create()),
        }
        signer = Signer()
        signer.write_clients(folder / "clients.yaml")
        shipped = [
            opened.enter_context(serve_shipped(name, url, folder))
            for name, url in urls.items()
        ]
        body = write_body(folder, shipped[0], signer)
        bare = {"": "", "SQLite": str(folder / "bare.sqlite")}
        bare["PostgreSQL"] = server.url(server.create())
        yardsticks = [
            opened.enter_context(serve_bare(name, url, folder))
            for name, url in bare.items()
        ]
        print_conditions(body)
        measure([*yardsticks, *shipped], body, signer)
        print_results(yardsticks, shipped)


@contextmanager
def serve_shipped(name: str, url: str, folder: Path) -> Iterator[Subject]:
    """This server as it is shipped, with patients in its database."""
    fill(url, datetime.now(UTC))
    settings = {
        "CDS_RULES": str(SHIPPED),
        "CDS_CLIENTS_FILE": str(folder / "clients.yaml"),
        "CDS_PUBLIC_URL": PUBLIC,
        "CDS_DATABASE_URL": url,
    }
    with serve_product(settings) as (port, process):
        yield Subject(f"cds-service, {name}", port, process)


@contextmanager
def serve_bare(name: str, database: str, folder: Path) -> Iterator[Subject]:
    """A yardstick."""
    settings = {
        "BENCH_ANSWER": str(folder / "answer.json"),
        "BENCH_DATABASE": database,
    }
    told = f"a row a call, {name}" if name else "bare Flask"
    with serve("bench.bare:create_app()", settings) as (port, process):
        yield Subject(told, port, process, once=False)


def write_body(folder: Path, shipped: Subject, signer: Signer) -> Path:
    """The file of what all are asked; beside it one with what they answer."""
    base = f"http://127.0.0.1:{shipped.port}"
    services = orjson.loads(ask(Request(f"{base}/cds-services")))["services"]
    (folder / "body.json").write_bytes(build_body(services, datetime.now(UTC)))
    (token,) = signer.tokens(1)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = (folder / "body.json").read_bytes()
    (folder / "answer.json").write_bytes(ask(Request(base + PATH, body, headers)))
    return folder / "body.json"


def ask(request: Request) -> bytes:
    """What is answered."""
    with urlopen(request, timeout=60) as response:
        answer: bytes = response.read()
    return answer


def measure(subjects: Sequence[Subject], body: Path, signer: Signer) -> None:
    """Load each subject in turn, round after round, after a warm-up of each."""
    for subject in subjects:
        load(subject, body, signer.tokens(WARM), 8, 60 if subject.once else 1)
    for _ in range(ROUNDS):
        for connections in CONNECTIONS:
            for subject in subjects:
                tokens, before = signer.tokens(TOKENS), spent(subject.process)
                took, elapsed = load(subject, body, tokens, connections, SECONDS)
                cost = (spent(subject.process) - before) / len(took) * 1000
                subject.costs.setdefault(connections, []).append(cost)
                subject.rates.setdefault(connections, []).append(len(took) / elapsed)
                tail = statistics.quantiles(took, n=100)[98] * 1000
                subject.tails.setdefault(connections, []).append(tail)


def load(
    subject: Subject, body: Path, tokens: list[str], connections: int, seconds: float
) -> tuple[list[float], float]:
    """How long each request took, and all of them together."""
    told = {
        "port": subject.port,
        "path": PATH,
        "body": str(body),
        "tokens": tokens,
        "again": not subject.once,
        "connections": connections,
        "seconds": seconds,
        "status": "200",
        "rate": 0,
        "patients": PATIENTS,
    }
    result = finish(start(told), subject.name)
    return result["took"], result["elapsed"]


def print_results(yardsticks: Sequence[Subject], shipped: Sequence[Subject]) -> None:
    """The table, and the ratios that matter."""
    bare, *ceilings = yardsticks
    for connections in CONNECTIONS:
        print(f"\nc = {connections:<25} req/s   of bare   CPU ms   of bare's   p99 ms")
        for subject in (*yardsticks, *shipped):
            rate = statistics.median(subject.rates[connections])
            cost = statistics.median(subject.costs[connections])
            tail = statistics.median(subject.tails[connections])
            share = ratio(subject.rates, bare.rates, connections)
            costs = ratio(subject.costs, bare.costs, connections)
            print(
                f"  {subject.name:<25} {rate:7.0f} {share:9.2f} {cost:8.2f}"
                f" {costs:11.2f} {tail:8.1f}"
            )
    print("\nbeside the ceiling, a bare app that records a row a call:")
    for ceiling, subject in zip(ceilings, shipped, strict=True):
        for connections in CONNECTIONS:
            share = ratio(subject.rates, ceiling.rates, connections)
            cost = ratio(ceiling.costs, subject.costs, connections)
            aim = f" (aim: {AIM} or more)" if connections == CONNECTIONS[-1] else ""
            print(
                f"  {subject.name}, c = {connections}: {share:.2f} of its req/s{aim},"
                f" {cost:.2f} by CPU"
            )


def ratio(
    some: dict[int, list[float]], others: dict[int, list[float]], connections: int
) -> float:
    """The median over the rounds of one figure beside another."""
    pairs = zip(some[connections], others[connections], strict=True)
    return statistics.median(one / other for one, other in pairs)
