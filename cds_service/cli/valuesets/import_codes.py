"""``cds-service valueset import``: terminology that a site brings along."""

from pathlib import Path

import click

from ...exports.files import write_atomically
from ...rulebook.language import Findings, parse_json, render
from ...rulebook.terminology import (
    EXPANSION,
    SIZE_LIMITS,
    Expansion,
    Imported,
    name_for,
    read_expansion,
    read_valueset,
    write_valueset,
)
from ..rules.compiled import default_folder
from .folder import counted, rules_option
from .release import expand_release, read_set_documents


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
        told.append(f"not in this release, so nobody is prescribed them now: {absent}")
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
@click.option("--replace", is_flag=True, help="Write over a file of that name.")
@rules_option
def fhir(file: Path, name: str | None, replace: bool, rules: Path | None) -> None:
    """Write the codes of a FHIR R4 ValueSet in FILE as a value-set file.

    It must list its codes: enumerated concepts, or a whole expansion. Identifiers are
    taken and terms are not. Exit code 0: written; 1: it cannot be taken; 2: usage.
    """
    imported = read_imported(file, read_text(file))
    called = name or name_for(imported)
    if not called:
        raise click.UsageError("the title makes no name; give one with --name")
    target = (rules or default_folder()) / "valuesets" / f"{called}.yaml"
    if target.name != f"{called}.yaml" or "/" in called or called != called.lower():
        raise click.UsageError("a name is words in lower case, joined by hyphens")
    text = write_valueset(imported, called)
    if target.exists() and not replace and target.read_text("utf-8") != text:
        raise click.ClickException(
            f"{target} is already there; --replace writes over it, --name takes another"
        )
    written = _write(target, text)
    click.echo(f"{target}: {'written' if written else 'unchanged'}")
    codes = counted(len(imported.included), "code")
    inactive = f", {imported.inactive} inactive" if imported.inactive else ""
    click.echo(f"{codes}{inactive}; see `cds-service valueset licences`")


def read_text(file: Path) -> str:
    """The text of a file of terminology.

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
    """The ValueSet that is the text of a file.

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
        raise click.ClickException(f"{file} cannot be taken\n{shown}{more}")
    return imported


_SHOWN = 10
