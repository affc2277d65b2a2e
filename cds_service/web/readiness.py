"""Readiness: whether what is answered next can be recorded, known before anybody asks.

Four signs have to agree, for each of them alone misses something: on a full disk a
small row still finds room, and a file that was removed takes rows as ever. The last
transaction did not fail, or one after it went well, and after want of room a large one;
there is room beside the database; its files are those that this process has open; and a
row of this machine is committed every ten seconds, beside the requests. Whoever asks is
answered from memory.
"""

import os
import socket
import threading
import time
from collections.abc import Callable

from ..decision import World
from ..store.condition.faults import Fault
from ..store.condition.files import Room
from ..store.database import mask_url
from ..store.publications import Refusal
from ..store.records import StoreError
from ..store.store import LARGE

EVERY = 10.0
"""Seconds between two looks."""
STALE = 60.0
"""Seconds after which a look that does not come back is a fault itself; one that waits
for locks takes up to ten."""
TOLD_EVERY = 60.0
"""Seconds between two lines of the log about one fault."""
LEAST_FREE = 64 * 1024**2
"""Bytes that have to be free beside the database."""

Log = Callable[..., object]


class Readiness:
    """What is known of one process; thread-safe."""

    def __init__(
        self, world: World, log: Log, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """Know nothing yet.

        Args:
            seconds: A clock that never runs backwards.
        """
        self._world = world
        self._log = log
        self._seconds = seconds
        self._node = socket.gethostname()
        self._database = mask_url(world.config.database_url)
        self._runs = False
        self._looked_at: float | None = None
        self._found: Fault | None = None
        self._free: int | None = None
        self._refusal: Refusal | None = None
        self._told_at: float | None = None
        self._told: Fault | None = None
        self._telling = threading.Lock()

    def start(self) -> None:
        """Look every ten seconds, in a thread that ends with the process."""
        self._runs = True
        threading.Thread(target=self._keep, name="readiness", daemon=True).start()

    def look(self) -> None:
        """Commit a row, see how much room there is, and say what is wrong."""
        store, standing = self._world.store, self._world.store.condition.fault
        self._looked_at = self._seconds()
        found: Fault | None = None
        try:
            room = store.room()
            self._free = room.free if room else None
            found = find_shortage(room) if room else None
            store.probe(self._node, self._world.clock(), LARGE if standing else 0)
            self._refusal = store.publications.refusal()
        except StoreError as error:
            found = found or Fault(error.kind or "probe", str(error))
        self._found = found
        self._looked_at = self._seconds()
        self.tell()

    @property
    def fault(self) -> Fault | None:
        """What keeps this process from recording; looked for where nobody else does."""
        if not self._runs:
            self.look()
        return self.known

    @property
    def known(self) -> Fault | None:
        """What is known to keep this process from recording, at this moment."""
        known = self._world.store.condition.fault or self._found
        looked_at = self._looked_at
        if known is None and looked_at is not None:
            age = self._seconds() - looked_at
            if age > STALE:
                return Fault("stale", f"the database has not answered for {age:.0f} s")
        return known

    @property
    def refusal(self) -> Refusal | None:
        """Why the newest rules are not served, as it was at the last look."""
        return self._refusal

    def tell(self) -> None:
        """Log a fault, once a minute while it lasts, and its end."""
        with self._telling:
            fault, now = (
                self._world.store.condition.fault or self._found,
                self._seconds(),
            )
            if fault is None:
                if self._told:
                    self._log("ready again", worker=os.getpid())
                self._told = None
            elif self._is_to_be_told(fault, now):
                self._told_at, self._told = now, fault
                self._log(
                    "not ready",
                    level="error",
                    kind=fault.kind,
                    problem=fault.text,
                    database=self._database,
                    free_bytes=self._free,
                    worker=os.getpid(),
                )

    def _is_to_be_told(self, fault: Fault, now: float) -> bool:
        """Whether a minute is over, or it is the first that lasts until a new start."""
        if self._told_at is None or now - self._told_at >= TOLD_EVERY:
            return True
        return fault.lasting and not (self._told and self._told.lasting)

    def _keep(self) -> None:
        changed = self._world.store.condition.changed
        while True:
            self.look()
            until = self._seconds() + EVERY
            while (left := until - self._seconds()) > 0:
                if changed.wait(left):
                    changed.clear()
                    self.tell()


def find_shortage(room: Room) -> Fault | None:
    """Return what is wrong with so little room; None where it is enough.

    What is in the WAL has to find room in the file as well.
    """
    needed = max(LEAST_FREE, 2 * room.wal)
    if room.free > needed:
        return None
    return Fault("room", f"{room.free} bytes are free, but {needed} are required")
