"""gunicorn's worker process, and what it does with what is slow, broken or too much."""

import os
import socket
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any

from gunicorn.http.errors import (
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import TConn, ThreadWorker

from ...web.errors import build_outcome
from ...web.headers import HEADERS
from ...web.json import render_json
from ...web.limits import OVERLOADED
from ...web.metrics import Load

ARRIVAL = 20
"""Seconds in which a request has to arrive; whoever sends no more holds no thread."""
SPARE = "spare"
SPARE_THREADS = 2
"""Threads that say that there is no thread, and that this server lives."""


class Worker(ThreadWorker):
    """Answers what is not HTTP as an OperationOutcome, and logs no word of it.

    It waits for no request longer than ``ARRIVAL``. A connection takes a thread when
    its first bytes are there; if too many wait for one, the next are told so by spare
    threads. A request that never ends makes the worker give itself up.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._begun: dict[TConn, float] = {}
        self._inside: set[TConn] = set()
        """Connections that have a thread or wait for one; for the main thread only."""
        self._most = self.cfg.threads + self.app.queue_limit
        self._gives_up = False

    def init_process(self) -> None:
        """Set the process up and run."""
        self._spare = ThreadPoolExecutor(SPARE_THREADS, thread_name_prefix=SPARE)
        super().init_process()  # type: ignore[no-untyped-call]

    def load_wsgi(self) -> None:
        """Load the app, which is told by whom it is asked."""
        super().load_wsgi()  # type: ignore[no-untyped-call]
        app = self.wsgi
        app.extensions["cds_metrics"].workload = self.tell_load

        def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            spare = threading.current_thread().name.startswith(SPARE)
            environ[OVERLOADED] = spare
            answer: Iterable[bytes] = app(environ, start_response)
            return answer

        self.wsgi = wsgi

    def tell_load(self) -> Load:
        """Return what this worker has to do."""
        inside, threads = len(self._inside), self.cfg.threads
        return Load(min(inside, threads), max(0, inside - threads), self.nr_conns)

    def run(self) -> None:
        """Serve until told to stop; a thread that hangs must not keep the process."""
        super().run()  # type: ignore[no-untyped-call]
        if self._gives_up:
            os._exit(0)

    def accept(self, listener: Any) -> None:
        """Take a connection in; it waits for its first bytes without a thread."""
        try:
            sock, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        conn: Any = TConn(self.cfg, sock, address, listener.getsockname())
        self.nr_conns += 1
        conn.timeout = time.monotonic() + ARRIVAL
        self.pending_conns.append(conn)
        assert self.poller
        self.poller.register(
            conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn)
        )

    def enqueue_req(self, conn: TConn) -> None:
        """Have a thread read and answer; a spare one where too many wait already."""
        crowded = len(self._inside) >= self._most
        if not crowded:
            self._inside.add(conn)
        pool = self._spare if crowded else self.tpool
        assert pool
        done = pool.submit(self.handle, conn)
        done.add_done_callback(
            lambda future: self.method_queue.defer(self.finish_request, conn, future)
        )

    def finish_request(self, conn: TConn, fs: Any) -> None:
        """Keep the connection or close it."""
        self._inside.discard(conn)
        super().finish_request(conn, fs)  # type: ignore[no-untyped-call]

    def handle(self, conn: TConn) -> Any:
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
        now = time.monotonic()
        for conn, begun in self._begun.copy().items():
            if begun < now - ARRIVAL:
                with suppress(OSError):
                    # Under TLS the socket's own method would go on in plain text.
                    socket.socket.shutdown(conn.sock, socket.SHUT_RD)
            if begun < now - self.cfg.timeout and not self._gives_up:
                self.log.error("a request does not end; this worker gives itself up")
                self._gives_up = True
                self.alive = False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a request that never reached the app."""
        status = find_status(exc)
        self.log.warning("request not understood: %s", type(exc).__name__)
        body = render_json(build_outcome(status))
        lines = [f"{name}: {value}\r\n" for name, value in HEADERS.items()]
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            f"Connection: close\r\n{''.join(lines)}"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            write_nonblock(client, head.encode() + body)
        except OSError:
            self.log.debug("the client did not wait for its answer")


def find_status(error: Exception) -> int:
    """Return the HTTP status that a fault in HTTP itself deserves."""
    if isinstance(error, LimitRequestLine):
        return 414
    if isinstance(error, LimitRequestHeaders):
        return 431
    if isinstance(error, UnsupportedTransferCoding):
        return 501
    return 400 if isinstance(error, ParseException) else 500
