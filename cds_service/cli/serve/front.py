"""The door of a server: one thread watches all connections, and none holds it up.

A request is gathered here, head and body, and handed on when it is whole; its answer is
sent from here as fast as the other end takes it. So whoever is slow, silent or gone
costs a place among the connections, and no thread. After the last answer the other end
has a moment to close as well: a connection that is closed over what was not read yet is
reset, and the answer may be lost.

Source: RFC 9112 section 9.6.
"""

import ssl
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from selectors import EVENT_READ, BaseSelector
from typing import Any, Protocol

from ...publishing.serving import find_lines
from .connection import GONE, Connection
from .framing import Head, Limits, Refused, Request, Stream
from .places import Places, Stage

ACCEPTED = 64
"""New connections that are taken at a time."""
MOST_DRAINED = 4 * 1024 * 1024
"""Bytes that are read over after the last answer: who sends a body that is too long
often reads no answer before it has sent it all."""
BACKLOG = 4096
"""New connections that are taken at the end; more cannot have waited."""
READS = 16
"""Pieces of one connection before the others have their turn."""
PAUSE = 0.5
"""Seconds without new connections where there is no descriptor left for one."""
GRACE = 1.0
"""Seconds, when all ends, for a request that was under way to who waits for one."""
READING = (Stage.SILENT, Stage.ARRIVING, Stage.KEPT)
WITHOUT_WORD = (Stage.GREETING, Stage.SILENT, Stage.KEPT)
MINUTE = 60.0
LATE = "The request did not arrive in time."
BROKEN = "The body ended early."
CROWDED = "Too many requests from this address are in progress."
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Log(Protocol):
    """Where it is said what went wrong; never with a word of a caller."""

    def warning(self, message: str, *values: object) -> None:
        """Write a line."""


@dataclass(frozen=True, slots=True)
class House:
    """What stands behind the door."""

    take: Callable[[Connection, Request], None]
    """Have a request answered: ``outgoing`` and ``stays`` are set, then ``answer``."""
    refuse: Callable[[int, str, Head | None], bytes]
    """A whole answer to a head, as far as it is known: an HTTP status, and why."""
    find_peer: Callable[[str], str | None]
    """What the address of a connection is counted under; None for a listed proxy."""
    find_origin: Callable[[str, str], str | None]
    """The same for a request through a proxy, by its ``X-Forwarded-For``; else None."""
    context: Callable[[], ssl.SSLContext] | None
    count: Callable[[str], None]
    """Told why a connection was given up or a request refused, in a word."""
    log: Log
    accepted: int = ACCEPTED


class Front:
    """Watches listeners and connections."""

    def __init__(
        self,
        poller: BaseSelector,
        listeners: list[Any],
        places: Places[Connection],
        limits: Limits,
        house: House,
    ) -> None:
        self._poller = poller
        self._listeners = [(each, each.getsockname()) for each in listeners]
        self._places = places
        self._limits = limits
        self._house = house
        self._again: list[Connection] = []
        """Who has something to be read of which the poller does not know."""
        self._closed_until = 0.0
        """No new connection before that time."""
        self._listening = False
        self._parting_from: float | None = None
        """When all who are silent have to go, once all ends."""
        self._notes: Counter[str] = Counter()
        self._tell_from = 0.0

    # Turns

    def turn(self, seconds: float) -> None:
        """Wait for something to happen for so long at most, and see to all that did."""
        now = time.monotonic()
        self._listen(self._parting_from is None and now >= self._closed_until)
        again, self._again = self._again, []
        for key, _ in self._poller.select(0 if again else seconds):
            if isinstance(key.data, Connection):
                self._attend(key.data)
            else:
                key.data(key.fileobj)
        for connection in again:
            self._attend(connection)
        self._give_up(time.monotonic())

    def end(self, seconds: float, is_worth_it: Callable[[], bool]) -> None:
        """Answer who was let in, then close; it takes so long, and as it is worth it.

        Who has connected and is not let in yet is let in now. Who says nothing, or has
        its answer, may begin a request for a moment still, and then sees a clean end.
        """
        begun = time.monotonic()
        self._listen(False)
        for listener, name in self._listeners:
            for _ in range(BACKLOG):
                if not self._accept(listener, name):
                    break
            listener.close()
        self._parting_from = begun + GRACE
        while len(self._places) and time.monotonic() < begun + seconds:
            if not is_worth_it():
                break
            self.turn(0.1)
        for connection in self._places.among(*Stage):
            self._close(connection)
        self._tell(float("inf"))

    def _listen(self, wanted: bool) -> None:
        if wanted == self._listening:
            return
        self._listening = wanted
        for listener, name in self._listeners:
            if wanted:
                listener.setblocking(False)
                self._poller.register(
                    listener, EVENT_READ, lambda it, name=name: self._welcome(it, name)
                )
            else:
                self._poller.unregister(listener)

    def _give_up(self, now: float) -> None:
        """See off who was waited for too long."""
        for connection in self._places.overdue(now):
            stage = self._places.stage(connection)
            if stage is Stage.ARRIVING:
                self._note("late")
                self._refuse(connection, 408, LATE)
            elif stage is Stage.KEPT:
                self._part(connection)
            else:
                if stage is not Stage.PARTING:
                    self._note("silent")
                self._close(connection)
        if self._parting_from is not None and now >= self._parting_from:
            for connection in self._places.among(*WITHOUT_WORD):
                self._part(connection)
        self._tell(now)

    def _note(self, why: str, details: str = "") -> None:
        self._notes[f"{why} ({details})" if details else why] += 1
        self._house.count(why)

    def _tell(self, now: float) -> None:
        """Say, once a minute, how many connections were given up and why."""
        if not self._notes or now < self._tell_from:
            return
        self._tell_from = now + MINUTE
        told = ", ".join(f"{number} {what}" for what, number in self._notes.items())
        self._notes.clear()
        self._house.log.warning("connections given up: %s", told)

    # Connections

    def _welcome(self, listener: Any, name: Any) -> None:
        for _ in range(self._house.accepted):
            if not self._accept(listener, name):
                return

    def _accept(self, listener: Any, name: Any) -> bool:
        """Let one in; whether there may be another."""
        try:
            sock, client = listener.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionAbortedError:
            return True
        except OSError as error:
            self._run_short(error)
            return False
        address = self._house.find_peer(client[0])
        if not self._make_room(address):
            self._note("no-room")
            sock.close()
            return True
        context = self._house.context() if self._house.context else None
        try:
            connection = Connection(sock, client, name, Stream(self._limits), context)
        except OSError:
            sock.close()
            return True
        stage = Stage.GREETING if context else Stage.SILENT
        self._places.enter(connection, address, stage, time.monotonic())
        self._watch(connection, EVENT_READ)
        return True

    def _make_room(self, address: str | None) -> bool:
        while not self._places.has_room(address):
            leaver = self._places.find_leaver(address)
            if leaver is None:
                return False
            self._note("made-room")
            self._close(leaver)
        return True

    def _run_short(self, error: OSError) -> None:
        """There is no descriptor: have who was silent for longest go, and wait."""
        leaver = self._places.find_leaver(None)
        if leaver is not None:
            self._close(leaver)
        self._note("no-descriptor", str(error.strerror))
        self._closed_until = time.monotonic() + PAUSE

    def _attend(self, connection: Connection) -> None:
        """Go on with a connection whose socket is ready."""
        stage = self._places.stage(connection)
        try:
            if stage is Stage.GREETING:
                self._greet(connection)
            elif stage is Stage.ANSWERING:
                self._answer(connection)
            elif stage is Stage.PARTING:
                self._drain(connection)
            elif stage in READING:
                if not (connection.stream.held and self._advance(connection)):
                    self._read(connection)
        except Exception as error:  # one connection must not end all others
            self._fail(connection, error)

    def _fail(self, connection: Connection, error: Exception) -> None:
        """Close; a fault of our own is counted, with the lines it passed through."""
        if not isinstance(error, OSError):
            where = " ".join(find_lines(error))
            self._note("failed", f"{type(error).__name__} at {where}")
        self._close(connection)

    def _move(self, connection: Connection, stage: Stage) -> None:
        self._places.move(connection, stage, time.monotonic())

    def _watch(self, connection: Connection, events: int) -> None:
        if events == connection.watched:
            return
        if not events:
            self._poller.unregister(connection.sock)
        elif connection.watched:
            self._poller.modify(connection.sock, events, connection)
        else:
            self._poller.register(connection.sock, events, connection)
        connection.watched = events

    def _close(self, connection: Connection) -> None:
        self._watch(connection, 0)
        self._places.leave(connection)
        connection.close()

    # Requests

    def _greet(self, connection: Connection) -> None:
        try:
            done = connection.greet()
        except ssl.SSLError:
            self._note("no-handshake")
            self._part(connection)
            return
        if done:
            self._move(connection, Stage.SILENT)
            if connection.has_more():
                self._again.append(connection)
        self._watch(connection, connection.needs)

    def _read(self, connection: Connection) -> None:
        for _ in range(READS):
            data = connection.receive()
            if data == GONE:
                return self._break_off(connection)
            if data is None:
                break
            if self._places.stage(connection) is not Stage.ARRIVING:
                self._move(connection, Stage.ARRIVING)
            connection.stream.feed(data)
            if self._advance(connection):
                return None
            if not connection.has_more():
                break
        else:
            self._again.append(connection)
        self._watch(connection, connection.needs)
        return None

    def _advance(self, connection: Connection) -> bool:
        """Look at what has come; whether it is dealt with, and no more is read now."""
        stream = connection.stream
        try:
            request = stream.next()
        except Refused as refused:
            self._note("unreadable", refused.why)
            self._refuse(connection, refused.status, refused.why)
            return True
        head = request.head if request else stream.head
        if head and not self._claim(connection, head):
            self._note("crowded")
            self._refuse(connection, 429, CROWDED, head)
            return True
        if request:
            self._take(connection, request)
            return True
        if stream.awaits_word():
            connection.outgoing = memoryview(CONTINUE)
            if not connection.send():  # half a word could not be told from an answer
                self._close(connection)
        self._places.hold(connection, stream.held)
        while slow := self._places.find_slowest():
            self._note("held-too-much")
            self._refuse(slow, 503, "The server is overloaded. Try again.")
        return self._places.stage(connection) not in READING

    def _claim(self, connection: Connection, head: Head) -> bool:
        """Count a request through a proxy for whom it is; whether it may go on."""
        said = head.joined("x-forwarded-for")
        origin = self._house.find_origin(connection.client[0], said)
        return origin is None or self._places.claim(connection, origin)

    def _take(self, connection: Connection, request: Request) -> None:
        size = connection.stream.held + sum(map(len, request.parts))
        self._places.hold(connection, size)
        self._watch(connection, 0)
        self._move(connection, Stage.INSIDE)
        self._house.take(connection, request)

    def _break_off(self, connection: Connection) -> None:
        """The other end has no more to say; it may be waiting for an answer."""
        if connection.stream.head:
            self._note("broken-off")
            self._refuse(connection, 400, BROKEN)
        else:
            self._close(connection)

    # Answers

    def _refuse(
        self, connection: Connection, status: int, why: str, head: Head | None = None
    ) -> None:
        refusal = self._house.refuse(status, why, head or connection.stream.head)
        connection.outgoing = memoryview(refusal)
        connection.stays = False
        self.answer(connection)

    def answer(self, connection: Connection) -> None:
        """Send what is outgoing, then see to the next request or the end."""
        try:
            self._answer(connection)
        except Exception as error:  # nor must its answer
            self._fail(connection, error)

    def _answer(self, connection: Connection) -> None:
        places = self._places
        if not connection.send():
            places.hold(connection, len(connection.outgoing) + connection.stream.held)
            if places.stage(connection) is not Stage.ANSWERING:
                self._move(connection, Stage.ANSWERING)
            self._watch(connection, connection.needs)
            return
        places.release(connection)
        places.hold(connection, connection.stream.held)
        if not connection.stays:
            self._part(connection)
            return
        self._move(connection, Stage.ARRIVING if connection.stream.held else Stage.KEPT)
        self._watch(connection, connection.needs)
        if connection.stream.held or connection.has_more():
            self._again.append(connection)

    def _part(self, connection: Connection) -> None:
        try:
            connection.part()
        except OSError:
            self._close(connection)
            return
        self._places.hold(connection, 0)
        self._move(connection, Stage.PARTING)
        self._watch(connection, connection.needs)
        if excess := self._places.find_excess():
            self._close(excess)

    def _drain(self, connection: Connection) -> None:
        if connection.drain() or connection.drained > MOST_DRAINED:
            self._close(connection)
