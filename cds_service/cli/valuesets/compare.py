"""``cds-service valueset compare``: a value set beside somebody else's list."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from ...fhir.code_systems import canonical_system, short_name
from ...rulebook.describe import (
    Comparison,
    InSystem,
    NoList,
    compare_with,
    concepts_of,
    read_list,
)
from ...rulebook.language import printable
from ...rulebook.terminology import Concept, ValueSet
from ..rules.compiled import compile_folder
from . import counted, find_set, rules_option, set_documents
from .import_codes import read_imported, read_text

SHOWN = 20
"""Codes of one list in the text; ``--json`` has all."""


@click.command()
@click.argument("name", metavar="SET")
@click.option(
    "--with",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A FHIR ValueSet (JSON), or a list of codes (text or CSV).",
)
@click.option(
    "--system",
    help=(
        "System of codes in a list that does not name it: icd10cm, rxnorm, snomed … or"
        " a URI."
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Write everything, as JSON.")
@rules_option
def compare(
    name: str, file: Path, system: str | None, as_json: bool, rules: Path | None
) -> None:
    """Tell recall and precision of the value set SET against a list of codes.

    Recall is the share of the listed codes that the set has; precision the share of the
    set's codes, branches and ingredients that the list has. A branch covers every code
    below it. Medicines are judged by code, else by the name that the list gives them.
    What cannot be judged is counted apart: codes of systems in which the set has none,
    and products of RxNorm without a name, as long as RxNorm is not imported.

    A list has one code a line, or `system|code`, and may have the name after a comma;
    a CSV file has a column called `code`. Exit code 0: compared, whatever came out;
    1: the file cannot be taken; 2: there is no such set, or the rules have errors.
    """
    compiled = compile_folder(rules)
    valueset = find_set(compiled, name)
    concepts = _read(file, valueset, system)
    found = compare_with(valueset, concepts, set_documents(compiled))
    if as_json:
        written = {"valueset": name, "version": valueset.version, "with": str(file)}
        told = {**written, **_as_json(found)}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    click.echo(
        f"{name} {valueset.version} beside {file} ({counted(len(concepts), 'code')}): "
        f"recall {_percent(found.recall)}"
    )
    _print(found)


def _read(file: Path, valueset: ValueSet, system: str | None) -> tuple[Concept, ...]:
    text = read_text(file)
    if text.lstrip().startswith("{"):
        return concepts_of(read_imported(file, text))
    systems = [canonical_system(system)] if system else valueset.systems
    try:
        return read_list(text, systems)
    except NoList as error:
        help = "" if system else "; --system gives the system of its codes"
        raise click.ClickException(f"{file} cannot be used: {error}{help}") from error


def _print(found: Comparison) -> None:
    for each in found.systems:
        _print_system(each)
    _print_counts("not covered by the set", "code", found.not_covered)
    _print_counts("not in the list", "entry", found.not_listed, "entries")
    if found.malformed:
        click.echo(f"\n{counted(len(found.malformed), 'code')} of an unknown form")
        _print_some(map(_shown, found.malformed))


def _print_system(each: InSystem) -> None:
    name = short_name(each.system)
    found = len(each.found) + len(each.by_name)
    listed = found + len(each.missing)
    named = f", {len(each.by_name):,} of them by name only" if each.by_name else ""
    click.echo(
        f"\n{name}: recall {_percent(each.recall)} ({found:,} of {listed:,}{named}), "
        f"precision {_precision(each)}"
    )
    if each.missing:
        click.echo(f"  missing from the set: {len(each.missing):,}")
        _print_some(map(_shown, each.missing))
    if each.extra:
        click.echo(f"  only in the set: {len(each.extra):,}")
        _print_some(each.extra)
    if each.not_judged:
        number = counted(len(each.not_judged), "product")
        click.echo(f"  not judged: {number} without a name; RxNorm is not imported")


def _precision(each: InSystem) -> str:
    if each.extra is None:
        return "not known, because the list has codes without names"
    entries = each.confirmed + len(each.extra)
    return f"{_percent(each.precision)} ({each.confirmed:,} of {entries:,})"


def _print_counts(
    said: str, noun: str, counts: Mapping[str, int], plural: str = ""
) -> None:
    for system, count in counts.items():
        shown = counted(count, noun, plural)
        click.echo(f"\n{printable(short_name(system))}: {shown} {said}; not judged")


def _print_some(lines: Iterable[str]) -> None:
    every = list(lines)
    for line in every[:SHOWN]:
        click.echo(f"    {printable(line)}")
    if len(every) > SHOWN:
        click.echo(f"    and {len(every) - SHOWN:,} more")


def _shown(concept: Concept) -> str:
    return f"{concept[1]} {concept[2]}".rstrip()


def _percent(share: float | None) -> str:
    return "not known" if share is None else f"{share:.1%}"


def _as_json(found: Comparison) -> dict[str, Any]:
    return {
        "recall": found.recall,
        "systems": [
            {
                "system": short_name(each.system),
                "recall": each.recall,
                "precision": each.precision,
                "found": _coded(each.found),
                "found_by_name": _coded(each.by_name),
                "missing": _coded(each.missing),
                "not_judged": _coded(each.not_judged),
                "confirmed": each.confirmed,
                "extra": None if each.extra is None else list(each.extra),
            }
            for each in found.systems
        ],
        "not_covered": {short_name(s): n for s, n in found.not_covered.items()},
        "not_listed": {short_name(s): n for s, n in found.not_listed.items()},
        "malformed": _coded(found.malformed),
    }


def _coded(concepts: Iterable[Concept]) -> list[dict[str, str]]:
    return [
        {"code": code, "display": display} if display else {"code": code}
        for _, code, display in concepts
    ]
