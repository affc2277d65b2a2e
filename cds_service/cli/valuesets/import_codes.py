"""``cds-service valueset import``: terminology that a site brings along."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ...exports.files import write_atomically
from ...rulebook.compile import kind_of
from ...rulebook.describe import ingredients_in
from ...rulebook.language import (
    Document,
    Findings,
    Level,
    check_shape,
    parse_json,
    parse_yaml,
    render,
)
from ...rulebook.load import InvalidRulebook, read_folder
from ...rulebook.terminology import (
    CONCEPTS,
    EXPANSION,
    RELATIONS,
    SIZE_LIMITS,
    SOURCES,
    BadRelease,
    Expansion,
    Imported,
    name_for,
    read_expansion,
    read_release,
    read_valueset,
    release_of,
    write_expansion,
    write_valueset,
)
from ..rules.compiled import CouldNotRun, default_folder
from . import counted, rules_option


@click.group("import")
def import_codes() -> None:
    """Bring RxNorm's products or a FHIR ValueSet into the rules folder."""


@import_codes.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@rules_option
def rxnorm(folder: Path, rules: Path | None) -> None:
    """Write the products of all ingredients that the value sets name.

    FOLDER holds RxNorm Current Prescribable Content, unpacked: RXNCONSO.RRF and
    RXNREL.RRF, there or in rrf/. It needs no licence; NLM's sentence is written along.
    The result is valuesets/expansions/rxnorm.tsv. Exit code 0: written, or nothing
    changed; 1: the release cannot be used; 2: the value sets cannot.
    """
    chosen = rules or default_folder()
    documents = read_set_documents(chosen)
    text = expand_release(folder, documents)
    file = chosen / EXPANSION
    written = _write(file, text)
    expansion = read_expansion(text, Findings())
    click.echo(f"{file}: {'written' if written else 'unchanged'}")
    for line in _told(expansion):
        click.echo(line)
    click.echo("see what it changes: cds-service valueset outdated")


def _told(expansion: Expansion) -> list[str]:
    release = expansion.known.release or "of unknown date"
    found = len(expansion.products)
    told = [
        f"RxNorm release {release}: {counted(len(expansion.known.codes), 'code')} for "
        f"{counted(found, 'ingredient')}"
    ]
    if expansion.absent:
        absent = ", ".join(sorted(expansion.absent, key=int))
        told.append(f"not in this release, so not prescribed now: {absent}")
    return told


def _write(file: Path, text: str) -> bool:
    """Write a file if that changes it."""
    content = text.encode("utf-8")
    try:
        if file.is_file() and file.read_bytes() == content:
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text)
    except OSError as error:
        said = f"{file} cannot be written: {error.strerror}"
        raise click.ClickException(said) from error
    return True


@import_codes.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="The value set's name; by default it follows the title.")
@click.option(
    "--replace", is_flag=True, help="Replace an existing file with that name."
)
@rules_option
def fhir(file: Path, name: str | None, replace: bool, rules: Path | None) -> None:
    """Write the codes of a FHIR R4 ValueSet in FILE as a value-set file.

    It must list its codes: enumerated concepts, or a whole expansion. Identifiers are
    taken and terms are not. Exit code 0: written; 1: it cannot be taken; 2: usage.
    """
    imported = read_imported(file, read_text(file))
    called = name or name_for(imported)
    if not called:
        raise click.UsageError("the title gives no name; use --name")
    target = (rules or default_folder()) / "valuesets" / f"{called}.yaml"
    if target.name != f"{called}.yaml" or "/" in called or called != called.lower():
        raise click.UsageError("a name is words in lower case, joined by hyphens")
    text = write_valueset(imported, called)
    if target.exists() and not replace and target.read_text("utf-8") != text:
        raise click.ClickException(
            f"{target} already exists; --replace replaces it, --name uses another name"
        )
    written = _write(target, text)
    click.echo(f"{target}: {'written' if written else 'unchanged'}")
    codes = counted(len(imported.included), "code")
    inactive = f", {imported.inactive} inactive" if imported.inactive else ""
    click.echo(f"{codes}{inactive}; see `cds-service valueset licences`")


def read_text(file: Path) -> str:
    """Return the text of a file of terminology.

    Raises:
        click.ClickException: if it is too large, or not UTF-8.
    """
    limit = SIZE_LIMITS["fhir-valueset"]
    with file.open("rb") as opened:
        content = opened.read(limit + 1)
    if len(content) > limit:
        raise click.ClickException(f"{file} is larger than {limit >> 20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file} is not UTF-8") from error


def read_imported(file: Path, text: str) -> Imported:
    """Return the ValueSet that is the text of a file.

    Raises:
        click.ClickException: with everything that is wrong with it.
    """
    findings = Findings()
    document = parse_json(text, str(file), findings, "CDS217")
    imported = read_valueset(document, findings) if document is not None else None
    if imported is None:
        found = list(findings)
        shown = "\n".join(render(each, text) for each in found[:_SHOWN])
        more = f"\nand {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise click.ClickException(f"{file} cannot be used\n{shown}{more}")
    return imported


_SHOWN = 10


# A folder of RxNorm as NLM distributes it, and what it says of our ingredients

_LONGEST = 64 * 1024
"""Bytes of a line; NLM's are much shorter."""


def is_release(folder: Path) -> bool:
    """Check whether a folder, or its folder ``rrf``, holds RxNorm."""
    return any((each / CONCEPTS.file).is_file() for each in (folder, folder / "rrf"))


def expand_release(folder: Path, documents: list[Document]) -> str:
    """Return the text of an expansion of the ingredients that value-set files name.

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
    """Return the value-set files of a rules folder, of the right shape.

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
