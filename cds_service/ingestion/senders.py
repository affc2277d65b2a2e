"""Who delivers: a source that has proved who it is, or one of its wearers by a token.

A token comes from a phone that cannot sign. It is good for one wearer and the formats
it was made for. What tells deliveries apart is what was signed; where nothing is, a key
that the sender gives, or else the body itself.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from ..protocol.errors import InvalidRequest, Unauthenticated
from .judging import Delivery, Ingestion
from .proving import Proven, prove
from .signatures import LONGEST_KEY, SIGNATURE, delivery_key, find_source
from .whose import Deliverer


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery whose sender is known."""

    deliverer: Deliverer
    key: str
    """What tells it from others of this sender."""
    formats: Collection[str]
    """Those that the sender may deliver."""
    admitted_as: str
    """Under which name it counts among others of this sender."""


def recognise(
    delivery: Delivery, fields: Mapping[str, str], ingestion: Ingestion
) -> Sent:
    """Return who delivers, by header fields with names in lower case.

    Raises:
        Unauthenticated: if nobody has signed it, or the token or secret is good for
            nothing.
        InvalidRequest: if the key is none.
    """
    raw, now = delivery.raw, delivery.at
    if delivery.format.of_readings and not delivery.url_secret:
        token = _bearer(fields)
        if token is not None:
            return _wearer(token, raw, fields, ingestion, now)
    if delivery.format.of_readings and SIGNATURE not in fields:
        proven = prove(raw, fields, delivery.url_secret, ingestion.webhooks, now)
        if proven is not None:
            return _source(proven, raw, fields)
    source = find_source(raw, fields, ingestion.webhooks, now)
    key = delivery_key(fields)
    return Sent(Deliverer(source), key, source.formats, source.id)


def _source(proven: Proven, raw: bytes, fields: Mapping[str, str]) -> Sent:
    source = proven.source
    if proven.signed is None:
        key = _unsigned_key(raw, fields)
    else:
        key = hashlib.sha256(proven.signed + raw).hexdigest()
    return Sent(Deliverer(source), key, source.formats, source.id)


def _wearer(
    token: str,
    raw: bytes,
    fields: Mapping[str, str],
    ingestion: Ingestion,
    now: datetime,
) -> Sent:
    found = ingestion.store.wearer_tokens.find(token, now)
    if found is None:
        raise Unauthenticated("no wearer has this token, or it was revoked")
    link = found.link
    for source in ingestion.webhooks:
        if source.tokens and (source.tenant, source.id) == (link.tenant, link.source):
            return Sent(
                Deliverer(source, link),
                f"{found.id} {_unsigned_key(raw, fields)}",
                set(found.formats) & set(source.formats),
                f"{source.id} {found.id}",
            )
    raise Unauthenticated("the source of this token no longer accepts tokens")


def _bearer(fields: Mapping[str, str]) -> str | None:
    """Return the token of an ``Authorization`` header. Source: RFC 6750 section 2.1."""
    scheme, _, token = fields.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _unsigned_key(raw: bytes, fields: Mapping[str, str]) -> str:
    told = fields.get("idempotency-key")
    if told is None:
        return hashlib.sha256(raw).hexdigest()
    if not _KEY.fullmatch(told):
        text = f"An Idempotency-Key has 1 to {LONGEST_KEY} printable ASCII characters."
        raise InvalidRequest(text)
    return told


_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")
