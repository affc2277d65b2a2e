"""Sessions of the workbench in the database: offered, opened, found and ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from ...wearables.days import moment
from ...wearables.samples import microseconds
from ..database import Database
from ..recorder import Recorder
from ..records import AuditEvent
from .tables import LINKS, SESSIONS

TOUCHED_AFTER = timedelta(minutes=1)
"""So long it is not written down anew that somebody is there."""


@dataclass(frozen=True, slots=True)
class WorkbenchLink:
    """A way in that is good once."""

    hash: str
    """The SHA-256 of what the link bears."""
    subject: str
    """Who asked for it on the server's machine."""
    role: str
    until: datetime


@dataclass(frozen=True, slots=True)
class WorkbenchSession:
    """Somebody who is in."""

    key_hash: str
    issuer: str
    """Empty for who came by a link."""
    subject: str
    role: str
    signed_in: datetime
    """When they proved who they are, here or to who let them in."""
    idle_until: datetime
    until: datetime


class WorkbenchSessions:
    """The sessions of one database."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def offer(self, link: WorkbenchLink, audit_event: AuditEvent) -> None:
        """Have a link let somebody in, once; links that are over go."""
        over = LINKS.c.until_us <= microseconds(audit_event.at)
        row = {
            "link_hash": link.hash,
            "subject": link.subject,
            "role": link.role,
            "until_us": microseconds(link.until),
        }

        def work(connection: Connection) -> None:
            connection.execute(delete(LINKS).where(over))
            connection.execute(insert(LINKS).values(row))

        self._recorder.record(audit_event, work)

    def redeem(self, hash: str, now: datetime) -> WorkbenchLink | None:
        """Return the link of a hash, which it does once.

        None where there is none, or its time is over, or somebody was here before.
        """
        row, now_us = LINKS.c, microseconds(now)
        alive = and_(
            row.link_hash == hash, row.used_us.is_(None), row.until_us > now_us
        )
        taken = update(LINKS).where(alive).values(used_us=now_us)

        def work(connection: Connection) -> Row[Any] | None:
            return connection.execute(taken.returning(*LINKS.columns)).first()

        # Anybody may come with anything: it keeps nobody from writing.
        with self._database.reading() as connection:
            if connection.execute(select(row.link_hash).where(alive)).first() is None:
                return None
        found = self._database.write(work)
        if found is None:
            return None
        return WorkbenchLink(hash, found.subject, found.role, moment(found.until_us))

    def open(self, session: WorkbenchSession, audit_event: AuditEvent) -> None:
        """Have somebody in; sessions that are over go."""
        row, now_us = SESSIONS.c, microseconds(audit_event.at)
        over = or_(row.until_us <= now_us, row.idle_until_us <= now_us)
        told = {
            "key_hash": session.key_hash,
            "issuer": session.issuer,
            "subject": session.subject,
            "role": session.role,
            "signed_in_us": microseconds(session.signed_in),
            "idle_until_us": microseconds(session.idle_until),
            "until_us": microseconds(session.until),
        }

        def work(connection: Connection) -> None:
            connection.execute(delete(SESSIONS).where(over))
            connection.execute(insert(SESSIONS).values(told))

        self._recorder.record(audit_event, work)

    def find(
        self, key_hash: str, now: datetime, idle: timedelta
    ) -> WorkbenchSession | None:
        """Return the session of a key, which lasts from now on for *idle* again.

        None where there is none, or it is over.
        """
        row, now_us = SESSIONS.c, microseconds(now)
        alive = and_(
            row.key_hash == key_hash, row.until_us > now_us, row.idle_until_us > now_us
        )
        with self._database.reading() as connection:
            found = connection.execute(select(SESSIONS).where(alive)).first()
        if found is None:
            return None
        later = microseconds(now + idle)
        if later - found.idle_until_us >= TOUCHED_AFTER // timedelta(microseconds=1):
            touch = update(SESSIONS).where(alive).values(idle_until_us=later)
            self._database.write(
                lambda each: each.execute(touch) and None, durable=False
            )
        return WorkbenchSession(
            found.key_hash,
            found.issuer,
            found.subject,
            found.role,
            moment(found.signed_in_us),
            moment(later),
            moment(found.until_us),
        )

    def end(self, key_hash: str, audit_event: AuditEvent) -> None:
        """Have somebody out."""
        gone = delete(SESSIONS).where(SESSIONS.c.key_hash == key_hash)

        def work(connection: Connection) -> None:
            connection.execute(gone)

        self._recorder.record(audit_event, work)
