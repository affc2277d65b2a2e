"""Keys, and sets of them: one that is wrong costs only itself."""

import base64
import hashlib
import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from cds_service.trust import (
    InvalidKey,
    InvalidKeySet,
    read_key,
    read_key_set,
    thumbprint,
)

from .signing import KEYS, public_jwk


def jwk(kid: str = "a", **members: Any) -> dict[str, Any]:
    public = ec.generate_private_key(ec.SECP384R1()).public_key()
    return {**ECAlgorithm.to_jwk(public, as_dict=True), "kid": kid, **members}


RSA_1024 = {
    "kty": "RSA",
    "kid": "b",
    "e": "AQAB",
    "n": base64.urlsafe_b64encode(b"\xc1" + bytes(126) + b"\x01").decode(),
}


@pytest.mark.parametrize(
    "wrong",
    [
        7,
        {**jwk(), "kid": 7},
        jwk("k" * 257),
        jwk("k\ufffd"),
        jwk("b", alg="ES256"),
        {"kty": "oct", "kid": "b", "k": "c2VjcmV0"},
        {"kty": "AKP", "kid": "b", "priv": "c2VjcmV0"},
        jwk("b", d="c2VjcmV0"),
        jwk("b", use="enc", d="c2VjcmV0"),
        jwk("b", x="!"),
    ],
)
def test_a_key_that_cannot_be_used_leaves_the_others(wrong: Any) -> None:
    found = read_key_set([jwk("a"), wrong])

    assert list(found.keys) == ["a"]
    ((where, message),) = found.problems
    assert where[0] == 1 and "c2VjcmV0" not in message


@pytest.mark.parametrize(
    "other",
    [
        jwk("b", use="enc"),
        jwk("b", use="enc", alg="ECDH-ES"),
        jwk("b", use="wrapping"),
        jwk("b", use=["sig"]),
        jwk("b", alg="ECDH-ES+A256KW"),
        jwk("b", alg="HS384"),
        jwk("b", alg="ES1024"),
        jwk("b", key_ops=["encrypt", "wrapKey"]),
        jwk("b", crv="secp256k1", alg="ES256K"),
        {"kty": "OKP", "kid": "b", "crv": "X25519", "x": "AA"},
        {"kty": "OKP", "kid": "b", "crv": "Ed448", "x": "AA"},
        {"kty": "RSA", "kid": "b", "n": "AQAB", "e": "AQAB", "alg": "RSA-OAEP"},
        {"kty": "AKP", "kid": "b", "alg": "ML-DSA-44", "pub": "AA"},
        {"kty": "XYZ"},
        {"use": "enc", "kty": "EC"},
        {"kid": "b"},
        {},
        # Members that it needs are missing, or are not within what is taken.
        {"kty": "RSA", "kid": "b", "x5c": ["MIIB"]},
        {"kty": "RSA", "kid": "b", "n": "AQAB"},
        {"kty": "EC", "kid": "b", "crv": "P-384", "x5c": ["MIIB"]},
        {"kty": "OKP", "kid": "b", "crv": "Ed25519", "x5c": ["MIIB"]},
        {name: each for name, each in jwk().items() if name != "kid"},
        RSA_1024,
    ],
)
def test_a_key_for_something_else_is_passed_over(other: Any) -> None:
    for listed in ([jwk("a"), other], [other, jwk("a")]):
        found = read_key_set(listed)

        assert list(found.keys) == ["a"]
        assert found.problems == ()
        ((where, message),) = found.others
        assert where[0] == listed.index(other) and message


def test_what_is_wrong_with_a_key_is_told_with_its_place_and_its_member() -> None:
    listed = [{**jwk(), "kid": ""}, jwk("b", use="enc"), jwk("c", d="x"), 7, {}]
    unnamed = {name: each for name, each in jwk().items() if name != "kid"}
    in_part = {"kty": "RSA", "kid": "f", "n": "AQAB"}

    others = [jwk("d", x="!"), jwk("e" * 256), unnamed, in_part]
    found = read_key_set([*listed, *others])

    assert list(found.keys) == ["e" * 256]
    assert found.problems == (
        ((0,), "must be a JWK with a kid, which is text"),
        ((2, "d"), "this is a secret; only public keys stand here"),
        ((3,), "must be a JWK with a kid, which is text"),
        ((5,), "the key cannot be read"),
    )
    assert found.others == (
        ((1, "use"), "the key is not for signatures"),
        ((4, "kty"), "neither RSA nor EC (P-256, P-384, P-521) nor Ed25519"),
        ((7, "kid"), "no kid, by which a token would name it"),
        ((8, "e"), "a member is missing that makes it a key"),
    )


def test_each_kid_of_a_set_leads_to_its_own_key() -> None:
    one, other = jwk("a"), jwk("b")

    found = read_key_set([one, other])

    assert found.problems == found.others == ()
    assert {kid: thumbprint(key) for kid, key in found.keys.items()} == {
        "a": thumbprint(read_key(one)),
        "b": thumbprint(read_key(other)),
    }


def test_of_two_keys_with_one_kid_neither_is_used() -> None:
    found = read_key_set([jwk("a"), jwk("b"), jwk("a")])

    assert list(found.keys) == ["b"]
    assert found.problems == (((2, "kid"), "another key has the same kid"),)


def test_the_same_key_twice_is_one_key() -> None:
    one = jwk("a")

    found = read_key_set([one, {**one, "use": "sig", "x5t": "AA"}, jwk("b")])

    assert list(found.keys) == ["a", "b"]
    assert found.problems == ()


def test_one_key_for_two_algorithms_is_a_twin() -> None:
    rsa = public_jwk(KEYS["RS384"], "a")

    found = read_key_set([{**rsa, "alg": "RS384"}, {**rsa, "alg": "PS384"}])

    assert not found.keys
    assert found.problems == (((1, "kid"), "another key has the same kid"),)


def test_an_encryption_key_of_the_same_kid_is_no_twin() -> None:
    assert list(read_key_set([jwk("a", use="enc"), jwk("a")]).keys) == ["a"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "is no JWK Set"),
        ({}, "is no JWK Set"),
        ("keys", "is no JWK Set"),
        ([{}] * 101, "has more than 100 keys"),
    ],
)
def test_what_is_no_set_of_a_sane_size_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidKeySet) as refused:
        read_key_set(value)

    assert str(refused.value) == message


def test_a_set_may_hold_a_hundred_keys() -> None:
    assert len(read_key_set([jwk("a"), *[{}] * 99]).others) == 99


RSA_MODULUS = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6"
    "tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5"
    "v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD0"
    "8qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU"
    "8awapJzKnqDKgw"
)


@pytest.mark.parametrize(
    ("jwk", "expected"),
    [
        (
            {"kty": "RSA", "n": RSA_MODULUS, "e": "AQAB", "alg": "RS256"},
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        ),
        (
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            },
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        ),
    ],
    ids=["RFC 7638 section 3.1", "RFC 8037 appendix A.3"],
)
def test_the_thumbprint_of_a_key_is_that_of_the_standards(
    jwk: dict[str, Any], expected: str
) -> None:
    assert thumbprint(read_key(jwk)) == expected


def test_a_thumbprint_keeps_the_zeros_that_a_coordinate_begins_with() -> None:
    keys = (ec.derive_private_key(each, ec.SECP521R1()) for each in range(1, 10_000))
    numbers = (each.public_key().public_numbers() for each in keys)
    short = next(each for each in numbers if each.x < 1 << 512)
    x, y = (
        urlsafe_b64encode(each.to_bytes(66, "big")).decode().rstrip("=")
        for each in (short.x, short.y)
    )
    members = {"crv": "P-521", "kty": "EC", "x": x, "y": y}

    text = json.dumps(members, separators=(",", ":"))
    digest = urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert thumbprint(read_key(members)) == digest.rstrip("=")


def test_s_6_an_rsa_key_of_1024_bits_is_refused() -> None:
    modulus = (1 << 1023) + 1
    size = modulus.bit_length() // 8
    n = base64.urlsafe_b64encode(modulus.to_bytes(size, "big")).decode().rstrip("=")

    with pytest.raises(InvalidKey) as refused:
        read_key({"kty": "RSA", "n": n, "e": "AQAB"})

    assert str(refused.value) == "an RSA key has at least 2048 bits"
    assert refused.value.member == "n"


@pytest.mark.parametrize("name", ["ES384", "RS384", "EdDSA"])
def test_a_private_key_is_refused_without_repeating_it(name: str) -> None:
    algorithm = {"ES384": ECAlgorithm, "RS384": RSAAlgorithm, "EdDSA": OKPAlgorithm}
    jwk = algorithm[name].to_jwk(KEYS[name], as_dict=True)  # type: ignore[attr-defined]

    with pytest.raises(InvalidKey) as refused:
        read_key(jwk)

    assert refused.value.member == "d"
    assert jwk["d"] not in str(refused.value)


NO_KIND = "neither RSA nor EC (P-256, P-384, P-521) nor Ed25519"


@pytest.mark.parametrize(
    ("changes", "member", "message"),
    [
        ({"kty": "oct"}, "kty", NO_KIND),
        ({"kty": "OKP"}, "kty", NO_KIND),
        ({"kty": None}, "kty", NO_KIND),
        ({"crv": "secp256k1"}, "kty", NO_KIND),
        ({"crv": ["P-384"]}, "kty", NO_KIND),
        ({"k": "c2VjcmV0"}, "k", "this is a secret; only public keys stand here"),
        ({"use": "enc"}, "use", "the key is not for signatures"),
        ({"key_ops": ["sign"]}, "key_ops", "the key is not for verifying"),
        ({"key_ops": 7}, "key_ops", "the key is not for verifying"),
        ({"alg": "ES256"}, "alg", "the algorithm does not fit the key"),
        ({"alg": "HS256"}, "alg", "the algorithm is not accepted here"),
        ({"alg": "ECDH-ES"}, "alg", "the algorithm is not accepted here"),
        ({"alg": 7}, "alg", "the algorithm is not accepted here"),
        ({"x": 7}, "", "the key cannot be read"),
        ({"x": "AA"}, "", "the key cannot be read"),
        ({"y": "A" * 64}, "", "the key cannot be read"),
        ({"x": "!"}, "", "the key cannot be read"),
    ],
)
def test_a_key_that_is_not_for_this_is_refused(
    changes: dict[str, Any], member: str, message: str
) -> None:
    with pytest.raises(InvalidKey) as refused:
        read_key({**public_jwk(KEYS["ES384"]), **changes})

    assert (refused.value.member, str(refused.value)) == (member, message)


def test_a_key_is_used_with_the_algorithm_it_names_and_no_other() -> None:
    key = read_key(public_jwk(KEYS["RS384"], alg="PS256"))

    assert key.algorithms == ("PS256",)
