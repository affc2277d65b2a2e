"""A first detector and its tests, from a few options."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli.rules.check import check
from cds_service.cli.rules.new_detector import new_detector
from cds_service.cli.rules.test import test as run_tests

RULES = Path(__file__).parents[3] / "rules"
FILE = "rules/detectors/fast-breathing.yaml"


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project's rules, with the caller beside it."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(RULES, "rules"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(new_detector, list(arguments))


@pytest.mark.parametrize(
    "options",
    [
        ("--metric", "respiratory-rate", "--above", "24", "--for", "30 minutes"),
        ("--metric", "heart-rate", "--at-least", "120", "--for", "7 minutes")
        + ("--at-rest",),
        ("--metric", "sensor-glucose", "--below", "70", "--for", "1 hour")
        + ("--raises", "low-glucose"),
        ("--metric", "oxygen-saturation", "--at-most", "90", "--for", "20 minutes"),
    ],
)  # fmt: skip
def test_options_make_a_draft_and_tests_that_pass(
    rules: Path, options: tuple[str, ...]
) -> None:
    made = run("fast-breathing", *options)

    assert made.exit_code == 0, made.output
    assert f"{FILE} written" in made.output
    assert CliRunner().invoke(check, [FILE, "--lint-fatal"]).exit_code == 0
    tested = CliRunner().invoke(run_tests, [FILE])
    assert (tested.exit_code, "3 passed, 0 failed" in tested.output) == (0, True)
    text = Path(FILE).read_text("utf-8")
    assert "status: draft" in text and "All numbers are a first draft." in text


def test_nothing_is_written_over(rules: Path) -> None:
    options = ("--metric", "heart-rate", "--above", "120", "--for", "10 minutes")
    before = (rules / "detectors/high-heart-rate-at-rest.yaml").read_bytes()

    made = run("high-heart-rate-at-rest", *options)

    assert made.exit_code == 1
    assert "high-heart-rate-at-rest.yaml already exists" in made.output
    assert (rules / "detectors/high-heart-rate-at-rest.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--metric hart-rate --above 9 --for 1_hour", "did you mean `heart-rate`?"),
        ("--metric steps --below 9 --for 1_hour", "steps is summed"),
        ("--metric heart-rate --for 1_hour", "name one limit: --above"),
        ("--metric heart-rate --above 9 --below 3 --for 1_hour", "name one limit"),
        ("--metric heart-rate --above x --for 1_hour", "x is not a number"),
        ("--metric heart-rate --above 120 --for soon", "soon is not a duration"),
        ("--metric heart-rate --above 120 --for 2_minutes", "say a longer time with"),
        ("--metric body-weight --above 90 --for 1_hour", "name the alert type with"),
        (
            "--metric heart-rate --above 120 --for 1_hour --raises low-glucose",
            "no alert type low-glucose is of heart-rate",
        ),
    ],
)
def test_options_that_make_no_detector_are_told_and_nothing_is_written(
    rules: Path, options: str, said: str
) -> None:
    words = [each.replace("_", " ") for each in options.split()]

    made = run("fast-breathing", *words)

    assert made.exit_code == 2
    assert said in " ".join(made.output.split())
    assert not Path(FILE).exists()


def test_a_name_must_be_one(rules: Path) -> None:
    made = run("Fast!", "--metric", "heart-rate", "--above", "9", "--for", "1 hour")

    assert made.exit_code == 2
    assert "Fast! is not a valid name" in made.output
