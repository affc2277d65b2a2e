"""``cds-service replay``: what rules say of stored patients, before and after."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ...rulebook.engine import ServiceRules
from ..rules.compiled import Compilation, compile_folder
from .patient_files import read_moment
from .replayed import OFF, Change, Replay, Told, change_json, replay_corpus

_COLUMNS = ("fires", "no", "unknown", OFF)


@click.command()
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--rules",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The rules folder; by default CDS_RULES, or ./rules.",
)
@click.option(
    "--before",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The rules folder to compare with: whose outcome changes is listed.",
)
@click.option("--service", "wanted", help="Only the rules of the service with this id.")
@click.option("--now", "moment", help="When it is asked, as 2026-11-22T12:00:00Z.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def replay(
    context: click.Context,
    corpus: Path,
    rules: Path | None,
    before: Path | None,
    wanted: str | None,
    moment: str | None,
    as_json: bool,
) -> None:
    """Ask every rule of every patient in CORPUS, and print what came of it.

    CORPUS is a FHIR Bundle, or a folder of them; wearable alerts stand beside a Bundle
    as <name>.alerts.json. Cases of fixtures/ are read as well. Nothing out of a record
    is printed. Exit code 0: all were replayed; 1: a file could not be; 2: usage, or the
    rules have errors.
    """
    now = read_moment(moment)
    after = compile_folder(rules)
    then = compile_folder(before) if before else None
    services = chosen_services(after, wanted)
    known = {rule.id for service in services for rule in service.rules}
    found = replay_corpus(corpus, after, then, services, now, show_progress)
    if wanted:
        found.changes = [each for each in found.changes if each.rule in known]
        found.before = {k: v for k, v in found.before.items() if k in known}
    if not found.patients and not found.broken:
        raise click.UsageError(f"{corpus} holds no Bundle")
    if as_json:
        click.echo(json.dumps(_json(found), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_text(found, compared=then is not None)))
    context.exit(1 if found.broken else 0)


def chosen_services(compiled: Compilation, wanted: str | None) -> list[ServiceRules]:
    """The services that are meant.

    Raises:
        click.UsageError: if there is none of that name.
    """
    services = compiled.rulebook.services
    chosen = [each for key, each in services.items() if wanted in (None, key[0])]
    if not chosen:
        known = ", ".join(sorted({each for each, _ in services}))
        raise click.UsageError(f"there is no service {wanted}; services are: {known}")
    return chosen


def show_progress(done: int, all: int) -> None:
    """Say on a terminal how far it is."""
    if sys.stderr.isatty():
        end = "\n" if done == all else ""
        click.echo(f"\r{done} of {all} files", nl=False, err=True)
        click.echo(end, nl=False, err=True)


def change_lines(changes: list[Change]) -> Iterator[str]:
    """Each patient whose outcome changes, by rule, with what turned."""
    for rule in sorted({each.rule for each in changes}):
        own = [each for each in changes if each.rule == rule]
        yield f"{rule}: {len(own)} changed"
        for change in own:
            yield f"  {change.patient}: {change.before} → {change.after}"
            for each in change.turned:
                truth = f"{each.before or 'not asked'} → {each.after or 'not asked'}"
                yield f"    {each.place}  {each.text}: {truth}"


def _text(found: Replay, compared: bool) -> Iterator[str]:
    rules = sorted({*found.after, *found.before})
    width = max((len(each) for each in rules), default=0)
    heads = [*_COLUMNS, "could not check"]
    yield f"{'':{width}}  " + "  ".join(f"{each:>15}" for each in heads) + "  cards"
    for rule in rules:
        after, before = found.after.get(rule), found.before.get(rule)
        cells = [
            _cell(_number(before, head) if compared else None, _number(after, head))
            for head in heads
        ]
        cards = ", ".join(_cards(after or Counter()))
        line = f"{rule:{width}}  " + "  ".join(f"{each:>15}" for each in cells)
        yield f"{line}  {cards}".rstrip()
    yield ""
    if compared:
        yield from change_lines(found.changes)
        yield f"{len(found.changes)} outcomes changed"
    for name, why in found.broken:
        yield f"{name}: {why}"
    broken = f", {len(found.broken)} could not be replayed" if found.broken else ""
    yield f"{found.patients} patients, {len(rules)} rules{broken}"


def _cell(before: int | None, after: int) -> str:
    return str(after) if before is None or before == after else f"{before} → {after}"


def _number(counts: Counter[Told] | None, head: str) -> int:
    told = (counts or Counter()).items()
    if head == "could not check":
        return sum(number for each, number in told if each.could_not_check)
    return sum(number for each, number in told if each.outcome == head)


def _cards(counts: Counter[Told]) -> Iterator[str]:
    for severity in ("critical", "warning", "info"):
        shown = sum(n for each, n in counts.items() if each.severity == severity)
        if shown:
            yield f"{shown} {severity}"


def _json(found: Replay) -> dict[str, Any]:
    rules = sorted({*found.after, *found.before})
    return {
        "patients": found.patients,
        "broken": [{"file": file, "reason": why} for file, why in found.broken],
        "rules": {
            rule: {
                "after": _rates(found.after.get(rule, Counter())),
                **(
                    {"before": _rates(found.before.get(rule, Counter()))}
                    if found.before
                    else {}
                ),
            }
            for rule in rules
        },
        "changes": [change_json(each) for each in found.changes],
    }


def _rates(counts: Counter[Told]) -> dict[str, Any]:
    heads = {head: _number(counts, head) for head in (*_COLUMNS, "could not check")}
    severities = {
        severity: sum(n for each, n in counts.items() if each.severity == severity)
        for severity in ("info", "warning", "critical")
    }
    named = {head.replace(" ", "_"): number for head, number in heads.items()}
    return {**named, "cards": severities}
