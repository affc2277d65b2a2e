"""Readings that a real server took are there, whatever became of its workers."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from ..waiting import PATIENCE, until

KILLS = 20
AT_ONCE = 5
"""Readings of a delivery."""
Server = Any


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Server:
    """Two workers; patients agree."""
    return start_server(workers="2", wearables_consent="assumed")


def readings(sender: int, number: int) -> list[dict[str, Any]]:
    """Of a patient for each sender, and a minute for each reading."""
    first = (number - 1) * AT_ONCE
    return [
        {
            "patient": f"killed-{sender}",
            "metric": "heart-rate",
            "value": 72,
            "unit": "/min",
            "start": f"2026-{1 + each // 40_000:02}-{1 + each // 1440 % 28:02}"
            f"T{each // 60 % 24:02}:{each % 60:02}:00+01:00",
        }
        for each in range(first, first + AT_ONCE)
    ]


def hold_all(acknowledged: Counter[int], server: Server) -> None:
    """Check that of every sender all is kept that was acknowledged, each once.

    What was on its way when the worker died may be kept as well.
    """
    stored = dict(
        server.rows(
            "select s.patient_id, count(*) from samples"
            " join sample_streams s on s.id = samples.stream"
            " where s.patient_id like 'killed-%' group by s.patient_id"
        )
    )
    for sender, deliveries in acknowledged.items():
        at_least, kept = deliveries * AT_ONCE, stored[f"killed-{sender}"]
        assert at_least <= kept <= at_least + AT_ONCE


def test_what_was_acknowledged_is_stored_once_though_workers_are_killed(
    server: Server,
) -> None:
    stop = threading.Event()
    acknowledged: Counter[int] = Counter()
    statuses: Counter[int] = Counter()

    def send(sender: int) -> None:
        number = 1
        while not stop.is_set():
            try:
                response = server.measure(
                    readings(sender, number), f"{sender}-{number}"
                )
            except requests.RequestException:
                continue  # the worker died: the same again
            statuses[response.status_code] += 1
            if response.status_code == 202:
                acknowledged[sender] += 1
                number += 1

    def more() -> None:
        before = acknowledged.total()
        until(lambda: acknowledged.total() > before, lambda: statuses)

    with ThreadPoolExecutor(4) as pool:
        senders = [pool.submit(send, each) for each in range(4)]
        try:
            for _ in range(KILLS):
                more()
                os.kill(server.workers()[0], signal.SIGKILL)
                until(lambda: len(server.workers()) == 2)
            more()
        finally:
            stop.set()
    for sender in senders:
        sender.result(PATIENCE)

    hold_all(acknowledged, server)
    assert set(statuses) <= {202, 409, 503}
    assert server.breaks() == []


def test_a_delivery_answered_twice_is_answered_the_same(server: Server) -> None:
    body = readings(9, 1)
    first = server.measure(body, "twice")
    again = server.measure(body, "twice")
    assert (first.status_code, first.json()["accepted"]) == (202, AT_ONCE)
    assert (again.status_code, again.content) == (202, first.content)
    anew = server.measure(body, "thrice")
    assert anew.json()["duplicate"] == AT_ONCE
