"""Rules over stored patients: rates, whose outcome changes, and why."""

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main

HOME = Path(__file__).parents[3]
CASES = HOME / "fixtures" / "patient-view"
RULES = HOME / "rules"
NOW = "2026-11-22T12:00:00Z"
RULE = "beta-blocker-resting-tachycardia"


def run(corpus: Path, *arguments: str, rules: Path = RULES) -> Result:
    words = ["replay", str(corpus), "--rules", str(rules), "--now", NOW, *arguments]
    return CliRunner().invoke(main, words)


def told(corpus: Path, *arguments: str, rules: Path = RULES) -> Any:
    return json.loads(run(corpus, "--json", *arguments, rules=rules).stdout)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return copytree(RULES, tmp_path / "changed")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three Bundles, one with alerts beside it, in folders of their own."""
    folder = tmp_path / "corpus"
    for name in ("fires", "boundary", "silent"):
        (folder / name).mkdir(parents=True)
        source = CASES / name
        (folder / name / "jane.json").write_text((source / "chart.json").read_text())
        if (source / "alerts.json").exists():
            alerts = (source / "alerts.json").read_text()
            (folder / name / "jane.alerts.json").write_text(alerts)
    return folder


def test_a_folder_of_bundles_gives_the_rates_of_each_rule(corpus: Path) -> None:
    found = told(corpus)

    assert found["patients"] == 3
    assert found["rules"][RULE]["after"]["fires"] == 2
    assert found["rules"][RULE]["after"]["no"] == 1
    assert found["rules"][RULE]["after"]["cards"]["warning"] == 2
    assert found["broken"] == [] and found["changes"] == []


def test_every_rule_is_asked_once_of_every_patient(corpus: Path) -> None:
    for rates in told(corpus)["rules"].values():
        after = rates["after"]
        outcomes = ("fires", "no", "unknown", "not_evaluated")
        assert sum(after[each] for each in outcomes) == 3


def test_the_cases_of_fixtures_are_read_and_refusals_are_named() -> None:
    found = run(CASES)

    assert found.exit_code == 1
    assert "required-missing: Required Condition data could not be had" in found.stdout
    assert "wrong-patient: The Patient resource is not the patient" in found.stdout
    patients = len(list(CASES.iterdir())) - 2
    assert found.stdout.splitlines()[-1].startswith(f"{patients} patients, ")


def test_whose_outcome_changes_is_listed_with_the_clause_that_turned(
    corpus: Path, rules: Path
) -> None:
    rule = rules / "cardiology" / f"{RULE}.yaml"
    rule.write_text(rule.read_text().replace("default: 100", "default: 115"))

    found = run(corpus, "--before", str(RULES), rules=rules)

    assert found.exit_code == 0
    line = next(
        number
        for number, text in enumerate(rule.read_text().splitlines(), start=1)
        if "$hr_limit, days: 2" in text
    )
    assert f"{RULE}: 2 changed" in found.stdout
    assert "boundary/jane.json: fires (warning) → no" in found.stdout
    assert (
        f"{rule}:{line - 1}  resting_hr" in found.stdout
        or f"{rule}:{line}  resting_hr" in found.stdout
    )
    assert "(was: resting_hr at least 100 /min on 2 days): true → false" in found.stdout
    assert (
        "fires/jane.json: fires (warning) → unknown (could not check)" in found.stdout
    )
    assert "2 → 0" in found.stdout
    assert "2 outcomes changed" in found.stdout


def test_the_same_rules_change_nothing(corpus: Path) -> None:
    found = told(corpus, "--before", str(RULES))

    assert found["changes"] == []
    for rates in found["rules"].values():
        assert rates["before"] == rates["after"]


def test_a_rule_that_is_retired_is_no_longer_evaluated(
    corpus: Path, rules: Path
) -> None:
    site = rules / "site.yaml"
    site.write_text(site.read_text() + f"rules: {{{RULE}: {{status: draft}}}}\n")

    changes = told(corpus, "--before", str(RULES), rules=rules)["changes"]

    assert {(each["rule"], each["after"]) for each in changes} == {
        (RULE, "not evaluated")
    }


def test_a_broken_bundle_is_named_and_the_others_go_on(corpus: Path) -> None:
    (corpus / "a-list.json").write_text("[]")
    (corpus / "broken.json").write_text('{"resourceType": "Bundle"')
    (corpus / "nobody.json").write_text('{"resourceType": "Bundle", "entry": [7]}')
    (corpus / "deep.json").write_text("[" * 100_000)
    nested = '{"a":' * 700 + "1" + "}" * 700
    (corpus / "nested.json").write_text(
        '{"resourceType": "Bundle", "entry": [{"resource": ' + nested + "}]}"
    )
    (corpus / "loop").symlink_to(corpus)
    (corpus / "gone.json").symlink_to(corpus / "nowhere")

    found = told(corpus)

    assert found["patients"] == 3
    assert [each["file"] for each in found["broken"]] == [
        "a-list.json",
        "broken.json",
        "deep.json",
        "gone.json",
        "nested.json",
        "nobody.json",
    ]
    assert run(corpus).exit_code == 1


def test_alerts_that_cannot_be_used_are_no_silence(corpus: Path) -> None:
    (corpus / "silent" / "jane.alerts.json").write_text('{"alerts": [{"id": "a"}]}')

    (broken,) = told(corpus)["broken"]

    assert broken["file"] == "silent/jane.json"
    assert "alert" in broken["reason"]


def test_each_patient_of_a_bundle_is_replayed(tmp_path: Path) -> None:
    patients = [{"resource": {"resourceType": "Patient", "id": n}} for n in "ab"]
    patients.append({"fullUrl": "urn:uuid:c", "resource": {"resourceType": "Patient"}})
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": patients}
    file = tmp_path / "family.json"
    file.write_text(json.dumps(bundle))

    assert told(file)["patients"] == 3


def test_it_comes_out_the_same_each_time(corpus: Path) -> None:
    assert run(corpus).stdout == run(corpus).stdout


def test_nothing_out_of_a_record_is_printed(corpus: Path, rules: Path) -> None:
    rule = rules / "cardiology" / f"{RULE}.yaml"
    rule.write_text(rule.read_text().replace("default: 100", "default: 115"))

    shown = run(corpus, "--before", str(RULES), rules=rules).output

    for file in corpus.glob("*/jane.json"):
        for entry in json.loads(file.read_text())["entry"]:
            for name in entry["resource"].get("name", []):
                assert name["family"] not in shown


@pytest.mark.parametrize("arguments", [["--service", "nope"], ["--now", "noon"]])
def test_what_is_not_understood_is_a_usage_error(
    corpus: Path, arguments: list[str]
) -> None:
    assert run(corpus, *arguments).exit_code == 2


def test_an_empty_corpus_is_a_usage_error(tmp_path: Path) -> None:
    found = run(tmp_path)

    assert found.exit_code == 2
    assert "contains no Bundle" in found.output
