"""What is to be judged still: of which patient and metric, of which time.

A patient and metric have one row: what is due of two times is due of what lies between
them as well.
"""

from datetime import date, timedelta

from sqlalchemy import Connection, and_, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from ...wearables.records import PatientKey
from ...wearables.samples import EPOCH
from ..database import Prepared
from ..samples.tables import PATIENT, SAMPLES, STREAMS
from ..tables import WEARABLE_ALERTS
from .tables import DUE, SUMMARIES

Span = tuple[int, int]
"""Microseconds since 1970, both included."""
OF_LINK, OF_MERGED, OF_CONSENT, OF_LENGTH, OF_DETECTORS = (
    *("link", "merge", "consent", "length", "detectors"),
)
"""Why something is due: a link was taken back or ended, two patients are one, its use
was not permitted, it was too long a time for one transaction, or detectors changed."""


def note_due(
    connection: Connection,
    patient: PatientKey,
    metric: str,
    span: Span,
    why: str,
    now_us: int,
) -> None:
    """Have a time be due, beside what is due already."""
    row = {
        **patient._asdict(),
        "metric": metric,
        "from_us": span[0],
        "to_us": span[1],
        "noted_us": now_us,
        "why": why,
    }
    _NOTE.run(connection, row)


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
    whose = [stream[name] == value for name, value in patient._asdict().items()]
    asked = select(stream.id, stream.metric, stream.newest_us).where(
        *whose, stream.source == source, stream.link == link
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
    due, stream, sample = DUE.c, STREAMS.c, SAMPLES.c
    was = and_(*(due[name] == value for name, value in old._asdict().items()))
    for each in connection.execute(select(DUE).where(was)).all():
        span = (each.from_us, each.to_us)
        note_due(connection, new, each.metric, span, each.why, now_us)
    connection.execute(delete(DUE).where(was))
    joined = STREAMS.join(SAMPLES, sample.stream == stream.id)
    whole = (
        select(stream.metric, func.min(sample.start_us), func.max(stream.newest_us))
        .select_from(joined)
        .where(*(stream[name] == value for name, value in new._asdict().items()))
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
        .where(*(alert[name] == value for name, value in patient._asdict().items()))
        .where(alert.detector != "", alert.metric == metric, alert.source == source)
        .where(alert.status != "retracted", alert.last_utc >= from_us / 1_000_000)
        .values(status="retracted", rev=alert.rev + 1)
    )


def _forget_days(
    connection: Connection, patient: PatientKey, metric: str, from_us: int
) -> None:
    row, before = SUMMARIES.c, day_of(from_us) - timedelta(days=1)
    connection.execute(
        delete(SUMMARIES)
        .where(*(row[name] == value for name, value in patient._asdict().items()))
        .where(row.metric == metric, row.day >= before.isoformat())
    )


def day_of(us: int) -> date:
    """Return the day in UTC; a wearer's is that, the one before or the one after."""
    return (EPOCH + timedelta(microseconds=us)).date()


def _note() -> Prepared:
    new, row = insert(DUE), DUE.c
    changes = {
        "from_us": case(
            (new.excluded.from_us < row.from_us, new.excluded.from_us),
            else_=row.from_us,
        ),
        "to_us": case(
            (new.excluded.to_us > row.to_us, new.excluded.to_us), else_=row.to_us
        ),
        "why": new.excluded.why,
    }
    key = [row[name] for name in (*PATIENT, "metric")]
    return Prepared(
        new.on_conflict_do_update(index_elements=key, set_=changes),
        [each.name for each in DUE.columns],
    )


_NOTE = _note()
