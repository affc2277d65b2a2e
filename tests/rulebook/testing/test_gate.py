"""The gate: what lets a rulebook through, and what keeps it out."""

import re
from pathlib import Path

import pytest

from cds_service.fhir.models import check_resource
from cds_service.rulebook.compile.compiler import kind_of
from cds_service.rulebook.language.diagnostics import Level
from cds_service.rulebook.load import read_folder
from cds_service.rulebook.testing.gate import gate

SHIPPED = read_folder(Path(__file__).parents[3] / "rules")
FOLDERS = re.compile(r"rules: \[cardiology, .*\]")
RULE = "cardiology/av-nodal-agent-bradycardia.yaml"
TEST = "cardiology/av-nodal-agent-bradycardia.test.yaml"
FILES = {
    name: FOLDERS.sub("rules: [cardiology]", text)
    for name, text in SHIPPED.items()
    if name in (RULE, TEST)
    or kind_of(name) not in ("rule", "rule-test", "detector", "detector-test")
}
"""The shipped files with one rule only, so that no other is tested again each time."""


def spoilt(name: str, old: str, new: str) -> dict[str, str]:
    assert old in FILES[name]
    return {**FILES, name: FILES[name].replace(old, new, 1)}


def errors(files: dict[str, str]) -> list[tuple[str, str]]:
    """File and code of what keeps the rulebook out."""
    judged = gate(files)
    rulebook, findings = judged.rulebook, judged.findings
    found = [(each.file, each.code) for each in findings if each.level is Level.ERROR]
    assert (rulebook is None) is bool(found)
    return found


@pytest.mark.slow
def test_the_shipped_rules_pass() -> None:
    judged = gate(SHIPPED, check_resource)
    rulebook, findings = judged.rulebook, judged.findings

    assert rulebook is not None
    assert {each.level for each in findings} <= {Level.NOTE}


def test_a_rule_that_does_not_compile_is_kept_out() -> None:
    files = spoilt(RULE, "pacing_device: absent", "pacing_divice: absent")

    assert errors(files) == [(RULE, "CDS301")]


def test_a_rule_whose_test_fails_is_kept_out_and_the_case_is_named() -> None:
    files = spoilt(RULE, "value: { below: $hr_limit }", "value: { above: $hr_limit }")

    findings = gate(files).findings
    first = next(each for each in findings if each.level is Level.ERROR)

    assert (first.file, first.code) == (TEST, "CDS708")
    line = FILES[TEST].splitlines()[first.line - 1]
    assert first.message.startswith("fires on a slow rate by day")
    assert line[first.column - 1 :].startswith("name: fires on a slow rate by day")
    assert "expected a card, got no card" in first.message


def test_the_tests_of_a_draft_do_not_matter() -> None:
    files = spoilt(RULE, "value: { below: $hr_limit }", "value: { above: $hr_limit }")
    files[RULE] = files[RULE].replace("status: active", "status: draft")

    assert errors(files) == []


def test_a_test_file_with_a_mistake_keeps_the_rulebook_out() -> None:
    assert (TEST, "CDS102") in errors(spoilt(TEST, "cases:", "casses:"))


def test_a_rule_without_tests_is_kept_out() -> None:
    files = {name: text for name, text in FILES.items() if name != TEST}

    assert errors(files) == [(RULE, "CDS701")]


@pytest.mark.parametrize("status", ["active", "shadow"])
def test_a_rule_that_the_site_tunes_is_tested_as_it_stands(status: str) -> None:
    site = FILES["site.yaml"] + (
        f"rules:\n  av-nodal-agent-bradycardia:\n    status: {status}\n"
        "    params: { hr_limit: 40 }\n"
    )

    assert errors({**FILES, "site.yaml": site}) == []
