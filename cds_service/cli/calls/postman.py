"""``cds-service postman``: a server's interface as a Postman collection."""

import json
import os
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import RSAAlgorithm

from ...ehr.exchange import Incomplete, Unanswered, exchange
from ...ehr.tokens import Signer, name_signer, read_key
from ...http.addresses import parse_base
from ...protocol.collection import build_collection, build_environment
from ...protocol.conformance import read_json

NO_RSA = (
    "the collection signs with an RSA key: `cds-service token key --alg RS384` makes"
    " a temporary one"
)


@click.command()
@click.option(
    "--base",
    default="http://127.0.0.1:8080",
    show_default=True,
    help="Base URL of the server.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the collection; by default it is printed.",
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="RSA private key (PEM) that signs; use a temporary one.",
)
@click.option("--iss", default="", help="Issuer, as for `token mint`.")
@click.option("--kid", default="", help="The key's id, as for `token mint`.")
@click.option(
    "--clients",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="CDS_CLIENTS_FILE",
    show_envvar=True,
    help="The clients file that names the issuer.",
)
@click.option(
    "--environment",
    type=click.Path(dir_okay=False, path_type=Path),
    help=(
        "File for the environment that signs, with the private key in it; it must not"
        " exist."
    ),
)
def postman(
    base: str,
    out: Path | None,
    key: Path | None,
    iss: str,
    kid: str,
    clients: Path | None,
    environment: Path | None,
) -> None:
    """Write a Postman collection of all that a server offers.

    Each request asserts the status and the JSON Schema of what comes back; Postman and
    newman run it. With --key and --environment, what signs is written for it as well.
    """
    if (key is None) != (environment is None):
        raise click.UsageError("--key and --environment must be given together.")
    text = json.dumps(build_collection(_describe(base)), indent=2) + "\n"
    if key is not None and environment is not None:
        told = json.dumps(_read_signer(key, Signer(iss, kid), clients), indent=2)
        _write_secret(environment, told + "\n")
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror}") from error


def _describe(base: str) -> Any:
    """What the server says of itself."""
    if parse_base(base) is None:
        raise click.UsageError(f"--base {base} is not an http(s) address")
    url = f"{base.rstrip('/')}/openapi.json"
    try:
        reply = exchange("GET", url)
    except Unanswered as error:
        raise click.ClickException(str(error)) from error
    document = read_json(reply.content).value
    if reply.status != 200 or not isinstance(document, dict):
        raise click.ClickException(f"{url} answered {reply.status}")
    return document


def _read_signer(key: Path, given: Signer, clients: Path | None) -> dict[str, Any]:
    try:
        signer = name_signer(key, given, clients)
        private = load_pem_private_key(read_key(key).encode(), None)
    except Incomplete as error:
        raise click.UsageError(str(error)) from error
    except (Unanswered, ValueError, TypeError) as error:
        raise click.ClickException(f"{key}: {error}") from error
    if not isinstance(private, rsa.RSAPrivateKey):
        raise click.ClickException(f"{key}: {NO_RSA}")
    jwk = RSAAlgorithm.to_jwk(private)
    return build_environment(signer.iss, signer.kid, jwk, signer.tenant)


def _write_secret(file: Path, text: str) -> None:
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(text)
