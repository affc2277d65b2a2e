"""What lies between a node and its database, and breaks at a chosen moment."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..waiting import PATIENCE

SOCKET = ".s.PGSQL.5432"
CUTS = ("unsent", "unanswered", "under way")
"""Before COMMIT reaches the server, after the server has done it, and meanwhile."""


def unix_socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)


@dataclass(slots=True)
class Wire:
    """Forwards every connection to a server's socket until one is to be cut."""

    folder: Path
    server: Path
    cut: str = ""
    """Which of ``CUTS`` the next COMMIT meets; empty for none."""
    listener: socket.socket = field(default_factory=unix_socket)

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        self.listener.bind(str(self.folder / SOCKET))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                link = Link(self, near)
                threading.Thread(target=link.forward, daemon=True).start()


@dataclass(slots=True)
class Link:
    """One connection of the node, and the one to the server that belongs to it."""

    wire: Wire
    near: socket.socket
    far: socket.socket = field(default_factory=unix_socket)
    mute: bool = False
    done: threading.Event = field(default_factory=threading.Event)

    def forward(self) -> None:
        with self.near, self.far, suppress(OSError):
            self.far.connect(str(self.wire.server / SOCKET))
            back = threading.Thread(target=self._back, daemon=True)
            back.start()
            while part := self.near.recv(65536):
                if self.wire.cut and b"COMMIT" in part:
                    cut, self.wire.cut = self.wire.cut, ""
                    self._cut(cut, part)
                    break
                self.far.sendall(part)
            with suppress(OSError):
                self.far.shutdown(socket.SHUT_WR)
            back.join()

    def _cut(self, cut: str, part: bytes) -> None:
        self.mute = True
        if cut != "unsent":
            self.far.sendall(part)
        if cut == "unanswered":
            self.done.wait(PATIENCE)
        self.near.shutdown(socket.SHUT_RDWR)

    def _back(self) -> None:
        with suppress(OSError):
            while part := self.far.recv(65536):
                if self.mute:
                    self.done.set()
                else:
                    self.near.sendall(part)
        with suppress(OSError):
            self.near.shutdown(socket.SHUT_RDWR)


@contextmanager
def laid_to(server: Path) -> Iterator[Wire]:
    """A wire to the server that has its socket in a folder."""
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:
        wire = Wire(Path(folder), server)
        with wire.listener:
            wire.serve()
            yield wire
