"""Vault: what is kept encrypted in the database, under keys that are not in it.

AES-256-GCM with a random nonce. What a text belongs to is authenticated with it, so
that none can be moved to another row or column. Each names its key: the first of
several encrypts, and all of them open, so that keys can be changed one after another.

Source: NIST SP 800-38D section 8.2.2; a key is good for 2^32 texts.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
_ID_DIGITS = 8


class Unopened(Exception):
    """A text that no key here opens; the message names neither."""


@dataclass(frozen=True, slots=True)
class VaultKey:
    """A key, and the name that stands before what it has encrypted."""

    id: str
    """Hexadecimal; it tells nothing of the key."""
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Vault:
    """The keys, of which the first encrypts. Without one nothing can be kept."""

    keys: tuple[VaultKey, ...] = ()

    def lock(self, text: str, about: Sequence[str]) -> str:
        """Return a text encrypted under the first key; nothing of nothing.

        Args:
            about: What it belongs to; who opens it has to name the same.
        """
        if not text:
            return ""
        if not self.keys:
            raise Unopened("there is no key")
        first, nonce = self.keys[0], os.urandom(NONCE_BYTES)
        hidden = AESGCM(first.secret).encrypt(nonce, text.encode(), _bound(about))
        return f"{first.id}.{base64.urlsafe_b64encode(nonce + hidden).decode()}"

    def unlock(self, locked: str, about: Sequence[str]) -> str:
        """Return what was encrypted about this; nothing of nothing.

        Raises:
            Unopened: if its key is none of these, or it is about something else.
        """
        if not locked:
            return ""
        id, _, told = locked.partition(".")
        for key in self.keys:
            if key.id == id:
                return _opened(key, told, about)
        raise Unopened("the key that encrypted it is not among those that are set")

    def is_newest(self, locked: str) -> bool:
        """Check whether a text is under the first key, or there is none."""
        first = self.keys[0].id if self.keys else ""
        return not locked or locked.partition(".")[0] == first


def parse_vault_keys(text: str) -> tuple[VaultKey, ...]:
    """Return the keys in a text, each 32 bytes in base64, blanks or commas between.

    Raises:
        ValueError: if one is none.
    """
    return tuple(_key(each) for each in text.replace(",", " ").split())


def _key(text: str) -> VaultKey:
    usual = text.translate({ord("-"): "+", ord("_"): "/"})
    padded = usual + "=" * (-len(usual) % 4)
    try:
        secret = base64.b64decode(padded, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise ValueError(f"must be {KEY_BYTES} bytes in base64 each")
    digest = hashlib.sha256(b"cds-service vault key" + secret).hexdigest()
    return VaultKey(digest[:_ID_DIGITS], secret)


def _opened(key: VaultKey, told: str, about: Sequence[str]) -> str:
    try:
        raw = base64.urlsafe_b64decode(told)
        hidden = raw[NONCE_BYTES:]
        bound = _bound(about)
        return AESGCM(key.secret).decrypt(raw[:NONCE_BYTES], hidden, bound).decode()
    except (binascii.Error, ValueError, InvalidTag) as error:
        raise Unopened("it was changed, or is about something else") from error


def _bound(about: Sequence[str]) -> bytes:
    """With the length of each: no two ways of saying it are one."""
    return "".join(f"{len(each)}:{each}" for each in about).encode()
