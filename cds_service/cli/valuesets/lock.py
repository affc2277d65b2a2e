"""``cds-service valueset lock`` and ``outdated``: what changed, and for which rules."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from ...exports.files import write_atomically
from ...rulebook.describe import rules_by_valueset
from ...rulebook.engine import Rule
from ...rulebook.language import Findings
from ...rulebook.terminology import (
    EXPANSION,
    LOCK,
    LockChange,
    changes,
    entries_of,
    names_in,
    read_lock,
    write_lock,
)
from ..rules.compiled import Compilation, CouldNotRun, compile_folder, compile_texts
from . import counted, form_option, rules_option, set_documents
from .import_codes import expand_release, is_release

Held = Mapping[str, frozenset[str]]
"""What each value set holds, a line each."""


@click.command()
@rules_option
def lock(rules: Path | None) -> None:
    """Write what every value set holds now into valuesets.lock.

    From then on `check` warns when a set holds something else, and with --locked
    refuses. Exit code 0: written, or nothing changed; 2: the rules have errors.
    """
    compiled = compile_folder(rules)
    sets = compiled.rulebook.valuesets
    text = "".join(write_lock(sets))
    place = compiled.place(LOCK)
    if compiled.files.get(LOCK) == text:
        click.echo(f"{place}: unchanged")
        return
    try:
        write_atomically(Path(place), text)
    except OSError as error:
        said = f"{place} cannot be written: {error.strerror}"
        raise click.ClickException(said) from error
    click.echo(f"{place}: written, {counted(len(sets), 'value set')}")


@dataclass(frozen=True, slots=True)
class LockComparison:
    """Two states of the value sets."""

    since: str
    """What is compared, as a heading."""
    changes: tuple[LockChange, ...]
    names: Mapping[str, str]
    """Names of RxNorm codes."""


@click.command()
@click.option(
    "--against",
    type=click.Path(exists=True, path_type=Path),
    help="Another lock, another rules folder, or a folder of RxNorm to try; "
    "by default the valuesets.lock of the folder.",
)
@rules_option
@form_option("text", "json")
@click.pass_context
def outdated(
    context: click.Context, against: Path | None, rules: Path | None, form: str
) -> None:
    """Say which codes came and went, and the rules that this touches.

    Compared with a lock or another rules folder, it says what changed since; with a
    folder of RxNorm, what that release would change. Exit code 0: nothing;
    1: something; 2: it cannot be compared.
    """
    compiled = compile_folder(rules)
    compared = _compare(compiled, against)
    used = rules_by_valueset(compiled.rulebook)
    if form == "json":
        click.echo(_as_json(compared, used, compiled))
    else:
        _print(compared, used, compiled)
    context.exit(1 if compared.changes else 0)


def _compare(compiled: Compilation, against: Path | None) -> LockComparison:
    now = _held(compiled)
    names = names_in(compiled.files.get(EXPANSION, ""))
    if against is None:
        if LOCK not in compiled.files:
            place = compiled.place(LOCK)
            raise CouldNotRun(
                f"there is no {place}; `cds-service valueset lock` makes it"
            )
        then = _locked(compiled.files[LOCK], compiled.place(LOCK))
        return LockComparison(
            f"since {compiled.place(LOCK)}", changes(then, now), names
        )
    if against.is_dir() and is_release(against):
        text = expand_release(against, set_documents(compiled))
        tried = compile_texts(compiled.name, {**compiled.files, EXPANSION: text})
        heading = f"with the RxNorm in {against}"
        return LockComparison(
            heading, changes(now, _held(tried)), {**names, **names_in(text)}
        )
    if against.is_dir():
        other = compile_folder(against)
        names = {**names_in(other.files.get(EXPANSION, "")), **names}
        return LockComparison(f"since {against}", changes(_held(other), now), names)
    then = _locked(against.read_text("utf-8", "replace"), str(against))
    return LockComparison(f"since {against}", changes(then, now), names)


def _held(compiled: Compilation) -> Held:
    sets = compiled.rulebook.valuesets.items()
    return {name: entries_of(each) for name, each in sets}


def _locked(text: str, place: str) -> Held:
    findings = Findings()
    locked = read_lock(text, findings)
    if locked is None:
        first = next(iter(findings))
        raise CouldNotRun(f"{place}:{first.line}: {first.message}; {first.help}")
    return {name: each.entries for name, each in locked.items()}


def _print(
    compared: LockComparison,
    used: Mapping[str, tuple[Rule, ...]],
    compiled: Compilation,
) -> None:
    for change in compared.changes:
        click.echo(
            f"{change.name}: {len(change.added)} added, {len(change.removed)} gone"
        )
        for sign, entries in (("+", change.added), ("-", change.removed)):
            for entry in entries:
                said = compared.names.get(entry.removeprefix("rxnorm|"), "")
                click.echo(f"  {sign} {entry}  {said}".rstrip())
        for rule in used.get(change.name, ()):
            click.echo(f"  affects {rule.title} ({compiled.place(rule.file)})")
    touched = {rule.id for each in compared.changes for rule in used.get(each.name, ())}
    sets = counted(len(compared.changes), "value set")
    click.echo(
        f"{compared.since}: {sets} changed, {counted(len(touched), 'rule')} affected"
    )


def _as_json(
    compared: LockComparison,
    used: Mapping[str, tuple[Rule, ...]],
    compiled: Compilation,
) -> str:
    written = [
        {
            "valueset": change.name,
            "added": list(change.added),
            "removed": list(change.removed),
            "rules": [
                {
                    "rule": rule.id,
                    "title": rule.title,
                    "file": compiled.place(rule.file),
                }
                for rule in used.get(change.name, ())
            ],
        }
        for change in compared.changes
    ]
    return json.dumps(
        {"compared": compared.since, "changes": written}, indent=2, ensure_ascii=False
    )
