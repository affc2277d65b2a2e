"""A privacy officer asks why a code is asked for, and is shown the line."""

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.rulebook.load import check_folder

RULES = Path(__file__).parents[3] / "rules"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["prefetch", "--rules", str(RULES), *arguments])


def queries() -> dict[str, Any]:
    found = json.loads(run("--format", "json").stdout)["services"][0]["queries"]
    return {each["key"]: each for each in found}


def test_the_templates_are_those_that_discovery_advertises() -> None:
    (service,) = check_folder(RULES).rulebook.services.values()

    advertised = {
        key: each["template"]
        for key, each in queries().items()
        if each["policy"] != "skip"
    }

    assert advertised == service.service.prefetch


def test_every_reason_leads_to_the_line_of_its_fact() -> None:
    for query in list(queries().values())[1:]:
        assert query["asked_for"]
        for reason in query["asked_for"]:
            lines = Path(reason["file"]).read_text("utf-8").splitlines()
            assert lines[reason["line"] - 1].strip() == f"{reason['fact']}:"
            for use in reason["uses"]:
                assert use["line"] > reason["line"]


def test_every_code_that_is_asked_for_has_a_rule_that_reads_it() -> None:
    query = queries()["observations"]
    asked = query["template"].partition("&code=")[2].partition("&")[0].split(",")

    named = {code for each in query["asked_for"] for code in each["codes"]}

    assert named == set(asked)


def test_the_patient_is_asked_for_by_what_is_asked_of_the_patient() -> None:
    reasons = queries()["patient"]["asked_for"]

    assert all(
        use["text"].startswith("patient") for each in reasons for use in each["uses"]
    )
    assert "patient age at least 18 years" in str(reasons)


def test_a_person_reads_policy_scope_value_set_and_use() -> None:
    shown = run("--service", "wearable-review").stdout

    assert "conditions  (required: without it the call is refused (412))" in shown
    assert "only a complete list shows that" in shown
    assert "Atrial fibrillation or flutter (value set atrial-fibrillation-f" in shown
    assert "atrial_fibrillation present" in shown
    assert "shown in the text of the card" in shown


def test_what_a_service_skips_is_named_and_not_asked(tmp_path: Path) -> None:
    rules = copytree(RULES, tmp_path / "rules")
    services = rules / "services.yaml"
    services.write_text(
        services.read_text().replace(
            "medication_statements: optional", "medication_statements: skip"
        )
    )

    shown = CliRunner().invoke(main, ["prefetch", "--rules", str(rules)]).stdout

    assert "medication-statements  (skip: this service never asks for it)" in shown
    assert "MedicationStatement?" not in shown


@pytest.mark.parametrize("arguments", [["--service", "nope"], ["--rules", "/nowhere"]])
def test_what_is_not_there_is_a_usage_error(arguments: list[str]) -> None:
    found = run(*arguments)

    assert found.exit_code == 2
    assert "nope" in found.output or "nowhere" in found.output


def test_rules_with_errors_cannot_be_explained(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("format: 1\ntime_zone: UTC\n")

    found = CliRunner().invoke(main, ["prefetch", "--rules", str(tmp_path)])

    assert found.exit_code == 2
    assert "cannot be used" in found.output and "cds-service check" in found.output


def test_medications_that_come_along_are_in_what_is_printed(tmp_path: Path) -> None:
    rules = copytree(RULES, tmp_path / "rules")
    services = rules / "services.yaml"
    services.write_text(
        services.read_text().replace(
            "include_medications: false", "include_medications: true"
        )
    )

    shown = CliRunner().invoke(main, ["prefetch", "--rules", str(rules)]).stdout

    (service,) = check_folder(rules).rulebook.services.values()
    assert "&_include=MedicationRequest:medication" in shown
    for template in (service.service.prefetch or {}).values():
        assert template in shown
