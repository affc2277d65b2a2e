"""Sockets: good calls beside clients who behave badly, and the same calls without them.

Each call is on a connection of its own. Rounds alternate between nobody and each crowd,
all on one server of one worker, and percentiles are printed as ratios to those of
nobody in the same round. A second server speaks TLS.
"""

import os
import resource
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .content import build_body, write_rules
from .load import ask
from .serving import PATH, ROUNDS, serve_product

CALLS = int(os.environ.get("BENCH_CALLS", "300"))
"""Good calls of a round."""
HOSTILE = [f"127.0.0.{number}" for number in range(2, 12)]
HEALTH = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = HEALTH.replace(b"1.1", b"1.0")
"""After its answer the server closes."""
CALL = b"POST /cds-services/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"

Crowd = Callable[[int, ExitStack], None]


@dataclass
class Scene:
    """Who is there beside the good calls, and what was measured then."""

    name: str
    gather: Crowd
    medians: list[float] = field(default_factory=list)
    """Ratios to nobody, one a round."""
    tails: list[float] = field(default_factory=list)
    """The same of the 99th percentile."""


def main() -> None:
    """Measure and print."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="cds-bench-") as name:
        folder = Path(name)
        body = folder / "body.json"
        body.write_bytes(build_body())
        load = os.getloadavg()[0]
        print(f"{os.cpu_count()} CPUs, load {load:.1f}; one worker of 8 threads")
        print(f"{ROUNDS} rounds of {CALLS} calls, each on a connection of its own\n")
        write_rules(folder / "rules", 10)
        measure(folder, body, SCENES, secure=False)
        measure(folder, body, SECURE_SCENES, secure=True)


def measure(folder: Path, body: Path, scenes: list[Scene], *, secure: bool) -> None:
    """Make the rounds of one server and print them."""
    alone: list[tuple[float, float]] = []
    with serve(folder, secure) as port:
        call(port, body, secure)
        for _ in range(ROUNDS):
            median, tail = call(port, body, secure)
            alone.append((median, tail))
            for scene in scenes:
                with ExitStack() as stack:
                    scene.gather(port, stack)
                    with_crowd = call(port, body, secure)
                scene.medians.append(with_crowd[0] / median)
                scene.tails.append(with_crowd[1] / tail)
    usual = [statistics.median(each) for each in zip(*alone, strict=True)]
    manner = "TLS" if secure else "plain"
    print(f"{manner}, nobody: p50 {usual[0]:.1f}, p99 {usual[1]:.1f} ms")
    for scene in scenes:
        ratios = [statistics.median(each) for each in (scene.medians, scene.tails)]
        print(f"  {scene.name:<34} p50 x {ratios[0]:.2f}   p99 x {ratios[1]:.2f}")


def call(port: int, body: Path, secure: bool) -> tuple[float, float]:
    """Median and 99th percentile of a round, in milliseconds."""
    command = [sys.executable, "-m", "bench.sockets", str(port), str(body)]
    run = subprocess.run(
        [*command, "secure" if secure else "plain"], check=True, capture_output=True
    )
    took = sorted(float(each) for each in run.stdout.split())
    cuts = statistics.quantiles(took, n=100)
    return cuts[49], cuts[98]


def call_afresh(port: str, file: str, manner: str) -> None:
    """Make good calls and print how many milliseconds each took."""
    body = Path(file).read_bytes()
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    message = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for _ in range(CALLS):
        begun = time.perf_counter()
        with socket.create_connection(("127.0.0.1", int(port)), 60) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            secured = context.wrap_socket(plain) if manner == "secure" else plain
            answer = ask(secured, message)
            secured.close()
        print((time.perf_counter() - begun) * 1000)
        if not answer.startswith(b"HTTP/1.1 200 "):
            sys.exit(f"answered wrongly: {answer[:300]!r}")


# Crowds


def gather(port: int, stack: ExitStack, many: int) -> list[socket.socket]:
    """So many connections, from ten addresses."""
    found = []
    for source in (HOSTILE * many)[:many]:
        one = socket.create_connection(("127.0.0.1", port), 60, (source, 0))
        found.append(stack.enter_context(one))
    return found


def all_say(message: bytes, many: int) -> Crowd:
    """A crowd that says so much and no more."""

    def crowd(port: int, stack: ExitStack) -> None:
        for each in gather(port, stack, many):
            with suppress(ConnectionError):
                each.sendall(message)

    return crowd


def all_stay(message: bytes, many: int) -> Crowd:
    """A crowd that was answered and does not close."""

    def crowd(port: int, stack: ExitStack) -> None:
        for each in gather(port, stack, many):
            with suppress(ConnectionError):
                ask(each, message)

    return crowd


def all_drip(port: int, stack: ExitStack) -> None:
    """Two hundred who send a byte a second."""
    crowd, ended = gather(port, stack, 200), Event()

    def drip() -> None:
        for byte in CALL:
            for each in crowd:
                with suppress(ConnectionError):
                    each.sendall(bytes([byte]))
            if ended.wait(1):
                return

    dripping = Thread(target=drip)
    dripping.start()
    stack.callback(dripping.join)
    stack.callback(ended.set)


def one_lingers_after_the_other(port: int, stack: ExitStack) -> None:
    """One a tenth of a second that is answered for the last time and does not close."""
    ended = Event()

    def linger() -> None:
        while not ended.wait(0.1):
            for each in gather(port, stack, 1):
                each.sendall(LAST)

    lingering = Thread(target=linger)
    lingering.start()
    stack.callback(lingering.join)
    stack.callback(ended.set)


SCENES = [
    Scene("nobody, again", lambda port, stack: None),
    Scene("1,000 who say nothing", all_say(b"", 1000)),
    Scene("1,000 with one byte", all_say(b"P", 1000)),
    Scene("1,000 who keep a connection", all_stay(HEALTH, 1000)),
    Scene("200 with a byte a second", all_drip),
    Scene("200 with half a body", all_say(CALL + b"{", 200)),
    Scene("500 who do not close", all_stay(LAST, 500)),
    Scene("one more a tenth of a second", one_lingers_after_the_other),
]
SECURE_SCENES = [
    Scene("nobody, again", lambda port, stack: None),
    Scene("100 with half a hello", all_say(b"\x16\x03\x01", 100)),
    Scene("1,000 with half a hello", all_say(b"\x16\x03\x01", 1000)),
]


# The server


@contextmanager
def serve(folder: Path, secure: bool) -> Iterator[int]:
    """The port of ``cds-service serve`` for as long as the block lasts."""
    settings = {
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_RULES": str(folder / "rules"),
        "CDS_RELOAD": "off",
        "CDS_DATABASE_URL": f"sqlite:///{folder / f'secure-{secure}.sqlite'}",
        "CDS_THREADS": "8",
        **(write_pair(folder) if secure else {}),
    }
    with serve_product(settings) as (port, _):
        yield port


def write_pair(folder: Path) -> dict[str, str]:
    """A certificate and its key, as settings."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    files = {"CDS_TLS_CERT": folder / "cert.pem", "CDS_TLS_KEY": folder / "key.pem"}
    files["CDS_TLS_CERT"].write_bytes(certificate.public_bytes(pem))
    files["CDS_TLS_KEY"].write_bytes(
        key.private_bytes(pem, pkcs8, serialization.NoEncryption())
    )
    return {each: str(file) for each, file in files.items()}


if __name__ == "__main__":
    call_afresh(*sys.argv[1:])
