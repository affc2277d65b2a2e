"""A client with keys, the tokens that it signs, and a call with one of them."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from cds_service.protocol.errors import Unauthenticated
from cds_service.trust import (
    ClientProfile,
    Keyring,
    KeyServer,
    RegisteredClient,
    TrustedClient,
    authenticate,
    read_key,
)
from cds_service.trust.documents import PublishedKeys

NOW = datetime(2026, 3, 1, 7, 0, tzinfo=timezone(timedelta(hours=-5)))
AT = int(NOW.timestamp())
ISSUER = "https://ehr.example"
AUDIENCE = "https://cds.example/cds-services/wearable-review"
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "iat": AT, "exp": AT + 300, "jti": "one"}
KEYS: dict[str, Any] = {
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "RS384": rsa.generate_private_key(65537, 2048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
"""The client's private keys; the name is the ``kid`` as well."""
FOREIGN = ec.generate_private_key(ec.SECP384R1())


def refuse_to_fetch(server: KeyServer) -> PublishedKeys:
    raise AssertionError(f"{server.url} is not to be asked")


NO_URLS = Keyring(refuse_to_fetch)


@dataclass(frozen=True)
class Known:
    clients: tuple[RegisteredClient, ...] = ()
    anonymous: TrustedClient | None = None


class Seen:
    """Spends each token once, and remembers until when."""

    def __init__(self) -> None:
        self.tokens: dict[tuple[str, str], datetime] = {}

    def __call__(self, issuer: str, jti: str, expires_at: datetime) -> bool:
        fresh = (issuer, jti) not in self.tokens
        self.tokens[issuer, jti] = expires_at
        return fresh


def public_jwk(key: Any, kid: str = "k", **members: Any) -> dict[str, Any]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        jwk = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ed25519.Ed25519PublicKey):
        jwk = OKPAlgorithm.to_jwk(public, as_dict=True)
    else:
        jwk = ECAlgorithm.to_jwk(public, as_dict=True)
    return {**jwk, "kid": kid, **members}


def register(
    id: str = "sandbox",
    issuer: str = ISSUER,
    tenants: tuple[str, ...] = (),
    keys: dict[str, Any] = KEYS,
    **profile: Any,
) -> RegisteredClient:
    client = TrustedClient(id, "default", issuer, profile=ClientProfile(**profile))
    read = {kid: read_key(public_jwk(key, kid)) for kid, key in keys.items()}
    return RegisteredClient(client, read, tenants)


def token(
    algorithm: str = "ES384",
    key: Any = None,
    headers: dict[str, Any] | None = None,
    without: tuple[str, ...] = (),
    **claims: Any,
) -> str:
    body = {**CLAIMS, **claims}
    for name in without:
        del body[name]
    header = {"kid": algorithm if algorithm in KEYS else "RS384", **(headers or {})}
    signer = key or KEYS.get(algorithm, KEYS["RS384"])
    text = json.dumps(body).encode()
    return jwt.PyJWS().encode(text, signer, algorithm, headers=header)


def raw_token(
    header: dict[str, Any], claims: Any, sign: Callable[[bytes], bytes]
) -> str:
    """A token that no library would make."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode()]
    signed = b".".join(base64.urlsafe_b64encode(each).rstrip(b"=") for each in parts)
    signature = base64.urlsafe_b64encode(sign(signed)).rstrip(b"=")
    return (signed + b"." + signature).decode()


def genuine(message: bytes) -> bytes:
    return jwt.get_algorithm_by_name("ES384").sign(message, KEYS["ES384"])


def call(
    sent: str | None, *registered: RegisteredClient, seen: Seen | None = None
) -> TrustedClient:
    known = Known(registered or (register(),))
    return authenticate(sent, AUDIENCE, known, NO_URLS, seen or Seen(), NOW)


def reason(sent: str | None, *registered: RegisteredClient) -> str:
    """Why it was refused, after checking that the answer does not say so."""
    with pytest.raises(Unauthenticated) as refused:
        call(sent, *registered)
    assert str(refused.value) == "Authentication is required."
    assert refused.value.as_json() == Unauthenticated().as_json()
    return refused.value.reason
