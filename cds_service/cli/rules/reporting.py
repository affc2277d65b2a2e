"""What was found in files, written for a person, a program, GitHub or a SARIF viewer.

Every verb that reports findings takes ``--format`` from here.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TypeVar
from urllib.parse import quote

import click

from ... import __version__
from ...rulebook.language import Finding, Level, read_page, render, titles

FORMATS = ("text", "json", "github", "sarif")
_COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.NOTE: "cyan"}

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in the files that were asked about."""

    findings: tuple[Finding, ...]
    """Their files are named as the caller would name them."""
    texts: dict[str, str]
    """The text of every file, by the same name."""
    rules: int
    errors_elsewhere: int = 0
    """Errors in files of the same folder that were not asked about."""

    def count(self, level: Level) -> int:
        """Return how many findings are of a level."""
        return sum(each.level is level for each in self.findings)


def format_option(command: Command) -> Command:
    """Return the option ``--format`` on a command, as its argument ``form``."""
    option = click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        help="Output format; github: workflow commands; sarif: SARIF 2.1.0.",
    )
    return option(command)


def write_findings(report: Report, form: str) -> None:
    """Print a report in one of ``FORMATS``."""
    if form == "text":
        _print(report)
    elif form == "github":
        for each in report.findings:
            click.echo(as_workflow_command(each))
        click.echo(summary(report))
    else:
        written = as_json(report) if form == "json" else as_sarif(report)
        click.echo(json.dumps(written, indent=2, ensure_ascii=False))


def exit_code(report: Report, lint_fatal: bool = False) -> int:
    """1 if anything that was found counts: errors, and warnings if they are fatal."""
    fatal = report.count(Level.ERROR) + lint_fatal * report.count(Level.WARNING)
    return 1 if fatal else 0


def summary(report: Report) -> str:
    """Return the closing line: ``12 files, 3 rules: 2 errors, 1 warning``."""
    found = [
        _counted(report.count(level), level.value)
        for level in Level
        if report.count(level)
    ]
    files = _counted(len(report.texts), "file")
    rules = _counted(report.rules, "rule")
    said = f"{files}, {rules}: {', '.join(found) or 'no findings'}"
    if not report.errors_elsewhere:
        return said
    elsewhere = _counted(report.errors_elsewhere, "error")
    keep = "keeps" if report.errors_elsewhere == 1 else "keep"
    return (
        f"{said}; {elsewhere} in files that were not asked for {keep} this rulebook "
        "from being served"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _print(report: Report) -> None:
    colour = False if os.environ.get("NO_COLOR") else None
    for each in report.findings:
        shown = render(each, report.texts.get(each.file, ""))
        marked = click.style(each.level.value, fg=_COLOURS[each.level], bold=True)
        click.echo(shown.replace(f" {each.level}[", f" {marked}[", 1), color=colour)
        click.echo()
    click.echo(summary(report))


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as plain data."""
    return {
        "files": len(report.texts),
        "rules": report.rules,
        "errors_elsewhere": report.errors_elsewhere,
        "findings": [each.as_json() for each in report.findings],
    }


def as_workflow_command(finding: Finding) -> str:
    """Return the finding as a command of GitHub Actions, which annotates the line.

    Source: GitHub Docs, "Workflow commands for GitHub Actions"; what is escaped is what
    actions/toolkit escapes.
    """
    command = "notice" if finding.level is Level.NOTE else finding.level.value
    place: dict[str, str | int] = {
        "file": PurePath(finding.file).as_posix(),
        "line": finding.line,
        "col": finding.column,
        "title": finding.code,
    }
    properties = ",".join(f"{key}={_property(value)}" for key, value in place.items())
    message = f"{finding.message}\n{finding.help}" if finding.help else finding.message
    return f"::{command} {properties}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str | int) -> str:
    return _escaped(str(value)).replace(":", "%3A").replace(",", "%2C")


def as_sarif(report: Report) -> dict[str, Any]:
    """Return the report as a SARIF log.

    Source: OASIS, SARIF 2.1.0.
    """
    codes = sorted({each.code for each in report.findings})
    driver = {
        "name": "cds-service",
        "version": __version__,
        "rules": [_rule(code) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, codes.index(each.code)) for each in report.findings],
    }
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    if code not in titles():
        return {"id": code}
    page = read_page(code)
    return {
        "id": code,
        "shortDescription": {"text": titles()[code]},
        "help": {"text": page, "markdown": page},
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    said = f"{finding.message}; {finding.help}" if finding.help else finding.message
    place = {
        "artifactLocation": _artifact(finding.file),
        "region": {"startLine": finding.line, "startColumn": finding.column},
    }
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": finding.level.value,
        "message": {"text": said},
        "locations": [{"physicalLocation": place}],
    }


def _artifact(file: str) -> dict[str, str]:
    """Return where a file is below the root of the sources, which a reader knows."""
    path = Path(os.path.abspath(file))
    if not path.is_relative_to(Path.cwd()):
        return {"uri": path.as_uri()}
    relative = path.relative_to(Path.cwd()).as_posix()
    return {"uri": quote(relative), "uriBaseId": "%SRCROOT%"}


_SARIF_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
    "sarif-schema-2.1.0.json"
)
