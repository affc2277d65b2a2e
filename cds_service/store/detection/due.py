"""What is to be judged still: of which patient and metric, of which time."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from ...wearables.records import PatientKey
from ...wearables.samples import microseconds
from ...wearables.summaries import DaySummary
from ...wearables.telling import EPISODE, episode_key, span_of_day
from ..database import Prepared
from ..outbox.noting import change_of_day, note
from ..outbox.records import ThingChange
from ..samples.rows import moment
from ..samples.tables import PATIENT, SAMPLES, STREAMS
from ..tables import WEARABLE_ALERTS
from .records import DueRange, Span, hull
from .rows import day_summary
from .tables import DUE, SUMMARIES

DAY_US = 86_400_000_000
_AROUND = (timedelta(days=-2), timedelta(days=2))
"""Beside a time in UTC, all days and nights of any zone that may meet it."""
_OF_A_DAY = ("day", "part", "source")
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
    if patient is None:
        found = connection.execute(_every_due()).all()
    else:
        found = _DUE_OF.ask(connection, patient._asdict())
    return tuple(
        DueRange(
            PatientKey(each.tenant, each.fhir_base, each.patient_id),
            each.metric,
            (each.from_us, each.to_us),
            moment(each.noted_us),
            each.why,
        )
        for each in found
    )


def _every_due() -> Select[Any]:
    row = DUE.c
    order = (row.from_us, row.metric, *(row[name] for name in PATIENT))
    return select(DUE).order_by(*order)


_DUE_OF = Prepared(
    _every_due().where(*(DUE.c[name] == bindparam(name) for name in PATIENT))
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
    of, and what days were. What other readings still tell of that time is due.

    Args:
        link: Whose streams are withdrawn.
        from_us: From when on.
    """
    stream, sample = STREAMS.c, SAMPLES.c
    asked = select(stream.id, stream.metric).where(
        *_of(STREAMS, patient), stream.source == source, stream.link == link
    )
    for id, metric in connection.execute(asked).all():
        end = func.max(sample.start_us + sample.length_us)
        withdrawn = select(func.min(sample.start_us), end).where(
            sample.stream == id, sample.start_us >= from_us
        )
        first_us, last_us = connection.execute(withdrawn).one()
        if first_us is None:
            continue
        span = (first_us, last_us)
        changes = _retract(connection, patient, metric, source, span)
        days = _forget_days(connection, patient, metric, span)
        whole = hull([span, *map(_span, days)])
        note_due(connection, patient, metric, whole, OF_LINK, now_us)
        for day in days:
            changes += change_of_day(day, moment(now_us), gone=True)
        note(connection, patient, changes, now_us)


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
    span: Span,
) -> list[ThingChange]:
    """Take back episodes of a time that rest on this source; others stay."""
    alert = WEARABLE_ALERTS.c
    gone = connection.execute(
        update(WEARABLE_ALERTS)
        .where(*_of(WEARABLE_ALERTS, patient))
        .where(alert.detector != "", alert.metric == metric, alert.source == source)
        .where(alert.status != "retracted", alert.last_utc >= span[0] / 1_000_000)
        .where(alert.start_utc <= span[1] / 1_000_000)
        .values(status="retracted", rev=alert.rev + 1)
        .returning(alert.source, alert.id, alert.type)
    )
    return [
        ThingChange(
            EPISODE, episode_key(each.source, each.id), each.type, takes_back=True
        )
        for each in gone.all()
    ]


def _forget_days(
    connection: Connection, patient: PatientKey, metric: str, span: Span
) -> list[DaySummary]:
    """Remove what days and nights were that meet a time, and return it."""
    row = SUMMARIES.c
    of_metric = [*_of(SUMMARIES, patient), row.metric == metric]
    first, last = ((moment(us) + days).date() for us, days in zip(span, _AROUND))
    near = select(SUMMARIES).where(
        *of_metric, row.day >= first.isoformat(), row.day <= last.isoformat()
    )
    found = [day_summary(each) for each in connection.execute(near).all()]
    gone = [each for each in found if _meets(each, span)]
    if gone:
        same = [row[name] == bindparam(f"of_{name}") for name in _OF_A_DAY]
        named = [
            {f"of_{name}": str(getattr(each, name)) for name in _OF_A_DAY}
            for each in gone
        ]
        connection.execute(delete(SUMMARIES).where(*of_metric, *same), named)
    return gone


def _meets(summary: DaySummary, span: Span) -> bool:
    """Whether it may rest on something of a time."""
    begin, end = _span(summary)
    return begin <= span[1] and span[0] <= end


def _span(summary: DaySummary) -> Span:
    begin, end = span_of_day(summary)
    return microseconds(begin), microseconds(end)


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
