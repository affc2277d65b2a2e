import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli.rules.fmt import fmt

RULES = Path(__file__).parents[3] / "rules"
FACT = "facts/pregnancy.yaml"
UNTIDY = """\
# About the fact.
condition: {in: pregnancy}
# Its name.
fact: pregnancy
format: 1
"""
TIDY = """\
# About the fact.
format: 1
# Its name.
fact: pregnancy
condition: { in: pregnancy }
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A rules folder with one file that is not formatted."""
    folder = tmp_path / "rules"
    (folder / "facts").mkdir(parents=True)
    shutil.copy(RULES / "site.yaml", folder)
    (folder / FACT).write_text(UNTIDY)
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(fmt, [str(each) for each in arguments])


def test_the_rules_of_the_project_are_in_order() -> None:
    result = run(RULES, "--check")

    assert result.exit_code == 0, result.output


def test_a_file_is_put_in_order_and_named(rules: Path) -> None:
    result = run(rules)

    assert result.exit_code == 0, result.output
    assert (rules / FACT).read_text() == TIDY
    assert (
        result.output == f"{rules / FACT}\n1 file formatted already, 1 file formatted\n"
    )
    assert run(rules).output == "2 files formatted already\n"


def test_a_file_keeps_its_mode_and_nothing_is_left_beside_it(rules: Path) -> None:
    (rules / FACT).chmod(0o640)

    run(rules / FACT)

    assert (rules / FACT).stat().st_mode & 0o777 == 0o640
    assert [each.name for each in (rules / "facts").iterdir()] == ["pregnancy.yaml"]


def test_check_names_the_file_and_writes_nothing(rules: Path) -> None:
    result = run(rules, "--check")

    assert result.exit_code == 1
    assert str(rules / FACT) in result.output
    assert "1 file not formatted" in result.output
    assert (rules / FACT).read_text() == UNTIDY


def test_diff_shows_what_would_change_and_writes_nothing(rules: Path) -> None:
    result = run(rules, "--diff")

    assert result.exit_code == 0
    assert "-condition: {in: pregnancy}\n" in result.stdout
    assert "+condition: { in: pregnancy }\n" in result.stdout
    assert (rules / FACT).read_text() == UNTIDY


def test_only_the_files_that_were_asked_for_are_touched(rules: Path) -> None:
    result = run(rules / "site.yaml")

    assert result.output == "1 file formatted already\n"
    assert (rules / FACT).read_text() == UNTIDY


def test_windows_line_breaks_become_line_feeds(rules: Path) -> None:
    (rules / FACT).write_bytes(TIDY.replace("\n", "\r\n").encode())

    assert run(rules, "--check").exit_code == 1
    assert run(rules).exit_code == 0
    assert (rules / FACT).read_bytes() == TIDY.encode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (UNTIDY.replace("condition", "conditoin"), "2:1: error[CDS102]"),
        ("format: [", "error[CDS0"),
        (UNTIDY.replace("fact: ", "? fact\n: "), "4:1: this is laid out in a way"),
    ],
)
def test_a_file_with_errors_is_shown_and_left_as_it_is(
    rules: Path, text: str, said: str
) -> None:
    (rules / FACT).write_text(text)

    result = run(rules)

    assert result.exit_code == 1
    assert str(rules / FACT) in result.output
    assert said in result.output
    assert "1 file formatted already, 1 file left with errors" in result.output
    assert (rules / FACT).read_text() == text


def test_a_link_stays_a_link(rules: Path) -> None:
    (rules / FACT).rename(rules / "facts" / "real.yaml")
    (rules / FACT).symlink_to("real.yaml")

    run(rules)

    assert (rules / FACT).is_symlink()
    assert (rules / "facts" / "real.yaml").read_text() == TIDY


def test_a_path_that_is_not_there_is_said(tmp_path: Path) -> None:
    result = run(tmp_path / "nowhere")

    assert result.exit_code == 2
    assert "there is no" in result.output
