"""A small app under our worker, in processes of its own, and calls of it."""

import re
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from ...waiting import PATIENCE, until

PROGRAM = """
import os, sys, time
from pathlib import Path
from flask import Flask, request
from cds_service.cli.serve.running import Arbiter, GunicornServer
from cds_service.config import load_config
from cds_service.web.errors import register_errors
from cds_service.web.headers import allow_origins, list_origins
from cds_service.web.layers import observe_requests, surround
from cds_service.web.limits import limit_requests

folder, seconds, graceful = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
settings = sys.argv[4:]
config = load_config({
    "CDS_PROFILE": "development", "CDS_AUTH": "off", "CDS_PORT": "0",
    "CDS_THREADS": "1", **dict(each.split("=") for each in settings),
})

def build(config):
    app = Flask("slow")
    register_errors(app)
    surround(app, [observe_requests(app, None), limit_requests(app, config)])
    allow_origins(app, list_origins(["https://ehr.example.org"]))

    @app.post("/cds-services/<name>")
    def call(name):
        (folder / name).touch()
        while not (folder / "release").exists():
            time.sleep(0.01)
        return "done"

    @app.post("/echo")
    def echo():
        return request.get_data()

    @app.get("/large")
    def large():
        return b"x" * 16_000_000

    @app.get("/ready")
    def ready():
        return "ends" if app.extensions["cds_ends"]() else "serves"

    @app.get("/who")
    def who():
        return request.remote_addr

    @app.get("/health")
    def health():
        return str(os.getpid())

    return app

class Slow(GunicornServer):
    def load_config(self):
        super().load_config()
        self.cfg.set("timeout", seconds)
        self.cfg.set("graceful_timeout", graceful)

Arbiter(Slow(config, build), None).run()
"""

ORIGIN = "https://ehr.example.org"
"""Whose pages may call."""
ALLOWED = 'ulimit -n "$0" && exec "$@"'


@dataclass(frozen=True)
class Small:
    """A running server; calls end when ``release`` is in its folder."""

    base: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.base.rpartition("/")[2].split(":")
        return host, int(port)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def release(self) -> None:
        (self.folder / "release").touch()

    def connect(self, source: str = "") -> socket.socket:
        """A connection, from an address of this machine."""
        own = (source, 0) if source else None
        return socket.create_connection(self.address, PATIENCE, own)

    def begin(self, name: str) -> HTTPConnection:
        """A call that was sent, and so stands before all that are sent later."""
        connection = HTTPConnection(*self.address, timeout=PATIENCE)
        connection.request("POST", f"/cds-services/{name}", b"{}")
        return connection

    def say(self, message: bytes) -> bytes:
        """All that comes back for these bytes, after which nothing more is sent."""
        with self.connect() as connection:
            connection.sendall(message)
            connection.shutdown(socket.SHUT_WR)
            return received(connection)


def received(connection: socket.socket) -> bytes:
    """All that comes until the server has no more to say."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def serving(
    folder: Path,
    seconds: int = PATIENCE,
    graceful: int = 30,
    descriptors: str = "",
    **settings: object,
) -> Iterator[Small]:
    """A server whose requests may take so many seconds, and its end so many."""
    log = folder / "log"
    given = [f"CDS_{name.upper()}={value}" for name, value in settings.items()]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(["sh", "-c", ALLOWED, descriptors] if descriptors else []),
                *[
                    sys.executable,
                    "-c",
                    PROGRAM,
                    str(folder),
                    str(seconds),
                    str(graceful),
                ],
                *given,
            ],
            stdout=output,
            stderr=output,
        )
    try:
        listening = re.compile(r"at: (https?://[^\s,]+)")
        found = until(lambda: listening.search(log.read_text()), log.read_text, process)
        until(lambda: "Booting worker" in log.read_text(), log.read_text, process)
        assert found
        yield Small(found[1], folder, process)
    finally:
        (folder / "release").touch()
        process.terminate()
        process.wait(PATIENCE)


def allow_many_sockets() -> None:
    """Let this process have the sockets of more clients than one usually has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < 4096:
        most = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
