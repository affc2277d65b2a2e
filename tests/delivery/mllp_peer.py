"""An integration engine on loopback that answers as it is told to, and counts."""

import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from cds_service.wearables.adapters.hl7v2.acknowledging import read_header
from cds_service.wearables.adapters.hl7v2.framing import Frames, frame

from ..waiting import PATIENCE

AA, AE, AR, CA, SILENCE, HALVES, ANOTHER, TWO, HALF, NOISE, GARBAGE, GOODBYE = (
    *("AA", "AE", "AR", "CA", "silence", "halves", "another", "two", "half", "noise"),
    *("garbage", "goodbye"),
)
Behaviour = Callable[[int], str]
"""Given how many messages came before: how this one is answered."""


@dataclass
class Engine:
    """It keeps each control id once, and what it was told under it, if it takes it."""

    behave: Behaviour = lambda number: AA
    context: ssl.SSLContext | None = None
    came: list[bytes] = field(default_factory=list)
    taken: dict[str, bytes] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)
    """How often each control id came."""
    connections: int = 0
    ended: int = 0
    """Of those connections."""
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> "Engine":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _listen(self) -> None:
        while not self._over.is_set():
            connection, _ = self._listener.accept()
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        if self._over.is_set():
            connection.close()
            return
        self.connections += 1
        with suppress(OSError), ExitStack() as opened:
            spoken = opened.enter_context(connection)
            if self.context:
                spoken.settimeout(PATIENCE)
                wrapped = self.context.wrap_socket(spoken, server_side=True)
                spoken = opened.enter_context(wrapped)
            spoken.settimeout(0.05)
            self._converse(spoken)
        self.ended += 1

    def _converse(self, connection: socket.socket) -> None:
        frames = Frames(1_000_000)
        while not self._over.is_set():
            try:
                data = connection.recv(65536)
            except TimeoutError:
                continue
            if not data:
                return
            for message in frames.feed(data):
                if not self._answer(connection, message):
                    return

    def _answer(self, connection: socket.socket, message: bytes) -> bool:
        """Whether the connection stays."""
        header = read_header(message)
        assert header
        id = header.text(10)
        with self._lock:
            how = self.behave(len(self.came))
            self.came.append(message)
            self.times[id] += 1
            if how not in (AE, AR):
                self.taken.setdefault(id, message)
        said = frame(self._text(how if how in (AE, AR, CA) else AA, id))
        match how:
            case "silence":
                self._over.wait(PATIENCE)
                return False
            case "halves":
                connection.sendall(said[:9])
                self._over.wait(0.05)
                connection.sendall(said[9:])
            case "another":
                connection.sendall(frame(self._text(AA, "ANOTHER")))
            case "two":
                connection.sendall(said + said)
            case "half":
                connection.sendall(said[:20])
                return False
            case "noise":
                connection.sendall(b"\r\nnoise" + said)
            case "garbage":
                connection.sendall(frame(b"HTTP/1.1 400 Bad Request"))
            case "goodbye":
                connection.sendall(said)
                return False
            case _:
                connection.sendall(said)
        return True

    def _text(self, code: str, id: str) -> bytes:
        error = "\rERR||PID^1^3|204^Unknown key identifier^HL70357|E" * (code == AR)
        said = "no such patient" if code == AR else ""
        return (
            "MSH|^~\\&|ENGINE|HOSP|CDS-SERVICE||20261122161500+0000||ACK^R01^ACK"
            "|9|P|2.5.1\r"
            f"MSA|{code}|{id}|{said}{error}\r"
        ).encode()
