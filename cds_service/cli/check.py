"""``cds-service check``: what can be said of rule files without a patient."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import click

from ..fhir.models import check_resource
from ..rulebook.compiler import SERVICES, SITE, kind_of
from ..rulebook.findings import Finding, Level, render
from ..rulebook.load import check_folder

_COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.NOTE: "cyan"}


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in the files that were asked about."""

    findings: tuple[Finding, ...]
    """Their files are named as the caller would name them."""
    texts: dict[str, str]
    """The text of every file, by the same name."""
    rules: int

    def count(self, level: Level) -> int:
        """How many findings are of a level."""
        return sum(each.level is level for each in self.findings)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How findings are written.",
)
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Say what is overdue or over on this day; by default the site's today.",
)
@click.pass_context
def check(
    context: click.Context, paths: tuple[Path, ...], form: str, today: datetime | None
) -> None:
    """Check rule files: grammar, names, value sets, units, text and life cycle.

    PATHS are rules folders, or files and folders in one; by default the folder named by
    CDS_RULES, or ./rules. Exit code 0: no errors; 1: errors; 2: could not run.
    """
    asked = paths or (Path(os.environ.get("CDS_RULES") or "rules"),)
    for path in asked:
        if not path.exists():
            raise click.UsageError(
                f"there is no {path}; name a rules folder, or set CDS_RULES"
            )
    report = look(asked, today.date() if today else None)
    if form == "json":
        click.echo(_as_json(report))
    else:
        _print(report)
    context.exit(1 if report.count(Level.ERROR) else 0)


def look(paths: Iterable[Path], today: date | None = None) -> Report:
    """Check the rules folders that *paths* lie in, and keep what is about the paths.

    Without *today*, it is what the calendar of each site says.
    """
    wanted: dict[Path, list[Path]] = {}
    for path in paths:
        wanted.setdefault(rules_folder(path), []).append(path.resolve())
    findings: list[Finding] = []
    texts: dict[str, str] = {}
    rules = 0
    for folder, within in wanted.items():
        checked = check_folder(
            folder,
            check_resource,
            lambda zone: today or datetime.now(zone).date(),
        )
        for file, text in checked.files.items():
            if _is_within(folder / file, within):
                texts[str(folder / file)] = text
                rules += kind_of(file) == "rule"
        findings += (
            replace(each, file=str(folder / each.file))
            for each in checked.findings
            if _is_within(folder / each.file, within)
        )
    return Report(tuple(findings), texts, rules)


def rules_folder(path: Path) -> Path:
    """The folder whose settings hold for *path*: the nearest with site or services."""
    start = path if path.is_dir() else path.parent
    for folder in (start, *start.absolute().parents):
        if (folder / SITE).is_file() or (folder / SERVICES).is_file():
            return _shortest(folder)
    return start


def _shortest(folder: Path) -> Path:
    here = Path.cwd()
    absolute = folder.absolute()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else folder


def _is_within(file: Path, asked: Iterable[Path]) -> bool:
    resolved = Path(os.path.abspath(file)).parent.resolve() / file.name
    return any(resolved.is_relative_to(each) for each in asked)


def _as_json(report: Report) -> str:
    written = {
        "files": len(report.texts),
        "rules": report.rules,
        "findings": [each.as_json() for each in report.findings],
    }
    return json.dumps(written, indent=2, ensure_ascii=False)


def _print(report: Report) -> None:
    colour = False if os.environ.get("NO_COLOR") else None
    for each in report.findings:
        shown = render(each, report.texts.get(each.file, ""))
        marked = click.style(each.level.value, fg=_COLOURS[each.level], bold=True)
        click.echo(shown.replace(f" {each.level}[", f" {marked}[", 1), color=colour)
        click.echo()
    click.echo(summary(report))


def summary(report: Report) -> str:
    """The closing line: ``12 files, 3 rules: 2 errors, 1 warning``."""
    found = [
        _counted(report.count(level), level.value)
        for level in Level
        if report.count(level)
    ]
    files = _counted(len(report.texts), "file")
    rules = _counted(report.rules, "rule")
    return f"{files}, {rules}: {', '.join(found) or 'nothing to say'}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
