import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

import pytest

from cds_service.ehr.exchange import Unanswered, exchange

from ..waiting import PATIENCE


@contextmanager
def saying(*parts: bytes, pause: float = 0, hang: bool = False) -> Iterator[str]:
    """A server that takes one connection and says this, whatever it is asked."""
    end = Event()

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                for part in parts:
                    connection.sendall(part)
                    end.wait(pause)
                if hang:
                    end.wait(PATIENCE)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        end.set()
        thread.join()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


def test_an_answer_is_whole_with_its_times() -> None:
    with saying(HEAD + b"Content-Length: 3\r\n\r\nabc") as url:
        reply = exchange("GET", url, patience=PATIENCE)

    assert (reply.status, reply.content) == (200, b"abc")
    assert reply.headers["content-type"] == "text/html"
    assert 0 < reply.first_byte <= reply.seconds


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
    with saying(head + b"Content-Length: 0\r\n\r\n") as url:
        assert exchange("GET", url, patience=PATIENCE).status == 302


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (b"", "hung up, or did not answer in HTTP"),
        (b"SSH-2.0-OpenSSH\r\n", "hung up, or did not answer in HTTP"),
        (HEAD + b"Content-Length: 30\r\n\r\nabc", "broke off in the middle"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxx\r\n", "broke off"),
        (
            HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
            "cannot be unpacked",
        ),
    ],
)
def test_what_is_no_answer_is_one_sentence(said: bytes, sentence: str) -> None:
    with saying(said) as url:
        with pytest.raises(Unanswered, match=sentence):
            exchange("GET", url, patience=PATIENCE)


def test_a_server_that_keeps_silent_is_left() -> None:
    with saying(hang=True) as url:
        with pytest.raises(Unanswered, match="did not answer within 0.2 s"):
            exchange("GET", url, patience=0.2)


@pytest.mark.slow
def test_a_server_that_drips_is_left_as_well() -> None:
    without_end = [b"X"] * int(PATIENCE / 0.1)
    with saying(HEAD, *without_end, pause=0.1) as url:
        with pytest.raises(Unanswered, match="did not answer within 0.5 s"):
            exchange("GET", url, patience=0.5)


@pytest.mark.slow
def test_an_answer_without_end_is_left() -> None:
    with saying(HEAD + b"\r\n", *[b"x" * 1_048_576] * 40) as url:
        with pytest.raises(Unanswered, match="is larger than 32 MiB"):
            exchange("GET", url, patience=PATIENCE)


def test_a_netrc_file_does_not_speak_for_us(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    seen: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            seen.append(connection.recv(65536))
            connection.sendall(HEAD + b"Content-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        exchange("GET", url, headers={"Authorization": "Bearer x"}, patience=PATIENCE)
        thread.join()

    assert b"Authorization: Bearer x" in seen[0]
    assert b"Basic" not in seen[0]
