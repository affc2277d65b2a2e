"""The composition root: settings, rules, store and FHIR become one app."""

import gc
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from flask import Flask

from . import __version__
from .audit import (
    build_configuration_event,
    compare_inventories,
    describe_change,
)
from .config import Auth, Config, Profile, Reload, load_config
from .config.inventory import build_inventory, digest_file
from .decision import World
from .fhir.client import FhirPool
from .ingestion.detecting import DueDetection
from .publishing.housekeeping import Housekeeper
from .publishing.publisher import LEASE, build_publisher
from .publishing.serving import SWITCH, Follower, Serving, reopen
from .rulebook.engine import Rulebook
from .rulebook.language import Document, Finding
from .rulebook.load import InvalidRulebook
from .store.configurations import Configuration
from .store.publications import NotLeased, Publication
from .store.records import StoreError
from .store.store import Store
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
from .web.layers import Layer, build_logger, observe_requests, surround
from .web.limits import limit_requests
from .web.notes import tell_timing
from .web.readiness import Readiness
from .web.refusals import Refusals
from .web.tracing import Tracing, trace_requests
from .web.wearables import build_wearables

OTHERS_PUBLISH = "another server publishes the rules; its folder is served, not ours"
READS_A_CALL = 8
"""So many threads read from FHIR servers for each that answers calls."""
MOST_READS = 256
"""At once, in one process."""


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
    app.register_blueprint(build_wearables(world))
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
    Housekeeper(world.store, world.config.keep, world.clock, say).start()
    count = app.extensions["cds_metrics"].count_detected
    DueDetection(world.store, world.detection, world.clock, say, count).start()
    return app


def say(event: str, **facts: object) -> None:
    """Write a line to the log."""
    build_logger(sys.stdout.buffer).info(event, **facts)


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


@dataclass(frozen=True, slots=True)
class Opening:
    """The rulebook that a server begins with."""

    rulebook: Rulebook
    notice: str = ""
    """What must be said loudly; empty where the folder itself is served."""
    documents: Mapping[str, Document] = field(default_factory=dict)
    """The files of the rulebook, parsed."""


def open_rulebook(config: Config, store: Store, holder: str) -> Opening:
    """Return what the folder makes, published; if it is broken, what was before.

    Where another process has the lease, its folder decides, not ours: an old server
    that starts again must not bring old rules back. Else *holder* has it afterwards.

    Raises:
        InvalidRulebook: if the folder is broken and nothing is published.
    """
    now = datetime.now(UTC)
    newest = store.publications.newest()
    epoch = 0
    if config.reload is Reload.ON:
        epoch = store.publications.take_lease(holder, now, LEASE)
        if newest and not epoch:
            return _reopen(store, newest, OTHERS_PUBLISH, ())
    try:
        verdict = build_publisher(config, store, say).publish(epoch)
    except NotLeased:
        # Testing took longer than the lease, and another server has it by now.
        newest = store.publications.newest()
        if newest is None:
            raise
        return _reopen(store, newest, OTHERS_PUBLISH, ())
    if verdict.rulebook:
        return Opening(verdict.rulebook, documents=verdict.documents)
    if newest is None:
        raise InvalidRulebook(verdict.findings)
    notice = (
        f"the rules in {config.rules} cannot be served; served instead are those"
        f" published {newest.at}\n{InvalidRulebook(verdict.findings)}"
    )
    return _reopen(store, newest, notice, verdict.findings)


def _reopen(
    store: Store, newest: Publication, notice: str, findings: tuple[Finding, ...]
) -> Opening:
    compiled = reopen(store, newest.digest)
    if compiled.rulebook is None:
        raise InvalidRulebook(findings or compiled.findings)
    return Opening(compiled.rulebook, notice, compiled.documents)


def record_configuration(config: Config, store: Store, now: datetime) -> str:
    """Have the audit trail say what this server starts with.

    Returns:
        What is otherwise than before, in a line; empty where nothing is.

    Raises:
        StoreError: if it cannot be recorded; then nothing is to be served.
    """
    inventory = build_inventory(config, config.clients, digest_file)
    configuration = Configuration(socket.gethostname(), inventory)
    try:
        before = store.configurations.record(
            configuration,
            lambda before: build_configuration_event(
                now, configuration, before, __version__
            ),
        )
    except StoreError as error:
        message = "the configuration cannot be recorded, so nothing is served"
        raise StoreError(f"{message}: {error}") from error
    if before is None or not before.at:
        return ""
    told = describe_change(compare_inventories(before.inventory, inventory))
    return f"configuration changed since {before.at}: {told}" if told else ""


def build_world(
    config: Config, rulebook: Rulebook, store: Store | None = None
) -> World:
    """Return what the app needs of the world, as the settings say.

    Raises:
        StoreError: if the database URL is wrong.
    """
    store = store or Store.open(config.database_url, limits=config.database_limits)
    store.trust_clock(time.monotonic)
    store.answers_kept = timedelta(days=config.answers_kept_days)
    return World(
        config=config,
        clients=config.clients,
        store=store,
        serving=Serving(rulebook, datetime.now(UTC)),
        clock=lambda: datetime.now(UTC),
        fhir=FhirPool(min(READS_A_CALL * config.threads, MOST_READS), log=say),
    )
