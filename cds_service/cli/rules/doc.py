"""``cds-service doc``: a page for each rule, in plain sentences."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ...exports.files import write_atomically
from ...rulebook.describe import (
    DetectorPage,
    Page,
    build_detector_page,
    build_page,
    detector_markdown,
    index_markdown,
    markdown,
    page_json,
)
from ...rulebook.language import suggest
from .compiled import Compilation, compile_folder, default_folder

INDEX, DETECTORS = "README.md", "detectors"


@click.command()
@click.argument("rule", nargs=-1)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write one file per rule, and an index, into this folder.",
)
@click.option(
    "--check",
    "checked",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Write nothing; exit code 1 if the pages in this folder are out of date.",
)
@click.option(
    "--rules",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The rules folder; by default CDS_RULES, or ./rules.",
)
@click.option(
    "--changelog",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The change log; by default CHANGELOG.md in or above the folder.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    show_default=True,
    help="Output format.",
)
@click.pass_context
def doc(
    context: click.Context,
    rule: tuple[str, ...],
    out: Path | None,
    checked: Path | None,
    rules: Path | None,
    changelog: Path | None,
    form: str,
) -> None:
    """Write a page about each RULE or detector, or about all: what it does, and why.

    The page is made from the compiled rule, its value sets, tests and evidence, so that
    it cannot differ from what the rule does. Pages of detectors stand in a folder of
    their own. Exit code 0: written, or up to date; 1:
    pages are out of date; 2: usage, or the rules have errors.
    """
    if out and checked:
        raise click.UsageError("--out writes and --check only looks; choose one")
    folder = rules or default_folder()
    compiled = compile_folder(folder)
    told = _changelog(changelog, folder)
    rule_names, detector_names = _asked(compiled, rule)
    pages = _pages(compiled, rule_names, told)
    detectors = _detector_pages(compiled, detector_names, told)
    files = _files(pages, detectors, form, whole=not rule)
    if checked:
        stale = _stale(files, checked, whole=not rule)
        for line in stale:
            click.echo(line)
        click.echo(f"{len(files)} pages, {len(stale)} out of date")
        context.exit(1 if stale else 0)
    if out is None:
        click.echo("\n".join(_on_screen(pages, detectors, form)), nl=False)
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        _write(out / name, text)
    click.echo(f"{len(files)} pages written to {out}", err=True)


def _asked(
    compiled: Compilation, names: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """Return the rules and the detectors that are meant.

    Raises:
        click.UsageError: if there is one of them neither.
    """
    rules = sorted(compiled.rulebook.rules)
    detectors = sorted(each.name for each in compiled.detectors.values())
    if not names:
        return rules, detectors
    for name in names:
        if name not in rules and name not in detectors:
            help = suggest(name, [*rules, *detectors])
            said = f"there is no rule or detector {name}; {help}"
            raise click.UsageError(said.rstrip("; "))
    asked = list(dict.fromkeys(names))
    return [e for e in asked if e in rules], [e for e in asked if e in detectors]


def _pages(compiled: Compilation, names: list[str], changelog: str) -> list[Page]:
    return [
        build_page(
            compiled.rule_file(each), compiled.rulebook, compiled.documents, changelog
        )
        for each in names
    ]


def _detector_pages(
    compiled: Compilation, names: list[str], changelog: str
) -> list[DetectorPage]:
    trees = {each.name: each for each in compiled.detectors.values()}
    rulebook, documents = compiled.rulebook, compiled.documents
    return [
        build_detector_page(trees[name], rulebook, documents, changelog)
        for name in names
    ]


def _changelog(named: Path | None, folder: Path) -> str:
    near = [folder / "CHANGELOG.md", folder.absolute().parent / "CHANGELOG.md"]
    for file in [named] if named else near:
        if file.is_file():
            return file.read_text("utf-8", "replace")
    return ""


def _files(
    pages: list[Page], detectors: list[DetectorPage], form: str, whole: bool
) -> dict[str, str]:
    """File name to content; the index only where all rules are there."""
    if form == "json":
        told = {f"{page.source.rule.id}.json": page_json(page) for page in pages}
        told |= {f"{DETECTORS}/{e.tree.name}.json": e.as_json() for e in detectors}
        return {name: _json(each) for name, each in told.items()}
    files = {f"{page.source.rule.id}.md": markdown(page) for page in pages}
    for each in detectors:
        files[f"{DETECTORS}/{each.tree.name}.md"] = detector_markdown(each)
    return {INDEX: index_markdown(pages, detectors), **files} if whole else files


def _json(written: Any) -> str:
    return json.dumps(written, indent=2, ensure_ascii=False) + "\n"


def _on_screen(
    pages: list[Page], detectors: list[DetectorPage], form: str
) -> list[str]:
    if form == "json":
        told = {
            "rules": [page_json(page) for page in pages],
            "detectors": [each.as_json() for each in detectors],
        }
        return [_json({key: each for key, each in told.items() if each})]
    return [*map(markdown, pages), *map(detector_markdown, detectors)]


def _stale(files: Mapping[str, str], folder: Path, whole: bool) -> list[str]:
    """A line for each page that is missing, differs or has no rule."""
    found = []
    for name, text in files.items():
        file = folder / name
        if not file.is_file():
            found.append(f"{file}: is not there")
            continue
        written = file.read_text("utf-8", "replace")
        if written != text:
            found.append(f"{file}:{_parting(written, text)}: is out of date")
    suffix = Path(next(iter(files), INDEX)).suffix
    for file in sorted(folder.rglob(f"*{suffix}")) if whole else ():
        if file.relative_to(folder).as_posix() not in files:
            found.append(f"{file}: there is no such rule")
    return found


def _parting(old: str, new: str) -> int:
    """The first line in which two texts differ."""
    pairs = zip(old.splitlines(), new.splitlines(), strict=False)
    for number, (left, right) in enumerate(pairs, start=1):
        if left != right:
            return number
    return min(len(old.splitlines()), len(new.splitlines())) + 1


def _write(file: Path, text: str) -> None:
    """Put a file in place whole, or not at all."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error}") from error
