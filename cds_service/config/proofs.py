"""How a webhook source proves who it is, and what its secrets must be like for that.

Most vendors have a way of their own, and some have none: what they can tell is a secret
that was agreed with them. A signature says that the body is theirs as it came; a shared
secret says only that somebody knows it, whoever has seen it on its way.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum

SECRET_PREFIX = "whsec_"  # nosec B105 # what every secret begins with
SHORTEST_SECRET = 24
"""Bytes. Source: Standard Webhooks 1.0.0 "Signature scheme"."""


class ProofKind(StrEnum):
    """What a delivery is proved by."""

    STANDARD_WEBHOOKS = "standard-webhooks"
    HMAC_SHA256 = "hmac-sha256"
    """Over the time, where one is told, and the raw body behind it."""
    NIGHTSCOUT = "nightscout"
    """The digest of a shared secret; it signs nothing."""
    HEADER = "header"
    """A shared secret; it signs nothing."""
    PATH = "path"
    """The same, as the last step of the URL."""
    MLLP = "mllp"
    """The connection itself, over which messages of HL7 v2 come: from where it is, and
    by which certificate. There are no secrets."""


@dataclass(frozen=True, slots=True)
class Proof:
    """How a source proves who it is."""

    kind: ProofKind = ProofKind.STANDARD_WEBHOOKS
    header: str = ""
    """In lower case: where the signature or the secret stands."""
    timestamp_header: str = ""
    """In lower case: where the time stands that is signed with the body."""
    encoding: str = "hex"
    """Of a signature; or ``base64``."""
    prefix: str = ""
    """What stands before a signature."""
    addresses: tuple[str, ...] = ()
    """Networks from which it may connect; any where none is named."""
    certificates: tuple[str, ...] = ()
    """Names of which its certificate must have one; it needs none where none is."""


def fault_of_secret(secret: str, kind: ProofKind) -> str:
    """Return what is wrong with a secret for such a proof; empty if nothing is."""
    if kind is ProofKind.STANDARD_WEBHOOKS:
        return _fault_of_standard(secret)
    form, text = (_IN_URLS, _URL_TEXT) if kind is ProofKind.PATH else (_SHARED, _TEXT)
    return "" if form.fullmatch(secret) else text


def _fault_of_standard(secret: str) -> str:
    try:
        raw = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not secret.startswith(SECRET_PREFIX) or len(raw) < SHORTEST_SECRET:
        return f"must be {SECRET_PREFIX} and {SHORTEST_SECRET} bytes or more in base64"
    return ""


_SHARED = re.compile(rf"[!-~]{{{SHORTEST_SECRET},}}")
_TEXT = f"must be {SHORTEST_SECRET} printable ASCII characters or more"
_IN_URLS = re.compile(r"[A-Za-z0-9_-]{32,200}")
_URL_TEXT = "must be 32 letters, digits, - or _, or more, up to 200"
