"""Who asks a FHIR server for all that it has of a kind, and what may be asked."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from ...exports.server import Credentials, FhirServer, FixedToken, Manners, Wanted
from ...fhir.backend_services import (
    BackendServices,
    InvalidSigningKey,
    Registration,
    TokenFailure,
    is_exposed,
    load_signing_key,
)
from ...fhir.backend_services.configuration import is_loopback
from ...fhir.client import FhirPool
from ...fhir.scopes import Grant, grant, parse_scope
from ...http.addresses import Base, parse_base
from ...http.pacing import Backoff

Command = Callable[..., None]
Decorator = Callable[[Command], Command]

_TOKEN = re.compile(r"[\x21-\x7e]+")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """How we prove who we are, and how politely we ask, as the options say."""

    bearer_file: Path | None
    client_id: str
    key: Path | None
    kid: str
    token_url: str
    scope: str
    manners: Manners


def access_options(wanted: Wanted) -> Decorator:
    """Return options of a command that reads so; it gets them as ``access``."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_access(
            ca_file: Path | None,
            rate: float | None,
            max_attempts: int,
            timeout: float,
            bearer_file: Path | None,
            client_id: str,
            key: Path | None,
            kid: str,
            token_url: str,
            scope: str,
            **arguments: Any,
        ) -> None:
            trusted = str(ca_file or "")
            manners = Manners(Backoff(max_attempts), rate or 0.0, timeout, trusted)
            access = ServerAccess(
                bearer_file, client_id, key, kid, token_url, scope, manners
            )
            command(access=access, **arguments)

        wrapped: Command = with_access
        for option in reversed((*_identity_options(wanted), *_MANNERS)):
            wrapped = option(wrapped)
        return wrapped

    return decorate


def count_option(wanted: Wanted) -> Decorator:
    """Return the option ``--count`` of a command that reads such resources."""
    return click.option(
        "--count",
        type=click.IntRange(1, 10_000),
        default=200,
        show_default=True,
        help=f"{wanted.many.capitalize()} on a page; a server may give fewer.",
    )


def _identity_options(wanted: Wanted) -> tuple[Decorator, ...]:
    newer, older = wanted.scopes
    return (
        click.option(
            "--bearer-file", type=_FILE, help="File that contains only a token."
        ),
        click.option(
            "--client-id", default="", help="Client id for SMART backend services."
        ),
        click.option("--key", type=_FILE, help="Its private key: PEM, JWK or JWK Set."),
        click.option("--kid", default="", help="The key's id; a JWK may contain it."),
        click.option(
            "--token-url",
            default="",
            help="Token endpoint; by default the FHIR server's SMART configuration "
            "names it.",
        ),
        click.option(
            "--scope",
            default="",
            help=f"Scope to request; by default {newer}, or {older} where the server "
            "knows scopes of SMART 1 only.",
        ),
    )


_MANNERS: tuple[Decorator, ...] = (
    click.option("--ca-file", type=_FILE, help="PEM file of the authorities to trust."),
    click.option(
        "--rate",
        type=click.FloatRange(0, 1000, min_open=True),
        help=(
            "Largest number of requests per second; by default as many as the server"
            " answers."
        ),
    ),
    click.option(
        "--max-attempts",
        type=click.IntRange(1, 100),
        default=6,
        show_default=True,
        help="How often a page is asked for before the command stops.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(0, 3600, min_open=True),
        default=60.0,
        show_default=True,
        help="Seconds for one answer, until its last byte.",
    ),
)


def read_base(text: str) -> Base:
    """Return the FHIR server's base. Raises UsageError."""
    base = parse_base(text)
    if base is None:
        raise click.UsageError(
            "--fhir is the base address of a FHIR server, such as "
            "https://ehr.example.org/fhir/r4, without user, query or fragment"
        )
    return base


@contextmanager
def reach(
    base: Base,
    wanted: Wanted,
    search: str,
    access: ServerAccess,
    waits: Callable[[str], None],
) -> Iterator[FhirServer]:
    """The server at a base, of which a first token is had if it takes one.

    Raises UsageError, and ClickException where that token permits no such *search*.
    """
    pool = FhirPool(size=4)
    try:
        credentials = choose_credentials(access, wanted, base, pool)
        server = FhirServer(
            base, wanted, credentials, pool, access.manners, waits=waits
        )
        check_scope(credentials, wanted, search)
        yield server
    finally:
        pool.close()


def choose_credentials(
    access: ServerAccess, wanted: Wanted, base: Base, pool: FhirPool
) -> Credentials:
    """Return where tokens come from. Raises UsageError."""
    if not access.bearer_file and not access.client_id:
        if access.key or access.kid or access.token_url or access.scope:
            raise click.UsageError("--key needs --client-id")
        return FixedToken()
    if base.scheme != "https" and not is_loopback(base):
        raise click.UsageError("a token goes over https only, but --fhir is http")
    if access.bearer_file and access.client_id:
        raise click.UsageError("--bearer-file and --client-id exclude each other")
    if access.bearer_file:
        return FixedToken(_read_token(access.bearer_file))
    if not access.key:
        raise click.UsageError("--client-id needs --key")
    _warn_if_exposed(access.key)
    try:
        key = load_signing_key(access.key, access.kid)
    except InvalidSigningKey as error:
        raise click.UsageError(str(error)) from error
    registration = Registration(
        base,
        access.client_id,
        key,
        scopes=wanted.scopes,
        token_url=access.token_url,
        seconds=access.manners.seconds,
        ca_file=access.manners.ca_file,
    )
    return BackendServices(registration.asking_for(access.scope), pool)


def check_scope(credentials: Credentials, wanted: Wanted, search: str) -> None:
    """Get a first token, and say so if it shows some of what is wanted only.

    Raises ClickException if there is none, or it permits no such search.
    """
    if not isinstance(credentials, BackendServices):
        return
    try:
        credentials.token()
    except TokenFailure as failure:
        if failure.passing:
            return
        raise click.ClickException(str(failure)) from failure
    found = granted(credentials, search)
    if found is Grant.NONE:
        message = f"The token does not permit a search of {wanted.many}; its "
        raise click.ClickException(f"{message}scope is {credentials.scope}.")
    if found is Grant.NARROWED:
        message = f"warning: the token shows some {wanted.many} only; its scope is "
        click.echo(message + credentials.scope, err=True)


def granted(credentials: Credentials, search: str) -> Grant:
    """Return what the token in use lets a search find, as far as its scope is known."""
    if not isinstance(credentials, BackendServices):
        return Grant.FULL
    return grant(parse_scope(credentials.scope), search)


def _read_token(file: Path) -> str:
    _warn_if_exposed(file)
    token = file.read_bytes()[:100_000].decode("latin-1").strip()
    if not _TOKEN.fullmatch(token):
        raise click.UsageError(f"{file} contains no token on a line of its own")
    return token


def _warn_if_exposed(file: Path) -> None:
    if is_exposed(file):
        click.echo(f"warning: others may read {file}: chmod 600 {file}", err=True)
