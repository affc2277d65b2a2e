"""A folder of RxNorm as NLM distributes it, and what it says of our ingredients."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ...rulebook.compile import kind_of
from ...rulebook.describe import ingredients_in
from ...rulebook.language import Document, Findings, Level, check_shape, parse_yaml
from ...rulebook.load import InvalidRulebook, read_folder
from ...rulebook.terminology import (
    CONCEPTS,
    RELATIONS,
    SOURCES,
    BadRelease,
    read_release,
    release_of,
    write_expansion,
)
from ..rules.compiled import CouldNotRun

_LONGEST = 64 * 1024
"""Bytes of a line; NLM's are much shorter."""


def is_release(folder: Path) -> bool:
    """Whether a folder, or its folder ``rrf``, holds RxNorm."""
    return any((each / CONCEPTS.file).is_file() for each in (folder, folder / "rrf"))


def expand_release(folder: Path, documents: list[Document]) -> str:
    """The text of an expansion of the ingredients that value-set files name.

    Raises:
        click.ClickException: if the folder does not hold a whole release.
    """
    here = folder if (folder / CONCEPTS.file).is_file() else folder / "rrf"
    for table in (CONCEPTS, RELATIONS):
        if not (here / table.file).is_file():
            raise click.ClickException(
                f"there is no {table.file} in {folder} or {folder / 'rrf'}; unpack "
                "RxNorm_full_prescribe_MMDDYYYY.zip and name the folder it makes"
            )
    sources = here / SOURCES.file
    try:
        release = read_release(
            _lines(here / CONCEPTS.file), _lines(here / RELATIONS.file)
        )
        version = release_of(_names(here), _lines(sources) if sources.is_file() else ())
        return "".join(write_expansion(release, version, ingredients_in(documents)))
    except BadRelease as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        said = f"{error.filename}: {error.strerror}"
        raise click.ClickException(said) from error


def _names(folder: Path) -> list[str]:
    """Names that may hold the date: the folder's, its files', its parent's."""
    holders = [folder.resolve()]
    if folder.resolve().name.lower() == "rrf":
        holders.append(holders[0].parent)
    return [
        name
        for holder in holders
        for name in (holder.name, *sorted(each.name for each in holder.iterdir()))
    ]


def _lines(file: Path) -> Iterator[bytes]:
    """The lines of a file, however large; told on a terminal as they go by."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        lines = iter(lambda: opened.readline(_LONGEST), b"")
        if not sys.stderr.isatty():
            yield from lines
            return
        with click.progressbar(
            length=size, label=file.name, file=sys.stderr, update_min_steps=1 << 22
        ) as bar:
            for line in lines:
                bar.update(len(line))
                yield line


def read_set_documents(folder: Path) -> list[Document]:
    """The value-set files of a rules folder, of the right shape.

    Other files may have errors: an import mends some.

    Raises:
        CouldNotRun: if a value-set file has errors.
    """
    findings = Findings()
    documents = []
    try:
        files = read_folder(folder)
    except InvalidRulebook as error:
        raise CouldNotRun(f"{error}; see `cds-service check {folder}`") from error
    for name in sorted(files):
        if kind_of(name) == "valueset":
            document = parse_yaml(files[name], name, findings)
            if document is not None and check_shape("valueset", document, findings):
                documents.append(document)
    errors = [each for each in findings if each.level is Level.ERROR]
    if errors:
        first = errors[0]
        raise CouldNotRun(
            f"{folder / first.file}:{first.line}:{first.column}: {first.message}; "
            f"see `cds-service check {folder}`"
        )
    if not documents:
        raise CouldNotRun(f"there is no value set in {folder / 'valuesets'}")
    return documents
