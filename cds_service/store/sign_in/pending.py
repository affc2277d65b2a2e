"""Sign-ins that are pending: begun, capped, taken once."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from ...wearables.days import moment
from ...wearables.samples import microseconds
from ..database import Database
from .records import PendingSignIn
from .tables import PENDING

MOST = 20_000
"""That may be pending at a time, of all who sign in: anybody may begin one."""


class PendingSignIns:
    """The pending sign-ins of one database."""

    def __init__(self, database: Database, most: int = MOST) -> None:
        self._database = database
        self._most = most

    def begin(self, asked: PendingSignIn) -> bool:
        """Check if there is room for one more, and have it wait."""
        row = {
            "state_hash": asked.state_hash,
            "id": asked.id,
            "key_hash": asked.key_hash,
            "tenant": asked.tenant,
            "provider": asked.provider,
            "page": asked.page,
            "sealed": asked.sealed,
            "begun_us": microseconds(asked.begun),
            "until_us": microseconds(asked.until),
        }
        over = delete(PENDING).where(PENDING.c.until_us <= row["begun_us"])
        waiting = select(func.count()).select_from(PENDING)

        def work(connection: Connection) -> bool:
            connection.execute(over)
            if connection.execute(waiting).scalar_one() >= self._most:
                return False
            connection.execute(insert(PENDING).values(row))
            return True

        with self._database.reading() as connection:
            alive = waiting.where(PENDING.c.until_us > row["begun_us"])
            if connection.execute(alive).scalar_one() >= self._most:
                return False  # a flood keeps nobody from writing
        return self._database.write(work, durable=False)

    def find(self, state_hash: str, now: datetime) -> PendingSignIn | None:
        """Return what waits under a state; it goes on waiting.

        None where there is none, or its time is over, or it was taken.
        """
        asked = select(PENDING).where(_alive(state_hash, now))
        with self._database.reading() as connection:
            row = connection.execute(asked).first()
        return None if row is None else _pending(row)

    def take(self, state_hash: str, now: datetime) -> bool:
        """Check if it still waited; from now on it does not, for anybody."""
        alive = _alive(state_hash, now)
        taken = update(PENDING).where(alive)
        spent = taken.values(used_us=microseconds(now), sealed="")
        return self._database.write(lambda each: each.execute(spent).rowcount == 1)


def _alive(state_hash: str, now: datetime) -> Any:
    row = PENDING.c
    unused = and_(row.state_hash == state_hash, row.used_us.is_(None))
    return and_(unused, row.until_us > microseconds(now))


def _pending(row: Row[Any]) -> PendingSignIn:
    return PendingSignIn(
        row.id,
        row.state_hash,
        row.key_hash,
        row.tenant,
        row.provider,
        moment(row.begun_us),
        moment(row.until_us),
        row.page,
        row.sealed,
    )
