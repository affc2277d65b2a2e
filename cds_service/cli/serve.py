"""``cds-service serve``: the server under gunicorn."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.http.errors import (
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from ..app import build_world, create_app, settle
from ..config import Config, InvalidConfig, load_config
from ..fhir.models import check_resource
from ..rulebook.load import InvalidRulebook, load_rulebook
from ..store.records import StoreError
from ..web.errors import build_outcome
from ..web.json import render_json

SLACK = 30
"""Seconds that a worker has beyond the deadline for reading the chart: a hung thread is
given up, a slow FHIR server never is."""
ARRIVAL = 20
"""Seconds in which a request has to arrive; whoever sends no more holds no thread."""
KEEP_ALIVE = 75
"""Seconds; longer than a load balancer in front keeps its connections."""


@click.command()
def serve() -> None:
    """Serve over HTTP under gunicorn, as the CDS_ variables of the environment say.

    Rules and settings are checked first; nothing is served if one of them is wrong.
    """
    try:
        config = load_config()
        rulebook = load_rulebook(config.rules, check_resource)
        build_world(config, rulebook).store.migrate()
    except (InvalidConfig, StoreError) as error:
        raise click.ClickException(str(error)) from error
    except InvalidRulebook as error:
        hint = f"see `cds-service check {config.rules}`"
        text = f"the rules cannot be served; {hint}\n{error}"
        raise click.ClickException(text) from error
    for warning in config.warnings():
        click.echo(f"warning: {warning}", err=True)
    click.echo(
        f"{len(rulebook.rules)} rules for {len(rulebook.services)} services; "
        f"discovery at {config.public_url}/cds-services",
        err=True,
    )
    server = Server(config, lambda: create_app(config, build_world(config, rulebook)))
    server.run()  # type: ignore[no-untyped-call]


class Server(BaseApplication):
    """gunicorn, set up from our own settings; each worker builds an app of its own."""

    def __init__(self, config: Config, build: Callable[[], Flask]) -> None:
        self._config = config
        self._build = build
        super().__init__()  # type: ignore[no-untyped-call]

    def load_config(self) -> None:
        """Tell gunicorn its settings."""
        settings: Any = self.cfg
        for name, value in build_settings(self._config).items():
            settings.set(name, value)

    def load(self) -> Flask:
        """The app of one worker, built after the fork."""
        app = self._build()
        settle()
        return app


def build_settings(config: Config) -> dict[str, Any]:
    """gunicorn's settings."""
    return {
        "bind": f"{config.host}:{config.port}",
        "workers": config.workers,
        "threads": config.threads,
        "worker_class": f"{__name__}.Worker",
        "timeout": config.gather_deadline_ms // 1000 + SLACK,
        "graceful_timeout": SLACK,
        "keepalive": KEEP_ALIVE,
        "loglevel": str(config.log_level).lower(),
        "control_socket_disable": True,
        "proc_name": "cds-service",
    }


class Worker(ThreadWorker):
    """Answers what is not HTTP as an OperationOutcome, and logs no word of it.

    It waits for no request longer than ``ARRIVAL``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._begun: dict[Any, float] = {}

    def handle(self, conn: Any) -> Any:
        """Read a request and answer it, in a thread of its own."""
        self._begun[conn] = time.monotonic()
        try:
            return super().handle(conn)  # type: ignore[no-untyped-call]
        finally:
            del self._begun[conn]

    def notify(self) -> None:
        """Tell the master that this worker lives, and give slow senders up.

        Only the reading ends: a request that arrived in time is answered, however
        long that takes.
        """
        super().notify()  # type: ignore[no-untyped-call]
        oldest = time.monotonic() - ARRIVAL
        for conn, begun in self._begun.copy().items():
            if begun < oldest:
                with suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a request that never reached the app."""
        status = find_status(exc)
        self.log.warning("request not understood: %s", type(exc).__name__)
        body = render_json(build_outcome(status))
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            "Connection: close\r\nCache-Control: no-store\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            write_nonblock(client, head.encode() + body)
        except OSError:
            self.log.debug("the client did not wait for its answer")


def find_status(error: Exception) -> int:
    """The HTTP status that a fault in HTTP itself deserves."""
    if isinstance(error, LimitRequestLine):
        return 414
    if isinstance(error, LimitRequestHeaders):
        return 431
    if isinstance(error, UnsupportedTransferCoding):
        return 501
    return 400 if isinstance(error, ParseException) else 500
