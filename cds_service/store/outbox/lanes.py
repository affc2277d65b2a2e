"""Lanes: who alone tells a destination of a patient, and how the destination is.

No transaction is open while something is sent: a lane is had for a while, which
outlives every attempt. Who died loses it when the time is up, or at once where another
on the same machine sees that the process has ended.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select, update

from ...wearables.records import PatientKey
from ...wearables.samples import microseconds
from ..claimants import process_has_ended
from ..samples.rows import moment
from ..samples.tables import PATIENT
from .records import LEASE, Health, Lane, LaneLost
from .statements import HEALTH, HOLD, NOTE_SUCCESS, RELEASE, of_lane
from .tables import DESTINATIONS, LANES

PROBE = timedelta(minutes=1)
"""For which a destination that failed is tried by one lane alone."""
SUCCESS_SECONDS = 10
"""So often it is noted at most that a destination has taken something."""


def claim(
    connection: Connection, destination: str, holder: str, most: int, now: datetime
) -> tuple[Lane, ...]:
    """Return lanes in which something is due, *holder*'s alone from now on.

    None while the destination is left alone; after that one, which tries it.
    """
    health = read_health(connection, destination)
    if health.is_left_alone(now):
        return ()
    probes = health.open_until is not None
    row, now_us = LANES.c, microseconds(now)
    # A probe takes another lane each time: what one is refused for may be its own.
    order = (row.not_before_us, row.due_us) if probes else (row.due_us,)
    asked = (
        select(row.epoch, *(row[name] for name in PATIENT))
        .where(_is_due(destination, now_us))
        .order_by(*order, *(row[name] for name in PATIENT))
        .limit(1 if probes else most)
        .with_for_update(skip_locked=True)
    )
    found = connection.execute(asked).all()
    if probes and found and not _begin_probe(connection, destination, now_us):
        return ()
    lanes = tuple(
        Lane(destination, PatientKey(*whose), holder, epoch + 1, probes)
        for epoch, *whose in found
    )
    for lane in lanes:
        values = {"holder": holder, "epoch": lane.epoch}
        values["until_us"] = microseconds(now + LEASE)
        connection.execute(update(LANES).where(*_same(LANES, lane)).values(values))
    return lanes


def is_due(connection: Connection, destination: str, now: datetime) -> bool:
    """Check whether something is due in a lane that nobody has."""
    asked = select(LANES.c.epoch).where(_is_due(destination, microseconds(now)))
    return connection.execute(asked.limit(1)).first() is not None


def hold(connection: Connection, lane: Lane, now: datetime) -> None:
    """Have a lane for as long again; whoever notes something for it waits.

    Raises:
        LaneLost: if another has it by now.
    """
    mine = {"of_holder": lane.holder, "of_epoch": lane.epoch}
    values = {**of_lane(lane), **mine, "held_until": microseconds(now + LEASE)}
    if HOLD.run(connection, values).rowcount != 1:
        raise LaneLost("another process is now sending for this patient")


def release(
    connection: Connection, lane: Lane, not_before: datetime | None = None
) -> None:
    """Give a lane that is held to whoever comes next, though not before a moment."""
    not_before_us = microseconds(not_before) if not_before else 0
    RELEASE.run(connection, {**of_lane(lane), "not_before": not_before_us})


def free_ended(connection: Connection, destination: str, now: datetime) -> int:
    """Return how many lanes are free because their process has ended."""
    row, now_us = LANES.c, microseconds(now)
    held = and_(row.destination == destination, row.until_us > now_us)
    holders = connection.execute(select(row.holder).where(held).distinct()).scalars()
    gone = [each for each in holders if process_has_ended(each.partition("#")[0])]
    if not gone:
        return 0
    freed = update(LANES).where(held, row.holder.in_(gone)).values(until_us=0)
    return connection.execute(freed).rowcount


def read_health(connection: Connection, destination: str) -> Health:
    """Return how a destination is, as all who tell it have found."""
    found = HEALTH.ask(connection, {"of_destination": destination})
    return health_of(found[0]) if found else Health()


def health_of(row: Any) -> Health:
    """Return how the destination of a row is."""
    success = row.last_success_us
    return Health(
        row.failures,
        moment(row.open_until_us) if row.open_until_us else None,
        None if success is None else moment(success),
        row.last_problem,
    )


def note_success(connection: Connection, destination: str, now: datetime) -> None:
    """Note that a destination has answered; seldom, where that is usual."""
    now_us = microseconds(now)
    long_ago = now_us - SUCCESS_SECONDS * 1_000_000
    values = {"of_destination": destination, "now_us": now_us, "long_ago": long_ago}
    NOTE_SUCCESS.run(connection, values)


def note_failure(
    connection: Connection,
    lane: Lane,
    problem: str,
    now: datetime,
    rest: Callable[[int], timedelta],
) -> None:
    """Note that the destination of a lane has failed once more in a row.

    Args:
        rest: For how long it is left alone after so many failures; no longer than that
            where the lane tried it, for whom it was kept from all others.
    """
    row = DESTINATIONS.c
    same = row.destination == lane.destination
    asked = select(row.failures, row.open_until_us).where(same).with_for_update()
    failures, open_until = connection.execute(asked).one()
    rests = rest(failures + 1)
    if rests:
        until = microseconds(now + rests)
        open_until = until if lane.probes else max(open_until, until)
    values = {"failures": failures + 1, "open_until_us": open_until}
    changed = update(DESTINATIONS).where(same)
    connection.execute(changed.values(**values, last_problem=problem))


def count(connection: Connection, destination: str, sent: int, failed: int) -> None:
    """Add to how many attempts a destination took, and how many failed."""
    row = DESTINATIONS.c
    changed = update(DESTINATIONS).where(row.destination == destination)
    values = {"sent": row.sent + sent, "failed": row.failed + failed}
    connection.execute(changed.values(values))


def _begin_probe(connection: Connection, destination: str, now_us: int) -> bool:
    """Whether nobody else tries the destination at this moment."""
    row = DESTINATIONS.c
    free = and_(row.destination == destination, row.open_until_us <= now_us)
    until = now_us + int(PROBE / timedelta(microseconds=1))
    taken = update(DESTINATIONS).where(free).values(open_until_us=until)
    return connection.execute(taken).rowcount == 1


def _is_due(destination: str, now_us: int) -> ColumnElement[bool]:
    row = LANES.c
    return and_(
        row.destination == destination,
        row.due_us <= now_us,
        row.not_before_us <= now_us,
        row.until_us <= now_us,
    )


def _same(table: Any, lane: Lane) -> list[Any]:
    whose = [table.c[name] == value for name, value in lane.patient._asdict().items()]
    return [table.c.destination == lane.destination, *whose]
