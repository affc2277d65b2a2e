"""``cds-service valueset list``, ``show`` and ``expand``: what is in a value set."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ...fhir.code_systems import SYSTEMS, written_code
from ...fhir.models import check_resource
from ...rulebook.describe import Part, parts_of, rules_by_valueset
from ...rulebook.terminology import (
    EXPANSION,
    ValueSet,
    as_fhir,
    counts_of,
    entries_of,
    names_in,
)
from ..rules.compiled import Compilation, compile_folder
from . import counted, find_set, form_option, rules_option, set_documents


@click.command("list")
@rules_option
@form_option("text", "json")
def list_sets(rules: Path | None, form: str) -> None:
    """List every value set: its codes and prefixes by system, and the rules it serves.

    Exit code 0: listed; 2: the rules have errors.
    """
    compiled = compile_folder(rules)
    used = rules_by_valueset(compiled.rulebook)
    rows: list[dict[str, Any]] = [
        {
            "valueset": name,
            "title": each.title,
            "version": each.version,
            "systems": dict(counts_of(entries_of(each))),
            "expanded": bool(each.known.codes),
            "release": each.known.release,
            "rules": sorted(rule.id for rule in used[name]),
        }
        for name, each in sorted(compiled.rulebook.valuesets.items())
    ]
    if form == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    width = max((len(row["valueset"]) for row in rows), default=0)
    for row in rows:
        systems = ", ".join(f"{name} {n:,}" for name, n in row["systems"].items())
        by = ", ".join(row["rules"]) or "no rule"
        click.echo(f"{row['valueset']:{width}}  {systems}")
        click.echo(f"{'':{width}}  read by {by}")
    click.echo(f"{counted(len(rows), 'value set')}; {_release(compiled)}")


def _release(compiled: Compilation) -> str:
    sets = compiled.rulebook.valuesets.values()
    if not any(each.known.codes for each in sets):
        return "no RxNorm is imported, so products are matched by name"
    release = next((each.known.release for each in sets if each.known.release), "")
    return f"RxNorm release {release or 'of unknown date'}"


@click.command()
@click.argument("name")
@rules_option
@form_option("text", "json")
def show(name: str, rules: Path | None, form: str) -> None:
    """Show where the codes of the value set NAME come from, and who reads it.

    Other sets that it includes are shown as well, and the overlays that the site lists.
    Exit code 0: shown; 2: there is no such set, or the rules have errors.
    """
    compiled = compile_folder(rules)
    valueset = find_set(compiled, name)
    used = rules_by_valueset(compiled.rulebook)[name]
    parts = list(_all_parts(name, compiled))
    if form == "json":
        written = {
            "valueset": name,
            "title": valueset.title,
            "version": valueset.version,
            "release": valueset.known.release,
            "systems": dict(counts_of(entries_of(valueset))),
            "results": list(valueset.measure.said()),
            "parts": [
                {
                    "valueset": owner,
                    "file": compiled.place(part.file),
                    "line": part.line,
                    "kind": part.kind,
                    "overlay": part.overlay,
                    "what": part.words,
                }
                for owner, part in parts
            ],
            "rules": [{"rule": each.id, "file": each.file} for each in used],
        }
        click.echo(json.dumps(written, indent=2, ensure_ascii=False))
        return
    click.echo(f"{name} {valueset.version}: {valueset.title}")
    for said in valueset.measure.said():
        click.echo(f"results: {said}")
    owner = ""
    for owner_now, part in parts:
        if owner_now != owner:
            owner = owner_now
            click.echo(f"\n{owner}")
        place = f"{compiled.place(part.file)}:{part.line}"
        overlay = f" (overlay {part.overlay})" if part.overlay else ""
        click.echo(f"  {part.kind} {part.words}{overlay}\n    {place}")
    click.echo()
    _print_sums(valueset)
    for rule in used:
        click.echo(f"read by {rule.id}: {rule.title} ({compiled.place(rule.file)})")


def _all_parts(name: str, compiled: Compilation) -> Iterator[tuple[str, Part]]:
    """The parts of a set, then of the sets that it refers to, each once."""
    documents = set_documents(compiled)
    overlays = compiled.rulebook.site.overlays
    waiting, seen = [name], {name}
    while waiting:
        owner = waiting.pop(0)
        for part in parts_of(owner, documents, overlays):
            yield owner, part
            if part.refers_to and part.refers_to not in seen:
                seen.add(part.refers_to)
                waiting.append(part.refers_to)


def _print_sums(valueset: ValueSet) -> None:
    for system, count in counts_of(entries_of(valueset)).items():
        click.echo(
            f"{system}: {counted(count, 'code or prefix', 'codes and prefixes')}"
        )
    known = valueset.known
    if known.codes:
        date = known.release or "of unknown date"
        products = len(valueset.codes.get(SYSTEMS["rxnorm"], ())) - len(
            valueset.ingredients
        )
        rest = f"; {', '.join(valueset.uncoded)} by name" if valueset.uncoded else ""
        said = f"{counted(products, 'product')}, by code{rest}"
        click.echo(f"RxNorm release {date}: {said}")
    elif valueset.names:
        click.echo("RxNorm products: by name; no import covers every ingredient")


@click.command()
@click.argument("name")
@rules_option
@form_option("text", "json", "fhir")
def expand(name: str, rules: Path | None, form: str) -> None:
    """Write every code of the value set NAME, and the prefixes and names beside them.

    The format fhir is an R4 ValueSet with its expansion. Exit code 0: written; 1: it is
    no valid resource; 2: there is no such set, or the rules have errors.
    """
    compiled = compile_folder(rules)
    valueset = find_set(compiled, name)
    names = names_in(compiled.files.get(EXPANSION, ""))
    if form == "fhir":
        _print_fhir(valueset, names)
    elif form == "json":
        codes = [
            {"system": system, "code": written_code(system, code)}
            for system, found in sorted(valueset.codes.items())
            for code in sorted(found)
        ]
        written: dict[str, Any] = {
            "valueset": name,
            "version": valueset.version,
            "codes": codes,
            "entries": sorted(entries_of(valueset)),
        }
        click.echo(json.dumps(written, indent=2, ensure_ascii=False))
    else:
        for entry in sorted(entries_of(valueset)):
            code = entry.removeprefix("rxnorm|")
            said = names.get(code, "") if code != entry else ""
            click.echo(f"{entry}  {said}".rstrip())


def _print_fhir(valueset: ValueSet, names: Any) -> None:
    at = datetime.now(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    resource = as_fhir(valueset, names, at)
    problems = check_resource(resource)
    if problems:
        raise click.ClickException(f"this is no valid ValueSet: {problems[0]}")
    click.echo(json.dumps(resource, indent=2, ensure_ascii=False))
