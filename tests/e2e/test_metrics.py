"""Whichever worker is asked tells the numbers of all; one that is killed loses none."""

import os
import signal
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from ..waiting import PATIENCE, until

pytestmark = pytest.mark.slow

Server = Any
Chart = Any


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Server:
    """Three workers with five threads each."""
    return start_server(workers="3", threads="5")


def read(server: Server) -> dict[tuple[str, str], float]:
    """Every number, by name and labels."""
    text = requests.get(f"{server.base}/metrics", timeout=PATIENCE).text
    return {
        (sample.name, ",".join(map("=".join, sorted(sample.labels.items())))): value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for value in [sample.value]
    }


def ask(server: Server, times: int) -> set[int]:
    """The workers that answered."""
    return {
        requests.get(f"{server.base}/health", timeout=PATIENCE).json()["worker"]
        for _ in range(times)
    }


ASKED = ("cds_requests_total", "method=GET,route=/health,status=200")
TIMED = ("cds_request_seconds_count", "route=/health")


def test_any_worker_tells_what_all_did_and_one_that_is_killed_loses_nothing(
    server: Server, open_chart: Callable[[Server], Chart]
) -> None:
    chart = open_chart(server)
    assert server.deliver(chart.case.alerts["alerts"], "first").status_code == 202
    for _ in range(6):
        assert server.call(chart.request()).status == 200
    answered = ask(server, 60)
    assert len(answered) > 1, "one worker answered all; nothing would be shown"
    before = read(server)
    assert before[ASKED] == before[TIMED] == 60
    (shown,) = (each for each in before if each[0] == "cds_cards_total")
    assert before[shown] == 6

    killed = answered.pop()
    os.kill(killed, signal.SIGKILL)
    until(lambda: killed not in server.workers() and len(server.workers()) == 3)
    until(lambda: read(server)["cds_workers", ""] == 3)
    until(lambda: read(server)["cds_rules_watched", ""] == 1)
    assert len(ask(server, 40)) > 1

    for told in (read(server), read(server), read(server)):
        assert told[ASKED] == told[TIMED] == 100
        assert told[shown] == 6
        assert told["cds_workers", ""] == 3
        assert told["cds_threads", ""] == 15
        assert told["cds_rulebook_behind", ""] == 0
        assert told["cds_threads_busy", ""] <= 15


def test_calls_that_wait_for_the_database_are_busy_threads_and_connections(
    server: Server, open_chart: Callable[[Server], Chart]
) -> None:
    chart, over = open_chart(server), Event()

    def keep_calling() -> None:
        while not over.is_set():
            server.call(chart.request())

    with (
        ThreadPoolExecutor(6) as ehr,
        closing(sqlite3.connect(server.folder / "store.sqlite")) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        calls = [ehr.submit(keep_calling) for _ in range(6)]
        try:
            until(lambda: read(server)["cds_threads_busy", ""] >= 6)
            until(lambda: read(server)["cds_database_connections_busy", ""] >= 1)
            assert read(server)["cds_connections_open", ""] >= 6
        finally:
            over.set()
            other.rollback()
        for each in calls:
            each.result()

    until(lambda: read(server)["cds_threads_busy", ""] <= 1)
    until(lambda: read(server)["cds_database_connections_busy", ""] == 0)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in memory, as systemd makes one for a service."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    return tmp_path


def test_a_server_that_was_killed_leaves_nothing_for_the_next_to_count(
    start_server: Callable[..., Server], memory: Path
) -> None:
    server = start_server()
    ask(server, 5)
    (left,) = memory.iterdir()
    server.kill()
    os.utime(left, (0, 0))  # long ago

    server.start()

    assert ASKED not in read(server)
    (now,) = memory.iterdir()
    assert now != left


def test_servers_of_one_machine_leave_each_other_their_numbers(
    start_server: Callable[..., Server], memory: Path
) -> None:
    first = start_server()
    ask(first, 5)
    (of_first,) = memory.iterdir()
    os.utime(of_first, (0, 0))

    second = start_server()

    assert ASKED not in read(second)
    assert read(first)[ASKED] == 5


def test_a_server_that_ends_takes_its_numbers_along(
    start_server: Callable[..., Server], memory: Path
) -> None:
    server = start_server()
    assert len(list(memory.iterdir())) == 1

    server.process.terminate()
    server.process.wait(PATIENCE)

    assert list(memory.iterdir()) == []
