"""Who is connected, at which stage and until when; who goes where there is no room.

Nothing here knows a socket or a clock: guests are whatever can be told apart, ``now``
is an argument. Whoever comes is let in, and who was silent for longest makes room; so
nobody keeps others out by coming first and saying nothing.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

PARTING = 2.0
"""Seconds in which who was answered for the last time may finish sending."""
MOST_PARTING = 500
"""Those that came first are closed at once when there are more."""


class Stage(Enum):
    """What is waited for."""

    GREETING = "greeting"
    """The handshake of TLS."""
    SILENT = "silent"
    """The first byte."""
    ARRIVING = "arriving"
    """The rest of a request."""
    INSIDE = "inside"
    """An answer of this server; for as long as it takes."""
    ANSWERING = "answering"
    """That the answer is taken."""
    KEPT = "kept"
    """The first byte of another request."""
    PARTING = "parting"
    """That the other end closes as well."""


LEAVE_FIRST = (Stage.SILENT, Stage.GREETING, Stage.KEPT, Stage.PARTING, Stage.ARRIVING)
"""Who goes where there is no room; nobody whose request has a thread or an answer."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many may be here, with how much, for how long."""

    connections: int
    per_address: int
    """Connections of one address; behind a listed proxy, requests under way."""
    held: int
    """Bytes of all requests together that are not answered yet."""
    arrival: float
    """Seconds for a handshake, a first byte, a request, the taking of an answer."""
    keep_alive: float
    """Seconds without a request."""

    def allowed(self, stage: Stage) -> float:
        """Return the seconds that a stage may last."""
        if stage is Stage.INSIDE:
            return float("inf")
        usual = {Stage.KEPT: self.keep_alive, Stage.PARTING: PARTING}
        return usual.get(stage, self.arrival)


Guest = TypeVar("Guest", bound=Hashable)


class Places(Generic[Guest]):
    """All that are connected."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._stages: dict[Stage, OrderedDict[Guest, float]] = {
            each: OrderedDict() for each in Stage
        }
        """Each with the time at which it will have been there for too long."""
        self._stage: dict[Guest, Stage] = {}
        self._address: dict[Guest, str] = {}
        self._held: dict[Guest, int] = {}
        self._claims: dict[Guest, str] = {}
        self._counts: Counter[str] = Counter()
        self.held = 0
        """Bytes that are kept for all."""

    def __len__(self) -> int:
        return len(self._stage)

    def stage(self, guest: Guest) -> Stage | None:
        """Return where a guest is; None if it has left."""
        return self._stage.get(guest)

    def enter(
        self, guest: Guest, address: str | None, stage: Stage, now: float
    ) -> None:
        """Let somebody in, counted under an address if there is one."""
        if address is not None:
            self._address[guest] = address
            self._counts[address] += 1
        self._put(guest, stage, now)

    def move(self, guest: Guest, stage: Stage, now: float) -> None:
        """Have a guest wait for something else from now on."""
        del self._stages[self._stage[guest]][guest]
        self._put(guest, stage, now)

    def _put(self, guest: Guest, stage: Stage, now: float) -> None:
        self._stage[guest] = stage
        self._stages[stage][guest] = now + self.bounds.allowed(stage)

    def leave(self, guest: Guest) -> None:
        """Forget a guest; one who has left may leave again."""
        stage = self._stage.pop(guest, None)
        if stage is None:
            return
        del self._stages[stage][guest]
        self.hold(guest, 0)
        self.release(guest)
        if address := self._address.pop(guest, None):
            self._discount(address)

    def hold(self, guest: Guest, size: int) -> None:
        """Note how many bytes are kept for a guest."""
        self.held += size - self._held.pop(guest, 0)
        if size:
            self._held[guest] = size

    def claim(self, guest: Guest, address: str) -> bool:
        """Count a request under the address it came from; whether it may go on."""
        if guest not in self._claims:
            self._claims[guest] = address
            self._counts[address] += 1
        return self._counts[address] <= self.bounds.per_address

    def release(self, guest: Guest) -> None:
        """A request of a guest is answered."""
        if address := self._claims.pop(guest, None):
            self._discount(address)

    def _discount(self, address: str) -> None:
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]

    def among(self, *stages: Stage) -> list[Guest]:
        """Return who is at one of these stages, the longest there first."""
        return [guest for stage in stages for guest in self._stages[stage]]

    def overdue(self, now: float) -> list[Guest]:
        """Return who has been waited for too long."""
        found = []
        for guests in self._stages.values():
            for guest, until in guests.items():
                if until > now:
                    break
                found.append(guest)
        return found

    def has_room(self, address: str | None) -> bool:
        """Check whether one more from an address can enter."""
        return not self._is_crowded(address) and len(self) < self.bounds.connections

    def find_leaver(self, address: str | None) -> Guest | None:
        """Return who goes first so that one more from an address can enter.

        Where an address has its share, one of its own has to go. None if nobody can.
        """
        crowded = self._is_crowded(address)
        for stage in LEAVE_FIRST:
            for guest in self._stages[stage]:
                if not crowded or self._address.get(guest) == address:
                    return guest
        return None

    def find_slowest(self) -> Guest | None:
        """Return whose request has been arriving for longest, if too much is held."""
        return self._first(Stage.ARRIVING) if self.held > self.bounds.held else None

    def find_excess(self) -> Guest | None:
        """Return who has been parting for longest, if too many are."""
        many = len(self._stages[Stage.PARTING]) > MOST_PARTING
        return self._first(Stage.PARTING) if many else None

    def _first(self, stage: Stage) -> Guest | None:
        return next(iter(self._stages[stage]), None)

    def _is_crowded(self, address: str | None) -> bool:
        return address is not None and self._counts[address] >= self.bounds.per_address
