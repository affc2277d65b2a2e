"""Clause coverage from the command line."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli.rules.coverage import coverage

RULES = Path(__file__).parents[3] / "rules"
RULE = "cardiology/av-nodal-agent-bradycardia"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    shutil.copytree(RULES / "valuesets", folder / "valuesets")
    shutil.copytree(RULES / "facts", folder / "facts")
    (folder / "cardiology").mkdir()
    for name in ("site.yaml", "alert-types.yaml", f"{RULE}.yaml"):
        shutil.copy(RULES / name, folder / name)
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(coverage, [str(each) for each in arguments])


TESTS = """\
test: av-nodal-agent-bradycardia
now: 2026-11-22T12:00:00Z
cases:
  - name: nobody
    set: { born: 1949-01-20, not_loaded: [Condition] }
    expect: no card
"""


def test_a_clause_is_named_with_its_place_and_what_it_never_was(rules: Path) -> None:
    (rules / f"{RULE}.test.yaml").write_text(TESTS)

    result = run(rules)
    lines = result.output.splitlines()
    source = (rules / f"{RULE}.yaml").read_text().splitlines()
    age = source.index("    - patient:") + 1

    assert result.exit_code == 0
    assert lines[0] == f"{rules / RULE}.yaml"
    assert lines[1].startswith("  clause coverage ") and lines[1].endswith("; 1 cases")
    assert (
        f"    {rules / RULE}.yaml:{age}:7: `patient age at least 18 years` "
        "was never false or unknown"
    ) in lines
    assert lines[-1].startswith("1 rule: clause coverage ")


def test_coverage_as_json(rules: Path) -> None:
    (rules / f"{RULE}.test.yaml").write_text(TESTS)

    written = json.loads(run(rules, "--format", "json").output)

    (rule,) = written["rules"]
    clauses = {each["text"]: each for each in rule["clauses"]}
    age = clauses["patient age at least 18 years"]
    assert (rule["rule"], rule["cases"]) == ("av-nodal-agent-bradycardia", 1)
    assert (age["true"], age["false"], age["unknown"]) == (1, 0, 0)
    assert age["never"] == ["false", "unknown"]
    assert clauses["pacing_device absent"]["never"] == ["true", "false"]


def test_a_wrong_test_file_or_rule_is_told(rules: Path) -> None:
    file = rules / f"{RULE}.test.yaml"
    file.write_text("test: [")
    broken_test = run(rules)
    file.write_text(TESTS)
    rule = rules / f"{RULE}.yaml"
    rule.write_text(rule.read_text().replace("when:", "whem:"))
    broken_rule = run(rules)

    assert (broken_test.exit_code, broken_rule.exit_code) == (1, 1)
    assert f"{file}:1:" in broken_test.output
    assert "does not compile" in broken_rule.output


def test_nothing_to_count_is_a_mistake_in_the_call(rules: Path) -> None:
    assert run(rules).exit_code == 2
    assert run(rules / "nowhere").exit_code == 2


DETECTOR = "detectors/weight-gain"


def test_what_no_case_has_seen_of_a_detector_is_named(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(RULES, tmp_path / "rules"))
    file = folder / f"{DETECTOR}.test.yaml"
    text = file.read_text("utf-8")
    begun = text.index("  - name: without a word for a week")
    file.write_text(text[:begun] + text[text.index("  - name:", begun + 9) :], "utf-8")

    found = run(folder / f"{DETECTOR}.yaml")
    told = json.loads(run(folder / f"{DETECTOR}.yaml", "--format", "json").stdout)

    assert found.exit_code == 0
    assert found.stdout.splitlines() == [
        str(folder / f"{DETECTOR}.yaml"),
        "  seen 6 of 7; 16 cases",
        "    no case in which an episode ends without data",
        "1 detector: seen 6 of 7 (86%)",
    ]
    (detector,) = told["detectors"]
    assert (detector["detector"], detector["never"]) == (
        "weight-gain",
        ["an episode ends without data"],
    )
    assert detector["seen"]["an episode recovers"] == 1
