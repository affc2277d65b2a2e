"""Pulls in the database: who pulls, how far it is, and what notifications want."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from ...wearables.days import moment
from ...wearables.samples import microseconds
from ..claimants import is_gone, own
from ..database import Database
from ..records import StoreError
from .grants import read_grant
from .records import (
    CloudGrant,
    GrantState,
    Hold,
    NamedInterval,
    PullCursor,
    Pulled,
    WantedInterval,
)
from .tables import GRANTS, PULLS, WANTED

WANTED_KEPT = timedelta(days=30)
"""After so long nobody fetches any more what a notification named: of whom it was is
not connected here."""


FAILING = "failing"


class NotHeld(StoreError):
    """Somebody else works with the grant by now."""


class Pulls:
    """The pulls of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, hold: Hold, now: datetime, until: datetime) -> CloudGrant | None:
        """Return a grant that its holder has alone until then; it may be held on so.

        None where somebody else has it, or it has ended.
        """
        row, now_us = GRANTS.c, microseconds(now)
        over = or_(row.holder == "", row.held_until_us <= now_us)
        active = and_(row.id == hold.grant, row.state == GrantState.ACTIVE)
        asked = select(row.holder).where(active)

        def work(connection: Connection) -> Row[Any] | None:
            held = connection.execute(asked).scalar() or ""
            free = or_(over, _own(hold))
            if _has_died(connection, held):
                free = or_(free, row.holder == held)
            told = {
                "holder": f"{hold.holder} {_claimant(connection)}",
                "held_until_us": microseconds(until),
            }
            taken = update(GRANTS).where(active, free).values(told)
            return connection.execute(taken.returning(*GRANTS.columns)).first()

        found = self._database.write(work)
        return None if found is None else read_grant(found)

    def leave(self, hold: Hold) -> None:
        """Let others have the grant."""
        free = update(GRANTS).where(_own(hold)).values(holder="", held_until_us=0)
        self._database.write(lambda each: each.execute(free) and None)

    def cursors(self, grant: int) -> dict[str, PullCursor]:
        """Return how far each kind was pulled, of those that ever were."""
        asked = select(PULLS).where(PULLS.c.grant == grant)
        with self._database.reading() as connection:
            found = connection.execute(asked).all()
        return {each.kind: _cursor(each) for each in found}

    def fail(self, grant: int, cursor: PullCursor) -> None:
        """Have it known that a kind could not be pulled, and when to ask again."""
        told = {
            "due_us": 0 if cursor.due is None else microseconds(cursor.due),
            "failures": cursor.failures,
            "problem": cursor.problem,
        }
        key = {"grant": grant, "kind": cursor.kind}
        noted = insert(PULLS).values(key | told)
        either = noted.on_conflict_do_update(index_elements=[*key], set_=told)
        self._database.write(lambda each: each.execute(either) and None)

    def name(
        self,
        tenant: str,
        source: str,
        intervals: Iterable[NamedInterval],
        now: datetime,
    ) -> int:
        """Return how many of the intervals nobody had named before; all now wait.

        One that is named again while it is fetched is fetched once more.
        """
        told = {(each.user, each.kind, each.start, each.end) for each in intervals}
        rows = [
            {
                **{"tenant": tenant, "source": source, "user": user, "kind": kind},
                "start_us": microseconds(start),
                "end_us": microseconds(end),
                "noted_us": microseconds(now),
            }
            for user, kind, start, end in sorted(told)
        ]
        key = ("tenant", "source", "user", "kind", "start_us", "end_us")
        old = microseconds(now - WANTED_KEPT)

        def work(connection: Connection) -> int:
            connection.execute(delete(WANTED).where(WANTED.c.noted_us < old))
            new = 0
            for row in rows:
                named = and_(*(WANTED.c[name] == row[name] for name in key))
                again = update(WANTED).where(named).values(noted_us=row["noted_us"])
                if connection.execute(again).rowcount == 0:
                    added = insert(WANTED).values(row)
                    twice = added.on_conflict_do_nothing(index_elements=key)
                    told = connection.execute(twice.returning(WANTED.c.id))
                    new += told.first() is not None
            return new

        return self._database.write(work)

    def wanted(self, grant: CloudGrant) -> tuple[WantedInterval, ...]:
        """Return what notifications have named of the wearer of a grant."""
        row, wearer = WANTED.c, grant.wearer
        users = {grant.vendor_user or wearer.user}
        asked = select(WANTED).where(
            row.tenant == wearer.tenant,
            row.source == wearer.source,
            row.user.in_(users),
        )
        with self._database.reading() as connection:
            found = connection.execute(asked.order_by(row.start_us, row.id)).all()
        return tuple(map(_interval, found))

    def count(self) -> dict[str, dict[str, int]]:
        """Return how many grants there are of each source, by state, and how many of
        those that hold are ``failing``: something of them could not be pulled.
        """
        row = GRANTS.c
        whole = select(row.source, row.state, func.count())
        failed = select(PULLS.c.grant).where(PULLS.c.failures > 0)
        holding = and_(row.state == GrantState.ACTIVE, row.id.in_(failed))
        failing = select(row.source, literal(FAILING), func.count()).where(holding)
        counted: dict[str, dict[str, int]] = {}
        with self._database.reading() as connection:
            for asked, by in (
                (whole, (row.source, row.state)),
                (failing, (row.source,)),
            ):
                for source, state, number in connection.execute(asked.group_by(*by)):
                    counted.setdefault(source, {})[state] = number
        return counted

    def drop(self, intervals: Iterable[WantedInterval]) -> None:
        """Have intervals not be wanted that nobody has named again."""
        gone = tuple(intervals)
        self._database.write(lambda each: _fetched(each, gone))


def note_pulled(connection: Connection, pulled: Pulled) -> None:
    """Have it known how far a pull is, in the transaction of what it brought.

    Raises:
        NotHeld: if somebody else has the grant.
    """
    row, hold = GRANTS.c, pulled.hold
    held = select(row.id).where(_own(hold), row.state == GrantState.ACTIVE)
    if connection.execute(held.with_for_update()).first() is None:
        raise NotHeld("another process is pulling by this grant, or it has ended")
    _fetched(connection, pulled.wanted)
    if pulled.until is None:
        return
    until, known = pulled.until.isoformat(), PULLS.c
    well: dict[str, Any] = {"due_us": 0, "failures": 0, "problem": ""}
    key = {"grant": hold.grant, "kind": pulled.kind}
    noted = insert(PULLS).values(key | well | {"until": until})
    later = case((known.until > until, known.until), else_=until)
    told = well | {"until": later}
    connection.execute(noted.on_conflict_do_update(index_elements=[*key], set_=told))


def _own(hold: Hold) -> ColumnElement[bool]:
    named = GRANTS.c.holder.startswith(f"{hold.holder} ", autoescape=True)
    return and_(GRANTS.c.id == hold.grant, named)


def _claimant(connection: Connection) -> str:
    """Which process it is, where there is one machine. A session of PostgreSQL may end
    before the process does that had it: there a hold lasts until its time is over.
    """
    return own(connection) or "" if connection.dialect.name == "sqlite" else ""


def _has_died(connection: Connection, holder: str) -> bool:
    claimant = holder.partition(" ")[2]
    if connection.dialect.name != "sqlite" or not claimant:
        return False
    return is_gone(connection, claimant)


def _fetched(connection: Connection, intervals: Iterable[WantedInterval]) -> None:
    for each in intervals:
        same = and_(WANTED.c.id == each.id, WANTED.c.noted_us == each.noted_us)
        connection.execute(delete(WANTED).where(same))


def _cursor(row: Row[Any]) -> PullCursor:
    return PullCursor(
        row.kind,
        date.fromisoformat(row.until) if row.until else None,
        moment(row.due_us) if row.due_us else None,
        row.failures,
        row.problem,
    )


def _interval(row: Row[Any]) -> WantedInterval:
    start, end = moment(row.start_us), moment(row.end_us)
    return WantedInterval(row.id, row.kind, start, end, row.noted_us)
