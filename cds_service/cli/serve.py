"""``cds-service serve``: the server under gunicorn."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import click
import gunicorn.arbiter
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

from ..app import build_world, open_rulebook, start_app
from ..config import Config, InvalidConfig, Reload, load_config
from ..rulebook.load import InvalidRulebook
from ..store.records import StoreError
from ..store.store import Store
from ..web.errors import build_outcome
from ..web.json import render_json

SLACK = 30
"""Seconds that a worker has beyond the deadline for reading the chart: a hung thread is
given up, a slow FHIR server never is."""
ARRIVAL = 20
"""Seconds in which a request has to arrive; whoever sends no more holds no thread."""
AGAIN = 2.0
"""Seconds between two starts of the watcher of the rules."""
PATIENCE = 5.0
"""Seconds that the watcher has to end."""
KEEP_ALIVE = 75
"""Seconds; longer than a load balancer in front keeps its connections."""


@click.command()
def serve() -> None:
    """Serve over HTTP under gunicorn, as the CDS_ variables of the environment say.

    Settings and rules are checked first, and the rules tested. Nothing is served where
    a setting is wrong. Where the rules are, the last good ones are served, if there are
    any. Rules that change on disk are tested and served by themselves.
    """
    holder = str(uuid4())
    try:
        config = load_config()
        store = Store.open(config.database_url)
        store.migrate()
        opening = open_rulebook(config, store, holder)
        store.close()
    except (InvalidConfig, StoreError) as error:
        raise click.ClickException(str(error)) from error
    except InvalidRulebook as error:
        hint = f"see `cds-service check {config.rules}`"
        text = f"the rules cannot be served; {hint}\n{error}"
        raise click.ClickException(text) from error
    rulebook = opening.rulebook
    for warning in (*config.warnings(), *filter(None, [opening.notice])):
        click.echo(f"warning: {warning}", err=True)
    click.echo(
        f"{len(rulebook.rules)} rules for {len(rulebook.services)} services; "
        f"discovery at {config.public_url}/cds-services",
        err=True,
    )
    server = Server(config, lambda: start_app(build_world(config, rulebook)))
    watcher = Watcher(config, holder) if config.reload is Reload.ON else None
    Arbiter(server, watcher).run()  # type: ignore[no-untyped-call]


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
        return self._build()


class Arbiter(gunicorn.arbiter.Arbiter):
    """gunicorn's master, which keeps the watcher of the rules alive as well."""

    def __init__(self, server: Server, watcher: "Watcher | None") -> None:
        self._watcher = watcher
        super().__init__(server)  # type: ignore[no-untyped-call]

    def manage_workers(self) -> None:
        """Start what is missing; called about every second."""
        super().manage_workers()  # type: ignore[no-untyped-call]
        if self._watcher:
            self._watcher.keep()

    def stop(self, graceful: bool = True) -> None:
        """End the watcher, then the workers."""
        if self._watcher:
            self._watcher.end()
        super().stop(graceful)  # type: ignore[no-untyped-call]


class Watcher:
    """``cds-service publish --watch`` as a child of this process."""

    def __init__(self, config: Config, holder: str) -> None:
        self._config = config
        self._holder = holder
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0

    def keep(self) -> None:
        """Start it unless it runs; one that ends at once is not started at once."""
        if self._process and self._process.poll() is None:
            return
        if time.monotonic() < self._not_before:
            return
        self._not_before = time.monotonic() + AGAIN
        own = ["--watch", "--holder", self._holder, "--parent", str(os.getpid())]
        command = [sys.executable, "-m", "cds_service.cli", "publish", *own]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def end(self) -> None:
        """Have it give its lease back and end; it is not waited for long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # It may have ended before it could: the next server should not have to wait.
        with suppress(StoreError):
            store = Store.open(self._config.database_url)
            store.publications.give_lease_back(self._holder)
            store.close()


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
