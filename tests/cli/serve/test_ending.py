"""SIGTERM: whoever was let in is answered, or sees a clean end."""

import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse
from itertools import count
from pathlib import Path

import pytest

from ...waiting import PATIENCE, until, was_read
from .small import Small, received, serving

pytestmark = pytest.mark.slow

ECHO = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CLOSING = b"\r\nConnection: close\r\n"


def ask(connection: socket.socket, message: bytes = ECHO) -> bytes:
    """The answer to a request on a connection that may be kept."""
    connection.sendall(message)
    return connection.recv(65536)


def worker_stops(server: Small) -> None:
    """Tell the master to end, and return when nobody is let in any more."""
    server.process.terminate()

    def is_closed() -> bool:
        try:
            server.connect().close()
        except (ConnectionRefusedError, ConnectionResetError):
            # Reset is who is greeted by the kernel in the moment in which it closes.
            return True
        return False

    until(is_closed)


def asked(server: Small, path: str) -> bytes:
    """What is answered on a new connection."""
    return server.say(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def answer_of(connection: HTTPConnection) -> tuple[int, bytes]:
    with connection.getresponse() as answer:
        assert isinstance(answer, HTTPResponse)
        return answer.status, answer.read()


def test_everybody_who_was_let_in_before_sigterm_is_answered(tmp_path: Path) -> None:
    with (
        serving(tmp_path, graceful=PATIENCE, threads=1) as server,
        server.connect() as half_a_head,
        server.connect() as half_a_body,
        server.connect() as silent,
    ):
        half_a_head.sendall(ECHO[:10])
        half_a_body.sendall(ECHO[:-2])
        at_work = server.begin("first")
        until((tmp_path / "first").exists)
        waiting = server.begin("second")
        pipelined = server.connect()
        pipelined.sendall(ECHO * 3)
        until(lambda: all(map(was_read, (half_a_head, half_a_body, pipelined))))

        worker_stops(server)
        half_a_head.sendall(ECHO[10:])
        half_a_body.sendall(ECHO[-2:])
        server.release()

        assert answer_of(at_work) == (200, b"done")
        assert answer_of(waiting) == (200, b"done")
        for each in (half_a_head, half_a_body):
            answer = received(each)
            assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"hello")
            assert CLOSING in answer
        with pipelined:
            assert received(pipelined).count(b"HTTP/1.1 200 ") >= 1
        assert received(silent) == b""
        at_work.close()
        waiting.close()
        assert server.process.wait(PATIENCE) == 0


def test_who_has_a_connection_may_begin_a_request_for_a_moment_still(
    tmp_path: Path,
) -> None:
    numbers = count()

    def begun_at_the_end() -> bytes:
        folder = tmp_path / f"{next(numbers)}"
        folder.mkdir()
        with serving(folder) as server, server.connect() as kept:
            assert ask(kept).endswith(b"hello")
            worker_stops(server)
            kept.sendall(ECHO)
            return received(kept)

    # Who comes after that moment sees a clean end, and so does this test if it is slow.
    answer = until(begun_at_the_end)

    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"hello")
    assert CLOSING in answer


def test_nobody_sees_a_reset_when_it_ends_under_load(tmp_path: Path) -> None:
    begun = [threading.Event() for _ in range(8)]
    with serving(tmp_path, threads=4) as server:
        connections = [server.connect() for _ in begun]
        with ThreadPoolExecutor(8) as clients:
            asking = [
                clients.submit(ask_until_closed, *each)
                for each in zip(connections, begun, strict=True)
            ]
            assert all(each.wait(PATIENCE) for each in begun)
            server.begin("hook").close()
            until((tmp_path / "hook").exists)
            server.process.terminate()
            server.release()
            ends = [each.result() for each in asking]

    assert ends == ["closed"] * 8


def test_a_balancer_has_time_to_notice_before_a_server_ends(tmp_path: Path) -> None:
    with serving(tmp_path, drain_ms=60_000) as server:
        assert asked(server, "/ready").endswith(b"serves")
        server.process.terminate()
        until(lambda: asked(server, "/ready").endswith(b"ends"))
        server.process.send_signal(signal.SIGCHLD)  # as when the watcher has ended
        assert asked(server, "/ready").endswith(b"ends")

        with server.connect() as late:
            assert ask(late).endswith(b"hello")
            assert ask(late).endswith(b"hello")

            server.process.terminate()  # no longer
            assert received(late) == b""
        assert server.process.wait(PATIENCE) == 0


def ask_until_closed(connection: socket.socket, begun: threading.Event) -> str:
    """What is seen in the end of who asks again and again, and was answered once."""
    with connection:
        while True:
            try:
                answer = ask(connection)
            except (ConnectionResetError, BrokenPipeError) as error:
                return type(error).__name__
            if not answer:
                return "closed"
            if not answer.endswith(b"\r\n\r\nhello"):
                return "half an answer"
            begun.set()
            if CLOSING in answer:
                rest = received(connection)
                return "closed" if not rest else "more than was asked"


def test_who_does_not_go_by_itself_keeps_no_server_from_ending(tmp_path: Path) -> None:
    with (
        serving(tmp_path, graceful=5) as server,
        server.connect() as silent,
        server.connect() as kept,
        server.connect() as slow,
    ):
        assert ask(kept).endswith(b"hello")
        slow.sendall(ECHO[:10])
        until(lambda: was_read(slow))
        server.process.terminate()

        assert server.process.wait(PATIENCE) == 0
        assert received(silent) == received(kept) == b""
