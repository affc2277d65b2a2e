"""Findings in the forms that people, programs, GitHub and SARIF viewers read."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from cds_service.cli.rules.check import check
from cds_service.cli.rules.reporting import (
    Report,
    as_sarif,
    as_workflow_command,
    exit_code,
    summary,
    write_findings,
)
from cds_service.rulebook.language.diagnostics import Finding, Level

ERROR = Finding("r/a.yaml", 7, 11, "CDS104", Level.ERROR, "`warn` is wrong", "write it")
WARNING = Finding("r/a.yaml", 9, 1, "CDS402", Level.WARNING, "nothing uses it")
NOTE = Finding("r/b.yaml", 1, 1, "CDS604", Level.NOTE, "not approved")


def report(*findings: Finding, **more: Any) -> Report:
    return Report(findings, {"r/a.yaml": "", "r/b.yaml": ""}, 1, **more)


def printed(capsys: pytest.CaptureFixture[str], form: str, *found: Finding) -> str:
    write_findings(report(*found), form)
    return str(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("found", "lint_fatal", "code"),
    [
        ((), False, 0),
        ((NOTE, WARNING), False, 0),
        ((NOTE, WARNING), True, 1),
        ((NOTE,), True, 0),
        ((ERROR,), False, 1),
    ],
)
def test_what_makes_a_report_fail(
    found: tuple[Finding, ...], lint_fatal: bool, code: int
) -> None:
    assert exit_code(report(*found), lint_fatal) == code


def test_errors_in_other_files_are_in_the_closing_line() -> None:
    keeps = "in files that were not asked for keeps this rulebook from being served"

    assert summary(report(errors_elsewhere=1)).endswith(f"; 1 error {keeps}")
    assert "2 errors in files" in summary(report(ERROR, errors_elsewhere=2))
    assert summary(report()) == "2 files, 1 rule: no findings"


def test_github_shows_each_finding_at_its_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert printed(capsys, "github", ERROR, WARNING, NOTE).splitlines() == [
        "::error file=r/a.yaml,line=7,col=11,title=CDS104"
        "::`warn` is wrong%0Awrite it",
        "::warning file=r/a.yaml,line=9,col=1,title=CDS402::nothing uses it",
        "::notice file=r/b.yaml,line=1,col=1,title=CDS604::not approved",
        "2 files, 1 rule: 1 error, 1 warning, 1 note",
    ]


def test_no_file_or_message_ends_a_workflow_command_early() -> None:
    odd = Finding(
        "a,b:\nc%.yaml", 1, 1, "CDS001", Level.ERROR, "50 %\r\n::error::x, y: z"
    )

    assert as_workflow_command(odd) == (
        "::error file=a%2Cb%3A%0Ac%25.yaml,line=1,col=1,title=CDS001"
        "::50 %25%0D%0A::error::x, y: z"
    )


SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"enum": ["2.1.0"]},
        "runs": {"type": "array", "minItems": 0, "items": {"$ref": "#/$defs/run"}},
    },
    "$defs": {
        "run": {
            "type": "object",
            "required": ["tool"],
            "additionalProperties": False,
            "properties": {
                "tool": {"$ref": "#/$defs/tool"},
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            },
        },
        "tool": {
            "type": "object",
            "required": ["driver"],
            "additionalProperties": False,
            "properties": {
                "driver": {
                    "type": "object",
                    "required": ["name"],
                    "additionalProperties": False,
                    "properties": {
                        "name": {"type": "string"},
                        "version": {"type": "string"},
                        "rules": {
                            "type": "array",
                            "uniqueItems": True,
                            "items": {"$ref": "#/$defs/rule"},
                        },
                    },
                }
            },
        },
        "rule": {
            "type": "object",
            "required": ["id"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": "string"},
                "shortDescription": {"$ref": "#/$defs/multiformat"},
                "help": {"$ref": "#/$defs/multiformat"},
            },
        },
        "multiformat": {
            "type": "object",
            "required": ["text"],
            "additionalProperties": False,
            "properties": {"text": {"type": "string"}, "markdown": {"type": "string"}},
        },
        "result": {
            "type": "object",
            "required": ["message"],
            "additionalProperties": False,
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": -1},
                "level": {"enum": ["none", "note", "warning", "error"]},
                "message": {"$ref": "#/$defs/multiformat"},
                "locations": {"type": "array", "items": {"$ref": "#/$defs/location"}},
            },
        },
        "location": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "physicalLocation": {
                    "type": "object",
                    "required": ["artifactLocation"],
                    "additionalProperties": False,
                    "properties": {
                        "artifactLocation": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                "uri": {"type": "string", "pattern": "^[!-~]+$"},
                                "uriBaseId": {"type": "string"},
                            },
                        },
                        "region": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                "startLine": {"type": "integer", "minimum": 1},
                                "startColumn": {"type": "integer", "minimum": 1},
                            },
                        },
                    },
                }
            },
        },
    },
}
"""What SARIF 2.1.0's own schema asks of the parts that we write. Source: OASIS."""


@pytest.mark.parametrize("found", [(), (ERROR, WARNING, NOTE, ERROR)])
def test_a_sarif_log_has_the_shape_of_the_standard(found: tuple[Finding, ...]) -> None:
    log = as_sarif(report(*found))

    assert list(Draft202012Validator(SARIF).iter_errors(log)) == []
    (run,) = log["runs"]
    assert len(run["results"]) == len(found)


def test_a_sarif_result_points_at_its_rule_and_the_rule_has_the_codes_page() -> None:
    (run,) = as_sarif(report(WARNING, ERROR))["runs"]

    rules = run["tool"]["driver"]["rules"]
    assert [rules[each["ruleIndex"]]["id"] for each in run["results"]] == [
        "CDS402",
        "CDS104",
    ]
    assert (
        rules[0]["shortDescription"]["text"]
        == "A value is not one of the allowed values"
    )
    assert "## Good" in rules[0]["help"]["markdown"]


def test_files_below_the_working_folder_are_named_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    below = Finding("r/a b.yaml", 1, 1, "CDS001", Level.ERROR, "x")
    outside = Finding("/elsewhere/a.yaml", 1, 1, "CDS001", Level.ERROR, "x")

    (run,) = as_sarif(report(below, outside))["runs"]

    assert [
        each["locations"][0]["physicalLocation"]["artifactLocation"]
        for each in run["results"]
    ] == [
        {"uri": "r/a%20b.yaml", "uriBaseId": "%SRCROOT%"},
        {"uri": "file:///elsewhere/a.yaml"},
    ]


def test_a_terminal_is_not_steered_by_the_name_of_a_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd = Finding("\x1b[2J.yaml", 1, 1, "CDS004", Level.ERROR, "the file is empty")

    assert "\x1b" not in printed(capsys, "text", odd)


def test_check_writes_each_form(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("format: 2\ntime_zone: Europe/Berlin\n")

    def run(form: str) -> str:
        result = CliRunner().invoke(check, [str(tmp_path), "--format", form])
        assert result.exit_code == 1
        return result.output

    assert "error[CDS104]" in run("text")
    assert json.loads(run("json"))["findings"][0]["level"] == "error"
    assert run("github").startswith("::error file=")
    assert json.loads(run("sarif"))["version"] == "2.1.0"
