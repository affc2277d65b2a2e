"""The composition root: settings, rules, store and FHIR become one app."""

import gc
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import uuid4

from flask import Flask

from .config import Auth, Config, Profile, load_config
from .decision import World
from .ingestion.detecting import DueDetection
from .publishing.housekeeping import Housekeeper
from .publishing.serving import SWITCH, Follower
from .rulebook.language import Document
from .starting import build_world, open_rulebook, record_configuration
from .store.store import Store
from .web.connect import build_connect
from .web.errors import register_errors
from .web.headers import (
    Origins,
    add_headers,
    allow_origins,
    keep_to_origins,
    list_origins,
)
from .web.health import build_description, build_health
from .web.hooks import build_hooks
from .web.layers import Layer, observe_requests, surround
from .web.limits import limit_requests
from .web.log import say
from .web.notes import tell_timing
from .web.notifications import build_notifications
from .web.pages.clinician import add_clinician
from .web.pages.shell import build_assets
from .web.pages.timeline.page import add_timeline
from .web.public_keys import build_public_keys
from .web.readiness import Readiness
from .web.refusals import Refusals
from .web.smart.leaving import give_back_when_over
from .web.smart.registering import add_smart
from .web.smart.sessions import token_desk
from .web.tracing import Tracing, trace_requests
from .web.wearables import build_wearables
from .web.workbench.door import add_workbench
from .web.workbench.sessions import Workplace
from .web.workbench.throwaway import trust_throwaway_keys


def create_app(config: Config | None = None, world: World | None = None) -> Flask:
    """Return the WSGI app; without a world it is set up from the settings, and follows.

    Build it after a fork: it holds connections, and a thread.
    """
    if world is None:
        config = config or load_config()
        store = Store.open(config.database_url, limits=config.database_limits)
        store.migrate()
        holder = str(uuid4())
        opening = open_rulebook(config, store, holder)
        store.publications.give_lease_back(holder)
        if notice := record_configuration(config, store, datetime.now(UTC)):
            print(notice, file=sys.stderr)
        world = build_world(config, opening.rulebook, store)
        return start_app(world, opening.documents)
    world = trust_throwaway_keys(world)
    app = Flask(__name__, static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.extensions["cds_service"] = world
    config = world.config
    # Auth is off in development alone.
    origins = list_origins(world.clients.origins, try_out=config.auth is Auth.OFF)
    surround(app, build_layers(app, world, origins))
    allow_origins(app, origins)
    app.extensions["cds_metrics"].say(world)
    register_errors(app, tell_reasons=config.profile is Profile.DEVELOPMENT)
    refusals = app.extensions["cds_refusals"] = Refusals(world.store, world.clock)
    readiness = app.extensions["cds_readiness"] = Readiness(world, say)
    metrics = app.extensions["cds_metrics"]
    metrics.is_unready = lambda: readiness.known is not None
    world.store.condition.listen(metrics.count_store_failure)
    app.register_blueprint(build_hooks(world, say, refusals))
    app.register_blueprint(build_health(world))
    app.register_blueprint(build_description(world))
    app.register_blueprint(build_assets())
    app.register_blueprint(build_public_keys(world))
    app.register_blueprint(build_wearables(world))
    app.register_blueprint(build_notifications(world, refusals, say))
    if world.clients.clouds:
        app.register_blueprint(build_connect(world))
    tokens = token_desk(world, say)
    add_smart(app, world, refusals, tokens)
    add_clinician(app, world, tokens)
    add_timeline(app, world, tokens)
    add_workbench(app, Workplace(world, lambda other: create_app(world=other)))
    return app


def build_layers(app: Flask, world: World, origins: Origins) -> list[Layer]:
    """Return what surrounds each request, from without to within."""
    config, traced = world.config, []
    if config.traces_url:
        tracing = Tracing(config.traces_url, config.traces_share)
        app.extensions["cds_tracing"] = tracing
        traced = [trace_requests(tracing)]
    return [
        *traced,
        observe_requests(app, sys.stdout.buffer),
        add_headers(config),
        keep_to_origins(origins),
        Layer(after=tell_timing),
        limit_requests(app, config),
    ]


def start_app(world: World, documents: Mapping[str, Document]) -> Flask:
    """Return the app of a process that only serves, from the newest rulebook on.

    Args:
        documents: The files of the rulebook that the world serves, parsed.
    """
    app = create_app(world=world)
    follower = Follower(world.serving, world.store, world.clock, say, documents)
    follower.look()
    settle()
    take_turns()
    follower.start()
    app.extensions["cds_refusals"].keep_settling()
    app.extensions["cds_metrics"].keep_saying(world)
    app.extensions["cds_readiness"].start()
    give_back = give_back_when_over(world, say)
    keep, clock = world.config.keep, world.clock
    Housekeeper(world.store, keep, clock, say, give_back=give_back).start()
    count = app.extensions["cds_metrics"].count_detected
    DueDetection(world.store, world.detection, world.clock, say, count).start()
    return app


def settle() -> None:
    """Take what is loaded as here to stay; for a process that only serves.

    The garbage collector walks everything that lives again and again, and all threads
    wait for it: with the rules, a tenth of a second every few hundred calls. What was
    there before the first call is never garbage, so it is not walked any more.
    """
    gc.collect()
    gc.freeze()


def take_turns() -> None:
    """Have the threads hand the interpreter on soon; for a process that only serves.

    A call that brings everything along computes for two milliseconds. Beside thirty
    that fetch it would wait for the usual five, again and again.
    """
    sys.setswitchinterval(SWITCH)
