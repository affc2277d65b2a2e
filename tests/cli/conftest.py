"""Rules with two types of alerts, a server that takes deliveries, a FHIR server."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from werkzeug.serving import make_server

from cds_service.config import Clients, Config, ConsentMode, Profile, WebhookSource
from cds_service.decision import World
from cds_service.ehr.tokens import generate_key
from cds_service.fhir.client import FhirPool
from cds_service.publishing.serving import Serving
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.rulebook.engine.rules import Site
from cds_service.store.store import Store
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.records import AlertType
from cds_service.web.errors import register_errors
from cds_service.web.layers import surround
from cds_service.web.limits import limit_requests
from cds_service.web.metrics import Metrics
from cds_service.web.wearables import build_wearables

from ..waiting import PATIENCE

HEART_RATE = frozenset({("http://loinc.org", "8867-4")})
TYPES = (
    AlertType("high-resting-heart-rate", "High", "resting_heart_rate", "/min"),
    AlertType("low-heart-rate", "Low", "heart_rate", "/min", HEART_RATE),
    AlertType("irregular-rhythm", "Irregular", "heart_rhythm"),
)
ALERT_TYPES = """\
    format: 1
    alert_types:
      low-heart-rate:
        title: Low heart rate
        metric: heart-rate
        unit: /min
        codes: [{system: loinc, codes: [8867-4]}]
      irregular-rhythm: {title: Irregular rhythm}
    """


@pytest.fixture
def alert_rules(tmp_path: Path, revise: Callable[[Path, int], dict[str, str]]) -> Path:
    """A rules folder whose alert types are told by code, or by nothing."""
    folder = tmp_path / "rules"
    revise(folder, 1)
    (folder / "alert-types.yaml").write_text(dedent(ALERT_TYPES))
    return folder


@pytest.fixture
def database(tmp_path: Path, new_database: Callable[[Path], str]) -> str:
    """The URL of a database of our schema that holds nothing."""
    return new_database(tmp_path / "store.sqlite")


@pytest.fixture
def writers(
    kind: str, database_url: str
) -> Iterator[tuple[Callable[[str, int], bool], Callable[[], None]]]:
    """Has others who write wait if a table has so many rows; and lets them go on.

    So what a command has done when it is ended is not raced.
    """
    waits = {"timeout": 0.01} if kind == "sqlite" else {}
    engine = create_engine(database_url, connect_args=waits)
    alone = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "LOCK {} IN EXCLUSIVE MODE"}
    with engine.connect() as connection:

        def hold(table: str, rows: int) -> bool:
            with suppress(OperationalError):
                connection.exec_driver_sql(alone[kind].format(table))
                found = connection.exec_driver_sql(f"SELECT count(*) FROM {table}")
                if found.scalar_one() >= rows:
                    return True
            connection.rollback()
            return False

        yield hold, connection.rollback
    engine.dispose()


@pytest.fixture
def open_world(database: str) -> Iterator[Callable[..., World]]:
    """Makes a world with some webhook sources, over a database of its own."""
    opened = []

    def make(*webhooks: WebhookSource, consent: ConsentMode) -> World:
        store = Store.open(database)
        config = Config(
            profile=Profile.DEVELOPMENT,
            database_url=database,
            wearables_consent=consent,
        )
        known = Catalogue(alert_types={each.name: each for each in TYPES})
        rulebook = Rulebook("", Site(), {}, {}, known, {})
        world = World(
            config=config,
            clients=Clients(webhooks=webhooks),
            store=store,
            serving=Serving(rulebook, datetime.now(UTC)),
            clock=lambda: datetime.now(UTC),
            fhir=FhirPool(),
        )
        opened.append(world)
        return world

    yield make
    for world in opened:
        world.store.close()
        world.fhir.close()


@pytest.fixture
def serving() -> Callable[[Flask], AbstractContextManager[str]]:
    """Serves an app on loopback for as long as a block lasts, which gets its URL."""

    @contextmanager
    def serve(app: Flask) -> Iterator[str]:
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(
            target=server.serve_forever, args=(0.05,), daemon=True
        )
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join(60)

    return serve


@pytest.fixture
def url(
    world: World, serving: Callable[[Flask], AbstractContextManager[str]]
) -> Iterator[str]:
    """The base URL of a server that takes deliveries in the ``world`` of a test."""
    app = Flask("webhooks")
    app.extensions["cds_metrics"] = Metrics()
    register_errors(app)
    surround(app, [limit_requests(app, world.config)])
    app.register_blueprint(build_wearables(world))
    with serving(app) as base:
        yield base


class Ehr:
    """A FHIR server with resources on pages; *moods* are answers given first."""

    def __init__(self, resources, size=20):
        self.resources = list(resources)
        self.size = size
        self.asked = []
        self.tokens = []
        self.moods = []
        self.links = {}
        self.entries = {}
        self.members = {}
        self.token = ""
        self.key = None
        self.scope = "system/Patient.rs"
        self.scopes = []
        self.given = 0
        self.halt_at = 0
        """The page, of all that it is asked for, that waits until it may go on."""
        self.halted = threading.Event()
        self.go_on = threading.Event()
        self.counted = True
        self.kept = None
        """Pages by URL, where they are given again unless the server is told not to."""
        self.http = QuietServer(("127.0.0.1", 0), Handler)
        self.http.ehr = self
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def stop(self):
        self.go_on.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    @property
    def base(self):
        return f"http://127.0.0.1:{self.http.server_port}/fhir"

    def halt_after(self, pages):
        """Answer so many more pages, and none after that until it is told to go on."""
        self.halt_at = len(self.asked) + pages + 1
        self.halted.clear()
        self.go_on.clear()

    def page(self, start):
        """The Bundle from the resource of that number on."""
        resources = self.resources[start : start + self.size]
        entry = [{"resource": each} for each in resources]
        bundle = {"resourceType": "Bundle", "type": "searchset"} | self.members
        bundle["entry"] = entry + self.entries.get(start, [])
        if self.counted:
            bundle["total"] = len(self.resources)
        more = start + self.size
        if more < len(self.resources) or start in self.links:
            link = self.links.get(start, f"{self.base}?cursor={more}")
            bundle["link"] = [{"relation": "next", "url": link}]
        return bundle


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args):
        """A client that was killed is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        ehr = self.server.ehr
        if self.path.endswith("/.well-known/smart-configuration"):
            token_endpoint = ehr.base + "/token"
            return self.say(200, {"token_endpoint": token_endpoint})
        ehr.asked.append(self.path)
        ehr.tokens.append(self.headers.get("Authorization"))
        if len(ehr.asked) == ehr.halt_at:
            ehr.halted.set()
            ehr.go_on.wait(PATIENCE)
        query = parse_qs(urlsplit(self.path).query)
        start = int(query.get("cursor", ["0"])[0])
        if ehr.token and ehr.tokens[-1] != f"Bearer {ehr.token}":
            return self.say(401, {"resourceType": "OperationOutcome"})
        mood = next((each for each in ehr.moods if each[0] in (start, None)), None)
        if mood is None:
            return self.say(200, self.page(start))
        ehr.moods.remove(mood)
        self.say(*mood[1:])

    def page(self, start):
        ehr = self.server.ehr
        if ehr.kept is None:
            return ehr.page(start)
        if "no-cache" in self.headers.get("Cache-Control", ""):
            ehr.kept.pop(self.path, None)
        return ehr.kept.setdefault(self.path, ehr.page(start))

    def do_POST(self):
        ehr = self.server.ehr
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = parse_qs(body)
        assertion = form["client_assertion"][0]
        ehr.scopes.append(form["scope"][0])
        endpoint = ehr.base + "/token"
        jwt.decode(assertion, ehr.key, algorithms=["ES384"], audience=endpoint)
        ehr.given += 1
        ehr.token = f"token-{ehr.given}"
        token = {"access_token": ehr.token, "token_type": "bearer", "expires_in": 300}
        self.say(200, token | {"scope": ehr.scope})

    def say(self, status, body, headers=()):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        stated = {"Content-Type": "application/fhir+json"} | dict(headers)
        for name, text in {"Content-Length": str(len(content)), **stated}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = stated.get("Connection") == "close"

    def log_message(self, *args):
        pass


@pytest.fixture
def serve():
    """Starts FHIR servers, which stop with the test."""
    running = []

    def start(*args, **options):
        running.append(Ehr(*args, **options))
        return running[-1]

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def as_service(ehr, tmp_path):
    """Options of a backend service that the server knows."""
    private, public = generate_key()
    key = tmp_path / "key.pem"
    key.write_text(private)
    key.chmod(0o600)
    ehr.key = jwt.PyJWK(public).key
    return ["--client-id", "our-client", "--key", key, "--kid", "k1"]
