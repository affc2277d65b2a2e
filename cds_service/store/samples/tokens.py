"""Tokens of wearers: phones that cannot sign deliver by them, for one wearer each.

A token belongs to a link, which says whose readings they are. It is shown once; what is
kept is a digest, from which nobody can make it again.
"""

import hashlib
import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from ...wearables.links import WearerLink
from ..database import Database
from ..recorder import Recorder
from ..records import AuditEvent, StoreError
from ..rows import instant
from .links import UnknownLink, read_links
from .tables import LINK_TOKENS, LINKS

PREFIX = "cdsw_"
"""How each begins, so that it is known for what it is where it does not belong."""
BYTES = 32
SHOWN = 16
"""Characters of the digest by which people name a token."""


class UnknownToken(StoreError):
    """There is no such token, or it was revoked before."""


@dataclass(frozen=True, slots=True)
class WearerToken:
    """What a token permits."""

    id: str
    """By which people name it; it is no secret."""
    link: WearerLink
    formats: tuple[str, ...]
    """Those that may be delivered by it."""
    created: datetime
    last_used: date | None = None
    """A day in UTC."""
    revoked: datetime | None = None


class WearerTokens:
    """The tokens of one database."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def issue(
        self, link: WearerLink, formats: Collection[str], audit_event: AuditEvent
    ) -> str:
        """Return a new token for the wearer of a link; nobody can read it again.

        Raises:
            UnknownLink: if the link was taken back.
        """
        token = PREFIX + secrets.token_urlsafe(BYTES)
        digest = _digest(token)
        row = {
            "digest": digest,
            "link": link.id,
            "formats": json.dumps(sorted(formats)),
            "created": instant(audit_event.at),
        }

        def work(connection: Connection) -> dict[str, Any]:
            alive = LINKS.c.retracted.is_(None)
            asked = select(LINKS.c.id).where(LINKS.c.id == link.id, alive)
            held = asked.with_for_update(read=True)
            if connection.execute(held).first() is None:
                raise UnknownLink(f"there is no link {link.id}, or it was retracted")
            connection.execute(insert(LINK_TOKENS).values(row))
            return {"token": digest[:SHOWN]}

        self._recorder.record(audit_event, work)
        return token

    def find(self, token: str, now: datetime) -> WearerToken | None:
        """Return what a token permits; None if there is none, or it was revoked.

        The day is noted on which it was used.
        """
        digest, today = _digest(token), now.astimezone(UTC).date().isoformat()
        row = LINK_TOKENS.c
        with self._database.reading() as connection:
            asked = select(LINK_TOKENS).where(row.digest == digest)
            found = connection.execute(asked).first()
            if found is None or found.revoked is not None:
                return None
            links = read_links(connection, LINKS.c.id == found.link)
        if not links:
            return None  # the patient was erased in between
        if found.last_used != today:
            used = update(LINK_TOKENS).where(row.digest == digest)
            self._database.write(
                lambda each: each.execute(used.values(last_used=today)) and None,
                durable=False,
                repeatable=True,
            )
        return _token(found, links[0])

    def of(self, link: WearerLink) -> tuple[WearerToken, ...]:
        """Return the tokens of a link, those that were revoked too."""
        row = LINK_TOKENS.c
        asked = select(LINK_TOKENS).where(row.link == link.id).order_by(row.created)
        with self._database.reading() as connection:
            return tuple(_token(each, link) for each in connection.execute(asked))

    def revoke(self, id: str, audit_event: AuditEvent) -> None:
        """Have a token permit nothing from now on.

        Raises:
            UnknownToken: if there is none that is called so.
        """
        row = LINK_TOKENS.c
        whole = row.digest.startswith(id, autoescape=True)
        alive = row.revoked.is_(None)

        def work(connection: Connection) -> None:
            gone = update(LINK_TOKENS).where(whole, alive)
            done = connection.execute(gone.values(revoked=instant(audit_event.at)))
            if len(id) != SHOWN or done.rowcount != 1:
                raise UnknownToken(f"there is no token {id}, or it was revoked")

        self._recorder.record(audit_event, work)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _token(row: Row[Any], link: WearerLink) -> WearerToken:
    used, revoked = row.last_used, row.revoked
    return WearerToken(
        id=row.digest[:SHOWN],
        link=link,
        formats=tuple(json.loads(row.formats)),
        created=datetime.fromisoformat(row.created),
        last_used=date.fromisoformat(used) if used else None,
        revoked=datetime.fromisoformat(revoked) if revoked else None,
    )
