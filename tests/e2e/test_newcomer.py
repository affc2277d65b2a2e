"""A fresh clone, and nothing in it but what is committed: the main job is played."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from ..waiting import PATIENCE, until

pytestmark = pytest.mark.slow

HOME = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository, cloned into an empty directory."""
    folder = tmp_path_factory.mktemp("newcomer") / "clone"
    git("clone", "--quiet", str(HOME), str(folder))
    return folder


def git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def environ(clone: Path, tmp_path: Path) -> dict[str, str]:
    """No settings, an empty folder for temporary files, and the code of the clone."""
    kept = {name: each for name, each in os.environ.items() if name[:4] != "CDS_"}
    return {**kept, "TMPDIR": str(tmp_path), "PYTHONPATH": str(clone)}


def demo(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cds_service.cli", "demo", *arguments]


def play(clone: Path, environ: dict[str, str]) -> str:
    """What the demo prints, once it has ended well."""
    done = subprocess.run(
        demo("--once"),
        cwd=clone,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr + done.stdout
    return done.stdout


def test_the_demo_plays_its_six_parts_and_leaves_nothing_behind(
    clone: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    before = git("-C", str(clone), "status", "--porcelain", "--ignored=no")

    output = play(clone, environ)

    check_parts(output)
    assert output.endswith("No card: nothing to say.\n")
    assert git("-C", str(clone), "status", "--porcelain") == before == ""
    assert list(tmp_path.iterdir()) == []


def check_parts(output: str) -> None:
    """Check that all was played, in its order, and that both calls say the same."""
    titles, *parts = re.split(r"^\d\. .*$", output, flags=re.MULTILINE)
    agreed, worn, opened, asked, again, corrected = parts
    assert "Starting the server at http://127.0.0.1:" in titles
    assert "/wearables/v1/consents → 202" in agreed
    assert "/wearables/v1/samples → 202: 120 accepted" in worn
    assert worn.count("high-heart-rate") == 1
    assert "55 min (lasts), max 121 /min, limit 100, 100% covered by 56" in worn
    assert "WARNING" in opened
    assert "Resting heart rate up to 121 /min" in opened
    (summary,) = [
        line.strip().removeprefix("- ")
        for line in asked.splitlines()
        if line.strip().startswith("- ")
    ]
    assert words(summary) <= words(opened)
    assert "The same cards, word for word" in asked
    assert "The server queried Condition?patient=fast-hour" in asked
    assert again.endswith(
        "No card: everything was already shown.\n  Held back: 1 (1 repeated).\n"
    )
    assert "/wearables/v1/samples → 202: 60 revised" in corrected
    assert "(retracted)" in corrected
    assert "No card: nothing to say.\n" in corrected
    assert output.count("/cds-services/wearable-review → 200") == 4
    assert "\x1b" not in output


def words(text: str) -> set[str]:
    """However the lines are broken."""
    return set(text.split())


def test_the_code_that_is_played_is_that_of_the_clone(
    clone: Path, environ: dict[str, str]
) -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import cds_service; print(cds_service.__file__)"],
        cwd=clone,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert Path(found.stdout.strip()).is_relative_to(clone)


@contextmanager
def usual_port_taken() -> Iterator[None]:
    """Another server has the port that the demo would take."""
    with socket.socket() as other:
        with suppress(OSError):  # somebody else has it: as good
            other.bind(("127.0.0.1", 8080))
            other.listen()
        yield


@contextmanager
def staying_up(
    clone: Path, environ: dict[str, str], said: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The demo as `make run` starts it; it writes to a file."""
    with said.open("wb") as output:
        process = subprocess.Popen(
            demo(), cwd=clone, env=environ, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def children(process: subprocess.Popen[bytes]) -> list[Path]:
    """The processes that it has started."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [Path("/proc", each) for each in listed.read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_stays_up_beside_another_server_and_ends_all_of_it_when_told_to(
    clone: Path, environ: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    said, folder = tmp_path / "said", tmp_path / "temporary"
    folder.mkdir()
    environ["TMPDIR"] = str(folder)
    with usual_port_taken(), staying_up(clone, environ, said) as process:
        until(lambda: "tail -f" in said.read_text(), said.read_text, process)
        output = said.read_text()
        check_parts(output)
        assert "http://127.0.0.1:8080" not in output
        lines = output.splitlines()
        (url,) = [each.split()[1] for each in lines if each.endswith("/cds-services")]
        assert requests.get(url, timeout=PATIENCE).status_code == 200
        (server,) = children(process)

        process.send_signal(number)

        assert process.wait(PATIENCE) == 0
        assert not server.exists()
        assert list(folder.iterdir()) == []
        assert "Traceback" not in said.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_ended_while_it_starts_leaves_no_server_behind(
    clone: Path, environ: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    said, folder = tmp_path / "said", tmp_path / "temporary"
    folder.mkdir()
    environ["TMPDIR"] = str(folder)
    with staying_up(clone, environ, said) as process:
        until(lambda: children(process), said.read_text, process)
        (server,) = children(process)

        process.send_signal(number)

        assert process.wait(PATIENCE) == 1
        until(lambda: not server.exists())
        assert list(folder.iterdir()) == []
        assert "Traceback" not in said.read_text()
