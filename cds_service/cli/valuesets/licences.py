"""``cds-service valueset licences``: what the terms of terminologies speak of."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import click

from ...rulebook.language import Document, Finding, Findings
from ...rulebook.load import InvalidRulebook, read_folder
from ...rulebook.terminology import NOTICE, check_licences
from ..rules.compiled import CouldNotRun, default_folder
from ..rules.reporting import Report, format_option, write_findings

_LONGEST = 256 * 1024


@click.command()
@click.argument(
    "rules",
    required=False,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@format_option
@click.pass_context
def licences(context: click.Context, rules: Path | None, form: str) -> None:
    """Find codes, names and missing notices that licences speak of.

    RULES is the rules folder; by default CDS_RULES, or ./rules. Exit code 0: nothing
    found; 1: something; 2: the folder cannot be read. It is no legal advice.
    """
    folder = rules or default_folder()
    try:
        files = read_folder(folder)
    except InvalidRulebook as error:
        raise CouldNotRun(f"{error}; see `cds-service check {folder}`") from error
    found = tuple(
        replace(each, file=str(folder / each.file))
        for each in licence_findings(folder, files)
    )
    texts = {str(folder / name): text for name, text in files.items()}
    write_findings(Report(found, texts, rules=0), form)
    context.exit(1 if found else 0)


def licence_findings(
    folder: Path,
    files: Mapping[str, str],
    known: Mapping[str, Document] = MappingProxyType({}),
) -> tuple[Finding, ...]:
    """Return what the licence lint finds in a rules folder and its notice.

    *known* are those of its files that were parsed before.
    """
    findings = Findings()
    notice = folder / NOTICE
    held = dict(files)
    if notice.is_file():
        with notice.open("rb") as opened:
            held[NOTICE] = opened.read(_LONGEST).decode("utf-8", "replace")
    check_licences(held, findings, known)
    return tuple(findings)
