"""``cds-service doc``: a page for each rule, in plain sentences."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ...exports.files import write_atomically
from ...rulebook.describe import Page, build_page, index_markdown, markdown, page_json
from .compiled import Compilation, compile_folder, default_folder

INDEX = "README.md"


@click.command()
@click.argument("rule", nargs=-1)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a file for each rule, and an index, into this folder.",
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
    help="Where changes are told; by default CHANGELOG.md in or above the folder.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    show_default=True,
    help="How pages are written.",
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
    """Write a page about each RULE, or about all: what it does, for whom, and why.

    The page is made from the compiled rule, its value sets, tests and evidence, so that
    it cannot differ from what the rule does. Exit code 0: written, or up to date; 1:
    pages are out of date; 2: usage, or the rules have errors.
    """
    if out and checked:
        raise click.UsageError("--out writes and --check only looks; choose one")
    folder = rules or default_folder()
    compiled = compile_folder(folder)
    pages = _pages(compiled, rule, _changelog(changelog, folder))
    files = _files(pages, form, whole=not rule)
    if checked:
        stale = _stale(files, checked, whole=not rule)
        for line in stale:
            click.echo(line)
        click.echo(f"{len(files)} pages, {len(stale)} out of date")
        context.exit(1 if stale else 0)
    if out is None:
        click.echo("\n".join(_on_screen(pages, form)), nl=False)
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        _write(out / name, text)
    click.echo(f"{len(files)} pages written to {out}", err=True)


def _pages(compiled: Compilation, asked: tuple[str, ...], changelog: str) -> list[Page]:
    names = list(dict.fromkeys(asked)) or sorted(compiled.rulebook.rules)
    sources = [compiled.find(name) for name in names]
    return [
        build_page(each, compiled.rulebook, compiled.documents, changelog)
        for each in sources
    ]


def _changelog(named: Path | None, folder: Path) -> str:
    near = [folder / "CHANGELOG.md", folder.absolute().parent / "CHANGELOG.md"]
    for file in [named] if named else near:
        if file.is_file():
            return file.read_text("utf-8", "replace")
    return ""


def _files(pages: list[Page], form: str, whole: bool) -> dict[str, str]:
    """File name to content; the index only where all rules are there."""
    if form == "json":
        return {f"{page.source.rule.id}.json": _json(page_json(page)) for page in pages}
    files = {f"{page.source.rule.id}.md": markdown(page) for page in pages}
    return {INDEX: index_markdown(pages), **files} if whole else files


def _json(written: Any) -> str:
    return json.dumps(written, indent=2, ensure_ascii=False) + "\n"


def _on_screen(pages: list[Page], form: str) -> list[str]:
    if form == "json":
        return [_json({"rules": [page_json(page) for page in pages]})]
    return [markdown(page) for page in pages]


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
    for file in sorted(folder.glob(f"*{suffix}")) if whole else ():
        if file.name not in files:
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
        write_atomically(file, text)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error}") from error
