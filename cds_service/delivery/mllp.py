"""A client of MLLP: one message out, its own acknowledgement back, or nobody knows.

A connection on which anything else happened than that is closed, since what comes on it
next could be the answer to the message before. Connections that went well are kept, one
for each that sends at a time.

Source: HL7 2.5.1 chapter 2 section 2.9; "Transport Specification: MLLP, Release 1".
"""

import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from ..http.addresses import Reach, advice, refused_kind
from ..http.connections import resolve_by_system
from ..wearables.adapters.hl7v2.acknowledging import Acknowledged, read_acknowledgement
from ..wearables.adapters.hl7v2.framing import Frames, FrameTooLarge, frame

LONGEST_ANSWER = 64 * 1024
"""Bytes."""
CONNECT = 5.0
"""Seconds, TLS included."""
CHUNK = 4096


class NotSent(Exception):
    """The message has surely not arrived; the text is a sentence."""


class NotAnswered(Exception):
    """Nobody knows whether the message has arrived; the text is a sentence."""


@dataclass(slots=True)
class MllpClient:
    """One engine; threads share it."""

    host: str
    port: int
    reach: Reach = Reach.PUBLIC
    context: ssl.SSLContext | None = None
    resolve: Callable[[str, int], Sequence[str]] = resolve_by_system
    _idle: list[socket.socket] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def ask(self, message: bytes, control_id: str, ends: float) -> Acknowledged:
        """Return the acknowledgement of a message, which names it.

        Args:
            ends: Until when, of ``time.monotonic``.

        Raises:
            NotSent: if no connection could be had.
            NotAnswered: if there was no answer to it in time, or another one.
        """
        connection = self._take(ends)
        try:
            told, rest = _exchange(connection, frame(message), control_id, ends)
        except BaseException:
            connection.close()
            raise
        if rest:
            connection.close()
        else:
            with self._lock:
                self._idle.append(connection)
        return told

    def close(self) -> None:
        """Let go of all connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for each in idle:
            each.close()

    def _take(self, ends: float) -> socket.socket:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connect(ends)
            if _is_quiet(connection):
                return connection
            connection.close()

    def _connect(self, ends: float) -> socket.socket:
        until = min(ends, time.monotonic() + CONNECT)
        try:
            addresses = self._addresses()
        except OSError as error:
            raise NotSent(_unreached(error)) from error
        for index, address in enumerate(addresses):
            # One that does not answer leaves their share of time to those after it.
            patience = (until - time.monotonic()) / (len(addresses) - index)
            if patience <= 0:
                raise NotSent("There was no time left to connect.")
            try:
                return self._open(address, patience)
            except OSError as error:
                if index == len(addresses) - 1:
                    raise NotSent(_unreached(error)) from error
        raise NotSent("Its name does not resolve to an address.")

    def _addresses(self) -> Sequence[str]:
        """The addresses of its name, all of which were looked at."""
        addresses = self.resolve(self.host, self.port)
        for each in addresses:
            if kind := refused_kind(self.host, each, self.reach):
                text = f"Its address is {kind}: {advice(kind)}"
                raise NotSent(f"{text.rstrip('.')}.")
        return addresses

    def _open(self, address: str, patience: float) -> socket.socket:
        plain = socket.create_connection((address, self.port), patience)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context is None:
                return plain
            return self.context.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def _unreached(error: OSError) -> str:
    """Why no connection could be had, as a sentence."""
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or type(error).__name__}."
    return f"It cannot be reached: {error.strerror or type(error).__name__}."


def open_context(ca_file: str, cert_file: str, key_file: str) -> ssl.SSLContext:
    """Return how an engine is spoken to under TLS.

    Raises:
        OSError: if a file cannot be read, or is none.
    """
    context = ssl.create_default_context(cafile=ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert_file:
        context.load_cert_chain(cert_file, key_file)
    return context


def _is_quiet(connection: socket.socket) -> bool:
    """Whether nothing came since the last answer, not even the end."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return not poll.poll(0)


def _exchange(
    connection: socket.socket, framed: bytes, control_id: str, ends: float
) -> tuple[Acknowledged, bool]:
    """The acknowledgement, and whether more came than that."""
    frames = Frames(LONGEST_ANSWER)
    try:
        _wait_until(connection, ends)
        connection.sendall(framed)
        while True:
            _wait_until(connection, ends)
            data = connection.recv(CHUNK)
            if not data:
                raise NotAnswered("It closed the connection without an answer.")
            answers = list(frames.feed(data))
            if answers:
                told = _read(answers[0], control_id)
                return told, len(answers) > 1 or frames.is_within
            if frames.ignored > LONGEST_ANSWER:
                raise NotAnswered("It answered with something other than HL7.")
    except FrameTooLarge as error:
        raise NotAnswered("Its answer is too large.") from error
    except TimeoutError as error:
        raise NotAnswered("It did not answer in time.") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise NotAnswered(f"The connection broke: {reason}.") from error


def _wait_until(connection: socket.socket, ends: float) -> None:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)


def _read(raw: bytes, control_id: str) -> Acknowledged:
    told = read_acknowledgement(raw)
    if told is None:
        raise NotAnswered("Its answer is not an acknowledgement.")
    if told.control_id != control_id:
        raise NotAnswered("It acknowledged another message.")
    return told
