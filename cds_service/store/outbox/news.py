"""What becomes known of a patient at once: vendors' alerts, and that two are one."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, and_, delete, select, tuple_

from ...wearables.records import PatientKey, WearableAlert
from ...wearables.samples import microseconds
from ...wearables.telling import RECENT
from ..tables import WEARABLE_ALERTS
from .noting import AT_ONCE, add, change_of_alert, note, subscriptions_of
from .records import DROPPED, ThingChange
from .tables import LANES, OUTBOX, TOLD


def note_news(
    connection: Connection,
    alerts: Iterable[WearableAlert],
    retracted: Iterable[WearableAlert],
    now: datetime,
) -> None:
    """Note what vendors tell that is not known yet; before it is stored.

    What ended more than a week ago is history, as an import of years brings it.
    """
    gone = (replace(each, status="retracted") for each in retracted)
    told = sorted([*alerts, *gone], key=attrgetter("patient", "source", "id", "rev"))
    for patient, some in groupby(told, attrgetter("patient")):
        if subscriptions_of(connection, patient):
            _note_alerts(connection, patient, list(some), now)


def merge_outbox(
    connection: Connection, old: PatientKey, new: PatientKey, now: datetime
) -> None:
    """Have what was told of a patient who is two no longer be told of the other.

    What stands elsewhere under the one is taken back there. Both are guarded, and what
    is kept of the one is the other's by now.
    """
    row = OUTBOX.c
    waiting = connection.execute(select(OUTBOX).where(*_of(OUTBOX, old))).all()
    told = connection.execute(select(TOLD).where(*_of(TOLD, old))).all()
    connection.execute(delete(OUTBOX).where(*_of(OUTBOX, old), row.begun_us.is_(None)))
    now_us = microseconds(now)
    moved = {_named(each): now_us for each in told}
    moved |= {
        _named(each): max(now_us, each.due_us)
        for each in waiting
        if each.state != DROPPED
    }
    add(connection, [_row(new, *each) for each in sorted(moved.items())])
    begun = [each for each in waiting if each.begun_us is not None]
    back = {_named(each) for each in (*begun, *told)}
    rows = [_row(old, each, now_us, gone=True) for each in sorted(back)]
    add(connection, rows)
    if not back:
        connection.execute(delete(LANES).where(*_of(LANES, old)))


def _note_alerts(
    connection: Connection,
    patient: PatientKey,
    alerts: Sequence[WearableAlert],
    now: datetime,
) -> None:
    known: dict[tuple[str, str], int] = {}
    alert = WEARABLE_ALERTS.c
    for start in range(0, len(alerts), AT_ONCE):
        names = [(each.source, each.id) for each in alerts[start : start + AT_ONCE]]
        asked = select(alert.source, alert.id, alert.rev).where(
            and_(*_of(WEARABLE_ALERTS, patient)),
            tuple_(alert.source, alert.id).in_(names),
        )
        for source, id, rev in connection.execute(asked):
            known[source, id] = rev
    changes = [
        _change(each, now)
        for each in alerts
        if known.get((each.source, each.id), -1) < each.rev
    ]
    note(connection, patient, changes, microseconds(now))


def _change(alert: WearableAlert, now: datetime) -> ThingChange:
    over = (alert.end or alert.start) < now - RECENT
    return change_of_alert(alert, historical=over and alert.status != "open")


def _named(row: Any) -> tuple[str, str, str]:
    return row.destination, row.kind, row.thing


def _row(
    patient: PatientKey,
    named: tuple[str, str, str],
    due_us: int,
    *,
    gone: bool = False,
) -> dict[str, Any]:
    destination, kind, thing = named
    return {
        "destination": destination,
        **patient._asdict(),
        "kind": kind,
        "thing": thing,
        "noted_us": due_us,
        "due_us": due_us,
        "gone": gone,
    }


def _of(table: Any, patient: PatientKey) -> list[Any]:
    return [table.c[name] == value for name, value in patient._asdict().items()]
