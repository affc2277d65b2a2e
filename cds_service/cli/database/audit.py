"""``cds-service audit``: the audit trail, written out and checked."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ...audit import (
    SEALS,
    Anchor,
    anchors,
    build_audit_event,
    entries,
    export,
    verify,
)
from ...exports.files import write_atomically
from ...store.records import StoreError
from ...store.store import Store
from . import database_option, open_store, shown
from .feedback import read_period, since_option, until_option

out_option = click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; without it, standard output.",
)


@click.group()
def audit() -> None:
    """Export the audit trail, or verify that nobody has changed it.

    The trail contains patient data, and so do the files that are written here.
    """


@audit.command("export")
@database_option
@since_option
@until_option
@click.option("--all", "whole", is_flag=True, help="The whole trail.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "fhir"]),
    default="jsonl",
    show_default=True,
    help="Rows as they are, or FHIR R4 AuditEvents; one per line.",
)
@out_option
def export_rows(
    database: str,
    since: str | None,
    until: str | None,
    whole: bool,
    form: str,
    out: Path | None,
) -> None:
    """Write rows of the trail, one a line, in the order of arrival.

    Exit code 0: written; 1: it could not be; 2: usage.
    """
    period = None if whole else read_period(since, until)
    store = open_store(database)
    try:
        if form == "jsonl":
            _write(export(store, period), out)
        else:
            found = entries(store, period)
            _write((_line(build_audit_event(each)) for each in found), out)
    except StoreError as error:
        raise click.ClickException(f"{shown(database)}: {error}") from error
    finally:
        store.close()


@audit.command("anchors")
@database_option
@out_option
def write_anchors(database: str, out: Path | None) -> None:
    """Write the newest hash of each writer and the newest seal, one a line.

    Keep them where the owner of the database cannot write: `audit verify --anchors`
    then sees rows that were cut off or written anew. Exit code 0: written; 1: not.
    """
    store = open_store(database)
    try:
        _write((_line(asdict(each)) for each in anchors(store)), out)
    except StoreError as error:
        raise click.ClickException(f"{shown(database)}: {error}") from error
    finally:
        store.close()


@audit.command("verify")
@database_option
@click.option(
    "--anchors",
    "kept",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file that `audit anchors` wrote before.",
)
@click.pass_context
def verify_rows(context: click.Context, database: str, kept: Path | None) -> None:
    """Find every row of the trail that was changed, removed or put in.

    Exit code 0: the trail is as it was written; 1: it is not, or could not be read.
    """
    known = read_anchors(kept) if kept else []
    store = open_store(database)
    try:
        breaks, number, beside = verify(store, known), count(store), gone(store)
    except StoreError as error:
        raise click.ClickException(f"{shown(database)}: {error}") from error
    finally:
        store.close()
    for each in breaks:
        sealed = each.writer == SEALS
        where = "seal" if sealed else f"writer {each.writer}, row"
        click.echo(f"{where} {each.sequence}: {each.problem}")
    if breaks:
        click.echo(f"{len(breaks)} breaks in {number} rows")
        context.exit(1)
    click.echo(f"{number} rows, as they were written{beside}")
    if not kept:
        click.echo("without --anchors rows cut off at the end cannot be seen", err=True)


def read_anchors(file: Path) -> list[Anchor]:
    """Return the anchors in a file, one a line."""
    try:
        lines = file.read_text("utf-8").splitlines()
        return [Anchor(**json.loads(line)) for line in lines if line.strip()]
    except (ValueError, TypeError) as error:
        message = f"{file} contains no anchors; `cds-service audit anchors` writes them"
        raise click.ClickException(message) from error


def gone(store: Store) -> str:
    """Return how much was rightly removed, for people; nothing where nothing was."""
    seals = [each for each in store.seals.all() if each.pruned is not None]
    removed = sum(each.last - each.first + 1 for each in seals)
    erased = sum(each.erased for each in store.audit_entries())
    told = f"; {removed} rows were removed under {len(seals)} seals" if seals else ""
    return told + (f"; of {erased} the body was erased" if erased else "")


def count(store: Store) -> int:
    """Return how many rows the trail has."""
    return sum(1 for _ in store.audit_entries())


def _write(lines: Iterable[str], out: Path | None) -> None:
    if out is None:
        for line in lines:
            click.echo(line)
        return
    try:
        write_atomically(out, (f"{line}\n" for line in lines), mode=0o600)
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror}") from error


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
