"""Who calls: a client is trusted for a JWT that one of its own keys has signed.

Keys are bound to the issuer that the clients file names them for; nothing in a token
says where to find one. Every check that fails ends in the same answer; its reason goes
to the audit trail. Times are compared here, with the clock that is given, because PyJWT
has its own and accepts what CDS Hooks forbids: another ``typ``, a lifetime of years.

Source: CDS Hooks 3.0.0 "Trusting CDS Clients"; RFC 7515, 7519, 8725.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from .fhir.networks import ListedServer
from .protocol.errors import Unauthenticated

SUITABLE: Mapping[str, tuple[str, ...]] = {
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA",),
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
}
"""Kind of key to the algorithms it may be used with: asymmetric ones only."""
ALGORITHMS = tuple(each for group in SUITABLE.values() for each in group)
DEFAULT_ALGORITHMS = ("ES384", "RS384")
"""What CDS Hooks recommends to clients."""
DEFAULT_LIFETIME = 3600
"""Seconds between ``iat`` and ``exp``."""
LEEWAY = 60
"""Seconds by which the clocks of client and server may differ."""
LONGEST_TOKEN = 16 * 1024
LONGEST_JTI = 256
SHORTEST_RSA = 2048
"""Bits."""

Spend = Callable[[str, str, datetime], bool]
"""Issuer, jti and until when the token could be used; False if it was seen before."""


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """What a client is forgiven and allowed."""

    strict: bool = False
    """Refuse what is otherwise forgiven and noted as a deviation."""
    allow_replay: bool = False
    """Accept a token more than once."""
    constant_instance: bool = False
    """Its hookInstance does not tell its calls apart."""
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS
    lifetime: int = DEFAULT_LIFETIME
    """Seconds that a token may live."""


@dataclass(frozen=True, slots=True)
class TrustedClient:
    """A CDS Client that is known and has proved who it is."""

    id: str
    tenant: str
    """Whose patients it asks about."""
    issuer: str
    """``iss`` of its tokens; empty where trust is off."""
    fhir_base: str = "-"
    """Whose patient ids it uses; ``-`` where the tenant has one FHIR server."""
    fhir_servers: tuple[ListedServer, ...] = ()
    """FHIR servers that may be read with the token that the client sends along."""
    open_fhir_servers: tuple[ListedServer, ...] = ()
    """FHIR servers that may be read without a token."""
    origins: tuple[str, ...] = ()
    """Web origins that its browsers call from."""
    profile: ClientProfile = ClientProfile()


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key of a client."""

    algorithms: tuple[str, ...]
    key: Any


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """One entry of the clients file: the client, and how it proves who it is."""

    client: TrustedClient
    keys: Mapping[str, VerificationKey] = field(repr=False, default_factory=dict)
    """By ``kid``."""
    tenants: tuple[str, ...] = ()
    """Values of the JWT's ``tenant`` claim; empty if it does not matter."""


class Registry(Protocol):
    """Whom to trust."""

    @property
    def clients(self) -> Sequence[RegisteredClient]:
        """Those who prove who they are."""

    @property
    def anonymous(self) -> TrustedClient | None:
        """Whoever calls, where trust is off."""


class InvalidKey(Exception):
    """A JWK that must not be used; the message holds nothing of it."""

    def __init__(self, message: str, member: str = "") -> None:
        super().__init__(message)
        self.member = member
        """The member of the JWK that is wrong; empty for the key as a whole."""


def authenticate(
    authorization: str | None,
    audience: str,
    clients: Registry,
    spend: Spend,
    now: datetime,
) -> TrustedClient:
    """The client whose token this is, made for this *audience* and not seen before.

    Raises:
        Unauthenticated: always with the same words, and a reason for the audit trail.
    """
    if clients.anonymous is not None:
        return clients.anonymous
    token = _bearer(authorization)
    header, claims = _read_unverified(token)
    registered = _find_client(claims, clients.clients)
    _verify(token, header, registered)
    assert registered is not None
    client = registered.client
    _check_audience(claims, audience)
    expires_at = _check_times(claims, client.profile.lifetime, now)
    jti = _text_claim(claims, "jti", LONGEST_JTI)
    if not client.profile.allow_replay and not spend(client.issuer, jti, expires_at):
        raise Unauthenticated("the token was used before")
    return client


def read_key(jwk: Mapping[str, Any]) -> VerificationKey:
    """The public key that a JWK describes.

    Raises:
        InvalidKey: if it is private, symmetric, too short, or for something else.
    """
    for member in ("d", "p", "q", "dp", "dq", "qi", "oth", "k"):
        if member in jwk:
            raise InvalidKey("this is a secret; only public keys stand here", member)
    kind = "RSA" if jwk.get("kty") == "RSA" else str(jwk.get("crv"))
    if kind not in SUITABLE or jwk.get("kty") != _KEY_TYPES.get(kind, "EC"):
        raise InvalidKey("neither RSA nor EC (P-256, P-384, P-521) nor Ed25519", "kty")
    if jwk.get("use", "sig") != "sig":
        raise InvalidKey("the key is not for signatures", "use")
    uses = jwk.get("key_ops", ["verify"])
    if not isinstance(uses, list) or "verify" not in uses:
        raise InvalidKey("the key is not for verifying", "key_ops")
    algorithm = jwk.get("alg")
    if algorithm is not None and algorithm not in SUITABLE[kind]:
        raise InvalidKey("the algorithm does not fit the key", "alg")
    algorithms = SUITABLE[kind] if algorithm is None else (algorithm,)
    return VerificationKey(algorithms, _public_key(kind, jwk))


def _public_key(kind: str, jwk: Mapping[str, Any]) -> Any:
    read = _READERS.get(kind, ECAlgorithm.from_jwk)
    try:
        key = read(dict(jwk))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise InvalidKey("the key cannot be read") from error
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < SHORTEST_RSA:
        raise InvalidKey(f"an RSA key has at least {SHORTEST_RSA} bits", "n")
    return key


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("no bearer token")
    if len(token) > LONGEST_TOKEN:
        raise Unauthenticated("the token is too long")
    return token


def _read_unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, for finding the key; the same bytes are verified after."""
    try:
        read = _JWS.decode_complete(token, options={"verify_signature": False})
        claims = json.loads(read["payload"])
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise Unauthenticated("the token cannot be read") from error
    if not isinstance(claims, dict):
        raise Unauthenticated("the claims are no object")
    return read["header"], claims


def _find_client(
    claims: Mapping[str, Any], clients: Sequence[RegisteredClient]
) -> RegisteredClient | None:
    """The client whose issuer and tenant the claims name."""
    issuer, tenant = claims.get("iss"), claims.get("tenant")
    for each in clients:
        if each.client.issuer == issuer and (
            not each.tenants or tenant in each.tenants
        ):
            return each
    return None


def _verify(
    token: str, header: Mapping[str, Any], registered: RegisteredClient | None
) -> None:
    """Verify the signature, and do as much work where there is no key to do it with."""
    algorithm, kid = header.get("alg"), header.get("kid")
    if header.get("typ") != "JWT":
        raise Unauthenticated("typ is not JWT")
    if "crit" in header or "b64" in header:
        raise Unauthenticated("the header asks for an extension")
    if not isinstance(kid, str) or not kid:
        raise Unauthenticated("no kid")
    if algorithm not in ALGORITHMS:
        raise Unauthenticated("the algorithm is never allowed")
    key = registered.keys.get(kid) if registered else None
    genuine = _is_genuine(token, algorithm, key.key if key else _DECOYS[algorithm])
    if registered is None:
        raise Unauthenticated("unknown issuer or tenant")
    if key is None:
        raise Unauthenticated("unknown kid")
    if algorithm not in key.algorithms:
        raise Unauthenticated("the algorithm does not fit the key")
    if algorithm not in registered.client.profile.algorithms:
        raise Unauthenticated("the algorithm is not allowed to this client")
    if not genuine:
        raise Unauthenticated("the signature is wrong")


def _is_genuine(token: str, algorithm: str, key: Any) -> bool:
    try:
        _JWS.decode(token, key, algorithms=[algorithm])
    except (jwt.PyJWTError, TypeError, ValueError):
        return False
    return True


def _check_audience(claims: Mapping[str, Any], audience: str) -> None:
    named = claims.get("aud")
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
        raise Unauthenticated("no aud")
    if audience not in named:
        raise Unauthenticated("aud is not the URL that was called")


def _check_times(claims: Mapping[str, Any], lifetime: int, now: datetime) -> datetime:
    """Until when the token could be used."""
    at = now.timestamp()
    expires, issued = _number_claim(claims, "exp"), _number_claim(claims, "iat")
    if expires + LEEWAY <= at:
        raise Unauthenticated("the token has expired")
    if issued - LEEWAY > at:
        raise Unauthenticated("the token was issued in the future")
    if "nbf" in claims and _number_claim(claims, "nbf") - LEEWAY > at:
        raise Unauthenticated("the token is not valid yet")
    if not 0 < expires - issued <= lifetime:
        raise Unauthenticated("the token lives too long")
    return datetime.fromtimestamp(expires + LEEWAY, UTC)


def _number_claim(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unauthenticated(f"{name} is no number")
    if not abs(value) <= _LAST_SECOND:
        raise Unauthenticated(f"{name} is out of range")
    return float(value)


def _text_claim(claims: Mapping[str, Any], name: str, longest: int) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise Unauthenticated(f"{name} is no text of up to {longest} characters")
    return value


def _decoys() -> dict[str, Any]:
    """A key for each algorithm that nobody has signed with, to spend time on."""
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
_READERS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "Ed25519": OKPAlgorithm.from_jwk,
}
_KEY_TYPES = {"RSA": "RSA", "Ed25519": "OKP"}
_LAST_SECOND = datetime.max.replace(tzinfo=UTC).timestamp() - 2 * LEEWAY
_DECOYS = _decoys()
