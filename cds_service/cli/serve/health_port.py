"""A port for health alone, answered by a thread of its own in each worker.

Whatever the threads, the queue and the connections of a worker are busy with, and
whoever floods the other port: a probe that asks here is answered, from memory. It has a
door like the other's, so that nobody holds it up either.
"""

import threading
from selectors import DefaultSelector
from typing import Any

from flask import Flask

from ...web.health import read_readiness
from ...web.json import render_json
from .answers import refuse, render_answer
from .connection import Connection
from .framing import Limits, Request
from .front import Front, House, Log
from .places import Bounds, Places

BOUNDS = Bounds(
    connections=64, per_address=64, held=1024 * 1024, arrival=5, keep_alive=5
)
LIMITS = Limits(line=1024, head=8192, body=0)
TURN = 1.0
"""Seconds after which the thread looks whether the worker ends."""


class HealthPort:
    """Answers ``/health/live`` and ``/health/ready`` until it is told to stop."""

    def __init__(self, listener: Any, app: Flask, log: Log) -> None:
        self._app = app
        self._ended = threading.Event()
        self._poller = DefaultSelector()
        house = House(
            take=self._take,
            refuse=refuse,
            find_peer=lambda host: None,
            find_origin=lambda host, said: None,
            context=None,
            count=app.extensions["cds_metrics"].count_given_up,
            log=log,
        )
        places = Places[Connection](BOUNDS)
        self._front = Front(self._poller, [listener], places, LIMITS, house)
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer who was let in, and end."""
        self._ended.set()
        self._thread.join(2 * TURN)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._front.turn(TURN)
        self._front.end(TURN, lambda: True)

    def _take(self, connection: Connection, request: Request) -> None:
        method, target = request.parts[0].strip().split(b" ", 2)[:2]
        answer = self._answer(target.partition(b"?")[0])
        if method not in (b"GET", b"HEAD"):
            answer = refuse(405)
        if method == b"HEAD":
            answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        connection.outgoing = memoryview(answer)
        connection.stays = False
        self._front.answer(connection)

    def _answer(self, path: bytes) -> bytes:
        if path == b"/health/live":
            return render_answer(200, render_json({"status": "alive"}))
        if path != b"/health/ready":
            return refuse(404)
        ready = read_readiness(self._app)
        return render_answer(ready.status, ready.body, ready.headers)
