"""Signatures as Google's Tink makes them, and the public keys for them.

A signature is a byte 1, the number of the key in four bytes, and an ECDSA signature in
DER. A keyset is JSON, in which each key is a message of Protocol Buffers in base64; of
those only what signs with ECDSA on P-256 and SHA-256 is taken.

Source: developers.google.com/tink/wire-format; tink's ``ecdsa.proto`` and
``tink.proto``; FIPS 186-5.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.hashes import SHA256

from .clients import KeyServer
from .documents import KeyServerUnread, PublishedKeys
from .keys import KeySet, VerificationKey

ECDSA_KEY = "type.googleapis.com/google.crypto.tink.EcdsaPublicKey"
ALGORITHM = "ES256"
ENABLED, PREFIXED = "ENABLED", "TINK"
PARAMETERS, X, Y = 2, 3, 4
"""Numbers of the fields of a key."""
P256_SHA256_DER = {1: 3, 2: 2, 3: 2}
"""The parameters that are taken: hash, curve and encoding of the signature."""
PREFIX = b"\x01"
ID_BYTES = 4
MOST_KEYS = 100
LONGEST_KEY = 2_000
"""Characters."""


@dataclass(frozen=True, slots=True)
class TinkSignature:
    """A signature that was read."""

    key_id: str
    signature: bytes
    """ECDSA in DER."""


def parse_signature(text: str) -> TinkSignature | None:
    """Return a signature that came in base64; None if it is none."""
    raw = _decoded(text)
    head = len(PREFIX) + ID_BYTES
    if not raw.startswith(PREFIX) or len(raw) <= head:
        return None
    number = int.from_bytes(raw[len(PREFIX) : head], "big")
    return TinkSignature(str(number), raw[head:])


def is_signed(raw: bytes, signature: bytes, key: VerificationKey) -> bool:
    """Check whether the bytes were signed with the key that belongs to this one."""
    try:
        key.key.verify(signature, raw, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def read_tink_document(value: Any, server: KeyServer, age: float) -> PublishedKeys:
    """Return the keys that the JSON of a keyset publishes, by their numbers.

    Raises:
        KeyServerUnread: if it is no keyset.
    """
    listed = value.get("key") if isinstance(value, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise KeyServerUnread("is no keyset of Tink")
    keys: dict[str, VerificationKey] = {}
    others: list[tuple[tuple[int | str, ...], str]] = []
    for place, each in enumerate(listed):
        number = each.get("keyId") if isinstance(each, dict) else None
        key = _key(each) if isinstance(number, int) else None
        if key is None:
            others.append(((place,), "is no enabled key of ECDSA on P-256"))
        else:
            keys[str(number)] = key
    return PublishedKeys(KeySet(keys, others=tuple(others)), age=age)


def _key(entry: Mapping[str, Any]) -> VerificationKey | None:
    data = entry.get("keyData")
    if not isinstance(data, dict) or data.get("typeUrl") != ECDSA_KEY:
        return None
    if (entry.get("status"), entry.get("outputPrefixType")) != (ENABLED, PREFIXED):
        return None
    value = data.get("value")
    try:
        fields = _fields(_decoded(value if isinstance(value, str) else ""))
        x, y, parameters = (fields.get(each) for each in (X, Y, PARAMETERS))
        if not (isinstance(x, bytes) and isinstance(y, bytes)):
            return None
        told = _fields(parameters) if isinstance(parameters, bytes) else {}
        if told != P256_SHA256_DER:
            return None
        across, up = int.from_bytes(x, "big"), int.from_bytes(y, "big")
        point = EllipticCurvePublicNumbers(across, up, SECP256R1())
        return VerificationKey((ALGORITHM,), point.public_key())
    except (ValueError, IndexError):
        return None


def _fields(raw: bytes) -> dict[int, int | bytes]:
    """The fields of a message, by their numbers; the last of each counts.

    Raises ValueError or IndexError where it is none.
    """
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, wire = tag >> 3, tag & 7
        value, at = _varint(raw, at)
        if wire == 0:
            found[number] = value
        elif wire == 2 and at + value <= len(raw):
            found[number] = raw[at : at + value]
            at += value
        else:
            raise ValueError("no message of these fields")
    return found


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    number = shift = 0
    while shift < 64:
        byte = raw[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise ValueError("no number")


def _decoded(text: str) -> bytes:
    """The bytes of base64, as it stands in URLs or elsewhere; none where it is none."""
    if len(text) > LONGEST_KEY:
        return b""
    plain = text.strip().replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
