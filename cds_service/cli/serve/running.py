"""The server under gunicorn, from good settings until it is told to end."""

import mmap
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import click
import gunicorn.arbiter
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from ...app import settle, start_app
from ...config import Config, InvalidConfig, Reload, load_config
from ...config.destinations import find_untold
from ...rulebook.load import InvalidRulebook
from ...starting import build_world, open_rulebook, record_configuration
from ...store.condition.files import Place
from ...store.records import StoreError, StoreTooNew
from ...store.store import Store
from ...web.log import say
from ...web.metrics import forget_worker
from .tls import Contexts, check_tls

SLACK = 30
"""Seconds that a worker has beyond the deadline of a call: a hung thread is given up, a
slow FHIR server never is."""
AGAIN = 2.0
"""Seconds between two starts of the watcher of the rules."""
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
PATIENCE = 5.0
"""Seconds that the watcher has to end."""
KEEP_ALIVE = 75
"""Seconds; longer than a load balancer in front keeps its connections."""
LONGEST_LINE = 4094
"""Bytes of method, path and query."""
MOST_HEADERS = 64
LONGEST_HEADER = 8190
"""Bytes; a token is less than half of that."""


class TooNew(click.ClickException):
    """To start again would not help; a service manager should be told not to."""

    exit_code = 3


def run(config: Config) -> None:
    """Check and test the rules, then serve until told to end.

    Raises:
        click.ClickException: if nothing can be served; says why.
    """
    holder = str(uuid4())
    try:
        store = Store.open(config.database_url, limits=config.database_limits)
        store.migrate()
        opening = open_rulebook(config, store, holder)
        change = record_configuration(config, store, datetime.now(UTC))
        place = store.place
        store.close()
    except StoreTooNew as error:
        raise TooNew(str(error)) from error
    except (InvalidConfig, StoreError) as error:
        raise click.ClickException(str(error)) from error
    except InvalidRulebook as error:
        hint = f"see `cds-service check {config.rules}`"
        text = f"the rules cannot be served; {hint}\n{error}"
        raise click.ClickException(text) from error
    rulebook = opening.rulebook
    untold = find_untold(config.clients.destinations, rulebook.catalogue)
    for each in [opening.notice] * bool(opening.notice) + [*untold]:
        click.echo(f"warning: {each}", err=True)
    if change:
        click.echo(change, err=True)
    click.echo(
        f"{len(rulebook.rules)} rules for {len(rulebook.services)} services; "
        f"discovery at {config.public_url}/cds-services",
        err=True,
    )

    def build(config: Config) -> Flask:
        url, limits = config.database_url, config.database_limits
        # A worker that comes later must not begin with another file than the others.
        store = Store.open(url, limits=limits, place=place)
        return start_app(build_world(config, rulebook, store), opening.documents)

    server = GunicornServer(config, build, place)
    watcher = PublishingChild(config, holder) if config.reload is Reload.ON else None
    # Before the workers are forked, so that what is here to stay is in memory once.
    settle()
    Arbiter(server, watcher).run()  # type: ignore[no-untyped-call]


class GunicornServer(BaseApplication):
    """gunicorn, set up from our own settings; each worker builds an app of its own."""

    def __init__(
        self,
        config: Config,
        build: Callable[[Config], Flask],
        place: Place | None = None,
    ) -> None:
        self._config = config
        self._build = build
        self._place = place
        self.change = ""
        self.farewell = Farewell()
        super().__init__()  # type: ignore[no-untyped-call]

    def take_up(self) -> bool:
        """Take the settings as they are now; where they cannot be, say why."""
        try:
            self._config, self.change = reread(self._config, self._place)
        except (InvalidConfig, StoreError) as error:
            say("settings refused", level="error", problems=str(error).split("\n"))
            return False
        return True

    @property
    def config(self) -> Config:
        """Our own settings."""
        return self._config

    def load_config(self) -> None:
        """Tell gunicorn its settings."""
        settings: Any = self.cfg
        for name, value in build_settings(self._config).items():
            settings.set(name, value)

    def load(self) -> Flask:
        """Return the app of one worker, built after the fork."""
        return self._build(self._config)


class Farewell:
    """Whether the server ends; told by the master, and seen by all its workers."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)

    def tell(self) -> None:
        """Have all know that it does."""
        self._shared[0] = 1

    def is_told(self) -> bool:
        """Check whether it does."""
        return self._shared[0] == 1


class Arbiter(gunicorn.arbiter.Arbiter):
    """gunicorn's master, which keeps the watcher of the rules alive as well."""

    def __init__(
        self, server: GunicornServer, watcher: "PublishingChild | None"
    ) -> None:
        self._watcher = watcher
        super().__init__(server)  # type: ignore[no-untyped-call]
        # What SIGUSR2 starts: this program as it is installed by then.
        again = [sys.executable, "-m", "cds_service.cli", *sys.argv[1:]]
        self.START_CTX = {**self.START_CTX, "args": again}

    def manage_workers(self) -> None:
        """Start what is missing; called about every second."""
        super().manage_workers()  # type: ignore[no-untyped-call]
        if self._watcher:
            self._watcher.keep()

    def reload(self) -> None:
        """Have new workers serve by the settings as they are now, if they are right.

        Those of before take no connection from then on, and finish what they have.
        """
        if not self.app.take_up():
            return
        super().reload()  # type: ignore[no-untyped-call]
        say("settings taken", change=self.app.change)

    def stop(self, graceful: bool = True) -> None:
        """End the watcher, then the workers, once others could see that it ends."""
        if self._watcher:
            self._watcher.end()
        # Who took over the sockets answers on them; nobody has to look elsewhere.
        if graceful and not self.reexec_pid:
            self._drain()
        super().stop(graceful)  # type: ignore[no-untyped-call]

    def _drain(self) -> None:
        """Go on for a while, not ready any more; another signal to end ends it."""
        self.app.farewell.tell()
        until = time.monotonic() + self.app.config.drain_ms / 1000
        while (left := until - time.monotonic()) > 0:
            with suppress(queue.Empty):
                # That a child has ended stands in there as well.
                if self.SIG_QUEUE.get(timeout=left) in ENDING:
                    return


LASTING = ("database_url", "host", "port", "reload", "rules", "profile")
"""Settings that are those of the start until the end."""


def reread(before: Config, place: Place | None) -> tuple[Config, str]:
    """Return the settings, clients and keys as they are now, and what changed in them.

    That is in the audit trail by then.

    Raises:
        InvalidConfig: if they are wrong, or one differs that cannot change in service.
        StoreError: if the change cannot be recorded.
    """
    now = datetime.now(UTC)
    config = load_config()
    fixed = [each for each in LASTING if getattr(config, each) != getattr(before, each)]
    if fixed:
        raise InvalidConfig(
            [f"CDS_{each.upper()}: takes a new start" for each in fixed]
        )
    warnings = [*config.warnings(), *check_tls(config, now)]
    build_settings(config)
    url, limits = config.database_url, config.database_limits
    store = Store.open(url, create=False, limits=limits, place=place)
    try:
        change = record_configuration(config, store, now)
    finally:
        store.close()
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    return config, change or "nothing has changed"


class PublishingChild:
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
        self._process = subprocess.Popen(  # nosec B603 # this program, no shell
            command, stdin=subprocess.DEVNULL
        )

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
            url, limits = self._config.database_url, self._config.database_limits
            store = Store.open(url, create=False, limits=limits)
            store.publications.give_lease_back(self._holder)
            store.close()


def build_settings(config: Config) -> dict[str, Any]:
    """gunicorn's settings.

    No header of a proxy changes what gunicorn takes a request for, and the variable
    ``FORWARDED_ALLOW_IPS`` is not read.
    """
    ports = (config.port, config.health_port)
    deadline = (config.gather_deadline_ms + config.answer_deadline_ms) // 1000
    return {
        # That of health is the last, as the worker expects.
        "bind": [f"{config.host}:{each}" for each in ports if each is not None],
        "workers": config.workers,
        "threads": config.threads,
        "worker_class": f"{__package__}.worker.Worker",
        "worker_connections": config.connection_limit,
        "timeout": deadline + SLACK,
        "graceful_timeout": SLACK,
        "keepalive": KEEP_ALIVE,
        "sendfile": False,
        "limit_request_line": LONGEST_LINE,
        "limit_request_fields": MOST_HEADERS,
        "limit_request_field_size": LONGEST_HEADER,
        "forwarded_allow_ips": "",
        "secure_scheme_headers": {},
        "forwarder_headers": "",
        "loglevel": str(config.log_level).lower(),
        "logger_class": GunicornLog,
        "pre_request": keep_quiet,
        "child_exit": forget,
        "control_socket_disable": True,
        "proc_name": "cds-service",
        **(build_tls_settings(config) if config.tls_cert else {}),
    }


def build_tls_settings(config: Config) -> dict[str, Any]:
    """gunicorn's settings where it speaks TLS itself."""
    contexts = Contexts(config, partial(click.echo, err=True))
    return {
        "certfile": str(config.tls_cert),
        "keyfile": str(config.tls_key),
        "ssl_context": lambda conf, usual: contexts.current(),
    }


# gunicorn's log, without what callers sent


class GunicornLog(Logger):
    """Leaves the values out of gunicorn's lines for debugging.

    They quote the head of a message that broke off, and its token with it.
    """

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Write the sentence alone."""
        sentence = str(msg).replace("%s", "…")
        super().debug("%s", sentence)  # type: ignore[no-untyped-call]


def forget(arbiter: Any, worker: Any) -> None:
    """Have the metrics count a worker among the living no more, however it ended."""
    forget_worker(worker.pid)


def keep_quiet(worker: Any, request: Any) -> None:
    """Say nothing of a request; gunicorn would tell its path, whatever is in it."""
