"""However a run of the tests is started, what it starts hears what ends it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1]
ENDING = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
PATIENCE = 120


@pytest.mark.parametrize("number", ENDING)
def test_a_program_that_a_test_starts_hears_the_signal(number: signal.Signals) -> None:
    program = f"import os, signal; os.kill(os.getpid(), {int(number)}); print('deaf')"

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert (done.returncode, done.stdout) == (-number, "")


@pytest.mark.slow
def test_a_program_hears_it_in_a_run_that_itself_ignores_it() -> None:
    """As of a run that a script starts in the background."""
    tests = f"{__file__}::{test_a_program_that_a_test_starts_hears_the_signal.__name__}"
    run = 'trap "" INT QUIT TERM; exec "$@"'

    done = subprocess.run(
        ["sh", "-c", run, "sh", sys.executable, "-m", "pytest", "-q", tests],
        cwd=HOME,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert f"{len(ENDING)} passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
