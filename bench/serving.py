"""Servers that are measured, each with one worker, for as long as a block lasts."""

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from .content import SERVICE

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
THREADS = 8
PATH = f"/cds-services/{SERVICE}"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Subject:
    """One server that is measured."""

    name: str
    port: int


def print_conditions(body: Path) -> None:
    """Say what is measured, on what."""
    load = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {load:.1f}")
    print(f"body {body.stat().st_size} bytes, one card out; gunicorn, 1 worker")
    print(
        f"{ROUNDS} rounds of {SECONDS:g} s, alternating; the client is Python as well"
    )


@contextmanager
def serve(
    app: str,
    settings: Mapping[str, str],
    public_url: str = "",
    threads: int = THREADS,
) -> Iterator[tuple[int, int]]:
    """The port and process of *app* under gunicorn."""
    port = find_port()
    command = [sys.executable, "-m", "gunicorn", app]
    command += ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--keep-alive", "60"]
    command += ["--no-control-socket"]
    command += ["--worker-class", "gthread", "--threads", str(threads)]
    url = public_url or f"http://127.0.0.1:{port}"
    with running(command, {**settings, "CDS_PUBLIC_URL": url}, port) as process:
        yield port, process


@contextmanager
def serve_product(settings: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """The port and process of ``cds-service serve``."""
    port = find_port()
    command = [sys.executable, "-m", "cds_service.cli", "serve"]
    with running(command, {**settings, "CDS_PORT": str(port)}, port) as process:
        yield port, process


@contextmanager
def running(
    command: Sequence[str], settings: Mapping[str, str], port: int
) -> Iterator[int]:
    """The process of a command that listens on the port and ends with the block."""
    with tempfile.TemporaryFile() as log:
        environment = {**os.environ, **settings}
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            if not is_open(port, process):
                log.seek(0)
                sys.exit(f"{command} did not start:\n{log.read().decode()}")
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def find_port() -> int:
    """A port that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def is_open(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Whether somebody is let in at last."""
    for _ in range(1200):
        if process.poll() is not None:
            return False
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        time.sleep(0.1)
    return False


def spent(process: int) -> float:
    """Seconds of CPU that a process and all that it started and that run have spent."""
    of_itself = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ticks = int(of_itself[11]) + int(of_itself[12])
    return ticks / TICKS + sum(spent(int(each)) for each in children)


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


def start(told: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    """Start ``bench/trusted_load.py``, which is told what to ask how often."""
    command = [sys.executable, "-m", "bench.trusted_load"]
    with tempfile.TemporaryFile() as given:
        given.write(json.dumps(told).encode())
        given.seek(0)
        return subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes], name: str) -> dict[str, Any]:
    """What it tells once it has ended: how long each request took, and all together."""
    output, _ = process.communicate()
    result: dict[str, Any] = json.loads(output)
    if result["bad"]:
        sys.exit(f"{name} was answered wrongly: {result['bad'][0]}")
    return result
