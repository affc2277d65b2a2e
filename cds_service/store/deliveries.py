"""Deliveries: what was answered to each key, so that a repeat gets the same answer."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from .records import Claim, DeliveryState, StoreError
from .tables import DELIVERIES

KEPT = timedelta(days=8)
"""How long an answer is remembered; seven days is what senders may rely on."""
TAKEN_OVER_AFTER = timedelta(minutes=5)
"""After this long a claim is taken to be of a process that died."""


def claim(
    connection: Connection, source: str, key: str, digest: str, now: datetime
) -> Claim:
    """Claim the delivery for the caller, or say what became of it."""
    found = connection.execute(select(DELIVERIES).where(_same(source, key))).first()
    if found is None:
        connection.execute(
            insert(DELIVERIES).values(
                source=source, key=key, digest=digest, begun_utc=now.timestamp()
            )
        )
        return Claim(DeliveryState.NEW)
    if found.digest != digest:
        return Claim(DeliveryState.DIFFERENT)
    if found.status is not None:
        return Claim(DeliveryState.STORED, found.status, found.body)
    if found.begun_utc > (now - TAKEN_OVER_AFTER).timestamp():
        return Claim(DeliveryState.IN_PROGRESS)
    connection.execute(
        update(DELIVERIES).where(_same(source, key)).values(begun_utc=now.timestamp())
    )
    return Claim(DeliveryState.NEW)


def finish(
    connection: Connection,
    source: str,
    key: str,
    status: int,
    body: str,
    now: datetime,
) -> None:
    """Keep the answer.

    Raises:
        StoreError: if the delivery is not in progress.
    """
    changed = connection.execute(
        update(DELIVERIES)
        .where(_same(source, key), DELIVERIES.c.status.is_(None))
        .values(status=status, body=body, begun_utc=now.timestamp())
    )
    if changed.rowcount != 1:
        raise StoreError("the delivery is not in progress")


def abandon(connection: Connection, source: str, key: str) -> None:
    """Forget the delivery if it is in progress."""
    unanswered = DELIVERIES.c.status.is_(None)
    connection.execute(delete(DELIVERIES).where(_same(source, key), unanswered))


def prune(connection: Connection, now: datetime) -> None:
    """Forget what is older than ``KEPT``."""
    limit = (now - KEPT).timestamp()
    connection.execute(delete(DELIVERIES).where(DELIVERIES.c.begun_utc < limit))


def _same(source: str, key: str) -> ColumnElement[bool]:
    return and_(DELIVERIES.c.source == source, DELIVERIES.c.key == key)
