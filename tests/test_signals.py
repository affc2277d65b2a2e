"""However a run of the tests starts and ends, what it starts hears what ends it."""

import os
import select
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from .waiting import PATIENCE, until

HOME = Path(__file__).parents[1]
ENDING = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


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


STARTS = """
import subprocess, time

def test_that_never_ends():
    deaf = "trap '' INT QUIT TERM HUP; sleep 1000 & echo $PPID $$ $! > started; wait"
    subprocess.Popen(["sh", "-c", deaf], start_new_session=True)
    time.sleep(1000)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("workers", ["0", "1"])
def test_nothing_that_a_run_started_outlives_it(
    tmp_path: Path, number: signal.Signals, workers: str
) -> None:
    """Neither a worker, a child that went its own way, nor what that has started."""
    tests, started = tmp_path / "test_starts.py", tmp_path / "started"
    tests.write_text(STARTS, "utf-8")
    plain = ("-p", "tests.conftest", "-c", os.devnull, f"--rootdir={tmp_path}")
    command = [sys.executable, "-m", "pytest", *plain, "-n", workers, tests]
    with (
        subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(HOME)},
            stdout=subprocess.DEVNULL,
        ) as run,
        ExitStack() as opened,
    ):
        until(lambda: started.exists() and started.read_text(), process=run)
        handles = [os.pidfd_open(int(each)) for each in started.read_text().split()]
        for each in handles:
            opened.callback(os.close, each)

        run.send_signal(number)

        assert [select.select([each], [], [], PATIENCE)[0] for each in handles] == [
            [each] for each in handles
        ], "it lives on"
