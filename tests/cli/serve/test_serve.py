"""The server under gunicorn: what only a real socket can show."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
from click.testing import CliRunner
from gunicorn.http.errors import (
    InvalidHeader,
    LimitRequestHeaders,
    LimitRequestLine,
    UnsupportedTransferCoding,
)

from cds_service import __version__
from cds_service.cli import VERBS, main
from cds_service.cli.serve.answers import find_status
from cds_service.cli.serve.demo import serve_as_child
from cds_service.cli.serve.running import build_settings
from cds_service.config import load_config
from cds_service.ehr.exchange import Unanswered
from cds_service.store.store import Store

from ...ports import free_port
from ...waiting import PATIENCE

RULES = Path(__file__).parents[3] / "rules"
LIMIT = 100_000


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with two workers, trust off."""
    folder = tmp_path_factory.mktemp("serve")
    port = free_port()
    settings = {
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_RULES": str(RULES),
        "CDS_DATABASE_URL": f"sqlite:///{folder / 'store.sqlite'}",
        "CDS_PORT": str(port),
        "CDS_WORKERS": "2",
        "CDS_BODY_LIMIT": str(LIMIT),
    }
    address = f"http://127.0.0.1:{port}"
    with serve_as_child(settings, folder / "log", address):
        yield address


def raw(base: str, message: bytes) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body of the answer to bytes on a connection of their own."""
    host, _, port = base.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(message)
        received = b""
        while part := connection.recv(65536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    return int(first.split()[1]), headers, json.loads(body)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: secret\r\n\r\n", 501),
    ],
)
def test_e_2_what_is_not_http_is_answered_in_json(
    base: str, message: bytes, status: int
) -> None:
    found, headers, body = raw(base, message)

    assert found == status
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert body["resourceType"] == "OperationOutcome"
    assert "secret" not in str(body)


def chunked(*chunks: bytes) -> bytes:
    head = (
        b"POST /cds-services/wearable-review HTTP/1.1\r\nHost: x\r\n"
        b"Content-Type: application/json\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    return head + b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in chunks)


def test_q_15_a_chunked_body_is_read_and_counted(base: str) -> None:
    assert raw(base, chunked(b"{", b"}", b""))[0] == 400
    enough = [b"x" * 10_000] * (LIMIT // 10_000 + 1)
    status, _, body = raw(base, chunked(*enough, b""))
    assert status == 413
    assert body["resourceType"] == "OperationOutcome"


def test_a_body_that_is_not_chunked_as_it_says_is_400(base: str) -> None:
    broken = chunked(b"{}") + b"zzz\r\n"

    status, _, body = raw(base, broken)

    assert status == 400
    assert body["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("size", [1_200_000, 20_000_000])
def test_q_15_a_huge_body_is_413_and_the_server_answers_on(
    base: str, size: int
) -> None:
    url = f"{base}/cds-services/wearable-review"
    headers = {"Content-Type": "application/json"}
    try:
        response = requests.post(url, b"x" * size, headers=headers, timeout=PATIENCE)
        assert response.status_code == 413
        assert response.json()["resourceType"] == "OperationOutcome"
    except requests.ConnectionError:
        # The answer came before the body was through, and the client did not look.
        assert size > 10 * LIMIT
    assert requests.get(f"{base}/cds-services", timeout=PATIENCE).status_code == 200


def test_a_connection_is_kept_for_the_next_call(base: str) -> None:
    with requests.Session() as session:
        for _ in range(3):
            response = session.get(f"{base}/health/live", timeout=PATIENCE)
            assert response.headers["Connection"] == "keep-alive"


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = {name: each for name, each in os.environ.items() if name[:4] != "CDS_"}
    return subprocess.run(
        [sys.executable, "-m", "cds_service.cli", *arguments],
        env={**environ, **settings},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_wrong_settings_are_said_in_a_sentence_each() -> None:
    done = run("serve", CDS_AUTH="off", CDS_WORKERS="none")

    assert done.returncode == 1
    assert "CDS_WORKERS" in done.stderr
    assert "Traceback" not in done.stderr


def test_broken_rules_are_not_served_and_every_finding_is_said(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "site.yaml").write_text("format: 1\n")

    done = run(
        "serve",
        CDS_PROFILE="development",
        CDS_AUTH="off",
        CDS_RULES=str(rules),
        CDS_DATABASE_URL=f"sqlite:///{tmp_path / 'x.sqlite'}",
    )

    assert done.returncode == 1
    assert "cds-service check" in done.stderr
    assert "services.yaml" in done.stderr and "time_zone" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("hinder", "reason"),
    [
        (
            "CREATE TRIGGER no_room BEFORE INSERT ON audit"
            " WHEN NEW.kind = 'configuration'"
            " BEGIN SELECT RAISE(ABORT, 'no room'); END",
            "the configuration cannot be recorded, so nothing is served:"
            " the database refused: no room",
        ),
        ("BEGIN IMMEDIATE", "the database is busy"),
    ],
    ids=["refused", "locked"],
)
def test_a_server_that_cannot_record_its_configuration_does_not_start(
    tmp_path: Path, hinder: str, reason: str
) -> None:
    url = f"sqlite:///{tmp_path / 'x.sqlite'}"
    store = Store.open(url)
    store.migrate()
    store.close()
    with closing(sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None)) as other:
        other.execute(hinder)

        done = run(
            "serve",
            CDS_PROFILE="development",
            CDS_AUTH="off",
            CDS_RULES=str(RULES),
            CDS_PORT="0",
            CDS_DATABASE_URL=url,
        )

    assert done.returncode == 1
    assert f"Error: {reason}\n" in done.stderr
    assert "Traceback" not in done.stderr and "Listening" not in done.stderr


HEAVY = ("flask", "gunicorn", "sqlalchemy", "pydantic", "cds_service.rulebook")


def test_serve_says_that_it_starts_before_anything_heavy_is_imported() -> None:
    program = (
        "import sys; from cds_service.cli import main; main.get_command(None, 'serve');"
        f"sys.exit(bool(set(sys.modules) & {set(HEAVY)!r}))"
    )

    done = subprocess.run([sys.executable, "-c", program], timeout=PATIENCE)

    assert done.returncode == 0


def test_settings_are_checked_before_rules_and_all_is_said_in_its_order(
    tmp_path: Path,
) -> None:
    (tmp_path / "rules").mkdir()
    environ = {
        "CDS_PROFILE": "development",
        "CDS_AUTH": "off",
        "CDS_RULES": str(tmp_path / "rules"),
        "CDS_DATABASE_URL": f"sqlite:///{tmp_path / 'store.sqlite'}",
    }

    wrong = run("serve", **environ, CDS_PORT="x")
    good = run("serve", **environ)

    assert (wrong.returncode, good.returncode) == (1, 1)
    first, *rest = wrong.stderr.splitlines()
    assert first == f"cds-service {__version__} is starting"
    assert len(rest) == 1 and rest[0].startswith("Error: CDS_PORT: ")
    order = ["is starting", "warning: ", "settings are valid", "rules cannot be served"]
    places = [good.stderr.index(each) for each in order]
    assert places == sorted(places)


def test_a_child_that_does_not_start_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"

    with pytest.raises(Unanswered, match="CDS_PUBLIC_URL"):
        with serve_as_child({"CDS_AUTH": "on"}, log, "http://127.0.0.1:9"):
            pass


@pytest.mark.slow
def test_a_child_whose_port_another_server_has_is_not_taken_for_it(
    tmp_path: Path,
) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()
        settings = {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_RULES": str(RULES),
            "CDS_DATABASE_URL": f"sqlite:///{tmp_path / 'store.sqlite'}",
            "CDS_PORT": str(other.server_port),
        }
        base = f"http://127.0.0.1:{other.server_port}"
        with pytest.raises(Unanswered, match="in use"):
            with serve_as_child(settings, tmp_path / "log", base):
                pass
        other.shutdown()


def test_every_verb_explains_itself() -> None:
    assert "serve" in run("--help").stdout
    for verb in VERBS:
        done = CliRunner().invoke(main, [verb, "--help"])
        assert (done.exit_code, "Usage:" in done.output) == (0, True), verb
    assert run("nonsense").returncode == 2


def test_e_9_a_worker_outlives_its_own_deadline() -> None:
    config = load_config(
        {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_GATHER_DEADLINE_MS": "60000",
            "CDS_THREADS": "3",
        }
    )

    settings = build_settings(config)

    assert settings["timeout"] > 60 + config.answer_deadline_ms / 1000
    assert settings["forwarded_allow_ips"] == ""
    assert settings["threads"] == 3
    assert settings["bind"] == ["127.0.0.1:8080"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (LimitRequestLine(1, 1), 414),
        (LimitRequestHeaders("x"), 431),
        (UnsupportedTransferCoding("x"), 501),
        (InvalidHeader("x"), 400),
        (RuntimeError("x"), 500),
    ],
)
def test_each_fault_in_http_has_its_status(error: Exception, status: int) -> None:
    assert find_status(error) == status
