"""The server as a child process, for the demo."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from ...ehr.exchange import Unanswered

START = 60
"""Seconds that a start may take on a busy machine."""
USUAL_PORT = 8080
LISTENING = b"Listening at: "
"""What gunicorn logs once the port is its own."""


@contextmanager
def serve_as_child(settings: Mapping[str, str], log: Path, base: str) -> Iterator[None]:
    """`cds-service serve` with *settings*, ready, for as long as the block lasts.

    Raises:
        Unanswered: if it does not come up, with what it said last.
    """
    inherited = {
        name: value for name, value in os.environ.items() if name[:4] != "CDS_"
    }
    with log.open("wb") as output:
        process = subprocess.Popen(  # nosec B603 # this program, no shell
            [sys.executable, "-m", "cds_service.cli", "serve"],
            env={**inherited, **settings},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, base, log)
        yield
    finally:
        process.terminate()
        process.wait()


def choose_port() -> int:
    """``CDS_PORT``; without it the usual port, or a free one where that is taken.

    Raises:
        Unanswered: if the port that was asked for is taken.
    """
    wanted = os.environ.get("CDS_PORT", "")
    if not wanted:
        return _free(USUAL_PORT) or _free(0) or 0
    if not wanted.isdigit() or not _free(int(wanted)):
        raise Unanswered(f"CDS_PORT={wanted} cannot be used; name a free port.")
    return int(wanted)


def _free(port: int) -> int | None:
    """The port if it can be bound; any free one for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return None
        bound: int = probe.getsockname()[1]
        return bound


def _wait_until_ready(process: subprocess.Popen[bytes], base: str, log: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Unanswered(f"The server did not start:\n{_last_words(log)}")
        # Before that, whoever answers is another server that was quicker.
        if LISTENING in log.read_bytes():
            with suppress(requests.ConnectionError):
                ready = requests.get(f"{base}/health/ready", timeout=START)
                if ready.status_code == 200:
                    return
        time.sleep(0.1)
    raise Unanswered(f"The server was not ready in {START} s:\n{_last_words(log)}")


def _last_words(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return "\n".join(lines[-30:])
