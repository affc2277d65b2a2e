"""What is asked of the database once a minute, however often somebody wants to know;
so, which sources of readings have fallen silent.

When each was heard stands there in a row for every patient and metric.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from ..decision import World

FRESH = 60.0
"""Seconds for which an answer is held."""
T = TypeVar("T")


class HeldAnswer(Generic[T]):
    """What the database said when it was asked last; thread-safe."""

    def __init__(
        self, ask: Callable[[], T], seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """Know nothing yet.

        Args:
            ask: Asks the database.
            seconds: A clock that never runs backwards.
        """
        self._ask = ask
        self._seconds = seconds
        self._asking = threading.Lock()
        self._held: tuple[float, T] | None = None

    def read(self) -> T:
        """Return what is held, or what is said now where that is older than a minute.

        Raises whatever asking raises, and asks again the next time.
        """
        with self._asking:
            now = self._seconds()
            if self._held is None or now - self._held[0] >= FRESH:
                self._held = now, self._ask()
            return self._held[1]


class SourceWatch:
    """What is known of the sources that are configured."""

    def __init__(
        self, world: World, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """Know nothing yet.

        Args:
            seconds: A clock that never runs backwards.
        """
        self._world = world
        self._arrivals = HeldAnswer(world.store.samples.arrivals, seconds)

    @property
    def hours(self) -> int:
        """After how many hours without readings a source is silent; 0 is never."""
        return self._world.config.source_silent_hours

    def heard(self) -> Mapping[str, datetime]:
        """Return when readings came last of each source of which any ever did.

        Raises:
            StoreError: if the database does not answer.
        """
        configured = {(each.tenant, each.id) for each in self._world.clients.webhooks}
        return {
            each.source: each.received
            for each in self._arrivals.read()
            if (each.tenant, each.source) in configured
        }

    def silent(self) -> Mapping[str, datetime]:
        """Return those of them that are silent, and since when.

        Raises:
            StoreError: if the database does not answer.
        """
        if not self.hours:
            return {}
        latest = self._world.clock() - timedelta(hours=self.hours)
        heard = self.heard().items()
        return {source: received for source, received in heard if received < latest}
