"""The site for nginx, read by nginx's own parser; where nginx is installed, run."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import crossplane
import pytest
import requests

from ..cli.serve.small import Small, serving
from ..cli.serve.test_tls import write_pair
from ..ports import free_port
from ..waiting import PATIENCE, until

SITE = Path(__file__).parents[2] / "deploy" / "nginx.conf"
MAIN = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; {user}
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/a; uwsgi_temp_path {folder}/b; scgi_temp_path {folder}/c;
    include {folder}/site.conf;
}}
"""


def configure(folder: Path, upstream: str, port: int) -> Path:
    """A configuration with the site, that runs in a folder and listens on loopback."""
    now = datetime.now(UTC)
    write_pair(folder, now - timedelta(days=1), now + timedelta(days=90))
    text = SITE.read_text("utf-8")
    for usual, here in {
        "/etc/nginx/tls/cds.pem": f"{folder}/cert.pem",
        "/etc/nginx/tls/cds.key": f"{folder}/key.pem",
        "127.0.0.1:8080": upstream,
        "/var/log/nginx/access.log": f"{folder}/access.log",
        "listen 443": f"listen 127.0.0.1:{port}",
    }.items():
        assert usual in text
        text = text.replace(usual, here)
    (folder / "site.conf").write_text(text, "utf-8")
    user = "user root;" if os.geteuid() == 0 else ""
    main = folder / "nginx.conf"
    main.write_text(MAIN.format(folder=folder, user=user), "utf-8")
    return main


def directives(block: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for each in block:
        yield each["directive"], " ".join(each["args"])
        yield from directives(each.get("block", []))


def test_the_site_is_one_that_nginx_understands(tmp_path: Path) -> None:
    main = configure(tmp_path, "127.0.0.1:1", 1)

    read = crossplane.parse(str(main), strict=True, check_ctx=True, check_args=True)

    assert read["errors"] == []
    found = dict(directives(read["config"][1]["parsed"]))
    assert found["proxy_next_upstream"] == "off"
    assert found["proxy_request_buffering"] == "on"
    if nginx := shutil.which("nginx"):
        words = [nginx, "-t", "-p", str(tmp_path), "-c", str(main)]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_parser_finds_what_nginx_would_not_understand(tmp_path: Path) -> None:
    main = configure(tmp_path, "127.0.0.1:1", 1)
    site = tmp_path / "site.conf"
    site.write_text(site.read_text().replace("limit_conn per", "limit_con per"))

    read = crossplane.parse(str(main), strict=True, check_ctx=True, check_args=True)

    assert "limit_con" in read["errors"][0]["error"]


@contextmanager
def proxied(folder: Path, upstream: str) -> Iterator[str]:
    """The base URL of nginx before a server; for as long as the block lasts."""
    port = free_port()
    main = configure(folder, upstream, port)
    words = [shutil.which("nginx") or "", "-p", str(folder), "-c", str(main)]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        until(lambda: answers(port), process=process)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def port_of(base: str) -> int:
    return int(base.rpartition(":")[2])


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def ask(method: str, url: str, **more: Any) -> requests.Response:
    return requests.request(method, url, verify=False, timeout=PATIENCE, **more)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_where_nginx_is_installed_it_passes_on_what_it_should(tmp_path: Path) -> None:
    server, before = tmp_path / "server", tmp_path / "nginx"
    server.mkdir()
    before.mkdir()
    with serving(server, trusted_proxies="127.0.0.1") as small:
        host, port = small.address
        assert whose(small, {}) == whose(small, {"X-Forwarded-For": ""}) == host
        if shutil.which("nginx"):
            with proxied(before, f"{host}:{port}") as base, ExitStack() as stack:
                for _ in range(200):
                    idle = socket.create_connection(("127.0.0.1", port_of(base)))
                    stack.enter_context(idle).sendall(b"\x16\x03\x01")
                check_proxied(base)
                check_limit(base)
                check_readings(base)
                # It writes down what it refused once the sender is done with it.
                log = before / "access.log"
                ask("GET", f"{base}/connect/callback?state=of-a-wearer&code=of-google")
                until(lambda: '"GET /connect/callback" 404' in read(log))
                ask("GET", f"{base}/smart/callback?state=of-a-clinician&code=of-ehr")
                until(lambda: '"GET /smart/callback" ' in read(log))
                until(
                    lambda: '"POST /wearables/v1/sources/garmin/..." 413' in read(log)
                )
            logged = read(log)
            assert '"POST /echo" 200' in logged
            assert '"GET /wearables/v1/notifications/oura/..." 404' in logged
            assert "secret-of-the-vendor" not in logged
            assert "of-a-wearer" not in logged and "of-google" not in logged
            assert "of-a-clinician" not in logged and "of-ehr" not in logged


def read(log: Path) -> str:
    return log.read_text("utf-8")


def whose(small: Small, headers: dict[str, str]) -> str:
    return requests.get(f"{small.base}/who", headers=headers, timeout=PATIENCE).text


def check_proxied(base: str) -> None:
    """Calls arrive, with the caller's own address; what is inside stays inside."""
    forged = {"X-Forwarded-For": "10.0.0.1", "Forwarded": "for=10.0.0.1"}
    assert (
        ask("POST", f"{base}/echo", data=b"hello" * 50_000).content == b"hello" * 50_000
    )
    assert ask("GET", f"{base}/who", headers=forged).text == "127.0.0.1"
    for inside in ("/health", "/health/ready", "/metrics", "/%6detrics"):
        assert ask("GET", base + inside).status_code == 404


def check_limit(base: str) -> None:
    """What is much too large is refused before it is passed on."""
    too_large = ask("POST", f"{base}/echo", data=b"x" * 2_200_000)
    assert too_large.status_code == 413
    assert too_large.json()["resourceType"] == "OperationOutcome"


def check_readings(base: str) -> None:
    """What a phone sends at once passes, and what no source may send does not."""
    url = f"{base}/wearables/v1/sources/garmin/secret-of-the-vendor"
    assert ask("POST", url, data=b"x" * 2_200_000).status_code == 404
    assert ask("POST", url, data=b"x" * 18_000_000).status_code == 413
    notified = f"{base}/wearables/v1/notifications"
    ask("GET", f"{notified}/withings/secret-of-the-vendor")
    ask("GET", f"{notified}/oura?verification_token=secret-of-the-vendor")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_without_a_server_an_ehr_reads_an_outcome(tmp_path: Path) -> None:
    text = SITE.read_text("utf-8")
    outcomes = [json.loads(each) for each in re.findall(r"return \d+ '(.*)';", text)]
    assert [each["resourceType"] for each in outcomes] == ["OperationOutcome"] * 2
    if shutil.which("nginx"):
        with proxied(tmp_path, "127.0.0.1:1") as base:
            away = ask("POST", f"{base}/echo", data=b"hello")
            assert away.status_code == 503
            assert away.headers["Retry-After"] == "1"
            assert away.json()["issue"][0]["code"] == "transient"
