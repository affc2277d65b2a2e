"""Calls: this server beside a bare Flask app, both under gunicorn.

One gthread worker each, the same settings, trust off, recording on, loopback. Both get
the same body of about 26 kB; the bare app returns the very card that this server gave.
Runs alternate, so that a noisy machine is noisy to both, and medians are printed.
"""

import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from .content import SERVICE, build_body, write_rules

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
THREADS = 8
PATH = f"/cds-services/{SERVICE}"


@dataclass
class Subject:
    """One server that is measured, and what was measured so far."""

    name: str
    port: int
    rates: dict[int, list[float]] = field(default_factory=dict)
    """Connections to requests a second, one a round."""
    quantiles: dict[int, list[tuple[float, float, float]]] = field(default_factory=dict)
    """Connections to p50, p95, p99 in milliseconds, one a round."""

    def rate(self, connections: int) -> float:
        """Median requests a second."""
        return statistics.median(self.rates[connections])

    def quantile(self, connections: int, place: int) -> float:
        """Median over the rounds of p50 (0), p95 (1) or p99 (2)."""
        return statistics.median(each[place] for each in self.quantiles[connections])


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="cds-bench-") as name:
        folder = Path(name)
        body = folder / "body.json"
        body.write_bytes(build_body())
        print_conditions(body)
        with serve_rules(folder, 10) as ten, serve_rules(folder, 1000) as thousand:
            answer = folder / "answer.json"
            answer.write_bytes(ask_once(ten.port, body.read_bytes()))
            with serve(
                "bench.bare:create_app()", {"BENCH_ANSWER": str(answer)}
            ) as port:
                bare = Subject("bare Flask", port)
                subjects = [bare, ten, thousand]
                measure(subjects, body)
                print_results(bare, ten, thousand)


def print_conditions(body: Path) -> None:
    """Say what is measured, on what."""
    load = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {load:.1f}")
    print(f"body {body.stat().st_size} bytes, one card out; gunicorn gthread, 1 worker")
    print(
        f"{ROUNDS} rounds of {SECONDS:g} s, alternating; client: bench/load.py (Python)"
    )


@contextmanager
def serve_rules(folder: Path, count: int) -> Iterator[Subject]:
    """This server with *count* generated rules on a database of its own."""
    rules = write_rules(folder / f"rules-{count}", count)
    settings = {
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_RULES": str(rules),
        "CDS_DATABASE_URL": f"sqlite:///{folder / f'{count}.sqlite'}",
        "CDS_WEARABLES_CONSENT": "assumed",
    }
    with serve("cds_service.app:create_app()", settings) as port:
        yield Subject(f"cds-service, {count:,} rules", port)


@contextmanager
def serve(
    app: str,
    settings: dict[str, str],
    public_url: str = "",
    threads: int = THREADS,
) -> Iterator[int]:
    """The port of *app*, served by gunicorn for as long as the block lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", app]
    command += ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--keep-alive", "60"]
    command += ["--no-control-socket"]
    command += ["--worker-class", "gthread", "--threads", str(threads)]
    environment = {
        **os.environ,
        **settings,
        "CDS_PUBLIC_URL": public_url or f"http://127.0.0.1:{port}",
    }
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_until_open(port, process)
            yield port
        except ServerFailed:
            log.seek(0)
            sys.exit(f"{app} did not start:\n{log.read().decode()}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


class ServerFailed(Exception):
    """A measured server did not come up."""


def wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the server answers anything at all."""
    for _ in range(600):
        if process.poll() is not None:
            raise ServerFailed
        try:
            with urlopen(f"http://127.0.0.1:{port}/health/live", timeout=10):
                return
        except HTTPError as error:
            error.close()
            return
        except OSError:
            pass  # not yet
        time.sleep(0.1)
    raise ServerFailed


def ask_once(port: int, body: bytes) -> bytes:
    """The answer to one call, which must hold one card."""
    url = f"http://127.0.0.1:{port}{PATH}"
    request = Request(url, body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as response:
        answer: bytes = response.read()
    cards = json.loads(answer)["cards"]
    if len(cards) != 1:
        sys.exit(f"one card was expected, not {len(cards)}: {cards}")
    return answer


def measure(subjects: list[Subject], body: Path) -> None:
    """Load each subject in turn, round after round, after a warm-up of each."""
    for subject in subjects:
        load(subject, body, 1, 2)
    for _ in range(ROUNDS):
        for connections in (1, 8):
            for subject in subjects:
                took, elapsed = load(subject, body, connections, SECONDS)
                cuts = statistics.quantiles(took, n=100)
                rates = subject.rates.setdefault(connections, [])
                rates.append(len(took) / elapsed)
                quantiles = subject.quantiles.setdefault(connections, [])
                quantiles.append((cuts[49] * 1000, cuts[94] * 1000, cuts[98] * 1000))


def load(
    subject: Subject, body: Path, connections: int, seconds: float
) -> tuple[list[float], float]:
    """How long each request took, and all of them together."""
    command = [sys.executable, "-m", "bench.load", str(subject.port), PATH, str(body)]
    command += [str(connections), str(seconds)]
    run = subprocess.run(command, check=True, capture_output=True)
    result = json.loads(run.stdout)
    if result["bad"]:
        sys.exit(f"{subject.name} answered wrongly: {result['bad'][0]}")
    return result["took"], result["elapsed"]


def print_results(bare: Subject, ten: Subject, thousand: Subject) -> None:
    """The table, and the ratios that matter."""
    for connections in (1, 8):
        print(f"\nc = {connections:<26} req/s   p50    p95    p99 ms")
        for subject in (bare, ten, thousand):
            cuts = (f"{subject.quantile(connections, at):6.1f}" for at in range(3))
            rate = f"{subject.rate(connections):7.0f}"
            print(f"  {subject.name:<26} {rate} {' '.join(cuts)}")
    print()
    for connections in (1, 8):
        share = ten.rate(connections) / bare.rate(connections)
        print(f"req/s beside bare, c = {connections}: {share:.2f} (aim: 0.6 or more)")
    tail = ten.quantile(8, 2) / bare.quantile(8, 2)
    print(f"p99 beside bare, c = 8: {tail:.2f} (aim: 2 or less)")
    cost = thousand.quantile(1, 0) / ten.quantile(1, 0)
    print(f"1,000 rules beside 10, p50 at c = 1: {cost:.2f} (aim: 1.5 or less)")
