"""SIGHUP takes up the clients file as it is now: at once, or not at all.

Whoever calls meanwhile is answered; whoever was taken out of the file is not any more.
"""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cds_service.audit import verify
from cds_service.ehr.client import Ehr
from cds_service.ehr.tokens import generate_key
from cds_service.store.store import Store

from ..waiting import until, whole_lines

pytestmark = pytest.mark.slow

Server = Any
Chart = Any
PUBLIC = "https://cds.example.org/base"
SERVICE = "/cds-services/wearable-review"
CLINIC = "https://clinic.example.org"
ISSUER = "https://ehr.example.org"


@pytest.fixture(scope="module")
def clinic() -> tuple[str, dict[str, Any]]:
    """The key of another EHR: its private half, and the public one as JWK."""
    pem, public = generate_key()
    return pem, {**public, "kid": "k", "alg": "ES384"}


@pytest.fixture
def server(
    start_server: Callable[..., Server], clinic: tuple[str, dict[str, Any]]
) -> Iterator[Server]:
    """Two workers; what they stored in the end is an unbroken chain."""
    other = {"id": "clinic", "iss": CLINIC, "keys": [clinic[1]]}
    running = start_server(clients=[other], workers="2")
    yield running
    assert verify(Store.open(running.database)) == []
    assert "Traceback" not in (running.folder / "log").read_text()
    running.kill()


def call(server: Server, chart: Chart, pem: str = "", issuer: str = ISSUER) -> int:
    """The status of a call of an EHR, on a connection of its own."""
    token = Ehr(PUBLIC, issuer, pem or server.pem, "k").sign(PUBLIC + SERVICE)
    body = json.dumps(chart.request()).encode()
    status: int = server.post(body, Authorization=f"Bearer {token}").status
    return status


def change(server: Server, edit: Callable[[dict[str, Any]], None]) -> None:
    """Save the clients file, and tell the server."""
    file = server.folder / "clients.yaml"
    known = json.loads(file.read_text())
    edit(known)
    file.write_text(json.dumps(known))
    server.process.send_signal(signal.SIGHUP)


def log(server: Server, event: str) -> list[dict[str, Any]]:
    lines = whole_lines(server.folder / "log")
    return [json.loads(each) for each in lines if f'"event":"{event}"' in each]


def recorded(server: Server) -> list[dict[str, Any]]:
    rows = server.rows("select detail from audit where kind = 'configuration'")
    return [json.loads(detail) for (detail,) in rows]


@contextmanager
def asked_without_a_pause(server: Server, chart: Chart) -> Iterator[Counter[int]]:
    """While two callers ask again and again; gives what they were answered."""
    statuses: Counter[int] = Counter()
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            statuses[call(server, chart)] += 1

    callers = [threading.Thread(target=ask) for _ in range(2)]
    for each in callers:
        each.start()
    try:
        until(lambda: statuses.total() >= 8)
        yield statuses
        before = statuses.total()
        until(lambda: statuses.total() >= before + 8)
    finally:
        over.set()
        for each in callers:
            each.join()


def test_a_client_that_was_taken_out_is_refused_at_once_and_no_call_is_dropped(
    server: Server,
    clinic: tuple[str, dict[str, Any]],
    open_chart: Callable[[Server], Chart],
) -> None:
    chart, workers = open_chart(server), server.workers()
    assert call(server, chart, clinic[0], CLINIC) == 200

    with asked_without_a_pause(server, chart) as statuses:
        change(server, lambda known: known["clients"].pop())
        until(lambda: log(server, "settings taken"))
        answered = [call(server, chart, clinic[0], CLINIC) for _ in range(10)]

    assert answered == [401] * 10
    assert set(statuses) == {200}
    until(lambda: len(server.workers()) == 2)
    assert not set(workers) & set(server.workers())
    last = recorded(server)[-1]
    assert last["removed"]["client.clinic.iss"] == CLINIC
    assert "clinic" in log(server, "settings taken")[0]["change"]


def test_a_key_and_a_secret_that_were_exchanged_are_good_no_more(
    server: Server,
    clinic: tuple[str, dict[str, Any]],
    open_chart: Callable[[Server], Chart],
) -> None:
    chart = open_chart(server)
    alerts = chart.case.alerts["alerts"]
    assert server.deliver(alerts, "before").status_code == 202

    def exchange(known: dict[str, Any]) -> None:
        known["clients"][0]["keys"] = [clinic[1]]
        known["clients"].pop()
        known["webhooks"][0]["secrets"] = [
            "whsec_" + "bmV3LXNlY3JldC1vZi10aGUtd2F0Y2gtMDE="
        ]

    change(server, exchange)

    until(lambda: log(server, "settings taken"))
    assert call(server, chart) == 401
    assert call(server, chart, clinic[0]) == 200
    assert server.deliver(alerts, "after").status_code == 401


def test_a_file_that_is_wrong_changes_nothing_and_is_said(
    server: Server,
    clinic: tuple[str, dict[str, Any]],
    open_chart: Callable[[Server], Chart],
) -> None:
    chart, workers = open_chart(server), server.workers()
    right = (server.folder / "clients.yaml").read_text()

    change(server, lambda known: known["clients"][1].pop("keys"))
    refused = until(lambda: log(server, "settings refused"))

    (problem,) = refused[0]["problems"]
    assert "clients[1]: one of keys, keys_file and jku must be given" in problem
    assert call(server, chart, clinic[0], CLINIC) == 200
    # A watcher that is just being started still looks like its parent.
    until(lambda: server.workers() == workers)
    assert len(recorded(server)) == 1

    for each in server.children():
        os.kill(each, signal.SIGHUP)
    assert call(server, chart) == 200
    until(lambda: server.workers() == workers)

    (server.folder / "clients.yaml").write_text(right)
    change(server, lambda known: known["clients"].pop())
    until(lambda: log(server, "settings taken"))
    assert call(server, chart, clinic[0], CLINIC) == 401


def test_a_worker_that_comes_later_serves_by_the_settings_that_were_taken(
    server: Server, clinic: tuple[str, dict[str, Any]], open_chart: Callable[..., Chart]
) -> None:
    chart = open_chart(server)
    change(server, lambda known: known["clients"].pop())
    until(lambda: log(server, "settings taken"))
    until(lambda: len(server.workers()) == 2)
    # Written, and not taken: nobody was told.
    file = server.folder / "clients.yaml"
    known = json.loads(file.read_text())
    known["clients"].append({"id": "clinic", "iss": CLINIC, "keys": [clinic[1]]})
    file.write_text(json.dumps(known))

    for worker in server.workers():
        signal.pidfd_send_signal(os.pidfd_open(worker), signal.SIGKILL)
    until(lambda: call(server, chart) == 200)

    assert [call(server, chart, clinic[0], CLINIC) for _ in range(4)] == [401] * 4
