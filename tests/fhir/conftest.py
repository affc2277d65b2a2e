"""Real FHIR servers on loopback, kind and hostile, and requests that name them."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from cds_service.fhir.chart import Policy, SourceQuery
from cds_service.fhir.client import FhirLimits, FhirPool, open_reader
from cds_service.fhir.gather import gather
from cds_service.http.addresses import ListedServer
from cds_service.protocol.requests import FhirAuthorization, HookRequest

from ..waiting import PATIENCE
from .particular import LOINC, LONG, query_of


@dataclass
class Asked:
    """One request that a server saw."""

    path: str
    query: dict
    token: str | None
    headers: dict


@dataclass
class Loopback:
    """A FHIR server whose routes are set by the test: path below the base to JSON,
    bytes, ``(status, JSON or bytes, headers)``, or a function of the handler."""

    http: ThreadingHTTPServer
    release: threading.Event
    routes: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    kept: dict | None = None
    """Answers by URL, where the server gives them again unless it is told not to."""

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/fhir"

    @property
    def paths(self) -> list[str]:
        return sorted(each.path for each in self.asked)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        loopback = self.server.loopback
        parts = urlsplit(self.path)
        path = unquote(parts.path).removeprefix("/fhir/")
        query = parse_qs(parts.query)
        header = self.headers.get("Authorization")
        loopback.asked.append(Asked(path, query, header, dict(self.headers)))
        route = loopback.routes.get(path, (404, {"resourceType": "OperationOutcome"}))
        fresh = "no-cache" in self.headers.get("Cache-Control", "")
        if loopback.kept is not None and not fresh and self.path in loopback.kept:
            return self.answer(loopback.kept[self.path])
        if callable(route):
            route = route(self)
        if loopback.kept is not None:
            loopback.kept[self.path] = route
        if route is not None:
            self.answer(route)

    def answer(self, route: Any) -> None:
        status, value, headers = 200, route, {}
        if isinstance(route, tuple):
            status, value, *more = route
            headers = more[0] if more else {}
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/fhir+json", **headers}.items():
            self.send_header(name, text)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def hang(self) -> None:
        """Answers nothing until the test is over."""
        self.server.loopback.release.wait(PATIENCE)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *args: object) -> None:
        """A client that goes away is what these tests are about."""


@pytest.fixture
def serve():
    """Starts a Loopback; all are stopped when the test is over."""
    running = []

    def start(**routes):
        http = QuietServer(("127.0.0.1", 0), Handler)
        loopback = Loopback(http, threading.Event(), routes)
        http.loopback = loopback
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        running.append((loopback, thread))
        return loopback

    yield start
    for loopback, thread in running:
        loopback.release.set()
        loopback.http.shutdown()
        loopback.http.server_close()
        thread.join()


@pytest.fixture
def fhir(serve):
    """One FHIR server with empty routes."""
    return serve()


@pytest.fixture
def pool():
    """The process's connections."""
    made = FhirPool()
    yield made
    made.close()


@pytest.fixture
def hook_request():
    """Builds a HookRequest about patient ``p1``."""

    def build(prefetch=None, server=None, token="t0ken", scope="", **more):
        granted = (
            FhirAuthorization(
                access_token=token,
                scope=scope,
                subject="cds-service",
                expires_in=more.pop("expires_in", 300),
            )
            if token
            else None
        )
        members = {
            "hook": "patient-view",
            "hook_instance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
            "instance_is_uuid": True,
            "patient_id": "p1",
            "user_id": "Practitioner/dr-1",
            "encounter_id": None,
            "context": {"patientId": "p1"},
            "prefetch": prefetch or {},
            "fhir_server": server.base if hasattr(server, "base") else server,
            "fhir_authorization": granted if server else None,
        }
        return HookRequest(**(members | more))

    return build


@pytest.fixture
def reader_for(pool):
    """Opens a reader of the request's server, which is on the allow-list."""

    def build(request, **limits):
        allowed = [ListedServer(request.fhir_server)]
        return open_reader(request, allowed, allowed, pool, FhirLimits(**limits))

    return build


@pytest.fixture
def queries():
    """The five usual queries, required unless said otherwise by source name."""

    def build(**policies):
        paths = {
            "patient": "Patient/{{context.patientId}}",
            "conditions": "Condition?patient={{context.patientId}}",
            "medication_requests": "MedicationRequest?patient={{context.patientId}}",
            "medication_statements": (
                "MedicationStatement?patient={{context.patientId}}"
            ),
            "observations": "Observation?patient={{context.patientId}}",
        }
        return [
            SourceQuery(
                key=name.replace("_", "-"),
                source=name,
                template=template,
                policy=Policy(policies.get(name, policies.get("rest", "required"))),
            )
            for name, template in paths.items()
        ]

    return build


@pytest.fixture
def bundle():
    """A searchset of resources, with a next link where *following* is given."""

    def build(*resources, following=None, **members):
        made = {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": resource} for resource in resources],
        }
        if following is not None:
            made["link"] = [{"relation": "next", "url": following}]
        return made | members

    return build


@pytest.fixture
def condition():
    """A Condition of ``p1``, unless another subject is given."""

    def build(identifier="c1", subject="Patient/p1", **members):
        return {
            "resourceType": "Condition",
            "id": identifier,
            "subject": {"reference": subject},
            "code": {"text": "something"},
        } | members

    return build


@pytest.fixture
def patient():
    """The Patient of the context."""
    return {"resourceType": "Patient", "id": "p1"}


@pytest.fixture
def full(patient, bundle, condition):
    """A prefetch with every key."""
    return {
        "patient": patient,
        "conditions": bundle(condition()),
        "medication-requests": None,
        "medication-statements": bundle(),
        "observations": None,
    }


@pytest.fixture
def serve_rows(fhir, bundle):
    """A server that refuses what *refusal* answers something for: ``(status, body)``.

    It finds rows by ``code``, ``intent``, ``status`` and ``category``.
    """

    def start(kind, refusal, *rows):
        def route(handler):
            query = fhir.asked[-1].query
            refused = refusal({name: each[0] for name, each in query.items()})
            if refused:
                return refused
            found = [
                each
                for each in rows
                if all(
                    each.get(name) is None
                    or f"{each[name]}" in query[name][0].replace(LOINC, "").split(",")
                    for name in ("code", "intent", "status", "category")
                    if name in query
                )
            ]
            return bundle(*found, total=len(found))

        fhir.routes[kind] = route

    return start


@pytest.fixture
def read(hook_request, fhir, reader_for):
    """The source that one query gives."""

    def run(template, scope="", deadline=LONG):
        request = hook_request(server=fhir, scope=scope)
        query = query_of(template)
        chart = gather([query], request, reader_for(request), deadline)
        return chart.sources[query.source]

    return run
