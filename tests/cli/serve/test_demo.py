"""What the demo and `call` say where they cannot do what they are asked."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ...waiting import PATIENCE

HOME = Path(__file__).parents[3]


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = {name: each for name, each in os.environ.items() if name[:4] != "CDS_"}
    return subprocess.run(
        [sys.executable, "-m", "cds_service.cli", *arguments],
        env={**environ, **settings},
        cwd=HOME,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_a_port_that_is_taken_is_said_in_one_sentence() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])

        done = run("demo", "--once", CDS_PORT=port)

    assert done.returncode == 1
    assert done.stderr == (
        f"Error: CDS_PORT={port} cannot be used; name a free port.\n"
    )


@pytest.mark.parametrize("case", ["fires", "silent"])
def test_call_says_what_it_cannot_reach(case: str) -> None:
    folder = str(HOME / "fixtures" / "patient-view" / case)

    done = run("call", "wearable-review", folder, "--base", "http://127.0.0.1:9")

    assert done.returncode == 2
    assert "Nothing answers" in done.stderr
    assert "Traceback" not in done.stderr


def test_call_wants_a_folder_that_is_there() -> None:
    done = run("call", "wearable-review", "nowhere")

    assert done.returncode == 2
