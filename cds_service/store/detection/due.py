"""What is to be judged still: of which patient and metric, of which time."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)

from ...wearables.records import PatientKey
from ..samples.rows import moment
from ..samples.tables import PATIENT, SAMPLES, STREAMS
from ..tables import WEARABLE_ALERTS
from .records import DueRange, Span
from .tables import DUE, SUMMARIES

DAY_US = 86_400_000_000
REASONS = ("link", "merge", "consent", "length", "silence", "detectors")
OF_LINK, OF_MERGED, OF_CONSENT, OF_LENGTH, OF_SILENCE, OF_DETECTORS = REASONS
"""Why something is due: a link was taken back or ended, two patients are one, its use
was not permitted, it was too long a time for one transaction, nothing came any more
while an episode lasted, or somebody has asked for it."""


def note_due(
    connection: Connection,
    patient: PatientKey,
    metric: str,
    span: Span,
    why: str,
    now_us: int,
) -> None:
    """Have a time be due; with what lies within a day of it, it is one.

    The patient is guarded: nobody else writes of them until the transaction ends.
    """
    near = (span[0] - DAY_US, span[1] + DAY_US)
    found = _cut_out(connection, patient, metric, near)
    first = min([span[0], *(each.from_us for each in found)])
    last = max([span[1], *(each.to_us for each in found)])
    since = min([now_us, *(each.noted_us for each in found)])
    _add(connection, patient, metric, (first, last), why, since)


def note_done(
    connection: Connection, patient: PatientKey, metric: str, span: Span
) -> None:
    """Have a time be due no longer; what else is due before and after it still is."""
    for each in _cut_out(connection, patient, metric, span):
        for rest in ((each.from_us, span[0] - 1), (span[1] + 1, each.to_us)):
            if rest[0] <= rest[1]:
                _add(connection, patient, metric, rest, each.why, each.noted_us)


def read_due(
    connection: Connection, patient: PatientKey | None = None
) -> tuple[DueRange, ...]:
    """Return what is due of a patient, or of all, by its time."""
    row = DUE.c
    asked = select(DUE).order_by(row.from_us, row.metric, *(row[x] for x in PATIENT))
    if patient is not None:
        asked = asked.where(*_of(DUE, patient))
    return tuple(
        DueRange(
            PatientKey(each.tenant, each.fhir_base, each.patient_id),
            each.metric,
            (each.from_us, each.to_us),
            moment(each.noted_us),
            each.why,
        )
        for each in connection.execute(asked)
    )


def take_back(
    connection: Connection,
    patient: PatientKey,
    source: str,
    link: int,
    from_us: int,
    now_us: int,
) -> None:
    """Take back what was found in readings that turned out to be another's.

    At once, whether or not anybody knows the detectors here: what a source told most
    of, and what days were. What other readings still tell is due.

    Args:
        link: Whose streams are withdrawn.
        from_us: From when on.
    """
    stream, sample = STREAMS.c, SAMPLES.c
    asked = select(stream.id, stream.metric, stream.newest_us).where(
        *_of(STREAMS, patient), stream.source == source, stream.link == link
    )
    for id, metric, newest_us in connection.execute(asked).all():
        first = select(func.min(sample.start_us)).where(
            sample.stream == id, sample.start_us >= from_us
        )
        first_us = connection.execute(first).scalar()
        if first_us is None:
            continue
        note_due(
            connection, patient, metric, (first_us, newest_us), OF_LINK, now_us
        )  # fmt: skip
        _retract(connection, patient, metric, source, first_us)
        _forget_days(connection, patient, metric, first_us)


def move_due(
    connection: Connection, old: PatientKey, new: PatientKey, now_us: int
) -> None:
    """Have all be due of a patient who is two no longer."""
    stream, sample = STREAMS.c, SAMPLES.c
    for each in read_due(connection, old):
        note_due(connection, new, each.metric, each.span, each.why, now_us)
    connection.execute(delete(DUE).where(*_of(DUE, old)))
    joined = STREAMS.join(SAMPLES, sample.stream == stream.id)
    whole = (
        select(stream.metric, func.min(sample.start_us), func.max(stream.newest_us))
        .select_from(joined)
        .where(*_of(STREAMS, new))
        .group_by(stream.metric)
    )
    for metric, first_us, newest_us in connection.execute(whole).all():
        span = (first_us, newest_us)
        note_due(connection, new, metric, span, OF_MERGED, now_us)


def _retract(
    connection: Connection,
    patient: PatientKey,
    metric: str,
    source: str,
    from_us: int,
) -> None:
    """Take back episodes that began then or later, and rest on this source."""
    alert = WEARABLE_ALERTS.c
    connection.execute(
        update(WEARABLE_ALERTS)
        .where(*_of(WEARABLE_ALERTS, patient))
        .where(alert.detector != "", alert.metric == metric, alert.source == source)
        .where(alert.status != "retracted", alert.last_utc >= from_us / 1_000_000)
        .values(status="retracted", rev=alert.rev + 1)
    )


def _forget_days(
    connection: Connection, patient: PatientKey, metric: str, from_us: int
) -> None:
    row, before = SUMMARIES.c, (moment(from_us) - timedelta(days=1)).date()
    connection.execute(
        delete(SUMMARIES)
        .where(*_of(SUMMARIES, patient))
        .where(row.metric == metric, row.day >= before.isoformat())
    )


def _cut_out(
    connection: Connection, patient: PatientKey, metric: str, span: Span
) -> Sequence[Row[Any]]:
    """Remove what meets a time, and return it."""
    row = DUE.c
    meets = [row.metric == metric, row.from_us <= span[1], row.to_us >= span[0]]
    which = and_(*_of(DUE, patient), *meets)
    found = connection.execute(select(DUE).where(which)).all()
    if found:
        connection.execute(delete(DUE).where(which))
    return found


def _add(
    connection: Connection,
    patient: PatientKey,
    metric: str,
    span: Span,
    why: str,
    since_us: int,
) -> None:
    told = {"metric": metric, "from_us": span[0], "to_us": span[1], "why": why}
    row = {**patient._asdict(), **told, "noted_us": since_us}
    connection.execute(insert(DUE).values(row))


def _of(table: Table, patient: PatientKey) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in patient._asdict().items()]
