"""The statements that each telling takes, compiled once for each database.

A lane and a thing of it are named by the same values everywhere, as ``of_lane`` and
``of_thing`` give them.
"""

from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Table,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from ...wearables.records import PatientKey
from ..database import Prepared
from ..samples.tables import LINKS, PATIENT
from ..tables import WEARABLE_ALERTS, WHOLE
from .records import DEAD, DROPPED, WAITING, Lane
from .tables import DESTINATIONS, LANES, OUTBOX, THING, TOLD

LANE = ("destination", *PATIENT)


def of_patient(patient: PatientKey) -> dict[str, Any]:
    """Return the values that name a patient in a statement."""
    return {f"of_{name}": value for name, value in patient._asdict().items()}


def of_lane(lane: Lane) -> dict[str, Any]:
    """Return the values that name a lane."""
    return {"of_destination": lane.destination, **of_patient(lane.patient)}


def of_thing(lane: Lane, kind: str, key: str) -> dict[str, Any]:
    """Return the values that name a thing of a lane."""
    return {**of_lane(lane), "of_kind": kind, "of_thing": key}


def _same(table: Table, *names: str) -> list[ColumnElement[bool]]:
    return [table.c[name] == bindparam(f"of_{name}") for name in names]


def _whole(name: str) -> BindParameter[int]:
    return bindparam(name, type_=WHOLE)


def _hold() -> Prepared:
    mine = _same(LANES, *LANE, "holder", "epoch")
    return Prepared(update(LANES).where(*mine).values(until_us=_whole("held_until")))


def _release() -> Prepared:
    first = (
        select(func.min(OUTBOX.c.due_us))
        .where(*_same(OUTBOX, *LANE), _IS_TO_BE_TOLD)
        .scalar_subquery()
    )
    values = {
        "holder": _EMPTY,
        "until_us": _ZERO,
        "due_us": first,
        "not_before_us": _whole("not_before"),
    }
    return Prepared(update(LANES).where(*_same(LANES, *LANE)).values(values))


def _first() -> Prepared:
    row = OUTBOX.c
    asked = select(OUTBOX).where(*_same(OUTBOX, *LANE), _IS_TO_BE_TOLD)
    due = asked.where(row.due_us <= _whole("now_us"))
    return Prepared(due.order_by(row.noted_us, row.id).limit(literal_column("1")))


def _begin() -> Prepared:
    row, now = OUTBOX.c, _whole("now_us")
    values = {
        "begun_us": now,
        "begun_rev": func.coalesce(row.begun_rev, row.rev),
        "looked_us": _whole("looked_us"),
        "first_us": func.coalesce(row.first_us, now),
        "state": literal_column(f"'{WAITING}'"),
    }
    return Prepared(update(OUTBOX).where(*_same(OUTBOX, "id")).values(values))


def _note_success() -> Prepared:
    row, now = DESTINATIONS.c, _whole("now_us")
    news = or_(
        row.failures > _ZERO,
        row.open_until_us > _ZERO,
        row.last_success_us.is_(None),
        row.last_success_us < _whole("long_ago"),
    )
    values = {
        "failures": _ZERO,
        "open_until_us": _ZERO,
        "last_success_us": now,
        "last_problem": _EMPTY,
    }
    changed = update(DESTINATIONS).where(*_same(DESTINATIONS, "destination"), news)
    return Prepared(changed.values(values))


def _keep() -> Prepared:
    new = insert(TOLD)
    changes = ("rev", "remote", "digest", "status", "told_us")
    return Prepared(
        new.on_conflict_do_update(
            index_elements=list(TOLD.primary_key.columns),
            set_={name: new.excluded[name] for name in changes},
        ),
        [each.name for each in TOLD.columns],
    )


def _numbers() -> Prepared:
    link = LINKS.c
    asked = select(link.id, link.source, link.mrn, link.authority).where(
        *_same(LINKS, *PATIENT),
        link.retracted.is_(None),
        link.mrn != _EMPTY,
    )
    return Prepared(asked.order_by(link.id.desc()))


_IS_TO_BE_TOLD = and_(
    *(OUTBOX.c.state != literal_column(f"'{each}'") for each in (DEAD, DROPPED))
)
_EMPTY: ColumnElement[str] = literal_column("''")
_ZERO: ColumnElement[int] = literal_column("0")
HOLD = _hold()
RELEASE = _release()
FIRST = _first()
BEGIN = _begin()
NOTE_SUCCESS = _note_success()
HEALTH = Prepared(
    select(
        DESTINATIONS.c.failures,
        DESTINATIONS.c.open_until_us,
        DESTINATIONS.c.last_success_us,
        DESTINATIONS.c.last_problem,
    ).where(*_same(DESTINATIONS, "destination"))
)
ALERT = Prepared(
    select(WEARABLE_ALERTS).where(*_same(WEARABLE_ALERTS, *PATIENT, "source", "id"))
)
PRIOR = Prepared(
    select(TOLD.c.rev, TOLD.c.remote, TOLD.c.status, TOLD.c.digest).where(
        *_same(TOLD, *THING)
    )
)
NUMBERS = _numbers()
KEEP = _keep()
DONE = Prepared(
    delete(OUTBOX).where(*_same(OUTBOX, *THING, "rev"), OUTBOX.c.begun_us.is_not(None))
)
