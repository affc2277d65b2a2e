"""Which algorithms may sign a token, and whether one of them did.

The allow-list is asymmetric: with ``none`` or an HMAC anybody, or whoever holds the
public key, could sign.

Source: CDS Hooks 3.0.0 "JWT Signing Algorithm"; RFC 7518; RFC 8725 section 3.1.
"""

from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

SUITABLE: Mapping[str, tuple[str, ...]] = {
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA",),
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
}
"""Kind of key to the algorithms it may be used with."""
ALGORITHMS = tuple(each for group in SUITABLE.values() for each in group)
DEFAULT_ALGORITHMS = ("ES384", "RS384")
"""What CDS Hooks recommends to clients."""
SHORTEST_RSA = 2048
"""Bits."""


def is_signed(token: str, algorithm: str, key: Any) -> bool:
    """Return whether a token was signed by *algorithm* with the other half of *key*.

    Its header asks for no extension: of what PyJWT could do for one, nothing is wanted.
    """
    try:
        _JWS.decode_complete(token, key, [algorithm])
    except (jwt.PyJWTError, TypeError):
        # TypeError: the key is of another kind than the algorithm.
        return False
    return True


def public_jwk(algorithm: str, key: Any) -> Mapping[str, str]:
    """The JWK of a public key that *algorithm* verifies with."""
    jwk: Mapping[str, str] = _JWS.get_algorithm_by_name(algorithm).to_jwk(
        key, as_dict=True
    )
    return jwk


def _decoys() -> dict[str, Any]:
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    decoys: dict[str, Any] = {
        name: ec.derive_private_key(2, curve).public_key()
        for name, curve in curves.items()
    }
    modulus = rsa.RSAPublicNumbers(65537, 2**SHORTEST_RSA - 1).public_key()
    decoys.update(dict.fromkeys(SUITABLE["RSA"], modulus))
    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    decoys["EdDSA"] = edwards.public_key()
    return decoys


_JWS = jwt.PyJWS(algorithms=list(ALGORITHMS))
DECOYS: Mapping[str, Any] = _decoys()
"""A key for each algorithm to spend the time of a verification on; what it says of a
token is never believed, so it does not matter who can sign for it.
"""
