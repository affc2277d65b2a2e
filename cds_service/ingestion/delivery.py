"""accept(): one delivery, from the raw body to the answer.

The order is fixed: size (counted where the body is read), signature over the raw body,
idempotency, format, consent, one transaction. What is answered is committed; what was
answered to a key is answered to it again.

Source: Standard Webhooks 1.0.0; IETF draft "The Idempotency-Key HTTP Header Field".
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ..audit import build_delivery_event, build_refusal_event
from ..config import WebhookSource
from ..protocol.errors import (
    CdsError,
    Conflict,
    Forbidden,
    Throttled,
    Unavailable,
    Unprocessable,
)
from ..store.records import (
    AuditEvent,
    ConsentsChanged,
    Delivery,
    DeliveryState,
    Intake,
    StoreError,
)
from ..store.store import Store
from .signatures import delivery_key, find_source

TRIES = 5
"""How often a delivery is judged anew because consents change meanwhile."""


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
    build_event: Callable[[str], AuditEvent]
    """The row of the audit trail, given the delivery's key."""
    intake: Intake = Intake()


class Judge(Protocol):
    """What becomes of the deliveries of one format."""

    @property
    def format(self) -> str:
        """What a source must be allowed to deliver."""

    @property
    def path(self) -> str:
        """Where they arrive."""

    def judge(self, body: Any, source: WebhookSource, now: datetime) -> Judged:
        """What the body holds, and the answer.

        Raises:
            Forbidden: if no consent of a patient permits any of it.
        """


def accept(
    raw: bytes,
    headers: Mapping[str, str],
    judge: Judge,
    *,
    webhooks: Sequence[WebhookSource],
    store: Store,
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
    with refusals_audited(store, judge.path, now) as trace:
        source = find_source(raw, fields, webhooks, now)
        trace.source = source
        admit(source.id)
        if judge.format not in source.formats:
            raise Forbidden(f"This source may not deliver {judge.format}.")
        key = delivery_key(fields)
        digest = hashlib.sha256(raw).hexdigest()
        earlier = store.begin_delivery(source.id, key, digest, now)
        if earlier.state is not DeliveryState.NEW:
            return repeat(earlier, source, key, store, now)
        with ExitStack() as on_failure:
            on_failure.callback(_abandon, store, source.id, key)
            reply = finish(parse_json(raw), judge, source, key, store, now)
            on_failure.pop_all()
        return reply


def finish(
    body: Any,
    judge: Judge,
    source: WebhookSource,
    key: str,
    store: Store,
    now: datetime,
) -> Reply:
    """The answer, stored with what came and the audit row in one transaction."""
    for _ in range(TRIES):
        judged = judge.judge(body, source, now)
        reply = judged.reply
        event, answer = judged.build_event(key), json.dumps(reply.body)
        with suppress(ConsentsChanged):
            store.finish_delivery(
                source.id, key, reply.status, answer, judged.intake, event, now
            )
            return reply
    raise ConsentsChanged("consents change faster than they are read")


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


@contextmanager
def refusals_audited(store: Store, path: str, now: datetime) -> Iterator[Trace]:
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
            store.record_audit(build_refusal_event(now, error, path, trace.source))
            raise
    except StoreError as error:
        raise Unavailable("The delivery could not be stored; send it again.") from error


def _abandon(store: Store, source: str, key: str) -> None:
    """Give the claim back; if that fails too, it runs out by itself."""
    with suppress(StoreError):
        store.abandon_delivery(source, key)
