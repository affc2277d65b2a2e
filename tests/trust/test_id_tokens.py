"""ID tokens: only that which the issuer has signed, for us and for this sign-in."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cds_service.http.addresses import ListedServer
from cds_service.trust import Keyring, KeyServer, public_jwk
from cds_service.trust.documents import KeyServerUnread, PublishedKeys
from cds_service.trust.id_tokens import (
    ExpectedId,
    InvalidIdToken,
    lasting_claims,
    read_issuer_keys,
    verify_id_token,
    verify_later_id_token,
)

NOW = datetime(2026, 11, 29, 15, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
ISSUER, US, NONCE = "https://ehr.example", "app-1", "nonce of this sign-in"
SERVER = KeyServer(ListedServer(f"{ISSUER}/jwks"))
EXPECTED = ExpectedId(ISSUER, US, NONCE, SERVER)
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": US,
    "sub": "u-7",
    "iat": AT,
    "exp": AT + 300,
    "nonce": NONCE,
    "fhirUser": "Practitioner/7",
}
KEYS: dict[str, Any] = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
}
FOREIGN = rsa.generate_private_key(65537, 2048)
USUAL = {"rsa": "RS256", "p256": "ES256", "p384": "ES384"}


def jwk(name: str, **more: Any) -> dict[str, Any]:
    told = dict(public_jwk(USUAL[name], KEYS[name].public_key()))
    return {**told, "kid": name, "use": "sig", **more}


def without_kid(name: str) -> dict[str, Any]:
    return {member: value for member, value in jwk(name).items() if member != "kid"}


def ring(*jwks: Mapping[str, Any]) -> Keyring:
    """The keyring before an issuer that publishes these keys."""

    def fetch(server: KeyServer) -> PublishedKeys:
        assert server == SERVER
        return read_issuer_keys({"keys": list(jwks)}, server, 900)

    return Keyring(fetch)


ALL = (jwk("rsa"), jwk("p256"), jwk("p384"))


def signed(
    key: Any = None, algorithm: str = "RS256", kid: str | None = "rsa", **changes: Any
) -> str:
    claims = {name: each for name, each in {**CLAIMS, **changes}.items() if each != ""}
    headers = {"kid": kid} if kid else {}
    return jwt.encode(claims, key or KEYS["rsa"], algorithm, headers=headers)


def verified(text: str, *jwks: Mapping[str, Any]) -> Mapping[str, Any]:
    return verify_id_token(text, EXPECTED, ring(*(jwks or ALL)), NOW)


def refusal(text: str, *jwks: Mapping[str, Any]) -> str:
    with pytest.raises(InvalidIdToken) as refused:
        verified(text, *jwks)
    return str(refused.value)


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("rsa", "RS256"), ("rsa", "RS384"), ("p256", "ES256"), ("p384", "ES384")],
)
def test_what_the_issuer_has_signed_is_believed(name: str, algorithm: str) -> None:
    assert verified(signed(KEYS[name], algorithm, name)) == CLAIMS


def test_a_token_that_another_has_signed_is_not_believed() -> None:
    assert refusal(signed(FOREIGN)) == "the signature is wrong"


def test_claims_that_were_changed_are_not_believed() -> None:
    head, _, signature = signed().split(".")
    changed = part({**CLAIMS, "fhirUser": "Practitioner/1"})

    assert refusal(f"{head}.{changed}.{signature}") == "the signature is wrong"


def test_a_token_without_a_signature_is_not_believed() -> None:
    for name in ("none", "None", "NONE"):
        unsigned = f"{part({'alg': name, 'kid': 'rsa'})}.{part(CLAIMS)}."

        assert refusal(unsigned) == "the algorithm is not allowed"


@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, "modulus"])
def test_a_public_key_is_never_taken_for_a_secret(form: Any) -> None:
    public = KEYS["rsa"].public_key()
    secret = jwk("rsa")["n"].encode()
    if form != "modulus":
        secret = public.public_bytes(Encoding.PEM, form)
    text = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{part(CLAIMS)}"
    digest = hmac.new(secret, text.encode(), hashlib.sha256).digest()

    assert refusal(f"{text}.{part(digest)}") == "the algorithm is not allowed"


@pytest.mark.parametrize("algorithm", ["PS256", "RS512"])
def test_other_algorithms_are_not_allowed(algorithm: str) -> None:
    assert refusal(signed(algorithm=algorithm)) == "the algorithm is not allowed"


def test_the_kind_of_the_key_says_which_algorithms_it_may_have() -> None:
    text = signed(KEYS["p256"], "ES256", "rsa")

    assert refusal(text) == "the algorithm does not fit the key"


def test_a_key_that_is_for_one_algorithm_signs_by_no_other() -> None:
    text = signed(algorithm="RS384")

    assert refusal(text, jwk("rsa", alg="RS256")) == (
        "the algorithm does not fit the key"
    )


def test_a_key_that_is_not_the_issuers_is_not_known() -> None:
    assert refusal(signed(kid="other")) == "unknown kid"


def test_nothing_in_a_token_says_where_to_find_its_key() -> None:
    headers = {
        "kid": "evil",
        "jku": "https://evil.example/jwks",
        "jwk": jwk("rsa"),
        "x5u": "https://evil.example/x5u",
    }
    text = jwt.encode(CLAIMS, FOREIGN, "RS256", headers=headers)

    assert refusal(text) == "unknown kid"


# Without the name of a key


def test_without_a_kid_it_is_the_one_key_that_fits() -> None:
    assert verified(signed(kid=None)) == CLAIMS
    assert verified(signed(kid=None), without_kid("rsa")) == CLAIMS


def test_without_a_kid_nothing_is_guessed_among_several() -> None:
    other = {**jwk("rsa"), **public_jwk("RS256", FOREIGN.public_key()), "kid": "other"}

    assert refusal(signed(kid=None), jwk("rsa"), other) == (
        "no kid, and several keys fit"
    )


def test_keys_without_a_kid_stand_beside_each_other() -> None:
    published = without_kid("rsa"), without_kid("p256")

    assert verified(signed(kid=None), *published) == CLAIMS
    assert verified(signed(KEYS["p256"], "ES256", None), *published) == CLAIMS


def test_a_key_without_a_kid_that_stands_twice_is_one_key() -> None:
    once = without_kid("rsa")
    again = dict(reversed(once.items()))

    assert list(again) != list(once)
    assert verified(signed(kid=None), once, again) == CLAIMS


def test_without_a_kid_there_may_be_no_key_that_fits() -> None:
    assert refusal(signed(kid=None), jwk("p256")) == "no kid, and no key fits"


def test_a_kid_is_looked_for_where_keys_have_none() -> None:
    assert refusal(signed(), without_kid("rsa")) == "unknown kid"


# For whom, from when to when


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": "https://evil.example"}, "iss is another"),
        ({"iss": f"{ISSUER}/"}, "iss is another"),
        ({"iss": ""}, "iss is another"),
        ({"aud": "app-2"}, "aud is another"),
        ({"aud": ["app-2"]}, "aud is another"),
        ({"aud": ""}, "aud is another"),
        ({"azp": "app-2"}, "azp is another"),
        ({"aud": [US, "app-2"]}, "azp is another"),
        ({"aud": [US, "app-2"], "azp": "app-2"}, "azp is another"),
        ({"exp": AT - 60}, "it has expired"),
        ({"exp": ""}, "exp is no number"),
        ({"exp": True}, "exp is no number"),
        ({"exp": 10**400}, "exp is out of range"),
        ({"iat": AT + 61}, "it was issued in the future"),
        ({"iat": ""}, "iat is no number"),
        ({"iat": -(10**400)}, "iat is out of range"),
        ({"nonce": "another"}, "nonce is not that of this sign-in"),
        ({"nonce": ""}, "nonce is not that of this sign-in"),
        ({"sub": ""}, "no sub"),
        ({"sub": None}, "no sub"),
        ({"sub": 7}, "no sub"),
    ],
)
def test_what_is_not_for_this_sign_in_is_not_believed(
    changes: dict[str, Any], why: str
) -> None:
    claims = {name: each for name, each in {**CLAIMS, **changes}.items() if each != ""}
    text = jwt.PyJWS().encode(
        json.dumps(claims).encode(), KEYS["rsa"], "RS256", headers={"kid": "rsa"}
    )

    assert refusal(text) == why


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [US]},
        {"azp": US},
        {"aud": [US, "app-2"], "azp": US},
        {"exp": AT - 59},
        {"iat": AT + 60},
    ],
)
def test_what_is_for_this_sign_in_in_other_words_is_believed(
    changes: dict[str, Any],
) -> None:
    assert verified(signed(**changes))["sub"] == "u-7"


def test_a_user_without_a_name_is_nobody() -> None:
    claims = json.dumps({**CLAIMS, "sub": ""}).encode()
    text = jwt.PyJWS().encode(claims, KEYS["rsa"], "RS256", headers={"kid": "rsa"})

    assert refusal(text) == "no sub"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the token cannot be read"),
        ("a.b", "the token cannot be read"),
        ("a.b.c.d.e", "the token cannot be read"),
        ("x" * 20_000, "the token is too long"),
    ],
)
def test_what_is_no_token_is_not_believed(text: str, why: str) -> None:
    assert refusal(text) == why


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"typ": "at+jwt"}, "typ is not JWT"),
        ({"crit": ["b64"], "b64": False}, "the header asks for an extension"),
        ({"crit": ["exp"]}, "the header asks for an extension"),
        ({"b64": False}, "the header asks for an extension"),
    ],
)
def test_a_token_for_something_else_is_not_believed(
    header: dict[str, Any], why: str
) -> None:
    head = part({"alg": "RS256", "kid": "rsa", **header})

    assert refusal(f"{head}.{part(CLAIMS)}.{part(b'x')}") == why


@pytest.mark.parametrize("value", [None, [], {}, {"keys": None}, {"keys": "rsa"}])
def test_what_is_no_set_of_keys_is_not_taken_for_one(value: Any) -> None:
    with pytest.raises(KeyServerUnread, match="is no JWK Set"):
        read_issuer_keys(value, SERVER, 900)


def test_keys_of_an_issuer_are_used_for_as_long_as_it_says() -> None:
    assert read_issuer_keys({"keys": [jwk("rsa")]}, SERVER, 60).age == 60


def test_an_issuer_whose_keys_cannot_be_had_is_not_believed() -> None:
    def fetch(server: KeyServer) -> PublishedKeys:
        return read_issuer_keys({"keys": [{"kty": "oct", "k": "AA"}]}, server, 900)

    with pytest.raises(InvalidIdToken, match="publishes no key to verify tokens with"):
        verify_id_token(signed(), EXPECTED, Keyring(fetch), NOW)


# How lately the user has proved who they are


def verified_within(max_age: int, **changes: Any) -> Mapping[str, Any]:
    expected = replace(EXPECTED, max_age=max_age)
    return verify_id_token(signed(**changes), expected, ring(*ALL), NOW)


@pytest.mark.parametrize("seconds", [-60, 0, 900, 960])
def test_who_has_proved_lately_who_they_are_is_believed(seconds: int) -> None:
    assert verified_within(900, auth_time=AT - seconds)["sub"] == "u-7"


@pytest.mark.parametrize("seconds", [-61, 961])
def test_who_proved_long_ago_or_in_the_future_who_they_are_is_not_believed(
    seconds: int,
) -> None:
    with pytest.raises(InvalidIdToken, match="^the user has not proved lately who"):
        verified_within(900, auth_time=AT - seconds)


def test_a_proof_just_now_may_be_asked_for() -> None:
    assert verified_within(0, auth_time=AT - 60)["sub"] == "u-7"
    with pytest.raises(InvalidIdToken, match="^the user has not proved lately who"):
        verified_within(0, auth_time=AT - 61)


@pytest.mark.parametrize("told", ["", True, "1796000000"])
def test_where_a_proof_is_asked_for_its_time_has_to_be_told(told: Any) -> None:
    with pytest.raises(InvalidIdToken, match="^auth_time is no number$"):
        verified_within(900, auth_time=told)


# One that comes with a token that was renewed

FIRST = lasting_claims({**CLAIMS, "auth_time": AT - 20})


def later_refusal(first: Mapping[str, Any] = FIRST, **changes: Any) -> str:
    with pytest.raises(InvalidIdToken) as refused:
        check_later(first, **changes)
    return str(refused.value)


def check_later(first: Mapping[str, Any] = FIRST, **changes: Any) -> None:
    verify_later_id_token(signed(**changes), EXPECTED, first, ring(*ALL), NOW)


def test_of_a_sign_in_is_kept_what_later_tokens_are_held_to() -> None:
    assert FIRST == {
        "iss": ISSUER,
        "sub": "u-7",
        "nonce": NONCE,
        "iat": AT,
        "auth_time": AT - 20,
    }
    assert lasting_claims({"sub": "u-7", "email": "a@b.example"}) == {"sub": "u-7"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"nonce": ""},
        {"iat": AT + 30},
        {"auth_time": AT - 20},
        {"fhirUser": "Practitioner/7/_history/2"},
    ],
)
def test_a_later_token_that_says_what_the_first_said_is_believed(
    changes: dict[str, Any],
) -> None:
    check_later(**changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"sub": "u-8"}, "sub is another"),
        ({"nonce": "another"}, "nonce is not that of this sign-in"),
        ({"nonce": None}, "nonce is not that of this sign-in"),
        ({"iat": AT - 1}, "it is older than the sign-in"),
        ({"auth_time": AT - 19}, "auth_time is another"),
        ({"aud": "app-2"}, "aud is another"),
        ({"exp": AT - 61}, "it has expired"),
        ({"key": FOREIGN}, "the signature is wrong"),
    ],
)
def test_a_later_token_that_says_anything_else_is_not_believed(
    changes: dict[str, Any], why: str
) -> None:
    assert later_refusal(**changes) == why


def test_a_later_token_of_another_issuer_than_the_first_is_not_believed() -> None:
    first = {**FIRST, "iss": "https://before.example"}

    assert later_refusal(first) == "iss is another"


@pytest.mark.parametrize("missing", ["iss", "sub", "iat", "auth_time"])
def test_what_the_first_did_not_say_holds_a_later_one_to_nothing(missing: str) -> None:
    first = {name: each for name, each in FIRST.items() if name != missing}

    check_later(first, auth_time=AT - 20)


def test_where_no_id_token_came_first_a_later_one_is_for_us_alone() -> None:
    check_later({}, nonce="")

    assert later_refusal({}, aud="app-2") == "aud is another"
    assert later_refusal({}, nonce="another") == "nonce is not that of this sign-in"
