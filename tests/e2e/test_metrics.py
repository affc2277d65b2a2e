"""Whichever worker is asked tells the numbers of all; one that is killed loses none."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine

from ..waiting import PATIENCE, until

pytestmark = pytest.mark.slow

Server = Any
Chart = Any


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Server:
    """Three workers with five threads each."""
    return start_server(workers="3", threads="5", reload="on")


def read(server: Server) -> dict[tuple[str, str], float]:
    """Every number, by name and labels."""
    text = requests.get(f"{server.base}/metrics", timeout=PATIENCE).text
    return {
        (sample.name, ",".join(map("=".join, sorted(sample.labels.items())))): value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for value in [sample.value]
    }


def ask(server: Server, workers: int = 1) -> list[int]:
    """Which worker answered each time, until so many have."""
    answered: list[int] = []

    def enough() -> bool:
        told = requests.get(f"{server.base}/health", timeout=PATIENCE).json()
        answered.append(told["worker"])
        return len(set(answered)) >= workers

    until(enough)
    return answered


ASKED = ("cds_requests_total", "method=GET,route=/health,status=200")
TIMED = ("cds_request_seconds_count", "route=/health")


def test_any_worker_tells_what_all_did_and_one_that_is_killed_loses_nothing(
    server: Server, open_chart: Callable[[Server], Chart]
) -> None:
    chart = open_chart(server)
    assert server.deliver(chart.case.alerts["alerts"], "first").status_code == 202
    for _ in range(6):
        assert server.call(chart.request()).status == 200
    answered = ask(server, workers=2)
    before = read(server)
    assert before[ASKED] == before[TIMED] == len(answered)
    (shown,) = (each for each in before if each[0] == "cds_cards_total")
    assert before[shown] == 6

    killed = answered[-1]
    os.kill(killed, signal.SIGKILL)
    until(lambda: killed not in server.workers() and len(server.workers()) == 3)
    until(lambda: read(server)["cds_workers", ""] == 3)
    until(lambda: read(server)["cds_rules_watched", ""] == 1)
    answered += ask(server, workers=2)

    for told in (read(server), read(server), read(server)):
        assert told[ASKED] == told[TIMED] == len(answered)
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

    with ThreadPoolExecutor(6) as ehr:
        with held(server.database):
            calls = [ehr.submit(keep_calling) for _ in range(6)]
            try:
                until(lambda: read(server)["cds_threads_busy", ""] >= 6)
                until(lambda: read(server)["cds_database_connections_busy", ""] >= 1)
                # A call that was refused begins anew, on another connection.
                until(lambda: read(server)["cds_connections_open", ""] >= 6)
            finally:
                over.set()
        for each in calls:
            each.result()

    until(lambda: read(server)["cds_threads_busy", ""] <= 1)
    until(lambda: read(server)["cds_database_connections_busy", ""] == 0)


@contextmanager
def held(database: str) -> Iterator[None]:
    """Nobody else can record a call."""
    engine = create_engine(database)
    on_sqlite = engine.dialect.name == "sqlite"
    keep = "BEGIN IMMEDIATE" if on_sqlite else "LOCK TABLE spent_tokens, audit"
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(keep)
            yield
            connection.rollback()
    finally:
        engine.dispose()


ABOUT_FILES = pytest.mark.parametrize("kind", ["sqlite"], indirect=True, scope="module")
"""Where the numbers are kept has nothing to do with the database."""


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in memory, as systemd makes one for a service."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    return tmp_path


@ABOUT_FILES
def test_a_server_that_was_killed_leaves_nothing_for_the_next_to_count(
    start_server: Callable[..., Server], memory: Path
) -> None:
    server = start_server()
    ask(server)
    (left,) = memory.iterdir()
    server.kill()
    os.utime(left, (0, 0))  # long ago

    server.start()

    assert ASKED not in read(server)
    (now,) = memory.iterdir()
    assert now != left


@ABOUT_FILES
def test_servers_of_one_machine_leave_each_other_their_numbers(
    start_server: Callable[..., Server], memory: Path
) -> None:
    first = start_server()
    ask(first)
    (of_first,) = memory.iterdir()
    os.utime(of_first, (0, 0))

    second = start_server()

    assert ASKED not in read(second)
    assert read(first)[ASKED] == 1


@ABOUT_FILES
def test_a_server_that_ends_takes_its_numbers_along(
    start_server: Callable[..., Server], memory: Path
) -> None:
    server = start_server()
    assert len(list(memory.iterdir())) == 1

    server.process.terminate()
    server.process.wait(PATIENCE)

    assert list(memory.iterdir()) == []
