"""Rule tests from the command line: what passes, what fails, and why."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli.test import test as verb

RULES = Path(__file__).parents[2] / "rules"
RULE = "cardiology/af-irregular-rhythm-no-anticoagulant"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RULES, tmp_path / "rules"))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(verb, [str(each) for each in arguments])


def test_a_rule_stands_for_its_tests() -> None:
    result = run(RULES / f"{RULE}.yaml")

    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].endswith(" passed, 0 failed")
    assert "beta-blocker" not in result.output.splitlines()[0]


def test_cases_can_be_chosen_by_name() -> None:
    all_cases = run(RULES / "cardiology")
    some = run(RULES / "cardiology", "--run", "minor")

    assert some.exit_code in (0, 2)
    assert len(some.output) < len(all_cases.output)


def test_a_case_that_fails_shows_the_difference_and_the_trace(rules: Path) -> None:
    file = rules / f"{RULE}.test.yaml"
    file.write_text(file.read_text().replace("expect: no card", "expect: unknown", 1))

    result = run(file)

    assert result.exit_code == 1
    assert "FAIL" in result.output
    assert "patient is alive" in result.output
    assert ", 1 failed" in result.output.splitlines()[-1]


def test_a_test_file_of_the_wrong_shape_is_shown_where_it_is_wrong(rules: Path) -> None:
    file = rules / f"{RULE}.test.yaml"
    file.write_text(file.read_text().replace("cases:", "casses:", 1))

    result = run(file)

    assert result.exit_code == 1
    assert "did you mean `cases`?" in result.output


def test_nothing_to_run_is_a_mistake_in_the_call(tmp_path: Path) -> None:
    assert run(tmp_path).exit_code == 2
    assert run(tmp_path / "nowhere").exit_code == 2
