"""Who an export of patients is to a FHIR server, and what it may ask."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote

import click

from ..fhir.addresses import Base, parse_base
from ..fhir.backend_services import (
    BackendServices,
    InvalidSigningKey,
    Registration,
    TokenFailure,
    is_exposed,
    load_signing_key,
)
from ..fhir.backend_services.configuration import is_loopback
from ..fhir.client import FhirPool
from ..fhir.scopes import Grant, grant, parse_scope
from .patients_server import Credentials, FixedToken, Manners

_SAFE = "/?&=:,$%*!'();@~"
_TOKEN = re.compile(r"[\x21-\x7e]+")
_ODD = {"_summary", "_elements", "_contained", "_containedType", "_format", "_pretty"}
_ODD |= {"_include", "_revinclude", "_graph"}
"""Parameters that would bring something else than whole patients."""


@dataclass(frozen=True, slots=True)
class Identity:
    """How the export proves who it is, as the options say."""

    bearer_file: Path | None
    client_id: str
    key: Path | None
    kid: str
    token_url: str
    scope: str


def read_base(text: str) -> Base:
    """The FHIR server's base. Raises UsageError."""
    base = parse_base(text)
    if base is None:
        raise click.UsageError(
            "--fhir is the base address of a FHIR server, such as "
            "https://ehr.example.org/fhir/r4, without user, query or fragment"
        )
    return base


def read_query(text: str) -> str:
    """A search of Patient, encoded. Raises UsageError."""
    path, _, parameters = text.partition("?")
    if path != "Patient" or "#" in text:
        raise click.UsageError("--query is a search of Patient: 'Patient?active=true'")
    for name, _ in parse_qsl(parameters, keep_blank_values=True):
        if name.partition(":")[0] in _ODD:
            raise click.UsageError(f"--query: {name} would not bring whole patients")
    return quote(text.rstrip("?"), safe=_SAFE)


def choose_credentials(
    identity: Identity, base: Base, pool: FhirPool, manners: Manners
) -> Credentials:
    """Where tokens come from. Raises UsageError."""
    if not identity.bearer_file and not identity.client_id:
        if identity.key or identity.kid or identity.token_url or identity.scope:
            raise click.UsageError("--key needs --client-id")
        return FixedToken()
    if base.scheme != "https" and not is_loopback(base):
        raise click.UsageError("a token goes over https only, but --fhir is http")
    if identity.bearer_file and identity.client_id:
        raise click.UsageError("--bearer-file and --client-id exclude each other")
    if identity.bearer_file:
        return FixedToken(_read_token(identity.bearer_file))
    if not identity.key:
        raise click.UsageError("--client-id needs --key")
    _warn_if_exposed(identity.key)
    try:
        key = load_signing_key(identity.key, identity.kid)
    except InvalidSigningKey as error:
        raise click.UsageError(str(error)) from error
    registration = Registration(
        base,
        identity.client_id,
        key,
        token_url=identity.token_url,
        seconds=manners.seconds,
        ca_file=manners.ca_file,
    )
    return BackendServices(registration.asking_for(identity.scope), pool)


def _read_token(file: Path) -> str:
    _warn_if_exposed(file)
    token = file.read_bytes()[:100_000].decode("latin-1").strip()
    if not _TOKEN.fullmatch(token):
        raise click.UsageError(f"{file} holds no token on a line of its own")
    return token


def _warn_if_exposed(file: Path) -> None:
    if is_exposed(file):
        click.echo(f"warning: others may read {file}: chmod 600 {file}", err=True)


def check_scope(credentials: Credentials, query: str) -> None:
    """Gets a first token, and says so if it shows some patients only.

    Raises ClickException if there is none, or it permits no search of patients.
    """
    if not isinstance(credentials, BackendServices):
        return
    try:
        credentials.token()
    except TokenFailure as failure:
        if failure.passing:
            return
        raise click.ClickException(str(failure)) from failure
    granted = grant(parse_scope(credentials.scope), query)
    if granted is Grant.NONE:
        message = "The token that was given permits no search of patients; its scope "
        raise click.ClickException(f"{message}is {credentials.scope}.")
    if granted is Grant.NARROWED:
        message = "warning: the token shows some patients only; its scope is "
        click.echo(message + credentials.scope, err=True)
