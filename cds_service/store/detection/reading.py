"""What wearables told of one patient, as the rules of one call ask for it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    cast,
    exists,
    literal_column,
    null,
    or_,
    select,
    union_all,
)

from ...wearables.records import PatientKey, RecentAlerts
from ...wearables.worn import AgreedStream, Wearables, WearablesAsked
from ..database import Prepared
from ..records import StoreError
from ..rows import recent_alerts
from ..samples.records import NO_LINK
from ..samples.rows import moment
from ..samples.tables import DEVICES, LINKS, PATIENT, SAMPLES, STREAMS
from ..statements import ALERTS_ASKED, ALERTS_SINCE, TIMES_ASKED
from ..tables import TEXT, WHOLE
from .rows import day_summary, day_tally
from .tables import SUMMARIES, TALLIES

ALERTS_READ = 500
"""Of one patient by one call."""
ROWS_READ = 4000
"""Days of one patient by one call; ten years of a metric with its nights are more."""
AT_ONCE = 8
"""Questions about days in one statement."""
_NOTHING = {"of": "", "part": "", "since": ""}


def read_alerts(
    connection: Connection, patient: PatientKey, since: datetime
) -> RecentAlerts:
    """Return the alerts that lasted until *since* or later; of too many the newest."""
    asked = {"since": since.timestamp(), "most": ALERTS_READ + 1}
    found = ALERTS_SINCE.ask(connection, {**patient._asdict(), **asked})
    return recent_alerts(found, ALERTS_READ, patient)


def _read_asked(
    connection: Connection, patient: PatientKey, asked: Mapping[str, datetime]
) -> RecentAlerts:
    """Return the alerts of some types that lasted until a time of each, or later.

    Of those for which many times are asked some are read from an earlier one on.
    """
    times = sorted(set(asked.values()))
    slots = [times[min(slot, len(times) - 1)] for slot in range(TIMES_ASKED)]
    told: dict[str, Any] = {"most": ALERTS_READ + 1}
    for slot, since in enumerate(slots):
        named = (each for each, at in asked.items() if _slot(at, slots) == slot)
        told |= {f"since{slot}": since.timestamp(), f"types{slot}": _list(named)}
    told |= {"since": times[0].timestamp(), "types": _list(asked)}
    found = ALERTS_ASKED.ask(connection, {**patient._asdict(), **told})
    return recent_alerts(found, ALERTS_READ, patient)


def _slot(at: datetime, slots: Sequence[datetime]) -> int:
    """Return the first of the times that are as late, and no later than it."""
    return slots.index(max(each for each in slots if each <= at))


def _list(types: Iterable[str]) -> str:
    return " ".join(("", *types, ""))


def read_wearables(
    connection: Connection, patient: PatientKey, asked: WearablesAsked, now: datetime
) -> Wearables:
    """Return what rules ask of a patient's wearables, as was agreed at *now*.

    Raises:
        StoreError: if there are more days than are ever read of one patient.
    """
    recent = RecentAlerts()
    if asked.alerts:
        recent = _read_asked(connection, patient, asked.alerts)
    if not asked.beside_alerts:
        return Wearables(recent.alerts, whole=recent.whole)
    whose = patient._asdict()
    days = [
        {"of": metric, "part": part, "since": str(first)}
        for (metric, part), first in asked.days.items()
    ]
    detectors = [
        {"of": detector, "since": str(first)}
        for detector, first in asked.detectors.items()
    ]
    streams = tuple(_streams(connection, patient, asked, now)) if asked.streams else ()
    return Wearables(
        recent.alerts,
        tuple(map(day_summary, _of_each(_DAYS, connection, whose, days))),
        streams,
        tuple(map(day_tally, _of_each(_TALLIES, connection, whose, detectors))),
        recent.whole,
    )


def _of_each(
    prepared: Prepared,
    connection: Connection,
    whose: Mapping[str, Any],
    asked: Sequence[Mapping[str, str]],
) -> list[Any]:
    """Return the rows of all that is asked, so many questions at once."""
    rows: list[Any] = []
    for start in range(0, len(asked), AT_ONCE):
        told: dict[str, Any] = {**whose, "most": ROWS_READ + 1}
        for slot in range(AT_ONCE):
            place = start + slot
            one = asked[place] if place < len(asked) else _NOTHING
            told |= {f"{name}{slot}": value for name, value in one.items()}
        rows += prepared.ask(connection, told)
    if len(rows) > ROWS_READ:
        raise StoreError("There are more days of one patient than are ever read.")
    return rows


def _streams(
    connection: Connection, patient: PatientKey, asked: WearablesAsked, now: datetime
) -> Iterator[AgreedStream]:
    """Streams that are agreed now: their link holds, and nothing was withdrawn.

    A link names no metrics: one of which nothing ever came is agreed for all of them.
    """
    seen: dict[int, AgreedStream] = {}
    at_us = round(now.timestamp() * 1_000_000)
    for row in _STREAMS.ask(connection, {**patient._asdict(), "now": at_us}):
        if row.newest_us is None:
            made = datetime.fromisoformat(row.name)
            since = max(moment(row.from_us), made)
            yield from (
                AgreedStream(e, row.source, since) for e in sorted(asked.streams)
            )
        elif row.metric in asked.streams and row.id not in seen:
            seen[row.id] = AgreedStream(
                metric=row.metric,
                source=row.source,
                since=_EPOCH if row.from_us is None else moment(row.from_us),
                newest=moment(row.newest_us),
                device=row.name or "",
            )
    yield from (seen[id] for id in sorted(seen))


_EPOCH = datetime.fromtimestamp(0, UTC)


def _several(table: Table, **asked: ColumnElement[str]) -> Prepared:
    """Several questions about days, each of which follows the key.

    One statement is one way to the database and back.
    """
    most: BindParameter[int] = bindparam("most")
    questions = [
        select(table)
        .where(
            *(table.c[each] == bindparam(each) for each in PATIENT),
            *(column == bindparam(f"{name}{slot}") for name, column in asked.items()),
            table.c.day >= bindparam(f"since{slot}"),
        )
        .limit(most)
        .subquery()
        for slot in range(AT_ONCE)
    ]
    return Prepared(union_all(*map(select, questions)))


def _agreed() -> Prepared:
    """Every stream of a patient, its link, and the device of its newest reading.

    Then every link of which nothing came since it began, with when it was made.
    """
    stream, link, sample = STREAMS.c, LINKS.c, SAMPLES.c
    now: BindParameter[int] = bindparam("now")
    holds = and_(
        link.retracted.is_(None), or_(link.until_us.is_(None), link.until_us > now)
    )
    newest = and_(sample.stream == stream.id, sample.start_us == stream.newest_us)
    heard = (
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
    )
    whose = [link[name] == bindparam(name) for name in PATIENT]
    same = [stream[name] == link[name] for name in (*PATIENT, "source")]
    since = [stream.withdrawn_us.is_(None), stream.newest_us >= link.from_us]
    unheard = select(
        link.id,
        literal_column("''", TEXT).label("metric"),
        link.source,
        cast(null(), WHOLE).label("newest_us"),
        link.from_us,
        link.created.label("name"),
    ).where(*whose, holds, link.from_us <= now, ~exists().where(*same, *since))
    return Prepared(union_all(heard, unheard))


_DAYS = _several(SUMMARIES, of=SUMMARIES.c.metric, part=SUMMARIES.c.part)
_TALLIES = _several(TALLIES, of=TALLIES.c.detector)
_STREAMS = _agreed()
