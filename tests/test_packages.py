"""What is installed: to run, what ``requirements.lock`` names, and nothing else."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from configparser import ConfigParser
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

HOME = Path(__file__).parents[1]
LOCKS = ["requirements.lock", "requirements-dev.lock"]
TABLES = {"numpy", "pandas"}
"""With which Pint would compute here, and without them where it is served."""
FORMATS = {
    *("fqdn", "isoduration", "jsonpointer", "rfc3339-validator", "rfc3986-validator"),
    *("rfc3987-syntax", "uri-template", "webcolors"),
}
"""With which jsonschema would check more here than where it is served; to import it
would take every process a second longer."""
LEFT_OUT = TABLES | FORMATS


def read_lock(name: str) -> dict[str, Version]:
    """Package to version."""
    lines = (HOME / name).read_text("utf-8").splitlines()
    pinned = [each.split("==") for each in lines if not each.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pinned}


def declared(section: str, key: str) -> list[Requirement]:
    settings = ConfigParser()
    settings.read(HOME / "setup.cfg", "utf-8")
    return [Requirement(each) for each in settings[section][key].split("\n") if each]


RUN, DEV = map(read_lock, LOCKS)
TO_RUN = declared("options", "install_requires")
TO_DEVELOP = declared("options.extras_require", "dev")
TO_TRACE = declared("options.extras_require", "otel")


def needed(asked: Iterable[Requirement]) -> set[str]:
    """Return what is asked for and what that asks for, as it is installed."""
    waiting, seen = list(asked), set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) in seen or name in LEFT_OUT:
                continue
            seen.add((name, extra))
            further = map(Requirement, requires(name) or [])
            waiting += [
                each
                for each in further
                if not each.marker or each.marker.evaluate({"extra": extra})
            ]
    return {name for name, _ in seen}


def test_the_first_lock_is_what_the_service_needs_and_nothing_else() -> None:
    assert set(RUN) == needed(TO_RUN)


def test_the_second_lock_is_what_developing_adds_to_the_first() -> None:
    # Of pip each environment has its own.
    assert set(DEV) == needed(TO_DEVELOP) - set(RUN) - {"pip"}


@pytest.mark.parametrize("requirement", [*TO_RUN, *TO_DEVELOP], ids=str)
def test_a_version_that_is_locked_is_one_that_is_asked_for(
    requirement: Requirement,
) -> None:
    locked = (RUN | DEV)[canonicalize_name(requirement.name)]

    assert locked in requirement.specifier


@pytest.mark.parametrize("requirement", TO_RUN, ids=str)
def test_a_version_that_is_installed_is_one_that_is_asked_for(
    requirement: Requirement,
) -> None:
    assert version(requirement.name) in requirement.specifier


def bounds(name: str) -> dict[str, Version]:
    """Return the versions between which a package may be, by operator."""
    (asked,) = (each for each in TO_RUN if each.name == name)
    return {each.operator: Version(each.version) for each in asked.specifier}


@pytest.mark.parametrize("name", ["gunicorn", "jsonschema-rs"])
def test_what_changes_with_every_version_is_taken_up_by_a_new_lock_alone(
    name: str,
) -> None:
    tested = RUN[name]

    # Our worker overrides what gunicorn keeps to itself; the other is not 1.0 yet.
    assert bounds(name)["<"] == Version(f"{tested.major}.{tested.minor + 1}")


def test_the_service_imports_nothing_but_what_it_declares() -> None:
    owners = packages_distributions()
    imported = {
        name.split(".")[0]
        for file in (HOME / "cds_service").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        for name in imports(node)
    }
    foreign = imported - set(sys.stdlib_module_names) - {"cds_service"}

    found = {canonicalize_name(owners[each][0]) for each in foreign}

    asked = [*TO_RUN, *TO_TRACE]
    assert found and found <= {canonicalize_name(each.name) for each in asked}


def test_what_traces_take_is_developed_with_and_not_needed_to_run() -> None:
    assert set(map(str, TO_TRACE)) <= set(map(str, TO_DEVELOP))
    assert not {canonicalize_name(each.name) for each in TO_TRACE} & set(RUN)


def imports(node: ast.AST) -> list[str]:
    """Return the modules that a statement imports by their full names."""
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def plan(folder: Path, target: str) -> str:
    """Return what make would do in the folder."""
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder in which nothing is installed."""
    for name in ("Makefile", "setup.cfg", "pyproject.toml", *LOCKS):
        shutil.copy(HOME / name, tmp_path)
    for name in ("editor", "node"):
        shutil.copytree(HOME / "tests" / name, tmp_path / "tests" / name)
    return tmp_path


def test_who_runs_it_installs_nothing_that_develops_it(clone: Path) -> None:
    wanted = plan(clone, "run")

    assert "requirements.lock" in wanted and "demo" in wanted
    assert "requirements-dev.lock" not in wanted


@pytest.mark.parametrize("target", ["lint", "check", "audit"])
def test_who_develops_it_installs_both(clone: Path, target: str) -> None:
    wanted = plan(clone, target)

    assert wanted.index("-r requirements.lock") < wanted.index("requirements-dev.lock")


def test_our_worker_is_tested_under_the_oldest_gunicorn_that_may_be_installed(
    clone: Path,
) -> None:
    wanted = plan(clone, "test")
    installing = wanted.index(f"gunicorn=={bounds('gunicorn')['>=']}")

    tests = re.findall(r"tests/\S+\.py", wanted[installing:])
    assert any("test_worker" in each for each in tests)
    assert all((HOME / each).is_file() for each in tests)


def test_what_is_installed_is_not_installed_again(clone: Path) -> None:
    (clone / ".venv").mkdir()
    (clone / ".venv" / ".installed").touch()
    (clone / ".venv" / ".installed-dev").touch()

    assert "pip install" not in plan(clone, "run") + plan(clone, "check")

    (clone / "requirements-dev.lock").touch()
    assert "install" not in plan(clone, "run")
    assert "requirements-dev.lock" in plan(clone, "check")
