"""What waits in the outbox, seen and changed by operators."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    case,
    delete,
    func,
    select,
    tuple_,
    update,
)

from ...wearables.records import PatientKey
from ...wearables.samples import microseconds
from ..consents import guard
from ..database import Database
from ..detection.rows import day_summary
from ..detection.tables import SUMMARIES
from ..recorder import Recorder
from ..records import AuditEvent
from ..rows import wearable_alert
from ..samples.rows import moment
from ..samples.tables import PATIENT
from ..tables import WEARABLE_ALERTS
from .lanes import health_of
from .noting import (
    add,
    change_of_alert,
    change_of_day,
    read_subscriptions,
    row_of,
    takes,
)
from .records import DEAD, DROPPED, WAITING, WITHHELD, Backlog, OutboxRow, ThingChange
from .tables import DESTINATIONS, LANES, OUTBOX, TOLD

AT_ONCE = 500
"""Patients of one page, and rows of one change."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rows of the outbox are meant; what is empty does not matter."""

    ids: Sequence[int] = ()
    destination: str = ""
    state: str = ""


Change = Callable[[Connection, ColumnElement[bool]], Sequence[int]]
"""Changes some rows; gives the ids of those that were there."""


class OutboxDesk:
    """The outbox of one database, for those who look after it."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database, self._recorder = database, recorder

    def backlogs(self, now: datetime) -> tuple[Backlog, ...]:
        """Return what waits for each destination that is or was configured.

        Raises:
            StoreError: if the database refuses, or cannot be reached.
        """
        row, now_us = OUTBOX.c, microseconds(now)
        due = func.sum(case((row.due_us <= now_us, 1), else_=0))
        states = select(row.destination, row.state, func.count(), due)
        oldest = select(LANES.c.destination, func.min(LANES.c.due_us)).where(
            LANES.c.due_us <= now_us
        )
        with self._database.reading() as connection:
            counts = {
                (name, state): (number, int(by_now))
                for name, state, number, by_now in connection.execute(
                    states.group_by(row.destination, row.state)
                )
            }
            by_lane = oldest.group_by(LANES.c.destination)
            first = {name: due for name, due in connection.execute(by_lane)}
            order = select(DESTINATIONS).order_by(DESTINATIONS.c.destination)
            known = connection.execute(order).all()
        return tuple(
            Backlog(
                each.destination,
                *counts.get((each.destination, WAITING), (0, 0)),
                withheld=counts.get((each.destination, WITHHELD), (0,))[0],
                dead=counts.get((each.destination, DEAD), (0,))[0],
                oldest_seconds=(now_us - first.get(each.destination, now_us)) / 1e6,
                health=health_of(each),
                configured=bool(each.takes),
                sent=each.sent,
                failed=each.failed,
            )
            for each in known
        )

    def rows(self, chosen: Chosen, most: int) -> tuple[OutboxRow, ...]:
        """Return what is in the outbox, in the order in which it came.

        What was dropped only where that is chosen.
        """
        asked = select(OUTBOX).where(_which(chosen))
        with self._database.reading() as connection:
            found = connection.execute(asked.order_by(OUTBOX.c.id).limit(most)).all()
        return tuple(map(_outbox_row, found))

    def retry(self, chosen: Chosen, audit_event: AuditEvent) -> int:
        """Return how many are to be tried again now, as if for the first time."""
        now_us = microseconds(audit_event.at)
        anew = {"state": WAITING, "due_us": now_us, "attempts": 0, "first_us": None}

        def change(connection: Connection, some: ColumnElement[bool]) -> Sequence[int]:
            _wake_lanes(connection, some, now_us)
            again = update(OUTBOX).where(some).values(anew)
            return connection.execute(again.returning(OUTBOX.c.id)).scalars().all()

        return self._change(chosen, audit_event, change)

    def drop(self, chosen: Chosen, audit_event: AuditEvent) -> int:
        """Return how many nobody will be told of, until they change again.

        That the other side may have one all the same is not forgotten: whatever comes
        of it afterwards is told as what may be there already.
        """
        row = OUTBOX.c

        def change(connection: Connection, some: ColumnElement[bool]) -> Sequence[int]:
            left = update(OUTBOX).where(some, row.begun_us.is_not(None))
            gone = delete(OUTBOX).where(some, row.begun_us.is_(None))
            done = [
                connection.execute(each.returning(row.id)).scalars().all()
                for each in (gone, left.values(state=DROPPED))
            ]
            return [*done[0], *done[1]]

        return self._change(chosen, audit_event, change)

    def backfill(
        self, destination: str, since: datetime, until: datetime, now: datetime
    ) -> Iterator[int]:
        """Have a destination be told of what it takes and was never told, old or new.

        Yields how many things more, after each patient.

        Args:
            since: From when on an episode began, or a day.
        """
        with self._database.reading() as connection:
            subscription = read_subscriptions(connection).get(destination)
        if subscription is None:
            return
        whose = (subscription.tenant, subscription.fhir_base)
        for patient in self._patients(whose):

            def work(connection: Connection, patient: PatientKey = patient) -> int:
                guard(connection, read=[patient])
                known = _known(connection, destination, patient)
                rows = [
                    row_of(subscription, patient, each, microseconds(now))
                    for each in _of_time(connection, patient, since, until, now)
                    if (each.kind, each.key) not in known and takes(subscription, each)
                ]
                add(connection, rows)
                return len(rows)

            yield self._database.write(work)

    def _change(self, chosen: Chosen, event: AuditEvent, change: Change) -> int:
        """Change rows some at a time, each part with its row in the trail.

        Of those only what is still as it was chosen when it is changed.
        """
        last, done = 0, 0
        while True:
            asked = select(OUTBOX.c.id).where(_which(chosen), OUTBOX.c.id > last)
            with self._database.reading() as connection:
                some = asked.order_by(OUTBOX.c.id).limit(AT_ONCE)
                ids = connection.execute(some).scalars().all()
            if not ids:
                return done

            changed = self._change_some(chosen, ids, event, change)
            last, done = ids[-1], done + changed

    def _change_some(
        self, chosen: Chosen, ids: Sequence[int], event: AuditEvent, change: Change
    ) -> int:
        changed: list[int] = []

        def work(connection: Connection) -> Mapping[str, Any]:
            done = change(connection, and_(_which(chosen), OUTBOX.c.id.in_(ids)))
            changed.append(len(done))
            return {"rows": sorted(done)}

        self._recorder.record(event, work)
        return changed[-1]

    def _patients(self, whose: tuple[str, str]) -> Iterator[PatientKey]:
        """Those of whom there are episodes or days, some at a time."""
        last = ""
        while True:
            parts = [
                select(table.c.patient_id)
                .where(table.c.tenant == whose[0], table.c.fhir_base == whose[1])
                .where(table.c.patient_id > last)
                .distinct()
                .order_by(table.c.patient_id)
                .limit(AT_ONCE)
                for table in (WEARABLE_ALERTS, SUMMARIES)
            ]
            with self._database.reading() as connection:
                ids = {
                    each
                    for part in parts
                    for each in connection.execute(part).scalars()
                }
            if not ids:
                return
            page = sorted(ids)[:AT_ONCE]
            yield from (PatientKey(*whose, each) for each in page)
            last = page[-1]


def _known(
    connection: Connection, destination: str, patient: PatientKey
) -> set[tuple[str, str]]:
    return {
        (kind, key)
        for table, rest in ((TOLD, ()), (OUTBOX, (OUTBOX.c.state != DROPPED,)))
        for kind, key in connection.execute(
            select(table.c.kind, table.c.thing).where(
                table.c.destination == destination, *_of(table, patient), *rest
            )
        )
    }


def _of_time(
    connection: Connection,
    patient: PatientKey,
    since: datetime,
    until: datetime,
    now: datetime,
) -> Iterator[ThingChange]:
    alert, row = WEARABLE_ALERTS.c, SUMMARIES.c
    began = and_(
        alert.start_utc >= since.timestamp(),
        alert.start_utc < until.timestamp(),
        alert.status != "retracted",
    )
    episodes = select(WEARABLE_ALERTS).where(*_of(WEARABLE_ALERTS, patient), began)
    for each in connection.execute(episodes.order_by(alert.start_utc, alert.id)).all():
        yield change_of_alert(wearable_alert(each))
    days = select(SUMMARIES).where(*_of(SUMMARIES, patient)).order_by(row.day)
    days = days.where(row.day >= since.date().isoformat())
    seen = set[str]()
    for each in connection.execute(days.where(row.day < until.isoformat())).all():
        for change in change_of_day(day_summary(each), now):
            if change.key not in seen:
                seen.add(change.key)
                yield change


def _wake_lanes(connection: Connection, some: ColumnElement[bool], now_us: int) -> None:
    row = OUTBOX.c
    lane = tuple_(row.destination, *(row[name] for name in PATIENT))
    of_lanes = tuple_(LANES.c.destination, *(LANES.c[name] for name in PATIENT))
    named = select(*lane.clauses).where(some)
    awake = update(LANES).where(of_lanes.in_(named))
    connection.execute(awake.values(due_us=now_us, not_before_us=0))


def _which(chosen: Chosen) -> ColumnElement[bool]:
    row = OUTBOX.c
    wanted: list[ColumnElement[bool]] = [row.id > 0]
    if chosen.ids:
        wanted.append(row.id.in_(list(chosen.ids)))
    if chosen.destination:
        wanted.append(row.destination == chosen.destination)
    if chosen.state or not chosen.ids:
        same = row.state == chosen.state
        wanted.append(same if chosen.state else row.state != DROPPED)
    return and_(*wanted)


def _outbox_row(row: Row[Any]) -> OutboxRow:
    return OutboxRow(
        id=row.id,
        destination=row.destination,
        patient=PatientKey(row.tenant, row.fhir_base, row.patient_id),
        kind=row.kind,
        key=row.thing,
        rev=row.rev,
        state=row.state,
        noted=moment(row.noted_us),
        due=moment(row.due_us),
        attempts=row.attempts,
        first=None if row.first_us is None else moment(row.first_us),
        uncertain=row.begun_us is not None,
        problem=row.problem,
    )


def _of(table: Table, patient: PatientKey) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in patient._asdict().items()]
