"""The composition root: settings, rules, store and FHIR become one app."""

import gc
import sys
from datetime import UTC, datetime

from flask import Flask

from .config import Config, load_config
from .decision import World
from .fhir.client import FhirPool
from .fhir.models import check_resource
from .rulebook.load import load_rulebook
from .rulebook.rules import Rulebook
from .store.store import Store
from .web.cors import allow_origins
from .web.errors import register_errors
from .web.health import build_health, observe_requests
from .web.hooks import build_hooks
from .web.wearables import build_wearables


def create_app(config: Config | None = None, world: World | None = None) -> Flask:
    """The WSGI app; without arguments it is set up from the environment.

    Build it after a fork: it holds connections.
    """
    if world is None:
        world = build_world(config or load_config())
        world.store.migrate()
        app = create_app(world=world)
        settle()
        return app
    app = Flask(__name__, static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.extensions["cds_service"] = world
    observe_requests(app, sys.stdout.buffer)
    register_errors(app)
    allow_origins(app, world.clients.origins)
    app.register_blueprint(build_hooks(world))
    app.register_blueprint(build_health(world))
    app.register_blueprint(build_wearables(world))
    return app


def settle() -> None:
    """Take what is loaded as here to stay; for a process that only serves.

    The garbage collector walks everything that lives again and again, and all threads
    wait for it: with the rules, a tenth of a second every few hundred calls. What was
    there before the first call is never garbage, so it is not walked any more.
    """
    gc.collect()
    gc.freeze()


def build_world(config: Config, rulebook: Rulebook | None = None) -> World:
    """What the app needs of the world, as the settings say.

    Raises:
        InvalidRulebook: if a rule is wrong; with every finding.
        StoreError: if the database URL is wrong.
    """
    return World(
        config=config,
        clients=config.clients,
        store=Store.open(config.database_url),
        rulebook=rulebook or load_rulebook(config.rules, check_resource),
        clock=lambda: datetime.now(UTC),
        fhir=FhirPool(),
    )
