"""What is served: rulebooks that were published, what was refused, who may publish.

Every process compiles the texts that stand here, never a folder that somebody may be
changing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    and_,
    case,
    cast,
    extract,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from .database import Database, lock_table
from .recorder import Recorder
from .records import AuditEvent, StoreError
from .rows import canonical_json, instant
from .tables import LEASES, PUBLICATIONS, REFUSALS, RULEBOOKS

PUBLISHING = "rulebook"
"""The name of the lease without which nobody watches and publishes."""
HOUSEKEEPING = "housekeeping"
"""That of the one without which nobody removes what is old at night."""
DETECTING = "detection"
"""That of the one without which nobody judges what is due."""


class NotLeased(StoreError):
    """Somebody else publishes by now; nothing was published."""


@dataclass(frozen=True, slots=True)
class Publication:
    """The rulebook that is to be served."""

    id: int
    digest: str
    at: str
    """ISO 8601 in UTC."""
    publisher: str
    rules: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A rulebook that is about to be published."""

    digest: str
    files: Mapping[str, str]
    """Path to text, without the tests."""
    checked: str
    """The digest of all files, tests included, as they passed."""
    rules: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rules that were not published."""

    at: str
    """ISO 8601 in UTC."""
    publisher: str
    checked: str
    findings: Sequence[Mapping[str, Any]]
    """Each with ``file``, ``line``, ``column``, ``code``, ``level``, ``message``."""


class Publications:
    """The published rulebooks of one database."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def newest(self) -> Publication | None:
        """Return what is to be served; None before anything was published."""
        return next(iter(self.latest(1)), None)

    def latest(self, most: int) -> tuple[Publication, ...]:
        """Return what was published last, newest first."""
        asked = select(PUBLICATIONS).order_by(PUBLICATIONS.c.id.desc()).limit(most)
        with self._database.reading() as connection:
            found = connection.execute(asked).all()
        return tuple(Publication(*row) for row in found)

    def await_next(self, seconds: float | None = None) -> None:
        """Return when something may have been published, or after a while.

        Args:
            seconds: How long to wait; by default so long that it is served in time.
        """
        self._database.await_news(seconds)

    def files(self, digest: str) -> Mapping[str, str]:
        """Return the texts of a rulebook, by path.

        Raises:
            StoreError: if it was never published, or is damaged.
        """
        asked = select(RULEBOOKS.c.files).where(RULEBOOKS.c.digest == digest)
        with self._database.reading() as connection:
            written = connection.execute(asked).scalar()
        if written is None:
            raise StoreError(f"no rulebook {digest} was published")
        try:
            files: Mapping[str, str] = json.loads(written)
        except ValueError as error:
            raise StoreError(f"the rulebook {digest} is damaged") from error
        return files

    def has_passed(self, digest: str, checked: str) -> bool:
        """Check whether exactly these files, tests included, were found good before.

        Args:
            digest: Of the rulebook that they make.
            checked: Of all files and the program that judges them.
        """
        asked = select(RULEBOOKS.c.digest).where(
            RULEBOOKS.c.digest == digest, RULEBOOKS.c.checked == checked
        )
        with self._database.reading() as connection:
            return connection.execute(asked).first() is not None

    def publish(
        self, draft: Draft, event: AuditEvent, publisher: str, epoch: int = 0
    ) -> None:
        """Have every process serve the draft from now on; one transaction.

        Args:
            epoch: In which the lease was had for this; 0 where nobody needs it.

        Raises:
            NotLeased: if somebody else has had it since.
        """

        def work(connection: Connection) -> None:
            if epoch and _hold_epoch(connection) != epoch:
                raise NotLeased("another process is publishing now")
            lock_table(connection, PUBLICATIONS)
            _keep(connection, draft)
            _heal(connection, event.at)
            row = {"digest": draft.digest, "rules": draft.rules}
            row |= {"at": instant(event.at), "publisher": publisher}
            connection.execute(insert(PUBLICATIONS).values(row))
            self._database.tell_news(connection)

        self._recorder.record(event, work)

    def confirm(self, draft: Draft, now: datetime) -> None:
        """Note that what is served already passed, and that no refusal stands."""

        def work(connection: Connection) -> None:
            lock_table(connection, PUBLICATIONS)
            _keep(connection, draft)
            _heal(connection, now)

        self._database.write(work)

    def refuse(
        self,
        checked: str,
        findings: Sequence[Mapping[str, Any]],
        event: AuditEvent,
        publisher: str,
    ) -> None:
        """Note why rules are not published; until something good comes, it stands."""

        def work(connection: Connection) -> None:
            lock_table(connection, PUBLICATIONS)
            _heal(connection, event.at)
            row = {"at": instant(event.at), "publisher": publisher}
            row |= {"checked": checked, "findings": canonical_json(list(findings))}
            connection.execute(insert(REFUSALS).values(row))

        self._recorder.record(event, work)

    def refusal(self) -> Refusal | None:
        """Return why the newest rules are not served; None where they are."""
        asked = (
            select(
                REFUSALS.c.at,
                REFUSALS.c.publisher,
                REFUSALS.c.checked,
                REFUSALS.c.findings,
            )
            .where(REFUSALS.c.until.is_(None))
            .order_by(REFUSALS.c.id.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(asked).first()
        if row is None:
            return None
        return Refusal(row.at, row.publisher, row.checked, json.loads(row.findings))

    def take_lease(
        self, holder: str, now: datetime, seconds: float, name: str = PUBLISHING
    ) -> int:
        """Return the epoch in which *holder* alone may publish for so many *seconds*.

        0 where somebody else may. Who has it takes it anew, in the same epoch; who died
        loses it when the time is up, and the next one begins another.

        Args:
            now: What the time is, unless the database serves many machines: then its
                own clock counts.
            name: Of the lease, where it is not that of publishing.
        """

        def work(connection: Connection) -> int:
            moment = _moment(connection, now)
            new, row = upsert(LEASES), LEASES.c
            values = {"holder": holder, "until_utc": moment + seconds}
            other = case((row.holder == holder, 0), else_=1)
            taken = new.values(name=name, epoch=1, **values)
            taken = taken.on_conflict_do_update(
                index_elements=[row.name],
                set_={**values, "epoch": row.epoch + other},
                where=or_(row.holder == holder, row.until_utc <= moment),
            )
            return connection.execute(taken.returning(row.epoch)).scalar() or 0

        return self._database.write(work, durable=False, repeatable=True)

    def give_lease_back(self, holder: str) -> None:
        """Let the next one publish at once, if *holder* has the lease."""
        mine = and_(LEASES.c.name == PUBLISHING, LEASES.c.holder == holder)
        given = update(LEASES).where(mine).values(until_utc=0.0)
        self._database.write(
            lambda connection: connection.execute(given), durable=False, repeatable=True
        )

    def lease_holder(self, now: datetime) -> str:
        """Return who may publish now, as in ``take_lease``; empty where nobody does."""
        with self._database.reading() as connection:
            return _holder(connection, now)


def _holder(connection: Connection, now: datetime) -> str:
    lasting = LEASES.c.until_utc > _moment(connection, now)
    asked = select(LEASES.c.holder).where(LEASES.c.name == PUBLISHING, lasting)
    return connection.execute(asked).scalar() or ""


def _hold_epoch(connection: Connection) -> int:
    """The epoch of the lease, which stays until the transaction ends; 0 before any."""
    asked = select(LEASES.c.epoch).where(LEASES.c.name == PUBLISHING)
    return connection.execute(asked.with_for_update()).scalar() or 0


def _moment(connection: Connection, now: datetime) -> ColumnElement[float]:
    """Seconds since 1970, by the clock that all who ask have in common."""
    if connection.dialect.name == "sqlite":
        return literal(now.timestamp())
    return cast(extract("epoch", func.clock_timestamp()), Double)


def _keep(connection: Connection, draft: Draft) -> None:
    same = RULEBOOKS.c.digest == draft.digest
    # The texts as well: those that stand there may have been damaged.
    files = canonical_json(dict(draft.files))
    values = {"files": files, "checked": draft.checked}
    again = update(RULEBOOKS).where(same).values(values)
    if connection.execute(again).rowcount == 0:
        connection.execute(insert(RULEBOOKS).values({**values, "digest": draft.digest}))


def _heal(connection: Connection, now: datetime) -> None:
    standing = REFUSALS.c.until.is_(None)
    healed = update(REFUSALS).where(standing).values(until=instant(now))
    connection.execute(healed)
