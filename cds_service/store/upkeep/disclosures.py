"""What is kept of wearers' readings and days, patient by patient, for who takes it out.

However much there is, little of it is in memory at once, and no transaction is open
while what was read is written elsewhere. That a patient's data was taken is audited
before any of it is given.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, select, tuple_

from ...wearables.consent import ConsentRecord
from ...wearables.records import PatientKey
from ...wearables.samples import KeptSample, microseconds
from ...wearables.summaries import DaySummary
from .. import consents
from ..database import Database
from ..detection.rows import day_summary
from ..detection.tables import SUMMARIES
from ..recorder import Recorder
from ..records import AuditEvent
from ..samples.rows import COLUMNS, DEVICE, KEY, START, kept_sample, plain
from ..samples.streams import devices_of, read_stream
from ..samples.tables import SAMPLES, STREAMS

PATIENTS_AT_ONCE = 500
READINGS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Extent:
    """Of whom something is taken out, and of what time."""

    tenant: str
    fhir_base: str
    since: datetime
    until: datetime
    """What begins before it, for readings; for days the last is its own."""
    patient: str = ""
    """The id; empty for all."""
    after: str = ""
    """Only patients whose ids come after this one."""


class KeptReading(NamedTuple):
    """One reading, and what tells it from others of its stream and start."""

    kept: KeptSample
    key: bytes


class Disclosures:
    """Readings and days of one database, for who takes them out."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def audit(self, event: AuditEvent, **detail: Any) -> None:
        """Record that something is taken out.

        Raises:
            StoreError: if that cannot be recorded; nothing is to be given then.
        """
        told = replace(event, detail={**event.detail, **detail})
        self._recorder.record(told, lambda connection: None)

    def patients_with_readings(self, extent: Extent) -> Iterator[PatientKey]:
        """Yield the patients of whom there are readings, by their ids."""
        return self._patients(STREAMS, extent)

    def patients_with_days(self, extent: Extent) -> Iterator[PatientKey]:
        """Yield the patients of whom there are days, by their ids."""
        return self._patients(SUMMARIES, extent)

    def consents_of(self, patient: PatientKey) -> tuple[ConsentRecord, ...]:
        """Return what the patient permits, as it is kept."""
        with self._database.reading() as connection:
            return tuple(consents.read(connection, [patient])[patient])

    def readings(
        self, patient: PatientKey, extent: Extent
    ) -> Iterator[list[KeptReading]]:
        """Yield the patient's readings, some at a time: by stream, then by start.

        Without what turned out to be somebody else's.
        """
        with self._database.reading() as connection:
            asked = select(STREAMS).where(*_of(STREAMS, patient))
            streams = connection.execute(asked.order_by(STREAMS.c.id)).all()
        sample, until = SAMPLES.c, microseconds(extent.until)
        for each in streams:
            withdrawn = each.withdrawn_us
            end = until if withdrawn is None else min(until, withdrawn)
            stream, after = read_stream(each), (microseconds(extent.since), b"")
            asked = select(*(sample[name] for name in COLUMNS)).where(
                sample.stream == each.id, sample.start_us < end
            )
            order = asked.order_by(sample.start_us, sample.key)
            while page := self._page(order, after, patient):
                rows, devices = page
                yield [
                    KeptReading(
                        kept_sample(row, stream, devices[row[DEVICE]]), row[KEY]
                    )
                    for row in rows
                ]
                after = rows[-1][START], rows[-1][KEY]

    def days(
        self, patient: PatientKey, first: date, last: date
    ) -> tuple[DaySummary, ...]:
        """Return what the patient's days were from the first to the last, included."""
        row = SUMMARIES.c
        asked = select(SUMMARIES).where(
            *_of(SUMMARIES, patient),
            row.day >= first.isoformat(),
            row.day <= last.isoformat(),
        )
        order = asked.order_by(row.day, row.metric, row.part, row.source)
        with self._database.reading() as connection:
            return tuple(map(day_summary, connection.execute(order)))

    def _page(
        self, order: Select[Any], after: tuple[int, bytes], patient: PatientKey
    ) -> tuple[list[Any], Mapping[int, Any]] | None:
        """The readings after one, and what has measured; None where there is none."""
        place = tuple_(SAMPLES.c.start_us, SAMPLES.c.key) > after
        with self._database.reading() as connection:
            asked = order.where(place).limit(READINGS_AT_ONCE)
            rows = list(map(plain, connection.execute(asked)))
            return (rows, devices_of(connection, patient)) if rows else None

    def _patients(self, table: Any, extent: Extent) -> Iterator[PatientKey]:
        column, after = table.c.patient_id, extent.after
        while True:
            asked = (
                select(column)
                .distinct()
                .where(
                    table.c.tenant == extent.tenant,
                    table.c.fhir_base == extent.fhir_base,
                    column > after,
                )
            )
            if extent.patient:
                asked = asked.where(column == extent.patient)
            order = asked.order_by(column).limit(PATIENTS_AT_ONCE)
            with self._database.reading() as connection:
                found = [str(each) for (each,) in connection.execute(order)]
            for id in found:
                yield PatientKey(extent.tenant, extent.fhir_base, id)
            if len(found) < PATIENTS_AT_ONCE:
                return
            after = found[-1]


def _of(table: Any, patient: PatientKey) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in patient._asdict().items()]
