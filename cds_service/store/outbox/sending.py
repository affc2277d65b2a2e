"""The outbox, for those who send what is in it.

A telling goes through two short transactions with nothing open between them. The first
reads the thing as it stands and asks for consent, and notes that an attempt begins; the
second keeps what became of that, and begins the next. What was begun and never settled
is uncertain: the destination looks before it tells again.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, and_, case, delete, update

from ...wearables.consent_gate import ConsentGate
from ...wearables.samples import microseconds
from ...wearables.telling import PriorTelling, Subscription, Telling, ToldAs
from ..claimants import name_process
from ..consents import guard
from ..database import Database
from ..recorder import Recorder
from ..records import AuditEvent
from ..samples.rows import moment
from . import lanes
from .lanes import hold, note_failure, note_success, read_health, release
from .noting import keep_base, read_base, subscribe
from .records import DEAD, DROPPED, WAITING, WITHHELD, Begun, Health, Lane
from .statements import BEGIN, DONE, FIRST, KEEP, of_lane, of_thing
from .tables import OUTBOX
from .things import find_prior, find_thing, identify, may_disclose

SETTLING = timedelta(seconds=10)
"""For which what may be there is looked for: a search may not find yet what was created
just now, and the other side may still be at work on a call that was given up."""
ASKED_AGAIN = timedelta(hours=1)
"""What the patient does not permit is asked for anew at the latest: a Consent may have
begun meanwhile."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """What became of an attempt that did not succeed."""

    problem: str
    again: datetime | None
    """When it is tried again; None where it is given up."""
    uncertain: bool = False
    """Whether the other side may have it."""
    looked: bool = False
    """Whether nothing was sent, only looked for."""
    counts: bool = True
    """Whether it wears the thing out; not so where it was only to see if something is
    there."""
    rest: Callable[[int], timedelta] | None = None
    """For how long the destination is left alone after so many failures in a row; None
    where it is well, and the thing alone is refused."""


class Outbox:
    """The outbox of one database, as one process works on it; threads share it."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database, self._recorder = database, recorder
        self._holder = f"{name_process(os.getpid()) or ''}#{uuid4()}"

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Have these be told from now on, and nobody else."""
        self._database.write(lambda it: subscribe(it, subscriptions), repeatable=True)

    def keep_base(self, wanted: str, usual: str) -> str:
        """Return on which address the identifiers of what is told rest from now on.

        Args:
            wanted: As it is configured; empty for what it was, at first *usual*.

        Raises:
            StoreError: if something was told under another than is wanted.
        """
        return self._database.write(
            lambda it: keep_base(it, wanted, usual), repeatable=True
        )

    def base(self) -> str:
        """Return on which address identifiers rest; empty where none was told yet."""
        return self._database.read(read_base)

    def claim(self, destination: str, most: int, now: datetime) -> tuple[Lane, ...]:
        """Return lanes in which something is due, this process's alone for a while."""
        with self._database.reading() as connection:
            if not lanes.is_due(connection, destination, now):
                return ()
        return self._database.write(
            lambda it: lanes.claim(it, destination, self._holder, most, now)
        )

    def free_ended(self, destination: str, now: datetime) -> int:
        """Return how many lanes are free now because their process has ended."""
        return self._database.write(
            lambda it: lanes.free_ended(it, destination, now), repeatable=True
        )

    def count(self, destination: str, sent: int, failed: int) -> None:
        """Add to how many attempts a destination took, and how many failed."""
        self._database.write(
            lambda it: lanes.count(it, destination, sent, failed), durable=False
        )

    def health(self, destination: str) -> Health:
        """Return how a destination is."""
        with self._database.reading() as connection:
            return read_health(connection, destination)

    def begin(self, lane: Lane, gate: ConsentGate, now: datetime) -> Begun | None:
        """Return what is to be told next; None where the lane is given back.

        Raises:
            LaneLost: if another has the lane by now.
        """

        def work(connection: Connection) -> Begun | _Denied | None:
            guard(connection, read=[lane.patient])
            hold(connection, lane, now)
            health = read_health(connection, lane.destination)
            wanted = lane.probes or not health.is_left_alone(now)
            return _go_on(connection, lane, gate, now, wanted)

        return self._permitted(lane, gate, now, self._database.write(work))

    def settle(
        self,
        lane: Lane,
        begun: Begun,
        told: PriorTelling,
        gate: ConsentGate,
        now: datetime,
        *,
        go_on: bool = True,
    ) -> Begun | None:
        """Keep what the other side has taken, and say so in the trail; begin the next.

        Raises:
            LaneLost: if another has the lane by now, who looks at the other side.
        """
        found: list[Begun | _Denied | None] = []

        def work(connection: Connection) -> None:
            guard(connection, read=[lane.patient])
            hold(connection, lane, now)
            _keep(connection, lane, begun, told, now)
            note_success(connection, lane.destination, now)
            found.append(_go_on(connection, lane, gate, now, go_on))

        self._recorder.record(_told_event(lane, begun.telling, told, now), work)
        return self._permitted(lane, gate, now, found[-1])

    def fail(
        self,
        lane: Lane,
        begun: Begun,
        failure: FailedAttempt,
        gate: ConsentGate,
        now: datetime,
        *,
        go_on: bool = True,
    ) -> Begun | None:
        """Keep why an attempt failed; what is given up makes way for the next.

        Raises:
            LaneLost: if another has the lane by now.
        """

        def work(connection: Connection) -> Begun | _Denied | None:
            guard(connection, read=[lane.patient])
            hold(connection, lane, now)
            _keep_failure(connection, lane, begun, failure, now)
            if failure.rest is None:
                note_success(connection, lane.destination, now)
            else:
                args = (lane, failure.problem, now, failure.rest)
                note_failure(connection, *args)
            if failure.again is not None:
                release(connection, lane, failure.again)
                return None
            return _go_on(connection, lane, gate, now, go_on)

        return self._permitted(lane, gate, now, self._database.write(work))

    def give_back(self, lane: Lane, now: datetime) -> None:
        """Have others take the lane; nothing is begun in it."""

        def work(connection: Connection) -> None:
            hold(connection, lane, now)
            release(connection, lane)

        self._database.write(work, repeatable=True)

    def _permitted(
        self,
        lane: Lane,
        gate: ConsentGate,
        now: datetime,
        found: "Begun | _Denied | None",
    ) -> Begun | None:
        """What is next; of what may not be told the trail says that first."""
        while isinstance(found, _Denied):
            found = self._withhold(lane, gate, now, found)
        return found

    def _withhold(
        self, lane: Lane, gate: ConsentGate, now: datetime, denied: "_Denied"
    ) -> "Begun | _Denied | None":
        found: list[Begun | _Denied | None] = []

        def work(connection: Connection) -> Mapping[str, Any]:
            guard(connection, read=[lane.patient])
            hold(connection, lane, now)
            thing = find_thing(connection, lane.patient, denied.kind, denied.key, gate)
            permitted = thing is not None and may_disclose(
                connection, lane.patient, thing, gate, now
            )
            if not permitted:
                same = _is_of(lane, denied.kind, denied.key)
                waits = and_(same, OUTBOX.c.state == WAITING)
                later = {"due_us": microseconds(now + ASKED_AGAIN), "state": WITHHELD}
                connection.execute(update(OUTBOX).where(waits).values(later))
            found.append(_next(connection, lane, gate, now))
            return {"permitted": True} if permitted else {}

        detail = {"destination": lane.destination, "thing": [denied.kind, denied.key]}
        event = AuditEvent(
            now, "withheld", lane.patient.tenant, lane.destination, lane.patient, detail
        )
        self._recorder.record(event, work)
        return found[-1]


@dataclass(frozen=True, slots=True)
class _Denied:
    """What the patient does not permit to be told."""

    kind: str
    key: str


def _next(
    connection: Connection, lane: Lane, gate: ConsentGate, now: datetime
) -> Begun | _Denied | None:
    """Begin what is next in a lane that is held; where nothing is, give it back."""
    while True:
        row = _first(connection, lane, now)
        if row is None:
            break
        found = _begin(connection, lane, row, gate, now)
        if found is not None:
            return found
    release(connection, lane)
    return None


def _go_on(
    connection: Connection, lane: Lane, gate: ConsentGate, now: datetime, go_on: bool
) -> Begun | _Denied | None:
    if go_on:
        return _next(connection, lane, gate, now)
    release(connection, lane)
    return None


def _first(connection: Connection, lane: Lane, now: datetime) -> Any:
    found = FIRST.ask(connection, {**of_lane(lane), "now_us": microseconds(now)})
    return found[0] if found else None


def _begin(
    connection: Connection, lane: Lane, row: Any, gate: ConsentGate, now: datetime
) -> Begun | _Denied | None:
    """Begin a telling; None where there is nothing to tell, or not now.

    That something did not hold is told to whoever was told of it, whatever the patient
    permits by now: it says nothing new, and what stands there is wrong.
    """
    patient, same = lane.patient, OUTBOX.c.id == row.id
    thing = find_thing(connection, patient, row.kind, row.thing, gate)
    prior = find_prior(connection, lane, row.kind, row.thing)
    looked = None if row.looked_us is None else moment(row.looked_us)
    telling = Telling(
        lane.destination,
        identify(connection, patient, thing),
        *(row.kind, row.thing, row.rev, thing, prior, row.begun_us is not None),
        begun=row.begun_rev or 0,
        settled=row.begun_us is None or _is_found(looked, now),
    )
    if (thing is None and not row.gone) or _is_settled(telling):
        connection.execute(delete(OUTBOX).where(same))
        return None
    if thing and not telling.retracts:
        if not may_disclose(connection, patient, thing, gate, now):
            if row.state == WAITING:
                return _Denied(row.kind, row.thing)
            later = microseconds(now + ASKED_AGAIN)
            connection.execute(update(OUTBOX).where(same).values(due_us=later))
            return None
    now_us = microseconds(now)
    first_us = now_us if row.first_us is None else row.first_us
    # Who may send now and dies of it is to be looked for anew.
    looked_us = None if telling.settled else row.looked_us
    named = {"of_id": row.id, "now_us": now_us, "looked_us": looked_us}
    BEGIN.run(connection, named)
    return Begun(telling, row.attempts, moment(first_us), looked)


def _is_found(looked: datetime | None, now: datetime) -> bool:
    """Whether a look finds by now what is there."""
    return looked is not None and now - looked >= SETTLING


def _is_settled(telling: Telling) -> bool:
    """Whether it is a retraction of what the other side never had, or has no more."""
    if not telling.retracts or telling.uncertain:
        return False
    prior = telling.prior
    return prior is None or prior.status is ToldAs.ENTERED_IN_ERROR


def _keep(
    connection: Connection, lane: Lane, begun: Begun, told: PriorTelling, now: datetime
) -> None:
    telling, row = begun.telling, OUTBOX.c
    named = of_thing(lane, telling.kind, telling.key)
    KEEP.run(
        connection,
        {
            "destination": lane.destination,
            **lane.patient._asdict(),
            "kind": telling.kind,
            "thing": telling.key,
            "rev": told.rev,
            "remote": told.remote,
            "digest": told.digest,
            "status": str(told.status),
            "told_us": microseconds(now),
        },
    )
    if DONE.run(connection, {**named, "of_rev": telling.rev}).rowcount == 0:
        anew = {"first_us": None, "attempts": 0, "problem": "", **_CERTAIN}
        # What was dropped meanwhile and came again is another telling.
        newer = case((row.rev > told.rev, row.rev), else_=told.rev + 1)
        changed = update(OUTBOX).where(_is_of(lane, telling.kind, telling.key))
        connection.execute(changed.values(**anew, rev=newer))


def _keep_failure(
    connection: Connection,
    lane: Lane,
    begun: Begun,
    failure: FailedAttempt,
    now: datetime,
) -> None:
    """Whoever only tries if a destination is back is not worn out by that."""
    telling, row = begun.telling, OUTBOX.c
    values: dict[str, Any] = {"problem": failure.problem}
    values["attempts"] = row.attempts + (1 if failure.counts else 0)
    values |= _doubt(begun, failure, now)
    if failure.again is None:
        # What is otherwise by now was not what was refused.
        newer = and_(row.rev != telling.rev, row.state != DROPPED)
        given_up = case((row.state == DROPPED, DROPPED), else_=DEAD)
        values["state"] = case((newer, WAITING), else_=given_up)
        values["attempts"] = case((newer, 0), else_=row.attempts + 1)
        values["first_us"] = case((~newer, row.first_us))
    same = and_(_is_of(lane, telling.kind, telling.key), row.begun_us.is_not(None))
    connection.execute(update(OUTBOX).where(same).values(values))
    known = and_(row.state == DROPPED, row.begun_us.is_(None))
    forgotten = and_(_is_of(lane, telling.kind, telling.key), known)
    connection.execute(delete(OUTBOX).where(forgotten))


def _is_of(lane: Lane, kind: str, key: str) -> ColumnElement[bool]:
    """Whether a row is of a thing of a lane; its number may be another's by now."""
    named = {"destination": lane.destination, **lane.patient._asdict()}
    named |= {"kind": kind, "thing": key}
    return and_(*(OUTBOX.c[name] == value for name, value in named.items()))


def _doubt(begun: Begun, failure: FailedAttempt, now: datetime) -> Mapping[str, Any]:
    """That an attempt surely did not arrive says nothing of those before it."""
    if not (failure.uncertain or begun.telling.uncertain):
        return _CERTAIN
    since = begun.looked
    if failure.looked:
        since = since or now
    elif failure.uncertain:
        since = None
    return {"looked_us": None if since is None else microseconds(since)}


_CERTAIN: Mapping[str, Any] = {"begun_us": None, "begun_rev": None, "looked_us": None}


def _told_event(
    lane: Lane, telling: Telling, told: PriorTelling, now: datetime
) -> AuditEvent:
    detail = {
        "destination": lane.destination,
        "thing": [telling.kind, telling.key],
        "rev": told.rev,
        "status": str(told.status),
        "remote": told.remote,
    }
    return AuditEvent(
        now, "disclosure", lane.patient.tenant, lane.destination, lane.patient, detail
    )
