"""Rules that know two types of alerts, and a server that takes deliveries."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest
from flask import Flask
from werkzeug.serving import make_server

from cds_service.config import Clients, Config, ConsentMode, Profile, WebhookSource
from cds_service.decision import World
from cds_service.fhir.client import FhirPool
from cds_service.rulebook.rules import AlertType, Rulebook, Site
from cds_service.serving import Serving
from cds_service.store.store import Store
from cds_service.web.errors import register_errors
from cds_service.web.limits import limit_requests
from cds_service.web.wearables import build_wearables

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
        metric: heart_rate
        unit: /min
        codes: [{system: loinc, codes: [8867-4]}]
      irregular-rhythm: {title: Irregular rhythm, metric: heart_rhythm}
    """


@pytest.fixture
def alert_rules(tmp_path: Path, revise: Callable[[Path, int], dict[str, str]]) -> Path:
    """A rules folder whose alert types are told by code, or by nothing."""
    folder = tmp_path / "rules"
    revise(folder, 1)
    (folder / "alert-types.yaml").write_text(dedent(ALERT_TYPES))
    return folder


@pytest.fixture
def open_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes a world with some webhook sources, over a database of its own."""
    opened = []

    def make(*webhooks: WebhookSource, consent: ConsentMode) -> World:
        url = f"sqlite:///{tmp_path / 'store.sqlite'}"
        store = Store.open(url)
        store.migrate()
        config = Config(
            profile=Profile.DEVELOPMENT, database_url=url, wearables_consent=consent
        )
        types = {each.name: each for each in TYPES}
        rulebook = Rulebook("", Site(), {}, {}, types, {})
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
    register_errors(app)
    limit_requests(app, world.config)
    app.register_blueprint(build_wearables(world))
    with serving(app) as base:
        yield base
