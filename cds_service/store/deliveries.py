"""Deliveries: what was answered to each key, so that a repeat gets the same answer."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from .claimants import is_gone, own
from .records import Attempt, Claim, DeliveryState, StoredAnswer, StoreError
from .statements import CLAIM_DELIVERY
from .tables import DELIVERIES

KEPT = timedelta(days=8)
"""How long an answer is remembered by default; senders may rely on seven days."""
TAKEN_OVER_AFTER = timedelta(minutes=5)
"""After this long a claim is taken to be of a process that died, seen or not."""
LOOKED_BACK = timedelta(hours=1)
"""For deliveries without an answer; the answered ones of days are not walked over."""
TRIES = 5
"""How often a claim is made anew because another is given back just then."""


def claim(
    connection: Connection, attempt: Attempt, digest: str, now: datetime
) -> Claim:
    """Claim the delivery for the caller, or say what became of it."""
    mine = {
        "begun_utc": now.timestamp(),
        "claim": attempt.id,
        "claimant": own(connection),
    }
    row = {
        "source": attempt.source,
        "key": attempt.key,
        "digest": digest,
        **mine,
        "too_old": (now - TAKEN_OVER_AFTER).timestamp(),
    }
    for _ in range(TRIES):
        if CLAIM_DELIVERY.run(connection, row).rowcount == 1:
            return Claim(DeliveryState.NEW)
        same = and_(
            DELIVERIES.c.source == attempt.source, DELIVERIES.c.key == attempt.key
        )
        found = connection.execute(select(DELIVERIES).where(same)).first()
        if found is None:
            continue
        if found.digest != digest:
            return Claim(DeliveryState.DIFFERENT)
        if found.status is not None:
            return Claim(DeliveryState.STORED, found.status, found.body)
        if found.claim == attempt.id:
            # Made before, by a transaction of whose end nobody heard.
            return Claim(DeliveryState.NEW)
        if not is_gone(connection, found.claimant):
            break
        dead = and_(_in_progress(attempt), DELIVERIES.c.claim == found.claim)
        taken_over = update(DELIVERIES).where(dead).values(mine)
        if connection.execute(taken_over).rowcount == 1:
            return Claim(DeliveryState.NEW)
    return Claim(DeliveryState.IN_PROGRESS)


def finish(
    connection: Connection, attempt: Attempt, answer: StoredAnswer, now: datetime
) -> None:
    """Keep the answer.

    Raises:
        StoreError: if the delivery is not in progress under this attempt.
    """
    changed = connection.execute(
        update(DELIVERIES)
        .where(_is_mine(attempt))
        .values(status=answer.status, body=answer.body, begun_utc=now.timestamp())
    )
    if changed.rowcount != 1:
        raise StoreError("the delivery is not in progress, or another works on it")


def abandon(connection: Connection, attempt: Attempt) -> None:
    """Forget the delivery if it is in progress under this attempt."""
    connection.execute(delete(DELIVERIES).where(_is_mine(attempt)))


def oldest_unanswered(connection: Connection, now: datetime) -> float:
    """Return how many seconds ago the oldest delivery without an answer began.

    Of the last hour; 0 where each has one. Who works on it may have died.
    """
    since = (now - LOOKED_BACK).timestamp()
    row = DELIVERIES.c
    asked = select(func.min(row.begun_utc)).where(
        row.begun_utc >= since, row.status.is_(None)
    )
    begun = connection.execute(asked).scalar()
    return 0.0 if begun is None else max(0.0, now.timestamp() - begun)


def prune(connection: Connection, now: datetime, kept: timedelta) -> None:
    """Forget what is older than it is to be kept."""
    limit = (now - kept).timestamp()
    connection.execute(delete(DELIVERIES).where(DELIVERIES.c.begun_utc < limit))


def _is_mine(attempt: Attempt) -> ColumnElement[bool]:
    return and_(_in_progress(attempt), DELIVERIES.c.claim == attempt.id)


def _in_progress(attempt: Attempt) -> ColumnElement[bool]:
    row = DELIVERIES.c
    same = and_(row.source == attempt.source, row.key == attempt.key)
    return and_(same, row.status.is_(None))
