"""``cds-service key``: the keys that encrypt what the database keeps encrypted."""

import base64
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

import click

from ...connect.granting import reseal
from ...store.references.records import CardReference
from ...store.sign_in.records import about_context, about_pending, about_token
from ...trust.vault import KEY_BYTES, Unopened, Vault
from . import open_site

ABOUT: Mapping[str, Callable[[str], tuple[str, ...]]] = {
    "context": about_context,
    "pending": about_pending,
    "access": lambda launch: about_token(launch, "access"),
    "refresh": lambda launch: about_token(launch, "refresh"),
}
"""What each sealed text of a session belongs to, by what it is."""


@click.group()
def key() -> None:
    """Make and change the keys that encrypt tokens, sessions, and links of cards."""


@key.command()
def new() -> None:
    """Print a new key, for `CDS_TOKEN_KEY` or the file that holds it."""
    click.echo(base64.b64encode(os.urandom(KEY_BYTES)).decode())


@key.command()
def rotate() -> None:
    """Encrypt everything anew under the first of the keys.

    Wearers' tokens at vendors, and what links of cards refer to. Put the new key before
    the old one, restart the servers, rotate, and take the old key away. Stopped and
    begun anew it goes on; done twice it changes nothing.

    Exit code 0: all are under the first key; 1: some are under none that is set.
    """
    with open_site() as site:
        try:
            done, seen = site.store.grants.reseal(lambda each: reseal(site.vault, each))
            references = site.store.references
            references.wipe(datetime.now(UTC))
            anew, found = references.reseal(lambda it: _reseal(site.vault, it))
            again = partial(_reseal_session, site.vault)
            sealed, texts = site.store.smart_sessions.reseal(again)
        except Unopened as error:
            raise click.ClickException(f"a token cannot be read: {error}") from error
    click.echo(f"{done:,} of {seen:,} grants encrypted anew")
    click.echo(f"{anew:,} of {found:,} references of cards encrypted anew")
    click.echo(f"{sealed:,} of {texts:,} texts of sessions encrypted anew")


def _reseal(vault: Vault, reference: CardReference) -> str | None:
    """What is behind a reference under the newest key; None where it is."""
    return _again(vault, reference.sealed, reference.about)


def _reseal_session(vault: Vault, what: str, id: str, text: str) -> str | None:
    """A text of a session under the newest key; None where it is."""
    return _again(vault, text, ABOUT[what](id))


def _again(vault: Vault, sealed: str, about: tuple[str, ...]) -> str | None:
    if vault.is_newest(sealed):
        return None
    return vault.lock(vault.unlock(sealed, about), about)
