"""A change of rules in words, with the step of the version that it needs."""

import json
import shutil
import subprocess
from pathlib import Path
from shutil import copytree

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main

from ...waiting import PATIENCE

HOME = Path(__file__).parents[3]
RULES = HOME / "rules"
NOW = "2026-11-22T12:00:00Z"
RULE = "beta-blocker-resting-tachycardia"
FILE = f"cardiology/{RULE}.yaml"

needs_git = pytest.mark.skipif(not shutil.which("git"), reason="git is not there")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["diff", *map(str, arguments)])


def change(folder: Path, old: str, new: str, file: str = FILE) -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    return copytree(RULES, tmp_path / "changed")


def version() -> str:
    for line in (RULES / FILE).read_text().splitlines():
        if line.startswith("version:"):
            return line.split()[1]
    raise AssertionError


def test_the_same_rules_differ_in_nothing(changed: Path) -> None:
    change(changed, "format: 1\n", "format: 1\n\n# a comment\n")

    found = run(RULES, changed)

    assert (found.exit_code, found.stdout) == (0, "no rule changed its meaning\n")


def test_a_limit_is_told_in_words_with_its_line_and_step(changed: Path) -> None:
    change(changed, "default: 100", "default: 110")

    found = run(RULES, changed)

    assert found.exit_code == 1
    line = (changed / FILE).read_text().splitlines().index("    default: 110") + 1
    assert (
        f"  {changed / FILE}:{line}: minor: $hr_limit 110 /min, was 100 /min; "
        "fires for fewer"
    ) in found.stdout.splitlines()
    major, minor, _ = version().split(".")
    needed = f"{major}.{int(minor) + 1}.0"
    assert f"error[CDS617]: needs {needed}, has {version()}" in found.stdout
    assert found.stdout.endswith("1 changed; 1 without the required new version\n")


def test_a_version_that_says_what_changed_is_well(changed: Path) -> None:
    change(changed, "default: 100", "default: 110")
    major = version().partition(".")[0]
    change(changed, f"version: {version()}", f"version: {major}.99.0")

    assert run(RULES, changed).exit_code == 0


def test_settings_are_told_without_a_version(changed: Path) -> None:
    change(changed, "America/New_York", "Europe/Berlin", "site.yaml")

    found = run(RULES, changed)

    assert found.exit_code == 0
    assert "time_zone Europe/Berlin, was America/New_York" in found.stdout
    assert f"{changed}/site.yaml:" in found.stdout


def test_a_range_of_a_metric_is_told_as_a_setting(changed: Path) -> None:
    change(changed, "plausible: [39, 600]", "plausible: [20, 600]", "metrics.yaml")

    found = run(RULES, changed)

    assert "metrics.sensor-glucose.plausible 20, 600, was 39, 600" in found.stdout
    assert f"{changed}/metrics.yaml:" in found.stdout


def test_json_says_the_same(changed: Path) -> None:
    change(changed, "default: 100", "default: 110")

    told = json.loads(run(RULES, changed, "--format", "json").stdout)

    (rule,) = told["rules"]
    assert (rule["rule"], rule["needed"], rule["state"]) == (RULE, "minor", "changed")
    assert rule["changes"][0]["effect"] == "narrower"
    assert rule["finding"]["code"] == "CDS617"


def test_two_rule_files_are_compared_alone(changed: Path, tmp_path: Path) -> None:
    change(changed, "default: 100", "default: 110")
    change(changed, "within: 30 days", "within: 9 days", "cardiology/af-fast-rate.yaml")
    loose = tmp_path / "loose.yaml"
    shutil.copy(changed / FILE, loose)

    in_folder = run(RULES / FILE, changed / FILE)
    on_its_own = run(RULES / FILE, loose)

    for found in (in_folder, on_its_own):
        assert found.exit_code == 1
        assert "$hr_limit 110 /min, was 100 /min" in found.stdout
        assert "af-fast-rate" not in found.stdout


def test_with_a_corpus_whose_outcome_changes_is_listed(changed: Path) -> None:
    change(changed, "default: 100", "default: 115")
    corpus = HOME / "fixtures" / "patient-view" / "boundary"

    found = run(RULES, changed, "--corpus", corpus, "--now", NOW)

    assert "boundary: fires (warning) → no" in found.stdout
    assert "1 patients, 1 outcomes changed" in found.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose last revision holds the shipped rules."""
    top = tmp_path / "work"
    copytree(RULES, top / "rules")
    git = ["git", "-C", str(top), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["commit", "-q", "--no-gpg-sign", "-m", "Begin"],
    ):
        subprocess.run([*git, *words], check=True, timeout=PATIENCE)
    return top / "rules"


@needs_git
def test_a_folder_is_compared_with_what_it_was(repository: Path) -> None:
    assert run("--git", "HEAD", repository).stdout == "no rule changed its meaning\n"
    change(repository, "default: 100", "default: 110")

    whole = run("--git", "HEAD", repository)
    one = run("--git", "HEAD", repository / FILE)

    for found in (whole, one):
        assert found.exit_code == 1
        assert "$hr_limit 110 /min, was 100 /min; fires for fewer" in found.stdout


@needs_git
@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "-n", "HEAD~9"])
def test_a_revision_that_is_none_is_refused(repository: Path, revision: str) -> None:
    found = run(f"--git={revision}", repository)

    assert found.exit_code == 2
    assert "git: " in found.output
    assert list(repository.parent.glob("x")) == []


@pytest.mark.parametrize(
    "arguments",
    [[], [RULES], [RULES, RULES / FILE], ["--git", "HEAD", RULES, RULES]],
)
def test_what_cannot_be_compared_is_a_usage_error(arguments: list[Path]) -> None:
    assert run(*arguments).exit_code == 2


def test_rules_with_errors_are_not_compared(changed: Path) -> None:
    change(changed, f"version: {version()}", "version: one")

    found = run(RULES, changed)

    assert found.exit_code == 2
    assert "cannot be used" in found.output


DETECTOR = "detectors/high-heart-rate-at-rest.yaml"


def test_a_number_of_a_detector_is_told_with_its_line_and_step(changed: Path) -> None:
    change(changed, "default: 100", "default: 105", DETECTOR)

    found = run(RULES, changed)
    told = json.loads(run(RULES, changed, "--format", "json").stdout)

    assert found.exit_code == 1
    line = (changed / DETECTOR).read_text().splitlines().index("    above: $limit") + 1
    assert (
        f"  {changed / DETECTOR}:{line}: minor: limit 105, was 100; fires for fewer"
    ) in found.stdout.splitlines()
    assert "error[CDS617]: needs 1.1.0, has 1.0.0" in found.stdout
    assert [each["detector"] for each in told["detectors"]] == [
        "high-heart-rate-at-rest"
    ]
    assert told["detectors"][0]["needed"] == "minor"


def test_two_files_of_a_detector_are_compared(changed: Path) -> None:
    change(changed, "for: 10 minutes", "for: 15 minutes", DETECTOR)

    found = run(RULES / DETECTOR, changed / DETECTOR)

    assert found.exit_code == 1
    assert "for 15 minutes, was 10 minutes" in found.stdout
    assert found.stdout.endswith("1 changed; 1 without the required new version\n")
