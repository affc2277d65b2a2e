"""accept(): one delivery of wearable alerts, from the raw body to the answer.

The order is fixed: size (counted where the body is read), signature over the raw body,
idempotency, format, consent, one transaction. What is answered is committed; what was
answered to a key is answered to it again.

Source: Standard Webhooks 1.0.0; IETF draft "The Idempotency-Key HTTP Header Field".
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from standardwebhooks import Webhook

from .audit import build_delivery_event, build_refusal_event
from .config import WebhookSource
from .protocol.errors import (
    CdsError,
    Conflict,
    Forbidden,
    InvalidRequest,
    Throttled,
    Unauthenticated,
    Unavailable,
    Unprocessable,
)
from .rulebook.rules import AlertType
from .store.records import Delivery, DeliveryState, StoreError
from .store.store import Store
from .wearables.adapters.alerts import Rejected, parse_alerts
from .wearables.records import WearableAlert

PATH = "/wearables/v1/alerts"
WINDOW = timedelta(minutes=5)
"""How far the time of a signature may be from ours, either way."""
MOST_SIGNATURES = 10
"""Signatures in one header; a sender that rotates keys sends two."""
LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Reply:
    """What a delivery is answered with."""

    status: int
    body: Mapping[str, Any]


@dataclass(slots=True)
class Trace:
    """What is known so far about a delivery, should it be refused."""

    source: WebhookSource | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A delivery with its answer, not yet stored."""

    reply: Reply
    accepted: tuple[WearableAlert, ...] = ()
    rejected: tuple[Rejected, ...] = ()


def accept(
    raw: bytes,
    headers: Mapping[str, str],
    *,
    webhooks: Sequence[WebhookSource],
    store: Store,
    alert_types: Mapping[str, AlertType],
    consent_assumed: bool,
    parse_json: Callable[[bytes], Any],
    admit: Callable[[str], None] = lambda source: None,
    now: datetime,
) -> Reply:
    """The answer to a delivery, after it is stored.

    Raises:
        InvalidRequest: if the body is not JSON, or the key is none.
        Unauthenticated: if no source of *webhooks* has signed it.
        Forbidden: if the source may not, or no consent of patients is known.
        Conflict: if the same delivery is in progress.
        Throttled: if the source, which *admit* is asked about, sent too many.
        Unprocessable: if the key came with another body before.
        Unavailable: if it could not be stored.
    """
    fields = {name.lower(): value for name, value in headers.items()}
    with refusals_audited(store, now) as trace:
        source = find_source(raw, fields, webhooks, now)
        trace.source = source
        admit(source.id)
        if "alerts" not in source.formats:
            raise Forbidden("This source may not deliver alerts.")
        key = delivery_key(fields)
        digest = hashlib.sha256(raw).hexdigest()
        earlier = store.begin_delivery(source.id, key, digest, now)
        if earlier.state is not DeliveryState.NEW:
            return repeat(earlier, source, key, store, now)
        with ExitStack() as on_failure:
            on_failure.callback(_abandon, store, source.id, key)
            judged = judge(parse_json(raw), source, alert_types, now)
            if judged.accepted and not consent_assumed:
                raise Forbidden("No consent of the patient to these data is known.")
            finish(judged, source, key, store, now)
            on_failure.pop_all()
        return judged.reply


def repeat(
    earlier: Delivery, source: WebhookSource, key: str, store: Store, now: datetime
) -> Reply:
    """The answer to a delivery whose key was seen before; that it came is audited."""
    reply = answer_again(earlier)
    event = build_delivery_event(
        now, source.tenant, source.id, key, reply.status, detail={"repeated": True}
    )
    store.record_audit(event)
    return reply


def finish(
    judged: Judged, source: WebhookSource, key: str, store: Store, now: datetime
) -> None:
    """Store alerts, answer and audit row in one transaction."""
    status = judged.reply.status
    rejected = {"rejected": [_rejection(each) for each in judged.rejected]}
    event = build_delivery_event(
        now, source.tenant, source.id, key, status, judged.accepted, rejected
    )
    body = json.dumps(judged.reply.body)
    store.finish_delivery(source.id, key, status, body, judged.accepted, event, now)


def find_source(
    raw: bytes,
    fields: Mapping[str, str],
    webhooks: Iterable[WebhookSource],
    now: datetime,
) -> WebhookSource:
    """The source whose secret has signed the body. Header names in lower case.

    Every secret is tried against every signature, whichever fits: the time it takes
    says nothing about the secrets.

    Raises:
        Unauthenticated: if none has, or not within five minutes of *now*.
    """
    delivery_id, signed_at, body = _signed_parts(raw, fields)
    signatures = fields.get("webhook-signature", "").split(" ")
    if len(signatures) > MOST_SIGNATURES:
        raise Unauthenticated("too many signatures")
    signers = []
    for source in webhooks:
        for secret in source.secrets:
            wanted = Webhook(secret).sign(delivery_id, signed_at, body).encode()
            for signature in signatures:
                given = signature.encode("utf-8", "replace")
                if hmac.compare_digest(wanted, given):
                    signers.append(source)
    if not signers:
        raise Unauthenticated("no secret fits any signature")
    if abs(now - signed_at) > WINDOW:
        raise Unauthenticated("the time of the signature is outside the window")
    return signers[0]


def delivery_key(fields: Mapping[str, str]) -> str:
    """What tells this delivery from others: ``Idempotency-Key``, or ``webhook-id``.

    Raises:
        InvalidRequest: if it is empty, too long or not printable.
    """
    key = fields.get("idempotency-key") or fields.get("webhook-id") or ""
    if not _KEY.fullmatch(key):
        text = f"An Idempotency-Key has 1 to {LONGEST_KEY} printable ASCII characters."
        raise InvalidRequest(text)
    return key


def answer_again(earlier: Delivery) -> Reply:
    """The answer that the same delivery had before.

    Raises:
        Conflict: if it has none yet.
        Unprocessable: if the key belongs to another delivery.
    """
    if earlier.state is DeliveryState.IN_PROGRESS:
        raise Conflict("This delivery is still in progress; send it again.")
    if earlier.state is DeliveryState.DIFFERENT or earlier.status is None:
        raise Unprocessable("This key came with another body before.")
    return Reply(earlier.status, json.loads(earlier.body))


def judge(
    body: Any,
    source: WebhookSource,
    alert_types: Mapping[str, AlertType],
    now: datetime,
) -> Judged:
    """What the body holds, and the answer: 202, or 422 if it holds nothing good."""
    try:
        accepted, rejected = parse_alerts(body, source, alert_types, now)
        if not accepted:
            raise Unprocessable(*(each for item in rejected for each in item.problems))
    except Unprocessable as error:
        return Judged(Reply(error.status, error.as_json()))
    answer = {
        "accepted": len(accepted),
        "rejected": len(rejected),
        "results": list(_results(accepted, rejected)),
    }
    return Judged(Reply(202, answer), accepted, rejected)


@contextmanager
def refusals_audited(store: Store, now: datetime) -> Iterator[Trace]:
    """Write every refusal in the block to the audit trail.

    Raises:
        Unavailable: if the store does not answer.
    """
    trace = Trace()
    try:
        try:
            yield trace
        except CdsError as error:
            if isinstance(error, Throttled) and error.again:
                raise
            store.record_audit(build_refusal_event(now, error, PATH, trace.source))
            raise
    except StoreError as error:
        raise Unavailable("The delivery could not be stored; send it again.") from error


def _signed_parts(raw: bytes, fields: Mapping[str, str]) -> tuple[str, datetime, str]:
    """The three things that a signature is over: id, time and body."""
    delivery_id, stamp = fields.get("webhook-id"), fields.get("webhook-timestamp", "")
    if not delivery_id or not _TIMESTAMP.fullmatch(stamp):
        raise Unauthenticated("no webhook-id, or no webhook-timestamp")
    try:
        body = raw.decode()
    except UnicodeDecodeError as error:
        raise Unauthenticated("what is not UTF-8 cannot be signed") from error
    return delivery_id, datetime.fromtimestamp(int(stamp), UTC), body


def _results(
    accepted: Sequence[WearableAlert], rejected: Sequence[Rejected]
) -> Iterator[dict[str, Any]]:
    """What became of each item, in the order of the delivery."""
    faulty = {each.index: each for each in rejected}
    good = iter(accepted)
    for index in range(len(accepted) + len(rejected)):
        item = faulty.get(index)
        if item is None:
            yield {"index": index, "id": next(good).id, "status": "accepted"}
        else:
            yield _rejection(item)


def _rejection(item: Rejected) -> dict[str, Any]:
    problems = [
        {"expression": each.expression, "text": each.text} for each in item.problems
    ]
    named = {"id": item.id} if item.id else {}
    return {
        "index": item.index,
        **named,
        "status": "rejected",
        "problems": problems,
    }


def _abandon(store: Store, source: str, key: str) -> None:
    """Give the claim back; if that fails too, it runs out by itself."""
    with suppress(StoreError):
        store.abandon_delivery(source, key)


_TIMESTAMP = re.compile(r"[0-9]{1,11}")
_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")
