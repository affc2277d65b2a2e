"""A token as an EHR signs it.

Source: CDS Hooks 3.0.0 "Trusting CDS Clients".
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

_BY_CURVE = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


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


def build_token(
    private: Any, claims: Claims, now: datetime, alg: str | None = None
) -> str:
    """A token for one call, signed with the private key.

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
    """The algorithm that a key signs with where nobody says which."""
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return _BY_CURVE.get(private.curve.name, "ES384")
    return "RS384"
