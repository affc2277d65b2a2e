"""Pruning: what is older than it has to be kept is removed, a little at a time.

Each step is a transaction of its own, so that nobody who records a call waits long, and
what broke off goes on where it was: what is left is what is still too old.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)

from ...wearables.samples import microseconds
from ...wearables.telling import DAY, EPISODE
from ..database import Database
from ..detection.tables import SUMMARIES, TALLIES
from ..outbox.records import WAITING
from ..outbox.tables import DESTINATIONS, OUTBOX, THING, TOLD
from ..rows import instant
from ..samples import aging
from ..samples.tables import PATIENT
from ..tables import (
    AUDIT,
    CALLS,
    CARD_REFERENCES,
    CARDS,
    FEEDBACK,
    OPEN,
    SUPPRESSIONS,
    WEARABLE_ALERTS,
)
from ..trail.seals import Broken, Seals

AT_ONCE = 1000
"""Rows of one transaction."""
CALLS_AT_ONCE = 100
"""Calls of one transaction, each with its cards and what was held back."""
AFTER_A_DAY = timedelta(days=2)
"""A day is told after it is over, wherever that is; by so much later what was told of
it goes than the day itself."""


@dataclass(frozen=True, slots=True)
class Keep:
    """For how long it is kept; None for ever."""

    records: timedelta | None = None
    """Calls with their cards, feedback, alerts that have ended, and what was told."""
    audit: timedelta | None = None
    """Rows of the audit trail."""
    samples: timedelta | None = None
    """Samples, by when they were measured."""
    quarantine: timedelta | None = None
    """What was told of wearers whom nobody knows."""
    summaries: timedelta | None = None
    """Days, as summaries and detectors tell them."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction did."""

    what: str
    """A table, ``seals`` (rows that were sealed), or ``broken`` for a chain of the
    trail that does not hold and is left alone."""
    rows: int
    detail: str = ""


class Pruning:
    """Removes from one database."""

    def __init__(self, database: Database, seals: Seals) -> None:
        self._database = database
        self._seals = seals

    def count(self, keep: Keep, now: datetime) -> dict[str, int]:
        """Return how many rows of each table are older than they are kept.

        Of the audit trail all, whether or not they stand in a segment with newer ones.
        """
        counted: dict[str, int] = {}
        with self._database.reading() as connection:
            for table, old in _old(keep, now).items():
                asked = select(func.count()).select_from(table).where(old)
                counted[table.name] = int(connection.execute(asked).scalar_one())
            counted |= aging.count_old(connection, *_ends(keep, now))
        return counted

    def steps(self, keep: Keep, now: datetime) -> Iterator[Step]:
        """Remove what is older than it is kept, and seal what is older than a day.

        References of cards that are over go in any case.

        Yields after each transaction; who stops asking stops the removing.
        """
        over = CARD_REFERENCES.c.until_utc <= now.timestamp()
        for table, old in [(CARD_REFERENCES, over), *_old(keep, now).items()]:
            if table is AUDIT:
                continue
            remove = _remove_calls if table is CALLS else _remover(table)
            while rows := self._database.write(lambda each: remove(each, old)):
                yield Step(table.name, rows)
        for name, rows in aging.remove_old(self._database, *_ends(keep, now)):
            yield Step(name, rows)
        for sealed in self._seals.seal(now - timedelta(days=1), now):
            if isinstance(sealed, Broken):
                where = f"writer {sealed.writer}, row {sealed.sequence}"
                yield Step("broken", 0, where)
            else:
                yield Step("seals", sealed.last - sealed.first + 1)
        if keep.audit is not None:
            for seal in self._seals.prunable(now - keep.audit):
                yield Step(AUDIT.name, self._seals.prune(seal, now))


def _old(keep: Keep, now: datetime) -> dict[Table, ColumnElement[bool]]:
    """Which rows are too old, of each table that has any that may be."""
    old: dict[Table, ColumnElement[bool]] = {}
    if keep.records is not None:
        since = now - keep.records
        limit, seconds, alert = instant(since), since.timestamp(), WEARABLE_ALERTS.c
        ended = or_(
            alert.end_utc < seconds,
            and_(alert.end_utc.is_(None), alert.start_utc < seconds),
        )
        old[CALLS] = CALLS.c.at < limit
        old[FEEDBACK] = FEEDBACK.c.received_at < limit
        key = alert.source + literal_column("'|'") + alert.id
        old[WEARABLE_ALERTS] = and_(ended, ~OPEN, ~_is_taken_back(since, key))
        for table, too_old in _old_tellings(since, EPISODE).items():
            same = [alert[name] == table.c[name] for name in PATIENT]
            stays = exists().where(*same, key == table.c.thing, ~old[WEARABLE_ALERTS])
            old[table] = and_(too_old, ~stays)
    if keep.audit is not None:
        old[AUDIT] = AUDIT.c.at < instant(now - keep.audit)
    if keep.summaries is not None:
        day = (now - keep.summaries).date().isoformat()
        old |= {each: each.c.day < day for each in (SUMMARIES, TALLIES)}
        tellings = _old_tellings(now - keep.summaries - AFTER_A_DAY, DAY)
        for table, too_old in tellings.items():
            old[table] = or_(too_old, old[table]) if table in old else too_old
    return old


def _is_taken_back(since: datetime, key: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether somebody still is to be told that an alert does not hold."""
    alert, row = WEARABLE_ALERTS.c, OUTBOX.c
    same = [alert[name] == row[name] for name in PATIENT]
    # By which the index of the outbox begins.
    same.append(row.destination.in_(select(DESTINATIONS.c.destination)))
    newly = and_(row.state == WAITING, row.due_us >= microseconds(since))
    waits = exists().where(*same, row.kind == EPISODE, row.thing == key, newly)
    return and_(alert.status == "retracted", waits)


def _old_tellings(since: datetime, kind: str) -> dict[Table, ColumnElement[bool]]:
    """What was told before, and what waits since then.

    What a destination has is known until what is to be changed there is told.
    """
    at, told, waits = microseconds(since), TOLD.c, OUTBOX.c
    waiting = exists().where(*(waits[name] == told[name] for name in THING))
    return {
        OUTBOX: and_(waits.kind == kind, waits.noted_us < at, waits.due_us < at),
        TOLD: and_(told.kind == kind, told.told_us < at, ~waiting),
    }


def _ends(keep: Keep, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Before when samples, and what is in quarantine, are too old."""
    return (
        None if keep.samples is None else now - keep.samples,
        None if keep.quarantine is None else now - keep.quarantine,
    )


def _remove_calls(connection: Connection, old: ColumnElement[bool]) -> int:
    """Some calls, with their cards and what was held back; how many rows went."""
    asked = select(CALLS.c.id).where(old).order_by(CALLS.c.at).limit(CALLS_AT_ONCE)
    calls = [row.id for row in connection.execute(asked)]
    if not calls:
        return 0
    gone = 0
    for table, call in (
        (SUPPRESSIONS, SUPPRESSIONS.c.call_id),
        (CARDS, CARDS.c.call_id),
        (CARD_REFERENCES, CARD_REFERENCES.c.call_id),
        (CALLS, CALLS.c.id),
    ):
        gone += connection.execute(delete(table).where(call.in_(calls))).rowcount
    return gone


def _remover(table: Table) -> Any:
    key = list(table.primary_key)

    def remove(connection: Connection, old: ColumnElement[bool]) -> int:
        some: Select[Any] = select(*key).where(old).limit(AT_ONCE)
        which = key[0] if len(key) == 1 else tuple_(*key)
        return connection.execute(delete(table).where(which.in_(some))).rowcount

    return remove
