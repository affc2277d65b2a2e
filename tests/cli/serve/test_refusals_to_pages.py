"""What a page of an EHR reads of a refusal that never reached the app.

Without the headers of CORS its browser would say that the network has failed.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ...waiting import with_time_enough
from .small import ORIGIN, Small, received, serving

pytestmark = pytest.mark.slow

EXPOSED = "Retry-After, Server-Timing, WWW-Authenticate, X-Request-Id"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """A server behind a proxy, which takes one request at a time for an address."""
    folder = tmp_path_factory.mktemp("refusals")
    settings = {"trusted_proxies": "127.0.0.0/8", "address_connection_limit": 1}
    with serving(folder, **settings) as running:
        yield running


def call(origin: str, more: str, path: str = "/cds-services/a") -> bytes:
    """The head of a call from a page."""
    lines = (f"POST {path} HTTP/1.1", "Host: x", f"Origin: {origin}", more, "", "")
    return "\r\n".join(lines).encode()


def headers(answer: bytes) -> dict[str, str]:
    head = answer.partition(b"\r\n\r\n")[0].decode()
    return dict(line.split(": ", 1) for line in head.splitlines()[1:])


HALF = "Content-Length: 9"
CHUNKED = "Transfer-Encoding: chunked"


def holds_for_a_page(answer: bytes) -> None:
    """Check that a page of the listed origin can read it."""
    told = headers(answer)
    assert told["Access-Control-Allow-Origin"] == ORIGIN
    assert told["Access-Control-Expose-Headers"] == EXPOSED
    assert told["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in told
    assert b"OperationOutcome" in answer


@pytest.mark.parametrize(
    ("more", "body"),
    [(HALF, b"{"), (CHUNKED, b"no size\r\n")],
    ids=["broken off", "no chunk"],
)
def test_e_8_a_page_of_a_listed_origin_reads_why_it_was_refused(
    server: Small, more: str, body: bytes
) -> None:
    answer = server.say(call(ORIGIN, more) + body)

    assert answer.startswith(b"HTTP/1.1 400 ")
    holds_for_a_page(answer)


def test_e_8_a_page_reads_that_it_was_late(tmp_path: Path) -> None:
    def answer_after(seconds: float) -> bytes:
        folder = tmp_path / f"{seconds}"
        folder.mkdir()
        deadline = int(seconds * 1000)
        with serving(folder, arrival_deadline_ms=deadline) as server:
            with server.connect() as connection, suppress(ConnectionError):
                connection.sendall(call(ORIGIN, HALF) + b"{")
                return received(connection)
        return b""

    # Who has not even begun by then is told nothing, and this test may be as slow.
    answer = with_time_enough(answer_after, lambda said: said != b"", 0.5)

    assert answer.startswith(b"HTTP/1.1 408 ")
    holds_for_a_page(answer)


def test_e_8_a_page_reads_that_too_much_is_under_way(server: Small) -> None:
    same = f"{HALF}\r\nX-Forwarded-For: 192.0.2.1"
    with server.connect() as first, server.connect() as second:
        first.sendall(call(ORIGIN, f"{same}\r\nExpect: 100-continue"))
        assert first.recv(100).startswith(b"HTTP/1.1 100 ")
        second.sendall(call(ORIGIN, same))
        answer = received(second)

    assert answer.startswith(b"HTTP/1.1 429 ")
    assert int(headers(answer)["Retry-After"]) > 0
    holds_for_a_page(answer)


@pytest.mark.parametrize(
    ("origin", "path"),
    [
        ("https://evil.example.org", "/cds-services/a"),
        (f"{ORIGIN}.evil.example.org", "/cds-services/a"),
        ("null", "/cds-services/a"),
        (ORIGIN, "/cds-services-of-others"),
        (ORIGIN, "/metrics"),
        (ORIGIN, "http://x/cds-services/a"),
    ],
)
def test_s_22_nobody_else_reads_a_refusal(
    server: Small, origin: str, path: str
) -> None:
    answer = server.say(call(origin, HALF, path) + b"{")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"access-control" not in answer.lower()


def test_what_has_no_head_is_refused_to_nobody_in_particular(server: Small) -> None:
    answer = server.say(b"Origin: " + ORIGIN.encode() + b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"access-control" not in answer.lower()
