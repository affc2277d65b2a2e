"""Trust: one token, made for this URL by this client's key, once; and nobody else."""

import base64
import contextlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cds_service.http.addresses import ListedServer
from cds_service.protocol.errors import Unauthenticated
from cds_service.store.store import Store
from cds_service.trust import (
    ALGORITHMS,
    Check,
    Keyring,
    KeyServer,
    RegisteredClient,
    Trust,
    TrustedClient,
    VerificationKey,
    authenticate,
    examine,
    read_key_set,
    read_token,
)
from cds_service.trust.documents import PublishedKeys
from cds_service.trust.keys import DECOYS

from .signing import (
    AT,
    AUDIENCE,
    CLAIMS,
    FOREIGN,
    ISSUER,
    KEYS,
    NO_URLS,
    NOW,
    Known,
    Seen,
    call,
    genuine,
    public_jwk,
    raw_token,
    reason,
    register,
    token,
)


def test_a_token_of_a_known_client_is_trusted() -> None:
    assert call(f"Bearer {token()}") == register().client


def test_the_scheme_is_read_in_any_case() -> None:
    assert call(f"bEARER {token()}").id == "sandbox"


@pytest.mark.parametrize(
    "written",
    ["Bearer  {}", "Bearer\t{}", "BEARER \t {}", "  bEaReR   {}\t ", "bearer {} "],
)
def test_a_bearer_is_one_with_whatever_blanks_between(written: str) -> None:
    assert call(written.format(token())) == register().client


def test_where_trust_is_off_everybody_is_the_same_somebody() -> None:
    anybody = TrustedClient("anonymous", "default", "")

    client = authenticate(None, AUDIENCE, Known((), anybody), NO_URLS, Seen(), NOW)

    assert client is anybody


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_s_6_the_recommended_algorithms_are_accepted(algorithm: str) -> None:
    assert call(f"Bearer {token(algorithm)}").id == "sandbox"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_s_6_other_asymmetric_algorithms_are_accepted_by_profile_only(
    algorithm: str,
) -> None:
    sent = f"Bearer {token(algorithm)}"

    assert call(sent, register(algorithms=ALGORITHMS)).id == "sandbox"
    if algorithm not in ("ES384", "RS384"):
        assert reason(sent) == "the algorithm is not allowed to this client"


@pytest.mark.parametrize(
    "audience", [AUDIENCE, [AUDIENCE], ["https://other.example", AUDIENCE]]
)
def test_s_9_aud_is_a_text_or_a_list(audience: Any) -> None:
    assert call(f"Bearer {token(aud=audience)}").id == "sandbox"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": AT - 59},
        {"iat": AT + 59, "exp": AT + 300},
        {"iat": AT + 60, "exp": AT + 300},
        {"iat": AT - 0.5, "exp": AT + 299.5},
        {"iat": AT - 0.5, "exp": AT},
        {"iat": AT, "exp": AT + 3600},
        {"nbf": AT + 59},
        {"nbf": AT + 60},
        {"jti": "f" * 64},
        {"jti": "é" * 256},
        {"sub": 7, "tenant": "whatever", "unknown": {"a": [1]}},
    ],
)
def test_s_14_s_16_what_is_unusual_and_harmless_is_accepted(
    changes: dict[str, Any],
) -> None:
    changes = {"iat": AT - 100, **changes} if changes.get("exp") == AT - 59 else changes

    assert call(f"Bearer {token(**changes)}").id == "sandbox"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"without": ("iss",)}, "unknown issuer or tenant"),
        ({"iss": "https://evil.example"}, "unknown issuer or tenant"),
        ({"iss": ISSUER + "/"}, "unknown issuer or tenant"),
        ({"iss": [ISSUER]}, "unknown issuer or tenant"),
        ({"without": ("aud",)}, "no aud"),
        ({"aud": AUDIENCE + "/"}, "aud is not the URL that was called"),
        ({"aud": AUDIENCE + "/feedback"}, "aud is not the URL that was called"),
        ({"aud": "https://cds.example"}, "aud is not the URL that was called"),
        ({"aud": "http" + AUDIENCE[5:]}, "aud is not the URL that was called"),
        ({"aud": []}, "aud is not the URL that was called"),
        ({"aud": [AUDIENCE, 7]}, "no aud"),
        ({"aud": {AUDIENCE: 1}}, "no aud"),
        ({"without": ("exp",)}, "exp is no number"),
        ({"exp": str(AT + 300)}, "exp is no number"),
        ({"exp": True}, "exp is no number"),
        ({"exp": None}, "exp is no number"),
        ({"exp": float("nan")}, "exp is out of range"),
        ({"exp": float("inf")}, "exp is out of range"),
        ({"exp": 10**400}, "exp is out of range"),
        ({"iat": AT - 300, "exp": AT - 60}, "the token has expired"),
        ({"without": ("iat",)}, "iat is no number"),
        ({"iat": str(AT)}, "iat is no number"),
        ({"iat": AT + 61}, "the token was issued in the future"),
        ({"nbf": AT + 61}, "the token is not valid yet"),
        ({"nbf": "soon"}, "nbf is no number"),
        ({"exp": AT + 3601}, "the token lives too long"),
        ({"exp": AT + 10 * 365 * 86_400}, "the token lives too long"),
        ({"iat": AT - 10, "exp": AT - 20}, "the token lives too long"),
        ({"iat": AT - 10, "exp": AT - 10}, "the token lives too long"),
        ({"without": ("jti",)}, "jti is no text of up to 256 characters"),
        ({"jti": ""}, "jti is no text of up to 256 characters"),
        ({"jti": 7}, "jti is no text of up to 256 characters"),
        ({"jti": "x" * 257}, "jti is no text of up to 256 characters"),
    ],
)
def test_s_8_s_9_s_13_s_14_s_16_a_wrong_claim_is_refused(
    changes: dict[str, Any], expected: str
) -> None:
    assert reason(f"Bearer {token(**changes)}") == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"typ": "at+jwt"}, "typ is not JWT"),
        ({"typ": None}, "typ is not JWT"),
        ({"kid": ""}, "no kid"),
        ({"kid": "nobody"}, "unknown kid"),
        ({"kid": "../../etc/passwd"}, "unknown kid"),
        ({"kid": "RS384"}, "the algorithm does not fit the key"),
        ({"kid": "ES256"}, "the algorithm does not fit the key"),
        ({"crit": ["exp"]}, "the header asks for an extension"),
    ],
)
def test_s_7_s_12_s_21_a_wrong_header_is_refused(
    headers: dict[str, Any], expected: str
) -> None:
    assert reason(f"Bearer {token(headers=headers)}") == expected


def test_s_7_a_token_without_kid_is_refused() -> None:
    header = {"alg": "ES384", "typ": "JWT"}
    assert reason(f"Bearer {raw_token(header, CLAIMS, genuine)}") == "no kid"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None, "ES256K"])
def test_s_4_a_token_that_nobody_signed_is_refused(alg: str | None) -> None:
    header = {"alg": alg, "typ": "JWT", "kid": "ES384"}

    sent = raw_token(header, CLAIMS, lambda message: b"")

    assert reason(f"Bearer {sent}") == "the algorithm is never allowed"


@pytest.mark.parametrize(
    ("alg", "hash"), [("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")]
)
def test_s_5_a_token_keyed_with_the_public_key_is_refused(alg: str, hash: str) -> None:
    public = KEYS["RS384"].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": alg, "typ": "JWT", "kid": "RS384"}

    sent = raw_token(header, CLAIMS, lambda message: hmac.digest(pem, message, hash))

    assert reason(f"Bearer {sent}") == "the algorithm is never allowed"


def test_a_signature_by_another_key_is_refused() -> None:
    assert reason(f"Bearer {token(key=FOREIGN)}") == "the signature is wrong"


def test_a_changed_claim_is_refused() -> None:
    head, _, signature = token().split(".")
    body = base64.urlsafe_b64encode(json.dumps({**CLAIMS, "jti": "two"}).encode())

    sent = f"{head}.{body.decode().rstrip('=')}.{signature}"

    assert reason(f"Bearer {sent}") == "the signature is wrong"


@pytest.mark.parametrize(
    "signature", [b"", b"\x00" * 96, b"x", b"\x30\x06\x02\x01\x01\x02\x01\x01"]
)
def test_a_signature_that_is_none_is_refused(signature: bytes) -> None:
    header = {"alg": "ES384", "typ": "JWT", "kid": "ES384"}

    sent = raw_token(header, CLAIMS, lambda message: signature)

    assert reason(f"Bearer {sent}") == "the signature is wrong"


def test_s_21_keys_that_a_token_brings_along_are_ignored() -> None:
    jwk = public_jwk(FOREIGN, "ES384")
    headers = {
        "jwk": jwk,
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/chain",
        "x5c": ["MIIB"],
    }

    assert reason(f"Bearer {token(key=FOREIGN, headers=headers)}") == (
        "the signature is wrong"
    )
    assert call(f"Bearer {token(headers=headers)}").id == "sandbox"


def test_s_10_the_key_of_one_client_does_not_open_another() -> None:
    other = register("other", "https://other.example", keys={"ES384": FOREIGN})

    forged = token(key=FOREIGN)

    assert reason(f"Bearer {forged}", register(), other) == "the signature is wrong"


def test_s_17_a_tenant_claim_chooses_among_clients_of_one_issuer() -> None:
    north = register("north", tenants=("n", "m"))
    south = register("south", tenants=("s",), keys={"ES384": FOREIGN})

    assert call(f"Bearer {token(tenant='n')}", north, south).id == "north"
    south_token = token(tenant="s", key=FOREIGN)
    assert call(f"Bearer {south_token}", north, south).id == "south"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "unknown issuer or tenant"),
        ({"tenant": "x"}, "unknown issuer or tenant"),
        ({"tenant": ["n"]}, "unknown issuer or tenant"),
        ({"tenant": "s"}, "the signature is wrong"),
    ],
)
def test_s_17_another_tenant_is_refused(changes: dict[str, Any], expected: str) -> None:
    north = register("north", tenants=("n",))
    south = register("south", tenants=("s",), keys={"ES384": FOREIGN})

    assert reason(f"Bearer {token(**changes)}", north, south) == expected


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        (
            {"iss": "https://evil.example"},
            "iss and tenant must be those of a client of CDS_CLIENTS_FILE",
        ),
        (
            {"headers": {"kid": "nobody"}},
            "kid must be that of one of the client's keys",
        ),
        (
            {"aud": "https://cds.example"},
            "aud must be https://cds.example/cds-services/wearable-review",
        ),
        ({"jti": ""}, ""),
        ({"key": FOREIGN}, ""),
        ({"exp": AT - 100}, ""),
        ({"headers": {"kid": ""}}, ""),
    ],
)
def test_a_developer_is_told_what_a_claim_that_names_something_must_be(
    changes: dict[str, Any], hint: str
) -> None:
    """It stands in the audit trail beside the reason, and in no answer."""
    with pytest.raises(Unauthenticated) as refused:
        call(f"Bearer {token(**changes)}")

    assert refused.value.hint == hint


def checks(sent: str) -> list[Check]:
    trust = Trust(Known((register(),)), NO_URLS)
    return [*examine(read_token(f"Bearer {sent}"), AUDIENCE, trust, NOW)]


def test_every_check_of_a_good_token_is_named_in_its_order() -> None:
    assert checks(token()) == [
        Check("header"),
        Check("issuer"),
        Check("key"),
        Check("algorithm"),
        Check("signature"),
        Check("audience"),
        Check("times"),
        Check("jti"),
    ]


def test_all_that_is_wrong_with_a_token_is_found_not_only_what_comes_first() -> None:
    sent = token(iss="https://evil.example", aud="x", exp=AT + 3601, jti="")

    assert checks(sent) == [
        Check("header"),
        Check("issuer", "unknown issuer or tenant"),
        Check("key", "no client, no key"),
        Check("algorithm"),
        Check("signature", "the signature is wrong"),
        Check("audience", "aud is not the URL that was called"),
        Check("times", "the token lives too long"),
        Check("jti", "jti is no text of up to 256 characters"),
    ]


def test_of_a_header_that_nobody_may_send_nothing_else_is_looked_at() -> None:
    assert checks(token(headers={"kid": ""})) == [Check("header", "no kid")]


JWKS = KeyServer(ListedServer("https://ehr.example/jwks"))
OTHER_JWKS = KeyServer(ListedServer("https://ehr.example/other"))


def publish(server: KeyServer) -> PublishedKeys:
    assert server in (JWKS, OTHER_JWKS)
    kid = "ES384" if server == JWKS else "RS384"
    return PublishedKeys(read_key_set([public_jwk(KEYS[kid], kid)]))


def call_publisher(sent: str) -> TrustedClient:
    """Call as a client whose keys are at two URLs, and none in the clients file."""
    publisher = RegisteredClient(
        register().client, key_servers=(JWKS, OTHER_JWKS), keys=register().keys
    )
    known, keyring = Known((publisher,)), Keyring(publish)
    return authenticate(sent, AUDIENCE, known, keyring, Seen(), NOW)


@pytest.mark.parametrize(
    ("algorithm", "headers"),
    [
        ("ES384", {}),
        ("RS384", {}),
        ("ES384", {"jku": "https://ehr.example/jwks"}),
        ("RS384", {"jku": "https://ehr.example/other"}),
    ],
)
def test_s_12_a_key_that_the_client_publishes_verifies_its_token(
    algorithm: str, headers: dict[str, Any]
) -> None:
    assert call_publisher(f"Bearer {token(algorithm, headers=headers)}").id == "sandbox"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"kid": "EdDSA"}, "unknown kid"),
        ({"jku": "https://ehr.example/other"}, "unknown kid"),
        ({"jku": "https://evil.example/jwks"}, "jku is not the client's"),
    ],
)
def test_s_10_s_12_where_keys_are_published_no_other_is_looked_for(
    headers: dict[str, Any], expected: str
) -> None:
    with pytest.raises(Unauthenticated) as refused:
        call_publisher(f"Bearer {token(headers=headers)}")

    assert refused.value.reason == expected


@pytest.mark.parametrize(
    "extension",
    [{"b64": False}, {"b64": True}, {"b64": True, "crit": ["b64"]}, {"crit": []}],
)
def test_s_21_a_token_that_asks_for_an_extension_is_refused(
    extension: dict[str, Any],
) -> None:
    header = {"alg": "ES384", "typ": "JWT", "kid": "ES384", **extension}

    assert reason(f"Bearer {raw_token(header, CLAIMS, genuine)}") in (
        "the token cannot be read",
        "the header asks for an extension",
    )


def test_s_15_a_token_whose_name_no_database_may_keep_is_refused() -> None:
    """PostgreSQL keeps no NUL: it would be 503 there, and good on SQLite."""
    named = token(jti="x\0")

    assert reason(f"Bearer {named}") == "jti holds a NUL"


@pytest.mark.parametrize("jti", ["x\ud83d", "\ude00", "x\ufffd"])
def test_s_15_a_token_named_by_half_a_character_is_refused(jti: str) -> None:
    assert reason(f"Bearer {token(jti=jti)}") == "jti holds half a character"


def test_s_15_a_token_is_accepted_once() -> None:
    seen, sent = Seen(), f"Bearer {token()}"
    call(sent, seen=seen)

    with pytest.raises(Unauthenticated) as refused:
        call(sent, seen=seen)

    assert refused.value.reason == "the token was used before"


def test_s_15_the_same_jti_in_another_token_is_refused() -> None:
    seen = Seen()
    call(f"Bearer {token()}", seen=seen)

    with pytest.raises(Unauthenticated):
        call(f"Bearer {token('RS384', exp=AT + 200)}", seen=seen)


def test_s_15_a_token_is_remembered_for_as_long_as_it_could_be_used() -> None:
    seen = Seen()

    call(f"Bearer {token()}", seen=seen)

    assert seen.tokens == {(ISSUER, "one"): datetime.fromtimestamp(AT + 360, UTC)}


def test_a_token_that_is_refused_is_not_spent() -> None:
    seen = Seen()
    for changes in ({"aud": "x"}, {"exp": AT - 100}, {"key": FOREIGN}):
        with pytest.raises(Unauthenticated):
            call(f"Bearer {token(**changes)}", seen=seen)

    assert seen.tokens == {}


def test_a_profile_may_allow_replay() -> None:
    seen, sent = Seen(), f"Bearer {token()}"

    for _ in range(2):
        call(sent, register(allow_replay=True), seen=seen)

    assert seen.tokens == {}


def test_a_profile_may_allow_tokens_that_live_a_day() -> None:
    sent = f"Bearer {token(exp=AT + 86_400)}"

    assert call(sent, register(lifetime=86_400)).id == "sandbox"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'cds.sqlite'}")
    opened.migrate()
    yield opened
    opened.close()


def test_s_15_of_fifty_calls_at_once_with_one_token_exactly_one_is_trusted(
    store: Store,
) -> None:
    known, sent, gate = Known((register(),)), f"Bearer {token()}", threading.Barrier(50)
    answers: list[str] = []

    def spend(issuer: str, jti: str, until: datetime) -> bool:
        return store.spend_token(issuer, jti, until, NOW)

    def attempt() -> None:
        gate.wait()
        try:
            answers.append(authenticate(sent, AUDIENCE, known, NO_URLS, spend, NOW).id)
        except Unauthenticated as error:
            answers.append(error.reason)

    threads = [threading.Thread(target=attempt) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == ["sandbox"] + ["the token was used before"] * 49


def test_what_a_client_looks_like_shows_no_key() -> None:
    shown = repr(register())

    assert "VerificationKey" not in shown and "cryptography" not in shown


class CountingKey:
    """A public key that counts how often a signature is verified with it."""

    def __init__(self, key: Any) -> None:
        self.key = key
        self.verified = 0

    @property
    def __class__(self) -> Any:
        return type(self.key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.key, name)

    def verify(self, *of: Any) -> None:
        self.verified += 1
        self.key.verify(*of)


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
@pytest.mark.parametrize(
    ("changes", "headers", "own", "decoy"),
    [
        ({}, {}, 1, 0),
        ({"aud": "x"}, {}, 1, 0),
        ({"iss": "https://nobody.example"}, {}, 0, 1),
        ({"iss": None}, {}, 0, 1),
        ({}, {"kid": "nobody"}, 0, 1),
    ],
)
def test_s_26_an_unknown_issuer_costs_one_verification_as_a_known_one_does(
    algorithm: str,
    changes: dict[str, Any],
    headers: dict[str, Any],
    own: int,
    decoy: int,
) -> None:
    key = CountingKey(KEYS[algorithm].public_key())
    spare = CountingKey(DECOYS[algorithm])
    decoys = {algorithm: spare}
    verification = VerificationKey((algorithm,), key)
    client = register().client
    known = Known((RegisteredClient(client, {algorithm: verification}),))
    sent = token(algorithm, headers={"kid": algorithm, **headers}, **changes)

    with contextlib.suppress(Unauthenticated):
        authenticate(f"Bearer {sent}", AUDIENCE, known, NO_URLS, Seen(), NOW, decoys)

    assert (key.verified, spare.verified) == (own, decoy)
