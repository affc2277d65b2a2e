"""Quarantine: what was told of wearers whom no link names, until one does.

It is bounded: of one wearer and of all together so many items are held, and the oldest
stay, so that whoever sends much of nobody pushes nobody's readings out. What is held is
released once, and taken in as if it came then.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from ...wearables.held import Holdable, held_json, held_key, read_held
from ...wearables.samples import microseconds
from ..database import Database, Prepared, lock_table
from ..recorder import Recorder
from ..records import AuditEvent, Outdated
from ..rows import canonical_json, instant
from .bulk import AT_ONCE
from .records import HeldBatch, ItemOutcome, QuarantineLimits, UnknownWearer
from .rows import moment
from .streams import LONG_AGO
from .tables import QUARANTINE


class Released(Outdated):
    """Somebody else has released or dropped some of it meanwhile."""


@dataclass(frozen=True, slots=True)
class HeldItem:
    """One item that is held."""

    id: int
    wearer: UnknownWearer
    format: str
    """In which it came."""
    item: Holdable
    held: datetime
    """Since when; UTC."""


@dataclass(frozen=True, slots=True)
class HeldSummary:
    """What is held of one wearer."""

    wearer: UnknownWearer
    items: int
    since: datetime
    """When the first of it came; UTC."""
    first: datetime | None
    """The earliest start; UTC. None where none has any."""
    last: datetime | None


class Quarantine:
    """What one database holds."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def wearers(self, tenant: str) -> tuple[HeldSummary, ...]:
        """Return of whom something is held, by source, user and device."""
        row = QUARANTINE.c
        names = [row[name] for name in UnknownWearer._fields]
        timed = func.nullif(row.start_us, LONG_AGO)
        asked = (
            select(*names, func.count(), func.min(row.held), func.min(timed),
                   func.max(timed))  # fmt: skip
            .where(row.tenant == tenant)
            .group_by(*names)
            .order_by(*names)
        )
        with self._database.reading() as connection:
            found = connection.execute(asked).all()
        return tuple(
            HeldSummary(
                UnknownWearer(*each[:4]),
                items=each[4],
                since=datetime.fromisoformat(each[5]),
                first=None if each[6] is None else moment(each[6]),
                last=None if each[7] is None else moment(each[7]),
            )
            for each in found
        )

    def items(
        self, wearer: UnknownWearer, after: int = 0, most: int = 1000
    ) -> tuple[HeldItem, ...]:
        """Return what is held of a wearer, oldest first, from after an id on."""
        row = QUARANTINE.c
        asked = select(QUARANTINE).where(_of(wearer), row.id > after)
        with self._database.reading() as connection:
            found = connection.execute(asked.order_by(row.id).limit(most)).all()
        return tuple(map(_held, found))

    def drop(self, wearer: UnknownWearer, audit_event: AuditEvent) -> int:
        """Return how many items of a wearer were thrown away."""
        gone: list[int] = []

        def work(connection: Connection) -> dict[str, Any]:
            done = connection.execute(delete(QUARANTINE).where(_of(wearer)))
            gone.append(done.rowcount)
            return {"dropped": gone[-1]}

        self._recorder.record(audit_event, work)
        return gone[-1]


def hold(
    connection: Connection,
    batches: Sequence[HeldBatch],
    limits: QuarantineLimits,
    now: datetime,
) -> list[list[ItemOutcome]]:
    """Return what became of every item: held, held before, or there is no room."""
    if not batches:
        return []
    # Who holds at the same time waits, so that both together keep to the limits.
    lock_table(connection, QUARANTINE)
    counted = select(func.count()).select_from(QUARANTINE)
    room = limits.whole - connection.execute(counted).scalar_one()
    outcomes = []
    for each in batches:
        of_wearer = connection.execute(counted.where(_of(each.wearer))).scalar_one()
        own_room = min(limits.per_wearer - of_wearer, room)
        told = _hold(connection, each, own_room, now)
        room -= told.count(ItemOutcome.QUARANTINED)
        outcomes.append(told)
    return outcomes


def release(connection: Connection, ids: Sequence[int]) -> None:
    """Have these items be held no longer.

    Raises:
        Released: if one of them is not any more.
    """
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        gone = delete(QUARANTINE).where(QUARANTINE.c.id.in_(some))
        if connection.execute(gone).rowcount != len(some):
            raise Released("some of it was released or dropped meanwhile")


def _hold(
    connection: Connection, batch: HeldBatch, room: int, now: datetime
) -> list[ItemOutcome]:
    asked = select(QUARANTINE.c.key, QUARANTINE.c.revision).where(_of(batch.wearer))
    revisions = {bytes(key): told for key, told in connection.execute(asked)}
    rows: dict[bytes, dict[str, Any]] = {}
    outcomes = []
    for item in batch.items:
        key = held_key(item)
        known = revisions.get(key)
        if known is None and room <= 0:
            outcomes.append(ItemOutcome.NO_ROOM)
        elif known is not None and item.revision < known:
            outcomes.append(ItemOutcome.OUTDATED)
        else:
            new = known is None
            room -= new
            outcomes.append(ItemOutcome.QUARANTINED if new else ItemOutcome.DUPLICATE)
            revisions[key] = item.revision
            rows[key] = _row(batch, item, key, now)
    if rows:
        _HOLD.run(connection, *rows.values())
    return outcomes


def _row(batch: HeldBatch, item: Holdable, key: bytes, now: datetime) -> dict[str, Any]:
    return {
        **batch.wearer._asdict(),
        "format": batch.format,
        "key": key,
        "revision": item.revision,
        "start_us": microseconds(item.start) if item.start else LONG_AGO,
        "item": canonical_json(held_json(item)),
        "held": instant(now),
    }


def _held(row: Row[Any]) -> HeldItem:
    return HeldItem(
        id=row.id,
        wearer=UnknownWearer(row.tenant, row.source, row.user, row.device),
        format=row.format,
        item=read_held(json.loads(row.item)),
        held=datetime.fromisoformat(row.held),
    )


def _of(wearer: UnknownWearer) -> ColumnElement[bool]:
    told = wearer._asdict().items()
    return and_(*(QUARANTINE.c[name] == value for name, value in told))


def _hold_statement() -> Prepared:
    """Insert, or replace what was told of the same before; since when it is stays."""
    new = insert(QUARANTINE)
    changes = {
        name: new.excluded[name] for name in ("format", "revision", "start_us", "item")
    }
    key = [QUARANTINE.c[name] for name in (*UnknownWearer._fields, "key")]
    return Prepared(
        new.on_conflict_do_update(index_elements=key, set_=changes),
        [each.name for each in QUARANTINE.columns if each.name != "id"],
    )


_HOLD = _hold_statement()
