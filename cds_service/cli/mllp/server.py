"""Messages of HL7 v2 over MLLP: each is answered once it is stored.

Nothing that a peer does holds anybody else up: a message has to be whole in some
seconds, an answer to be taken in some, a connection that is idle is closed in the end,
and there are so many and no more. One message of a connection is worked on at a time,
in their order; what is begun when the server ends is answered.
"""

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ...config import Proof
from ...wearables.adapters.hl7v2.framing import Frames, FrameTooLarge, frame

CHUNK = 64 * 1024
GOODBYE = 1.0
"""Seconds in which a peer may read why it is given up."""
HANDSHAKE = 10.0
"""Seconds for that of TLS."""
Take = Callable[[bytes, bool], Sequence[bytes]]
"""Given a message, and whether it was too large to be whole: what is answered."""
Log = Callable[..., object]


@dataclass(frozen=True, slots=True)
class MllpBounds:
    """What one server bears."""

    message: int = 1024 * 1024
    """Bytes."""
    connections: int = 64
    workers: int = 4
    """Messages that are worked on at a time, of all connections."""
    arrival: float = 30.0
    """Seconds from the first byte of a message to its last."""
    idle: float = 3600.0
    """Seconds between two messages of a connection."""
    answer: float = 30.0
    """Seconds in which a peer has to take an answer."""
    end: float = 30.0
    """Seconds to finish what is under way."""


@dataclass(eq=False, slots=True)
class _Peer:
    """One connection."""

    writer: asyncio.StreamWriter
    frames: Frames
    host: str
    certificate: Any
    task: Any = None
    busy: bool = False
    """Whether a message of it is worked on or being answered."""
    answered: int = 0
    """Messages."""


@dataclass(slots=True)
class MllpServer:
    """Takes connections until it is told to end."""

    proof: Proof
    """Who may connect."""
    take: Take
    bounds: MllpBounds
    log: Log
    count: Callable[[str], object] = lambda why: None
    """Told of a connection that was refused or given up, by why."""
    _peers: set[_Peer] = field(default_factory=set)
    _ending: bool = False
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.bounds.workers, "message")

    async def listen(
        self, host: str, port: int, context: ssl.SSLContext | None
    ) -> asyncio.Server:
        """Return the open port.

        Raises:
            OSError: if it cannot be had.
        """
        handshake = HANDSHAKE if context else None
        return await asyncio.start_server(
            self._serve,
            host,
            port,
            limit=CHUNK,
            ssl=context,
            ssl_handshake_timeout=handshake,
        )

    def renew(self, proof: Proof) -> None:
        """Have others connect from now on; who may no longer hears nothing more.

        What is worked on is answered.
        """
        self.proof = proof
        for peer in [each for each in self._peers if not each.busy]:
            if not self._is_listed(peer):
                peer.task.cancel()

    async def end(self, server: asyncio.Server) -> None:
        """Take no more, answer what is under way, and close all connections."""
        self._ending = True
        server.close()
        for peer in [each for each in self._peers if not each.busy]:
            peer.task.cancel()
        tasks = [each.task for each in self._peers]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self.bounds.end)
            for task in late:
                task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def connections(self) -> int:
        """Return how many are open."""
        return len(self._peers)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        host = str(writer.get_extra_info("peername")[0])
        certificate = writer.get_extra_info("peercert")
        refusal = self._refusal(host, certificate)
        if refusal:
            self.count("refused")
            self.log("connection refused", level="warning", peer=host, why=refusal)
            await _close(writer)
            return
        frames = Frames(self.bounds.message)
        peer = _Peer(writer, frames, host, certificate, asyncio.current_task())
        self._peers.add(peer)
        try:
            why = await self._converse(peer, reader)
            if why:
                self.count(why)
                self.log("connection given up", level="warning", peer=host, why=why)
        except (OSError, asyncio.CancelledError):
            self.count("broken")
        finally:
            self._peers.discard(peer)
            await _close(writer)

    def _refusal(self, host: str, certificate: Any) -> str:
        """Why a peer may not connect; empty where it may."""
        if self._ending or len(self._peers) >= self.bounds.connections:
            return "full"
        if not may_connect(self.proof, host, certificate or {}):
            return "not listed"
        return ""

    def _is_listed(self, peer: _Peer) -> bool:
        return may_connect(self.proof, peer.host, peer.certificate or {})

    async def _converse(self, peer: _Peer, reader: asyncio.StreamReader) -> str:
        """Answer until the peer closes; return why it was given up, if it was."""
        loop, frames = asyncio.get_running_loop(), peer.frames
        due = loop.time() + self.bounds.idle
        while not self._ending and self._is_listed(peer):
            try:
                async with asyncio.timeout_at(due):
                    data = await reader.read(CHUNK)
            except TimeoutError:
                return "slow" if frames.is_within else "idle"
            if not data:
                return "half a message" if frames.is_within else ""
            begun, answered = frames.is_within, peer.answered
            if why := await self._take_in(peer, reader, data):
                return why
            if not (begun and frames.is_within and peer.answered == answered):
                wait = self.bounds.arrival if frames.is_within else self.bounds.idle
                due = loop.time() + wait
        return ""

    async def _take_in(
        self, peer: _Peer, reader: asyncio.StreamReader, data: bytes
    ) -> str:
        """Answer the messages that are whole by now; why to give up, if there is."""
        try:
            for message in peer.frames.feed(data):
                if not await self._answer(peer, message, False):
                    return "answer not taken"
        except FrameTooLarge as error:
            await self._answer(peer, error.begun, True)
            await _linger(reader)
            return "too large"
        return "no messages" if peer.frames.ignored > self.bounds.message else ""

    async def _answer(self, peer: _Peer, message: bytes, too_large: bool) -> bool:
        """Have a message stored and answered; whether the peer took the answer."""
        peer.busy = True
        try:
            loop = asyncio.get_running_loop()
            told = await loop.run_in_executor(self._pool, self.take, message, too_large)
            for each in told:
                peer.writer.write(frame(each))
            async with asyncio.timeout(self.bounds.answer):
                await peer.writer.drain()
        except TimeoutError:
            return False
        finally:
            peer.busy = False
            peer.answered += 1
        return True


async def _linger(reader: asyncio.StreamReader) -> None:
    """Read on for a while: what is closed unread takes the answer with it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(GOODBYE):
            while await reader.read(CHUNK):
                pass


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def may_connect(proof: Proof, host: str, certificate: Any) -> bool:
    """Check whether a peer is one of those that the clients file lists.

    Args:
        host: Its address.
        certificate: As ``SSLSocket.getpeercert`` tells it; empty without one.
    """
    if proof.addresses:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        own = mapped or address
        if not any(own in ipaddress.ip_network(each) for each in proof.addresses):
            return False
    if not proof.certificates:
        return True
    return bool(
        set(_names(certificate)) & {each.lower() for each in proof.certificates}
    )


def _names(certificate: Any) -> list[str]:
    """The DNS names of a certificate; its common name where it has none."""
    alternative = certificate.get("subjectAltName", ())
    named = [value.lower() for kind, value in alternative if kind == "DNS"]
    subject = (pair for part in certificate.get("subject", ()) for pair in part)
    common = [value.lower() for kind, value in subject if kind == "commonName"]
    return named or common
