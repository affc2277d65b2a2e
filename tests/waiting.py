"""Waiting for what happens outside of a test: in another process, or on the disk."""

import os
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import Any, TypeVar

Found = TypeVar("Found")

PATIENCE = int(os.environ.get("TEST_PATIENCE", "120"))
"""Seconds; only what hangs comes near, however busy the machine is. `make busy` takes
nearly all time away, and has more."""
PAUSE = 0.02
"""Seconds between two looks."""


def until(
    happened: Callable[[], Found],
    tell: Callable[[], object] = lambda: "it never happened",
    process: Popen[Any] | None = None,
) -> Found:
    """Return what *happened* gives once it gives something.

    Where *process* ends before that, or it takes longer than *PATIENCE*, the test fails
    with what *tell* says.
    """
    deadline = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert process is None or process.poll() is None, tell()
        assert time.monotonic() < deadline, tell()
        time.sleep(PAUSE)
    return found


def with_time_enough(
    attempt: Callable[[float], Found],
    sufficed: Callable[[Found], bool],
    seconds: float = 1.0,
) -> Found:
    """Return what *attempt* gives when it has as much time as suffices.

    For what must end for want of time although something else came in time: how long
    that takes is found, from *seconds* on and twice as long each time, not guessed.
    """
    while seconds < PATIENCE:
        if sufficed(found := attempt(seconds)):
            return found
        seconds *= 2
    raise AssertionError(f"{seconds / 2} seconds were not enough: {found}")


def breaks_no_rule(printed: str) -> bool:
    """Return whether the command ``call`` found nothing wrong with an answer, but for
    the half a second that it may take, which says how busy the machine is.
    """
    late = r"Violations of CDS Hooks \(1 note\):\n +note +Q-16 "
    return "No violation of CDS Hooks found." in printed or bool(
        re.search(late, printed)
    )


def is_running(process: int) -> bool:
    """Return whether a process, a child of ours or not, has not ended yet."""
    with suppress(OSError):
        state = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]
        return state != "Z"
    return False


def children_of(process: int) -> list[int]:
    """Return the processes that the main thread of another one started and that run."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(each) for each in listed.split()]


def running_in(group: int) -> list[int]:
    """Return the processes of a group that have not ended yet."""
    found = []
    for file in Path("/proc").glob("[1-9]*/stat"):
        with suppress(OSError):
            state, _, of = file.read_text().rpartition(") ")[2].split()[:3]
            if int(of) == group and state != "Z":
                found.append(int(file.parent.name))
    return found


def whole_lines(file: Path) -> list[str]:
    """Return the lines of a file but the one that is being written."""
    return file.read_text("utf-8").rpartition("\n")[0].splitlines()


def was_read(connection: socket.socket) -> bool:
    """Return whether the other end has taken in all that was sent, as Linux counts."""
    return [row[4] for row in _other_ends(connection)] == ["00000000:00000000"]


def was_closed(connection: socket.socket) -> bool:
    """Return whether the other end has closed, whether or not that has arrived here."""
    return "01" not in [row[3] for row in _other_ends(connection)]


def _other_ends(connection: socket.socket) -> list[list[str]]:
    """What Linux counts of the other end of a connection to this machine."""
    (_, here), (_, there) = connection.getsockname(), connection.getpeername()
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table]
    return [
        row
        for row in rows
        if row[1].endswith(f":{there:04X}") and row[2].endswith(f":{here:04X}")
    ]
