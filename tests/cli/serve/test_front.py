"""The door by itself, on loopback, turned by hand."""

import errno
import logging
import re
import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from cds_service.cli.serve.connection import Connection
from cds_service.cli.serve.framing import Limits, Request
from cds_service.cli.serve.front import Front, House
from cds_service.cli.serve.places import Bounds, Places
from cds_service.cli.serve.worker import find_origin, find_peer
from cds_service.web.limits import Proxies
from cds_service.web.metrics import Metrics

from ...waiting import PATIENCE

GET = b"GET / HTTP/1.1\r\n\r\n"


class Door:
    """A front that answers every request with its number, and is turned in between."""

    def __init__(self, listener: Any, connections: int = 10) -> None:
        self.address = listener.getsockname()
        bounds = Bounds(connections, 10, 10**6, arrival=PATIENCE, keep_alive=PATIENCE)
        self.places = Places[Connection](bounds)
        self.poller = selectors.DefaultSelector()
        self.answered = 0
        self.given_up: list[str] = []
        house = House(
            take=self.take,
            refuse=lambda status, why, head: f"{status} {why}".encode(),
            find_peer=lambda host: host,
            find_origin=lambda host, said: None,
            context=None,
            count=self.count,
            log=logging.getLogger("door"),
        )
        limits = Limits(line=100, head=1000, body=1000)
        self.front = Front(self.poller, [listener], self.places, limits, house)

    def count(self, why: str) -> None:
        self.given_up.append(why)

    def take(self, connection: Connection, request: Request) -> None:
        self.answered += 1
        connection.outgoing = memoryview(b"%d;" % self.answered)
        connection.stays = True
        self.front.answer(connection)

    def close(self) -> None:
        """Let everybody go."""
        self.front.end(0, lambda: True)
        self.poller.close()

    def receive(self, connection: socket.socket) -> bytes:
        """What comes next, the door being turned until it does."""
        connection.setblocking(False)
        for _ in range(1000):
            self.front.turn(0.01)
            try:
                return connection.recv(65536)
            except BlockingIOError:
                continue
        raise AssertionError("nothing came")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


class Failing:
    """A listener of a system that has no descriptor left, the first times."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.times = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def accept(self) -> Any:
        if self.times:
            self.times -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()


def test_where_no_descriptor_is_left_it_goes_on_once_there_is_one(
    stack: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    failing = Failing(listener)
    door = stack.enter_context(closing(Door(failing)))
    kept, late = (stack.enter_context(connect(door)) for _ in range(2))
    kept.sendall(GET)
    late.sendall(GET)
    assert {door.receive(kept), door.receive(late)} == {b"1;", b"2;"}

    failing.times = 1
    another = stack.enter_context(connect(door))
    another.sendall(GET)

    assert door.receive(another) == b"3;"
    assert door.receive(kept) == b""
    assert door.given_up == ["no-descriptor"]
    assert "1 no-descriptor (Too many open files)" in caplog.text


class Faulty(Door):
    """A door behind which nobody minds that a body may be no number."""

    def __init__(self, listener: Any) -> None:
        super().__init__(listener)
        self.metrics = Metrics()

    def count(self, why: str) -> None:
        self.metrics.count_given_up(why)

    def take(self, connection: Connection, request: Request) -> None:
        self.answered = int(request.parts[1] or b"0")
        super().take(connection, request)


def test_a_fault_of_our_own_ends_one_connection_and_is_counted_with_its_place(
    stack: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    door = stack.enter_context(closing(Faulty(listener)))
    unlucky, other = (stack.enter_context(connect(door)) for _ in range(2))

    unlucky.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nCartwright")
    assert door.receive(unlucky) == b""
    other.sendall(GET)

    assert door.receive(other) == b"1;"
    counted = door.metrics.registry.get_sample_value
    assert counted("cds_connections_given_up_total", {"why": "failed"}) == 1
    place = r"ValueError at( front\.py:\d+)+ test_front\.py:\d+"
    assert re.search(rf"1 failed \({place}\)", caplog.text)
    assert "Cartwright" not in caplog.text


def connect(door: Door) -> socket.socket:
    return socket.create_connection(door.address, PATIENCE)


def test_a_thousand_requests_at_once_are_answered_one_after_the_other(
    stack: ExitStack,
) -> None:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    door = stack.enter_context(closing(Door(listener)))
    client = stack.enter_context(connect(door))
    client.sendall(GET * 1000)
    received = b""

    while received.count(b";") < 1000:
        received += door.receive(client)

    assert received == b"".join(b"%d;" % number for number in range(1, 1001))


def test_a_proxy_is_not_counted_and_whom_it_asks_for_is() -> None:
    proxies = Proxies.of(["10.0.0.0/8"])

    assert find_peer("10.0.0.1", proxies) is None
    assert find_peer("192.0.2.1", proxies) == "192.0.2.1"
    assert find_peer("2001:db8:1:2:3::4", proxies) == "2001:db8:1:2::/64"
    assert find_origin("10.0.0.1", "1.1.1.1, 192.0.2.7", proxies) == "192.0.2.7"
    assert find_origin("10.0.0.1", "192.0.2.7, 10.0.0.2", proxies) == "192.0.2.7"
    assert find_origin("10.0.0.1", "", proxies) == "10.0.0.1"
    assert find_origin("192.0.2.1", "192.0.2.7", proxies) is None
