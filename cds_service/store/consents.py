"""Patients' Consents, and what changes with them.

Whoever decides by a patient's Consents does so before the transaction that stores what
was decided, and in it they are looked at once more. If others hold by then, nothing is
stored: a patient who withdraws is heard at once. Where several may write at a time,
they are locked before they are looked at.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    delete,
    select,
    update,
)

from ..wearables.consent import ConsentRecord
from ..wearables.consent_gate import ConsentChange, Stamp, stamp_of
from ..wearables.records import PatientKey, WearableAlert
from ..wearables.samples import microseconds
from . import rows
from .database import Database
from .outbox.noting import change_of_alert, note, wake
from .recorder import Recorder
from .records import AuditEvent, ConsentsChanged, ConsentUse
from .rows import canonical_json, instant
from .statements import ADD_GUARD, CONSENTS_OF, HOLD_GUARD, LASTING_ALERTS, SAVE_CONSENT
from .tables import CARD_REFERENCES, CONSENTS, OPEN, WEARABLE_ALERTS

AT_ONCE = 500
"""Patients of one query."""
Found = Mapping[PatientKey, tuple[ConsentRecord, ...]]


class Consents:
    """The Consents of one database."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def of(self, patients: Collection[PatientKey]) -> Found:
        """Return the Consents of each of the patients."""
        return self._database.read(lambda connection: read(connection, patients))

    def lasting_alerts(self, patient: PatientKey) -> tuple[WearableAlert, ...]:
        """Return the vendors' open alerts: they end if nobody may collect them."""
        asked = patient._asdict()
        found = self._database.read(lambda it: LASTING_ALERTS.ask(it, asked))
        return tuple(rows.wearable_alert(row) for row in found)

    def told_by(
        self, tenant: str, fhir_base: str, source: str
    ) -> Mapping[PatientKey, Stamp]:
        """Return the patients of whom a source has told, with what of it is kept."""
        consent = CONSENTS.c
        asked = select(CONSENTS).where(
            consent.tenant == tenant,
            consent.fhir_base == fhir_base,
            consent.source == source,
        )
        found: dict[PatientKey, list[ConsentRecord]] = defaultdict(list)
        with self._database.reading() as connection:
            for row in connection.execute(asked):
                record = _record(row)
                found[record.patient].append(record)
        return {patient: stamp_of(each) for patient, each in found.items()}

    def record(self, changes: Sequence[ConsentChange], audit_event: AuditEvent) -> None:
        """Store what has changed and the audit row, or nothing of it.

        Raises:
            ConsentsChanged: if others hold than the changes were worked out from.
        """

        def work(connection: Connection) -> None:
            guard(connection, changed=[each.patient for each in changes])
            for change in changes:
                apply_change(connection, change, audit_event.at)

        self._recorder.record(audit_event, work)


def read(connection: Connection, patients: Collection[PatientKey]) -> Found:
    """Return the Consents of each patient, by id; none for one who has none."""
    if len(patients) == 1:
        (patient,) = patients
        return {patient: tuple(_read_one(connection, patient))}
    found: dict[PatientKey, list[ConsentRecord]] = {each: [] for each in patients}
    consent = CONSENTS.c
    for tenant, base in {(each.tenant, each.fhir_base) for each in patients}:
        ids = [each.patient_id for each in patients if each[:2] == (tenant, base)]
        for start in range(0, len(ids), AT_ONCE):
            asked = (
                select(CONSENTS)
                .where(consent.tenant == tenant, consent.fhir_base == base)
                .where(consent.patient_id.in_(ids[start : start + AT_ONCE]))
                .order_by(consent.patient_id, consent.id)
            )
            for row in connection.execute(asked):
                record = _record(row)
                found[record.patient].append(record)
    return {patient: tuple(each) for patient, each in found.items()}


def _read_one(connection: Connection, patient: PatientKey) -> Iterator[ConsentRecord]:
    """As nearly every call asks: nothing is built for it."""
    cursor = CONSENTS_OF.run(connection, patient._asdict())
    for id, updated, source, resource in cursor.fetchall():
        moment = datetime.fromisoformat(updated)
        yield ConsentRecord(patient, id, moment, source, json.loads(resource))


def guard(
    connection: Connection,
    read: Iterable[PatientKey] = (),
    changed: Iterable[PatientKey] = (),
) -> None:
    """Have nobody change what is read, or read what is changed, in this transaction.

    The first thing that a transaction does: who waits here sees afterwards what the
    others have committed. All lock in one order, so that no two wait for each other.
    """
    if connection.dialect.name == "sqlite":
        return
    alone = set(changed)
    for patient in sorted({*read, *alone}):
        row = patient._asdict()
        hold = HOLD_GUARD[patient in alone]
        if hold.run(connection, row).fetchone() is None:
            ADD_GUARD.run(connection, row)
            hold.run(connection, row)


def expect_consents(connection: Connection, seen: Mapping[PatientKey, Stamp]) -> None:
    """Return if these are the Consents that hold.

    Raises:
        ConsentsChanged: if not.
    """
    now = read(connection, seen)
    if any(stamp_of(now[patient]) != stamp for patient, stamp in seen.items()):
        raise ConsentsChanged("a patient's consents have changed meanwhile")


def heed(
    connection: Connection, patient: PatientKey, use: ConsentUse, at: datetime
) -> None:
    """Return if the Consents hold that cards rest on, with what was told anew.

    Raises:
        ConsentsChanged: if others do.
    """
    if use.change:
        guard(connection, changed=[use.change.patient])
    elif use.seen is not None:
        guard(connection, read=[patient])
    if use.seen is not None:
        expect_consents(connection, {patient: use.seen})
    if use.change:
        apply_change(connection, use.change, at)


def apply_change(connection: Connection, change: ConsentChange, at: datetime) -> None:
    """Store what has changed, and end the alerts that end with it.

    What links of earlier cards refer to goes: it tells what was permitted then.

    Raises:
        ConsentsChanged: if others hold than it was worked out from, or other alerts
            last.
    """
    expect_consents(connection, {change.patient: change.seen})
    if _lasting(connection, change.patient) != change.lasting:
        raise ConsentsChanged("a patient's alerts have changed meanwhile")
    if change.kept:
        SAVE_CONSENT.run(connection, *map(_row, change.kept))
    whose = _of(CONSENTS, change.patient)
    for id in change.gone:
        connection.execute(delete(CONSENTS).where(whose, CONSENTS.c.id == id))
    if change.kept or change.gone:
        referred = _of(CARD_REFERENCES, change.patient)
        connection.execute(delete(CARD_REFERENCES).where(referred))
    alert = WEARABLE_ALERTS.c
    now_us = microseconds(at)
    wake(connection, change.patient, now_us)
    note(connection, change.patient, map(change_of_alert, change.ended), now_us)
    for each in change.ended:
        end = max(at, each.start).astimezone(each.start.tzinfo)
        connection.execute(
            update(WEARABLE_ALERTS)
            .where(_of(WEARABLE_ALERTS, change.patient))
            .where(alert.source == each.source, alert.id == each.id)
            .values(status="closed", end=end.isoformat(), end_utc=end.timestamp())
        )


def _lasting(connection: Connection, patient: PatientKey) -> frozenset[tuple[str, str]]:
    """Source and id of the patient's alerts that are open, but for detectors'."""
    alert = WEARABLE_ALERTS.c
    asked = select(alert.source, alert.id).where(_of(WEARABLE_ALERTS, patient), OPEN)
    asked = asked.where(alert.detector == "")
    return frozenset((source, id) for source, id in connection.execute(asked))


def _of(table: Table, patient: PatientKey) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in patient._asdict().items()))


def _record(row: Row[Any]) -> ConsentRecord:
    return ConsentRecord(
        PatientKey(row.tenant, row.fhir_base, row.patient_id),
        row.id,
        datetime.fromisoformat(row.updated),
        row.source,
        json.loads(row.resource),
    )


def _row(record: ConsentRecord) -> dict[str, str]:
    return {
        **record.patient._asdict(),
        "id": record.id,
        "updated": instant(record.updated),
        "source": record.source,
        "resource": canonical_json(record.resource),
    }
