"""Three servers on one PostgreSQL, behind what hands each connection to the next."""

import json
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import cycle
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import pytest
import requests

from cds_service.audit import verify
from cds_service.store.store import Store
from tests.postgresql import Server as Database
from tests.postgresql import running_server

from ..waiting import PATIENCE, until

pytestmark = pytest.mark.slow

NODES = 3
Server = Any
Chart = Any


class Balancer(ThreadingTCPServer):
    """Hands on each connection whole; a node that is away is passed over."""

    daemon_threads = True
    request_queue_size = 128
    nodes: Iterator[Server]

    def handle_error(self, *args: object) -> None:
        """Who is killed in the middle of an answer is what these tests are about."""


class Handler(BaseRequestHandler):
    server: Balancer

    def handle(self) -> None:
        for _ in range(NODES):
            # The port of a node that was killed may be anybody's.
            server = next(self.server.nodes)
            with suppress(ConnectionRefusedError):
                if server.process is not None:
                    node = socket.create_connection(("127.0.0.1", server.port))
                    break
        else:
            return
        with node:
            back = threading.Thread(target=pump, args=(node, self.request))
            back.start()
            pump(self.request, node)
            back.join()


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def kind() -> str:
    return "postgresql"


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with running_server() as server:
        server.template()
        yield server


@pytest.fixture(scope="module")
def nodes(
    database: Database, start_server: Callable[..., Server]
) -> Iterator[list[Server]]:
    """They have one folder of rules, as servers of one release do."""
    url = database.url("cds_template")
    first = start_server(database_url=url)
    rules = str(first.folder / "rules")
    others = [start_server(database_url=url, rules=rules) for _ in range(NODES - 1)]
    yield [first, *others]
    store = Store.open(url)
    assert verify(store) == []
    store.close()


@pytest.fixture(scope="module")
def balanced(nodes: list[Server]) -> Iterator[Server]:
    """What an EHR sees of them."""
    with Balancer(("127.0.0.1", 0), Handler) as balancer:
        balancer.nodes = cycle(nodes)
        thread = threading.Thread(target=balancer.serve_forever, args=(0.05,))
        thread.start()
        yield replace(nodes[0], port=balancer.server_address[1], answered=[])
        balancer.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def chart(balanced: Server, open_chart: Callable[[Server], Chart]) -> Chart:
    return open_chart(balanced)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.connect("cds_template") as connection:
        return connection.execute(query).fetchall()


def test_one_token_fifty_times_over_three_nodes_is_good_for_one_call(
    balanced: Server, chart: Chart
) -> None:
    body = json.dumps(chart.request()).encode()
    token = f"Bearer {balanced.token()}"

    with ThreadPoolExecutor(50) as pool:
        replies = pool.map(
            lambda _: balanced.post(body, Authorization=token).status, range(50)
        )

    assert sorted(replies) == [200] + [401] * 49


def test_an_alert_that_one_node_took_is_on_the_card_of_every_other(
    balanced: Server, nodes: list[Server], chart: Chart
) -> None:
    delivered = balanced.deliver(chart.case.alerts["alerts"], "first")
    assert delivered.status_code == 202

    for node in nodes:
        cards = node.call(chart.request()).json["cards"]
        assert cards[0]["summary"].startswith("Irregular rhythm")
        again = node.deliver(chart.case.alerts["alerts"], "first")
        assert (again.status_code, again.content) == (202, delivered.content)


def test_what_was_acknowledged_outlives_nodes_and_the_database_that_are_killed(
    balanced: Server, nodes: list[Server], chart: Chart, database: Database
) -> None:
    stop = threading.Event()
    acknowledged: list[str] = []
    statuses: Counter[int] = Counter()

    def deliver(sender: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            key = f"many-{sender}-{number}"
            try:
                status = balanced.deliver(chart.case.alerts["alerts"], key).status_code
            except requests.RequestException:
                continue
            statuses[status] += 1
            if status == 202:
                acknowledged.append(key)

    def further() -> None:
        before = len(acknowledged)
        until(lambda: len(acknowledged) >= before + 20, lambda: statuses)

    with ThreadPoolExecutor(6) as pool:
        senders = [pool.submit(deliver, each) for each in range(6)]
        try:
            further()
            os.kill(nodes[1].workers()[0], signal.SIGKILL)
            further()
            database.kill()
            database.start()
            further()
            nodes[2].kill()
            further()
            nodes[2].start()
        finally:
            stop.set()
    for sender in senders:
        sender.result(PATIENCE)

    kept = rows(
        database,
        "SELECT split_part(key, ' ', 2) FROM deliveries"
        " WHERE status = 202 AND key LIKE '% many%'",
    )
    assert set(acknowledged) <= {key for (key,) in kept}
    assert set(statuses) <= {202, 503}
    twice = """
        SELECT detail::json ->> 'key' FROM audit WHERE kind = 'delivery'
            AND detail NOT LIKE '%repeated%' GROUP BY 1 HAVING count(*) > 1
    """
    assert rows(database, twice) == []


def test_readings_outlive_the_database_that_is_killed_and_none_is_doubled(
    balanced: Server, database: Database
) -> None:
    stop, acknowledged = threading.Event(), list[int]()
    sample = {"patient": "steady", "metric": "heart-rate", "value": 72, "unit": "/min"}

    def send() -> None:
        minute = 0
        while not stop.is_set():
            start = f"2026-11-01T{minute // 60 % 24:02}:{minute % 60:02}:00+01:00"
            with suppress(requests.RequestException):
                told = [{**sample, "start": start}]
                if balanced.measure(told, f"steady-{minute}").status_code == 202:
                    acknowledged.append(minute)
                    minute += 1

    def further() -> None:
        before = len(acknowledged)
        until(lambda: len(acknowledged) >= before + 5)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for _ in range(3):
            further()
            database.kill()
            database.start()
        further()
    finally:
        stop.set()
        sender.join()

    kept = rows(
        database,
        "SELECT count(*), count(DISTINCT start_us) FROM samples"
        " JOIN sample_streams s ON s.id = stream WHERE s.patient_id = 'steady'",
    )
    assert kept in ([(len(acknowledged),) * 2], [(len(acknowledged) + 1,) * 2])


def test_rules_that_change_are_served_by_every_node(nodes: list[Server]) -> None:
    def served() -> set[str]:
        asked = (
            requests.get(f"{each.base}/health", timeout=PATIENCE) for each in nodes
        )
        return {each.json()["rulebook"]["digest"] for each in asked}

    (before,) = served()
    with (nodes[0].folder / "rules" / "site.yaml").open("a") as site:
        site.write("\n# Looked through once more.\n")

    until(lambda: len(served()) == 1 and served() != {before})
