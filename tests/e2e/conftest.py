"""The server as an operator runs it, an EHR and a watch before it, all on loopback."""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
import requests
from standardwebhooks import Webhook

from cds_service.audit import Break, verify
from cds_service.ehr.client import Ehr
from cds_service.ehr.fixtures import FixtureCase, load_case
from cds_service.ehr.hook_calls import build_prefetched, find_templates
from cds_service.ehr.tokens import generate_key
from cds_service.fhir.models import check_resource
from cds_service.publishing.publisher import Publisher
from cds_service.store.store import Store
from cds_service.store.upkeep.copying import copy

from ..waiting import PATIENCE, children_of, running_in, until

HOME = Path(__file__).parents[2]
CASE = HOME / "fixtures" / "patient-view" / "fires-without-anticoagulant"
PUBLIC = "https://cds.example.org/base"
ISSUER = "https://ehr.example.org"
SERVICE = "/cds-services/wearable-review"
SECRET = "whsec_Zml4dHVyZS1zZWNyZXQtb2YtdGhlLXdhdGNo"
HTML = b"<html><body>Login required at emr-internal-17</body></html>"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came over the socket."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Server:
    """A real ``cds-service serve``; it listens on a port that the system chose."""

    folder: Path
    pem: str
    settings: Mapping[str, str]
    database: str
    """The URL of it."""
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    answered: list[str] = field(default_factory=list)
    """The hookInstance of each call that was answered 200."""

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What it is started with, and whatever runs beside it."""
        usual = {name: each for name, each in os.environ.items() if name[:4] != "CDS_"}
        own = {
            "CDS_PROFILE": "development",
            "CDS_PUBLIC_URL": PUBLIC,
            "CDS_RULES": str(self.folder / "rules"),
            "CDS_CLIENTS_FILE": str(self.folder / "clients.yaml"),
            "CDS_DATABASE_URL": self.database,
            "CDS_PORT": "0",
        }
        return {**usual, **own, **self.settings}

    def start(self) -> None:
        """Start it, on the same database as before, and wait until it is ready."""
        log = self.folder / "log"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cds_service.cli", "serve"],
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until(lambda: self._is_ready(log), log.read_text, self.process)

    def _is_ready(self, log: Path) -> bool:
        found = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text())
        self.port = int(found[1]) if found else 0
        with suppress(requests.ConnectionError):
            return self._is_complete() and self.port > 0 and self.ready()
        return False

    def _is_complete(self) -> bool:
        """Whether all of it runs; a watcher looks like a worker until it is loaded."""
        watchers = int(self.settings.get("CDS_RELOAD", "on") == "on")
        workers = int(self.settings.get("CDS_WORKERS", "1"))
        found = len(self.watchers()), len(self.workers())
        return found == (watchers, workers)

    def ready(self) -> bool:
        """Whether it says that it is."""
        url = f"{self.base}/health/ready"
        return requests.get(url, timeout=PATIENCE).status_code == 200

    def workers(self) -> list[int]:
        """The worker processes."""
        return sorted(set(self.children()) - set(self.watchers()))

    def watchers(self) -> list[int]:
        """The process that watches the rules, if it runs."""
        found = []
        for child in self.children():
            with suppress(FileNotFoundError, ProcessLookupError):
                words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
                if b"publish" in words:
                    found.append(child)
        return found

    def children(self) -> list[int]:
        """Every process that the master started and that runs."""
        assert self.process
        return children_of(self.process.pid)

    def kill(self) -> None:
        """End master and workers at once, without a warning; none is left."""
        if self.process is None:
            return
        group = self.process.pid
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self.process.wait()
        until(lambda: not running_in(group), lambda: running_in(group))
        self.process = None

    def token(self, path: str = SERVICE) -> str:
        """The EHR's token for one message."""
        return Ehr(PUBLIC, ISSUER, self.pem, "k").sign(PUBLIC + path)

    def say(self, message: bytes) -> Reply:
        """What comes back for bytes on a connection of their own.

        The answer is read while the message is still on its way, as a client does that
        sees a refusal early.
        """
        address = ("127.0.0.1", self.port)
        with socket.create_connection(address, timeout=PATIENCE) as connection:
            sender = Thread(target=_send, args=(connection, message))
            sender.start()
            received = bytearray()
            with suppress(ConnectionResetError):
                while part := connection.recv(65536):
                    received += part
            sender.join()
        return self.read(bytes(received))

    def read(self, received: bytes) -> Reply:
        """The answer that these bytes are."""
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        named = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in named}
        return Reply(int(first.split()[1]), headers, body)

    def post(self, body: bytes, path: str = SERVICE, **headers: str) -> Reply:
        """What comes back for a signed message with this body."""
        return self.say(self.head(path, len(body), **headers) + body)

    def head(self, path: str, length: int | None, **headers: str) -> bytes:
        """The head of a signed POST; without a length its body is chunked."""
        told = {
            "Host": "cds.example.org",
            "Connection": "close",
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self.token(path)}",
            **{name.replace("_", "-"): each for name, each in headers.items()},
        }
        if length is None:
            told["Transfer-Encoding"] = "chunked"
        else:
            told["Content-Length"] = str(length)
        lines = [f"{name}: {each}" for name, each in told.items()]
        return "\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""]).encode()

    def call(self, body: Mapping[str, Any]) -> Reply:
        """What comes back for a call; noted if it was answered."""
        reply = self.post(json.dumps(body).encode())
        if reply.status == 200:
            self.answered.append(body["hookInstance"])
        return reply

    def deliver(self, alerts: Any, delivery: str) -> requests.Response:
        """What comes back for a watch's signed delivery."""
        body, path = {"alerts": alerts}, "/wearables/v1/alerts"
        return self._send_signed(body, delivery, path, "application/json")

    def tell(self, consent: Any, delivery: str) -> requests.Response:
        """What comes back for a signed Consent, or a Bundle of them."""
        path = "/wearables/v1/consents"
        return self._send_signed(consent, delivery, path, "application/fhir+json")

    def measure(self, samples: Any, delivery: str) -> requests.Response:
        """What comes back for signed readings."""
        body, path = {"samples": samples}, "/wearables/v1/samples"
        return self._send_signed(body, delivery, path, "application/json")

    def _send_signed(
        self, told: Any, delivery: str, path: str, media_type: str
    ) -> requests.Response:
        body, at = json.dumps(told).encode(), time.time()
        headers = {
            "Content-Type": media_type,
            "webhook-id": delivery,
            "webhook-timestamp": str(int(at)),
            "webhook-signature": self.sign(delivery, at, body),
        }
        return requests.post(
            f"{self.base}{path}", body, headers=headers, timeout=PATIENCE
        )

    def sign(self, delivery: str, at: float, body: bytes) -> str:
        """The signature of the watch."""
        moment = datetime.fromtimestamp(int(at), UTC)
        return Webhook(SECRET).sign(delivery, moment, body.decode())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database holds."""
        if self.database.startswith("sqlite"):
            file = self.database.removeprefix("sqlite:///")
            with closing(sqlite3.connect(file, timeout=PATIENCE)) as lite:
                return lite.execute(query).fetchall()
        # Imported where it is used: few of these tests are about it.
        import psycopg

        with psycopg.connect(self.database.replace("+psycopg", "")) as connection:
            return connection.execute(query.encode()).fetchall()

    def breaks(self) -> list[Break]:
        """Where the audit trail is not as it was written."""
        store = Store.open(self.database)
        try:
            return verify(store)
        finally:
            store.close()

    def recorded(self) -> list[str]:
        """The hookInstance of each call that was recorded."""
        return [row[0] for row in self.rows("select hook_instance from calls")]


def _send(connection: socket.socket, message: bytes) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(message)


def write_rules(folder: Path) -> None:
    """The shipped rules, but their cards are shown each time a chart is opened."""
    shutil.copytree(HOME / "rules", folder)
    tests = sorted(
        each.name
        for each in folder.glob("*/*.test.yaml")
        if each.parent.name != "detectors"
    )
    settings = "".join(
        f"  {name.removesuffix('.test.yaml')}: {{repeat_after: 0 days}}\n"
        for name in tests
    )
    with (folder / "site.yaml").open("a") as site:
        site.write(f"rules:\n{settings}")


StartServer = Callable[..., Server]


@pytest.fixture(scope="session")
def prepared(
    new_database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The rules, and beside them a database for which they passed their own tests."""
    folder = tmp_path_factory.mktemp("prepared")
    write_rules(folder / "rules")
    store = Store.open(new_database(folder / "store.sqlite"))
    now = datetime.now(UTC)
    publisher = Publisher(
        folder / "rules", store, "tests", check_resource, lambda: now, ignore
    )
    assert publisher.publish().published
    store.close()
    return folder


def fill(file: Path, url: str) -> None:
    """Have a database that holds nothing hold what a file does."""
    if url.startswith("sqlite"):
        shutil.copy(file, url.removeprefix("sqlite:///"))
        return
    store = Store.open(url)
    store.migrate()
    store.close()
    list(copy(f"sqlite:///{file}", url))


def ignore(event: str, **facts: object) -> None:
    """Log nothing."""


ABOUT_DATA = {
    "test_configuration",
    "test_consent",
    "test_from_readings_to_a_card",
    "test_held_back",
    "test_killed_on_the_way",
    "test_metrics",
    "test_privacy",
    "test_readings",
    "test_real_process",
    "test_reload",
    "test_tokens_of_wearers",
    "test_webhook_and_chart",
}
"""Modules whose servers run on both databases."""
WATCHING = {
    "test_configuration",
    "test_new_settings",
    "test_privacy",
    "test_real_process",
    "test_reload",
    "test_sick_database",
    "test_three_nodes",
    "test_upgrade",
}
"""Modules whose servers watch the rules, as they do where nobody says otherwise. A
process beside each of the others would take as long to start as the server itself."""


def name_of(module: ModuleType) -> str:
    """Return its name without the packages."""
    return module.__name__.rpartition(".")[2]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Say on which databases the servers of a module run, unless a test does."""
    marks = metafunc.definition.iter_markers("parametrize")
    said = any(each.args[0] == "kind" for each in marks)
    said = said or hasattr(metafunc.module, "kind")
    if "kind" in metafunc.fixturenames and not said:
        both = name_of(metafunc.module) in ABOUT_DATA
        kinds = ["sqlite", "postgresql"] if both else ["sqlite"]
        metafunc.parametrize("kind", kinds, indirect=True, scope="module")


@pytest.fixture(scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    """Which database."""
    return str(request.param)


@pytest.fixture(scope="module")
def start_server(
    kind: str,
    prepared: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[StartServer]:
    """Starts servers with settings of their own; all are ended with the module."""
    pem, public = generate_key()
    usual = {} if name_of(request.module) in WATCHING else {"reload": "off"}
    with ExitStack() as running:

        def start(
            fhir_servers: tuple[str, ...] = (),
            clients: Sequence[Mapping[str, Any]] = (),
            destinations: Sequence[Mapping[str, Any]] = (),
            clouds: Sequence[Mapping[str, Any]] = (),
            **settings: str,
        ) -> Server:
            folder = tmp_path_factory.mktemp("server")
            key = {**public, "kid": "k", "alg": "ES384"}
            client = {"id": "ehr", "iss": ISSUER, "keys": [key]}
            client["fhir_servers"] = list(fhir_servers)
            watch = {"id": "watch", "secrets": [SECRET]}
            watch["formats"] = ["alerts", "consents", "samples"]
            watch["tokens"] = bool(clouds)
            known = {"clients": [client, *clients], "webhooks": [watch]}
            known |= {"destinations": list(destinations)} if destinations else {}
            known |= {"clouds": list(clouds)} if clouds else {}
            (folder / "clients.yaml").write_text(json.dumps(known))
            shutil.copytree(prepared / "rules", folder / "rules")
            url = settings.get("database_url", f"sqlite:///{folder / 'store.sqlite'}")
            if kind == "postgresql" and "database_url" not in settings:
                databases = request.getfixturevalue("postgresql")
                url = databases.url(running.enter_context(databases.lend()))
            if "rules" not in settings and "database_url" not in settings:
                fill(prepared / "store.sqlite", url)
            settings = {**usual, **settings}
            named = {f"CDS_{name.upper()}": each for name, each in settings.items()}
            server = Server(folder, pem, named, url)
            running.callback(server.kill)
            server.start()
            return server

        yield start


@dataclass(frozen=True, slots=True)
class Chart:
    """The patient of the fixture case, under a name that stands nowhere else."""

    case: FixtureCase
    templates: Mapping[str, str]

    def request(self, **members: Any) -> dict[str, Any]:
        """A call of its own with everything prefetched."""
        return {**build_prefetched(self.case, self.templates), **members}

    def bare(self, fhir_server: str, token: str) -> dict[str, Any]:
        """A call of its own with nothing prefetched."""
        request = self.request(fhirServer=fhir_server)
        del request["prefetch"]
        request["fhirAuthorization"] = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "patient/*.rs",
            "subject": "cds-service",
        }
        return request


@pytest.fixture(scope="module")
def open_chart() -> Callable[..., Chart]:
    """The chart of a patient that no other test knows, as a server asks for it."""

    def make(server: Server, of: Path = CASE) -> Chart:
        discovered = requests.get(f"{server.base}/cds-services", timeout=PATIENCE)
        templates = find_templates(discovered.json()["services"], "wearable-review")
        case = load_case(of, datetime.now().astimezone())
        unique = f"quillfeather-{uuid4()}"
        return Chart(_rename(case, unique), templates)

    return make


def _rename(case: FixtureCase, patient: str) -> FixtureCase:
    def renamed(value: Any) -> Any:
        return json.loads(json.dumps(value).replace(case.name, patient))

    return replace(
        case,
        name=patient,
        request=renamed(case.request),
        chart=renamed(case.chart),
        alerts=renamed(case.alerts),
    )


@dataclass(slots=True)
class HostileFhir:
    """A FHIR server whose first step below the base says what it does wrong."""

    port: int
    elsewhere: str
    """Where it redirects to."""
    release: Event = field(default_factory=Event)
    asked: list[str] = field(default_factory=list)

    def base(self, fault: str) -> str:
        return f"http://127.0.0.1:{self.port}/{fault}"


class HostileServer(ThreadingHTTPServer):
    daemon_threads = True
    fhir: HostileFhir

    def handle_error(self, *args: object) -> None:
        """A client that goes away is what these tests are about."""


class HostileHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HostileServer

    def do_GET(self) -> None:
        self.server.fhir.asked.append(self.path)
        _, fault, below = self.path.split("/", 2)
        getattr(self, f"do_{fault}")(below)

    def do_hang(self, below: str) -> None:
        self.server.fhir.release.wait(PATIENCE)
        self.close_connection = True

    def do_half(self, below: str) -> None:
        beginning = b'{"resourceType": "Bundle", "type": "searchset", "entry": ['
        self.reply(200, beginning, Content_Length="5000")
        self.close_connection = True

    def do_html(self, below: str) -> None:
        self.reply(200, HTML, Content_Type="text/html")

    def do_error(self, below: str) -> None:
        self.reply(500, HTML, Content_Type="text/html")

    def do_redirect(self, below: str) -> None:
        self.reply(302, b"", Location=f"{self.server.fhir.elsewhere}/{below}")

    def do_loop(self, below: str) -> None:
        kind, _, patient = below.partition("/")
        if kind == "Patient":
            resource = {"resourceType": kind, "id": patient, "birthDate": "1951-07-02"}
        else:
            url = f"{self.server.fhir.base('loop')}/{below}"
            link = [{"relation": "next", "url": url}]
            resource = {"resourceType": "Bundle", "link": link}
        self.reply(200, json.dumps(resource).encode())

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        usual = {"Content_Type": "application/fhir+json"}
        usual["Content_Length"] = str(len(body))
        self.send_response(status)
        for name, text in {**usual, **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def _serve(elsewhere: str) -> Iterator[HostileFhir]:
    with HostileServer(("127.0.0.1", 0), HostileHandler) as http:
        http.fhir = HostileFhir(http.server_port, elsewhere)
        thread = Thread(target=http.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield http.fhir
        finally:
            http.fhir.release.set()
            http.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def other_host() -> Iterator[HostileFhir]:
    """Whom nobody must ask."""
    with _serve("") as other:
        yield other


@pytest.fixture(scope="module")
def hostile_fhir(other_host: HostileFhir) -> Iterator[HostileFhir]:
    """A FHIR server that the EHR names and that is not as it should be."""
    with _serve(other_host.base("error")) as fhir:
        yield fhir
