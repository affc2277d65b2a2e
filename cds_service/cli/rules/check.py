"""``cds-service check``: what can be said of rule files without a patient."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import click

from ...fhir.models import check_resource
from ...garbage import uncollected
from ...rulebook.compile import SERVICES, SITE, kind_of
from ...rulebook.language import Finding, Level
from ...rulebook.load import Checked, check_folder
from ...rulebook.terminology import LOCK, tell_import
from ...rulebook.testing import (
    check_detector_tests,
    check_tests,
    read_detector_examples,
    read_examples,
)
from ..valuesets.licences import licence_findings
from .reporting import Report, exit_code, format_option, write_findings


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@format_option
@click.option("--lint-fatal", is_flag=True, help="Treat warnings as errors.")
@click.option(
    "--locked",
    is_flag=True,
    help="Treat value sets that differ from valuesets.lock as errors.",
)
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Report what is overdue or expired on this day; by default today at the site.",
)
@click.option(
    "--clients",
    type=click.Path(path_type=Path),
    envvar="CDS_CLIENTS_FILE",
    show_envvar=True,
    help="The server's clients file; reports clients that are not sent links to pages.",
)
@click.pass_context
def check(
    context: click.Context,
    paths: tuple[Path, ...],
    form: str,
    lint_fatal: bool,
    locked: bool,
    today: datetime | None,
    clients: Path | None,
) -> None:
    """Check rule files: grammar, names, value sets, units, text, life cycle and tests.

    PATHS are rules folders, or files and folders in one; by default the folder named by
    CDS_RULES, or ./rules. Exit code 0: no errors; 1: errors; 2: could not run.
    """
    asked = paths or (Path(os.environ.get("CDS_RULES") or "rules"),)
    for path in asked:
        if not os.path.lexists(path):
            raise click.UsageError(
                f"there is no {path}; name a rules folder, or set CDS_RULES"
            )
    with uncollected():
        report = look(asked, today.date() if today else None, locked, clients)
    write_findings(report, form)
    context.exit(exit_code(report, lint_fatal))


def look(
    paths: Iterable[Path],
    today: date | None = None,
    locked: bool = False,
    clients: Path | None = None,
) -> Report:
    """Check the rules folders that *paths* lie in, and keep what is about the paths.

    Without *today*, it is what the calendar of each site says. If *locked*, the value
    sets must be as valuesets.lock has them. *clients* is the clients file.
    """
    wanted: dict[Path, list[Path]] = {}
    for path in paths:
        wanted.setdefault(rules_folder(path), []).append(_place(path))
    findings: list[Finding] = []
    texts: dict[str, str] = {}
    rules = elsewhere = 0
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
        for each in sorted(
            {*_found(folder, checked, locked), *_left_out(checked, clients)}
        ):
            if _is_within(folder / each.file, within):
                findings.append(replace(each, file=str(folder / each.file)))
            else:
                elsewhere += each.level is Level.ERROR
    return Report(tuple(findings), texts, rules, elsewhere)


def _found(folder: Path, checked: Checked, locked: bool) -> Iterator[Finding]:
    """Yield everything that there is to say about a folder."""
    yield from held_to_lock(checked.findings, checked.files, locked)
    tests = read_examples(checked.files)
    yield from check_tests(
        checked.files,
        checked.trees,
        checked.facts,
        checked.quantities,
        (each.file for each in checked.findings if each.level is Level.ERROR),
        tests,
    )
    of_detectors = read_detector_examples(checked.files)
    detectors = checked.detectors.values()
    yield from check_detector_tests(checked.files, detectors, of_detectors)
    documents = [each.document for each in tests[0]]
    documents += [each.document for each in of_detectors[0]]
    parsed = {each.file: each for each in documents}
    known = {**checked.documents, **parsed}
    yield from licence_findings(folder, checked.files, known)
    yield from _import_missing(checked)


def _left_out(checked: Checked, clients: Path | None) -> Iterator[Finding]:
    """What the clients file adds; nothing keeps the rules from being checked."""
    if clients is None:
        return
    # Settings take longer to import than rules take to check.
    from .page_links import NoClients, tell_links_left_out

    try:
        yield from tell_links_left_out(checked, clients)
    except NoClients as error:
        click.echo(f"Clients were not checked: {error}", err=True)


def _import_missing(checked: Checked) -> Iterator[Finding]:
    if checked.rulebook:
        sets = checked.rulebook.valuesets.values()
        named = frozenset[str]().union(*(each.ingredients for each in sets))
        yield from tell_import(checked.files, len(named))


def held_to_lock(
    findings: Iterable[Finding], files: Mapping[str, str], locked: bool
) -> Iterator[Finding]:
    """Yield the findings; if *locked*, those about the lock, or its lack, as errors."""
    for each in findings:
        about_lock = each.code in ("CDS219", "CDS220")
        yield replace(each, level=Level.ERROR) if locked and about_lock else each
    if locked and LOCK not in files:
        help = "write it with `cds-service valueset lock`"
        yield Finding(LOCK, 1, 1, "CDS218", Level.ERROR, f"there is no {LOCK}", help)


def rules_folder(path: Path) -> Path:
    """Return the folder whose settings hold for *path*: the nearest that has some."""
    start = path if os.path.isdir(path) else path.parent
    for folder in (start, *start.absolute().parents):
        if any(os.path.isfile(folder / name) for name in (SITE, SERVICES)):
            return _shortest(folder)
    return start


def _shortest(folder: Path) -> Path:
    here = Path.cwd()
    absolute = folder.absolute()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else folder


def _is_within(file: Path, asked: Iterable[Path]) -> bool:
    place = _place(file)
    return any(place.is_relative_to(each) for each in asked)


def _place(path: Path) -> Path:
    """Where a folder is, or the name of a file in its folder; a link is a file."""
    absolute = Path(os.path.abspath(path))
    if os.path.isdir(absolute):
        return absolute.resolve()
    return absolute.parent.resolve() / absolute.name
