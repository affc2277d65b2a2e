"""All that is kept of one patient: written out, or removed as far as it may be.

Calls and the trail are not indexed by patient; both are read through, which takes as
long as it takes. Nothing is held for longer than one small transaction.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    func,
    select,
    update,
)

from ...wearables.records import PatientKey
from ..database import Database
from ..recorder import Recorder
from ..records import AuditEntry, AuditEvent
from ..rows import audit_entry, canonical_json
from ..samples import belongings
from ..tables import (
    AUDIT,
    CALLS,
    CARD_REFERENCES,
    CARDS,
    CONSENT_GUARDS,
    CONSENTS,
    FEEDBACK,
    PATIENT_KEYS,
    SUPPRESSIONS,
    WEARABLE_ALERTS,
)
from ..trail.chain import erased, pseudonym
from ..trail.pseudonyms import read_key

AT_ONCE = 1000
"""Rows that are read at a time; fewer are changed in one transaction."""
BY_CONSENT = (WEARABLE_ALERTS, CARD_REFERENCES, CONSENTS, CONSENT_GUARDS)
"""What is kept because the patient permitted it, or tells of that."""
WRITTEN_OUT = (WEARABLE_ALERTS, CONSENTS, CALLS, CARDS, CARD_REFERENCES)
"""Tables that name the patient in each row."""
SEALED = frozenset({"digest", "sealed"})
"""Columns of references that are written out for nobody."""
RESTING_ON_CONSENT = frozenset(
    {"delivery", "consent", "link", "detection", "threshold"}
)
"""Kinds of rows of the trail that tell of that."""
LISTS = (
    *("alerts", "readings", "episodes", "linked"),
    *("consents", "told", "gone", "ended"),
)
"""Where a row of the trail lists what was stored or said, each with its patient first,
or the patients alone."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what is kept of whom, or has it removed, and when."""

    patient: PatientKey
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did."""

    removed: Mapping[str, int]
    """Rows by table; of ``audit`` those whose body is gone."""
    left: Mapping[str, int]
    """What is still there of the patient, by table."""


class Patients:
    """What one database keeps of patients."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def export(self, asked: Asked) -> Iterator[dict[str, Any]]:
        """Yield every row about the patient; that they were asked for is audited.

        Of a row of the trail about several patients only what is about this one.
        """
        counted: dict[str, int] = {}
        for table, row in self._rows(asked.patient):
            counted[table] = counted.get(table, 0) + 1
            yield {"table": table, **row}
        event = AuditEvent(
            asked.at,
            "disclosure",
            asked.patient.tenant,
            asked.by,
            asked.patient,
            {"rows": counted},
        )
        self._recorder.record(event, lambda connection: None)

    def erase(self, asked: Asked, *, calls: bool) -> Erased:
        """Remove what rests on consent, and the bodies of rows that tell of it.

        The trail says so before and afterwards, under the patient's pseudonym. Done
        again, it goes on where it broke off.

        Args:
            calls: Remove calls, cards and feedback as well, the bodies of all rows of
                the trail, and the key of the patient: nobody can tell any more whose
                rows these are.
        """
        patient = asked.patient
        with self._database.reading() as connection:
            key = read_key(connection, patient)
        called = pseudonym(patient, key) if key else ""
        told = {"pseudonym": called, "calls": calls}
        self._tell(asked, {**told, "begun": True})
        erased = belongings.erase(self._database, patient)
        removed = {name: rows for name, rows in erased.items() if rows}
        removed |= {
            table.name: self._database.write(_remover(table, patient))
            for table in BY_CONSENT
        }
        if calls:
            removed |= self._erase_calls(patient)
        kinds = None if calls else RESTING_ON_CONSENT
        removed["audit"], remaining = self._erase_bodies(patient, called, kinds)
        if calls:
            removed["patient_keys"] = self._database.write(
                _remover(PATIENT_KEYS, patient)
            )
        self._tell(asked, {**told, "removed": removed})
        left = {**self._count(patient), "audit": remaining}
        return Erased(removed, {name: n for name, n in left.items() if n})

    def _tell(self, asked: Asked, detail: Mapping[str, Any]) -> None:
        event = AuditEvent(
            asked.at, "erasure", asked.patient.tenant, asked.by, detail=detail
        )
        self._recorder.record(event, lambda connection: None)

    def _rows(self, patient: PatientKey) -> Iterator[tuple[str, dict[str, Any]]]:
        calls = select(CALLS.c.id).where(_of(CALLS, patient))
        cards = select(CARDS.c.uuid).where(_of(CARDS, patient))
        for table, wanted in (
            *((each, _of(each, patient)) for each in WRITTEN_OUT),
            (SUPPRESSIONS, SUPPRESSIONS.c.call_id.in_(calls)),
            (FEEDBACK, func.lower(FEEDBACK.c.card).in_(cards)),
        ):
            with self._database.reading() as connection:
                found = connection.execute(select(table).where(wanted)).mappings().all()
            hidden = SEALED if table is CARD_REFERENCES else frozenset[str]()
            for row in found:
                told = {name: row[name] for name in row if name not in hidden}
                yield table.name, told
        yield from belongings.rows_of(self._database, patient)
        for _, entry in self._entries():
            if told := _about(entry, patient):
                yield AUDIT.name, told

    def _entries(self) -> Iterator[tuple[int, AuditEntry]]:
        """Every row of the trail with its key."""
        last = 0
        while True:
            page = select(AUDIT).where(AUDIT.c.id > last).order_by(AUDIT.c.id)
            with self._database.reading() as connection:
                found = connection.execute(page.limit(AT_ONCE)).mappings().all()
            yield from ((row["id"], audit_entry(row)) for row in found)
            if len(found) < AT_ONCE:
                return
            last = found[-1]["id"]

    def _erase_calls(self, patient: PatientKey) -> dict[str, int]:
        removed = {"feedback": 0, "suppressions": 0, "cards": 0, "calls": 0}
        whose = _of(CALLS, patient)
        while True:
            some = select(CALLS.c.id).where(whose).limit(AT_ONCE // 10)
            with self._database.reading() as connection:
                calls = [row.id for row in connection.execute(some)]
            if not calls:
                return removed
            gone = self._database.write(_remover_of_calls(calls))
            removed = {name: rows + gone[name] for name, rows in removed.items()}

    def _erase_bodies(
        self, patient: PatientKey, called: str, kinds: frozenset[str] | None
    ) -> tuple[int, int]:
        """How many bodies were taken away, and how many are still there."""
        done, left, changed = 0, 0, list[tuple[int, AuditEntry]]()
        for id, entry in self._entries():
            if entry.erased or not _is_named(entry, patient, called):
                continue
            if entry.version < 2 or (kinds is not None and entry.kind not in kinds):
                left += 1
                continue
            changed.append((id, erased(entry)))
            if len(changed) == AT_ONCE:
                done += self._save(changed)
                changed = []
        return done + self._save(changed), left

    def _save(self, changed: Sequence[tuple[int, AuditEntry]]) -> int:
        def work(connection: Connection) -> int:
            for id, entry in changed:
                connection.execute(
                    update(AUDIT)
                    .where(AUDIT.c.id == id)
                    .values(
                        body_digest=entry.body_digest,
                        salt="",
                        fhir_base="",
                        patient_id="",
                        detail="",
                    )
                )
            return len(changed)

        return self._database.write(work) if changed else 0

    def _count(self, patient: PatientKey) -> dict[str, int]:
        counted = {}
        with self._database.reading() as connection:
            for table in (*BY_CONSENT, CALLS, CARDS):
                asked = select(func.count()).select_from(table)
                found = connection.execute(asked.where(_of(table, patient)))
                counted[table.name] = int(found.scalar_one())
            return counted | belongings.count(connection, patient)


def _of(table: Table, patient: PatientKey) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in patient._asdict().items()))


def _remover(table: Table, patient: PatientKey) -> Any:
    def work(connection: Connection) -> int:
        return connection.execute(delete(table).where(_of(table, patient))).rowcount

    return work


def _remover_of_calls(calls: Sequence[int]) -> Any:
    def work(connection: Connection) -> dict[str, int]:
        cards = select(CARDS.c.uuid).where(CARDS.c.call_id.in_(calls))
        gone = {}
        for table, which in (
            (FEEDBACK, func.lower(FEEDBACK.c.card).in_(cards)),
            (SUPPRESSIONS, SUPPRESSIONS.c.call_id.in_(calls)),
            (CARDS, CARDS.c.call_id.in_(calls)),
            (CALLS, CALLS.c.id.in_(calls)),
        ):
            gone[table.name] = connection.execute(delete(table).where(which)).rowcount
        return gone

    return work


# What of a row of the trail is about a patient


def _is_named(entry: AuditEntry, patient: PatientKey, called: str) -> bool:
    if entry.tenant != patient.tenant:
        return False
    if called and entry.pseudonym == called:
        return True
    return _is_theirs(entry, patient) or bool(_listed(entry, patient))


def _is_theirs(entry: AuditEntry, patient: PatientKey) -> bool:
    return (entry.tenant, entry.fhir_base, entry.patient_id) == patient


def _about(entry: AuditEntry, patient: PatientKey) -> dict[str, Any]:
    """The row, or of one about several what is about this one; empty if nothing is."""
    if entry.tenant != patient.tenant or entry.erased:
        return {}
    row = {**asdict(entry), "detail": json.loads(entry.detail)}
    if _is_theirs(entry, patient):
        return row
    listed = _listed(entry, patient)
    return {**row, "detail": listed} if listed else {}


def _listed(entry: AuditEntry, patient: PatientKey) -> dict[str, Any]:
    """What a row about several patients lists of this one.

    Such a row names no FHIR server: its patients are those of the source that told.
    """
    written = canonical_json(patient.patient_id)
    if entry.patient_id or entry.erased or written not in entry.detail:
        return {}
    detail = json.loads(entry.detail)
    found = {name: list(_items(detail.get(name), patient)) for name in LISTS}
    return {name: items for name, items in found.items() if items}


def _items(listed: Any, patient: PatientKey) -> Iterable[Any]:
    for each in listed if isinstance(listed, list) else ():
        named = each[:1] if isinstance(each, list) else [each]
        if named == [patient.patient_id]:
            yield each
