"""Our public keys: where EHRs find them, and for how long they may keep them."""

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cds_service.app import create_app
from cds_service.trust import VerificationKey, read_key_set

P384 = VerificationKey(("ES384",), ec.generate_private_key(ec.SECP384R1()).public_key())
RSA = VerificationKey(("RS384",), rsa.generate_private_key(65537, 2048).public_key())


@pytest.fixture
def world(build: Any) -> Any:
    return build()


def asked(world: Any, **published: VerificationKey) -> Any:
    clients = replace(world.clients, published=published)
    app = create_app(world=replace(world, clients=clients))
    return app.test_client().get("/.well-known/jwks.json")


def test_an_ehr_finds_the_keys_that_we_sign_with_and_the_next_one(world: Any) -> None:
    answer = asked(world, now=P384, next=RSA)

    assert answer.mimetype == "application/json"
    told = {each["kid"]: each for each in answer.json["keys"]}
    assert (told["now"]["kty"], told["now"]["alg"]) == ("EC", "ES384")
    assert (told["next"]["kty"], told["next"]["alg"]) == ("RSA", "RS384")
    assert {each["use"] for each in told.values()} == {"sig"}
    read = read_key_set(answer.json["keys"])
    assert (read.keys["now"].key, read.keys["next"].key) == (P384.key, RSA.key)


def test_nothing_of_a_private_key_is_in_it(world: Any) -> None:
    answer = asked(world, now=P384, next=RSA)

    members = {name for each in answer.json["keys"] for name in each}
    assert members == {
        *("kid", "kty", "alg", "use", "key_ops", "crv", "x", "y", "n", "e"),
    }


def test_it_may_be_kept_for_an_hour_and_nothing_else_may_be_kept(world: Any) -> None:
    answer = asked(world, now=P384)

    assert answer.headers.getlist("Cache-Control") == ["public, max-age=3600"]
    assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]


def test_who_signs_nothing_publishes_none(world: Any) -> None:
    assert asked(world).json == {"keys": []}
