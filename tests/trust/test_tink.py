"""Signatures and keysets as Google's Tink has them."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from cds_service.http.addresses import ListedServer
from cds_service.trust import KeyServer, VerificationKey
from cds_service.trust.documents import KeyServerUnread
from cds_service.trust.tink import (
    TinkSignature,
    is_signed,
    parse_signature,
    read_tink_document,
)

SERVER = KeyServer(ListedServer("https://keys.example/keyset.json"))
PRIVATE = ec.derive_private_key(7, ec.SECP256R1())
OTHER = ec.derive_private_key(8, ec.SECP256R1())
RAW = b'[{"data": {}}]'


def field(number: int, value: int | bytes) -> bytes:
    """A field of a message, shorter than 128."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value


def entry(number: int = 1721493826, **more: Any) -> dict[str, Any]:
    point = PRIVATE.public_key().public_numbers()
    usual = field(1, 3) + field(2, 2) + field(3, 2)
    parameters = more.pop("parameters", usual)
    # Tink writes a leading zero, as numbers with a sign have it.
    x, y = (b"\0" + each.to_bytes(32, "big") for each in (point.x, point.y))
    key = field(2, parameters) + field(3, x) + field(4, y)
    told = {
        "keyData": {
            "typeUrl": "type.googleapis.com/google.crypto.tink.EcdsaPublicKey",
            "value": base64.b64encode(more.pop("message", key)).decode(),
            "keyMaterialType": "ASYMMETRIC_PUBLIC",
        },
        "status": "ENABLED",
        "keyId": number,
        "outputPrefixType": "TINK",
    }
    return {**told, **more}


def keys(*entries: Any) -> dict[str, VerificationKey]:
    document = {"primaryKeyId": 1721493826, "key": list(entries)}
    return dict(read_tink_document(document, SERVER, 900.0).keys.keys)


def signature(number: int = 1721493826, raw: bytes = RAW, by: Any = PRIVATE) -> str:
    signed = by.sign(raw, ec.ECDSA(SHA256()))
    return base64.b64encode(b"\x01" + number.to_bytes(4, "big") + signed).decode()


def test_a_signature_by_a_published_key_is_good() -> None:
    read = parse_signature(signature())
    assert read is not None
    key = keys(entry())[read.key_id]

    assert is_signed(RAW, read.signature, key)


@pytest.mark.parametrize("raw", [b"", RAW + b" ", RAW.replace(b"data", b"Data")])
def test_of_other_bytes_it_is_not(raw: bytes) -> None:
    read = parse_signature(signature())
    assert read is not None

    assert not is_signed(raw, read.signature, keys(entry())[read.key_id])


def test_of_another_key_it_is_not_though_it_has_its_number() -> None:
    read = parse_signature(signature(by=OTHER))
    assert read is not None

    assert not is_signed(RAW, read.signature, keys(entry())[read.key_id])


NOT_WHOLE = pytest.param(signature()[4:], id="without its beginning")
LONG = pytest.param("A" * 5000, id="long")


@pytest.mark.parametrize(
    "text", ["", "x", "AQ==", "AQAAAAE=", NOT_WHOLE, "!" * 40, LONG, "\u00e9" * 20]
)
def test_what_is_no_signature_is_none(text: str) -> None:
    assert parse_signature(text) is None


def test_a_signature_that_is_no_der_is_not_good() -> None:
    read = parse_signature(base64.b64encode(b"\x01\0\0\0\1" + b"x" * 70).decode())
    assert read is not None

    assert not is_signed(RAW, read.signature, keys(entry())["1721493826"])


def test_base64_may_be_that_of_urls_and_without_its_end() -> None:
    plain = signature()
    told = plain.replace("+", "-").replace("/", "_").rstrip("=")

    assert parse_signature(told) == parse_signature(plain)


def test_what_stands_around_a_signature_counts_for_nothing() -> None:
    raw = b"\x01\0\0\0\1sss\x17"
    ends_with_x = base64.b64encode(raw).decode()
    assert ends_with_x.endswith("X")

    for text in (ends_with_x, f" {ends_with_x}\n", f"{ends_with_x}==="):
        assert parse_signature(text) == TinkSignature("1", b"sss\x17")
    assert parse_signature(f"{ends_with_x[:8]}!{ends_with_x[8:]}") is None


def test_a_signature_is_at_most_two_thousand_characters_long() -> None:
    longest = base64.b64encode(b"\x01\0\0\0\1" + b"s" * 1495).decode()
    assert len(longest) == 2000

    assert parse_signature(longest) == TinkSignature("1", b"s" * 1495)
    assert parse_signature(longest + "\n") is None


USUAL = field(1, 3) + field(2, 2) + field(3, 2)
X, Y = (
    each.to_bytes(32, "big")
    for each in (
        PRIVATE.public_key().public_numbers().x,
        PRIVATE.public_key().public_numbers().y,
    )
)
POINT = field(3, X) + field(4, Y)


def test_numbers_of_several_bytes_are_read() -> None:
    across = b"\x1a\x81\x01" + X.rjust(129, b"\0")
    up = b"\x22\x80\x01" + Y.rjust(128, b"\0")

    (found,) = keys(entry(message=field(2, USUAL) + across + up)).values()
    assert found.key.public_numbers() == PRIVATE.public_key().public_numbers()


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(POINT + b"\x12\x07" + USUAL, id="a field longer than what came"),
        pytest.param(field(2, USUAL) + POINT + b"\x35\1\0", id="another kind of field"),
        pytest.param(field(2, USUAL) + field(3, X) + field(4, 1), id="one is a number"),
        pytest.param(field(2, 7) + POINT, id="parameters that are a number"),
        pytest.param(
            field(2, b"\x08\x83" + b"\x80" * 10 + b"\0" + USUAL[2:]) + POINT,
            id="a number of more than 64 bits",
        ),
    ],
)
def test_a_key_that_is_not_as_protocol_buffers_write_it_is_none(message: bytes) -> None:
    assert keys(entry(message=field(2, USUAL) + POINT))
    assert keys(entry(message=message)) == {}


@pytest.mark.parametrize(
    "other",
    [
        entry(2, keyData={**entry()["keyData"], "value": 7}),
        entry(2, status="DISABLED"),
        entry(2, outputPrefixType="RAW"),
        entry(2, keyData={"typeUrl": "another", "value": ""}),
        entry(2, keyData=None),
        entry(2, message=b""),
        entry(2, message=b"\xff" * 20),
        entry(2, message=field(2, field(1, 4)) + field(3, b"1") + field(4, b"1")),
        entry(
            2,
            message=field(2, field(1, 3) + field(2, 2) + field(3, 2))
            + field(3, b"\1")
            + field(4, b"\1"),
        ),
        entry(2, parameters=field(1, 4) + field(2, 2) + field(3, 2)),
        entry(2, parameters=b""),
        {"keyId": "2"},
        None,
        7,
    ],
)
def test_a_key_that_cannot_be_used_costs_only_itself(other: Any) -> None:
    assert list(keys(other, entry())) == ["1721493826"]


def test_what_cannot_be_used_is_told_by_its_place() -> None:
    listed = [entry(1), None, {"keyId": "2"}, entry(3, status="DISABLED"), entry(4)]

    told = read_tink_document({"key": listed}, SERVER, 600.0)

    assert list(told.keys.keys) == ["1", "4"]
    said = "is no enabled key of ECDSA on P-256"
    assert told.keys.others == (((1,), said), ((2,), said), ((3,), said))
    assert told.age == 600.0


def test_a_key_is_for_es256_and_is_the_one_that_was_published() -> None:
    (found,) = keys(entry()).values()

    assert found.algorithms == ("ES256",)
    assert found.key.public_numbers() == PRIVATE.public_key().public_numbers()


def test_a_keyset_may_have_a_hundred_keys() -> None:
    assert len(keys(*map(entry, range(100)))) == 100


@pytest.mark.parametrize("document", [None, [], {}, {"key": {}}, {"key": [7] * 101}])
def test_what_is_no_keyset_is_refused(document: Any) -> None:
    with pytest.raises(KeyServerUnread, match="^is no keyset of Tink$"):
        read_tink_document(document, SERVER, 900.0)


def test_what_tink_itself_has_signed_is_read_with_the_keyset_that_it_wrote() -> None:
    key = (
        "EgYIAxACGAIaIGNeNNpmOUhKWvWI+qRIGqZEHnmThEUy2ti2EEPW0w7fIiA+Y+5SMush3vCPNTGl"
        "/Habs6tRtSDzQ9kqkdqhEWMiZA=="
    )
    written = entry(264987047, message=base64.b64decode(key))
    told = (
        "AQ/LYacwRgIhAKpgJK/pkOvgDMJth5z2cx2uC8JmLPo/ya6X8ovMS3rHAiEAngi9L9dNuiDsVsmL"
        "TF2YW0fbq63PQ8HC87AKfK+Gkd0="
    )

    read = parse_signature(told)

    assert read is not None
    assert is_signed(b'[{"data": {}}]', read.signature, keys(written)[read.key_id])
