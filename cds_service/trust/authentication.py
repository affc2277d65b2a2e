"""Who calls: a client is trusted for a JWT that one of its own keys has signed.

Keys are bound to the issuer that the clients file names them for; nothing in a token
says where to find one. Every check that fails ends in the same answer; its reason goes
to the audit trail. PyJWT verifies signatures. Claims are compared here, with the clock
that is given: PyJWT has its own and accepts what CDS Hooks forbids, such as another
``typ`` or a lifetime of years.

Source: CDS Hooks 3.0.0 "Trusting CDS Clients"; RFC 7515, 7519, 8725.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..protocol.errors import Unauthenticated
from .algorithms import DECOYS, is_signed
from .clients import DEFAULT_LIFETIME, RegisteredClient, Registry, TrustedClient
from .keyring import Keyring
from .keys import VerificationKey
from .tokens import (
    Token,
    check_audience,
    check_header,
    check_times,
    read_jti,
    read_token,
)

Spend = Callable[[str, str, datetime], bool]
"""Issuer, jti and until when the token could be used; False if it was seen before."""


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
    spend: Spend,
    now: datetime,
    decoys: Mapping[str, Any] = DECOYS,
) -> TrustedClient:
    """The client whose token this is, made for this *audience* and not seen before.

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
        if not spend(client.issuer, read_jti(token.claims), until):
            raise Unauthenticated("the token was used before")
    return client


def _hint(check: Check, audience: str) -> str:
    """What a developer needs to know beside which check failed."""
    return {
        "issuer": "iss and tenant must be those of a client of CDS_CLIENTS_FILE",
        "key": "kid must be that of one of the client's keys",
        "audience": f"aud must be {audience}",
    }.get(check.name, "")


def examine(
    token: Token, audience: str, trust: Trust, now: datetime
) -> Iterator[Check]:
    """Every check of a token in its order, up to whether it was seen before.

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
    """The client whose issuer and tenant the claims name."""
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
