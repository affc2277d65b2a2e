"""Sessions in the database: opened, found by id and key, doubled, ended and wiped.

Nothing waits for another server inside a transaction here: who refreshes tokens holds
their row by a lease, for as long as that may take.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Row,
    Update,
    and_,
    delete,
    insert,
    select,
    update,
)

from ...wearables.days import moment
from ...wearables.records import PatientKey
from ...wearables.samples import microseconds
from ..database import Database
from ..grants.records import SealedTokens
from ..recorder import Recorder
from ..records import AuditEvent, Outdated
from .records import IDLE, LaunchTokens, SmartSession, SweptSignIns
from .tables import PENDING, SESSIONS, TICKETS, TOKENS

KEPT = timedelta(days=1)
"""How long it is known that a session has ended."""
TOUCHED = timedelta(minutes=1)
"""A page sooner after the one before is not written down."""
Reseal = Callable[[str, str, str], str | None]
"""Gives a text under the newest key, from what it is (``context``, ``access`` or
``refresh``), whose it is and how it stands; None where it is under it."""


class SmartSessions:
    """The sessions of one database."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def open(
        self,
        session: SmartSession,
        key_hash: str,
        tokens: SealedTokens,
        audit_event: AuditEvent,
    ) -> None:
        """Have a session there with the tokens of its launch, and its audit row."""
        begun = {"launch": session.launch, "epoch": 1, "held_until_us": 0}

        def work(connection: Connection) -> None:
            connection.execute(insert(SESSIONS).values(_row(session, key_hash)))
            connection.execute(insert(TOKENS).values(_tokens(tokens) | begun))

        self._recorder.record(audit_event, work)

    def find(self, id: str, key_hash: str, now: datetime) -> SmartSession | None:
        """Return the session of an id and a key, which is good for longer with that.

        None where there is none, or it has ended, or the key is another's.
        """
        mine = and_(SESSIONS.c.id == id, SESSIONS.c.key_hash == key_hash)
        with self._database.reading() as connection:
            row = connection.execute(select(SESSIONS).where(mine, _lasts(now))).first()
        if row is None:
            return None
        found = _session(row)
        longer = min(now + IDLE, found.until)
        if longer - found.idle_until < TOUCHED:
            return found
        touched = update(SESSIONS).where(mine, _lasts(now))
        told = touched.values(idle_until_us=microseconds(longer))
        self._database.write(lambda each: each.execute(told) and None, durable=False)
        return replace(found, idle_until=longer)

    def living(self, ids: Collection[str], now: datetime) -> tuple[str, ...]:
        """Return which of these ids wait for a sign-in or are open, oldest first."""
        row, now_us = PENDING.c, microseconds(now)
        waits = and_(row.id.in_(ids), row.used_us.is_(None), row.until_us > now_us)
        waiting = select(row.id, row.begun_us).where(waits)
        here = select(SESSIONS.c.id, SESSIONS.c.opened_us)
        opened = here.where(SESSIONS.c.id.in_(ids), _lasts(now))
        with self._database.reading() as connection:
            found = [*connection.execute(waiting), *connection.execute(opened)]
        return tuple(each[0] for each in sorted(found, key=lambda each: each[1]))

    def end(self, launch: str, why: str, audit_event: AuditEvent) -> bool:
        """Check if a launch ends here: all its windows, and its tokens are gone."""
        lasting = and_(SESSIONS.c.launch == launch, SESSIONS.c.ended_us.is_(None))
        done: list[bool] = []

        def work(connection: Connection) -> dict[str, Any]:
            # Their row is the lock of a launch: who opens a window has it as well.
            connection.execute(delete(TOKENS).where(_of(launch)))
            change = _ending(lasting, why, audit_event.at)
            ended = connection.execute(change.returning(SESSIONS.c.id)).scalars().all()
            connection.execute(delete(TICKETS).where(TICKETS.c.session.in_(ended)))
            done.append(bool(ended))
            return {"windows": len(ended)}

        self._recorder.record(audit_event, work)
        return done[-1]

    # Tickets

    def give_ticket(self, session: str, ticket_hash: str, until: datetime) -> None:
        """Have a ticket there that opens one more window of a session."""
        row = {
            "ticket_hash": ticket_hash,
            "session": session,
            "until_us": microseconds(until),
        }
        added = insert(TICKETS).values(row)
        self._database.write(lambda each: each.execute(added) and None)

    def redeem_ticket(self, ticket_hash: str, now: datetime) -> SmartSession | None:
        """Return the session that a ticket is of, which it is once.

        None where there is no such ticket (any more), or its session has ended.
        """
        row, now_us = TICKETS.c, microseconds(now)
        waits = and_(row.ticket_hash == ticket_hash, row.used_us.is_(None))
        alive = and_(waits, row.until_us > now_us)
        taken = update(TICKETS).where(alive).values(used_us=now_us)

        def work(connection: Connection) -> Row[Any] | None:
            id = connection.execute(taken.returning(row.session)).scalar()
            asked = select(SESSIONS).where(SESSIONS.c.id == id, _lasts(now))
            return connection.execute(asked).first()

        with self._database.reading() as connection:
            if connection.execute(select(row.session).where(alive)).first() is None:
                return None
        found = self._database.write(work)
        return None if found is None else _session(found)

    def open_window(
        self, session: SmartSession, key_hash: str, audit_event: AuditEvent
    ) -> bool:
        """Check if one more window of a launch is there; none is of one that ended."""
        locked = select(TOKENS.c.epoch).where(_of(session.launch)).with_for_update()
        added = insert(SESSIONS).values(_row(session, key_hash))

        def work(connection: Connection) -> None:
            if connection.execute(locked).first() is None:
                raise Outdated("the session has ended")
            connection.execute(added)

        try:
            self._recorder.record(audit_event, work)
        except Outdated:
            return False
        return True

    # Tokens

    def tokens(self, launch: str) -> LaunchTokens | None:
        """Return the tokens of a launch; None where it has ended."""
        with self._database.reading() as connection:
            row = connection.execute(select(TOKENS).where(_of(launch))).first()
        return None if row is None else _launch_tokens(row)

    def hold_tokens(self, held: LaunchTokens, now: datetime, until: datetime) -> bool:
        """Check if tokens are as they were read, and have them alone until then.

        Whoever has them may refresh them; a refresh token is never used by two.
        """
        free = and_(_same(held), TOKENS.c.held_until_us <= microseconds(now))
        taken = update(TOKENS).where(free).values(held_until_us=microseconds(until))
        return self._database.write(lambda each: each.execute(taken).rowcount == 1)

    def renew_tokens(self, held: LaunchTokens, tokens: SealedTokens) -> bool:
        """Check if tokens take the place of those that were held; others may now.

        They do not where the launch has ended meanwhile.
        """
        told = {"epoch": held.epoch + 1, "held_until_us": 0}
        change = update(TOKENS).where(_same(held)).values(_tokens(tokens) | told)
        return self._database.write(lambda each: each.execute(change).rowcount == 1)

    def leave_tokens(self, held: LaunchTokens) -> None:
        """Let others hold them: nothing has become of it."""
        free = update(TOKENS).where(_same(held)).values(held_until_us=0)
        self._database.write(lambda each: each.execute(free) and None)

    # Upkeep

    def sweep(
        self, now: datetime, tell: Callable[[SmartSession], AuditEvent]
    ) -> SweptSignIns:
        """Return what was over: tokens and contexts are wiped, and old rows gone.

        Args:
            tell: Gives the audit row of a session whose time is over.
        """
        row, now_us = SESSIONS.c, microseconds(now)
        over = and_(row.ended_us.is_(None), ~_in_time(now))
        old = (
            (PENDING, PENDING.c.until_us <= now_us),
            (TICKETS, TICKETS.c.until_us <= now_us),
            (SESSIONS, row.ended_us <= microseconds(now - KEPT)),
        )
        with self._database.reading() as connection:
            found = connection.execute(select(SESSIONS).where(over)).all()
            looked = [select(which).where(which) for _, which in old]
            stale = any(connection.execute(e.limit(1)).first() for e in looked)
        held: list[tuple[SmartSession, LaunchTokens]] = []
        ended = [e for e in map(_session, found) if self._time_out(e, tell, held)]
        gone = [delete(table).where(which) for table, which in old] if stale else []
        rows = (self._database.write(partial(_count_gone, each)) for each in gone)
        return SweptSignIns(tuple(ended), tuple(held), sum(rows))

    def _time_out(
        self,
        session: SmartSession,
        tell: Callable[[SmartSession], AuditEvent],
        held: list[tuple[SmartSession, LaunchTokens]],
    ) -> bool:
        """Whether it ends here; the tokens go with the last window of its launch."""
        event, row, launch = tell(session), SESSIONS.c, _of(session.launch)
        over = and_(row.id == session.id, row.ended_us.is_(None), ~_in_time(event.at))
        others = and_(row.launch == session.launch, row.ended_us.is_(None))
        locked = select(TOKENS).where(launch).with_for_update()
        gone: list[LaunchTokens] = []

        def work(connection: Connection) -> None:
            gone.clear()
            tokens = connection.execute(locked).first()
            change = _ending(over, "it had expired", event.at)
            if not connection.execute(change).rowcount:
                raise Outdated("somebody else has ended it")
            last = connection.execute(select(row.id).where(others)).first() is None
            if last and tokens is not None:
                connection.execute(delete(TOKENS).where(launch))
                gone.append(_launch_tokens(tokens))

        try:
            self._recorder.record(event, work)
        except Outdated:
            return False
        held.extend((session, each) for each in gone)
        return True

    def reseal(self, reseal: Reseal) -> tuple[int, int]:
        """Return how many texts are sealed anew, and how many there were to see.

        Each is a transaction. What has changed meanwhile was sealed under the newest
        key, and is left alone.
        """
        done, seen = 0, 0
        for table, key, column, what in (
            (SESSIONS, SESSIONS.c.id, SESSIONS.c.sealed, "context"),
            (TOKENS, TOKENS.c.launch, TOKENS.c.access, "access"),
            (TOKENS, TOKENS.c.launch, TOKENS.c.refresh, "refresh"),
            (PENDING, PENDING.c.state_hash, PENDING.c.sealed, "pending"),
        ):
            with self._database.reading() as connection:
                asked = select(key, column).where(column != "")
                found = connection.execute(asked).all()
            for id, text in found:
                seen += 1
                sealed = reseal(what, id, text)
                if sealed is not None:
                    same = and_(key == id, column == text)
                    change = update(table).where(same).values({column.name: sealed})
                    done += self._database.write(lambda e: e.execute(change).rowcount)
        return done, seen


def _count_gone(statement: Delete, connection: Connection) -> int:
    return connection.execute(statement).rowcount


def _in_time(now: datetime) -> ColumnElement[bool]:
    row, now_us = SESSIONS.c, microseconds(now)
    return and_(row.idle_until_us > now_us, row.until_us > now_us)


def _lasts(now: datetime) -> ColumnElement[bool]:
    return and_(SESSIONS.c.ended_us.is_(None), _in_time(now))


def _ending(which: ColumnElement[bool], why: str, at: datetime) -> Update:
    told = {"ended_us": microseconds(at), "why_ended": why, "sealed": ""}
    return update(SESSIONS).where(which).values(told)


def _of(launch: str) -> ColumnElement[bool]:
    return TOKENS.c.launch == launch


def _same(held: LaunchTokens) -> ColumnElement[bool]:
    return and_(_of(held.launch), TOKENS.c.epoch == held.epoch)


def _row(session: SmartSession, key_hash: str) -> dict[str, Any]:
    return {
        "id": session.id,
        "key_hash": key_hash,
        "launch": session.launch,
        **PatientKey(session.tenant, session.fhir_base, session.patient)._asdict(),
        "client": session.client,
        "encounter": session.encounter,
        "user": session.user,
        "scopes": json.dumps(session.scopes),
        "sealed": session.sealed,
        "why_ended": "",
        "opened_us": microseconds(session.opened_at),
        "idle_until_us": microseconds(session.idle_until),
        "until_us": microseconds(session.until),
    }


def _session(row: Row[Any]) -> SmartSession:
    return SmartSession(
        id=row.id,
        launch=row.launch,
        tenant=row.tenant,
        client=row.client,
        fhir_base=row.fhir_base,
        patient=row.patient_id,
        encounter=row.encounter,
        user=row.user,
        scopes=tuple(json.loads(row.scopes)),
        opened_at=moment(row.opened_us),
        idle_until=moment(row.idle_until_us),
        until=moment(row.until_us),
        sealed=row.sealed,
    )


def _tokens(tokens: SealedTokens) -> dict[str, Any]:
    expires = tokens.expires
    return {
        "access": tokens.access,
        "refresh": tokens.refresh,
        "expires_us": None if expires is None else microseconds(expires),
    }


def _launch_tokens(row: Row[Any]) -> LaunchTokens:
    expires = row.expires_us
    sealed = SealedTokens(
        row.access, row.refresh, None if expires is None else moment(expires)
    )
    return LaunchTokens(row.launch, sealed, row.epoch)
