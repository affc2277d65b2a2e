"""A port for health alone, while the other is busy, flooded or hung."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from ...ports import free_port
from ...waiting import PATIENCE, until
from .small import Small, allow_many_sockets, received, serving

pytestmark = pytest.mark.slow

LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Small]:
    """A server of one thread, which has a call that does not end."""
    allow_many_sockets()
    folder = tmp_path_factory.mktemp("busy")
    settings = {"queue_limit": 0, "connection_limit": 200, "health_port": port}
    with serving(folder, **settings) as server:
        hanging = server.begin("hanging")
        until((folder / "hanging").exists)
        yield server
        hanging.close()


def test_health_answers_beside_a_port_that_is_busy_and_full(
    busy: Small, port: int
) -> None:
    with ExitStack() as stack:
        for number in range(500):
            source = f"127.0.0.{2 + number % 5}"
            stack.enter_context(busy.connect(source))
        answer = requests.get(f"http://127.0.0.1:{port}/health/live", timeout=PATIENCE)

    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
    assert answer.headers["Cache-Control"] == "no-store"


def test_nobody_holds_the_port_of_health_up_either(busy: Small, port: int) -> None:
    address = ("127.0.0.1", port)
    with ExitStack() as stack:
        for message in (b"", b"G", b"GET / HTTP/1.1\r\n", LIVE.replace(b"1.1", b"1.0")):
            for _ in range(50):
                one = socket.create_connection(address, PATIENCE)
                stack.enter_context(one).sendall(message)
        with socket.create_connection(address, PATIENCE) as probe:
            probe.sendall(LIVE)

            assert received(probe).endswith(b'{"status":"alive"}')


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (LIVE.replace(b"GET", b"HEAD"), 200),
        (LIVE.replace(b"live", b"live?probe=1"), 200),
        (LIVE.replace(b"GET", b"POST"), 405),
        (LIVE.replace(b"GET /health/live", b"POST /cds-services/a"), 405),
        (LIVE.replace(b"/health/live", b"/cds-services"), 404),
        (b"\0", 400),
    ],
)
def test_the_port_of_health_answers_nothing_else(
    busy: Small, port: int, message: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as probe:
        probe.sendall(message)
        answer = received(probe)

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (b"OperationOutcome" in answer) == (status != 200)
