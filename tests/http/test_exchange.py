"""Requests and the connections that they share, over real sockets."""

import gzip
import re
import threading
import zlib
from contextlib import suppress
from socket import create_server
from time import monotonic

import pytest

from cds_service.http.addresses import Reach, parse_base
from cds_service.http.connections import ConnectionPool
from cds_service.http.exchange import (
    DeadlineSession,
    OutgoingRequest,
    ReadFailure,
    ReadLimits,
    send,
)

from ..waiting import PATIENCE, until, with_time_enough

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
EVIL = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"evil": 1}'


class Server:
    """Answers each request with what *answer* makes of its head and its number."""

    def __init__(self, answer):
        self.answer = answer
        self.heads = []
        self.bodies = []
        self.connections = 0
        self.closes = False
        self.open = []
        self.listener = create_server(("127.0.0.1", 0))
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                self.open.append(connection)
                thread = threading.Thread(target=self._talk, args=[connection])
                self.threads.append(thread)
                thread.start()

    def _talk(self, connection):
        came = b""
        with suppress(OSError), connection:
            while data := connection.recv(65_536):
                came += data
                while b"\r\n\r\n" in came:
                    head, _, came = came.partition(b"\r\n\r\n")
                    self.heads.append(head.decode())
                    if length := re.search(rb"Content-Length: (\d+)", head):
                        while len(came) < int(length[1]):
                            came += connection.recv(65_536)
                        self.bodies.append(came[: int(length[1])])
                        came = came[int(length[1]) :]
                    connection.sendall(self.answer(head, len(self.heads)))
                    if self.closes:
                        connection.shutdown(2)
        self.open.remove(connection)

    def stop(self):
        with suppress(OSError):
            self.listener.shutdown(2)
        self.listener.close()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(2)
        for thread in self.threads:
            thread.join(PATIENCE)


@pytest.fixture
def serve():
    """Starts servers; all are stopped when the test is over."""
    running = []

    def start(answer=lambda head, number: EMPTY):
        running.append(Server(answer))
        return running[-1]

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def pool():
    """Connections, of which two are kept."""
    made = ConnectionPool(size=2)
    yield made
    made.close()


def session(pool, server, path="/fhir", **limits):
    """One CDS request's way to the server; it has a minute."""
    base = parse_base(server.origin + path)
    made = DeadlineSession(pool, base, ReadLimits(**limits), Reach.LOCAL)
    made.start(monotonic() + PATIENCE)
    return made


def get(session, server, path="/fhir/Condition"):
    """The body that came, or why there is none."""
    try:
        return session.get(server.origin + path, {}).content
    except ReadFailure as failure:
        return failure.reason


def chunked(*chunks):
    sized = [b"%x\r\n%b\r\n" % (len(each), each) for each in [*chunks, b""]]
    return b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(sized)


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (OK + b"Content-Length: 5000\r\n\r\n" + b" " * 4_989 + EVIL, "size limit"),
        (OK + chunked(b" " * 3_000, EVIL), "size limit"),
        (OK + chunked(b" " * 3_000) + EVIL, "size limit"),
        (OK + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}", None),
        (
            OK + b"Content-Encoding: gzip\r\n" + chunked(gzip.compress(b" " * 9_000)),
            "size limit",
        ),
        (OK + b"Content-Encoding: gzip\r\n" + chunked(b"junk", EVIL), None),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + EVIL, None),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\n{}", "redirect refused"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}", "HTTP 401"),
        (b"HTTP/1.1 404 No\r\n" + chunked(b" " * 70_000, EVIL), "HTTP 404"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\n{}" + EVIL, "HTTP 404"),
    ],
)
def test_what_is_left_of_an_answer_is_never_the_next_one(serve, pool, first, why):
    server = serve(lambda head, number: first if number == 1 else EMPTY)
    asks = session(pool, server, bytes=1_000)

    said = get(asks, server)

    assert said == (why or said) and isinstance(said, str)
    assert get(asks, server) == b"{}"
    assert get(session(pool, server), server) == b"{}"


@pytest.mark.parametrize("rest", [EVIL, b"{", b"\r\n", EVIL * 10_000])
def test_what_comes_behind_an_answer_is_never_the_next_one(serve, pool, rest):
    server = serve(lambda head, number: EMPTY + rest if number == 1 else EMPTY)
    asks = session(pool, server)

    assert [get(asks, server) for _ in range(3)] == [b"{}"] * 3


def test_an_answer_in_chunks_leaves_its_connection_to_the_next(serve, pool):
    server = serve(lambda head, number: OK + chunked(b"{", b"}"))
    asks = session(pool, server)

    assert [get(asks, server) for _ in range(3)] == [b"{}"] * 3
    assert server.connections == 1


@pytest.mark.parametrize("frame", ["chunks", "length", "until the end"])
@pytest.mark.parametrize("encoding", ["gzip", "X-Gzip", "deflate", "identity"])
def test_a_compressed_answer_is_unpacked_in_every_frame(serve, pool, frame, encoding):
    plain = b'{"text": "%b"}' % (b"x" * 200_000)
    pack = {"deflate": zlib.compress, "identity": bytes}.get(encoding, gzip.compress)
    packed = pack(plain)
    head = OK + b"Content-Encoding: %b\r\n" % encoding.encode()
    answer = {
        "chunks": head + chunked(packed[:7], packed[7:]),
        "length": head + b"Content-Length: %d\r\n\r\n" % len(packed) + packed,
        "until the end": head + b"Connection: close\r\n\r\n" + packed,
    }[frame]
    server = serve(lambda head, number: answer)
    server.closes = frame == "until the end"

    assert get(session(pool, server), server) == plain


@pytest.mark.parametrize("status", [400, 404, 422])
def test_what_a_server_says_in_chunks_of_its_refusal_is_read_whole(serve, pool, status):
    head = b"HTTP/1.1 %d No\r\n" % status
    server = serve(
        lambda _, number: head + chunked(b'{"issue": ', b'[{"diagnostics": "x"}]}')
    )
    asks = session(pool, server)

    for _ in range(2):
        with pytest.raises(ReadFailure) as caught:
            asks.get(f"{server.origin}/fhir/Condition", {})
        assert caught.value.outcome == {"issue": [{"diagnostics": "x"}]}
    assert server.connections == 1


def test_the_rest_of_an_answer_that_comes_later_is_never_the_next_one(serve, pool):
    def answer(head, number):
        if number == 1:
            return (OK + chunked(b" " * 3_000)).removesuffix(b"0\r\n\r\n")
        return EVIL if server.connections == 1 else EMPTY

    server = serve(answer)
    asks = session(pool, server, bytes=1_000)

    assert get(asks, server) == "size limit"
    assert get(asks, server) == b"{}"


def test_a_connection_that_its_server_has_closed_is_not_asked(serve, pool):
    server = serve()
    request = OutgoingRequest(f"{server.origin}/x", reach=Reach.LOCAL)
    assert send(pool, request).content == b"{}"
    server.open[0].shutdown(2)
    until(lambda: not server.open)

    assert send(pool, request).content == b"{}"
    assert server.connections == 2


def test_no_more_connections_are_kept_than_there_is_room_for(serve, pool):
    servers = [serve() for _ in range(3)]
    for server in servers:
        assert get(session(pool, server), server) == b"{}"

    until(lambda: not servers[0].open)
    for server in servers[1:]:
        assert get(session(pool, server), server) == b"{}"

    assert [each.connections for each in servers] == [1, 1, 1]


def test_a_pool_that_is_closed_keeps_nothing(serve, pool):
    server = serve()
    asks = session(pool, server)
    get(asks, server)

    pool.close()
    until(lambda: not server.open)
    assert get(asks, server) == b"{}"

    until(lambda: not server.open)
    assert server.connections == 2


@pytest.mark.parametrize(
    "text",
    [
        "https://127.0.0.1:{port}/fhir/Condition",
        "http://127.0.0.1:{port}0/fhir/Condition",
        "http://127.0.0.1:{port}@localhost/fhir/Condition",
        "http://localhost:{port}/fhir/Condition",
        "http://127.0.0.1/fhir/Condition",
        "/fhir/Condition",
        "",
    ],
)
def test_a_13_a_session_asks_its_own_server_and_no_other(serve, pool, text):
    server = serve()
    url = text.format(port=server.origin.rpartition(":")[2])

    with pytest.raises(ReadFailure, match="cannot be asked"):
        session(pool, server).get(url, {"Authorization": "Bearer t0ken"})
    assert server.connections == 0


def test_what_cannot_stand_in_a_request_line_is_escaped(serve, pool):
    server = serve()

    get(session(pool, server, path=""), server, "?name=Jos\u00e9|b%20c%&d=<e>")

    line, host, *_ = server.heads[0].split("\r\n")
    assert line == "GET /?name=Jos%C3%A9%7Cb%20c%25&d=%3Ce%3E HTTP/1.1"
    assert host == f"Host: {server.origin.removeprefix('http://')}"


def test_every_request_says_who_asks_and_what_can_be_read(serve, pool):
    server = serve()
    request = OutgoingRequest(
        f"{server.origin}/token", {"Accept": "x/y"}, {"a": "b c&d"}, reach=Reach.LOCAL
    )

    answer = send(pool, request)
    get(session(pool, server), server)

    assert (answer.status, answer.content) == (200, b"{}")
    assert answer.headers["content-LENGTH"] == "2"
    assert server.bodies == [b"a=b+c%26d"]
    posted, asked = (sorted(each.split("\r\n")) for each in server.heads)
    host = f"Host: {server.origin.removeprefix('http://')}"
    always = ["Accept-Encoding: gzip", "Cache-Control: no-cache", host]
    assert posted == sorted(
        [*always, "POST /token HTTP/1.1", "User-Agent: cds-service", "Accept: x/y"]
        + ["Content-Type: application/x-www-form-urlencoded", "Content-Length: 9"]
    )
    assert asked == sorted(
        [*always, "GET /fhir/Condition HTTP/1.1", "User-Agent: cds-service"]
    )


@pytest.mark.parametrize(("method", "line"), [("", "POST"), ("PUT", "PUT")])
def test_what_is_sent_as_it_stands_says_itself_what_it_is(serve, pool, method, line):
    server = serve()
    request = OutgoingRequest(
        f"{server.origin}/x",
        {"Content-Type": "application/fhir+json"},
        body=b'{"a": 1}',
        method=method,
        reach=Reach.LOCAL,
    )

    assert send(pool, request).status == 200

    (head,) = server.heads
    assert head.startswith(f"{line} /x HTTP/1.1")
    assert "Content-Type: application/fhir+json" in head
    assert server.bodies == [b'{"a": 1}']


@pytest.mark.parametrize(
    "url", ["https://a@127.0.0.1/x", "ftp://127.0.0.1/x", "http://127.1/x", "x"]
)
def test_a_13_what_is_no_plain_address_is_not_asked(pool, url):
    with pytest.raises(ReadFailure, match="cannot be asked"):
        send(pool, OutgoingRequest(url, reach=Reach.LOCAL))


def test_e_9_an_answer_that_drips_ends_with_the_time(serve, pool):
    started = threading.Event()
    server = serve()

    def drip(head, number):
        started.set()
        connection = server.open[-1]
        connection.sendall(OK + b"Content-Length: 100000\r\n\r\n")
        with suppress(OSError):
            while not stopped.wait(0.02):
                connection.sendall(b"x")
        return b""

    server.answer = drip
    stopped = threading.Event()

    def failure_after(seconds):
        url = f"{server.origin}/x"
        request = OutgoingRequest(url, seconds=seconds, reach=Reach.LOCAL)
        with pytest.raises(ReadFailure, match="timeout") as caught:
            send(pool, request)
        return caught.value

    try:
        failure = with_time_enough(failure_after, lambda _: started.is_set(), 0.5)
    finally:
        stopped.set()
    assert failure.__context__ is None
