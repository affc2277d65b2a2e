"""``cds-service database migrate`` and ``copy``: its schema, and into another."""

import click

from ...audit import verify
from ...store.records import StoreError
from ...store.store import Store
from ...store.upkeep.copying import Progress
from ...store.upkeep.copying import copy as copy_rows
from . import database_option, shown


@click.command()
@database_option
def migrate(database: str) -> None:
    """Bring the schema up to date, as a server does at its start.

    For databases whose tables belong to another role than that of the servers. Exit
    code 0: it is up to date; 1: it could not be brought there.
    """
    store = _open(database)
    try:
        store.migrate()
        store.ping()
    except StoreError as error:
        raise click.ClickException(f"{shown(database)}: {error}") from error
    finally:
        store.close()
    click.echo(f"{shown(database)}: the schema is up to date")


@click.command()
@click.argument("source")
@click.argument("target")
def copy(source: str, target: str) -> None:
    """Copy the whole database at the URL SOURCE into the one at TARGET.

    Stop the servers first. TARGET has the schema (`database migrate`) and no rows of
    its own; a copy that broke off goes on where it was. In the end rows are counted
    and the audit trail is verified. Exit code 0: copied whole; 1: not.
    """
    try:
        for progress in copy_rows(source, target):
            if progress.copied == progress.of or progress.copied % 100_000 == 0:
                click.echo(_line(progress), err=True)
        store = _open(target)
        try:
            breaks = verify(store)
        finally:
            store.close()
    except StoreError as error:
        raise click.ClickException(str(error)) from error
    if breaks:
        raise click.ClickException(
            f"the audit trail has {len(breaks)} breaks; see `cds-service audit verify`"
        )
    click.echo("copied whole; the audit trail is as it was written")


def _line(progress: Progress) -> str:
    return f"{progress.table}: {progress.copied} of {progress.of} rows"


def _open(url: str) -> Store:
    try:
        return Store.open(url)
    except StoreError as error:
        raise click.ClickException(str(error)) from error
