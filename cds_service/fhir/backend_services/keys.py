"""The private key of this client, and the assertions that are signed with it.

Source: SMART App Launch 2.2, "Client Authentication: Asymmetric"; RFC 7523.
"""

import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

LIFETIME = 240
"""Seconds that an assertion lives; SMART allows 300, and clocks differ."""
SHORTEST_RSA = 2048
"""Bits."""
LONGEST_FILE = 64 * 1024

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class InvalidSigningKey(Exception):
    """A file that holds no key to sign with; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, how it signs, and the name of its public half."""

    key: PrivateKey = field(repr=False)
    algorithm: str
    """``RS384`` or ``ES384``."""
    kid: str


def load_signing_key(file: Path, kid: str = "") -> SigningKey:
    """Return the private key in a PEM, JWK or JWK Set file.

    Raises InvalidSigningKey, and OSError where the file cannot be read.
    """
    with file.open("rb") as opened:
        content = opened.read(LONGEST_FILE + 1)
    if b"-----BEGIN" in content:
        key = _from_pem(content, file)
    else:
        key, kid = _from_jwk(content, kid, file)
    if not kid:
        raise InvalidSigningKey(f"{file}: say by which kid the server knows the key.")
    return SigningKey(key, _algorithm(key, file), kid)


def is_exposed(file: Path) -> bool:
    """Check whether others than its owner may read or change a file."""
    return bool(file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def sign_assertion(
    key: SigningKey, client_id: str, audience: str, now: float, jti: str
) -> str:
    """Return the assertion with which a client proves to *audience* who it is.

    It does not say when it was made: a server whose clock is behind would refuse it.
    """
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "exp": int(now) + LIFETIME,
        "jti": jti,
    }
    headers = {"kid": key.kid, "typ": "JWT"}
    return jwt.encode(claims, key.key, algorithm=key.algorithm, headers=headers)


def _from_pem(content: bytes, file: Path) -> Any:
    try:
        return load_pem_private_key(content, password=None)
    except TypeError:
        message = f"{file}: the key is encrypted; write it without a password."
        raise InvalidSigningKey(message) from None
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidSigningKey(f"{file}: holds no private key as PEM.") from None


def _from_jwk(content: bytes, kid: str, file: Path) -> tuple[Any, str]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        message = f"{file}: holds no private key, neither as PEM nor as JWK."
        raise InvalidSigningKey(message) from None
    listed = value.get("keys", [value]) if isinstance(value, Mapping) else None
    keys = [
        each
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, Mapping)
        and "d" in each
        and (not kid or each.get("kid", kid) == kid)
    ]
    if len(keys) != 1:
        which = f" with kid {kid}" if kid else "; say which by its kid" * bool(keys)
        found = "several private keys" if keys else "no private key"
        raise InvalidSigningKey(f"{file}: holds {found}{which}.")
    try:
        key = jwt.PyJWK(dict(keys[0])).key
    except (jwt.PyJWTError, ValueError, TypeError):
        raise InvalidSigningKey(f"{file}: the JWK cannot be read.") from None
    return key, kid or str(keys[0].get("kid") or "")


def _algorithm(key: Any, file: Path) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < SHORTEST_RSA:
            message = f"{file}: the RSA key is shorter than {SHORTEST_RSA} bits."
            raise InvalidSigningKey(message)
        return "RS384"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp384r1":
        return "ES384"
    raise InvalidSigningKey(
        f"{file}: the key must be RSA (RS384) or on the elliptic curve P-384 (ES384)."
    )
