"""What servers were started with: one row whenever that is otherwise than before."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from .database import Database, lock_table
from .recorder import Recorder
from .records import AuditEvent, StoreError
from .rows import canonical_json, instant
from .tables import CONFIGURATIONS


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a server was started with."""

    server: str
    """The name of its machine."""
    inventory: Mapping[str, Any]
    """Name to plain JSON data; it holds no secret."""
    at: str = ""
    """ISO 8601 in UTC; empty as long as it is not recorded."""
    id: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal of the inventory as canonical JSON; empty for none."""
        if not self.inventory:
            return ""
        return hashlib.sha256(canonical_json(self.inventory).encode()).hexdigest()


NOTHING = Configuration("", {})
"""What stands before the first configuration."""

BuildEvent = Callable[[Configuration], AuditEvent]
"""The event of a configuration, by the one before it."""


class _Outpaced(StoreError):
    """Another start was recorded since the newest was read; nothing was stored."""


class Configurations:
    """The configurations of one database."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def newest(self, server: str) -> Configuration:
        """Return what the server was started with last.

        Before its first start that of any other, and ``NOTHING`` before all.
        """
        with self._database.reading() as connection:
            return _newest(connection, server)

    def record(
        self, configuration: Configuration, build_event: BuildEvent
    ) -> Configuration | None:
        """Store it with its audit row, unless its server was started with it last.

        Any number of processes may do so at once; for one configuration there is one
        row.

        Returns:
            What came before it; None where nothing was stored.

        Raises:
            StoreError: if it cannot be stored.
        """
        while True:
            before = self.newest(configuration.server)
            known = (before.server, before.digest)
            if known == (configuration.server, configuration.digest):
                return None
            try:
                self._add(configuration, before, build_event(before))
            except _Outpaced:
                # Each time somebody else got on, so this comes to its end.
                continue
            return before

    def _add(
        self, configuration: Configuration, before: Configuration, event: AuditEvent
    ) -> None:
        row = {
            "at": instant(event.at),
            "server": configuration.server,
            "digest": configuration.digest,
            "inventory": canonical_json(configuration.inventory),
        }

        def work(connection: Connection) -> None:
            lock_table(connection, CONFIGURATIONS)
            if _newest(connection, configuration.server).id != before.id:
                raise _Outpaced("another server was started meanwhile")
            connection.execute(insert(CONFIGURATIONS).values(row))

        self._recorder.record(event, work)


def _newest(connection: Connection, server: str) -> Configuration:
    own = CONFIGURATIONS.c.server == server
    asked = select(CONFIGURATIONS).order_by(own.desc(), CONFIGURATIONS.c.id.desc())
    row = connection.execute(asked.limit(1)).first()
    if row is None:
        return NOTHING
    return Configuration(row.server, json.loads(row.inventory), row.at, row.id)
