"""Long work that somebody in the workbench asked for: one at a time, on any node.

What runs is a process of one machine; its row is seen by all. Whoever looks after the
process says every second that it lives, so that one whose machine died is not waited
for.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from ...wearables.days import moment
from ...wearables.samples import microseconds
from ..database import Database, lock_table
from ..recorder import Recorder
from ..records import AuditEvent
from .tables import RUNS, SESSIONS

RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"
"""``failed`` is a run that came to no result, not one whose tests did."""
SILENT = timedelta(seconds=20)
"""After which a run of which nothing is heard is taken for dead."""
LOST = "it stopped responding"


@dataclass(frozen=True, slots=True)
class WorkbenchRun:
    """One piece of long work."""

    id: int
    subject: str
    rule: str
    kind: str
    """``tests`` or ``mutants``."""
    state: str
    node: str
    begun: datetime
    ended: datetime | None
    result: str
    """JSON; of one that failed, why."""

    @property
    def is_running(self) -> bool:
        """Whether it is not over yet."""
        return self.state == RUNNING


class WorkbenchRuns:
    """The long work of one database."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def begin(self, run: WorkbenchRun, key_hash: str, event: AuditEvent) -> int:
        """Return the number of what begins now; 0 where something else runs.

        What nobody hears of any more has failed; what was asked for in a session that
        is over goes.
        """
        now_us = microseconds(run.begun)
        dead = _running().where(RUNS.c.beat_us < now_us - _microseconds(SILENT))
        alive = select(SESSIONS.c.key_hash).where(SESSIONS.c.until_us > now_us)
        gone = delete(RUNS).where(
            RUNS.c.key_hash.not_in(alive), RUNS.c.state != RUNNING
        )
        values = {
            "key_hash": key_hash,
            "subject": run.subject,
            "rule": run.rule,
            "kind": run.kind,
            "state": RUNNING,
            "node": run.node,
            "begun_us": now_us,
            "beat_us": now_us,
            "result": "",
        }
        begun: list[int] = []

        def work(connection: Connection) -> dict[str, Any]:
            lock_table(connection, RUNS)
            lost = {"state": FAILED, "ended_us": now_us, "result": LOST}
            connection.execute(dead.values(lost))
            connection.execute(gone)
            if connection.execute(select(RUNS.c.id).where(_is_running())).first():
                begun.append(0)
                return {"outcome": "another run is in progress"}
            made = insert(RUNS).values(values).returning(RUNS.c.id)
            begun.append(connection.execute(made).scalar_one())
            return {"outcome": "begun", "run": begun[-1]}

        self._recorder.record(event, work)
        return begun[-1]

    def beat(self, id: int, now: datetime) -> bool:
        """Say that a run lives; return whether it is still wanted."""
        living = _running().where(RUNS.c.id == id)
        told = living.values(beat_us=microseconds(now))
        return self._database.write(
            lambda connection: connection.execute(told).rowcount > 0, durable=False
        )

    def end(self, id: int, state: str, result: str, now: datetime) -> None:
        """Say what came of a run, unless somebody cancelled it before."""
        over = {"state": state, "ended_us": microseconds(now), "result": result}
        told = _running().where(RUNS.c.id == id).values(over)
        self._database.write(lambda connection: connection.execute(told) and None)

    def cancel(self, id: int, now: datetime) -> None:
        """Have a run ended by whoever looks after it."""
        self.end(id, CANCELLED, "", now)

    def current(self, now: datetime) -> WorkbenchRun | None:
        """Return what runs; None where nothing does."""
        found = self._first(select(RUNS).where(_is_running()), now)
        return found if found and found.is_running else None

    def of_session(
        self, key_hash: str, now: datetime, rule: str = ""
    ) -> WorkbenchRun | None:
        """Return what was asked for last in a session, about a rule or any."""
        asked = select(RUNS).where(RUNS.c.key_hash == key_hash)
        return self._first(asked.where(RUNS.c.rule == rule) if rule else asked, now)

    def _first(self, asked: Select[Any], now: datetime) -> WorkbenchRun | None:
        with self._database.reading() as connection:
            row = connection.execute(asked.order_by(RUNS.c.id.desc()).limit(1)).first()
        return None if row is None else _run(row, now)


def _is_running() -> Any:
    return RUNS.c.state == RUNNING


def _running() -> Any:
    return update(RUNS).where(_is_running())


def _microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _run(row: Row[Any], now: datetime) -> WorkbenchRun:
    beat = moment(row.beat_us)
    ended = None if row.ended_us is None else moment(row.ended_us)
    state, result = row.state, row.result
    if state == RUNNING and now - beat > SILENT:
        state, ended, result = FAILED, beat, LOST
    told = (row.id, row.subject, row.rule, row.kind, state, row.node)
    return WorkbenchRun(*told, moment(row.begun_us), ended, result)
