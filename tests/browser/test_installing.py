"""`make setup-system` installs Chromium where it can, and else says what to do."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
USED = ("sh", "find", "sed", "cat")
"""By make and by what it runs."""

Machine = Callable[..., Path]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Makes a folder of the programs of a machine, some of which are played."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in USED:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)

    def make(**played: str) -> Path:
        for name, script in played.items():
            program = folder / name.replace("_", "-")
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
        return folder

    return make


def set_up(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shutil.which("make") or "make", "--no-print-directory", "setup-system"],
        cwd=HOME,
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
    )


def test_where_there_is_a_browser_nothing_is_installed(machine: Machine) -> None:
    folder = machine(chromium="", id="echo 0", apt_get="echo asked; exit 1")

    done = set_up(folder)

    assert (done.returncode, done.stdout) == (0, "")


def test_an_administrator_has_it_installed(machine: Machine, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    folder = machine(id="echo 0", apt_get=f'echo "$@" >> {asked}')

    done = set_up(folder)

    assert done.returncode == 0, done.stderr
    updating, installing = asked.read_text().splitlines()
    assert updating.startswith("update")
    assert installing.startswith("install") and installing.endswith(" chromium")


@pytest.mark.parametrize(
    ("user", "apt_get"), [("1000", "exit 0"), ("0", None)], ids=["nobody", "no Debian"]
)
def test_who_cannot_install_it_is_told_what_to_do(
    machine: Machine, user: str, apt_get: str | None
) -> None:
    folder = machine(id=f"echo {user}", **({"apt_get": apt_get} if apt_get else {}))

    done = set_up(folder)

    assert done.returncode != 0
    assert "apt-get install chromium" in done.stdout
    assert "google-chrome" in done.stdout


def test_what_fails_to_install_fails(machine: Machine) -> None:
    assert set_up(machine(id="echo 0", apt_get="exit 100")).returncode != 0
