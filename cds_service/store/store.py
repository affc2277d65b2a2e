"""Store: everything that outlives a request.

One transaction records one thing together with its row in the audit trail. A chain of
audit rows belongs to one process, so that no process waits for another to learn its
last hash.
"""

import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, select

from ..protocol.feedback import FeedbackEntry
from ..rulebook.engine import Display, Lookback
from ..wearables.records import PatientKey, WearableAlert
from . import deliveries, displays, feedback, rows, tables
from .configurations import Configurations
from .consents import Consents, apply_change, expect_consents
from .database import Database, make_file, read_url
from .displays import OwnCall
from .migrate import upgrade
from .publications import Publications
from .recorder import Recorder
from .records import (
    AuditEntry,
    AuditEvent,
    Caller,
    CallRecord,
    Claim,
    Intake,
    StoreError,
)
from .reports import Reports
from .statements import (
    ADD_CALL,
    ADD_CARD,
    ADD_SUPPRESSION,
    ALERTS_SINCE,
    RETRACT_ALERT,
    SAVE_ALERT,
    SPEND_TOKEN,
)

TOKENS_KEPT = timedelta(hours=1)
"""How long a spent token is remembered after nobody accepts it any more."""
PRUNE_EVERY = timedelta(minutes=1)
PAGE = 1000
"""Rows of the audit trail that are read at a time."""


class Store:
    """The database, for every thread of one process.

    Best opened after a fork. One opened before it serves the child as well: there it
    takes connections and an audit chain of its own.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._inherited: list[Database] = []
        self._database = Database(file)
        self._recorder = Recorder(self._database)
        self._pruned: datetime | None = None
        os.register_at_fork(after_in_child=_starter(weakref.ref(self)))

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> "Store":
        """The store at a database URL, ``sqlite:///file``; nothing is read yet.

        Args:
            create: Make the file where there is none.

        Raises:
            StoreError: if it is no URL of an SQLite file, or there is no such file.
        """
        parsed = read_url(url)
        if parsed.get_backend_name() != "sqlite":
            raise StoreError(f"{parsed.drivername}: only sqlite:/// is supported")
        if not parsed.database or parsed.database == ":memory:" or parsed.query:
            raise StoreError("the database URL must name a file: sqlite:///file")
        file = Path(parsed.database).absolute()
        if create:
            make_file(file)
        elif not file.is_file():
            raise StoreError("there is no such database")
        return cls(file)

    def migrate(self) -> None:
        """Bring the schema up to date; any number of processes may do so at once."""
        upgrade(self._file, self._database)

    @property
    def publications(self) -> Publications:
        """The rulebooks that are served."""
        return Publications(self._database, self._recorder)

    @property
    def consents(self) -> Consents:
        """What patients permit."""
        return Consents(self._database, self._recorder)

    @property
    def configurations(self) -> Configurations:
        """What servers were started with."""
        return Configurations(self._database, self._recorder)

    @property
    def reports(self) -> Reports:
        """What became of cards."""
        return Reports(self._database)

    def close(self) -> None:
        """Close every connection of this process."""
        self._database.close()

    def ping(self) -> None:
        """Return if the database answers and has its schema.

        Raises:
            StoreError: if not.
        """
        with self._database.reading() as connection:
            connection.execute(select(tables.AUDIT.c.id).limit(1))

    def spend_token(
        self, issuer: str, jti: str, expires_at: datetime, now: datetime
    ) -> bool:
        """Whether the token is new; from now on it is not, in any process."""
        row = {"issuer": issuer, "jti": jti, "expires_utc": expires_at.timestamp()}
        with self._database.writing(durable=False) as connection, connection.begin():
            self._prune(connection, now)
            return SPEND_TOKEN.run(connection, row).rowcount == 1

    def wearable_alerts(
        self, patient: PatientKey, since: datetime
    ) -> tuple[WearableAlert, ...]:
        """The patient's alerts that lasted until *since* or later, oldest first.

        Without those that were retracted.
        """
        asked = {**patient._asdict(), "since": since.timestamp()}
        with self._database.reading() as connection:
            found = ALERTS_SINCE.ask(connection, asked).all()
        return tuple(rows.wearable_alert(row) for row in found)

    def displays(
        self, patient: PatientKey, lookback: Lookback, call: OwnCall | None = None
    ) -> tuple[Display, ...]:
        """What was shown for the patient before, newest first, at most ``MOST``.

        Args:
            call: The call that asks: what an earlier answer to it showed is its own.
                None where calls cannot be told apart; then nothing is.
        """
        with self._database.reading() as connection:
            return displays.read(connection, patient, lookback, call)

    def begin_delivery(
        self, source: str, key: str, digest: str, now: datetime
    ) -> Claim:
        """Claim a delivery, or say what became of it.

        A claim that was neither finished nor abandoned is given to the next who asks
        after ``deliveries.TAKEN_OVER_AFTER``.
        """
        with self._database.writing(durable=False) as connection, connection.begin():
            self._prune(connection, now)
            return deliveries.claim(connection, source, key, digest, now)

    def finish_delivery(
        self,
        source: str,
        key: str,
        status: int,
        body: str,
        intake: Intake,
        audit_event: AuditEvent,
        now: datetime,
    ) -> None:
        """Store what came, the answer and the audit row, or nothing of it.

        Of two revisions of an alert the higher stays, whichever came first.

        Raises:
            ConsentsChanged: if other Consents hold than the intake rests on.
            StoreError: if the delivery is not in progress.
        """

        alert_rows = [rows.alert_row(each) for each in intake.alerts]
        retractions = [rows.retraction_row(each) for each in intake.retracted]

        def work(connection: Connection) -> None:
            expect_consents(connection, intake.seen)
            deliveries.finish(connection, source, key, status, body, now)
            if alert_rows:
                SAVE_ALERT.run(connection, *alert_rows)
            if retractions:
                RETRACT_ALERT.run(connection, *retractions)
            for change in intake.changes:
                apply_change(connection, change, now)

        self._recorder.record(audit_event, work)

    def abandon_delivery(self, source: str, key: str) -> None:
        """Give the claim back: the delivery may come again as if it were new."""
        with self._database.writing(durable=False) as connection, connection.begin():
            deliveries.abandon(connection, source, key)

    def record_call(self, call: CallRecord, audit_event: AuditEvent) -> None:
        """Store the call, its cards, what was held back and the audit row, or nothing.

        A card that is there already, from an identical call, stays as it was.

        Raises:
            ConsentsChanged: if other Consents hold than the cards rest on.
        """

        call_row = rows.call_row(call)
        use = call.consent
        card_rows = [rows.card_row(each, call) for each in call.cards]
        held_rows = [rows.suppression_row(each) for each in call.suppressions]

        def work(connection: Connection) -> None:
            if use and use.seen is not None:
                expect_consents(connection, {call.patient: use.seen})
            if use and use.change:
                apply_change(connection, use.change, call.at)
            call_id = ADD_CALL.run(connection, call_row).lastrowid
            for statement, added in (
                (ADD_CARD, card_rows),
                (ADD_SUPPRESSION, held_rows),
            ):
                if added:
                    full = ({**row, "call_id": call_id} for row in added)
                    statement.run(connection, *full)

        self._recorder.record(audit_event, work)

    def record_feedback(
        self,
        service: str,
        entries: Sequence[FeedbackEntry],
        client: Caller,
        audit_event: AuditEvent,
        now: datetime,
    ) -> None:
        """Store the entries and the audit row, or nothing of it.

        Each joins the rule and version of its card; one about a card that this client
        was not shown is kept and flagged.
        """
        self._recorder.record(
            audit_event,
            lambda connection: feedback.save(connection, service, entries, client, now),
        )

    def record_audit(self, event: AuditEvent) -> None:
        """Store a row of the audit trail by itself."""
        self._recorder.record(event, lambda connection: None)

    def audit_entries(self) -> Iterator[AuditEntry]:
        """The audit trail in the order of arrival, a page at a time."""
        last = 0
        while True:
            page = (
                select(tables.AUDIT)
                .where(tables.AUDIT.c.id > last)
                .order_by(tables.AUDIT.c.id)
                .limit(PAGE)
            )
            with self._database.reading() as connection:
                found = connection.execute(page).mappings().all()
            yield from map(rows.audit_entry, found)
            if len(found) < PAGE:
                return
            last = found[-1]["id"]

    def _prune(self, connection: Connection, now: datetime) -> None:
        """Forget now and then what nobody will ask for again."""
        if self._pruned and now - self._pruned < PRUNE_EVERY:
            return
        spent = tables.SPENT_TOKENS
        limit = (now - TOKENS_KEPT).timestamp()
        connection.execute(spent.delete().where(spent.c.expires_utc < limit))
        deliveries.prune(connection, now)
        self._pruned = now

    def _restart(self) -> None:
        """Leave the parent's connections alone, neither used nor closed."""
        self._inherited.append(self._database)
        self._database = Database(self._file)
        self._recorder = Recorder(self._database)


def _starter(store: weakref.ref[Store]) -> Callable[[], None]:
    def start() -> None:
        alive = store()
        if alive is not None:
            alive._restart()

    return start
