"""Who calls: a client is trusted for a JWT that one of its own keys has signed.

Keys are bound to the issuer that the clients file names them for; nothing in a token
says where to find one. Every check that fails ends in the same answer; its reason goes
to the audit trail. PyJWT verifies signatures. Claims are compared here, with the clock
that is given: PyJWT has its own and accepts what CDS Hooks forbids, such as another
``typ`` or a lifetime of years.

Source: CDS Hooks 3.0.0 "Trusting CDS Clients"; RFC 7515, 7519, 8725.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..protocol.errors import Unauthenticated
from ..protocol.formats import is_whole
from .clients import DEFAULT_LIFETIME, RegisteredClient, Registry, TrustedClient
from .keyring import Keyring
from .keys import ALGORITHMS, DECOYS, VerificationKey, is_signed

# The token before PyJWT verifies it: looked at strictly, so that nobody reads it
# differently: one way to write each part, UTF-8, no member twice (PyJWT takes the last
# of two members, and UTF-16 for JSON); compared with a given clock.
# Source: RFC 7515, 7519, 8725

LEEWAY = 60
"""Seconds by which the clocks of client and server may differ."""
LONGEST_TOKEN = 16 * 1024
LONGEST_JTI = 256
_BEARER = re.compile(r"[ \t]*bearer[ \t]+(\S(?:.*\S)?)[ \t]*", re.IGNORECASE)
_PART = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_LAST_SECOND = datetime.max.replace(tzinfo=UTC).timestamp() - 2 * LEEWAY


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says; nothing of it is believed yet."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    text: str
    """The whole, in its compact form."""


def read_token(authorization: str | None) -> Token:
    """Return the token of a header ``Authorization``, whatever blanks are in it.

    Raises:
        Unauthenticated: if there is none, or it is no JWT in its compact form.
    """
    bearer = _BEARER.fullmatch(authorization or "")
    if bearer is None:
        raise Unauthenticated("no bearer token")
    return parse_token(bearer[1])


def parse_token(text: str) -> Token:
    """Return the token that a text is.

    Raises:
        Unauthenticated: if it is no JWT in its compact form.
    """
    if len(text) > LONGEST_TOKEN:
        raise Unauthenticated("the token is too long")
    parts = text.split(".")
    if len(parts) != 3 or not all(map(_PART.fullmatch, parts)):
        raise Unauthenticated("the token cannot be read")
    try:
        head, body, _ = map(_decoded, parts)
        header = json.loads(head.decode(), object_pairs_hook=_once)
        claims = json.loads(body.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Unauthenticated("the token cannot be read") from error
    if not isinstance(header, dict):
        raise Unauthenticated("the header is no object")
    if not isinstance(claims, dict):
        raise Unauthenticated("the claims are no object")
    return Token(header, claims, text)


def check_header(header: Mapping[str, Any]) -> None:
    """Raise Unauthenticated where no client at all may send such a header."""
    if header.get("typ") != "JWT":
        raise Unauthenticated("typ is not JWT")
    if "crit" in header or "b64" in header:
        raise Unauthenticated("the header asks for an extension")
    if not isinstance(header.get("kid"), str) or not header["kid"]:
        raise Unauthenticated("no kid")
    if header.get("alg") not in ALGORITHMS:
        raise Unauthenticated("the algorithm is never allowed")
    if not isinstance(header.get("jku", ""), str):
        raise Unauthenticated("jku is no text")


def check_audience(claims: Mapping[str, Any], audience: str) -> None:
    """Raise Unauthenticated unless the token was made for the URL *audience*."""
    named = claims.get("aud")
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
        raise Unauthenticated("no aud")
    if audience not in named:
        raise Unauthenticated("aud is not the URL that was called")


def check_times(claims: Mapping[str, Any], lifetime: int, now: datetime) -> datetime:
    """Return until when the token could be used.

    Raises:
        Unauthenticated: if it cannot be used now, or for longer than *lifetime*.
    """
    at = now.timestamp()
    expires, issued = number_claim(claims, "exp"), number_claim(claims, "iat")
    if expires + LEEWAY <= at:
        raise Unauthenticated("the token has expired")
    if issued - LEEWAY > at:
        raise Unauthenticated("the token was issued in the future")
    if "nbf" in claims and number_claim(claims, "nbf") - LEEWAY > at:
        raise Unauthenticated("the token is not valid yet")
    if not 0 < expires - issued <= lifetime:
        raise Unauthenticated("the token lives too long")
    return datetime.fromtimestamp(expires + LEEWAY, UTC)


def read_jti(claims: Mapping[str, Any]) -> str:
    """Return the token's own name.

    Raises:
        Unauthenticated: if it has none.
    """
    value = claims.get("jti")
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_JTI:
        raise Unauthenticated(f"jti is no text of up to {LONGEST_JTI} characters")
    if not is_whole(value):
        raise Unauthenticated("jti holds half a character")
    if "\0" in value:
        raise Unauthenticated("jti holds a NUL")
    return value


def number_claim(claims: Mapping[str, Any], name: str) -> float:
    """Return a claim that is a number, such as a time in seconds.

    Raises:
        Unauthenticated: if there is none, or it is further off than any time.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unauthenticated(f"{name} is no number")
    if not abs(value) <= _LAST_SECOND:
        raise Unauthenticated(f"{name} is out of range")
    return float(value)


def _decoded(part: str) -> bytes:
    decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(decoded).decode().rstrip("=") != part:
        raise ValueError("there is another way to write this")
    return decoded


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(members)
    if len(read) < len(members):
        raise ValueError("a member stands twice")
    return read


# Who has signed it

IsNew = Callable[[str, str, datetime], bool]
"""Issuer, jti and until when the token could be used; False if it was used before."""
USED_BEFORE = "the token was used before"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what is wrong with it."""

    name: str
    problem: str = ""
    """Empty where all is well."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a token is held against."""

    registry: Registry
    keyring: Keyring
    decoys: Mapping[str, Any] = field(default_factory=lambda: DECOYS)
    """By algorithm: what is verified against where there is no key."""


def authenticate(
    authorization: str | None,
    audience: str,
    registry: Registry,
    keyring: Keyring,
    is_new: IsNew,
    now: datetime,
    decoys: Mapping[str, Any] = DECOYS,
) -> TrustedClient:
    """Return the client whose token this is: for this *audience*, not used before.

    Raises:
        Unauthenticated: always with the same words, and a reason for the audit trail.
    """
    if registry.anonymous is not None:
        return registry.anonymous
    token = read_token(authorization)
    trust = Trust(registry, keyring, decoys)
    for check in examine(token, audience, trust, now):
        if check.problem:
            raise Unauthenticated(check.problem, _hint(check, audience))
    registered = find_client(token.claims, registry.clients)
    assert registered is not None
    client = registered.client
    if not client.profile.allow_replay:
        until = check_times(token.claims, client.profile.lifetime, now)
        if not is_new(client.issuer, read_jti(token.claims), until):
            raise Unauthenticated(USED_BEFORE)
    return client


def _hint(check: Check, audience: str) -> str:
    """Return what a developer needs to know beside which check failed."""
    return {
        "issuer": "iss and tenant must be those of a client of CDS_CLIENTS_FILE",
        "key": "kid must be that of one of the client's keys",
        "audience": f"aud must be {audience}",
    }.get(check.name, "")


def examine(
    token: Token, audience: str, trust: Trust, now: datetime
) -> Iterator[Check]:
    """Yield every check of a token in its order, up to whether it was seen before.

    Whoever stops at the first problem does as much work for an unknown issuer as for
    one that is known: the signature is verified in any case.
    """
    header = _check("header", check_header, token.header)
    yield header
    if header.problem:
        return
    registered = find_client(token.claims, trust.registry.clients)
    key, key_problem = _find_key(token, registered, trust.keyring, now)
    algorithm = token.header["alg"]
    against = key.key if key else trust.decoys[algorithm]
    genuine = is_signed(token.text, algorithm, against)
    yield Check("issuer", "" if registered else "unknown issuer or tenant")
    yield Check("key", key_problem)
    yield Check("algorithm", _algorithm_problem(algorithm, key, registered))
    yield Check("signature", "" if key and genuine else "the signature is wrong")
    yield _check("audience", check_audience, token.claims, audience)
    lifetime = registered.client.profile.lifetime if registered else DEFAULT_LIFETIME
    yield _check("times", check_times, token.claims, lifetime, now)
    yield _check("jti", read_jti, token.claims)


def find_client(
    claims: Mapping[str, Any], clients: Sequence[RegisteredClient]
) -> RegisteredClient | None:
    """Return the client whose issuer and tenant the claims name."""
    issuer, tenant = claims.get("iss"), claims.get("tenant")
    for each in clients:
        if each.client.issuer == issuer and (
            not each.tenants or tenant in each.tenants
        ):
            return each
    return None


def _find_key(
    token: Token,
    registered: RegisteredClient | None,
    keyring: Keyring,
    now: datetime,
) -> tuple[VerificationKey | None, str]:
    """The key that the token names, or why there is none."""
    kid, jku = token.header["kid"], token.header.get("jku")
    if registered is None:
        return None, "no client, no key"
    if registered.key_servers:
        return keyring.find(registered.key_servers, jku, kid, now)
    key = registered.keys.get(kid)
    return key, "" if key else "unknown kid"


def _algorithm_problem(
    algorithm: str, key: VerificationKey | None, registered: RegisteredClient | None
) -> str:
    if key is not None and algorithm not in key.algorithms:
        return "the algorithm does not fit the key"
    if registered and algorithm not in registered.client.profile.algorithms:
        return "the algorithm is not allowed to this client"
    return ""


def _check(name: str, look: Callable[..., object], *of: object) -> Check:
    try:
        look(*of)
    except Unauthenticated as error:
        return Check(name, error.reason)
    return Check(name)
