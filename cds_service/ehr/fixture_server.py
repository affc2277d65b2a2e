"""A small FHIR server on loopback that serves bundles: for the demo, trials and tests.

It keeps nothing, writes nothing and listens on loopback only.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from .records import Records, answer, build_outcome, load_records

__all__ = ["FixtureServer", "Records", "answer", "load_records", "serve_records"]


@dataclass(slots=True)
class FixtureServer:
    """A running server."""

    base: str
    """Its FHIR base, such as ``http://127.0.0.1:40001/fhir``."""
    seen: list[str] = field(default_factory=list)
    """What was asked so far, as ``Condition?patient=1``."""


@contextmanager
def serve_records(
    records: Records, *, token: str = "", port: int = 0, page_size: int = 100
) -> Iterator[FixtureServer]:
    """A FHIR server on loopback for as long as the block lasts.

    With a token, only requests that bear it are answered.
    """
    server = ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)
    server.daemon_threads = True
    running = FixtureServer(f"http://127.0.0.1:{server.server_port}/fhir")

    def reply(target: str, authorization: str) -> tuple[int, dict[str, Any]]:
        below = target.removeprefix("/fhir/")
        running.seen.append(below)
        if token and authorization != f"Bearer {token}":
            return 401, build_outcome("login", "A token is required.")
        try:
            return answer(records, below, running.base, page_size)
        except (KeyError, ValueError):
            return 400, build_outcome("invalid", "The query was not understood.")

    server.RequestHandlerClass = _handler(reply)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(
    reply: Callable[[str, str], tuple[int, dict[str, Any]]],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = reply(self.path, self.headers.get("Authorization", ""))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/fhir+json; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: what is asked names patients."""

    return Handler
