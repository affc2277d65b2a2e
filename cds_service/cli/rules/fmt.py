"""``cds-service fmt``: rule files in one style, comments and meaning kept."""

import difflib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click

from ...exports.files import write_atomically
from ...rulebook.authoring import NotPlain, format_text
from ...rulebook.compile import kind_of
from ...rulebook.language import render
from ...rulebook.load import SUFFIX, InvalidRulebook, read_folder
from .check import rules_folder


@dataclass(slots=True)
class FileCounts:
    """What became of the files so far."""

    right: int = 0
    changed: int = 0
    refused: int = 0


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--check", is_flag=True, help="Write nothing; list files that are not formatted."
)
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
@click.pass_context
def fmt(
    context: click.Context, paths: tuple[Path, ...], check: bool, diff: bool
) -> None:
    """Put rule files in order: keys as in the grammar, two spaces, comments kept.

    What a file says is compared before and after, and nothing is written where it
    differs. A file with errors is left as it is. Lines end with a line feed.

    PATHS are rules folders, or files and folders in one; by default the folder named by
    CDS_RULES, or ./rules. Exit code 0: done; 1: a file could not be formatted or,
    with --check, is not; 2: could not run.
    """
    asked = paths or (Path(os.environ.get("CDS_RULES") or "rules"),)
    for path in asked:
        if not path.exists():
            raise click.UsageError(
                f"there is no {path}; name a rules folder, or set CDS_RULES"
            )
    tally = FileCounts()
    for folder, name, text in files_of(asked):
        take(folder, name, text, write=not (check or diff), diff=diff, tally=tally)
    click.echo(summary(tally, check or diff), err=diff)
    context.exit(1 if tally.refused or check and tally.changed else 0)


def files_of(paths: Iterable[Path]) -> Iterator[tuple[Path, str, str]]:
    """Rules folder, name in it and text of every file that *paths* stand for, once.

    Raises:
        click.ClickException: naming what cannot be read.
    """
    seen: set[Path] = set()
    for path in paths:
        folder = rules_folder(path)
        try:
            files = read_folder(folder)
        except InvalidRulebook as error:
            raise click.ClickException(str(error)) from error
        for name, text in files.items():
            file = (folder / name).resolve()
            ours = name.endswith(SUFFIX) and file.is_relative_to(path.resolve())
            if ours and file not in seen:
                seen.add(file)
                yield folder, name, text


def take(
    folder: Path, name: str, text: str, *, write: bool, diff: bool, tally: FileCounts
) -> None:
    """Put one file in order, and say what became of it."""
    shown = str(folder / name)
    try:
        written, findings = format_text(text, name, kind_of(name))
    except NotPlain as error:
        click.echo(f"{shown}:{error.line}:1: {error}; the file was not changed")
        tally.refused += 1
        return
    for each in findings:
        click.echo(render(replace(each, file=shown), text) + "\n")
    if findings:
        tally.refused += 1
    elif written == text:
        tally.right += 1
    else:
        tally.changed += 1
        if diff:
            click.echo("".join(changes(shown, text, written)), nl=False)
        else:
            click.echo(shown)
        if write:
            save(folder / name, written)


def save(file: Path, text: str) -> None:
    """Write a file whole or not at all; a link stays a link."""
    try:
        write_atomically(file.resolve(), text)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error}") from error


def changes(name: str, old: str, new: str) -> Iterator[str]:
    """Yield the lines that differ, as ``diff -u`` writes them."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for line in difflib.unified_diff(before, after, name, name):
        yield line if line.endswith("\n") else line + "\n"


def summary(tally: FileCounts, only_looked: bool) -> str:
    """Return the closing line: ``3 files in order, 1 file formatted``."""
    said = [f"{_files(tally.right)} formatted already"]
    if tally.changed:
        done = "not formatted" if only_looked else "formatted"
        said.append(f"{_files(tally.changed)} {done}")
    if tally.refused:
        said.append(f"{_files(tally.refused)} left with errors")
    return ", ".join(said)


def _files(number: int) -> str:
    return f"{number} file" if number == 1 else f"{number} files"
