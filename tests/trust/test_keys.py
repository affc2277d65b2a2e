"""Sets of keys: one that is wrong costs only itself."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from cds_service.trust import InvalidKeySet, read_key_set


def jwk(kid: str = "a", **members: Any) -> dict[str, Any]:
    public = ec.generate_private_key(ec.SECP384R1()).public_key()
    return {**ECAlgorithm.to_jwk(public, as_dict=True), "kid": kid, **members}


@pytest.mark.parametrize(
    "wrong",
    [
        7,
        {},
        {"kid": 7},
        jwk("k" * 257),
        jwk("b", use="enc"),
        jwk("b", key_ops=["sign"]),
        jwk("b", alg="ES256"),
        jwk("b", alg="HS384"),
        {"kty": "oct", "kid": "b", "k": "c2VjcmV0"},
        {"kty": "AKP", "kid": "b"},
        jwk("b", d="c2VjcmV0"),
        jwk("b", x="!"),
    ],
)
def test_a_key_that_cannot_be_used_leaves_the_others(wrong: Any) -> None:
    found = read_key_set([jwk("a"), wrong])

    assert list(found.keys) == ["a"]
    ((where, message),) = found.problems
    assert where[0] == 1 and "c2VjcmV0" not in message


def test_of_two_keys_with_one_kid_neither_is_used() -> None:
    found = read_key_set([jwk("a"), jwk("b"), jwk("a")])

    assert list(found.keys) == ["b"]
    assert found.problems == (((2, "kid"), "another key has the same kid"),)


def test_an_encryption_key_of_the_same_kid_is_no_twin() -> None:
    assert list(read_key_set([jwk("a", use="enc"), jwk("a")]).keys) == ["a"]


@pytest.mark.parametrize("value", [None, {}, "keys", [{}] * 101])
def test_what_is_no_set_of_a_sane_size_is_refused(value: Any) -> None:
    with pytest.raises(InvalidKeySet):
        read_key_set(value)
