"""TLS by the server itself, to clients that verify it; and HTTP that two would read
differently.
"""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ..ports import free_port
from ..waiting import PATIENCE, until

pytestmark = pytest.mark.slow

Reply = tuple[int, dict[str, str], Any]


@dataclass(frozen=True)
class Authority:
    """Somebody who vouches for others."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def issue(self, name: str, days: int = 30) -> tuple[Path, Path]:
        """Files of a certificate for 127.0.0.1 and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _build(name, key, self.name, self.key, days, authority=False)
        return (
            _write(self.folder / f"{name}.pem", certificate),
            _write(self.folder / f"{name}.key", key),
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _build(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    days: int,
    *,
    authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    usage = x509.KeyUsage(
        True, False, False, False, False, authority, authority, False, False
    )
    public = signer.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(authority, None), True)
        .add_extension(usage, True)
        .add_extension(here, False)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False
        )
        .sign(signer, hashes.SHA256())
    )


def _write(
    file: Path, thing: x509.Certificate | ec.EllipticCurvePrivateKey, password: str = ""
) -> Path:
    if isinstance(thing, x509.Certificate):
        text = thing.public_bytes(serialization.Encoding.PEM)
    else:
        text = thing.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            (
                serialization.BestAvailableEncryption(password.encode())
                if password
                else serialization.NoEncryption()
            ),
        )
    file.write_bytes(text)
    return file


def found_authority(folder: Path, name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _build(name, key, name, key, 30, authority=True)
    _write(folder / f"{name}.pem", certificate)
    return Authority(folder, name, key, certificate)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who vouches for the server and for the clients that it knows."""
    return found_authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody has heard of."""
    return found_authority(tmp_path_factory.mktemp("stranger"), "stranger")


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    log: Path

    def get(self, context: ssl.SSLContext | None, path: str = "/cds-services") -> Reply:
        """Status, headers and body of a GET."""
        where = ("127.0.0.1", self.port)
        if context:
            client: Any = http.client.HTTPSConnection(
                *where, timeout=PATIENCE, context=context
            )
        else:
            client = http.client.HTTPConnection(*where, timeout=PATIENCE)
        try:
            client.request("GET", path)
            answer = client.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, headers, json.loads(answer.read())
        finally:
            client.close()


def settings_of(folder: Path, **settings: object) -> dict[str, str]:
    usual = {name: each for name, each in os.environ.items() if name[:4] != "CDS_"}
    return {
        **usual,
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_RELOAD": "off",
        "CDS_DATABASE_URL": f"sqlite:///{folder / 'store.sqlite'}",
        "CDS_PORT": "0",
        **{f"CDS_{name.upper()}": str(each) for name, each in settings.items()},
    }


@contextmanager
def serving(folder: Path, **settings: object) -> Iterator[Server]:
    """The server as a process of its own."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cds_service.cli", "serve"],
            env=settings_of(folder, **settings),
            stdout=output,
            stderr=output,
        )
    try:
        until(lambda: "Booting worker" in log.read_text(), log.read_text, process)
        found = re.search(r"Listening at: [^\s,]+:(\d+)", log.read_text())
        assert found
        yield Server(int(found[1]), log)
    finally:
        process.terminate()
        process.wait(PATIENCE)


Start = Callable[..., Server]


@pytest.fixture(scope="module")
def start(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts `cds-service serve` with settings of its own."""
    with ExitStack() as running:

        def make(**settings: object) -> Server:
            folder = tmp_path_factory.mktemp("server")
            shutil.copy(prepared / "store.sqlite", folder)
            rules = prepared / "rules"
            return running.enter_context(serving(folder, rules=rules, **settings))

        yield make


@pytest.fixture(scope="module")
def tls(start: Start, authority: Authority) -> Server:
    """A server that speaks TLS."""
    cert, key = authority.issue("server")
    return start(tls_cert=cert, tls_key=key)


def trusting(authority: Authority) -> ssl.SSLContext:
    """A client that verifies whom it talks to."""
    return ssl.create_default_context(cafile=str(authority.file))


def test_a_client_that_verifies_the_server_is_answered(
    tls: Server, authority: Authority
) -> None:
    status, headers, body = tls.get(trusting(authority))

    assert status == 200
    assert body["services"]
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert not any(each.isdigit() for each in headers["server"])


def test_a_client_that_trusts_somebody_else_does_not_talk_to_it(
    tls: Server, authority: Authority, stranger: Authority
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        tls.get(trusting(stranger))

    assert tls.get(trusting(authority))[0] == 200


@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE+CHACHA20"),
        (ssl.TLSVersion.TLSv1_3, ""),
    ],
)
def test_tls_1_2_and_1_3_are_spoken(
    tls: Server, authority: Authority, version: ssl.TLSVersion, ciphers: str
) -> None:
    context = trusting(authority)
    context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)

    assert tls.get(context)[0] == 200


@pytest.mark.parametrize("ciphers", ["AES128-SHA", "ECDHE+AES:!AESGCM:!AESCCM"])
def test_no_weak_cipher_is_spoken(
    tls: Server, authority: Authority, ciphers: str
) -> None:
    context = trusting(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ciphers)

    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        tls.get(context)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_nothing_older_than_tls_1_2_is_spoken(tls: Server) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")

    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        tls.get(context)


def test_plain_http_gets_no_word_of_an_answer_and_harms_nobody(
    tls: Server, authority: Authority
) -> None:
    assert b"OperationOutcome" not in say(tls, b"GET /health/live HTTP/1.1\r\n\r\n")
    assert b"HTTP" not in say(tls, b"\x16\x03\x01\x02\x00\x01\x00")
    assert tls.get(trusting(authority))[0] == 200


def test_a_renewed_certificate_is_taken_up_and_a_broken_one_is_not(
    start: Start, authority: Authority
) -> None:
    cert, key = authority.issue("renewed")
    server = start(tls_cert=cert, tls_key=key)
    before = shown(server)

    key.write_text("broken")
    assert shown(server) == before
    authority.issue("renewed")

    assert shown(server) != before
    assert server.get(trusting(authority))[0] == 200
    assert "the current certificate stays in use" in server.log.read_text()


def shown(server: Server) -> str:
    """The certificate that the server shows."""
    return ssl.get_server_certificate(("127.0.0.1", server.port), timeout=PATIENCE)


def test_s_19_with_mutual_tls_only_a_client_with_a_certificate_is_answered(
    start: Start, authority: Authority, stranger: Authority
) -> None:
    cert, key = authority.issue("mutual")
    server = start(tls_cert=cert, tls_key=key, tls_client_ca=authority.file)
    known, unknown, bare = (trusting(authority) for _ in range(3))
    known.load_cert_chain(*authority.issue("client"))
    unknown.load_cert_chain(*stranger.issue("client"))
    over = trusting(authority)
    over.load_cert_chain(*authority.issue("over", days=-1))

    assert server.get(known)[0] == 200
    for context in (bare, unknown, over):
        with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
            server.get(context)
    assert server.get(known)[0] == 200


# Messages that two readers would cut differently


@pytest.fixture(scope="module")
def plain(start: Start) -> Server:
    """A server behind a proxy that speaks TLS."""
    return start(rate_limit=3, trusted_proxies="10.0.0.1")


def say(server: Server, message: bytes) -> bytes:
    """All that comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as connection:
        received = b""
        with suppress(ConnectionResetError):
            connection.sendall(message)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                received += part
        return received


HEAD = "POST /cds-services/wearable-review HTTP/1.1\r\nHost: x\r\n"
JSON = "Content-Type: application/json\r\n"
HIDDEN = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "message",
    [
        f"{JSON}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        f"{JSON}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        f"{JSON}Content-Length: 2\r\nContent-Length: 44\r\n\r\n{{}}",
        f"{JSON}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}",
        f"{JSON}Content-Length: 2, 44\r\n\r\n{{}}",
        f"{JSON}Content-Length: +2\r\n\r\n{{}}",
        f"{JSON}Content-Length: -1\r\n\r\n{{}}",
        f"{JSON}Content-Length: 0x2\r\n\r\n{{}}",
        f"{JSON}Content-Length : 2\r\n\r\n{{}}",
        f"{JSON}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        f"{JSON}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        f"{JSON}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        f"{JSON}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        f"{JSON} Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        f"{JSON}X: 1\n\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        f"{JSON}Host: y\r\nContent-Length: 2\r\n\r\n{{}}",
        f"{JSON}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n",
        f"{JSON}Transfer-Encoding: chunked\r\n\r\n-2\r\n{{}}\r\n0\r\n\r\n",
        f"{JSON}Transfer-Encoding: chunked\r\n\r\n0x2\r\n{{}}\r\n0\r\n\r\n",
        f"{JSON}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}xx0\r\n\r\n",
        f"{JSON}Transfer-Encoding: chunked\r\n\r\n2\n{{}}\n0\n\n",
        f"{JSON}Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\n\r\n",
    ],
)
def test_what_could_be_cut_in_two_ways_is_refused_and_nothing_after_it_is_read(
    plain: Server, message: str
) -> None:
    received = say(plain, (HEAD + message + HIDDEN).encode("latin-1"))

    assert received.count(b"HTTP/1.1 ") == 1
    assert re.match(rb"HTTP/1\.1 (400|501) ", received), received
    assert b'"alive"' not in received
    assert b"OperationOutcome" in received


def test_readiness_is_told_on_a_port_of_its_own_and_nothing_else_is(
    start: Start,
) -> None:
    port = free_port()
    server = start(health_port=port)
    health = Server(port, server.log)

    told = health.get(None, "/health/ready")
    usual = server.get(None, "/health/ready")

    assert told[0] == usual[0] == 200
    assert told[2] == usual[2]
    assert told[2]["status"] == "ready"
    assert health.get(None, "/cds-services")[0] == 404


def test_two_messages_that_can_be_told_apart_are_answered_both(plain: Server) -> None:
    received = say(plain, (HIDDEN + HIDDEN).encode())

    assert received.count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("GET /" + "x" * 5000 + " HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        ("GET / HTTP/1.1\r\nHost: x\r\n" + "X: y\r\n" * 100 + "\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: " + "y" * 9000 + "\r\n\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: x\r\n" + ("X: " + "y" * 8000 + "\r\n") * 70, 431),
    ],
)
def test_a_long_head_is_refused(plain: Server, message: str, status: int) -> None:
    received = say(plain, message.encode())

    assert received.startswith(b"HTTP/1.1 %d " % status), received[:200]
    assert b"OperationOutcome" in received
    assert b"Content-Security-Policy" in received


def test_no_header_moves_the_app_or_hides_the_caller(plain: Server) -> None:
    forged = (
        "SCRIPT_NAME: /cds-services\r\nPATH_INFO: /health\r\n"
        "X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on\r\n"
    )
    statuses = []
    for number in range(5):
        own = f"X-Forwarded-For: 203.0.113.{number}\r\nConnection: close\r\n"
        head = f"GET /cds-services HTTP/1.1\r\nHost: evil.net\r\n{forged}{own}\r\n"
        received = say(plain, head.encode())
        statuses.append(int(received.split()[1]))
        assert b"evil" not in received

    assert statuses == [200, 200, 200, 429, 429]
