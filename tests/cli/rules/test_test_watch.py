"""Tests that run again: what a change can affect, and a run that is watched."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cds_service.cli.rules.test import affected, changes

from ...waiting import PATIENCE, until

RULES = Path(__file__).parents[3] / "rules"
RULE = "cardiology/av-nodal-agent-bradycardia"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RULES, tmp_path / "rules"))


def test_a_file_that_is_new_gone_or_different_has_changed() -> None:
    before = {"a": (1, 1), "b": (1, 1), "c": (1, 1)}
    now = {"a": (1, 1), "b": (2, 1), "d": (1, 1)}

    assert changes(before, now) == {"b", "c", "d"}


@pytest.mark.parametrize("name", [f"{RULE}.yaml", f"{RULE}.test.yaml"])
def test_a_rule_and_its_tests_affect_its_tests_alone(rules: Path, name: str) -> None:
    found = affected((rules,), frozenset({str(rules / name)}))

    assert found == {str(rules / f"{RULE}.test.yaml")}


@pytest.mark.parametrize(
    "name", ["site.yaml", "valuesets/digoxin.yaml", "facts/pregnancy.yaml"]
)
def test_what_rules_share_affects_all_tests(rules: Path, name: str) -> None:
    assert affected((rules,), frozenset({str(rules / name)})) is None


def test_a_patient_affects_the_tests_that_name_it(rules: Path) -> None:
    (rules / "a.test.yaml").write_text(
        "test: a\nnow: 2026-11-22T12:00:00Z\n"
        "cases: [{name: a, set: {fhir: jane.json}, expect: unknown}]\n"
    )

    assert affected((rules,), frozenset({str(rules / "jane.json")})) == {
        str(rules / "a.test.yaml")
    }
    assert affected((rules,), frozenset({str(rules / "joe.json")})) == set()


@pytest.fixture
def watched(rules: Path, tmp_path: Path) -> Iterator[tuple[Path, Path, Path]]:
    """A folder that is watched, what is said of it, and what is said beside."""
    said, beside = tmp_path / "said", tmp_path / "beside"
    with said.open("wb") as output, beside.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "cds_service.cli", "test", str(rules), "--watch"],
            stdout=output,
            stderr=errors,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        until(lambda: b"waiting for a change" in beside.read_bytes(), process=process)
        yield rules, said, beside
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert b"Traceback" not in said.read_bytes() + beside.read_bytes()
    finally:
        process.kill()
        process.wait(PATIENCE)


@pytest.mark.slow
def test_a_change_runs_what_it_can_affect_and_a_half_written_file_is_survived(
    watched: tuple[Path, Path, Path],
) -> None:
    rules, said, beside = watched
    file = rules / f"{RULE}.test.yaml"
    text = file.read_text()
    runs = said.read_text().count(" passed, ")
    assert runs == 1

    def after(write: str) -> str:
        """What is said once the file has changed."""
        before, waits = len(said.read_text()), beside.read_text().count("waiting")
        file.write_text(write)
        until(lambda: beside.read_text().count("waiting") > waits)
        return said.read_text()[before:]

    wrong = after(text.replace("expect: no card", "expect: unknown", 1))
    broken = after(text[: len(text) // 2] + "\n  - {")
    right = after(text)

    assert "resting-tachycardia" not in wrong + broken + right
    assert ", 1 failed" in wrong.splitlines()[-1]
    assert "error[CDS" in broken
    assert ", 0 failed in" in right.splitlines()[-1]
