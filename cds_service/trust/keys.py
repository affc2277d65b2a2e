"""Public keys, read from JWKs, and the algorithms that they may sign a token with.

The allow-list is asymmetric: with ``none`` or an HMAC anybody, or whoever holds the
public key, could sign.

Source: CDS Hooks 3.0.0 "JWT Signing Algorithm"; RFC 7517, 7518 section 6; RFC 7638;
RFC 8037; RFC 8725 section 3.1.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from ..protocol.formats import is_whole

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
    """Return the JWK of a public key that *algorithm* verifies with."""
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


# Keys

MOST_KEYS = 100
"""Keys of one set; a client that rotates has two or three."""
LONGEST_KID = 256
_SECRETS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv")
_IDENTIFYING = ("kty", "crv", "e", "n", "x", "y")


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key of a client."""

    algorithms: tuple[str, ...]
    key: Any


class InvalidKey(Exception):
    """A JWK that must not be used; the message holds nothing of it."""

    def __init__(self, message: str, member: str = "") -> None:
        super().__init__(message)
        self.member = member
        """The member of the JWK that is wrong; empty for the key as a whole."""


class OtherKey(InvalidKey):
    """A public key that no signature which is accepted here is verified with.

    It is for something else, lacks a member or is too short. A set may hold some, which
    are passed over. Source: RFC 7517 section 5.
    """


class InvalidKeySet(Exception):
    """What should be a set of keys is none; the message holds nothing of it."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a set that can be used, and what is wrong with the others."""

    keys: Mapping[str, VerificationKey]
    """By ``kid``."""
    problems: tuple[tuple[tuple[int | str, ...], str], ...] = ()
    """Where in the list, and what."""
    others: tuple[tuple[tuple[int | str, ...], str], ...] = ()
    """Where a key stands that is for something else, and why."""


def read_key_set(listed: Any) -> KeySet:
    """Return the keys in the list of a JWK Set; one that is wrong costs only itself.

    One that is for something else, such as for encryption, is not wrong.

    Of two keys with one ``kid`` neither is used, unless they are the same: nobody could
    say which is meant.

    Raises:
        InvalidKeySet: if it is no list, or a longer one than any client needs.
    """
    if not isinstance(listed, list):
        raise InvalidKeySet("is no JWK Set")
    if len(listed) > MOST_KEYS:
        raise InvalidKeySet(f"has more than {MOST_KEYS} keys")
    keys: dict[str, VerificationKey] = {}
    twins: set[str] = set()
    problems: list[tuple[tuple[int | str, ...], str]] = []
    others: list[tuple[tuple[int | str, ...], str]] = []
    for index, jwk in enumerate(listed):
        try:
            kid, key = _named_key(jwk)
        except InvalidKey as error:
            where = (index, error.member) if error.member else (index,)
            told = others if isinstance(error, OtherKey) else problems
            told.append((where, str(error)))
            continue
        if kid in keys and not _is_same(keys[kid], key):
            twins.add(kid)
            problems.append(((index, "kid"), "another key has the same kid"))
        keys[kid] = key
    usable = {kid: key for kid, key in keys.items() if kid not in twins}
    return KeySet(usable, tuple(problems), tuple(others))


def _is_same(one: VerificationKey, other: VerificationKey) -> bool:
    return one.algorithms == other.algorithms and thumbprint(one) == thumbprint(other)


def _named_key(jwk: Any) -> tuple[str, VerificationKey]:
    """The ``kid`` of a JWK, and its key."""
    unnamed = InvalidKey("must be a JWK with a kid, which is text")
    if not isinstance(jwk, dict):
        raise unnamed
    kid = jwk.get("kid")
    named = isinstance(kid, str) and 0 < len(kid) <= LONGEST_KID and is_whole(kid)
    if not named:
        _refuse_others(jwk)
        if "kid" not in jwk:
            raise OtherKey("no kid, by which a token would name it", "kid")
        raise unnamed
    return str(kid), read_key(jwk)


def read_key(jwk: Mapping[str, Any]) -> VerificationKey:
    """Return the public key that a JWK describes.

    Raises:
        OtherKey: if it is for something else.
        InvalidKey: if it is private, symmetric, too short or cannot be read.
    """
    _refuse_others(jwk)
    kind = _kind(jwk)
    for member in _NEEDED[kind]:
        if member not in jwk:
            raise OtherKey("a member is missing that makes it a key", member)
    algorithm = jwk.get("alg")
    if algorithm is not None and algorithm not in SUITABLE[kind]:
        raise InvalidKey("the algorithm does not fit the key", "alg")
    algorithms = SUITABLE[kind] if algorithm is None else (algorithm,)
    return VerificationKey(algorithms, _public_key(kind, jwk))


def _refuse_others(jwk: Mapping[str, Any]) -> None:
    """Raise OtherKey for one that no signature is verified with, InvalidKey for a
    secret whatever it is for.
    """
    for member in _SECRETS:
        if member in jwk:
            raise InvalidKey("this is a secret; only public keys stand here", member)
    kind = _kind(jwk)
    if kind not in SUITABLE or jwk.get("kty") != _KEY_TYPES.get(kind, "EC"):
        raise OtherKey("neither RSA nor EC (P-256, P-384, P-521) nor Ed25519", "kty")
    if jwk.get("use", "sig") != "sig":
        raise OtherKey("the key is not for signatures", "use")
    uses = jwk.get("key_ops", ["verify"])
    if not isinstance(uses, list) or "verify" not in uses:
        raise OtherKey("the key is not for verifying", "key_ops")
    if jwk.get("alg", ALGORITHMS[0]) not in ALGORITHMS:
        raise OtherKey("the algorithm is not accepted here", "alg")


def _kind(jwk: Mapping[str, Any]) -> str:
    return "RSA" if jwk.get("kty") == "RSA" else str(jwk.get("crv"))


def thumbprint(key: VerificationKey) -> str:
    """Return the key's JWK thumbprint: SHA-256 in base64url.

    Source: RFC 7638 section 3; RFC 8037 section 2 for Ed25519.
    """
    jwk = public_jwk(key.algorithms[0], key.key)
    members = {name: jwk[name] for name in _IDENTIFYING if name in jwk}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _public_key(kind: str, jwk: Mapping[str, Any]) -> Any:
    read = _READERS.get(kind, ECAlgorithm.from_jwk)
    try:
        key = read(dict(jwk))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise InvalidKey("the key cannot be read") from error
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < SHORTEST_RSA:
        raise OtherKey(f"an RSA key has at least {SHORTEST_RSA} bits", "n")
    return key


_READERS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "Ed25519": OKPAlgorithm.from_jwk,
}
_NEEDED = {kind: ("x", "y") for kind in SUITABLE} | {
    "RSA": ("n", "e"),
    "Ed25519": ("x",),
}
_KEY_TYPES = {"RSA": "RSA", "Ed25519": "OKP"}
