"""The dispatcher: it tells destinations what is in the outbox, a lane at a time.

Each destination has threads of its own, so that one that hangs keeps no other waiting.
A thread takes a lane, tells what is due in it in order, and takes the next. Any number
of processes may do so on one database. Whatever ends a process, what it had begun is
known to be uncertain, and its lanes are another's soon.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from ..publishing.serving import Log, find_lines
from ..store.outbox.records import Begun, Lane, LaneLost
from ..store.outbox.sending import FailedAttempt, Outbox
from ..store.records import StoreError
from ..wearables.consent_gate import ConsentGate
from ..wearables.telling import PriorTelling
from .backoff import LOOKED_AGAIN, Tried, again_at, rest
from .records import (
    LONGEST_PROBLEM,
    Accepted,
    Declined,
    Destination,
    Later,
    Reply,
    Uncertain,
)

CONNECTIONS = 8
"""To one destination."""
ATTEMPT_SECONDS = 45.0
"""For one attempt, whatever the other side does."""
LOOK_SECONDS = 1.0
"""Between two looks for what is due."""
ENDED_SECONDS = 10.0
"""Between two looks for lanes whose process has ended, and two counts."""
KEPT_TRIES = 5
"""How often it is tried to keep what became of an attempt."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a dispatcher touches beside the outbox and the destinations."""

    gate_of: Callable[[str], ConsentGate]
    """How the consents of a tenant are read at this moment."""
    clock: Callable[[], datetime]
    """Now, aware."""
    log: Log = lambda event, **facts: None
    chance: Callable[[], float] = random.random
    """From 0 to 1, each as likely."""


@dataclass(slots=True)
class DispatchProgress:
    """What a dispatcher has done so far."""

    sent: int = 0
    failed: int = 0
    """Attempts that are made again."""
    declined: int = 0
    """Things that were given up."""
    withdrawn: int = 0
    """Lanes that were another's before it was done."""
    problem: str = ""
    """Why a thread could tell nothing, as the last one found."""
    fault: str = ""
    """The same where it is a mistake of this program: which, and where."""
    turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, name: str) -> None:
        """Count one more of a name."""
        with self.turn:
            setattr(self, name, getattr(self, name) + 1)


class Dispatcher:
    """Tells one destination, with threads of its own."""

    def __init__(
        self,
        outbox: Outbox,
        destination: Destination,
        around: Surroundings,
        connections: int = CONNECTIONS,
    ) -> None:
        self._outbox, self._destination = outbox, destination
        self._around, self._connections = around, connections
        self._stopping = threading.Event()
        self._taking = threading.Lock()
        self._lanes = deque[Lane]()
        self._looked = self._counted = time.monotonic() - ENDED_SECONDS
        self._told = (0, 0)
        self._threads: list[threading.Thread] = []
        self.progress = DispatchProgress()

    def start(self, *, once: bool = False) -> None:
        """Begin to tell.

        Args:
            once: Only what is due by now; then the threads end.
        """
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(once,),
                name=f"{self._destination.id}-{number}",
            )
            for number in range(self._connections)
        ]
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        """Have the threads end once what they have begun is settled."""
        self._stopping.set()

    def is_alive(self) -> bool:
        """Check whether any thread is at work."""
        return any(each.is_alive() for each in self._threads)

    def join(self) -> None:
        """Wait until no thread is at work, and keep what was counted."""
        for each in self._threads:
            each.join()
        with suppress(StoreError):
            self._count()
            for lane in self._lanes:
                self._outbox.give_back(lane, self._around.clock())
        self._destination.close()

    def _run(self, once: bool) -> None:
        while not self._stopping.is_set():
            try:
                lane = self._take()
                if lane is not None:
                    self._tell(lane)
                elif once:
                    return
                else:
                    self._stopping.wait(LOOK_SECONDS)
            except LaneLost:
                self.progress.add("withdrawn")
                continue
            except StoreError as error:
                self.progress.problem = str(error)
                self._say("nothing delivered", "error", problem=str(error))
            except Exception as error:
                # A thread that ended would be a connection less, until none is left.
                kind, at = type(error).__name__, find_lines(error)
                self.progress.fault = f"{kind} at {', '.join(at)}"
                self._say("nothing delivered", "error", problem=kind, at=at)
            else:
                continue
            self._stopping.wait(LOOK_SECONDS)
            if once:
                return

    def _take(self) -> Lane | None:
        """A lane in which something is due; of several some are had at a time."""
        with self._taking:
            if not self._lanes:
                self._keep_house()
                now = self._around.clock()
                most = self._connections
                self._lanes += self._outbox.claim(self._destination.id, most, now)
            return self._lanes.popleft() if self._lanes else None

    def _keep_house(self) -> None:
        """Look for lanes of those who have ended, now and then, and keep the count."""
        if time.monotonic() - self._looked >= ENDED_SECONDS:
            self._looked = time.monotonic()
            self._outbox.free_ended(self._destination.id, self._around.clock())
            self._count()

    def _count(self) -> None:
        told = (self.progress.sent, self.progress.failed + self.progress.declined)
        new = [now - before for now, before in zip(told, self._told)]
        if any(new):
            self._outbox.count(self._destination.id, *new)
            self._told = told

    def _tell(self, lane: Lane) -> None:
        gate = self._around.gate_of(lane.patient.tenant)
        begun = self._outbox.begin(lane, gate, self._around.clock())
        while begun is not None:
            begun = self._keep(lane, begun, self._send(begun), gate)

    def _send(self, begun: Begun) -> Reply:
        try:
            deadline = time.monotonic() + ATTEMPT_SECONDS
            return self._destination.send(begun.telling, deadline)
        except Exception as error:
            # What went on unseen may have reached the other side.
            kind = type(error).__name__
            facts = {"problem": kind, "at": find_lines(error)}
            self._say("delivery failed", "error", **facts)
            return Uncertain(f"internal error: {kind}")

    def _keep(
        self, lane: Lane, begun: Begun, reply: Reply, gate: ConsentGate
    ) -> Begun | None:
        """Keep what became of it; where the database is busy, some times."""
        for number in range(KEPT_TRIES):
            try:
                return self._keep_once(lane, begun, reply, gate)
            except LaneLost:
                raise
            except StoreError:
                if number == KEPT_TRIES - 1:
                    raise
                time.sleep(LOOK_SECONDS * (number + 1))
        raise AssertionError("it is kept, or was refused")

    def _keep_once(
        self, lane: Lane, begun: Begun, reply: Reply, gate: ConsentGate
    ) -> Begun | None:
        now, go_on = self._around.clock(), not self._stopping.is_set()
        if isinstance(reply, Accepted):
            args = (begun.telling.rev, reply.remote, reply.status, reply.digest)
            told = PriorTelling(*args)
            next_one = self._outbox.settle(lane, begun, told, gate, now, go_on=go_on)
            self.progress.add("sent")
            return next_one
        failed = judge(begun, reply, now, self._around.chance(), probes=lane.probes)
        next_one = self._outbox.fail(lane, begun, failed, gate, now, go_on=go_on)
        self.progress.add("declined" if failed.again is None else "failed")
        if failed.again is None:
            facts = {"kind": begun.telling.kind, "attempts": begun.attempts + 1}
            self._say("given up", "warning", **facts)
        return next_one

    def _say(self, event: str, level: str, **facts: object) -> None:
        self._around.log(event, level=level, destination=self._destination.id, **facts)


def judge(
    begun: Begun,
    reply: Later | Uncertain | Declined,
    now: datetime,
    chance: float,
    *,
    probes: bool,
) -> FailedAttempt:
    """Return what follows from an attempt that was not accepted.

    Args:
        probes: Whether it was to see if the destination is back.
    """
    problem = reply.problem[:LONGEST_PROBLEM]
    if isinstance(reply, Declined):
        return FailedAttempt(problem, again=None)
    asked = reply.retry_after if isinstance(reply, Later) else None
    if isinstance(reply, Uncertain) and reply.looked:
        tried = Tried(1, begun.first, LOOKED_AGAIN)
        again = again_at(tried, now, chance)
        return FailedAttempt(problem, again, uncertain=True, looked=True, counts=False)
    times = begun.attempts + (0 if probes else 1)
    return FailedAttempt(
        problem,
        again_at(Tried(times, begun.first, asked), now, chance),
        uncertain=isinstance(reply, Uncertain),
        counts=not probes,
        rest=lambda failures: rest(failures, asked),
    )


def run(
    dispatchers: Sequence[Dispatcher],
    stopping: threading.Event,
    look: Callable[[], None] = lambda: None,
    *,
    once: bool = False,
) -> None:
    """Have all tell until *stopping* is set, or until nothing is due with *once*.

    Args:
        look: Called twice a second, as to show how far it is.
    """
    for each in dispatchers:
        each.start(once=once)
    try:
        while any(each.is_alive() for each in dispatchers):
            look()
            if stopping.wait(0.5):
                break
    finally:
        for each in dispatchers:
            each.stop()
        for each in dispatchers:
            each.join()
        look()
