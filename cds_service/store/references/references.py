"""References of cards: who may open one, until when, and that nothing stays of it.

A reference is looked for by its digest, so that how long the answer takes says nothing
of how near a guess was. That there is none, that it is over and that it is another's
are one answer.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, select, update

from ...wearables.records import PatientKey
from ..database import Database
from ..tables import CARD_REFERENCES
from .records import CardReference, digest_of

AT_ONCE = 1000
"""Rows of one transaction."""
Reseal = Callable[[CardReference], str | None]
"""Gives what is sealed under the newest key; None where it is already."""


class References:
    """The references of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def resolve(
        self,
        reference: str,
        patient: PatientKey,
        client: str,
        user: str | None,
        now: datetime,
        is_also: Callable[[str], bool] = lambda shown: False,
    ) -> CardReference | None:
        """Return a reference that may be opened; None where it may not, or is none.

        It may be opened again and again until it is over: by who comes from the same
        client about the same patient, and is the same user where both are known.

        Args:
            user: As ``Type/id`` or as an address on the patient's FHIR server.
            is_also: Tells whether somebody who was shown the card, under another
                reference, is this user; asked last, where all else is the same.
        """
        asked = select(CARD_REFERENCES).where(
            CARD_REFERENCES.c.digest == digest_of(reference)
        )
        with self._database.reading() as connection:
            row = connection.execute(asked).first()
        found = _reference(row) if row else None
        if found is None or now >= found.until:
            return None
        if (found.patient, found.client) != (patient, client):
            return None
        if found.user is None or user is None:
            return found
        base = patient.fhir_base
        shown = local_user(found.user, base)
        return found if shown == local_user(user, base) or is_also(shown) else None

    def wipe(self, now: datetime) -> int:
        """Return how many references that are over were removed.

        Nothing is written where none is.
        """
        over = CARD_REFERENCES.c.until_utc <= now.timestamp()
        some = select(CARD_REFERENCES.c.digest).where(over).limit(AT_ONCE)
        gone = 0
        while True:
            with self._database.reading() as connection:
                digests = connection.execute(some).scalars().all()
            if not digests:
                return gone
            named = delete(CARD_REFERENCES).where(CARD_REFERENCES.c.digest.in_(digests))

            def work(connection: Connection, named: Any = named) -> int:
                return connection.execute(named).rowcount

            gone += self._database.write(work, durable=False, repeatable=True)

    def reseal(self, reseal: Reseal) -> tuple[int, int]:
        """Return how many references are sealed anew, and how many there were to see.

        Each is a transaction.
        """
        row, done, seen, last = CARD_REFERENCES.c, 0, 0, ""
        while True:
            page = select(CARD_REFERENCES).where(row.digest > last).order_by(row.digest)
            with self._database.reading() as connection:
                found = connection.execute(page.limit(AT_ONCE)).all()
            if not found:
                return done, seen
            for each in map(_reference, found):
                seen += 1
                sealed = reseal(each)
                if sealed is not None:
                    same = and_(row.digest == each.digest, row.sealed == each.sealed)
                    change = update(CARD_REFERENCES).where(same).values(sealed=sealed)
                    done += self._database.write(_changer(change))
            last = found[-1].digest


def _changer(change: Any) -> Callable[[Connection], int]:
    return lambda connection: connection.execute(change).rowcount


def local_user(user: str, fhir_base: str) -> str:
    """Return a user of a FHIR server as ``Type/id``; of another server as it stands."""
    return user.removeprefix(f"{fhir_base.rstrip('/')}/")


def _reference(row: Row[Any]) -> CardReference:
    return CardReference(
        digest=row.digest,
        call=row.call_id,
        card_uuid=row.card,
        patient=PatientKey(row.tenant, row.fhir_base, row.patient_id),
        client=row.client,
        user=row.user,
        page=row.page,
        at=datetime.fromisoformat(row.at),
        until=datetime.fromtimestamp(row.until_utc, UTC),
        sealed=row.sealed,
    )
