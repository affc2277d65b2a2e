"""A FHIR server over real HTTP that keeps Observations, and misbehaves as it is told.

It refuses, commits and then says nothing, drops the connection after it has committed,
and finds what was created only after a while.
"""

import json
import re
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ..waiting import PATIENCE

WELL = ""
MUTE, DROPPED = "mute", "dropped"
"""It commits, and then does not answer in time, or closes the connection."""
Fault = Callable[[int, str], str]
"""By the number of a write and its resource type: a status to refuse with, or one of
the above."""


@dataclass(slots=True)
class Hospital:
    """What the server holds, and what was asked of it."""

    update_create: bool = True
    conditional_create: bool = True
    fault: Fault = lambda number, kind: WELL
    finds_after: float = 0.0
    """Seconds from a creation until a search, and If-None-Exist, know of it."""
    delay: float = 0.0
    """Seconds before it answers a write."""
    before: Callable[[], object] = lambda: None
    """Called before each write."""
    token: str = ""
    """What it accepts; empty for anything."""
    kinds: tuple[str, ...] = ("Observation", "Device", "Provenance")
    statement: bool = True
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By type and id."""
    versions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    born: dict[str, float] = field(default_factory=dict)
    writes: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    grants: list[dict[str, str]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Return what it holds of a kind."""
        return [it for key, it in self.resources.items() if key.startswith(f"{kind}/")]

    def standing(self) -> list[dict[str, Any]]:
        """Return the Observations that are no errors."""
        return [
            each
            for each in self.all("Observation")
            if each["status"] != "entered-in-error"
        ]

    def by_status(self) -> dict[str, int]:
        """Return how many Observations have each status."""
        return dict(Counter(each["status"] for each in self.all("Observation")))

    def keep(self, kind: str, id: str, resource: dict[str, Any]) -> dict[str, Any]:
        """Keep a version of a resource."""
        key = f"{kind}/{id}"
        history = self.versions.setdefault(key, [])
        version = str(len(history) + 1)
        meta = resource.get("meta", {})
        stamp = f"2026-11-22T{len(self.born):09d}"
        meta = {**meta, "versionId": version, "lastUpdated": stamp}
        kept = {**resource, "id": id, "meta": meta}
        history.append(kept)
        self.resources[key] = kept
        self.born.setdefault(key, time.monotonic())
        return kept

    def find(self, kind: str, query: str) -> list[dict[str, Any]]:
        """Return what a search finds by now."""
        asked = {name: unquote(each[0]) for name, each in parse_qs(query).items()}
        now = time.monotonic()
        return [
            each
            for each in self.all(kind)
            if now - self.born[f"{kind}/{each['id']}"] >= self.finds_after
            and _fits(each, asked)
        ]


def _fits(resource: dict[str, Any], asked: dict[str, str]) -> bool:
    if "identifier" in asked:
        told = [
            f"{each['system']}|{each['value']}"
            for each in resource.get("identifier", [])
        ]
        return asked["identifier"] in told
    targets = [each["reference"] for each in resource.get("target", [])]
    return asked.get("target") in targets


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hospital: Hospital

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(
        self, status: int, body: Any = None, headers: dict[str, str] | None = None
    ) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _outcome(self, status: int, text: str, **headers: str) -> None:
        issue = {"severity": "error", "code": "processing", "diagnostics": text}
        body = {"resourceType": "OperationOutcome", "issue": [issue]}
        self._answer(
            status, body, {name.replace("_", "-"): it for name, it in headers.items()}
        )

    def _is_let_in(self) -> bool:
        wanted = self.hospital.token
        if wanted and self.headers.get("Authorization") != f"Bearer {wanted}":
            self._outcome(401, "the token is over")
            return False
        return True

    def do_GET(self) -> None:  # noqa: N802
        hospital, url = self.hospital, urlsplit(self.path)
        with hospital.lock:
            hospital.asked.append(("GET", url.path))
            if url.path == "/fhir/metadata":
                if not hospital.statement:
                    return self._outcome(404, "no such page")
                return self._answer(200, _statement(hospital))
            if url.path == "/fhir/.well-known/smart-configuration":
                place = f"http://{self.headers['Host']}/fhir/token"
                return self._answer(200, {"token_endpoint": place})
            if not self._is_let_in():
                return None
            found = re.fullmatch(r"/fhir/(\w+)(?:/([\w.-]+))?", url.path)
            assert found
            if found[2]:
                resource = hospital.resources.get(f"{found[1]}/{found[2]}")
                if resource is None:
                    return self._outcome(404, "not known")
                return self._answer(200, resource)
            entries = [
                {"resource": each} for each in hospital.find(found[1], url.query)
            ]
            body = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
            return self._answer(200, body)

    def do_PUT(self) -> None:  # noqa: N802
        resource = self._body()
        found = re.fullmatch(r"/fhir/(\w+)/([\w.-]+)", self.path)
        assert found
        kind, id = found[1], found[2]
        key, hospital = f"{kind}/{id}", self.hospital

        def carry_out() -> tuple[int, Any, dict[str, str]]:
            there = hospital.resources.get(key)
            if key in hospital.deleted:
                return 410, None, {}
            if there is None and not hospital.update_create:
                return 405, None, {}
            wanted = self.headers.get("If-Match", "")
            if wanted and there and wanted != f'W/"{there["meta"]["versionId"]}"':
                return 412, None, {}
            kept = hospital.keep(kind, id, resource)
            return (200 if there else 201), None, _heads(kept)

        self._write(kind, carry_out)

    def do_POST(self) -> None:  # noqa: N802
        if self.path == "/fhir/token":
            return self._give_token()
        resource, kind = self._body(), self.path.removeprefix("/fhir/")
        hospital = self.hospital

        def carry_out() -> tuple[int, Any, dict[str, str]]:
            wanted = self.headers.get("If-None-Exist", "")
            found = hospital.find(kind, wanted) if wanted else []
            if len(found) > 1:
                return 412, None, {}
            if found:
                return 200, found[0], _heads(found[0])
            id = str(len(hospital.born) + 1)
            return 201, None, _heads(hospital.keep(kind, id, resource))

        return self._write(kind, carry_out)

    def _give_token(self) -> None:
        """A token, to whoever asks; what is asked for is kept."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        form = {name: each[0] for name, each in parse_qs(content.decode()).items()}
        self.hospital.grants.append(form)
        given = {"access_token": self.hospital.token, "token_type": "bearer"}
        self._answer(200, {**given, "expires_in": 300})

    def _body(self) -> dict[str, Any]:
        length = int(self.headers["Content-Length"])
        body: dict[str, Any] = json.loads(self.rfile.read(length))
        return body

    def _write(
        self, kind: str, carry_out: Callable[[], tuple[int, Any, dict[str, str]]]
    ) -> None:
        hospital = self.hospital
        time.sleep(hospital.delay)
        hospital.before()
        with hospital.lock:
            hospital.asked.append((self.command, kind))
            if not self._is_let_in():
                return
            hospital.writes += 1
            fault = hospital.fault(hospital.writes, kind)
            if fault.isdecimal():
                text = f"refused with {fault}, as it is told"
                return self._outcome(int(fault), text, Retry_After="2")
            status, body, headers = carry_out()
        if fault == MUTE:  # until it is waited for no more
            select.select([self.connection], [], [], PATIENCE)
        if fault in (MUTE, DROPPED):
            self.close_connection = True
            return None
        return self._answer(status, body, headers)


def _heads(kept: dict[str, Any]) -> dict[str, str]:
    version = kept["meta"]["versionId"]
    place = f"{kept['resourceType']}/{kept['id']}/_history/{version}"
    return {"ETag": f'W/"{version}"', "Location": f"http://elsewhere/fhir/{place}"}


def _statement(hospital: Hospital) -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "rest": [
            {
                "mode": "server",
                "resource": [
                    {
                        "type": kind,
                        "updateCreate": hospital.update_create,
                        "conditionalCreate": hospital.conditional_create,
                        "interaction": [{"code": "create"}, {"code": "update"}],
                    }
                    for kind in hospital.kinds
                ],
            }
        ],
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that gives up is nothing to tell of."""


@contextmanager
def serving(hospital: Hospital) -> Iterator[str]:
    """The base of the hospital's FHIR server, while it is asked."""
    handler = type("Handler", (_Handler,), {"hospital": hospital})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/fhir"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
