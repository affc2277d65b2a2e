"""Long work of the workbench, by processes beside this one and at the lowest priority.

Tests and mutants of a rule take seconds to minutes. They are run by the command line as
an author runs it, so that no thread that answers EHRs waits for them, and what is said
is the same.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ...audit import build_workbench_event
from ...decision import World
from ...store.records import StoreError
from ...store.workbench.runs import DONE, FAILED, RUNNING, WorkbenchRun
from ...store.workbench.sessions import WorkbenchSession

LONGEST_RESULT = 400_000
"""Characters of what a run says that are kept."""
BEAT = 1.0
"""Seconds between two looks whether a run is still wanted."""
LONGEST = 1800.0
"""Seconds that a run may take."""
COMPARES = 30.0
"""Seconds that a comparison may take while somebody waits for its page."""
LOW, LOWEST = 5, 19
"""Priorities: of what somebody waits for, and of what they look at later."""
KINDS: Mapping[str, Sequence[str]] = {"tests": (), "mutants": ("--mutate",)}
"""What may be run of a rule, and what that adds to the command."""


@dataclass(frozen=True, slots=True)
class RuleRun:
    """What is to be run, and who asked for it."""

    kind: str
    rule: str
    file: str
    """In the rules folder."""
    session: WorkbenchSession


def begin_run(asked: RuleRun, world: World) -> int:
    """Return the number of a run that has begun; 0 where something else runs."""
    now, session = world.clock(), asked.session
    told = {"ran": asked.kind, "rule": asked.rule}
    event = build_workbench_event(now, "view", session.subject, told)
    node = socket.gethostname()
    run = WorkbenchRun(
        0, session.subject, asked.rule, asked.kind, RUNNING, node, now, None, ""
    )
    number = world.store.runs.begin(run, session.key_hash, event)
    if number:
        work = Supervisor(number, asked, world)
        threading.Thread(target=work.run, name="workbench run", daemon=True).start()
    return number


class Supervisor:
    """Looks after the process of one run."""

    def __init__(self, number: int, asked: RuleRun, world: World) -> None:
        self._number = number
        self._asked = asked
        self._world = world

    def run(self) -> None:
        """Run it, and say what came of it."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
            try:
                state, result = self._run(out, said)
            except OSError as error:
                state, result = FAILED, f"it cannot be run here: {error.strerror}"
        with suppress(StoreError):
            end = self._world.store.runs.end
            end(self._number, state, result[:LONGEST_RESULT], self._world.clock())

    def _run(self, out: IO[bytes], said: IO[bytes]) -> tuple[str, str]:
        folder = self._world.config.rules
        words = ["test", str(folder / self._asked.file), "--format", "json"]
        words += KINDS[self._asked.kind]
        with start_beside(words, out, said, LOWEST) as process:
            if not self._await(process):
                process.kill()
                return FAILED, f"it took longer than {LONGEST / 60:.0f} minutes"
        if process.returncode in (0, 1):
            result = _read(out)
            if len(result) > LONGEST_RESULT:
                return FAILED, f"its output has more than {LONGEST_RESULT:,} characters"
            return DONE, result
        return FAILED, _read(said).strip().rpartition("\n")[2] or "it ended early"

    def _await(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait for the process; False where nobody wants it any more."""
        waited = 0.0
        while waited < LONGEST:
            with suppress(subprocess.TimeoutExpired):
                process.wait(BEAT)
                return True
            waited += BEAT
            try:
                if not self._world.store.runs.beat(self._number, self._world.clock()):
                    return False
            except StoreError:
                continue
        return False


def start_beside(
    words: Sequence[str], out: IO[bytes], said: IO[bytes], priority: int
) -> subprocess.Popen[bytes]:
    """Return a process of this very program, whose turn comes after all others."""
    # It needs no setting of the server, and has none of its secrets.
    environment = {name: e for name, e in os.environ.items() if name[:4] != "CDS_"}
    process = subprocess.Popen(  # nosec B603 # this program, no shell, words of ours
        [sys.executable, "-m", "cds_service.cli", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=said,
        start_new_session=True,
    )
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, priority)
    return process


def compare_published(
    old: Mapping[str, str], new: Mapping[str, str]
) -> Mapping[str, Any] | None:
    """Return what ``cds-service diff`` says of two rulebooks; None if it says nothing.

    Args:
        old: Path to text, as it was published.
    """
    with tempfile.TemporaryDirectory() as home:
        folders = [Path(home, name) for name in ("old", "new")]
        for folder, texts in zip(folders, (old, new), strict=True):
            _write(folder, texts)
        words = ["diff", *map(str, folders), "--format", "json"]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
            with start_beside(words, out, said, LOW) as process:
                try:
                    process.wait(COMPARES)
                except subprocess.TimeoutExpired:
                    process.kill()
                    return None
            if process.returncode not in (0, 1):
                return None
            told: Mapping[str, Any] = json.loads(_read(out))
            return told


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    for path, text in texts.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


def _read(written: IO[bytes]) -> str:
    written.seek(0)
    return written.read().decode("utf-8", "replace")
