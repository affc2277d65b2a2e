"""accept(): one delivery, from the raw body to the answer.

The order is fixed: size (counted where the body is read), signature over the raw body,
idempotency, format, consent, one transaction. What is answered is committed; what was
answered to a key is answered to it again.

Source: Standard Webhooks 1.0.0.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

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
from ..store.detection.records import DetectionOutcome
from ..store.records import (
    Attempt,
    Claim,
    DeliveryState,
    Intake,
    Outdated,
    StoredAnswer,
    StoreError,
    TakenIn,
)
from ..store.store import Store
from .detecting import catch_up
from .judging import Acknowledgement, Delivery, Format, Ingestion, ReadingsTally
from .senders import Sent, recognise

T = TypeVar("T")
TRIES = 5
"""How often a delivery is judged anew because what it rests on changes meanwhile."""


@dataclass(slots=True)
class DeliveryTrace:
    """What is known so far about a delivery, should it be refused."""

    source: WebhookSource | None = None


def accept(delivery: Delivery, ingestion: Ingestion) -> Acknowledgement:
    """Return the answer to a delivery, after it is stored.

    Raises:
        InvalidRequest: if the body is not JSON, or the key is none.
        Unauthenticated: if no source has signed it.
        Forbidden: if the source may not, or no consent of patients is known.
        Conflict: if the same delivery is in progress.
        Throttled: if the source sent too many.
        Unprocessable: if the key came with another body before.
        Unavailable: if it could not be stored.
    """
    with refusals_audited(ingestion.store, delivery.format, delivery.at) as trace:
        sent = _let_in(delivery, ingestion, trace)
        return _accept_once(sent, delivery, ingestion)


def accept_from(
    sent: Sent, delivery: Delivery, ingestion: Ingestion
) -> Acknowledgement:
    """Return the answer to a delivery of somebody whom the connection names.

    Raises the same as ``accept``.
    """
    with refusals_audited(ingestion.store, delivery.format, delivery.at) as trace:
        trace.source = sent.deliverer.source
        ingestion.admit(sent.admitted_as)
        _expect_format(sent, delivery)
        return _accept_once(sent, delivery, ingestion)


def _accept_once(
    sent: Sent, delivery: Delivery, ingestion: Ingestion
) -> Acknowledgement:
    store, source, now = ingestion.store, sent.deliverer.source, delivery.at
    digest = hashlib.sha256(delivery.raw).hexdigest()
    attempt = Attempt(source.id, f"{delivery.format.path} {sent.key}")
    claim = store.begin_delivery(attempt, digest, now)
    if claim.state is not DeliveryState.NEW:
        return repeat(claim, source, sent.key, store, now)
    with given_back_on_failure(store, attempt):
        return finish(delivery, sent, attempt, ingestion)


def greet(delivery: Delivery, ingestion: Ingestion) -> None:
    """Check that who asks before a delivery may deliver.

    Raises:
        Unauthenticated: if no source asks.
        Forbidden: if the source may not.
        Throttled: if the source asks too often.
        Unavailable: if it could not be looked up.
    """
    with refusals_audited(ingestion.store, delivery.format, delivery.at) as trace:
        _let_in(delivery, ingestion, trace)


def _let_in(delivery: Delivery, ingestion: Ingestion, trace: DeliveryTrace) -> Sent:
    headers = {name.lower(): value for name, value in delivery.headers.items()}
    sent = recognise(delivery, headers, ingestion)
    trace.source = sent.deliverer.source
    ingestion.admit(sent.admitted_as)
    _expect_format(sent, delivery)
    return sent


def _expect_format(sent: Sent, delivery: Delivery) -> None:
    if delivery.format.name not in sent.formats:
        raise Forbidden(f"This source may not deliver {delivery.format.name}.")


def finish(
    delivery: Delivery, sent: Sent, attempt: Attempt, ingestion: Ingestion
) -> Acknowledgement:
    """Return the answer, stored with what came and the audit row in one transaction."""
    store, now = ingestion.store, delivery.at
    parse = delivery.format.parse or ingestion.parse_json
    body = parse(delivery.raw)

    def judge_and_store() -> (
        tuple[StoredAnswer, ReadingsTally, DetectionOutcome, Intake]
    ):
        judged = delivery.format.judge(body, sent.deliverer, ingestion, now)
        event = judged.build_event(sent.key)
        tallies: list[tuple[ReadingsTally, DetectionOutcome]] = []

        def answer(taken: TakenIn) -> StoredAnswer:
            told = judged.answer(taken)
            tallies.append((told.tally, taken.detected))
            return _stored(told)

        stored = store.finish_delivery(attempt, answer, judged.intake, event, now)
        return stored, *tallies[-1], judged.intake

    stored, tally, detected, intake = again_while_outdated(judge_and_store)
    ingestion.count(sent.deliverer.source.id, tally)
    patients = {each.patient for each in intake.changes}
    if detected.due:
        patients |= {each.owner.patient for each in intake.samples}
    late = catch_up(patients, store, ingestion.detection_of, now)
    ingestion.count_detected(detected + late)
    return _answer(stored)


def again_while_outdated(work: Callable[[], T]) -> T:
    """Return what *work* returns, done anew where what it rests on has changed.

    Raises:
        Outdated: if that changes faster than it is read.
    """
    for _ in range(TRIES - 1):
        with suppress(Outdated):
            return work()
    return work()


def _stored(answer: Acknowledgement) -> StoredAnswer:
    text = "" if answer.body is None else json.dumps(answer.body)
    return StoredAnswer(answer.status, text)


def _answer(stored: StoredAnswer) -> Acknowledgement:
    return Acknowledgement(stored.status, json.loads(stored.body or "null"))


def repeat(
    claim: Claim, source: WebhookSource, key: str, store: Store, now: datetime
) -> Acknowledgement:
    """Return the answer where the key was seen before; that it came is audited."""
    answer = answer_again(claim)
    event = build_delivery_event(
        now, source.tenant, source.id, key, answer.status, detail={"repeated": True}
    )
    store.record_audit(event)
    return answer


def answer_again(claim: Claim) -> Acknowledgement:
    """Return the answer that the same delivery had before.

    Raises:
        Conflict: if it has none yet.
        Unprocessable: if the key belongs to another delivery.
    """
    if claim.state is DeliveryState.IN_PROGRESS:
        raise Conflict("This delivery is still in progress; send it again.")
    if claim.state is DeliveryState.DIFFERENT or claim.status is None:
        raise Unprocessable("This key came with another body before.")
    return _answer(StoredAnswer(claim.status, claim.body))


@contextmanager
def refusals_audited(
    store: Store, format: Format, now: datetime
) -> Iterator[DeliveryTrace]:
    """Write every refusal in the block to the audit trail.

    Raises:
        Unavailable: if the store does not answer.
    """
    trace = DeliveryTrace()
    try:
        try:
            yield trace
        except CdsError as error:
            if isinstance(error, Throttled) and error.again:
                raise
            event = build_refusal_event(now, error, format.path, trace.source)
            store.record_audit(event)
            raise
    except StoreError as error:
        raise Unavailable("The delivery could not be stored; send it again.") from error


@contextmanager
def given_back_on_failure(store: Store, attempt: Attempt) -> Iterator[None]:
    """Give the claim back where the block fails; else it runs out by itself."""
    try:
        yield
    except BaseException:
        with suppress(StoreError):
            store.abandon_delivery(attempt)
        raise
