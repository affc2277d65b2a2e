"""Store: everything that outlives a request.

One transaction records one thing together with its row in the audit trail. A chain of
audit rows belongs to one process, or to one connection of it, so that no process waits
for another to learn its last hash.
"""

import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from ..protocol.feedback import FeedbackEntry
from ..rulebook.engine import Display, Lookback
from ..wearables.records import PatientKey, RecentAlerts
from ..wearables.worn import Wearables, WearablesAsked
from . import deliveries, displays, rows, tables
from .condition.clock import Evenness, Seconds, forget_tokens
from .condition.faults import Condition
from .condition.files import Place, Room
from .condition.incarnation import expect_row, newest_row
from .consents import heed
from .database import Database, DatabaseLimits
from .detection.reading import read_alerts, read_wearables
from .displays import OwnCall
from .intake import take_in
from .migrations import upgrade
from .opening import open_database
from .parts import Parts
from .recorder import build_recorder
from .records import (
    Attempt,
    AuditEntry,
    AuditEvent,
    Caller,
    CallRecord,
    Claim,
    Intake,
    Pool,
    StoredAnswer,
    StoreError,
    TakenIn,
    TokenKey,
    TooLate,
    Usage,
)
from .reports import Period, read_trail
from .statements import (
    PRUNE_PROBES,
    SAVE_PROBE,
    TOKEN_IS_SPENT,
    CallRows,
    is_new,
    spend,
)
from .trail.chain import Tail

PROBES_KEPT = timedelta(days=1)
"""How long the row of a node stays that is no more."""
LARGE = 1024**2
"""Bytes of a row that finds no room where a call finds none."""
PRUNE_EVERY = timedelta(minutes=1)


class Store(Parts):
    """The database, for every thread of one process.

    Best opened after a fork. One opened before it serves the child as well: there it
    takes connections and an audit chain of its own.
    """

    def __init__(self, connect: Callable[[Place | None], Database]) -> None:
        self._connect = connect
        self._inherited: list[Database] = []
        self._database = connect(None)
        self._recorder = build_recorder(self._database)
        self.answers_kept = deliveries.KEPT
        self._pruned: datetime | None = None
        self._newest: Tail | None = None
        """A row of the trail that was there when it was looked for last."""
        self._evenness = Evenness(None)
        os.register_at_fork(after_in_child=_starter(weakref.ref(self)))

    @classmethod
    def open(
        cls,
        url: str,
        *,
        create: bool = True,
        limits: DatabaseLimits = DatabaseLimits(),
        place: Place | None = None,
    ) -> "Store":
        """Return the store at a database URL; nothing is read yet.

        Args:
            url: ``sqlite:///file`` or ``postgresql+psycopg://user@host/database``.
            create: Make the file where there is none. A database of PostgreSQL is made
                by who runs the server.
            limits: Of PostgreSQL.
            place: Where the file has to be, or which database it has to be; where it
                is another, everything is refused, and no file is made.

        Raises:
            StoreError: if it is no such URL, or there is no such file.
        """
        open_database(url, create=create, place=place).close()
        return cls(
            lambda known: open_database(url, limits=limits, place=known or place)
        )

    def trust_clock(self, seconds: Seconds) -> None:
        """Forget nothing until the time that is given runs as evenly as *seconds*."""
        self._evenness = Evenness(seconds)

    def migrate(self) -> None:
        """Bring the schema up to date; any number of processes may do so at once.

        Raises:
            StoreError: if that cannot be done, or the database is half of a copy.
        """
        self._database.migrate(upgrade)
        with self._database.reading() as connection:
            source = connection.execute(
                select(tables.UNFINISHED_COPIES.c.source)
            ).scalar()
        if source is not None:
            raise StoreError(
                f"the copy of {source} into this database is not whole; run"
                " `cds-service database copy` again"
            )

    def make_tables(self) -> None:
        """Make all tables at once, in a new database that ends with who made it.

        That takes a fifth of what the history of the schema takes. Nothing brings it up
        to date later, and no trigger keeps rows of the trail from being changed.
        """
        self._database.migrate(tables.METADATA.create_all)

    @property
    def pool(self) -> Pool:
        """The connections of this process."""
        return self._database.pool

    def usage(self, now: datetime) -> Usage:
        """Return what the database takes, and what waits in it.

        Raises:
            StoreError: if the database refuses, or cannot be reached.
        """
        measured = self._database.measure()
        with self._database.reading() as connection:
            waiting = deliveries.oldest_unanswered(connection, now)
        return replace(measured, oldest_unanswered=waiting)

    @property
    def condition(self) -> Condition:
        """What became of the last transactions of this process."""
        return self._database.condition

    @property
    def place(self) -> Place | None:
        """Where the file is, or which database it is; None before it was opened."""
        return self._database.place

    def room(self) -> Room | None:
        """Return how much room there is; None where that cannot be seen from here.

        Raises:
            StoreError: if it could be seen elsewhere.
        """
        return self._database.room()

    def probe(self, node: str, now: datetime, size: int = 0) -> None:
        """Return if a new connection can read, and a row of this node is committed.

        The row of the trail that was the newest the last time has to be there still.

        Args:
            size: Bytes of the row; where little room is left, a small one finds some.

        Raises:
            StoreError: if not.
        """
        self._database.probe()
        row = {"node": node, "at_utc": now.timestamp(), "filler": bytes(size)}
        old = {"before": (now - PROBES_KEPT).timestamp()}

        def work(connection: Connection) -> Tail | None:
            expect_row(connection, self._newest)
            SAVE_PROBE.run(connection, row)
            PRUNE_PROBES.run(connection, old)
            return newest_row(connection)

        self._newest = self._database.write(work)
        self._database.condition.went_well(large=size >= LARGE)

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

    def is_spent(self, token: TokenKey) -> bool:
        """Check whether somebody has used the token, or may have.

        Who is told that it is new may still lose it to another, until it is spent.
        """
        asked = token._asdict()
        ((spent,),) = self._database.read(lambda it: TOKEN_IS_SPENT.ask(it, asked))
        return bool(spent)

    def spend_token(
        self, issuer: str, jti: str, expires_at: datetime, now: datetime
    ) -> bool:
        """Check whether the token is new; from now on it is not, in any process."""
        token = TokenKey(issuer, jti, expires_at.timestamp())

        def work(connection: Connection) -> bool:
            self._prune(connection, now)
            return is_new(connection, token)

        return self._database.write(work, durable=False)

    def wearable_alerts(self, patient: PatientKey, since: datetime) -> RecentAlerts:
        """Return the patient's alerts that lasted until *since* or later.

        Without those that were retracted; of too many the newest, by their end. What
        lasts is newest.
        """
        return self._database.read(lambda it: read_alerts(it, patient, since))

    def wearables(
        self, patient: PatientKey, asked: WearablesAsked, now: datetime
    ) -> Wearables:
        """Return what rules ask of the patient's wearables, as was agreed at *now*."""
        return self._database.read(lambda it: read_wearables(it, patient, asked, now))

    def displays(
        self, patient: PatientKey, lookback: Lookback, call: OwnCall | None = None
    ) -> tuple[Display, ...]:
        """Return what was shown for the patient before, newest first, at most ``MOST``.

        Args:
            call: The call that asks: what an earlier answer to it showed is its own.
                None where calls cannot be told apart; then nothing is.
        """
        return self._database.read(
            lambda connection: displays.read(connection, patient, lookback, call)
        )

    def heard_of(self, service: str, card: str, client: Caller) -> FeedbackEntry | None:
        """Return the last that a client has said of a card; None for nothing."""
        return self._database.read(
            lambda connection: displays.heard_of(connection, service, card, client)
        )

    def begin_delivery(self, attempt: Attempt, digest: str, now: datetime) -> Claim:
        """Claim a delivery, or say what became of it.

        A claim that was neither finished nor abandoned is given to the next who asks
        once its process has ended, or after ``deliveries.TAKEN_OVER_AFTER``.
        """

        def work(connection: Connection) -> Claim:
            self._prune(connection, now)
            return deliveries.claim(connection, attempt, digest, now)

        return self._database.write(work, durable=False, repeatable=True)

    def finish_delivery(
        self,
        attempt: Attempt,
        answer: StoredAnswer | Callable[[TakenIn], StoredAnswer],
        intake: Intake,
        audit_event: AuditEvent,
        now: datetime,
    ) -> StoredAnswer:
        """Return the answer, once it, what came and the audit row are stored together.

        Args:
            answer: As it stands, or what makes it of what became of the samples; that
                may be asked more than once, and the last time counts.

        Raises:
            Outdated: if what the intake rests on does not hold any more.
            StoreError: if the delivery is not in progress under this attempt.
        """
        answers: list[StoredAnswer] = []

        def work(connection: Connection) -> Mapping[str, Any]:
            taken = take_in(connection, intake, now)
            told = answer if isinstance(answer, StoredAnswer) else answer(taken)
            deliveries.finish(connection, attempt, told, now)
            answers.append(told)
            return taken.told()

        self._recorder.record(audit_event, work)
        return answers[-1]

    def take_in(
        self, intake: Intake, audit_event: AuditEvent, now: datetime
    ) -> TakenIn:
        """Return what became of what came in another way than as a delivery.

        Raises:
            Outdated: if what the intake rests on does not hold any more.
        """
        taken: list[TakenIn] = []

        def work(connection: Connection) -> Mapping[str, Any]:
            taken.append(take_in(connection, intake, now))
            return taken[-1].told()

        self._recorder.record(audit_event, work)
        return taken[-1]

    def abandon_delivery(self, attempt: Attempt) -> None:
        """Give the claim back: the delivery may come again as if it were new."""
        self._database.write(
            lambda connection: deliveries.abandon(connection, attempt),
            durable=False,
            repeatable=True,
        )

    def record_call(
        self,
        call: CallRecord,
        audit_event: AuditEvent,
        token: TokenKey | None = None,
        is_late: Callable[[], bool] = lambda: False,
    ) -> None:
        """Store the call, its cards, what was held back and the audit row, or nothing.

        A card that is there already, from an identical call, stays as it was.

        Args:
            token: Spent with it; None for one that may be used again.
            is_late: Asked when its turn has come.

        Raises:
            ConsentsChanged: if other Consents hold than the cards rest on.
            TokenSpent: if somebody else was faster.
            TooLate: if it is late.
        """
        call_rows = CallRows(
            rows.call_row(call),
            [rows.card_row(each, call) for each in call.cards],
            [rows.suppression_row(each) for each in call.suppressions],
            token,
            [rows.reference_row(each, call) for each in call.references],
        )

        def work(connection: Connection) -> None:
            if is_late():
                raise TooLate("its turn came too late")
            self._prune(connection, call.at)
            if call.consent:
                heed(connection, call.patient, call.consent, call.at)

        self._recorder.record(audit_event, work, call_rows)

    def record_feedback(
        self,
        service: str,
        entries: Sequence[FeedbackEntry],
        client: Caller,
        audit_event: AuditEvent,
        now: datetime,
        token: TokenKey | None = None,
    ) -> None:
        """Store the entries and the audit row, or nothing of it.

        Each joins the rule and version of its card; one about a card that this client
        was not shown is kept and flagged. The *token* is spent with it.

        Raises:
            TokenSpent: if somebody else was faster.
        """

        def work(connection: Connection) -> None:
            spend(connection, token)
            displays.save_feedback(connection, service, entries, client, now)

        self._recorder.record(audit_event, work)

    def record_audit(self, event: AuditEvent, token: TokenKey | None = None) -> None:
        """Store a row of the audit trail by itself; the *token* is spent with it."""
        self._recorder.record(event, lambda connection: spend(connection, token))

    def audit_entries(self, period: Period | None = None) -> Iterator[AuditEntry]:
        """Yield the audit trail in the order of arrival, a page at a time.

        Each writer's rows are there up to one of them, without a gap. Of a *period*
        about those that arrived in it.
        """
        with self._database.snapshot() as connection:
            yield from read_trail(connection, period)

    def _prune(self, connection: Connection, now: datetime) -> None:
        """Forget now and then what nobody will ask for again."""
        if self._pruned and abs(now - self._pruned) < PRUNE_EVERY:
            return
        self._pruned = now
        if self._evenness.is_trusted(now):
            forget_tokens(connection, now)
            deliveries.prune(connection, now, self.answers_kept)

    def _restart(self) -> None:
        """Leave the parent's connections alone, neither used nor closed."""
        self._inherited.append(self._database)
        self._database = self._connect(self._database.place)
        self._recorder = build_recorder(self._database)


def _starter(store: weakref.ref[Store]) -> Callable[[], None]:
    def start() -> None:
        alive = store()
        if alive is not None:
            alive._restart()

    return start
