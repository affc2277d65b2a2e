"""Which sources of readings have fallen silent.

When each was heard stands in the database, in a row for every patient and metric: it is
asked once a minute, however often somebody wants to know.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from ..decision import World
from ..store.samples.records import SourceArrivals

FRESH = 60.0
"""Seconds for which it holds what the database said."""


class SourceWatch:
    """What is known of the sources that are configured; thread-safe."""

    def __init__(
        self, world: World, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """Know nothing yet.

        Args:
            seconds: A clock that never runs backwards.
        """
        self._world = world
        self._seconds = seconds
        self._asking = threading.Lock()
        self._asked_at: float | None = None
        self._arrivals: tuple[SourceArrivals, ...] = ()

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
            for each in self._read()
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

    def _read(self) -> tuple[SourceArrivals, ...]:
        with self._asking:
            now = self._seconds()
            if self._asked_at is None or now - self._asked_at >= FRESH:
                self._arrivals = self._world.store.samples.arrivals()
                self._asked_at = now
            return self._arrivals
