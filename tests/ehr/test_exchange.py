import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

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


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A shell that names no proxy and no authorities."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@contextmanager
def noting(
    answer: bytes, context: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers one request, and what it was asked."""
    seen: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            with connection:
                seen.append(connection.recv(65536))
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve, args=(listener,))
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", seen
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()


EMPTY = HEAD + b"Content-Length: 0\r\n\r\n"


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_a_proxy_that_the_shell_names_is_asked_with_its_account(
    shell: pytest.MonkeyPatch, name: str
) -> None:
    with noting(EMPTY) as (proxy, seen):
        shell.setenv(name, f"http://us%40er:pass@{proxy}")

        assert exchange("GET", "http://cds.example/x", patience=PATIENCE).status == 200

    assert seen[0].startswith(b"GET http://cds.example/x HTTP/1.1\r\n")
    assert b"proxy-authorization: basic dxnazxi6cgfzcw==" in seen[0].lower()


def test_a_host_that_the_shell_excepts_is_asked_without_a_proxy(
    shell: pytest.MonkeyPatch,
) -> None:
    with noting(EMPTY) as (server, seen):
        shell.setenv("http_proxy", "http://127.0.0.1:9")
        shell.setenv("no_proxy", "localhost,127.0.0.1")

        assert exchange("GET", f"http://{server}/x", patience=PATIENCE).status == 200

    assert seen[0].startswith(b"GET /x HTTP/1.1\r\n")
    assert b"proxy-authorization" not in seen[0].lower()


@pytest.mark.parametrize(
    "url", ["cds.example/x", "ftp://cds.example/x", "http:///x", "http://[::1/x", ""]
)
def test_what_is_no_address_is_said(shell: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(Unanswered, match="is no address|could not be read"):
        exchange("GET", url, patience=PATIENCE)


def test_a_server_without_tls_cannot_be_trusted(shell: pytest.MonkeyPatch) -> None:
    with noting(EMPTY) as (server, _):
        with pytest.raises(Unanswered, match="TLS cannot be trusted"):
            exchange("GET", f"https://{server}/x", patience=PATIENCE)


def test_a_certificate_that_nobody_vouches_for_gets_no_token(
    shell: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    here = x509.IPAddress(ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([here]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + made.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    with noting(EMPTY, context) as (server, seen):
        with pytest.raises(Unanswered, match="certificate or its TLS cannot be tru"):
            exchange("GET", f"https://{server}/x", patience=PATIENCE)
    assert seen == []

    shell.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with noting(EMPTY, context) as (server, seen):
        assert exchange("GET", f"https://{server}/x", patience=PATIENCE).status == 200


def test_nobody_answers_where_nobody_is(shell: pytest.MonkeyPatch) -> None:
    for url in ("http://127.0.0.1:9/x", "http://nobody.invalid/x"):
        with pytest.raises(Unanswered, match=f"Nothing answers at {url}."):
            exchange("GET", url, patience=PATIENCE)
