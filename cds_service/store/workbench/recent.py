"""What a server did last, and what waits for somebody: without whose it was.

Read by whoever runs the server, so that no row here names a patient, a wearer or a
user, and none is in the words of another side.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from ..database import Database
from ..samples.tables import QUARANTINE
from ..tables import AUDIT, DELIVERIES

LOOK = 2000
"""Newest rows of the audit trail that calls are looked for in."""
_STATE, _ORIGIN, _WHY = 0, 1, 5
"""Where these stand in what a row of the trail has of a source."""


@dataclass(frozen=True, slots=True)
class RecentCall:
    """One call that was answered."""

    row: int
    """Its key in the audit trail."""
    at: datetime
    tenant: str
    client: str
    service: str
    hook: str
    cards: int
    held_back: int
    sources: Mapping[str, int]
    """How many parts of the chart were ``loaded``, ``partial`` and ``missing``."""
    fetched: int
    """Parts that were asked of a FHIR server."""
    unread: Mapping[str, int]
    """Why those that were asked for could not be read, and how many."""
    milliseconds: Mapping[str, float]
    """By phase, up to when it was recorded; empty for rows of before."""

    @property
    def total(self) -> float:
        """Milliseconds together."""
        return round(sum(self.milliseconds.values()), 1)


@dataclass(frozen=True, slots=True)
class SourceDeliveries:
    """The deliveries of one source in a time, by what they were answered."""

    source: str
    statuses: Mapping[int, int]
    """Status to number."""
    under_way: int
    """Not answered yet, or left by a process that died."""
    latest: datetime


@dataclass(frozen=True, slots=True)
class SourceHeld:
    """What is held of the wearers of one source whom nobody knows."""

    tenant: str
    source: str
    items: int
    wearers: int
    since: datetime


class Recent:
    """Reads what happened last in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def calls(self, most: int) -> tuple[RecentCall, ...]:
        """Return the newest calls, newest first; none older than so many rows."""
        row = AUDIT.c
        newest = select(func.coalesce(func.max(row.id), 0)).scalar_subquery()
        asked = (
            select(row.id, row.at, row.tenant, row.client, row.detail)
            .where(row.id > newest - LOOK, row.kind == "call", row.detail != "")
            .order_by(row.id.desc())
            .limit(most)
        )
        with self._database.reading() as connection:
            found = connection.execute(asked).all()
        return tuple(_call(*each) for each in found)

    def deliveries(self, now: datetime, span: timedelta) -> list[SourceDeliveries]:
        """Return what became of the deliveries of each source in the last *span*."""
        row, since = DELIVERIES.c, (now - span).timestamp()
        asked = (
            select(row.source, row.status, func.count(), func.max(row.begun_utc))
            .where(row.begun_utc >= since)
            .group_by(row.source, row.status)
            .order_by(row.source, row.status)
        )
        with self._database.reading() as connection:
            found = connection.execute(asked).all()
        by_source: dict[str, list[Any]] = {}
        for source, status, number, latest in found:
            by_source.setdefault(source, []).append((status, number, latest))
        return [_deliveries(name, each) for name, each in by_source.items()]

    def held(self) -> list[SourceHeld]:
        """Return how much is held of each source, and of how many wearers."""
        row = QUARANTINE.c
        wearers = (
            select(
                row.tenant,
                row.source,
                func.count().label("items"),
                func.min(row.held).label("since"),
            )
            .group_by(row.tenant, row.source, row.user, row.device)
            .subquery()
        )
        asked = (
            select(
                wearers.c.tenant,
                wearers.c.source,
                func.sum(wearers.c["items"]),
                func.count(),
                func.min(wearers.c.since),
            )
            .group_by(wearers.c.tenant, wearers.c.source)
            .order_by(wearers.c.tenant, wearers.c.source)
        )
        with self._database.reading() as connection:
            found = connection.execute(asked).all()
        return [
            SourceHeld(
                tenant, source, int(items), number, datetime.fromisoformat(since)
            )
            for tenant, source, items, number, since in found
        ]


def _call(row: int, at: str, tenant: str, client: str, detail: str) -> RecentCall:
    told = json.loads(detail)
    sources = [each for each in told.get("sources", {}).values() if _is_new(each)]
    asked = [each for each in sources if "fhir" in each[_ORIGIN]]
    return RecentCall(
        row=row,
        at=datetime.fromisoformat(at),
        tenant=tenant,
        client=client,
        service=told.get("service", ""),
        hook=told.get("hook", ""),
        cards=len(told.get("cards", ())),
        held_back=len(told.get("suppressed", ())),
        sources=Counter(each[_STATE] for each in sources),
        fetched=len(asked),
        unread=Counter(
            _kind_of(each[_WHY]) for each in sources if len(each) > _WHY and each[_WHY]
        ),
        milliseconds=told.get("milliseconds", {}),
    )


def _is_new(source: object) -> bool:
    """Whether it is written as it is now; rows of before say it in more words."""
    return isinstance(source, list) and len(source) > _ORIGIN


def _kind_of(why: str) -> str:
    """The beginning of a reason: what follows a colon may be another side's words."""
    return why.partition(":")[0]


def _deliveries(source: str, found: list[Any]) -> SourceDeliveries:
    return SourceDeliveries(
        source,
        {status: number for status, number, _ in found if status is not None},
        sum(number for status, number, _ in found if status is None),
        datetime.fromtimestamp(max(latest for _, _, latest in found), UTC),
    )
