"""What is no token of ours: by its form, before anybody asks whose it is."""

import base64
import json
from typing import Any

import pytest

from .signing import CLAIMS, call, genuine, raw_token, reason, token


@pytest.mark.parametrize(
    "sent",
    [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Token abc", "bearerabc"]
    + ["Bearer \t ", "Bearer\xa0abc", "Bearer\nabc", ": Bearer abc"],
)
def test_s_3_no_bearer_token_is_refused(sent: str | None) -> None:
    assert reason(sent) == "no bearer token"


@pytest.mark.parametrize(
    "sent",
    [
        "abc",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "..",
        "é.é.é",
        token() + " more",
        token() + "=",
        "eyJhbGciOiJub25lIn0." + "W" * 12_000 + ".",
        base64.urlsafe_b64encode(b"[" * 9_000).decode() + ".e30.e30",
        base64.urlsafe_b64encode(b'{"alg":' + b"[" * 5_000).decode() + ".e30.e30",
    ],
)
def test_what_is_no_token_is_refused(sent: str) -> None:
    assert reason(f"Bearer {sent}") == "the token cannot be read"


def signed_parts(*parts: bytes) -> str:
    """A token of a header and claims in bytes of any kind."""
    told = b".".join(base64.urlsafe_b64encode(each).rstrip(b"=") for each in parts)
    signature = base64.urlsafe_b64encode(genuine(told)).rstrip(b"=")
    return f"{told.decode()}.{signature.decode()}"


HEADER = json.dumps({"alg": "ES384", "typ": "JWT", "kid": "ES384"})
BODY = json.dumps(CLAIMS)


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        (HEADER.encode(), BODY.encode("utf-16")),
        (HEADER.encode(), BODY.encode("utf-16-le")),
        (HEADER.encode("utf-16"), BODY.encode()),
        (HEADER.encode("utf-32-be"), BODY.encode()),
        (HEADER.encode(), BODY.encode("utf-8-sig")),
        (HEADER.encode("utf-8-sig"), BODY.encode()),
        (HEADER.encode(), BODY.encode().replace(b"one", b"\xed\xa0\xbd")),
        (HEADER.encode(), BODY.encode().replace(b"one", b"on\xe9")),
        (HEADER.encode().replace(b"{", b'{"alg": "none", '), BODY.encode()),
        (HEADER.encode(), BODY.encode().replace(b"{", b'{"aud": "x", ')),
        (HEADER.encode(), BODY.encode().replace(b"{", b'{"x": {"y": 1, "y": 2}, ')),
        (HEADER.encode(), BODY.encode() + b"{}"),
    ],
    ids=[
        "claims in UTF-16", "claims in UTF-16 without a mark", "a header in UTF-16",
        "a header in UTF-32", "a mark before the claims", "a mark before the header",
        "half a character", "Latin-1", "two algorithms", "two audiences",
        "two of a member further in", "more behind the claims",
    ],
)  # fmt: skip
def test_a_token_that_another_reader_might_read_differently_is_refused(
    header: bytes, claims: bytes
) -> None:
    """Source: RFC 7519 sections 4 and 7.2; RFC 8725 section 3.7."""
    assert call(f"Bearer {signed_parts(HEADER.encode(), BODY.encode())}")

    assert reason(f"Bearer {signed_parts(header, claims)}") == (
        "the token cannot be read"
    )


def test_a_signature_has_one_way_to_be_written() -> None:
    sent = token("RS384")
    last = sent[-1]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same = letters[letters.index(last) ^ 1]

    assert call(f"Bearer {sent}").id == "sandbox"
    assert reason(f"Bearer {sent[:-1]}{same}") == "the token cannot be read"
    assert reason(f"Bearer {sent}AAA") == "the token cannot be read"


@pytest.mark.parametrize("claims", [[], "text", 7, None, [CLAIMS]])
def test_claims_that_are_no_object_are_refused(claims: Any) -> None:
    header = {"alg": "ES384", "typ": "JWT", "kid": "ES384"}

    sent = raw_token(header, claims, genuine)

    assert reason(f"Bearer {sent}") == "the claims are no object"


@pytest.mark.parametrize("header", [[], "text", 7, None, [{"alg": "ES384"}]])
def test_a_header_that_is_no_object_is_refused(header: Any) -> None:
    sent = signed_parts(json.dumps(header).encode(), BODY.encode())

    assert reason(f"Bearer {sent}") == "the header is no object"


@pytest.mark.parametrize("jku", [7, None, ["https://ehr.example/jwks"]])
def test_s_10_a_jku_that_is_no_text_is_refused(jku: Any) -> None:
    assert reason(f"Bearer {token(headers={'jku': jku})}") == "jku is no text"


def test_claims_that_are_nested_without_end_are_refused() -> None:
    head, _, signature = token().split(".")
    deep = base64.urlsafe_b64encode(b"[" * 9_000).decode()

    assert reason(f"Bearer {head}.{deep}.{signature}") == "the token cannot be read"


def test_an_endless_token_is_not_looked_at() -> None:
    assert reason("Bearer " + "a" * 20_000) == "the token is too long"
    assert reason("Bearer " + "a" * 16_385) == "the token is too long"
    assert reason("Bearer " + "a" * 16_384) == "the token cannot be read"
