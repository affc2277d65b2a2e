"""What FHIR servers were found to take, kept for a while by each worker.

No chart and no token is in it: the form of a search, and what a CapabilityStatement
says. A server that has learned better is asked as before within the hour.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Any

REMEMBERED_SECONDS = 3600.0


class Habits:
    """What is known of each server; the oldest is forgotten, and all of it in time."""

    def __init__(self, size: int = 512, clock: Callable[[], float] = monotonic) -> None:
        self._size = size
        self._clock = clock
        self._lock = Lock()
        self._held: OrderedDict[tuple[str, str], tuple[float, Any]] = OrderedDict()

    def find(self, server: str, what: str) -> Any:
        """What is known; None if nothing is."""
        with self._lock:
            until, value = self._held.get((server, what), (0.0, None))
            return value if self._clock() < until else None

    def keep(self, server: str, what: str, value: Any) -> None:
        """Remembers *value*; None forgets."""
        with self._lock:
            self._held.pop((server, what), None)
            if value is not None:
                until = self._clock() + REMEMBERED_SECONDS
                self._held[server, what] = until, value
            while len(self._held) > self._size:
                self._held.popitem(last=False)
