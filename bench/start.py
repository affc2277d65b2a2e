"""``python -m bench start``: what it costs to begin, in seconds of CPU.

All processes that a command starts are counted, from its first line to its last. A
start is a whole ``cds-service serve`` of one worker, ended as soon as it has answered;
or four seconds later, when the watcher that starts beside it has read the folder as
well. Beside each figure stands its ratio to importing Flask and SQLAlchemy, which says
the same on any machine.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .content import write_rules
from .reload import settings_for, wait_for_port

RULES = int(os.environ.get("BENCH_RULES", "1000"))
CHECKED = int(os.environ.get("BENCH_CHECKED", "1500"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SETTLED = 4.0
"""Seconds after the first answer."""
CLI = (sys.executable, "-m", "cds_service.cli")
LIBRARIES = (sys.executable, "-c", "import flask, sqlalchemy")
APP = (sys.executable, "-c", "import cds_service.app")


def main() -> None:
    """Measure and print."""
    libraries = least(LIBRARIES)
    print("s of CPU, and as a ratio to importing Flask and SQLAlchemy")
    tell("Flask and SQLAlchemy", libraries, libraries)
    tell("import of the app", least(APP), libraries)
    tell("cds-service --help", least((*CLI, "--help")), libraries, aim=0.4)
    with tempfile.TemporaryDirectory(prefix="cds-bench-") as name:
        folder = Path(name)
        rules = write_rules(folder / "rules", RULES)
        settings = settings_for(folder, rules)
        first = start(settings, folder / "log")
        tell(f"first start, {RULES:,} rules", first, libraries, aim=15)
        again = min(start(settings, folder / "log") for _ in range(3))
        tell("again, rules unchanged", again, libraries, aim=3)
        whole = min(start(settings, folder / "log", SETTLED) for _ in range(3))
        tell(f"with its watcher, {SETTLED:g} s later", whole, libraries)
        many = write_rules(folder / "many", CHECKED)
        checked = spend((*CLI, "check", str(many)))
        tell(f"check of {CHECKED:,} rules", checked, libraries, aim=20)


def tell(what: str, seconds: float, libraries: float, aim: float = 0.0) -> None:
    """Print one figure."""
    wanted = f" (aim: less than {aim:g} s)" if aim else ""
    print(f"  {what:<30} {seconds:7.2f} s  {seconds / libraries:6.1f}{wanted}")


def least(command: Sequence[str]) -> float:
    """The least that a command takes in some rounds."""
    return min(spend(command) for _ in range(ROUNDS))


def spend(command: Sequence[str]) -> float:
    """What a command takes that ends by itself."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    return wait(process)


def start(settings: Mapping[str, str], log: Path, settled: float = 0.0) -> float:
    """What a server takes until it answers, or so many seconds longer, and to end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            (*CLI, "serve"), env=settings, stdout=output, stderr=output
        )
    wait_for_port(log, process)
    time.sleep(settled)
    process.terminate()
    return wait(process)


def wait(process: "subprocess.Popen[bytes]") -> float:
    """Seconds of CPU of a process and all that it has waited for."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{process.args!r} failed")
    return used.ru_utime + used.ru_stime
