"""Ends what a run of the tests started and left, however that run has ended.

What a run starts has a mark in its environment, and so has what is started from there.
Beside the run waits this program, at a pipe that closes when the run is no more, be it
killed. (A process that the run was just about to start holds the pipe open until it is
another program, and then it has the mark.)
"""

import os
import select
import signal
import subprocess
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

MARK = "OF_TEST_RUN"


def keep_watch(environ: MutableMapping[str, str]) -> subprocess.Popen[bytes]:
    """Return the program that waits, and have what is started with *environ* marked."""
    others = {name: each for name, each in environ.items() if name != MARK}
    environ[MARK] = str(uuid4())
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, environ[MARK]],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=others,
        start_new_session=True,
    )


def end_all(mark: str) -> None:
    """Kill what has the mark, until nothing has it."""
    entry = f"{MARK}={mark}".encode()
    while any([_end(each, entry) for each in Path("/proc").glob("[1-9]*")]):
        pass


def _end(folder: Path, entry: bytes) -> bool:
    """Return whether the process had the entry in its environment; it has ended then.

    A handle is taken before the look, for a number may soon be another process's.
    """
    with suppress(OSError):
        handle = os.pidfd_open(int(folder.name))
        try:
            marked = entry in (folder / "environ").read_bytes().split(b"\0")
            if marked:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                select.select([handle], [], [])
            return marked
        finally:
            os.close(handle)
    return False


if __name__ == "__main__":
    sys.stdin.read()
    end_all(sys.argv[1])
