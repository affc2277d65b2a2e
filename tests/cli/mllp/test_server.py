"""The server of MLLP on loopback: what peers may do, and what becomes of them."""

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from cds_service.cli.mllp.server import MllpBounds, MllpServer, may_connect
from cds_service.config import Proof, ProofKind
from cds_service.wearables.adapters.hl7v2.framing import frame

ANYBODY = Proof(ProofKind.MLLP, addresses=("127.0.0.1/32",))


@dataclass
class House:
    """A server that answers each message with its own text, and what it has heard."""

    bounds: MllpBounds = MllpBounds()
    proof: Proof = ANYBODY
    heard: list[bytes] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    context: ssl.SSLContext | None = None
    peers: list["Peer"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hold.set()

    def take(self, message: bytes, too_large: bool) -> Sequence[bytes]:
        self.heard.append(message)
        self.hold.wait()
        return [b"too large" if too_large else b"got " + message]

    def play(self, act: Callable[["Server"], Awaitable[None]]) -> None:
        """Have something done with the open server."""

        async def run() -> None:
            log = lambda event, **facts: None  # noqa: E731
            server = MllpServer(
                self.proof, self.take, self.bounds, log, self.counted.append
            )
            opened = await server.listen("127.0.0.1", 0, self.context)
            port = opened.sockets[0].getsockname()[1]
            try:
                await act(Server(port, server, opened, self))
            finally:
                self.hold.set()
                await server.end(opened)
                for peer in self.peers:
                    peer.writer.close()
                    with suppress(OSError):
                        await peer.writer.wait_closed()

        asyncio.run(run())


@dataclass
class Server:
    port: int
    server: MllpServer
    opened: asyncio.Server
    house: House

    async def connect(self) -> "Peer":
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port))
        self.house.peers.append(peer)
        return peer


@dataclass
class Peer:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> bytes:
        return (await self.reader.readuntil(b"\x1c\r"))[1:-2]

    async def rest(self) -> bytes:
        """What comes until the server closes."""
        came = b""
        async with asyncio.timeout(30):
            with suppress(ConnectionResetError):
                while data := await self.reader.read(4096):
                    came += data
        return came


def test_a_message_is_answered_and_the_connection_stays() -> None:
    async def act(server: Server) -> None:
        peer = await server.connect()
        for text in (b"one", b"two"):
            peer.send(frame(text))
            assert await peer.answer() == b"got " + text

    House().play(act)


def test_two_messages_in_one_segment_are_answered_in_their_order() -> None:
    async def act(server: Server) -> None:
        peer = await server.connect()
        peer.send(frame(b"one") + frame(b"two"))
        assert [await peer.answer(), await peer.answer()] == [b"got one", b"got two"]

    House().play(act)


def test_half_a_message_is_never_taken() -> None:
    house = House()

    async def act(server: Server) -> None:
        peer = await server.connect()
        peer.send(b"noise\x0bhalf")
        peer.writer.write_eof()
        assert await peer.rest() == b""

    house.play(act)
    assert (house.heard, house.counted) == ([], ["half a message"])


def test_a_message_that_comes_too_slowly_is_given_up() -> None:
    house = House(MllpBounds(arrival=0.2))

    async def act(server: Server) -> None:
        peer = await server.connect()

        async def drip() -> None:
            for each in b"\x0b" + b"x" * 10_000:
                peer.send(bytes([each]))
                await asyncio.sleep(0.02)

        dripping = asyncio.ensure_future(drip())
        assert await peer.rest() == b""
        dripping.cancel()

    house.play(act)
    assert (house.heard, house.counted) == ([], ["slow"])


def test_a_connection_that_says_nothing_is_closed_in_the_end() -> None:
    house = House(MllpBounds(idle=0.2))

    async def act(server: Server) -> None:
        peer = await server.connect()
        assert await peer.rest() == b""

    house.play(act)
    assert house.counted == ["idle"]


def test_a_message_over_the_limit_is_refused_and_its_connection_closed() -> None:
    house = House(MllpBounds(message=100))

    async def act(server: Server) -> None:
        peer = await server.connect()
        peer.send(b"\x0b" + b"x" * 101)
        assert b"too large" in await peer.rest()

    house.play(act)
    assert (house.heard, house.counted) == ([b"x" * 100], ["too large"])


def test_noise_without_end_is_no_reason_to_listen_on() -> None:
    house = House(MllpBounds(message=1000))

    async def act(server: Server) -> None:
        peer = await server.connect()
        peer.send(b"GET / HTTP/1.1\r\n" * 100)
        assert await peer.rest() == b""

    house.play(act)
    assert house.counted == ["no messages"]


def test_one_more_than_there_may_be_is_closed_and_the_others_stay() -> None:
    async def act(server: Server) -> None:
        first = await server.connect()
        first.send(frame(b"one"))
        await first.answer()
        second = await server.connect()
        assert await second.rest() == b""
        first.send(frame(b"two"))
        assert await first.answer() == b"got two"

    House(MllpBounds(connections=1)).play(act)


def test_who_is_not_listed_hears_nothing() -> None:
    house = House(proof=Proof(ProofKind.MLLP, addresses=("10.0.0.0/8",)))

    async def act(server: Server) -> None:
        peer = await server.connect()
        peer.send(frame(b"one"))
        assert await peer.rest() == b""

    house.play(act)
    assert (house.heard, house.counted) == ([], ["refused"])


def test_what_is_under_way_at_the_end_is_answered() -> None:
    house = House()

    async def act(server: Server) -> None:
        house.hold.clear()
        busy, idle = await server.connect(), await server.connect()
        busy.send(frame(b"one") + frame(b"two"))
        while not house.heard:
            await asyncio.sleep(0.01)
        ending = asyncio.ensure_future(server.server.end(server.opened))
        assert await idle.rest() == b""
        house.hold.set()
        assert await busy.rest() == frame(b"got one") + frame(b"got two")
        await ending

    house.play(act)
    assert house.heard == [b"one", b"two"]


@pytest.mark.parametrize(
    ("proof", "host", "certificate", "may"),
    [
        (Proof(addresses=("10.1.0.0/16",)), "10.1.2.3", {}, True),
        (Proof(addresses=("10.1.0.0/16",)), "::ffff:10.1.2.3", {}, True),
        (Proof(addresses=("10.1.0.0/16",)), "10.2.2.3", {}, False),
        (Proof(addresses=("fd00::/8",)), "fd00::1", {}, True),
        (Proof(certificates=("E.example",)), "9.9.9.9", ("e.example",), True),
        (Proof(certificates=("e.example",)), "9.9.9.9", ("f.example",), False),
        (Proof(certificates=("e.example",)), "9.9.9.9", {}, False),
        (
            Proof(addresses=("10.0.0.0/8",), certificates=("e",)),
            "9.9.9.9",
            ("e",),
            False,
        ),
    ],
)
def test_who_may_connect_is_told_by_addresses_and_names(
    proof: Proof, host: str, certificate: object, may: bool
) -> None:
    told = certificate
    if isinstance(certificate, tuple):
        told = {"subjectAltName": tuple(("DNS", each) for each in certificate)}

    assert may_connect(proof, host, told) is may


def test_the_common_name_counts_where_a_certificate_has_no_other() -> None:
    proof = Proof(certificates=("engine",))
    subject = ((("countryName", "AT"),), (("commonName", "Engine"),))

    assert may_connect(proof, "9.9.9.9", {"subject": subject})
    named = {"subject": subject, "subjectAltName": (("DNS", "other"),)}
    assert not may_connect(proof, "9.9.9.9", named)
