"""Public keys of the workbench that are thrown away: good for a while, on any node."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from ...wearables.samples import microseconds
from ..database import Database
from ..recorder import Recorder
from ..records import AuditEvent
from .tables import KEYS


class WorkbenchKeys:
    """The keys of one database; the private halves never were in it."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def keep(self, kid: str, jwk: str, until: datetime, event: AuditEvent) -> None:
        """Have tokens that a key signed be good until then; those that are over go."""
        over = delete(KEYS).where(KEYS.c.until_us <= microseconds(event.at))
        row = {"kid": kid, "jwk": jwk, "until_us": microseconds(until)}

        def work(connection: Connection) -> None:
            connection.execute(over)
            connection.execute(insert(KEYS).values(row))

        self._recorder.record(event, work)

    def find(self, kid: str, now: datetime) -> str | None:
        """Return a key as the text of a JWK; None where there is none, or no more."""
        row = KEYS.c
        asked = select(row.jwk).where(row.kid == kid, row.until_us > microseconds(now))
        with self._database.reading() as connection:
            return connection.execute(asked).scalar()
