"""One connection: a socket that never waits, in plain text or under TLS."""

import socket
import ssl
from collections.abc import Hashable
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from .framing import Request, Stream

PIECE = 64 * 1024
"""Bytes that are read at a time."""
GONE = b""
"""What is read where the other end has no more to say."""


class Connection(Hashable):
    """What came over it, what is to go over it, and what it waits for.

    Either the thread that watches all connections has it, or the one that answers its
    request; never both.
    """

    def __init__(
        self,
        sock: socket.socket,
        client: Any,
        server: Any,
        stream: Stream,
        context: ssl.SSLContext | None,
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.client = client
        """The address of the other end."""
        self.server = server
        """The address of this end."""
        self.stream = stream
        self.request: Request | None = None
        """The one that is being answered."""
        self.outgoing = memoryview(b"")
        """What of the answer was not sent yet."""
        self.stays = False
        """Whether another request may come after the answer."""
        self.needs = EVENT_READ
        """What the socket has to be ready for before anything can go on."""
        self.watched = 0
        """What a poller watches it for."""
        self.drained = 0
        """Bytes that came after the goodbye."""
        self._tls: ssl.SSLSocket | None = None
        if context:
            self._tls = context.wrap_socket(
                sock, server_side=True, do_handshake_on_connect=False
            )
            self.sock = self._tls

    def __hash__(self) -> int:
        return id(self)

    def greet(self) -> bool:
        """Go on with the handshake; whether it is done.

        Raises:
            OSError: if it failed.
        """
        assert self._tls
        try:
            self._tls.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            self._wait(error)
            return False
        self.needs = EVENT_READ
        return True

    def receive(self) -> bytes | None:
        """Return what came; ``GONE`` at its end, None if nothing has come yet.

        Raises:
            OSError: if the connection is broken.
        """
        try:
            data = self.sock.recv(PIECE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            self._wait(error)
            return None
        self.needs = EVENT_READ
        return data

    def has_more(self) -> bool:
        """Check whether something has been read of which no poller knows."""
        return self._tls is not None and self._tls.pending() > 0

    def send(self) -> bool:
        """Send what can be sent of what is outgoing; whether that is all.

        Raises:
            OSError: if the connection is broken.
        """
        while self.outgoing:
            try:
                sent = self.sock.send(self.outgoing)
            except (
                BlockingIOError,
                ssl.SSLWantWriteError,
                ssl.SSLWantReadError,
            ) as error:
                self.needs = EVENT_WRITE
                self._wait(error)
                return False
            self.outgoing = self.outgoing[sent:]
        self.needs = EVENT_READ
        return True

    def try_to_send(self) -> None:
        """Send what can be sent; that it is broken shows when somebody goes on."""
        with suppress(OSError):
            self.send()

    def part(self) -> None:
        """Say that nothing more will be sent.

        Raises:
            OSError: if the other end is gone already.
        """
        if self._tls:
            with suppress(OSError, ValueError):
                self._tls.unwrap()
        # Under TLS the socket's own method would go on in plain text.
        socket.socket.shutdown(self.sock, socket.SHUT_WR)
        self.needs = EVENT_READ

    def drain(self) -> bool:
        """Read over what came after the goodbye; whether the other end is done.

        Raises:
            OSError: if the connection is broken.
        """
        try:
            data = socket.socket.recv(self.sock, PIECE)
        except BlockingIOError:
            return False
        self.drained += len(data)
        return data == GONE

    def close(self) -> None:
        """Let go of the socket."""
        with suppress(OSError):
            self.sock.close()

    def _wait(self, error: OSError) -> None:
        if isinstance(error, ssl.SSLWantReadError):
            self.needs = EVENT_READ
        elif isinstance(error, ssl.SSLWantWriteError):
            self.needs = EVENT_WRITE
