"""``cds-service token``: keys and tokens to test with, and which check one fails."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from ...config import Clients, InvalidConfig, load_clients
from ...ehr.exchange import Incomplete
from ...ehr.tokens import Claims, Signer, build_token, head_of, name_signer
from ...fhir.client import FhirPool
from ...protocol.errors import Unauthenticated
from ...trust import (
    DEFAULT_LIFETIME,
    Check,
    Keyring,
    Token,
    Trust,
    examine,
    find_client,
    read_token,
)
from ...trust.documents import fetcher

CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
RSA_BITS = 3072
SHOWN = ("iss", "tenant", "aud", "iat", "nbf", "exp", "jti")
SHOWN_OF_HEADER = ("alg", "typ", "kid", "jku")
LONGEST_SHOWN = 200


@click.group()
def token() -> None:
    """Make keys and tokens for testing, and see which check a token fails."""


@token.command()
@click.option(
    "--alg",
    type=click.Choice([*CURVES, "RS256", "RS384", "RS512"]),
    default="ES384",
    show_default=True,
    help="Algorithm that the key will sign with.",
)
@click.option("--kid", default="dev", show_default=True, help="The key's id.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File for the private key (PEM); it must not exist.",
)
def key(alg: str, kid: str, out: Path) -> None:
    """Make a key pair: the private key into a file, the public JWK Set to stdout.

    For development. What stdout shows belongs into `keys_file` of the clients file. The
    key's id stands above the private key, where `mint` and `call --key` find it.
    """
    if not (kid.isascii() and kid.isprintable() and kid.strip()):
        raise click.UsageError("--kid must be printable ASCII.")
    private, public = _generate(alg)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror}") from error
    with os.fdopen(handle, "wb") as file:
        file.write(head_of(kid).encode() + pem)
    jwk = {**public, "kid": kid, "alg": alg, "use": "sig"}
    jwk.pop("key_ops", None)
    click.echo(json.dumps({"keys": [jwk]}, indent=2))


@token.command()
@click.option(
    "--key",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Private key (PEM) to sign with.",
)
@click.option("--alg", help="Algorithm; by default ES256, ES384, ES512 or RS384.")
@click.option("--kid", default="", help="The key's id; by default what `key` wrote.")
@click.option(
    "--iss", default="", help="Issuer; by default the client whose key it is."
)
@click.option("--aud", required=True, help="URL that will be called with the token.")
@click.option(
    "--clients",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="CDS_CLIENTS_FILE",
    show_envvar=True,
    help="The clients file that names the issuer.",
)
@click.option("--jku", help="URL of the key set; left out by default.")
@click.option(
    "--tenant", default="", help="The claim `tenant`; by default that of the client."
)
@click.option(
    "--lifetime", default=300, show_default=True, help="Seconds until it expires."
)
def mint(
    file: Path,
    alg: str | None,
    kid: str,
    iss: str,
    aud: str,
    clients: Path | None,
    jku: str | None,
    tenant: str,
    lifetime: int,
) -> None:
    """Print a token for one call, for testing.

    --aud is the very URL that will be called: that of the service, not of discovery.
    """
    try:
        signer = name_signer(file, Signer(iss, kid, tenant), clients)
    except Incomplete as error:
        raise click.UsageError(str(error)) from error
    claims = Claims(signer.iss, aud, signer.kid, jku, signer.tenant or None, lifetime)
    try:
        private: Any = load_pem_private_key(file.read_bytes(), None)
        text = build_token(private, claims, datetime.now(UTC), alg)
    except (ValueError, TypeError, OSError, jwt.PyJWTError) as error:
        raise click.ClickException(f"{file}: cannot sign with it: {error}") from error
    click.echo(text)


@token.command()
@click.argument("file", type=click.File("r"), default="-")
@click.option("--aud", required=True, help="URL that the token will be used for.")
@click.option(
    "--clients",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="CDS_CLIENTS_FILE",
    show_envvar=True,
    required=True,
    help="The clients file to check it against.",
)
@click.option(
    "--development",
    is_flag=True,
    help="Read the clients file as the development profile does.",
)
@click.option("--at", help="The moment to check it at (ISO 8601); by default now.")
def check(
    file: TextIO, aud: str, clients: Path, development: bool, at: str | None
) -> None:
    """Say which check a token fails; it is read from FILE or from stdin.

    The checks are those of the server, in its order. The token is not spent, so
    whether it was used before is not looked at, and its signature is never printed.
    Keys that a client publishes by URL are fetched.
    """
    text = file.read(64 * 1024).strip()
    bearer = text if text[:6].lower() == "bearer" else f"Bearer {text}"
    known = _load(clients, development)
    try:
        now = datetime.fromisoformat(at) if at else datetime.now(UTC)
    except ValueError as error:
        raise click.UsageError(f"--at: {error}") from error
    now = now if now.tzinfo else now.replace(tzinfo=UTC)
    try:
        read = read_token(bearer)
    except Unauthenticated as error:
        click.echo(f"token      FAILS  {error.reason}")
        raise SystemExit(1) from error
    _show(read)
    pool = FhirPool()
    keyring = Keyring(fetcher(pool), _log)
    checks = list(examine(read, aud, Trust(known, keyring), now))
    pool.close()
    for each in checks:
        verdict = f"FAILS  {each.problem}" if each.problem else "ok"
        click.echo(f"{each.name:<10} {verdict}")
    _conclude(read, known, checks)


def _conclude(read: Token, known: Clients, checks: list[Check]) -> None:
    if any(each.problem for each in checks):
        click.echo("a server with this clients file would answer 401")
        raise SystemExit(1)
    client = find_client(read.claims, known.clients)
    if client is not None:
        name = client.client.id
        click.echo(f"trusted as {name}, unless it was already used")


def _load(file: Path, development: bool) -> Clients:
    try:
        return load_clients(file, development=development, lifetime=DEFAULT_LIFETIME)
    except InvalidConfig as error:
        raise click.UsageError(str(error)) from error


def _show(read: Token) -> None:
    """Print what it says of itself; of what it says beside that, only the names."""
    told = {
        **{name: read.header[name] for name in SHOWN_OF_HEADER if name in read.header},
        **{name: read.claims[name] for name in SHOWN if name in read.claims},
    }
    for name, value in told.items():
        text = json.dumps(value, ensure_ascii=True)
        click.echo(f"  {name}: {text[:LONGEST_SHOWN]}")
    others = sorted({*read.header, *read.claims} - set(told))
    if others:
        click.echo(f"  also: {json.dumps(others)[:LONGEST_SHOWN]}")


def _log(event: str, **facts: object) -> None:
    told = " ".join(f"{name}={each}" for name, each in facts.items())
    print(f"{event}: {told}", file=sys.stderr)


def _generate(alg: str) -> tuple[Any, dict[str, Any]]:
    if alg in CURVES:
        curve = ec.generate_private_key(CURVES[alg])
        return curve, ECAlgorithm.to_jwk(curve.public_key(), as_dict=True)
    private = rsa.generate_private_key(65537, RSA_BITS)
    return private, RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
