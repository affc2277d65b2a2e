"""A pooler between nodes and their database that pools transactions.

All who connect are given one session of the server, each for one transaction at a time:
what a session keeps from one to the next is that of somebody else.
"""

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from .wire import SOCKET, unix_socket

QUERY, SYNC, LEAVE = b"Q", b"S", b"X"
"""What a node says. Source: PostgreSQL, "Message Formats"."""
READY, IDLE = b"Z", b"I"
"""What the server says when it waits for more, and that no transaction is open."""


@dataclass(slots=True)
class Pooler:
    """Serves on a socket of its own until its listener is closed."""

    folder: Path
    server: Path
    listener: socket.socket = field(default_factory=unix_socket)
    session: socket.socket = field(default_factory=unix_socket)
    greeting: bytes = b""
    turn: threading.Lock = field(default_factory=threading.Lock)

    def serve(self) -> None:
        self.listener.bind(str(self.folder / SOCKET))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                threading.Thread(target=self._talk, args=(near,), daemon=True).start()

    def _talk(self, near: socket.socket) -> None:
        with near, suppress(OSError):
            startup = read_message(near, kinds=False)
            with self.turn:
                if not self.greeting:
                    self.session.connect(str(self.server / SOCKET))
                    self.session.sendall(startup)
                    self.greeting = self._answer()
            near.sendall(self.greeting)
            while (message := read_message(near))[:1] != LEAVE:
                with self.turn:
                    self._transact(near, message)

    def _transact(self, near: socket.socket, message: bytes) -> None:
        while True:
            self.session.sendall(message)
            if message[:1] in (QUERY, SYNC):
                answer = self._answer()
                near.sendall(answer)
                if answer[-1:] == IDLE:
                    return
            message = read_message(near)

    def _answer(self) -> bytes:
        answer = b""
        while True:
            message = read_message(self.session)
            answer += message
            if message[:1] == READY:
                return answer


def read_message(source: socket.socket, kinds: bool = True) -> bytes:
    """The next message; the first of a node has no kind."""
    head = receive(source, 5 if kinds else 4)
    return head + receive(source, int.from_bytes(head[-4:]) - 4)


def receive(source: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = source.recv(size - len(received))
        if not part:
            raise ConnectionError
        received += part
    return received


@contextmanager
def pooling(server: Path) -> Iterator[Pooler]:
    """A pooler before the server whose socket is in a folder."""
    with tempfile.TemporaryDirectory(prefix="cds-pooler-") as folder:
        pooler = Pooler(Path(folder), server)
        pooler.serve()
        try:
            yield pooler
        finally:
            pooler.listener.shutdown(socket.SHUT_RDWR)
            pooler.listener.close()
            pooler.session.close()
