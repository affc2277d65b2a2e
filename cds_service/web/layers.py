"""What surrounds every request, in layers; the outermost numbers, times and logs it.

Flask would call each of them by itself. Here they stand in one list, in ``app.py``, and
there is one hook before a request and one after it. Flask-CORS has a hook of its own.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO
from uuid import uuid4

from flask import Flask, Response, g, request

from .log import build_logger
from .metrics import Metrics
from .notes import read_notes

METHODS = {"GET", "HEAD", "OPTIONS", "POST"}


def _pass() -> None:
    """Let every request in."""


def _keep(response: Response) -> Response:
    return response


@dataclass(frozen=True, slots=True)
class Layer:
    """What is done before a request is looked at, and after it was answered."""

    before: Callable[[], None] = _pass
    """May refuse it; then no layer within is asked."""
    after: Callable[[Response], Response] = _keep
    """Sees every answer, of layers within and of refusals as well."""


def surround(app: Flask, layers: Sequence[Layer]) -> None:
    """Put the layers around every request of *app*, the first one outermost."""
    ahead = [each.before for each in layers if each.before is not _pass]
    behind = [each.after for each in reversed(layers) if each.after is not _keep]

    @app.before_request
    def before() -> None:
        for work in ahead:
            work()

    @app.after_request
    def after(response: Response) -> Response:
        for work in behind:
            response = work(response)
        return response


def observe_requests(app: Flask, log: BinaryIO | None) -> Layer:
    """Number, time, count and log every request of *app*; a log of None is silent."""
    metrics = app.extensions["cds_metrics"] = Metrics()
    write = build_logger(log).info if log else None

    def begin() -> None:
        g.started = time.perf_counter()
        g.request_id = str(uuid4())

    def finish(response: Response) -> Response:
        seconds = time.perf_counter() - g.started
        response.headers["X-Request-Id"] = g.request_id
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.method in METHODS else "OTHER"
        metrics.count(route, method, response.status_code, seconds)
        if write:
            write(
                "request",
                request_id=g.request_id,
                method=method,
                route=route,
                status=response.status_code,
                milliseconds=round(seconds * 1000, 1),
                **read_notes(),
            )
        return response

    return Layer(begin, finish)
