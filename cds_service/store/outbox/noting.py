"""What is to be told, noted in the transaction in which it came about.

Who takes what stands in the database, so that whoever stores something, a server or a
command, cannot forget to note it. What waits already stays in its place: it is told
once, as it stands then.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    Boolean,
    ColumnElement,
    CompoundSelect,
    Connection,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from ...wearables.records import PatientKey, WearableAlert
from ...wearables.samples import microseconds
from ...wearables.summaries import DaySummary
from ...wearables.telling import (
    DAY,
    EPISODE,
    RECENT,
    Subscription,
    TakenDay,
    day_key,
    end_of_day,
    episode_key,
)
from ..database import Prepared, lock_table
from ..records import StoreError
from ..rows import canonical_json
from ..samples.tables import PATIENT
from ..tables import WHOLE
from .records import DEAD, DROPPED, WAITING, WITHHELD, ThingChange
from .tables import DESTINATIONS, IDENTIFIERS, LANES, OUTBOX, THING, TOLD

AT_ONCE = 200
"""Things of one query."""


def subscribe(connection: Connection, subscriptions: Sequence[Subscription]) -> None:
    """Have these be told from now on, and nobody else."""
    row = DESTINATIONS.c
    asked = select(row.destination, row.tenant, row.fhir_base, row.takes)
    known = {each.destination: each for each in connection.execute(asked)}
    for each in subscriptions:
        told = {
            "tenant": each.tenant,
            "fhir_base": each.fhir_base,
            "takes": _takes(each),
        }
        old = known.pop(each.destination, None)
        if old is None:
            counts = ("failures", "open_until_us", "sent", "failed")
            new = {**dict.fromkeys(counts, 0), "last_problem": ""}
            added = insert(DESTINATIONS).on_conflict_do_nothing()
            values = {"destination": each.destination, **told, **new}
            connection.execute(added.values(values))
        elif tuple(old[1:]) != tuple(told.values()):
            same = row.destination == each.destination
            connection.execute(update(DESTINATIONS).where(same).values(told))
    for other in (name for name, each in known.items() if each.takes):
        gone = update(DESTINATIONS).where(row.destination == other)
        connection.execute(gone.values(takes=""))


def read_base(connection: Connection) -> str:
    """Return on which address identifiers rest; empty where nobody has said so yet."""
    return connection.execute(select(IDENTIFIERS.c.base)).scalar() or ""


def keep_base(connection: Connection, wanted: str, usual: str) -> str:
    """Return on which address identifiers rest from now on.

    Whatever was told stays what it is: the same thing must not have two ids.

    Args:
        wanted: As it is configured; empty for what it was, at first *usual*.

    Raises:
        StoreError: if something was told under another than is wanted.
    """
    lock_table(connection, IDENTIFIERS)
    kept = read_base(connection)
    if kept and _is_told(connection):
        if wanted not in ("", kept):
            raise StoreError(
                f"what was told has identifiers under {kept}; under {wanted} it would"
                " be told again as something else"
            )
        return kept
    base = wanted or usual
    if base != kept:
        connection.execute(delete(IDENTIFIERS))
        connection.execute(insert(IDENTIFIERS).values(id=1, base=base))
    return base


def _is_told(connection: Connection) -> bool:
    for asked in (
        select(TOLD.c.rev),
        select(OUTBOX.c.id).where(OUTBOX.c.begun_us.is_not(None)),
    ):
        if connection.execute(asked.limit(1)).first() is not None:
            return True
    return False


def subscriptions_of(
    connection: Connection, patient: PatientKey
) -> Sequence[Subscription]:
    """Return who was ever told of patients like this one, with what they take now."""
    asked = {"tenant": patient.tenant, "fhir_base": patient.fhir_base}
    return [_subscription(each) for each in _OF_PATIENTS.ask(connection, asked)]


def change_of_alert(alert: WearableAlert, *, historical: bool = False) -> ThingChange:
    """Return what is noted of an episode or alert that is otherwise than it was."""
    return ThingChange(
        EPISODE,
        episode_key(alert.source, alert.id),
        alert.type,
        historical=historical or alert.historical,
        takes_back=alert.status == "retracted",
    )


def change_of_day(
    summary: DaySummary, now: datetime, *, gone: bool = False
) -> Iterator[ThingChange]:
    """Yield what is noted of a day that is otherwise; of a night only a sum is told.

    That is the time asleep: what else was measured by night is in the day as well.
    """
    if summary.part == "day" or summary.total is not None:
        end = end_of_day(summary.day, summary.zone)
        yield ThingChange(
            DAY,
            day_key(summary.metric, summary.day.isoformat(), summary.part),
            summary.metric,
            due_us=microseconds(end),
            historical=end < now - RECENT,
            takes_back=gone,
            gone=gone,
        )


def read_subscriptions(connection: Connection) -> Mapping[str, Subscription]:
    """Return who is told by now, by name."""
    row = DESTINATIONS.c
    asked = select(row.destination, row.tenant, row.fhir_base, row.takes)
    found = connection.execute(asked.where(row.takes != "")).all()
    return {each.destination: _subscription(each) for each in found}


def note(
    connection: Connection,
    patient: PatientKey,
    changes: Iterable[ThingChange],
    now_us: int,
) -> None:
    """Note what has changed of a patient for whom it is to be told.

    New things for who takes such; what somebody was told of before, or is about to be,
    for them whatever they take now. The patient is guarded.
    """
    all_changes = list(changes)
    if not all_changes:
        return
    subscriptions = subscriptions_of(connection, patient)
    for start in range(0, len(all_changes) if subscriptions else 0, AT_ONCE):
        some = all_changes[start : start + AT_ONCE]
        found = connection.execute(ask_known(patient, some, subscriptions))
        known = {(each.destination, each.kind, each.thing) for each in found}
        rows = [
            row_of(each, patient, change, now_us)
            for change in some
            for each in subscriptions
            if (each.destination, change.kind, change.key) in known
            or _takes_new(each, change)
        ]
        add(connection, rows)


def row_of(
    subscription: Subscription, patient: PatientKey, change: ThingChange, now_us: int
) -> dict[str, Any]:
    """Return what is put into the outbox for a destination."""
    late = subscription.lateness if change.due_us else timedelta(0)
    due_us = change.due_us + int(late / timedelta(microseconds=1))
    return {
        "destination": subscription.destination,
        **patient._asdict(),
        "kind": change.kind,
        "thing": change.key,
        "noted_us": now_us,
        "due_us": max(now_us, due_us),
        "gone": change.gone,
    }


def takes(subscription: Subscription, change: ThingChange) -> bool:
    """Check whether a destination takes such things, of whatever time."""
    if change.kind == DAY:
        return subscription.takes_metric(change.subject)
    return subscription.takes_type(change.subject)


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Put rows into the outbox; whoever has their lanes is waited for."""
    lanes: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in _LANE)
        due = min(row["due_us"], lanes.get(key, row)["due_us"])
        lanes[key] = {**{name: row[name] for name in _LANE}, "due_us": due}
    if rows:
        _OPEN_LANE.run(connection, *(lanes[key] for key in sorted(lanes)))
        _ADD.run(connection, *rows)


def wake(connection: Connection, patient: PatientKey, now_us: int) -> None:
    """Have what the patient did not permit to be told be asked for anew."""
    whose = [OUTBOX.c[name] == value for name, value in patient._asdict().items()]
    held = and_(*whose, OUTBOX.c.state == WITHHELD)
    asked = select(OUTBOX.c.destination).where(held).distinct()
    names = connection.execute(asked.order_by(OUTBOX.c.destination)).scalars().all()
    if not names:
        return
    lanes = [
        {"destination": each, **patient._asdict(), "due_us": now_us} for each in names
    ]
    _OPEN_LANE.run(connection, *lanes)
    changed = update(OUTBOX).where(held)
    connection.execute(changed.values(state=WAITING, due_us=now_us))


def _takes_new(subscription: Subscription, change: ThingChange) -> bool:
    """Whether somebody is to be told of what they never heard of."""
    if change.takes_back or (change.historical and not subscription.historical):
        return False
    return takes(subscription, change)


def ask_known(
    patient: PatientKey,
    changes: Sequence[ThingChange],
    subscriptions: Sequence[Subscription],
) -> CompoundSelect[Any]:
    """Return the question of what somebody was told of, or is about to be.

    Everything with which the keys of these tables begin is named, or each would be read
    whole.
    """
    values = {
        "destination": sorted(each.destination for each in subscriptions),
        "kind": sorted({each.kind for each in changes}),
        "thing": [each.key for each in changes],
    }
    return union_all(
        *(
            select(table.c.destination, table.c.kind, table.c.thing).where(
                *(table.c[name] == value for name, value in patient._asdict().items()),
                *(table.c[name].in_(some) for name, some in values.items()),
            )
            for table in (TOLD, OUTBOX)
        )
    )


def _takes(subscription: Subscription) -> str:
    episodes = subscription.episodes
    return canonical_json(
        {
            "episodes": None if episodes is None else list(episodes),
            "days": [[each.metric, *each.statistics] for each in subscription.days],
            "historical": subscription.historical,
            "lateness": int(subscription.lateness.total_seconds()),
        }
    )


def _subscription(row: Any) -> Subscription:
    """What a destination takes; one that is not configured takes nothing new."""
    whose = (row.destination, row.tenant, row.fhir_base)
    if not row.takes:
        return Subscription(*whose, episodes=())
    told = json.loads(row.takes)
    episodes = told["episodes"]
    return Subscription(
        *whose,
        episodes=None if episodes is None else tuple(episodes),
        days=tuple(TakenDay(metric, tuple(rest)) for metric, *rest in told["days"]),
        historical=told["historical"],
        lateness=timedelta(seconds=told["lateness"]),
    )


def _of_patients() -> Prepared:
    row = DESTINATIONS.c
    asked = select(row.destination, row.tenant, row.fhir_base, row.takes)
    whose = [row[name] == bindparam(name) for name in ("tenant", "fhir_base")]
    return Prepared(asked.where(*whose).order_by(row.destination))


def _open_lane() -> Prepared:
    """Insert, or have it be due no later than before."""
    new, row = insert(LANES), LANES.c
    later = case((row.due_us < new.excluded.due_us, row.due_us))
    given = [bindparam(name, type_=Text) for name in _LANE]
    due: BindParameter[int] = bindparam("due_us", type_=WHOLE)
    values = select(*given, due, _ZERO, _EMPTY, _ZERO, _ZERO)
    return Prepared(
        new.from_select([each.name for each in LANES.columns], values.where(_ALWAYS))
        .on_conflict_do_update(
            index_elements=list(LANES.primary_key.columns),
            set_={"due_us": func.coalesce(later, new.excluded.due_us)},
        )
    )  # fmt: skip


def _add() -> Prepared:
    """Insert, or have what waits be told as it stands now."""
    new, row = insert(OUTBOX), OUTBOX.c
    given = {name: bindparam(name, type_=Text) for name in THING}
    whole = [bindparam(name, type_=WHOLE) for name in ("noted_us", "due_us")]
    same = [TOLD.c[name] == given[name] for name in THING]
    last = select(TOLD.c.rev).where(*same).scalar_subquery()
    gone: BindParameter[bool] = bindparam("gone", type_=Boolean)
    names = [*THING, "rev", "noted_us", "due_us", "gone", "attempts", "state"]
    values = select(
        *given.values(),
        func.coalesce(last, 0) + 1,
        *whole,
        cast(gone, Boolean),
        _ZERO,
        literal_column(f"'{WAITING}'"),
        _EMPTY,
    )
    over = or_(*(row.state == literal_column(f"'{it}'") for it in (DEAD, DROPPED)))
    again = {
        "rev": row.rev + 1,
        "due_us": new.excluded.due_us,
        "gone": new.excluded.gone,
        "state": case((over, new.excluded.state), else_=row.state),
        "attempts": case((over, _ZERO), else_=row.attempts),
        "first_us": case((~over, row.first_us)),
        "problem": case((over, _EMPTY), else_=row.problem),
    }
    return Prepared(
        new.from_select([*names, "problem"], values.where(_ALWAYS))
        .on_conflict_do_update(
            index_elements=[row[name] for name in THING], set_=again
        )
    )  # fmt: skip


_LANE = ("destination", *PATIENT)
_ZERO: ColumnElement[int] = literal_column("0")
_EMPTY: ColumnElement[str] = literal_column("''")
_ALWAYS = literal_column("1") == literal_column("1")
"""So that SQLite does not take what follows for a join."""
_OF_PATIENTS = _of_patients()
_OPEN_LANE = _open_lane()
_ADD = _add()
