"""The wheel in an environment of its own: what runs, and nothing of this folder."""

import os
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest

from ..waiting import PATIENCE, until

pytestmark = pytest.mark.slow

HOME = Path(__file__).parents[2]
PARTS = ["cds_service", "rules", "fixtures"]
FILES = ["setup.cfg", "pyproject.toml", "README.md", "LICENSE"]


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(each) for each in command],
        env=bare_environ(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        **options,
    )


def bare_environ() -> dict[str, str]:
    """Without settings, and without a path that leads here."""
    return {
        name: each
        for name, each in os.environ.items()
        if not name.startswith(("CDS_", "PYTHON"))
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this folder, built where nothing of an earlier build lies about."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PARTS:
        passed_over = shutil.ignore_patterns("__pycache__")
        shutil.copytree(HOME / name, source / name, symlinks=True, ignore=passed_over)
    for name in FILES:
        shutil.copy(HOME / name, source)

    built = run(
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel"),
        *("--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", out, "."),
        cwd=source,
    )

    assert built.returncode == 0, built.stdout + built.stderr
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel beside what ``requirements.lock`` names, and nothing else.

    The packages are those of this environment, by links, so that no index is asked.
    """
    folder = tmp_path_factory.mktemp("elsewhere") / "environment"
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python3*/site-packages")
    for line in (HOME / "requirements.lock").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            link_package(*line.split("=="), packages)

    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    installed = run(*pip, "install", "--no-index", "--no-deps", wheel)

    assert installed.returncode == 0, installed.stdout + installed.stderr
    return folder


def link_package(name: str, version: str, packages: Path) -> None:
    found = distribution(name)
    assert found.version == version, f"{name} is not what requirements.lock names"
    for top in {file.parts[0] for file in found.files or ()}:
        if top not in ("..", "__pycache__"):
            (packages / top).symlink_to(Path(str(found.locate_file(top))))


def test_all_that_stands_in_the_package_is_in_the_wheel(wheel: Path) -> None:
    wanted = {
        str(Path(folder, name).relative_to(HOME))
        for folder, _, names in os.walk(HOME / "cds_service", followlinks=True)
        for name in names
        if not folder.endswith("__pycache__")
    }

    missing = wanted - set(ZipFile(wheel).namelist())

    assert "cds_service/shipped/rules/services.yaml" in wanted
    assert missing == set()


def test_nothing_of_this_folder_and_nothing_that_develops_it_is_seen(
    environment: Path, tmp_path: Path
) -> None:
    program = """
import importlib.util, cds_service
print(cds_service.__file__)
print([each for each in ("pytest", "mypy", "pip") if importlib.util.find_spec(each)])
"""

    seen = run(environment / "bin" / "python", "-c", program, cwd=tmp_path)

    file, others = seen.stdout.splitlines()
    assert Path(file).is_relative_to(environment)
    assert others == "[]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo is started; nothing is there."""
    return tmp_path_factory.mktemp("anywhere")


@pytest.fixture(scope="module")
def invited(environment: Path, folder: Path) -> Iterator[str]:
    """What a demo that stays up says, for as long as it does."""
    said = environment / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [environment / "bin" / "cds-service", "demo"],
            env=bare_environ(),
            cwd=folder,
            stdout=output,
            stderr=output,
        )
    try:
        until(lambda: "tail -f" in said.read_text(), said.read_text, process)
        yield said.read_text()
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_the_demo_of_an_installed_wheel_plays_the_main_job_anywhere(
    invited: str, folder: Path
) -> None:
    assert invited.count("/wearables/v1/samples → 202") == 2
    assert invited.count("/cds-services/wearable-review → 200") == 4
    assert "The same cards, word for word" in invited
    assert list(folder.iterdir()) == []


def test_the_call_that_the_demo_proposes_can_be_typed_where_it_was_started(
    invited: str, folder: Path
) -> None:
    lines = invited.splitlines()
    (proposed,) = [each for each in lines if " call wearable-review " in each]

    called = run(*shlex.split(proposed), cwd=folder)

    assert called.returncode == 0, called.stdout + called.stderr
    assert "200" in called.stdout
