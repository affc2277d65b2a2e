"""Trust between real processes: one token for one message, and keys that change."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import ge
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from cds_service.ehr.tokens import Claims, build_token

from ..waiting import PATIENCE

pytestmark = pytest.mark.slow

PUBLIC = "https://cds.example.org/base"
ROTATING = "https://rotating.example.org"
SERVICE = "/cds-services/wearable-review"
CONNECTIONS = 50
ROTATIONS = 4
REFRESH = 1
"""Seconds after which a worker may ask for a key that it does not know once more."""

Server = Any
Chart = Any


@dataclass
class Issuer:
    """An EHR that changes its key again and again, publishing each one ahead."""

    keys: dict[str, Any] = field(default_factory=dict)
    current: str = ""
    asked: int = 0

    def publish(self, kid: str) -> None:
        self.keys = {**self.keys, kid: ec.generate_private_key(ec.SECP384R1())}

    def use(self, kid: str) -> None:
        """Sign with a key that was published, and publish those before it no more."""
        self.current = kid

    def withdraw(self, kid: str) -> None:
        self.keys = {name: each for name, each in self.keys.items() if name != kid}

    def jwks(self) -> bytes:
        listed = [
            {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid}
            for kid, key in self.keys.items()
        ]
        return json.dumps({"keys": listed}).encode()

    def sign(self) -> tuple[str, str]:
        """The key in use, and a token that it has signed."""
        kid, keys = self.current, self.keys
        claims = Claims(ROTATING, PUBLIC + SERVICE, kid)
        return kid, build_token(keys[kid], claims, datetime.now(UTC))


class KeyServer(ThreadingHTTPServer):
    daemon_threads = True
    issuer: Issuer


class Handler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.issuer.asked += 1
        body = self.server.issuer.jwks()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def key_server() -> Iterator[KeyServer]:
    with KeyServer(("127.0.0.1", 0), Handler) as opened:
        opened.issuer = Issuer()
        thread = threading.Thread(target=opened.serve_forever, args=(0.05,))
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server], key_server: KeyServer) -> Server:
    """Four workers that know the usual EHR and one whose keys are at a URL."""
    url = f"http://127.0.0.1:{key_server.server_port}/jwks.json"
    rotating = {"id": "r", "iss": ROTATING, "jku": {"url": url, "refresh": REFRESH}}
    running: Server = start_server(clients=[rotating], workers="4")
    return running


@pytest.fixture(scope="module")
def chart(server: Server, open_chart: Callable[[Server], Chart]) -> Chart:
    return open_chart(server)


def message(server: Server, chart: Chart, token: str) -> bytes:
    body = json.dumps(chart.request()).encode()
    signed = {"Authorization": f"Bearer {token}"}
    head: bytes = server.head(SERVICE, len(body), **signed)
    return head + body


def test_s_15_one_token_over_fifty_connections_to_four_workers_is_good_for_one(
    server: Server, chart: Chart
) -> None:
    assert len(server.workers()) == 4
    for _ in range(3):
        sent = message(server, chart, server.token())

        with ThreadPoolExecutor(CONNECTIONS) as clients:
            replies = list(clients.map(server.say, [sent] * CONNECTIONS))

        refused = [each for each in replies if each.status != 200]
        assert [each.status for each in refused] == [401] * (CONNECTIONS - 1)
        assert len({each.body for each in refused}) == 1


class Callers:
    """Six who call again and again, each time with the key that is in use."""

    def __init__(self, call: Callable[[], tuple[str, int]]) -> None:
        self._call = call
        self._answered = [0] * 6
        self._turn = threading.Condition()
        self._ended = False
        self.statuses: list[tuple[str, int]] = []

    @contextmanager
    def calling(self) -> Iterator[None]:
        """They call for as long as a block lasts."""
        with ThreadPoolExecutor(6) as pool:
            callers = [pool.submit(self._keep_calling, each) for each in range(6)]
            try:
                yield
            finally:
                self._ended = True
            for each in callers:
                each.result()

    def _keep_calling(self, caller: int) -> None:
        while not self._ended:
            told = self._call()
            with self._turn:
                self.statuses.append(told)
                self._answered[caller] += 1
                self._turn.notify_all()

    def wait_for_a_round(self) -> None:
        """Until each has heard the answer to a call that began after this did."""
        with self._turn:
            wanted = [each + 2 for each in self._answered]
            assert self._turn.wait_for(
                lambda: all(map(ge, self._answered, wanted)), PATIENCE
            )


def test_s_12_keys_rotate_under_load_and_no_good_token_is_refused(
    server: Server, chart: Chart, key_server: KeyServer
) -> None:
    issuer = key_server.issuer
    issuer.publish("key-0")
    issuer.use("key-0")

    def call() -> tuple[str, int]:
        kid, token = issuer.sign()
        return kid, server.say(message(server, chart, token)).status

    callers = Callers(call)
    with callers.calling():
        for number in range(1, ROTATIONS + 1):
            callers.wait_for_a_round()
            issuer.publish(f"key-{number}")
            # Whoever has asked before that has heard, and then may ask again.
            callers.wait_for_a_round()
            time.sleep(REFRESH)
            issuer.use(f"key-{number}")
        callers.wait_for_a_round()

    assert {status for _, status in callers.statuses} == {200}
    assert {kid for kid, _ in callers.statuses} == {
        f"key-{number}" for number in range(ROTATIONS + 1)
    }
    # Each of four workers asked for each key once, beside its first question.
    assert issuer.asked <= 4 * (ROTATIONS + 2)


def test_s_12_a_key_that_was_never_published_is_refused_at_once(
    server: Server, chart: Chart, key_server: KeyServer
) -> None:
    claims = Claims(ROTATING, PUBLIC + SERVICE, "never")
    foreign = ec.generate_private_key(ec.SECP384R1())

    reply = server.say(
        message(server, chart, build_token(foreign, claims, datetime.now(UTC)))
    )

    assert reply.status == 401
