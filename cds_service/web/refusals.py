"""Refusals of callers who were not recognised: each is told of, a flood costs little.

The first of a kind in a minute (address, route, reason) is a row of the audit trail
before its answer leaves; the others of that minute are counted, and the counts are one
row at its end. A row for each would let anybody fill the disk and make those who are
recognised wait for it. What a process that is killed had counted is lost with it, up to
a minute; the request log has a line for each in any case.
"""

import atexit
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from ..audit import build_refusal_event, build_repeats_event
from ..protocol.errors import Unauthenticated
from ..store.records import StoreError
from ..store.store import Store

WINDOW = timedelta(minutes=1)
MOST_KINDS = 200
"""Rows of their own in one window; further kinds are counted as from elsewhere."""
ELSEWHERE = "elsewhere"

_Kind = tuple[str, str, str]


class Refusals:
    """The refusals of one process; thread-safe."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._since: datetime | None = None
        self._counts: dict[_Kind, int] = {}
        """How many there were beside the first."""

    def note(self, error: Unauthenticated, address: str, route: str, path: str) -> None:
        """Record or count one refusal.

        Raises:
            StoreError: if it is the first of its kind and cannot be recorded.
        """
        now = self._clock()
        if self._is_over(now):
            self.settle()
        kind = (address, route, error.reason)
        with self._lock:
            self._since = self._since or now
            first = kind not in self._counts and len(self._counts) < MOST_KINDS
            if first:
                self._counts[kind] = 0
            else:
                counted = kind if kind in self._counts else (ELSEWHERE, *kind[1:])
                self._counts[counted] = self._counts.get(counted, 0) + 1
        if not first:
            return
        event = build_refusal_event(now, error, path, address=address)
        try:
            self._store.record_audit(event)
        except StoreError:
            with self._lock:
                self._counts.pop(kind, None)
            raise

    def settle(self) -> None:
        """Record what was counted, and begin anew.

        Raises:
            StoreError: if that cannot be recorded; then the counts are kept.
        """
        now = self._clock()
        with self._lock:
            counts, since = self._counts, self._since
            self._counts, self._since = {}, None
        repeats = [(*kind, count) for kind, count in counts.items() if count]
        if not repeats or since is None:
            return
        try:
            self._store.record_audit(build_repeats_event(now, since, repeats))
        except StoreError:
            with self._lock:
                self._since = since
                for kind, count in counts.items():
                    self._counts[kind] = self._counts.get(kind, 0) + count
            raise

    def keep_settling(self) -> None:
        """Settle by itself every minute from now on, and when the process ends."""
        ended = threading.Event()

        def settle() -> None:
            try:
                self.settle()
            except StoreError:
                pass  # kept for the next time

        def work() -> None:
            while not ended.wait(WINDOW.total_seconds()):
                settle()

        def end() -> None:
            ended.set()
            settle()

        threading.Thread(target=work, daemon=True).start()
        atexit.register(end)

    def _is_over(self, now: datetime) -> bool:
        return self._since is not None and now - self._since >= WINDOW
