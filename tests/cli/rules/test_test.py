"""Rule tests from the command line: what passes, what fails, and why."""

import json
import os
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from cds_service.cli.rules.test import affected
from cds_service.cli.rules.test import test as verb

RULES = Path(__file__).parents[3] / "rules"
RULE = "cardiology/af-irregular-rhythm-no-anticoagulant"
SLOW = "cardiology/digoxin-slow-heart"
SLOW_HEART = """\
format: 1
rule: digoxin-slow-heart
version: 1.0.0
title: Slow heart rate on digoxin
status: active
severity: critical
hooks: [patient-view]
facts:
  digoxin: { medication: { in: digoxin } }
  heart_rate: { observation: { in: heart-rate, unit: /min, within: 2 days } }
when: { all: [digoxin: present, heart_rate: { latest: { below: 50 } }] }
if_unknown: silent
card:
  summary: Heart rate {{ heart_rate.latest }} on {{ digoxin.name }}
  detail: |
    **Slow heart**

    The latest rate is {{ heart_rate.latest }}.
  source: { label: Our hospital }
"""
TESTS = """\
test: digoxin-slow-heart
now: 2026-11-22T12:00:00Z
patients:
  base:
    medications: [{ code: rxnorm|3407, name: Digoxin, status: active }]
    observations: [{ code: loinc|8867-4, unit: /min, ends: 3 hours ago, values: 46 }]
cases:
"""
FIRES = "  - { name: fires, patient: base, expect: { card: critical } }\n"
SILENT = """\
  - { name: silent, patient: base, set: { medications: [] }, expect: no card }
"""
UNKNOWN = """\
  - { name: unknown, patient: base, set: { observations: [] }, expect: unknown }
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RULES, tmp_path / "rules"))


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A folder with one rule, and no tests yet."""
    folder = tmp_path / "rules"
    shutil.copytree(RULES / "valuesets", folder / "valuesets")
    (folder / "cardiology").mkdir()
    for name in ("site.yaml", "services.yaml", "alert-types.yaml"):
        shutil.copy(RULES / name, folder)
    (folder / f"{SLOW}.yaml").write_text(SLOW_HEART)
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(verb, [str(each) for each in arguments])


def lay(folder: Path, *cases: str) -> Path:
    """The test file of the slow heart, with these cases."""
    file = folder / f"{SLOW}.test.yaml"
    file.write_text(TESTS + "".join(cases))
    return file


def test_a_rule_stands_for_its_tests() -> None:
    result = run(RULES / f"{RULE}.yaml")

    assert result.exit_code == 0, result.output
    assert " passed, 0 failed in " in result.output.splitlines()[-1]
    assert result.output.splitlines()[0].endswith(f"{RULE}.test.yaml")


def test_cases_can_be_chosen_by_name(slow: Path) -> None:
    lay(slow, FIRES, SILENT, UNKNOWN)

    result = run(slow, "--run", "il")

    assert result.output.splitlines()[1:-1] == ["  ok   silent"]
    assert result.output.splitlines()[-1].startswith("1 passed, 0 failed in ")


def test_a_case_that_fails_shows_the_difference_and_the_trace(rules: Path) -> None:
    file = rules / f"{RULE}.test.yaml"
    file.write_text(file.read_text().replace("expect: no card", "expect: unknown", 1))

    result = run(file)

    assert result.exit_code == 1
    assert "FAIL" in result.output
    assert "error[CDS708]: expected unknown, got no card" in result.output
    assert "patient is alive" in result.output
    assert ", 1 failed" in result.output.splitlines()[-1]


def test_a_text_that_differs_is_shown_beside_what_was_wanted(slow: Path) -> None:
    file = lay(
        slow,
        "  - { name: words, patient: base, expect: { card: critical, "
        "summary: Heart rate 47, detail_contains: [The latest rate is 47 /min.], "
        "detail_lacks: [Slow] } }\n",
    )

    lines = run(file).output.splitlines()

    assert lines[:10] == [
        str(file),
        "  FAIL words",
        f"       {file}:8:5: error[CDS708]: the summary differs",
        "         - Heart rate 47",
        "         + Heart rate 46 /min on Digoxin",
        f"       {file}:8:5: error[CDS708]: the detail differs",
        "         - The latest rate is 47 /min.",
        "         + The latest rate is 46 /min.",
        f"       {file}:8:5: error[CDS708]: the detail differs",
        "         + Slow (should not be there)",
    ]
    assert lines[10].split()[:4] == ["digoxin-slow-heart", "v1.0.0", "->", "fires"]


@pytest.mark.parametrize(
    "expect",
    [
        "no card",
        "unknown",
        "{ unknown_because: [heart_rate] }",
        "{ card: info }",
        "{ card: critical, summary: Slow }",
        "{ card: critical, detail_contains: [fast] }",
        "{ card: critical, detail_lacks: [latest] }",
    ],
)
def test_a_wrong_expectation_of_each_kind_fails_the_run(
    slow: Path, expect: str
) -> None:
    right = run(lay(slow, FIRES))
    wrong = run(lay(slow, FIRES.replace("{ card: critical }", expect)))

    assert (right.exit_code, wrong.exit_code) == (0, 1)
    assert "0 passed, 1 failed" in wrong.output


def test_a_wrong_reason_and_a_gap_that_closed_fail_the_run(slow: Path) -> None:
    reason = UNKNOWN.replace("unknown }", "{ unknown_because: [digoxin] } }")
    closed = FIRES.replace("patient", "todo: later, patient")

    result = run(lay(slow, reason, closed))

    assert "0 passed, 2 failed" in result.output
    assert "expected to be unknown because of digoxin, got heart_rate" in result.output
    assert "remove the mark" in result.output


def test_a_known_gap_is_counted_apart(slow: Path) -> None:
    gap = FIRES.replace("patient", "todo: later, patient").replace("critical", "info")

    result = run(lay(slow, gap, SILENT))

    assert result.exit_code == 0
    assert "  todo fires" in result.output
    assert "2 passed, 0 failed, 1 known gap in" in result.output


def test_a_test_file_of_the_wrong_shape_is_shown_and_hides_no_other(
    rules: Path,
) -> None:
    file = rules / f"{RULE}.test.yaml"
    file.write_text(file.read_text().replace("cases:", "casses:", 1))

    result = run(file, rules / "cardiology" / "av-nodal-agent-bradycardia.yaml")

    assert result.exit_code == 1
    assert f"{file}:" in result.output
    assert "did you mean `cases`?" in result.output
    assert "ok   fires on a slow rate by day" in result.output
    assert "0 failed, 1 error in" in result.output.splitlines()[-1]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 50_000, b"test: ["])
def test_no_test_file_makes_it_crash(slow: Path, content: bytes) -> None:
    lay(slow).write_bytes(content)

    result = run(slow)

    assert result.exit_code == 1
    assert f"{slow / SLOW}.test.yaml:1:" in result.output


def test_a_rule_that_is_broken_fails_its_cases_with_its_place(slow: Path) -> None:
    lay(slow, FIRES)
    rule = slow / f"{SLOW}.yaml"
    rule.write_text(SLOW_HEART.replace("digoxin: present", "digoxim: present"))

    result = run(slow)

    assert result.exit_code == 1
    assert f"does not compile: {SLOW}.yaml:11:15: there is no fact" in result.output


def test_nothing_to_run_is_a_mistake_in_the_call(tmp_path: Path) -> None:
    assert run(tmp_path).exit_code == 2
    assert run(tmp_path / "nowhere").exit_code == 2


JANE = {
    "resourceType": "Bundle",
    "entry": [
        {
            "resource": {
                "resourceType": "MedicationStatement",
                "status": "active",
                "medicationCodeableConcept": {"text": "Digoxin"},
            }
        },
        {
            "resource": {
                "resourceType": "Observation",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
                "effectiveDateTime": "2026-11-22T08:00:00Z",
                "valueQuantity": {"value": 44, "code": "/min"},
            }
        },
    ],
}
FROM_FILE = """\
  - name: from a file
    set: { fhir: %s }
    expect: { card: warning, summary: Heart rate 44 /min on Digoxin }
"""


def test_a_patient_is_taken_from_a_file_of_fhir(slow: Path) -> None:
    (slow / "patients").mkdir()
    (slow / "patients" / "jane.json").write_text(json.dumps(JANE))
    file = lay(slow, FROM_FILE % "../patients/jane.json")

    assert run(file).exit_code == 0, run(file).output


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("../patients/joe.json", "there is no file patients/joe.json"),
        ("../../jane.json", "../../jane.json is outside the rules folder"),
        ("/etc/passwd", "/etc/passwd is outside the rules folder"),
    ],
)
def test_a_patient_who_is_not_in_the_folder_fails_the_case(
    slow: Path, named: str, said: str
) -> None:
    (slow.parent / "jane.json").write_text(json.dumps(JANE))

    result = run(lay(slow, FROM_FILE % named))

    assert result.exit_code == 1
    assert f"error[CDS708]: {said}" in result.output


def test_tests_can_be_required(slow: Path) -> None:
    lay(slow, FIRES)

    lenient, strict = run(slow), run(slow, "--require-tests")

    assert (lenient.exit_code, strict.exit_code) == (0, 1)
    assert "error[CDS703]" in strict.output and "error[CDS704]" in strict.output
    assert "1 passed, 0 failed, 2 errors in" in strict.output
    assert run(lay(slow, FIRES, SILENT, UNKNOWN), "--require-tests").exit_code == 0


def test_a_folder_without_tests_fails_where_they_are_required(slow: Path) -> None:
    result = run(slow, "--require-tests")

    assert result.exit_code == 1
    assert f"{slow / SLOW}.yaml:2:7: error[CDS701]" in result.output


def test_mutants_that_live_are_named_with_their_place(slow: Path) -> None:
    result = run(lay(slow, FIRES, SILENT, UNKNOWN), "--mutate")

    assert f"  survived {slow / SLOW}.yaml:11:64: 50 -> 52.5\n" in result.output
    assert f"  survived {slow / SLOW}.yaml:10:60: window removed\n" in result.output
    assert "  0/6 mutants killed (0%)\n" in result.output


def test_a_critical_rule_whose_mutants_live_fails_the_run(slow: Path) -> None:
    file = lay(slow, FIRES, SILENT, UNKNOWN)

    assert run(file).exit_code == 0
    critical = run(file, "--mutate")
    assert critical.exit_code == 1
    assert f"{slow / SLOW}.yaml:2:7: error[CDS705]" in critical.output

    rule = slow / f"{SLOW}.yaml"
    rule.write_text(SLOW_HEART.replace("critical", "warning"))
    file.write_text(file.read_text().replace("critical", "warning"))
    assert run(file, "--mutate").exit_code == 0


def test_the_outcome_as_json(slow: Path) -> None:
    file = lay(slow, FIRES, SILENT.replace("no card", "unknown"))

    result = run(file, "--mutate", "--format", "json")
    written = json.loads(result.output)

    assert result.exit_code == 1
    assert (written["passed"], written["failed"], written["todo"]) == (1, 1, 0)
    fires, silent = written["cases"]
    assert (fires["name"], fires["passed"]) == ("fires", True)
    assert (silent["file"], silent["line"], silent["column"]) == (str(file), 9, 5)
    assert silent["differences"] == [
        {
            "what": "outcome",
            "message": "expected unknown, got no card",
            "expected": "unknown",
            "got": "no card",
        }
    ]
    assert silent["trace"][0].startswith("digoxin-slow-heart v1.0.0")
    (mutation,) = written["mutation"]
    assert mutation["rule"] == "digoxin-slow-heart"
    assert mutation["killed"] + len(mutation["survivors"]) == mutation["mutants"]
    assert [each["code"] for each in written["findings"]] == ["CDS705"]


def test_the_outcome_for_github(slow: Path) -> None:
    file = lay(slow, FIRES.replace("critical", "info"))

    result = run(file, "--format", "github")

    assert result.output.splitlines()[0] == (
        f"::error file={file},line=8,col=5,title=CDS708::"
        "fires: expected a card of severity info, got critical"
    )


def test_the_outcome_as_junit(slow: Path, tmp_path: Path) -> None:
    lay(
        slow,
        FIRES.replace("name: fires", r'name: "fires \x01 & <b>"'),
        SILENT.replace("no card", "unknown"),
        UNKNOWN.replace("patient", "todo: later, patient").replace(
            "expect: unknown", "expect: no card"
        ),
    )
    (slow / "cardiology" / "other.test.yaml").write_text("test: [")
    report = tmp_path / "report.xml"
    report.write_text("before")

    result = run(slow, "--junit", report)
    root = ElementTree.parse(report).getroot()

    assert result.exit_code == 1
    counts = ("tests", "failures", "errors", "skipped")
    assert [root.get(name) for name in counts] == ["4", "1", "1", "1"]
    suite, wrong = root
    fires, silent, unknown = suite
    assert [suite.get(name) for name in counts] == ["3", "1", "0", "1"]
    assert fires.get("name") == "fires \ufffd & <b>" and list(fires) == []
    assert silent.get("classname") == "digoxin-slow-heart"
    assert (silent.get("file"), silent.get("line")) == (
        f"{slow / SLOW}.test.yaml",
        "9",
    )
    assert float(silent.get("time", "")) >= 0
    assert silent[0].tag == "failure"
    assert silent[0].get("message") == "expected unknown, got no card"
    assert "digoxin present" in (silent[0].text or "")
    assert (unknown[0].tag, unknown[0].get("message")) == ("skipped", "todo: later")
    assert wrong[0][0].tag == "error"
    assert wrong[0].get("file") == str(slow / "cardiology" / "other.test.yaml")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["report.xml", "rules"]
    assert report.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_report_that_cannot_be_written_is_told(slow: Path, tmp_path: Path) -> None:
    result = run(lay(slow, FIRES), "--junit", tmp_path / "nowhere" / "report.xml")

    assert result.exit_code == 2
    assert "cannot be written: No such file or directory" in result.output


def test_colours_are_for_terminals(slow: Path) -> None:
    file = str(lay(slow, FIRES.replace("critical", "info"), SILENT))

    plain = CliRunner().invoke(verb, [file]).output
    bright = CliRunner().invoke(verb, [file], color=True, env={"NO_COLOR": ""}).output
    never = CliRunner().invoke(verb, [file], color=True, env={"NO_COLOR": "1"}).output

    assert "\x1b[" not in plain + never
    assert "\x1b[31mFAIL" in bright and "\x1b[32mok" in bright


DETECTOR = "detectors/weight-gain"


def test_the_tests_of_a_detector_are_run_by_its_file(rules: Path) -> None:
    found = CliRunner().invoke(verb, [str(rules / f"{DETECTOR}.yaml"), "--mutate"])

    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert lines[0] == str(rules / f"{DETECTOR}.test.yaml")
    assert "  ok   1.4 kg in a day" in lines
    assert str(rules / f"{DETECTOR}.yaml") in lines
    assert "  18/18 mutants killed (100%)" in lines


def test_a_case_of_a_detector_that_fails_says_what_came_instead(
    rules: Path, tmp_path: Path
) -> None:
    file, junit = rules / f"{DETECTOR}.test.yaml", tmp_path / "junit.xml"
    text = file.read_text("utf-8")
    assert "threshold: 81.4" in text
    file.write_text(text.replace("threshold: 81.4", "threshold: 82"), "utf-8")

    found = CliRunner().invoke(verb, [str(file), "--junit", str(junit)])

    assert found.exit_code == 1
    assert "error[CDS708]: expected threshold 82 of episode 1, got 81.4" in found.stdout
    failed = ElementTree.parse(junit).findall(".//testcase[failure]")
    assert [each.get("name") for each in failed] == ["1.4 kg in a day"]


def test_mutants_that_the_tests_of_an_active_detector_overlook_fail_the_run(
    rules: Path,
) -> None:
    file = rules / f"{DETECTOR}.test.yaml"
    text = file.read_text("utf-8")
    begun = text.index("  - name: five kilograms in a day")
    file.write_text(text[:begun] + text[text.index("  - name:", begun + 9) :], "utf-8")

    found = CliRunner().invoke(verb, [str(file), "--mutate"])

    assert found.exit_code == 1
    assert "5 -> 4.75" in found.stdout
    assert "error[CDS705]: the tests of this active detector notice" in found.stdout


def test_a_detector_without_its_tests_is_owed_them(rules: Path) -> None:
    (rules / f"{DETECTOR}.test.yaml").unlink()

    found = CliRunner().invoke(verb, [str(rules / "detectors"), "--require-tests"])

    assert found.exit_code == 1
    assert "error[CDS701]: this active detector has no tests" in found.stdout


def test_a_change_of_a_detector_affects_its_own_tests_alone(rules: Path) -> None:
    file, test = (str(rules / f"{DETECTOR}{end}") for end in (".yaml", ".test.yaml"))

    assert affected((rules,), frozenset({file})) == {test}
    assert affected((rules,), frozenset({str(rules / "metrics.yaml")})) is None
