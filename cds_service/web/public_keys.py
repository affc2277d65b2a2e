"""Our public keys, for whoever verifies what this server signs: a JWK Set.

EHRs fetch it again when its time is over, or a token names a key that they do not know.
So a key stands here before it signs, and for as long afterwards.

Source: RFC 7517; SMART App Launch 2.2, "Client Authentication: Asymmetric".
"""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response

from ..decision import World
from ..trust import VerificationKey, public_jwk
from .headers import let_keep
from .json import render_json

PATH = "/.well-known/jwks.json"
KEPT = "public, max-age=3600"


def build_public_keys(world: World) -> Blueprint:
    """Return the URL at which EHRs find our public keys."""
    keys = Blueprint("public_keys", __name__)
    body = render_json(write_key_set(world.clients.published))

    @keys.get(PATH)
    def publish() -> Response:
        return let_keep(Response(body, mimetype="application/json"), KEPT)

    return keys


def write_key_set(keys: Mapping[str, VerificationKey]) -> dict[str, Any]:
    """Return the JWK Set of public keys, of each with what it is for."""
    return {"keys": [_jwk(kid, keys[kid]) for kid in sorted(keys)]}


def _jwk(kid: str, key: VerificationKey) -> dict[str, Any]:
    algorithm = key.algorithms[0]
    told = public_jwk(algorithm, key.key)
    uses = {"use": "sig", "key_ops": ["verify"]}
    return {**told, "kid": kid, "alg": algorithm, **uses}
