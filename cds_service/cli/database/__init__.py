"""Verbs about the database, and how they open it beside a server."""

import os

import click

from ...config import InvalidConfig, find_database_url
from ...store.database import mask_url
from ...store.records import StoreError
from ...store.store import Store
from .. import Verb, Verbs


def default_url() -> str:
    """Return the database that the environment names, or the usual one.

    Raises:
        click.ClickException: if it is to be in a file that does not hold it.
    """
    try:
        return find_database_url(os.environ)
    except InvalidConfig as error:
        raise click.ClickException(str(error)) from error


database_option = click.option(
    "--database",
    default=default_url,
    show_default="CDS_DATABASE_URL",
    help="Database URL of the server.",
)


def open_store(url: str) -> Store:
    """Return the store at a database URL, which a server has made; nothing is created.

    Raises:
        click.ClickException: if there is none, or it cannot be read.
    """
    try:
        store = Store.open(url, create=False)
        store.ping()
    except StoreError as error:
        hint = "name the one that the server uses with --database"
        raise click.ClickException(f"{shown(url)}: {error}; {hint}") from error
    return store


def shown(url: str) -> str:
    """Return a database URL for people to read, without its password."""
    try:
        return mask_url(url)
    except StoreError:
        return "the database"


@click.group(
    cls=Verbs,
    package=__name__,
    verbs={
        "backup": Verb("backups", "Write the whole database into a file."),
        "copy": Verb("moving", "Copy one database into another, of either kind."),
        "migrate": Verb("moving", "Bring the schema up to date."),
        "prune": Verb(
            "prune", "Remove data that are older than the retention periods."
        ),
        "restore": Verb("backups", "Restore a backup."),
    },
)
def database() -> None:
    """Migrate, copy, back up, restore or prune a database."""
