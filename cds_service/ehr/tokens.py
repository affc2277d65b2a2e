"""Tokens and keys of an EHR: who signs, with what, and what a token says.

Source: CDS Hooks 3.0.0 "Trusting CDS Clients".
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ..config import InvalidConfig, load_clients
from ..trust import (
    DEFAULT_LIFETIME,
    RegisteredClient,
    VerificationKey,
    thumbprint,
)
from .exchange import Incomplete, Unanswered

SHORT_LIVED_BITS = 2048
"""Of a key that is thrown away within a day; it is made while somebody waits."""
_KID = re.compile(r"kid: (\S[^\n]*)\n")
_NO_KID = (
    "--kid is needed: the key's id, as the server knows it. A file that `cds-service "
    "token key` wrote says it."
)
_NO_ISS = (
    "--iss is needed: who signs, as the server's clients file has it. With --clients, "
    "or $CDS_CLIENTS_FILE, it is taken from there."
)
_SEVERAL = (
    "--iss is needed: {file} has several clients, and the key is of none or of several."
)
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_RSA = ("RS384", "RS256", "RS512", "PS256", "PS384", "PS512")
ALGORITHMS = (*sorted(_CURVES.values()), *_RSA)
"""What a token can be signed with; the standard recommends ES384 and RS384."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says of itself."""

    iss: str
    aud: str
    kid: str
    jku: str | None = None
    tenant: str | None = None
    lifetime: int = 300
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs, as the server knows them; what is not known is empty."""

    iss: str = ""
    kid: str = ""
    tenant: str = ""


def head_of(kid: str) -> str:
    """Return what stands above a private key, to say its id.

    Source: RFC 7468 section 2 lets parsers pass over such text.
    """
    return f"kid: {kid}\n"


def name_signer(key: Path, given: Signer, clients_file: Path | None) -> Signer:
    """Return who signs with a key: what is *given*, what stands above the key, and the
    client of the clients file whose key it is, or who is the only one.

    Raises:
        Incomplete: if issuer or id stay unknown, or a file cannot be read.
    """
    pem = key.read_bytes()
    head = _KID.match(pem.decode("ascii", "replace"))
    kid = given.kid or (head[1].strip() if head else "")
    found = Signer()
    if clients_file is not None and not (given.iss and kid):
        found = _find_signer(pem, given, clients_file)
    if not (given.iss or found.iss):
        told = _SEVERAL.format(file=clients_file) if clients_file else _NO_ISS
        raise Incomplete(told)
    if not (kid or found.kid):
        raise Incomplete(_NO_KID)
    return Signer(
        given.iss or found.iss, kid or found.kid, given.tenant or found.tenant
    )


def _find_signer(pem: bytes, given: Signer, clients_file: Path) -> Signer:
    try:
        known = load_clients(
            clients_file, development=True, lifetime=DEFAULT_LIFETIME
        ).clients
    except InvalidConfig as error:
        raise Incomplete(str(error)) from error
    found = {
        Signer(each.client.issuer, kid, next(iter(each.tenants), ""))
        for each, kid in _clients_with(pem, known)
        if given.iss in ("", each.client.issuer)
    }
    if len(found) == 1:
        return found.pop()
    if len(known) == 1 and not found:
        (only,) = known
        return Signer(only.client.issuer, "", next(iter(only.tenants), ""))
    return Signer()


def _clients_with(
    pem: bytes, known: Sequence[RegisteredClient]
) -> Iterator[tuple[RegisteredClient, str]]:
    """Each client that has the public half of a key, and what it calls it."""
    try:
        private: Any = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return
    if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        return
    public = VerificationKey((usual_algorithm(private),), private.public_key())
    for each in known:
        for kid, key in each.keys.items():
            if thumbprint(key) == thumbprint(public):
                yield each, kid


def build_token(
    private: Any, claims: Claims, now: datetime, alg: str | None = None
) -> str:
    """Return a token for one call, signed with the private key.

    Raises:
        ValueError, TypeError, jwt.PyJWTError: if the key cannot sign so.
    """
    issued = int(now.timestamp())
    said: dict[str, Any] = {
        "iss": claims.iss,
        "aud": claims.aud,
        "iat": issued,
        "exp": issued + claims.lifetime,
        "jti": str(uuid4()),
    }
    if claims.tenant is not None:
        said["tenant"] = claims.tenant
    header = {"kid": claims.kid, **({"jku": claims.jku} if claims.jku else {})}
    chosen = alg or usual_algorithm(private)
    payload = json.dumps(said).encode()
    return jwt.PyJWS().encode(payload, private, chosen, headers=header)


def usual_algorithm(private: Any) -> str:
    """Return the algorithm that a key signs with where nobody says which."""
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return _CURVES.get(private.curve.name, "ES384")
    return "RS384"


def generate_key() -> tuple[str, dict[str, Any]]:
    """Return a new private key as PEM, and its public half as JWK."""
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(
        key.public_key(), as_dict=True
    )
    return pem.decode(), public


def generate_rsa_key() -> tuple[Any, str, dict[str, Any]]:
    """Return a new private key, itself as the text of a JWK, and its public half."""
    key = rsa.generate_private_key(65537, SHORT_LIVED_BITS)
    public: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(
        key.public_key(), as_dict=True
    )
    public.pop("key_ops", None)
    return key, jwt.algorithms.RSAAlgorithm.to_jwk(key), public


def read_key(file: Path) -> str:
    """Return a private key from a PEM file.

    Raises:
        Unanswered: if it holds none.
    """
    text = file.read_bytes().decode("ascii", "replace")
    if "PRIVATE KEY" not in text:
        raise Unanswered(f"{file} holds no private key in PEM form.")
    return text


def choose_algorithm(pem: str, wanted: str = "") -> str:
    """Return what a key signs with: *wanted*, or what the standard recommends.

    Raises:
        Unanswered: if the key cannot be read, or cannot sign so.
    """
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        text = "The private key cannot be read; one without a password is needed."
        raise Unanswered(text) from error
    able: tuple[str, ...] = ()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        able = tuple(each for name, each in _CURVES.items() if name == key.curve.name)
    elif isinstance(key, rsa.RSAPrivateKey):
        able = _RSA
    if not able:
        raise Unanswered("The private key must be an RSA key or on P-256, -384, -521.")
    if wanted and wanted not in able:
        raise Unanswered(f"This key signs {', '.join(able)}, not {wanted}.")
    return wanted or able[0]
