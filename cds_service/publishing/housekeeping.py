"""Housekeeping: old rows are sealed and removed at quiet times, by one process.

The one that has the lease does it, between two looks at the folder: a transaction at a
time, with a pause after each, in the hours in which a hospital asks least.
"""

import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, tzinfo

from ..store.records import StoreError
from ..store.store import Store
from ..store.upkeep.pruning import Keep, Step
from .serving import Log

QUIET = range(1, 5)
"""Hours of the day, by the clock of the machine."""
PAUSE = 0.25
"""Seconds between two transactions."""


class Housekeeper:
    """Seals and prunes once a night."""

    def __init__(
        self,
        store: Store,
        keep: Keep,
        clock: Callable[[], datetime],
        log: Log,
        zone: tzinfo | None = None,
    ) -> None:
        """Take what is kept how long; *zone* is the machine's where none is given."""
        self._store = store
        self._keep = keep
        self._clock = clock
        self._log = log
        self._zone = zone
        self._steps: Iterator[Step] | None = None
        self._done: date | None = None
        """The day on which everything was done."""
        self._rows: dict[str, int] = {}
        self._next = 0.0

    def look(self, epoch: int) -> None:
        """Do one step if it is this process's turn, and the time for it."""
        now = self._clock().astimezone(self._zone)
        if not epoch or now.hour not in QUIET or now.date() == self._done:
            self._steps = None
            return
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PAUSE
        try:
            self._step(now)
        except StoreError as error:
            self._log("old rows not removed", level="error", problem=str(error))
            self._end(now)

    def _step(self, now: datetime) -> None:
        if self._steps is None:
            self._steps = self._store.pruning.steps(self._keep, now)
        step = next(self._steps, None)
        if step is None:
            if self._rows:
                self._log("old rows sealed and removed", **self._rows)
            self._end(now)
        elif step.what == "broken":
            self._log("audit trail not sealed", level="error", where=step.detail)
        else:
            self._rows[step.what] = self._rows.get(step.what, 0) + step.rows

    def _end(self, now: datetime) -> None:
        self._steps, self._rows, self._done = None, {}, now.date()
