"""``cds-service coverage``: which clauses of rules their tests have not seen."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from ...rulebook.language import Finding
from ...rulebook.testing import (
    Coverage,
    DetectorCoverage,
    ExampleError,
    SeenClause,
    cover,
    cover_detector,
)
from .rule_tests import FolderTests, cases_of, default_paths, open_folders
from .test_text import echo, say_finding


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Output format.",
)
@click.pass_context
def coverage(context: click.Context, paths: tuple[Path, ...], form: str) -> None:
    """List the conditions of rules that no test case has seen true, false or unknown.

    For detectors, list what no case has seen: that one opens, ends or is not judged.

    PATHS are rules folders, or files and folders in one; by default the folder named by
    CDS_RULES, or ./rules. Every clause is judged for itself in every case, also where
    another has decided before it. Exit code 0: counted; 1: a test file or a rule is
    wrong; 2: could not run.
    """
    folders = open_folders(default_paths(paths))
    if not any(each.all_tests() or each.findings for each in folders):
        raise click.UsageError(
            "there are no test cases; tests are <rule>.test.yaml files"
        )
    covered = [each for folder in folders for each in _covered(folder)]
    detectors = [each for folder in folders for each in _covered_detectors(folder)]
    findings = [each for folder in folders for each in folder.findings]
    if form == "json":
        told = as_json(covered, findings)
        told["detectors"] = [_detector_as_json(*each) for each in detectors]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _say(folders, covered)
        _say_detectors(detectors)
    broken = any(isinstance(found, str) for _, _, found in (*covered, *detectors))
    context.exit(1 if findings or broken else 0)


Covered = tuple[FolderTests, str, Coverage | str]
"""A rule of a folder: what its tests have seen, or why that cannot be told."""


def _covered(folder: FolderTests) -> Iterator[Covered]:
    for rule in folder.rules():
        try:
            yield folder, rule, cover(folder.runner, rule, cases_of(folder.tests, rule))
        except ExampleError as error:
            yield folder, rule, str(error)


CoveredDetector = tuple[FolderTests, str, DetectorCoverage | str]
"""A detector of a folder, likewise."""


def _covered_detectors(folder: FolderTests) -> Iterator[CoveredDetector]:
    for name in folder.tested_detectors():
        examples = cases_of(folder.of_detectors, name)
        try:
            yield folder, name, cover_detector(folder.detectors, name, examples)
        except ExampleError as error:
            yield folder, name, str(error)


def _say_detectors(covered: Iterable[CoveredDetector]) -> None:
    seen = whole = detectors = 0
    for folder, name, found in covered:
        if isinstance(found, str):
            echo(f"{name}: {found}")
            continue
        detectors += 1
        there = len(found.seen) - len(found.never)
        seen, whole = seen + there, whole + len(found.seen)
        echo(folder.place(found.file))
        echo(f"  seen {there} of {len(found.seen)}; {found.cases} cases")
        for what in found.never:
            echo(f"    no case in which {what}")
    if detectors:
        counted = "1 detector" if detectors == 1 else f"{detectors} detectors"
        echo(f"{counted}: seen {seen} of {whole} ({_share(seen, whole)})")


def _detector_as_json(
    folder: FolderTests, name: str, found: DetectorCoverage | str
) -> dict[str, Any]:
    if isinstance(found, str):
        return {"detector": name, "error": found}
    return {
        "detector": name,
        "file": folder.place(found.file),
        "cases": found.cases,
        "seen": dict(found.seen),
        "never": list(found.never),
    }


def _say(folders: Iterable[FolderTests], covered: Iterable[Covered]) -> None:
    for folder in folders:
        texts = {folder.place(name): text for name, text in folder.files.items()}
        for finding in folder.findings:
            say_finding(finding, texts)
    decided = decidable = unknown = clauses = rules = 0
    for folder, rule, found in covered:
        if isinstance(found, str):
            echo(f"{rule}: {found}")
            continue
        _say_rule(folder, found)
        rules += 1
        decided, decidable = decided + found.decided, decidable + found.decidable
        unknown, clauses = unknown + found.unknown, clauses + len(found.clauses)
    counted = f"{rules} rule" if rules == 1 else f"{rules} rules"
    if rules:
        echo(f"{counted}: {_summary(decided, decidable, unknown, clauses)}")


def _say_rule(folder: FolderTests, found: Coverage) -> None:
    file = folder.place(found.file)
    echo(file)
    counts = (found.decided, found.decidable, found.unknown, len(found.clauses))
    echo(f"  {_summary(*counts)}; {found.cases} cases")
    for clause in found.clauses:
        if clause.never:
            place = f"{file}:{clause.position.line}:{clause.position.column}"
            echo(f"    {place}: `{clause.text}` was never {_listed(clause.never)}")


def _summary(decided: int, decidable: int, unknown: int, clauses: int) -> str:
    return (
        f"clause coverage {decided}/{decidable} ({_share(decided, decidable)}); "
        f"unknown seen in {unknown}/{clauses} clauses ({_share(unknown, clauses)})"
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "100%"


def _listed(words: tuple[str, ...]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def as_json(covered: Iterable[Covered], findings: Iterable[Finding]) -> dict[str, Any]:
    """Return what was counted, as plain data."""
    return {
        "rules": [_rule_as_json(*each) for each in covered],
        "findings": [each.as_json() for each in findings],
    }


def _rule_as_json(
    folder: FolderTests, rule: str, found: Coverage | str
) -> dict[str, Any]:
    if isinstance(found, str):
        return {"rule": rule, "error": found}
    return {
        "rule": rule,
        "file": folder.place(found.file),
        "cases": found.cases,
        "decided": found.decided,
        "decidable": found.decidable,
        "unknown": found.unknown,
        "clauses": [_clause_as_json(each) for each in found.clauses],
    }


def _clause_as_json(clause: SeenClause) -> dict[str, Any]:
    return {
        "line": clause.position.line,
        "column": clause.position.column,
        "text": clause.text,
        "true": clause.true,
        "false": clause.false,
        "unknown": clause.unknown,
        "never": list(clause.never),
    }
