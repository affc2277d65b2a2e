"""gunicorn's worker process: requests are gathered at the door, threads answer them."""

import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from selectors import EVENT_READ, BaseSelector
from typing import Any

from gunicorn.http import get_parser
from gunicorn.workers.gthread import ThreadWorker

from ...config import Config
from ...web.headers import Origins
from ...web.limits import OVERLOADED, Proxies, find_address, find_network, parse_address
from ...web.metrics import Load
from .answers import find_status, refuse
from .connection import Connection
from .framing import Limits, Request
from .front import ACCEPTED, Front, House
from .health_port import HealthPort
from .places import Bounds, Places

SPARE = "spare"
SPARE_THREADS = 2
"""Threads that say that there is no thread, and that this server lives."""
LONGEST_HEAD = 32 * 1024
"""Bytes of a request before its body."""
OTHER_DESCRIPTORS = 512
"""Files and connections of a worker to the database and to FHIR servers."""
TURN = 1.0
"""Seconds in which a worker shows that it lives."""


class Worker(ThreadWorker):
    """Answers what is not HTTP as an OperationOutcome, and logs no word of it.

    A thread is taken for a whole request alone, and never sees a socket. If too many
    requests wait for one, the next are told so by spare threads. A request that never
    ends makes the worker give itself up.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._config: Config = self.app.config
        self._begun: dict[Connection, float] = {}
        self._inside: set[Connection] = set()
        """Connections that have a thread or wait for one; for the main thread only."""
        self._most = self.cfg.threads + self._config.queue_limit
        self._gives_up = False
        # Whether a connection is kept is settled at the door.
        self.max_keepalived = self._config.connection_limit

    def init_signals(self) -> None:
        """Leave SIGHUP to the master, whoever sent it to all processes."""
        super().init_signals()  # type: ignore[no-untyped-call]
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def init_process(self) -> None:
        """Set the process up and run."""
        self._spare = ThreadPoolExecutor(SPARE_THREADS, thread_name_prefix=SPARE)
        bounds = build_bounds(self._config, self.cfg.keepalive)
        connections = allow_connections(bounds.connections)
        if connections < bounds.connections:
            self.log.warning("the system allows %d connections only", connections)
        self._places = Places[Connection](replace(bounds, connections=connections))
        super().init_process()  # type: ignore[no-untyped-call]

    def load_wsgi(self) -> None:
        """Load the app, which is told by whom it is asked."""
        super().load_wsgi()  # type: ignore[no-untyped-call]
        self._app = app = self.wsgi
        app.extensions["cds_metrics"].workload = self.tell_load
        app.extensions["cds_ends"] = self.app.farewell.is_told
        self._origins: Origins = app.extensions["cds_origins"]

        def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            spare = threading.current_thread().name.startswith(SPARE)
            environ[OVERLOADED] = spare
            answer: Iterable[bytes] = app(environ, start_response)
            return answer

        self.wsgi = wsgi

    def tell_load(self) -> Load:
        """Return what this worker has to do."""
        inside, threads = len(self._inside), self.cfg.threads
        return Load(min(inside, threads), max(0, inside - threads), len(self._places))

    def run(self) -> None:
        """Serve until told to stop; a thread that hangs must not keep the process."""
        assert self.poller and self.tpool
        queue = self.method_queue
        self.poller.register(queue.fileno(), EVENT_READ, queue.run_callbacks)
        self._front = front = self._build_front(self.poller)
        health = self._build_health_port()
        while self.alive:
            self.notify()
            front.turn(TURN)
            if not self.is_parent_alive():  # type: ignore[no-untyped-call]
                break
        self.alive = False
        front.end(self.cfg.graceful_timeout, self._has_others)
        self.tpool.shutdown(wait=False)
        if health:
            health.stop()
        if self._gives_up:
            os._exit(0)

    def _build_front(self, poller: BaseSelector) -> Front:
        config, several = self._config, self.cfg.workers > 1
        proxies = Proxies.of(config.trusted_proxies)
        house = House(
            take=self.take,
            refuse=partial(refuse, origins=self._origins),
            find_peer=partial(find_peer, proxies=proxies),
            find_origin=partial(find_origin, proxies=proxies),
            context=(
                partial(self.cfg.ssl_context, self.cfg, None)
                if self.cfg.is_ssl
                else None
            ),
            count=self._app.extensions["cds_metrics"].count_given_up,
            log=self.log,
            # One worker must not take what the others could serve as well.
            accepted=ACCEPTED // 16 if several else ACCEPTED,
        )
        listeners = self.sockets[:-1] if config.health_port else self.sockets
        limits = Limits(self.cfg.limit_request_line, LONGEST_HEAD, find_longest(config))
        return Front(poller, listeners, self._places, limits, house)

    def _build_health_port(self) -> HealthPort | None:
        if not self._config.health_port:
            return None
        port = HealthPort(self.sockets[-1], self._app, self.log)
        port.start()
        return port

    def take(self, connection: Connection, request: Request) -> None:
        """Have a thread answer; a spare one where too many wait already."""
        crowded = len(self._inside) >= self._most
        if not crowded:
            self._inside.add(connection)
        pool = self._spare if crowded else self.tpool
        assert pool
        done = pool.submit(self.serve, connection, request)
        done.add_done_callback(
            lambda future: self.method_queue.defer(self._finish, connection, future)
        )

    def _finish(self, connection: Connection, done: Future[None]) -> None:
        self._inside.discard(connection)
        done.result()
        self._front.answer(connection)

    def serve(self, connection: Connection, request: Request) -> None:
        """Answer a request, in a thread of its own."""
        self._begun[connection] = time.monotonic()
        sink, message = Sink(), None
        try:
            source = iter([each for each in request.parts if each])
            message = next(get_parser(self.cfg, source, connection.client))
            # It was said at the door, where the sender waited for it.
            message._expected_100_continue = False
            if request.cut or message.method == "CONNECT":
                message.force_close()
            exchange = Exchange(sink, connection.client, connection.server)
            handle: Callable[..., bool] = self.handle_request
            stays = handle(message, exchange)
        except (Exception, SystemExit) as error:
            self.log.warning("request not understood: %s", type(error).__name__)
            status = find_status(error)
            sink.sent = [refuse(status, "", request.head, self._origins)]
            stays = False
        finally:
            del self._begun[connection]
        connection.outgoing = memoryview(b"".join(sink.sent))
        connection.stays = stays
        connection.try_to_send()

    def notify(self) -> None:
        """Tell the master that this worker lives, unless a request never ends."""
        super().notify()  # type: ignore[no-untyped-call]
        if self._count_hanging() and not self._gives_up:
            self.log.error("a request does not end; this worker stops")
            self._gives_up = True
            self.alive = False

    def _count_hanging(self) -> int:
        latest = time.monotonic() - self.cfg.timeout
        return sum(begun < latest for begun in self._begun.copy().values())

    def _has_others(self) -> bool:
        """Whether there is anybody who could be answered beside what never ends."""
        self.notify()
        hanging = self._count_hanging()
        return hanging < self.cfg.threads and len(self._places) > hanging


class Sink:
    """What gunicorn takes for a socket: it keeps what is to be sent.

    It is sent when it is whole, so that no thread waits for the other end.
    """

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        """Keep the next part."""
        self.sent.append(bytes(data))

    def shutdown(self, how: int) -> None:
        """Refuse: what cannot be finished is not sent at all."""
        raise OSError("this is no socket")

    def close(self) -> None:
        """Do nothing: the connection is closed at the door."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What gunicorn takes for a connection."""

    sock: Sink
    client: Any
    server: Any


def build_bounds(config: Config, keep_alive: float) -> Bounds:
    """Return how many may be connected, with how much, for how long."""
    return Bounds(
        connections=config.connection_limit,
        per_address=config.address_connection_limit,
        held=max(config.held_byte_limit, 2 * find_longest(config)),
        arrival=config.arrival_deadline_ms / 1000,
        keep_alive=keep_alive,
    )


def find_longest(config: Config) -> int:
    """Return the bytes of the longest body that anything here takes."""
    return max(config.body_limit, config.alert_body_limit, config.source_body_limit)


def allow_connections(wanted: int) -> int:
    """Return how many connections the system allows, having asked it for enough."""
    needed = wanted + OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    if hard != resource.RLIM_INFINITY:
        needed = min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    return max(needed - OTHER_DESCRIPTORS, min(wanted, soft // 2))


def find_peer(host: str, proxies: Proxies) -> str | None:
    """Return what a connection is counted under; None for a listed proxy."""
    address = parse_address(host)
    return None if address and address in proxies else find_network(host)


def find_origin(host: str, forwarded_for: str, proxies: Proxies) -> str | None:
    """Return for whom a listed proxy asks; None where it is no such proxy."""
    if find_peer(host, proxies) is not None:
        return None
    said = {"REMOTE_ADDR": host, "HTTP_X_FORWARDED_FOR": forwarded_for}
    return find_network(find_address(said, proxies))
