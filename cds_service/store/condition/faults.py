"""Whether this process can record, by what became of its last transactions.

A fault of the database is told from a row that cannot be stored: the one is trouble of
all, the other its sender's. A fault is over with the next commit, but for those that
only a person can mend; want of room is over when a large row has found some.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..records import StoreError

Clock = Callable[[], float]
"""Seconds that never run backwards."""
LASTING = ("files", "restored", "SQLITE_CORRUPT", "SQLITE_NOTADB")
"""How the kinds of faults begin that no commit disproves."""
WANT_OF_ROOM = ("SQLITE_FULL", "SQLITE_IOERR", "53100")
"""Likewise of those that no small row disproves: it finds room where no call does."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What keeps this process from recording; nothing of a row."""

    kind: str
    """As the database calls it, or one of our own words."""
    text: str
    lasting: bool = False
    """Until the process is started anew."""


class Condition:
    """What became of the last transactions; thread-safe."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.changed = threading.Event()
        """Set where a fault is noted; who waits for it clears it."""
        self._clock = clock
        self._fault: Fault | None = None
        self._listeners: list[Callable[[str], None]] = []

    @property
    def fault(self) -> Fault | None:
        """The last fault, unless something was committed since; or one that lasts."""
        return self._fault

    def listen(self, listener: Callable[[str], None]) -> None:
        """Have the kind of every fault from now on told."""
        self._listeners.append(listener)

    def went_well(self, *, large: bool = False) -> None:
        """Something was committed, a *large* row or one of any size."""
        fault = self._fault
        if fault is None or fault.lasting:
            return
        if large or not fault.kind.startswith(WANT_OF_ROOM):
            self._fault = None

    def failed(self, error: StoreError) -> None:
        """Something was not; what is no fault of the database is passed over."""
        if not error.kind:
            return
        lasting = error.kind.startswith(LASTING)
        standing = self._fault
        if lasting or standing is None or not standing.lasting:
            self._fault = Fault(error.kind, str(error), lasting)
        for listener in self._listeners:
            listener(error.kind)
        self.changed.set()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note how the block fails."""
        try:
            yield
        except StoreError as error:
            self.failed(error)
            raise
