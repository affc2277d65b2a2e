"""What wearables told of one patient, as the rules of one call ask for it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, and_, bindparam, or_, select

from ...wearables.detection.episodes import DayTally
from ...wearables.records import PatientKey, RecentAlerts
from ...wearables.summaries import DaySummary
from ...wearables.worn import AgreedStream, Wearables, WearablesAsked
from ..database import Prepared
from ..records import StoreError
from ..rows import recent_alerts
from ..samples.records import NO_LINK
from ..samples.rows import moment
from ..samples.tables import DEVICES, LINKS, PATIENT, SAMPLES, STREAMS
from ..statements import ALERTS_SINCE
from .rows import day_summary, day_tally
from .tables import SUMMARIES, TALLIES

ALERTS_READ = 500
"""Of one patient by one call."""
ROWS_READ = 4000
"""Of one metric's days, or one detector's: ten years of days and nights are fewer."""


def read_alerts(
    connection: Connection, patient: PatientKey, since: datetime
) -> RecentAlerts:
    """Return the alerts that lasted until *since* or later; of too many the newest."""
    asked = {"since": since.timestamp(), "most": ALERTS_READ + 1}
    found = ALERTS_SINCE.ask(connection, {**patient._asdict(), **asked})
    return recent_alerts(found, ALERTS_READ)


def read_wearables(
    connection: Connection, patient: PatientKey, asked: WearablesAsked, now: datetime
) -> Wearables:
    """Return what rules ask of a patient's wearables, as was agreed at *now*.

    Raises:
        StoreError: if there are more days than are ever read of one patient.
    """
    recent = RecentAlerts()
    if asked.alerts_since is not None:
        recent = read_alerts(connection, patient, asked.alerts_since)
    if not asked.beside_alerts:
        return Wearables(recent.alerts, whole=recent.whole)
    whose = patient._asdict()
    days: list[DaySummary] = []
    tallies: list[DayTally] = []
    for metric in sorted(asked.metrics):
        told = {**whose, "of": metric, "since": str(asked.days_from)}
        days += map(day_summary, _bounded(_DAYS, connection, told))
    for detector in sorted(asked.detectors):
        told = {**whose, "of": detector, "since": str(asked.tallies_from)}
        tallies += map(day_tally, _bounded(_TALLIES, connection, told))
    streams = tuple(_streams(connection, patient, asked, now)) if asked.streams else ()
    return Wearables(recent.alerts, tuple(days), streams, tuple(tallies), recent.whole)


def _bounded(
    prepared: Prepared, connection: Connection, asked: dict[str, Any]
) -> list[Any]:
    rows = prepared.ask(connection, {**asked, "most": ROWS_READ + 1})
    if len(rows) > ROWS_READ:
        raise StoreError("There are more days of one patient than are ever read.")
    return rows


def _streams(
    connection: Connection, patient: PatientKey, asked: WearablesAsked, now: datetime
) -> Iterator[AgreedStream]:
    """Streams that are agreed now: their link holds, and nothing was withdrawn."""
    seen: dict[int, AgreedStream] = {}
    at_us = round(now.timestamp() * 1_000_000)
    for row in _STREAMS.ask(connection, {**patient._asdict(), "now": at_us}):
        if row.metric in asked.streams and row.id not in seen:
            seen[row.id] = AgreedStream(
                metric=row.metric,
                source=row.source,
                since=_EPOCH if row.from_us is None else moment(row.from_us),
                newest=moment(row.newest_us),
                device=row.name or "",
            )
    yield from seen.values()


_EPOCH = datetime.fromtimestamp(0, UTC)


def _days() -> Prepared:
    day = SUMMARIES.c
    since: BindParameter[str] = bindparam("since")
    most: BindParameter[int] = bindparam("most")
    return Prepared(
        select(SUMMARIES)
        .where(
            *(day[name] == bindparam(name) for name in PATIENT),
            day.metric == bindparam("of"),
            day.day >= since,
        )
        .order_by(day.day, day.part, day.source)
        .limit(most)
    )


def _tallies() -> Prepared:
    tally = TALLIES.c
    since: BindParameter[str] = bindparam("since")
    most: BindParameter[int] = bindparam("most")
    return Prepared(
        select(TALLIES)
        .where(
            *(tally[name] == bindparam(name) for name in PATIENT),
            tally.detector == bindparam("of"),
            tally.day >= since,
        )
        .order_by(tally.day, tally.source)
        .limit(most)
    )


def _agreed() -> Prepared:
    """Every stream of a patient, its link, and the device of its newest reading."""
    stream, link, sample = STREAMS.c, LINKS.c, SAMPLES.c
    now: BindParameter[int] = bindparam("now")
    holds = and_(
        link.retracted.is_(None), or_(link.until_us.is_(None), link.until_us > now)
    )
    newest = and_(sample.stream == stream.id, sample.start_us == stream.newest_us)
    return Prepared(
        select(
            stream.id,
            stream.metric,
            stream.source,
            stream.newest_us,
            link.from_us,
            DEVICES.c.name,
        )
        .select_from(
            STREAMS.outerjoin(LINKS, link.id == stream.link)
            .outerjoin(SAMPLES, newest)
            .outerjoin(DEVICES, DEVICES.c.id == sample.device)
        )
        .where(
            *(stream[name] == bindparam(name) for name in PATIENT),
            stream.withdrawn_us.is_(None),
            or_(stream.link == NO_LINK, holds),
        )
        .order_by(stream.id)
    )


_DAYS, _TALLIES, _STREAMS = _days(), _tallies(), _agreed()
