"""Verbs that read the database, and how they open it beside a server."""

import os

import click

from ...config import Config
from ...store.database import mask_url
from ...store.records import StoreError
from ...store.store import Store


def default_url() -> str:
    """Return the database that the environment names, or the usual one."""
    usual = Config.model_fields["database_url"].default
    return os.environ.get("CDS_DATABASE_URL") or str(usual)


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
