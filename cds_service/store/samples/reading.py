"""Samples read: those of one patient, how many there are, when sources were heard."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select

from ...wearables.records import PatientKey
from ...wearables.samples import KeptSample, microseconds
from ..database import Database
from .imports import read_progress
from .records import (
    ImportProgress,
    SampleStream,
    SourceArrivals,
    StreamOwner,
    StreamSummary,
)
from .rows import COLUMNS, DEVICE, SampleRow, kept_sample, moment, plain
from .streams import LONG_AGO, devices_of, read_stream
from .tables import SAMPLES, STREAMS


class Samples:
    """The samples of one database. No call of a hook reads them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(
        self, patient: PatientKey, metric: str, since: datetime, until: datetime
    ) -> tuple[KeptSample, ...]:
        """Return what every source told of a metric, by its start.

        Those that start from *since* to before *until*, without what turned out to be
        another patient's.
        """
        sample, found = SAMPLES.c, list[tuple[SampleStream, SampleRow]]()
        columns = [sample[name] for name in COLUMNS]
        with self._database.reading() as connection:
            streams = select(STREAMS).where(_of(patient, metric))
            for each in connection.execute(streams).all():
                asked = select(*columns).where(
                    sample.stream == each.id,
                    sample.start_us >= microseconds(since),
                    sample.start_us < microseconds(until),
                )
                if each.withdrawn_us is not None:
                    asked = asked.where(sample.start_us < each.withdrawn_us)
                stream, rows = read_stream(each), connection.execute(asked)
                found += ((stream, row) for row in map(plain, rows))
            # After the samples: a delivery meanwhile may bring a device of its own.
            devices = devices_of(connection, patient)
        kept = (kept_sample(row, of, devices[row[DEVICE]]) for of, row in found)
        return tuple(sorted(kept, key=_by_start))

    def count(self, patient: PatientKey, metric: str = "") -> tuple[StreamSummary, ...]:
        """Return what is kept of the patient by stream; of one metric, or of all."""
        sample = SAMPLES.c
        counted = select(func.count(), func.min(sample.start_us))
        streams = select(STREAMS).where(_of(patient, metric)).order_by(STREAMS.c.id)
        with self._database.reading() as connection:
            found = []
            for each in connection.execute(streams).all():
                asked = counted.where(sample.stream == each.id)
                number, first = connection.execute(asked).one()
                found.append(
                    StreamSummary(
                        stream=read_stream(each),
                        samples=number,
                        first=None if first is None else moment(first),
                        last=None if first is None else moment(each.newest_us),
                        withdrawn=_withdrawn(each.withdrawn_us),
                    )
                )
        return tuple(found)

    def import_progress(self, owner: StreamOwner) -> ImportProgress | None:
        """Return how far the last import of an owner came; None if that was its end."""
        with self._database.reading() as connection:
            return read_progress(connection, owner)

    def arrivals(self) -> tuple[SourceArrivals, ...]:
        """Return when each source was heard last, and of what time it told."""
        stream = STREAMS.c
        asked = (
            select(
                stream.tenant,
                stream.source,
                func.max(stream.received_us),
                func.max(stream.newest_us),
            )
            .where(stream.received_us > LONG_AGO)
            .group_by(stream.tenant, stream.source)
            .order_by(stream.tenant, stream.source)
        )
        with self._database.reading() as connection:
            return tuple(
                SourceArrivals(tenant, source, moment(received), moment(newest))
                for tenant, source, received, newest in connection.execute(asked)
            )


def _of(patient: PatientKey, metric: str) -> ColumnElement[bool]:
    told = patient._asdict() | ({"metric": metric} if metric else {})
    return and_(*(STREAMS.c[name] == value for name, value in told.items()))


def _by_start(kept: KeptSample) -> tuple[Any, ...]:
    sample = kept.sample
    return sample.start, sample.end, kept.source, kept.link, sample.stat


def _withdrawn(us: int | None) -> datetime | None:
    if us is None:
        return None
    return moment(us) if us > LONG_AGO else datetime.min.replace(tzinfo=UTC)
