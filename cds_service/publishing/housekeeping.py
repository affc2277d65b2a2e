"""Housekeeping: old rows are sealed and removed at quiet times, by one process.

Every process that serves looks at the clock; of all on one database the one that has
the lease of it does it, a transaction at a time, with a pause after each, in the hours
in which a hospital asks least. Whether anybody watches the rules makes no difference.
What is kept for some hours only goes at any time of the day, whoever looks first.
"""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, tzinfo
from uuid import uuid4

from ..audit import build_sign_in_event
from ..store.publications import HOUSEKEEPING
from ..store.records import AuditEvent, StoreError
from ..store.sign_in.records import LaunchTokens, SmartSession
from ..store.store import Store
from ..store.upkeep.pruning import Keep, Step
from ..wearables.records import PatientKey
from .serving import Log

GiveBack = Callable[[SmartSession, LaunchTokens], str]

QUIET = range(1, 5)
"""Hours of the day, by the clock of the machine."""
PAUSE = 0.25
"""Seconds between two transactions."""
LOOK = 60.0
"""Seconds between two looks at the clock."""
LEASE = 120.0
"""Seconds after which another process goes on for one that died."""
HOUR = 3600.0


class Housekeeper:
    """Seals and prunes once a night."""

    def __init__(
        self,
        store: Store,
        keep: Keep,
        clock: Callable[[], datetime],
        log: Log,
        zone: tzinfo | None = None,
        give_back: GiveBack = lambda session, tokens: "",
    ) -> None:
        """Take what is kept how long.

        Args:
            zone: The machine's where none is given.
            give_back: Given the tokens of a launch that is over, as they were sealed;
                says why they are worth something still.
        """
        self._store = store
        self._keep = keep
        self._clock = clock
        self._log = log
        self._zone = zone
        self._give_back = give_back
        self._holder = str(uuid4())
        self._steps: Iterator[Step] | None = None
        self._done: date | None = None
        """The day on which everything was done."""
        self._rows: dict[str, int] = {}

    def start(self) -> None:
        """Look from now on, in a thread that ends with the process."""
        threading.Thread(target=self._run, name="housekeeping", daemon=True).start()

    def look(self) -> float:
        """Do one step if it is this process's turn, and the time for it.

        Returns:
            Seconds until the next look.
        """
        now = self._clock().astimezone(self._zone)
        if self._steps is None:
            self._wipe(now)
        if now.hour not in QUIET or now.date() == self._done:
            self._steps = None
            return LOOK
        try:
            if not self._take_turn(now, LEASE):
                self._steps = None
                return LOOK
            self._step(now)
        except StoreError as error:
            self._log("old rows not removed", level="error", problem=str(error))
            self._end(now)
        return PAUSE

    def _run(self) -> None:
        while True:
            time.sleep(self.look())

    def _wipe(self, now: datetime) -> None:
        """Have nothing stay of what was kept for some hours."""
        try:
            self._store.references.wipe(now)
        except StoreError as error:
            self._log("references not removed", level="error", problem=str(error))
        try:
            over = self._store.smart_sessions.sweep(now, lambda it: _ended(it, now))
        except StoreError as error:
            self._log("sessions not wiped", level="error", problem=str(error))
            return
        for session, tokens in over.tokens:
            if problem := self._give_back(session, tokens):
                self._log("tokens not given back", level="warning", problem=problem)

    def _take_turn(self, now: datetime, seconds: float) -> bool:
        leases, holder = self._store.publications, self._holder
        return bool(leases.take_lease(holder, now, seconds, HOUSEKEEPING))

    def _step(self, now: datetime) -> None:
        if self._steps is None:
            self._steps = self._store.pruning.steps(self._keep, now)
        step = next(self._steps, None)
        if step is None:
            # Nobody else begins again before the night is over.
            self._take_turn(now, (QUIET.stop - now.hour) * HOUR)
            if self._rows:
                self._log("old rows sealed and removed", **self._rows)
            self._end(now)
        elif step.what == "broken":
            self._log("audit trail not sealed", level="error", where=step.detail)
        else:
            self._rows[step.what] = self._rows.get(step.what, 0) + step.rows

    def _end(self, now: datetime) -> None:
        self._steps, self._rows, self._done = None, {}, now.date()


def _ended(session: SmartSession, now: datetime) -> AuditEvent:
    patient = PatientKey(session.tenant, session.fhir_base, session.patient)
    why = "it had expired" if session.until <= now else "nobody used it"
    told = {"signIn": "ended", "why": why, "session": session.id, "user": session.user}
    return build_sign_in_event(now, session.tenant, session.client, patient, told)
