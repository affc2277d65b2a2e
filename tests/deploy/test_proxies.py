"""haproxy and Caddy before a server: what they are told, and where installed, run."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ..cli.serve.small import serving
from ..cli.serve.test_tls import write_pair
from ..ports import free_port
from ..waiting import PATIENCE, until
from .test_nginx import answers, ask, check_limit, check_proxied, port_of

DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = {"haproxy": DEPLOY / "haproxy.cfg", "caddy": DEPLOY / "Caddyfile"}
HERE = {
    "haproxy": {
        ":443": "127.0.0.1:{port}",
        "/etc/haproxy/cds.pem": "{folder}/both.pem",
        "127.0.0.1:8080": "{upstream}",
        "/health/ready": "/health",
    },
    "caddy": {
        ":443": ":{port}",
        "cds.example.org": "https://127.0.0.1:{port}",
        "/etc/caddy/tls/cds.pem": "{folder}/cert.pem",
        "/etc/caddy/tls/cds.key": "{folder}/key.pem",
        "127.0.0.1:8080": "{upstream}",
    },
}
"""What stands in the file, and what stands there for a test."""
NEEDED = {
    "haproxy": (
        "option http-buffer-request",
        "retries 0",
        "set-header X-Forwarded-For %[src]",
        "timeout http-request 10s",
    ),
    "caddy": (
        "request_buffers 2MiB",
        "lb_retries 0",
        "header_up -Forwarded",
        "read_header 10s",
    ),
}
RUN = {
    "haproxy": ("haproxy", "-db", "-f"),
    "caddy": ("caddy", "run", "--adapter", "caddyfile", "--config"),
}

slow = pytest.mark.slow
proxies = pytest.mark.parametrize("name", ["haproxy", "caddy"])
pytestmark = pytest.mark.filterwarnings(
    "ignore::urllib3.exceptions.InsecureRequestWarning"
)


@contextmanager
def proxied(name: str, folder: Path, upstream: str) -> Iterator[str]:
    """The base URL of a proxy before a server; for as long as the block lasts."""
    now = datetime.now(UTC)
    write_pair(folder, now - timedelta(days=1), now + timedelta(days=90))
    pair = [(folder / each).read_text() for each in ("cert.pem", "key.pem")]
    (folder / "both.pem").write_text("".join(pair))
    port = free_port()
    text = FILES[name].read_text("utf-8")
    for usual, here in HERE[name].items():
        assert usual in text
        known = {"{port}": str(port), "{folder}": str(folder), "{upstream}": upstream}
        for place, value in known.items():
            here = here.replace(place, value)
        text = text.replace(usual, here)
    (folder / "proxy").write_text(text, "utf-8")
    environment = {"HOME": str(folder), "PATH": "/nowhere"}
    program, *words = RUN[name]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [shutil.which(program) or program, *words, str(folder / "proxy")],
            env=environment,
            stdout=said,
            stderr=said,
        )
    try:
        until(lambda: answers(port), (folder / "said").read_text, process)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


@proxies
def test_a_proxy_is_told_what_any_proxy_needs(name: str) -> None:
    text = FILES[name].read_text("utf-8")

    assert [each for each in NEEDED[name] if each not in text] == []
    assert text.count('"resourceType":"OperationOutcome"') >= 3


@slow
@proxies
def test_where_it_is_installed_it_passes_on_what_it_should(
    name: str, tmp_path: Path
) -> None:
    server, before = tmp_path / "server", tmp_path / "proxy"
    server.mkdir()
    before.mkdir()
    with serving(server, trusted_proxies="127.0.0.1") as small:
        host, port = small.address
        if shutil.which(RUN[name][0]):
            with (
                proxied(name, before, f"{host}:{port}") as base,
                ExitStack() as stack,
            ):
                for _ in range(200):
                    idle = socket.create_connection(("127.0.0.1", port_of(base)))
                    stack.enter_context(idle).sendall(b"\x16\x03\x01")
                check_proxied(base)
                if name == "caddy":
                    check_limit(base)
                    check_host(base)


def check_host(base: str) -> None:
    """Who asks for another host never reads that there are no cards."""
    other = ask("POST", f"{base}/echo", headers={"Host": "other.example"}, data=b"x")
    assert other.status_code == 421
    assert other.json()["resourceType"] == "OperationOutcome"


@slow
@proxies
def test_without_a_server_an_ehr_reads_an_outcome(name: str, tmp_path: Path) -> None:
    if shutil.which(RUN[name][0]):
        with proxied(name, tmp_path, "127.0.0.1:1") as base:
            away = ask("POST", f"{base}/echo", data=b"hello")
            assert away.status_code == 503
            assert away.headers["Retry-After"] == "1"
            assert away.json()["issue"][0]["code"] == "transient"
