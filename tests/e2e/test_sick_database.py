"""The disk and the database go wrong under a server that runs: it says so and stops.

What was acknowledged is stored; what could not be stored was never acknowledged.
"""

import json
import os
import resource
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from cds_service.audit import verify
from cds_service.store.store import Store

from ..waiting import PATIENCE, until, whole_lines

pytestmark = pytest.mark.slow

Server = Any
Chart = Any
OpenChart = Callable[[Server], Chart]
SERVICE = "/cds-services/wearable-review"
LARGEST = 256 * 1024
"""Bytes that a file may have where there is no more room."""


def remove(file: Path) -> None:
    file.unlink()


def replace(file: Path) -> None:
    shutil.copy(file, file.with_name("copy"))
    file.with_name("copy").replace(file)


def remove_wal(file: Path) -> None:
    file.with_name(f"{file.name}-wal").unlink()


def deliver(server: Server, chart: Chart, key: str) -> int:
    """The status of a watch's delivery."""
    status: int = server.deliver(chart.case.alerts["alerts"], key).status_code
    return status


def everything(server: Server, chart: Chart, card: str) -> dict[str, int]:
    """The status of one message of each kind."""
    consent = {
        "resourceType": "Consent",
        "id": "c1",
        "meta": {"lastUpdated": datetime.now(UTC).isoformat()},
        "status": "active",
        "patient": {"reference": f"Patient/{chart.case.name}"},
        "provision": {"type": "permit"},
    }
    entry = {"card": card, "outcome": "accepted", "outcomeTimestamp": "2026-11-29T"}
    entry["outcomeTimestamp"] += "12:00:00Z"
    entry["acceptedSuggestions"] = [{"id": str(uuid4())}]
    feedback = json.dumps({"feedback": [entry]}).encode()
    return {
        "alerts": deliver(server, chart, str(uuid4())),
        "call": server.post(json.dumps(chart.request()).encode()).status,
        "feedback": server.post(feedback, f"{SERVICE}/feedback").status,
        "consents": server.tell(consent, str(uuid4())).status_code,
    }


def readiness(server: Server) -> int:
    answer = requests.get(f"{server.base}/health/ready", timeout=PATIENCE)
    return answer.status_code


def health(server: Server) -> Any:
    return requests.get(f"{server.base}/health", timeout=PATIENCE).json()


def told(server: Server, event: str) -> list[dict[str, Any]]:
    """The lines of the log about an event."""
    lines = whole_lines(server.folder / "log")
    return [json.loads(each) for each in lines if f'"event":"{event}"' in each]


WELL = {"alerts": 202, "call": 200, "feedback": 200, "consents": 202}
REFUSED = dict.fromkeys(WELL, 503)


@pytest.mark.parametrize(
    ("meddle", "survives"), [(remove, False), (replace, True), (remove_wal, True)]
)
def test_nothing_is_acknowledged_into_files_that_are_not_the_database_any_more(
    start_server: Callable[..., Server],
    open_chart: OpenChart,
    meddle: Callable[[Path], None],
    survives: bool,
) -> None:
    server = start_server(workers="2")
    file = server.folder / "store.sqlite"
    chart = open_chart(server)
    assert deliver(server, chart, "before") == 202
    card = server.call(chart.request()).json["cards"][0]["uuid"]
    assert everything(server, chart, card) == WELL
    meddle(file)

    statuses = [deliver(server, chart, f"after-{each}") for each in range(20)]

    assert statuses == [503] * 20
    assert everything(server, chart, card) == REFUSED
    until(lambda: readiness(server) == 503)
    until(lambda: "files" in [each["kind"] for each in told(server, "not ready")])
    # A worker that nobody asked so far knows at its next look.
    until(lambda: health(server)["status"] == "failing", lambda: health(server))
    assert requests.get(f"{server.base}/health/live", timeout=PATIENCE).ok

    os.kill(server.workers()[0], signal.SIGKILL)
    until(lambda: len(server.workers()) == 2)
    assert [deliver(server, chart, f"later-{each}") for each in range(4)] == [503] * 4

    if not survives:
        os.kill(until(server.watchers)[0], signal.SIGKILL)
        until(
            lambda: "there is no such database" in (server.folder / "log").read_text()
        )
        assert not file.exists()

    server.kill()
    server.start()
    chart = open_chart(server)
    kept = {key.split()[1] for (key,) in server.rows("select key from deliveries")}
    assert ("before" in kept) is survives
    assert everything(server, chart, card) == WELL
    assert verify(Store.open(server.database)) == []


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Iterator[Server]:
    """One worker; what it stored in the end is an unbroken chain."""
    running = start_server()
    yield running
    assert verify(Store.open(running.database)) == []


@pytest.fixture(scope="module")
def chart(server: Server, open_chart: OpenChart) -> Chart:
    return open_chart(server)


@contextmanager
def no_room(process: int) -> Iterator[None]:
    """While a process can write no file further than so far, as on a full disk."""
    _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (LARGEST, hard))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (hard, hard))


def test_where_there_is_no_room_it_is_not_ready_until_there_is(
    server: Server, chart: Chart
) -> None:
    file = server.folder / "store.sqlite"
    assert file.stat().st_size > LARGEST
    (worker,) = server.workers()
    acknowledged = []
    with no_room(worker):
        for number in count():
            status = deliver(server, chart, f"no-room-{number}")
            if status == 503:
                break
            acknowledged.append(f"no-room-{number}")
        assert status == 503
        until(lambda: readiness(server) == 503)
        line = until(lambda: told(server, "not ready"))[0]
        assert line["kind"] in ("SQLITE_IOERR_WRITE", "SQLITE_FULL")
        assert line["database"] == server.database
        assert line["free_bytes"] > 0
        metrics = requests.get(f"{server.base}/metrics", timeout=PATIENCE).text
        assert f'cds_store_failures_total{{kind="{line["kind"]}"}}' in metrics

    until(lambda: readiness(server) == 200)
    # The large row of the next look ends the fault.
    until(lambda: told(server, "ready again"))
    assert deliver(server, chart, "room-again") == 202
    found = server.rows("select key from deliveries where status")
    kept = {key.split()[1] for (key,) in found}
    assert {*acknowledged, "room-again"} <= kept
    assert server.workers() == [worker]


def test_while_another_process_keeps_the_database_it_is_not_ready(
    server: Server, chart: Chart
) -> None:
    file = server.folder / "store.sqlite"
    with closing(
        sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        assert server.post(json.dumps(chart.request()).encode()).status == 503
        assert time.monotonic() - begun < PATIENCE / 2
        until(lambda: readiness(server) == 503)

    until(lambda: readiness(server) == 200)
    assert server.call(chart.request()).status == 200
