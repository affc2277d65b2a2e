"""ID tokens: who has signed in, as an EHR or an OpenID provider says.

One is believed if a key that its issuer publishes has signed it, for us, lately, and
for this very sign-in. The kind of key says which algorithms it may have, so that no
public key is ever taken for a secret.

One that comes again, with a token that is renewed, is held to the first.

Source: OpenID Connect Core 1.0 sections 3.1.3.7, 12.2; SMART App Launch 2.2, "Scopes
for requesting identity data"; RFC 8725.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..protocol.errors import Unauthenticated
from .authentication import LEEWAY, Token, number_claim, parse_token
from .clients import KeyServer
from .documents import PublishedKeys, read_document
from .keyring import Keyring
from .keys import VerificationKey, is_signed

ALGORITHMS_OF_IDS = ("RS256", "ES256", "RS384", "ES384")
"""RS256 is what every EHR has."""


LASTING = ("iss", "sub", "nonce", "iat", "auth_time")
"""Claims of the first ID token that later ones are held to."""


class InvalidIdToken(Exception):
    """An ID token that is not believed; the message is a constant phrase."""


@dataclass(frozen=True, slots=True)
class ExpectedId:
    """What an ID token has to be."""

    issuer: str
    client_id: str
    nonce: str = field(repr=False)
    keys: KeyServer
    """Where its issuer publishes its keys."""
    max_age: int | None = None
    """Seconds ago at most that the user has proved who they are."""


def verify_id_token(
    text: str, expected: ExpectedId, keyring: Keyring, now: datetime
) -> Mapping[str, Any]:
    """Return the claims of an ID token.

    Raises:
        InvalidIdToken: if it is not believed.
    """
    claims = _read(text, expected, keyring, now)
    if claims.get("nonce") != expected.nonce:
        raise InvalidIdToken("nonce is not that of this sign-in")
    if expected.max_age is not None:
        age = now.timestamp() - _number(claims, "auth_time")
        if not -LEEWAY <= age <= expected.max_age + LEEWAY:
            raise InvalidIdToken("the user has not proved lately who they are")
    return claims


def verify_later_id_token(
    text: str,
    expected: ExpectedId,
    first: Mapping[str, Any],
    keyring: Keyring,
    now: datetime,
) -> None:
    """Check an ID token that has come with a token that was renewed.

    Args:
        expected: With the nonce of the sign-in, which need not be told again.
        first: The lasting claims of the sign-in; empty where no ID token came then, and
            this one has to be for us alone.

    Raises:
        InvalidIdToken: if it is not believed, or says anything else than the first.
    """
    claims = _read(text, expected, keyring, now)
    if claims.get("nonce", expected.nonce) != expected.nonce:
        raise InvalidIdToken("nonce is not that of this sign-in")
    for name in ("iss", "sub"):
        if claims[name] != first.get(name, claims[name]):
            raise InvalidIdToken(f"{name} is another")
    if claims["iat"] < first.get("iat", claims["iat"]):
        raise InvalidIdToken("it is older than the sign-in")
    told = claims.get("auth_time")
    if told is not None and told != first.get("auth_time", told):
        raise InvalidIdToken("auth_time is another")


def _read(
    text: str, expected: ExpectedId, keyring: Keyring, now: datetime
) -> Mapping[str, Any]:
    """The claims of one that its issuer has signed, for us, lately."""
    try:
        token = parse_token(text)
    except Unauthenticated as error:
        raise InvalidIdToken(error.reason) from None
    algorithm = _algorithm(token.header)
    key = _key(token.header, algorithm, expected.keys, keyring, now)
    if not is_signed(token.text, algorithm, key.key):
        raise InvalidIdToken("the signature is wrong")
    _check_parties(token, expected)
    _check_times(token.claims, now)
    subject = token.claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise InvalidIdToken("no sub")
    return token.claims


def lasting_claims(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is kept of the claims of a sign-in, for ID tokens that come later."""
    return {name: claims[name] for name in LASTING if name in claims}


def read_issuer_keys(value: Any, server: KeyServer, age: float) -> PublishedKeys:
    """Return the keys of an issuer's JWK Set; one without a name is given one.

    Raises:
        KeyServerUnread: if it is none.
    """
    listed = value.get("keys") if isinstance(value, dict) else None
    if isinstance(listed, list):
        value = {"keys": [_named(each) for each in listed]}
    return read_document(value, server, age)


def _named(jwk: Any) -> Any:
    if not isinstance(jwk, dict) or "kid" in jwk:
        return jwk
    digest = hashlib.sha256(json.dumps(jwk, sort_keys=True).encode()).hexdigest()
    return {**jwk, "kid": f"without kid {digest}"}


def _algorithm(header: Mapping[str, Any]) -> str:
    if "crit" in header or "b64" in header:
        raise InvalidIdToken("the header asks for an extension")
    if str(header.get("typ", "JWT")).upper() != "JWT":
        raise InvalidIdToken("typ is not JWT")
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS_OF_IDS:
        raise InvalidIdToken("the algorithm is not allowed")
    return str(algorithm)


def _key(
    header: Mapping[str, Any],
    algorithm: str,
    server: KeyServer,
    keyring: Keyring,
    now: datetime,
) -> VerificationKey:
    kid = header.get("kid")
    if isinstance(kid, str):
        key, problem = keyring.find([server], None, kid, now)
        if key is None:
            raise InvalidIdToken(problem)
        if algorithm not in key.algorithms:
            raise InvalidIdToken("the algorithm does not fit the key")
        return key
    fitting = keyring.fitting(server, algorithm, now)
    if len(fitting) != 1:
        several = "no kid, and several keys fit"
        raise InvalidIdToken(several if fitting else "no kid, and no key fits")
    return fitting[0]


def _check_parties(token: Token, expected: ExpectedId) -> None:
    claims, us = token.claims, expected.client_id
    if claims.get("iss") != expected.issuer:
        raise InvalidIdToken("iss is another")
    named = claims.get("aud")
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, list) or us not in named:
        raise InvalidIdToken("aud is another")
    if claims.get("azp", us) != us or (len(named) > 1 and "azp" not in claims):
        raise InvalidIdToken("azp is another")


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    at = now.timestamp()
    expires, issued = _number(claims, "exp"), _number(claims, "iat")
    if expires + LEEWAY <= at:
        raise InvalidIdToken("it has expired")
    if issued - LEEWAY > at:
        raise InvalidIdToken("it was issued in the future")


def _number(claims: Mapping[str, Any], name: str) -> float:
    try:
        return number_claim(claims, name)
    except Unauthenticated as error:
        raise InvalidIdToken(error.reason) from None
