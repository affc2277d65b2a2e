"""A thousand clients who behave badly at a time, and good calls answered meanwhile."""

import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest

from ...waiting import until, was_closed, was_read, with_time_enough
from .small import Small, allow_many_sockets, received, serving
from .test_tls import write_pair

pytestmark = pytest.mark.slow

MANY = 1000
GOOD_CALLS = 20
HOSTILE = [f"127.0.0.{number}" for number in range(2, 12)]
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
ECHO = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"

Scene = Callable[[Small, ExitStack], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """A worker of four threads that lets in no more than come in these tests."""
    allow_many_sockets()
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, threads=4, connection_limit=MANY) as running:
        yield running


def crowd(server: Small, stack: ExitStack, many: int) -> list[socket.socket]:
    """So many connections, from ten addresses."""
    sources = (HOSTILE * many)[:many]
    return [stack.enter_context(server.connect(each)) for each in sources]


def everybody_says(message: bytes, many: int) -> Scene:
    def scene(server: Small, stack: ExitStack) -> None:
        for connection in crowd(server, stack, many):
            with suppress(ConnectionError):
                connection.sendall(message)

    return scene


def everybody_keeps_a_connection(server: Small, stack: ExitStack) -> None:
    for connection in crowd(server, stack, MANY):
        with suppress(ConnectionError):
            connection.sendall(HEALTH)
            connection.recv(65536)


def everybody_goes_on_byte_by_byte(server: Small, stack: ExitStack) -> None:
    connections, ended = crowd(server, stack, 200), Event()

    def go_on() -> None:
        for number in range(len(ECHO)):
            for each in connections:
                with suppress(ConnectionError):
                    each.sendall(ECHO[number : number + 1])
            if ended.wait(0.5):
                return

    sender = Thread(target=go_on)
    sender.start()
    stack.callback(sender.join)
    stack.callback(ended.set)


def everybody_resets_in_the_body(server: Small, stack: ExitStack) -> None:
    for connection in crowd(server, stack, 200):
        connection.sendall(ECHO + b"\r\nab")
        at_once = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        connection.close()


def everybody_comes_and_goes(server: Small, stack: ExitStack) -> None:
    ended = Event()

    def come_and_go() -> None:
        while not ended.is_set():
            with suppress(OSError), server.connect(HOSTILE[0]) as connection:
                connection.sendall(b"G")

    comers = [Thread(target=come_and_go) for _ in range(2)]
    for each in comers:
        each.start()
        stack.callback(each.join)
    stack.callback(ended.set)


@pytest.mark.parametrize(
    "scene",
    [
        pytest.param(everybody_says(b"", MANY), id="1,000 who say nothing"),
        pytest.param(everybody_keeps_a_connection, id="1,000 who keep a connection"),
        pytest.param(everybody_says(b"P", MANY), id="1,000 with one byte"),
        pytest.param(everybody_goes_on_byte_by_byte, id="200 byte by byte"),
        pytest.param(
            everybody_says(HEALTH.replace(b"1.1", b"1.0"), 300), id="lingering"
        ),
        pytest.param(everybody_says(ECHO + b"\r\nab", 200), id="200 with half a body"),
        pytest.param(
            everybody_says(
                ECHO[:-19] + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", 200
            ),
            id="200 with half a chunk",
        ),
        pytest.param(
            everybody_says(ECHO + b"Expect: 100-continue\r\n\r\n", 200),
            id="200 who expect a word and send no body",
        ),
        pytest.param(everybody_says(b"\x16\x03\x01", 200), id="200 who speak TLS"),
        pytest.param(
            everybody_says(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", 8),
            id="8 who take no answer",
        ),
        pytest.param(everybody_says(HEALTH * 100, 20), id="20 times 100 at once"),
        pytest.param(everybody_resets_in_the_body, id="200 who reset in the body"),
        pytest.param(everybody_comes_and_goes, id="a stream of who comes and goes"),
    ],
)
def test_good_calls_are_answered_whatever_others_do(
    server: Small, scene: Scene
) -> None:
    before = health(server)
    with ExitStack() as stack:
        scene(server, stack)
        answers = [server.say(ECHO + b"\r\nhello") for _ in range(GOOD_CALLS)]

    assert [body_of(each) for each in answers] == [b"hello"] * GOOD_CALLS
    assert health(server) == before
    assert "failed" not in server.log


def test_a_system_that_allows_few_connections_is_not_asked_for_more(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, descriptors="600") as small, ExitStack() as stack:
        until(lambda: "the system allows 300 connections only" in small.log)
        everybody_says(b"", MANY)(small, stack)

        assert body_of(small.say(ECHO + b"\r\nhello")) == b"hello"
        assert "no-descriptor" not in small.log


def health(server: Small) -> bytes:
    """The worker that answers."""
    return body_of(server.say(HEALTH))


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def test_one_who_comes_from_a_full_address_takes_the_place_of_its_own(
    tmp_path: Path,
) -> None:
    with (
        serving(tmp_path, address_connection_limit=3) as small,
        ExitStack() as stack,
    ):
        first, *others = [stack.enter_context(small.connect()) for _ in range(3)]
        elsewhere = stack.enter_context(small.connect("127.0.0.9"))
        until_let_in(small, [first, *others, elsewhere])
        late = stack.enter_context(small.connect())
        late.sendall(HEALTH)
        assert late.recv(15).startswith(b"HTTP/1.1 200")

        assert first.recv(1) == b""
        for each in (*others, elsewhere):
            each.sendall(HEALTH)
            assert each.recv(15).startswith(b"HTTP/1.1 200")


def until_let_in(small: Small, connections: list[socket.socket]) -> None:
    """Wait until all of them have been taken in, in this order."""
    for each in connections:
        each.sendall(HEALTH)
        answer = each.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200")


def test_behind_a_listed_proxy_each_of_its_clients_has_a_share(tmp_path: Path) -> None:
    settings = {
        "threads": 3,
        "address_connection_limit": 1,
        "trusted_proxies": "127.0.0.1",
    }
    with serving(tmp_path, **settings) as small, ExitStack() as stack:

        def ask(client: str, name: str) -> socket.socket:
            connection = stack.enter_context(small.connect())
            head = (
                f"POST /cds-services/{name} HTTP/1.1\r\nContent-Length: 0\r\n"
                f"X-Forwarded-For: 10.9.9.9, {client}\r\nConnection: close\r\n\r\n"
            )
            connection.sendall(head.encode())
            return connection

        first = ask("10.0.0.1", "first")
        until((tmp_path / "first").exists)
        other = ask("10.0.0.2", "other")
        until((tmp_path / "other").exists)
        refused = received(ask("10.0.0.1", "second"))
        small.release()

        assert refused.startswith(b"HTTP/1.1 429 ")
        assert b"\r\nRetry-After: 1\r\n" in refused
        assert not (tmp_path / "second").exists()
        assert received(first).endswith(b"done")
        assert received(other).endswith(b"done")
        assert received(ask("10.0.0.1", "third")).endswith(b"done")


def test_where_too_much_is_held_the_slowest_is_told_so(tmp_path: Path) -> None:
    body = (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n"
        + b"x" * 1048000
    )
    with (
        serving(tmp_path, held_byte_limit=2**20, source_body_limit=2**20) as small,
        small.connect() as slow,
        small.connect() as slower,
    ):
        for each in (slower, slow):
            each.sendall(body)
            until(partial(was_read, each))
        with small.connect() as another:
            another.sendall(body)

            assert received(slower).startswith(b"HTTP/1.1 503 ")
        slow.sendall(b"x" * 576)
        assert slow.recv(15).startswith(b"HTTP/1.1 200")


# What a client may do, and how it is answered


def test_requests_that_come_together_are_answered_in_their_order(server: Small) -> None:
    numbers = [b"%05d" % number for number in range(300)]

    answer = server.say(b"".join(ECHO + b"\r\n" + each for each in numbers))

    assert answer.count(b"HTTP/1.1 200 OK") == 300
    assert [part[:5] for part in answer.split(b"\r\n\r\n")[1:]] == numbers


def test_a_client_that_has_no_more_to_say_is_answered(server: Small) -> None:
    assert server.say(ECHO + b"\r\nhello").endswith(b"\r\n\r\nhello")
    assert server.say(ECHO[:20]) == b""
    assert server.say(b"") == b""
    assert server.say(ECHO + b"\r\nhel").startswith(b"HTTP/1.1 400 ")


def test_a_client_that_waits_for_a_word_gets_it_before_its_body(server: Small) -> None:
    with server.connect() as connection:
        connection.sendall(ECHO + b"Expect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")

        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\nhello")


def test_another_expectation_is_417(server: Small) -> None:
    answer = server.say(ECHO + b"Expect: cake\r\n\r\nhello")

    assert answer.startswith(b"HTTP/1.1 417 ")
    assert b"OperationOutcome" in answer


def test_a_chunked_body_is_whole_whatever_its_chunks(server: Small) -> None:
    chunks = b"".join(b"1;a=b\r\n%c\r\n" % each for each in b"hello")
    message = ECHO[:-19] + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    with server.connect() as connection:
        for each in message + b"0\r\nX: y\r\n\r\n":
            connection.sendall(bytes([each]))

        answer = connection.recv(65536)
    assert answer.endswith(b"\r\n\r\nhello")


def test_a_large_answer_is_whole_however_slowly_it_is_taken(server: Small) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET /large HTTP/1.0\r\nHost: x\r\n\r\n")
        answer = received(connection)

    assert answer.partition(b"\r\n\r\n")[2] == b"x" * 16_000_000


def test_who_sends_too_slowly_is_given_up(tmp_path: Path) -> None:
    def said_to(seconds: float) -> tuple[bytes, bytes]:
        folder = tmp_path / f"{seconds}"
        folder.mkdir()
        with (
            serving(folder, arrival_deadline_ms=int(seconds * 1000)) as small,
            small.connect() as silent,
            small.connect() as slow,
        ):
            with suppress(ConnectionError):
                slow.sendall(ECHO)
            until(lambda: "connections given up: " in small.log)
            return received(silent), received(slow)

    # Who is too slow to begin is silent too, and this test may be.
    nothing, answer = with_time_enough(said_to, lambda said: said[1] != b"")

    assert nothing == b""
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"OperationOutcome" in answer


def test_who_takes_an_answer_too_slowly_is_given_up(tmp_path: Path) -> None:
    def taken_of(seconds: float) -> bytes:
        folder = tmp_path / f"{seconds}"
        folder.mkdir()
        with (
            serving(folder, arrival_deadline_ms=int(seconds * 1000)) as small,
            small.connect() as slow,
        ):
            with suppress(OSError):
                slow.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
                until(lambda: was_closed(slow))
                return received(slow)
        return b""

    answer = with_time_enough(taken_of, lambda taken: taken != b"")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(answer) < 16_000_000


# TLS


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """The same under TLS."""
    allow_many_sockets()
    folder = tmp_path_factory.mktemp("secure")
    now = datetime.now(UTC)
    write_pair(folder, now - timedelta(days=1), now + timedelta(days=90))
    pair = {"tls_cert": folder / "cert.pem", "tls_key": folder / "key.pem"}
    settings = {**pair, "connection_limit": MANY}
    with serving(folder, threads=4, **settings) as running:
        yield running


def securely(server: Small, message: bytes, at_a_time: int = 65536) -> bytes:
    """All that comes back for a message under TLS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(server.connect()) as connection:
        for at in range(0, len(message), at_a_time):
            connection.sendall(message[at : at + at_a_time])
        return received(connection)


LAST = ECHO + b"Connection: close\r\n\r\nhello"


@pytest.mark.parametrize(
    "scene",
    [
        pytest.param(everybody_says(b"\x16\x03\x01", MANY), id="half a hello"),
        pytest.param(everybody_says(b"", MANY), id="1,000 who say nothing"),
        pytest.param(everybody_says(HEALTH, 200), id="200 who speak no TLS"),
    ],
)
def test_good_calls_under_tls_are_answered_whatever_others_do(
    secure: Small, scene: Scene
) -> None:
    with ExitStack() as stack:
        scene(secure, stack)
        answers = [securely(secure, LAST) for _ in range(GOOD_CALLS)]

    assert [body_of(each) for each in answers] == [b"hello"] * GOOD_CALLS


def test_requests_that_came_in_one_record_are_all_answered(secure: Small) -> None:
    several = ECHO + b"\r\nhello"

    answer = securely(secure, several * 50 + LAST)

    assert answer.count(b"HTTP/1.1 200 OK") == 51


def test_large_bodies_and_answers_pass_under_tls(secure: Small) -> None:
    body = b"x" * 1_000_000
    head = b"POST /echo HTTP/1.0\r\nContent-Length: 1000000\r\n\r\n"

    assert securely(secure, head + body, 10_000).endswith(b"\r\n\r\n" + body)
    large = securely(secure, b"GET /large HTTP/1.0\r\n\r\n")
    assert large.partition(b"\r\n\r\n")[2] == b"x" * 16_000_000
