"""``python -m bench reload``: 1,000 rules swapped while calls are answered.

A real ``cds-service serve`` with one worker and its watcher, eight connections that ask
without a pause. Two states of the folder that passed before take turns, so that what is
measured is the swap; a third, new one is then tested while calls are answered. A window
lasts from the write of the file to the last swap.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.request import urlopen

from .content import SERVICE, SITE, build_body, write_rules

RULES = int(os.environ.get("BENCH_RULES", "1000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
BEFORE = 5.0
"""Seconds of load before a file is written."""
SWAP = 25.0
TEST = 90.0
"""Seconds of load after that; longer than it takes."""
CONNECTIONS = 8
PATH = f"/cds-services/{SERVICE}"


@dataclass
class Windows:
    """Milliseconds of the calls that ended in each window."""

    before: list[float] = field(default_factory=list)
    during: list[float] = field(default_factory=list)
    failed: int = 0
    swaps: list[float] = field(default_factory=list)
    """Seconds from each publication to the swap."""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="cds-bench-") as name:
        folder = Path(name)
        rules = write_rules(folder / "rules", RULES)
        body = folder / "body.json"
        body.write_bytes(build_body())
        settings = settings_for(folder, rules)
        for state in ("A", "B"):
            write_state(rules, state)
            publish(settings)
        with serve(settings, folder / "log") as port:
            load(port, body, 2)
            swapped = Windows()
            for number in range(ROUNDS):
                state = "AB"[number % 2]
                measure(port, body, rules, state, SWAP, folder / "log", swapped)
            tested = Windows()
            measure(port, body, rules, "C", TEST, folder / "log", tested)
    print(f"{RULES:,} rules, {CONNECTIONS} connections, {os.cpu_count()} CPUs")
    report("swap of rules that passed before", swapped)
    report("new rules, tested meanwhile", tested)


def settings_for(folder: Path, rules: Path) -> dict[str, str]:
    """The environment of the server."""
    return {
        **os.environ,
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_RULES": str(rules),
        "CDS_DATABASE_URL": f"sqlite:///{folder / 'store.sqlite'}",
        "CDS_PORT": "0",
        "CDS_THREADS": str(CONNECTIONS),
    }


def write_state(rules: Path, state: str) -> None:
    """Another digest, the same meaning."""
    (rules / "site.yaml").write_text(f"{SITE}# {state}\n")


def publish(settings: dict[str, str]) -> None:
    """Test the rules, so that their verdict is known."""
    command = [sys.executable, "-m", "cds_service.cli", "publish"]
    subprocess.run(command, env=settings, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def serve(settings: dict[str, str], log: Path) -> Iterator[int]:
    """The port of the server, for as long as the block lasts."""
    command = [sys.executable, "-m", "cds_service.cli", "serve"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=settings, stdout=output, stderr=output)
    try:
        yield wait_for_port(log, process)
    finally:
        process.terminate()
        process.wait()


def wait_for_port(log: Path, process: subprocess.Popen[bytes]) -> int:
    """The port, once calls are answered."""
    while process.poll() is None:
        found = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text())
        if found:
            with urlopen(f"http://127.0.0.1:{found[1]}/health", timeout=60):
                return int(found[1])
        time.sleep(0.1)
    sys.exit(f"the server did not start:\n{log.read_text()}")


def load(port: int, body: Path, seconds: float) -> "subprocess.Popen[bytes]":
    """Ask without a pause for so long; waits where that is short."""
    command = [sys.executable, "-m", "bench.load", str(port), PATH, str(body)]
    command += [str(CONNECTIONS), str(seconds)]
    client = subprocess.Popen(command, stdout=subprocess.PIPE)
    if seconds < BEFORE:
        client.communicate()
    return client


def measure(
    port: int,
    body: Path,
    rules: Path,
    state: str,
    seconds: float,
    log: Path,
    windows: Windows,
) -> None:
    """One change of the rules under load."""
    time.sleep(3)
    begun = time.time()
    client = load(port, body, BEFORE + seconds)
    time.sleep(BEFORE)
    written = time.time()
    write_state(rules, state)
    result = json.loads(client.communicate()[0])
    published, swapped = (
        last(log, event) for event in ("rulebook published", "rulebook swapped")
    )
    if not written < published < swapped:
        sys.exit(f"the rules were not swapped within {seconds:g} s")
    windows.swaps.append(swapped - published)
    windows.failed += result["failed"]
    for ended, took in zip(result["ended"], result["took"], strict=True):
        if begun + 1 < ended < written:
            windows.before.append(took * 1000)
        elif written <= ended - took and ended <= swapped + took:
            windows.during.append(took * 1000)


def last(log: Path, event: str) -> float:
    """When an event was logged last, in seconds since the epoch."""
    lines = [line for line in log.read_text().splitlines() if f'"{event}"' in line]
    at = json.loads(lines[-1])["time"] if lines else "1970-01-01T00:00:00Z"
    return datetime.fromisoformat(at).timestamp()


def report(name: str, windows: Windows) -> None:
    """The percentiles before and during, and their ratio."""
    print(f"\n{name}; published to swapped: {max(windows.swaps):.2f} s at most")
    tails = []
    for window, took in (("before", windows.before), ("during", windows.during)):
        cuts = statistics.quantiles(took, n=100)
        tails.append(cuts[98])
        print(
            f"  {window:<7} {len(took):6} calls, p50 {cuts[49]:6.1f} ms,"
            f" p99 {cuts[98]:6.1f} ms, longest {max(took):6.1f} ms"
        )
    print(f"  p99 during / before: {tails[1] / tails[0]:.2f} (aim: 2 or less)")
    print(f"  calls that failed: {windows.failed} (aim: 0)")
