"""Who delivers, where a source proves it in another way than Standard Webhooks.

A signature is over the very bytes that came, and the time before them where the vendor
tells one: then it is good for a few minutes. A shared secret is no signature: whoever
has seen it may send what they like, so that it is worth what the transport is worth.

Source: Oura, "Webhooks" (``x-oura-signature``); Nightscout, ``lib/server/enclave.js``
(``api-secret``).
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ..config import Proof, ProofKind, WebhookSource
from ..protocol.errors import Unauthenticated
from .signatures import WINDOW

API_SECRET = "api-secret"  # nosec B105 # the name of a header
DIGESTS = {40: "sha1", 128: "sha512"}
"""By the length of what Nightscout's uploaders send: which digest of the secret."""
MILLISECONDS = 12
"""Digits from which on a time is not in seconds."""


@dataclass(frozen=True, slots=True)
class Proven:
    """A source that has proved who it is."""

    source: WebhookSource
    signed: bytes | None
    """What it has signed beside the body; None where it signs nothing."""


def prove(
    raw: bytes,
    fields: Mapping[str, str],
    url_secret: str,
    webhooks: Iterable[WebhookSource],
    now: datetime,
) -> Proven | None:
    """Return the source whose secret fits; None where nothing is told that could.

    Every secret is tried, whichever fits: the time it takes says nothing about them.
    Where the URL has a secret, nothing else counts.

    Args:
        fields: Of the header, with names in lower case.

    Raises:
        Unauthenticated: if something is told and fits no secret, or not any more.
    """
    told, found = False, list[WebhookSource]()
    for source in webhooks:
        credential = _credential(source.proof, fields, url_secret)
        if credential:
            told = True
            head = _head(source.proof, fields)
            for secret in source.secrets:
                if _fits(source.proof, secret, credential, head + raw):
                    found.append(source)
    if not found:
        if told or url_secret:
            raise Unauthenticated("no secret matches what was sent")
        return None
    source = found[0]
    head = _head(source.proof, fields)
    if source.proof.timestamp_header:
        _expect_now(head, now)
    signs = source.proof.kind is ProofKind.HMAC_SHA256
    return Proven(source, head if signs else None)


def _credential(proof: Proof, fields: Mapping[str, str], url_secret: str) -> str:
    """What the sender tells of this kind; empty where nothing."""
    match proof.kind:
        case ProofKind.STANDARD_WEBHOOKS | ProofKind.MLLP:
            return ""
        case ProofKind.PATH:
            return url_secret
        case _ if url_secret:
            return ""
        case ProofKind.NIGHTSCOUT:
            return fields.get(API_SECRET, "")
        case ProofKind.HMAC_SHA256 | ProofKind.HEADER:
            return fields.get(proof.header, "")


def _head(proof: Proof, fields: Mapping[str, str]) -> bytes:
    """What is signed before the body."""
    told = fields.get(proof.timestamp_header, "") if proof.timestamp_header else ""
    return told.encode("utf-8", "replace")


def _fits(proof: Proof, secret: str, credential: str, message: bytes) -> bool:
    key, told = secret.encode(), credential.encode("utf-8", "replace")
    if proof.kind is ProofKind.NIGHTSCOUT:
        name = DIGESTS.get(len(told), "sha1")
        wanted = hashlib.new(name, key, usedforsecurity=False).hexdigest().encode()
        return hmac.compare_digest(wanted, told.lower())
    if proof.kind is not ProofKind.HMAC_SHA256:
        return hmac.compare_digest(key, told)
    wanted = hmac.digest(key, message, "sha256")
    return hmac.compare_digest(wanted, _signature(proof, told))


def _signature(proof: Proof, told: bytes) -> bytes:
    """The signature as bytes; empty where it is none."""
    prefix = proof.prefix.encode()
    if not told.startswith(prefix):
        return b""
    text = told.removeprefix(prefix)
    try:
        if proof.encoding == "hex":
            return binascii.unhexlify(text)
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _expect_now(head: bytes, now: datetime) -> None:
    """Check that what was signed with the body is a time near to *now*."""
    if not _TIMESTAMP.fullmatch(head):
        raise Unauthenticated("the signature has no timestamp")
    number = int(head) / (1000 if len(head) >= MILLISECONDS else 1)
    if abs(now - datetime.fromtimestamp(number, UTC)) > WINDOW:
        raise Unauthenticated("the time of the signature is outside the window")


_TIMESTAMP = re.compile(rb"[0-9]{1,14}")
