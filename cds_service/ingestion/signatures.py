"""Who has signed a delivery, and what tells it from others.

A signature is over the very bytes that came. The library signs text, and a body with
half a character in it is none, so the HMAC is made here.

Source: Standard Webhooks 1.0.0.
"""

import base64
import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from ..config import ProofKind, WebhookSource
from ..protocol.errors import InvalidRequest, Unauthenticated

SIGNATURE = "webhook-signature"
WINDOW = timedelta(minutes=5)
"""How far the time of a signature may be from ours, either way."""
MOST_SIGNATURES = 10
"""Signatures in one header; a sender that rotates keys sends two."""
LONGEST_KEY = 255


def find_source(
    raw: bytes,
    fields: Mapping[str, str],
    webhooks: Iterable[WebhookSource],
    now: datetime,
) -> WebhookSource:
    """Return the source whose secret has signed the body. Header names in lower case.

    Every secret is tried against every signature, whichever fits: the time it takes
    says nothing about the secrets.

    Raises:
        Unauthenticated: if none has, or not within five minutes of *now*.
    """
    message, signed_at = _signed_message(raw, fields)
    signatures = fields.get(SIGNATURE, "").split(" ")
    if len(signatures) > MOST_SIGNATURES:
        raise Unauthenticated("too many signatures")
    signers = []
    for source in webhooks:
        if source.proof.kind is not ProofKind.STANDARD_WEBHOOKS:
            continue
        for secret in source.secrets:
            wanted = sign(secret, message)
            for signature in signatures:
                given = signature.encode("utf-8", "replace")
                if hmac.compare_digest(wanted, given):
                    signers.append(source)
    if not signers:
        raise Unauthenticated("no secret matches any signature")
    if abs(now - signed_at) > WINDOW:
        raise Unauthenticated("the time of the signature is outside the window")
    return signers[0]


def sign(secret: str, message: bytes) -> bytes:
    """Return the signature of a message with a secret of the form ``whsec_…``."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return b"v1," + base64.b64encode(hmac.digest(key, message, "sha256"))


def delivery_key(fields: Mapping[str, str]) -> str:
    """Return what tells a delivery apart: its ``webhook-id``, which is signed.

    ``Idempotency-Key`` is not: with another one, whoever has seen a delivery could have
    it taken for a new one.

    Raises:
        InvalidRequest: if it is empty, too long or not printable.
    """
    key = fields.get("webhook-id") or ""
    if not _KEY.fullmatch(key):
        text = f"A webhook-id has 1 to {LONGEST_KEY} printable ASCII characters."
        raise InvalidRequest(text)
    return key


def _signed_message(raw: bytes, fields: Mapping[str, str]) -> tuple[bytes, datetime]:
    """What a signature is over, id, time and body, and the time."""
    delivery_id, stamp = fields.get("webhook-id"), fields.get("webhook-timestamp", "")
    if not delivery_id or not _TIMESTAMP.fullmatch(stamp):
        raise Unauthenticated("no webhook-id, or no webhook-timestamp")
    head = f"{delivery_id}.{int(stamp)}.".encode("utf-8", "replace")
    return head + raw, datetime.fromtimestamp(int(stamp), UTC)


_TIMESTAMP = re.compile(r"[0-9]{1,11}")
_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")
