"""A worker with more to do than threads to do it, and one whose thread hangs."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests

from ...waiting import PATIENCE, until, with_time_enough
from .small import serving

pytestmark = pytest.mark.slow

Start = Callable[[int, int], str]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server of one thread; its calls end when ``release`` is there."""
    with ExitStack() as running:

        def make(seconds: int, queue: int) -> str:
            server = serving(tmp_path, seconds, 2 * PATIENCE, queue_limit=queue)
            return running.enter_context(server).base

        yield make


def begin(base: str, name: str) -> HTTPConnection:
    """A call that was sent, and so stands before all that are sent later."""
    connection = HTTPConnection(base.removeprefix("http://"), timeout=PATIENCE)
    connection.request("POST", f"/cds-services/{name}", b"{}")
    return connection


def call(base: str, name: str) -> requests.Response:
    return requests.post(f"{base}/cds-services/{name}", b"{}", timeout=PATIENCE)


def test_who_finds_too_many_waiting_is_told_so_at_once(
    start: Start, tmp_path: Path
) -> None:
    base = start(PATIENCE, 2)
    served = [begin(base, "first")]
    until((tmp_path / "first").exists)
    served += [begin(base, name) for name in ("second", "third")]

    def crowded() -> bool:
        with suppress(requests.Timeout):
            requests.get(f"{base}/health", timeout=1)
            return True
        return False

    # As long as a place is left, a question waits for the thread like a call.
    until(crowded)
    refused = call(base, "fourth")
    alive = requests.get(f"{base}/health", timeout=PATIENCE)
    (tmp_path / "release").touch()

    answered = [each.getresponse() for each in served]
    for answer, connection in zip(answered, served, strict=True):
        answer.read()
        connection.close()

    assert [each.status for each in answered] == [200, 200, 200]
    assert alive.status_code == 200
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json()["resourceType"] == "OperationOutcome"
    assert not (tmp_path / "fourth").exists()
    # A place is free when the worker has seen its answer off, a moment after it came.
    until(lambda: call(base, "fifth").status_code == 200)


def test_who_sends_nothing_takes_no_thread(start: Start, tmp_path: Path) -> None:
    base = start(PATIENCE, 0)
    (tmp_path / "release").touch()
    host, port = base.removeprefix("http://").split(":")
    with ExitStack() as idle:
        for _ in range(20):
            idle.enter_context(socket.create_connection((host, int(port))))

        assert call(base, "one").status_code == 200


def test_a_request_that_never_ends_has_its_worker_replaced(tmp_path: Path) -> None:
    def log_of(seconds: float) -> str:
        folder = tmp_path / f"{seconds}"
        folder.mkdir()
        with serving(folder, int(seconds), 2 * PATIENCE, queue_limit=10) as server:
            until(lambda: worker_of(server.base))
            with ThreadPoolExecutor(1) as beside:
                before = server.log.count("Booting worker")
                hanging = beside.submit(call, server.base, "hanging")
                until(lambda: (folder / "hanging").exists() or hanging.done())
                until(lambda: server.log.count("Booting worker") > before)
                with pytest.raises(requests.ConnectionError):
                    hanging.result()
            assert until(lambda: worker_of(server.base))
            return server.log

    # The master kills a worker that it has not heard of for as long: a busy machine.
    with_time_enough(log_of, lambda log: "this worker stops" in log, 5.0)


def worker_of(base: str) -> str:
    """The worker that answers, if one does."""
    with suppress(requests.ConnectionError, requests.Timeout):
        answer = requests.get(f"{base}/health", timeout=5)
        return answer.text if answer.ok else ""
    return ""
