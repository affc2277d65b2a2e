"""A first rule, as docs/authors.md tells it, word for word."""

import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest

from ..waiting import PATIENCE

pytestmark = pytest.mark.slow

HOME = Path(__file__).parents[2]
PAGE = (HOME / "docs" / "authors.md").read_text("utf-8")
SECTION = PAGE.partition("\n## A first rule\n")[2].partition("\n## ")[0]
RULE, CASES = re.findall(r"^```yaml\n(.*?)^```$", SECTION, re.S | re.M)
CHECK, BREAK, ASK = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.S | re.M)
SURVIVOR, REASON = re.findall(r"^```text\n(.*?)^```$", SECTION, re.S | re.M)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where an author stands, after writing both files where the page says."""
    made = tmp_path_factory.mktemp("author")
    copytree(HOME / "rules", made / "rules")
    places = re.findall(r"`(rules/[\w/-]+(?:\.test)?\.yaml)`", SECTION)
    for place, text in zip(places, (RULE, CASES), strict=True):
        (made / place).write_text(text, "utf-8")
    program = made / ".venv" / "bin" / "cds-service"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cds_service.cli "$@"\n')
    program.chmod(0o755)
    return made


def shell(folder: Path, block: str) -> str:
    """What a block prints, once it has ended well."""
    done = subprocess.run(
        ["bash", "-e", "-c", block],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rule_is_in_order_and_its_three_cases_pass(folder: Path) -> None:
    assert "3 passed, 0 failed" in shell(folder, CHECK)


def test_the_mistake_that_the_page_shows_survives(folder: Path) -> None:
    assert SURVIVOR in shell(folder, BREAK)


def test_the_case_that_the_page_asks_for_notices_it(folder: Path) -> None:
    (value,) = re.findall(r"add one with `values: (\d+)`", " ".join(SECTION.split()))
    beside = f"""\
  - name: just below the limit
    patient: base
    set:
      observations:
        - {{ code: loinc|8867-4, unit: /min, ends: 3 hours ago, values: {value} }}
    expect: {{ card: info }}
"""
    place = folder / "rules" / "cardiology" / "digoxin-slow-heart.test.yaml"
    place.write_text(CASES + beside, "utf-8")

    told = shell(folder, BREAK)
    place.write_text(CASES, "utf-8")

    assert "4 passed, 0 failed" in told
    assert SURVIVOR not in told


def test_the_reason_is_told_as_the_page_shows(folder: Path) -> None:
    assert REASON in shell(folder, ASK)
