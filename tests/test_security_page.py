"""The threat model cannot rot: the tests and settings that it names are there."""

import ast
import re
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1]
PAGE = (HOME / "docs" / "security.md").read_text("utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def test_every_test_that_is_named_exists() -> None:
    missing = [
        f"{file}::{name}"
        for file, name in sorted(set(NAMED))
        if not (HOME / file).exists() or name not in functions(HOME / file)
    ]

    assert len(NAMED) > 60
    assert missing == []


def functions(file: Path) -> set[str]:
    """The names of the functions of a module."""
    tree = ast.parse(file.read_text("utf-8"))
    return {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_every_threat_and_risk_names_a_test() -> None:
    threats = re.findall(r"^\| (?:[STRIDE, ]+|R\d+) \|.*$", PAGE, re.MULTILINE)

    assert len(threats) > 60
    assert [each for each in threats if "::test_" not in each] == []


def test_the_risks_of_the_assessment_are_mapped_one_by_one() -> None:
    mapped = re.findall(r"^\| (R\d+) \|", PAGE, re.MULTILINE)

    assert mapped == [f"R{number}" for number in range(1, 18)]


@pytest.mark.parametrize("part", ["S", "T", "R", "I", "D", "E"])
def test_every_kind_of_threat_is_looked_for(part: str) -> None:
    assert len(re.findall(rf"^\| (?:\w, )*{part}(?:, \w)* \|", PAGE, re.M)) >= 4


def test_every_setting_that_is_named_exists(
    settings_table: list[tuple[str, str, str]],
) -> None:
    known = {name for name, _, _ in settings_table}
    named = set(re.findall(r"CDS_[A-Z_]+", PAGE))

    assert named and named <= known


@pytest.mark.parametrize("page", ["docs/security.md", "SECURITY.md"])
def test_every_link_to_a_file_leads_somewhere(page: str) -> None:
    text = (HOME / page).read_text("utf-8")
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", text)

    assert links
    for target in links:
        assert (HOME / page).parent.joinpath(target).exists(), target


def test_nobody_is_named_whom_a_reporter_could_not_reach() -> None:
    assert "@" not in (HOME / "SECURITY.md").read_text("utf-8")


def test_whatever_is_let_pass_has_a_reason() -> None:
    marked = [
        line
        for file in (HOME / "cds_service").rglob("*.py")
        for line in file.read_text("utf-8").splitlines()
        if "# nosec" in line
    ]

    assert marked
    for line in marked:
        assert re.search(r"# nosec B\d{3} # \w", line), line
