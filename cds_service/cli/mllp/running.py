"""The process that takes messages, from good settings until it is told to end."""

import asyncio
import json
import signal
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import click

from ...config import Config, InvalidConfig, WebhookSource
from ...decision import World
from ...ingestion import Ingestion
from ...ingestion.messages import accept_message
from ...publishing.serving import Follower, find_lines, reopen
from ...rulebook.compile import Compiled
from ...rulebook.engine import Rulebook
from ...starting import build_world
from ...store.records import StoreError
from ...store.samples.records import QuarantineLimits
from ...store.store import Store
from ...wearables.adapters.hl7v2.acknowledging import (
    MessageOutcome,
    MessageVerdict,
    acknowledge,
    read_header,
)
from ...web.log import say
from ...web.metrics import Metrics
from ...web.readiness import Readiness
from .health import Page, open_health_port
from .server import MllpBounds, MllpServer

ROUTE = "mllp"
STATUS = {
    MessageOutcome.ACCEPT: 200,
    MessageOutcome.ERROR: 503,
    MessageOutcome.REJECT: 422,
}
"""What a message is counted as among requests."""
ENDING = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class MllpSite:
    """What a start, or SIGHUP, makes of settings and options."""

    config: Config
    source: WebhookSource
    context: ssl.SSLContext | None
    """What is offered to peers; None where nothing is encrypted."""


async def run(
    read: Callable[[], MllpSite], bounds: MllpBounds, place: tuple[str, int, int | None]
) -> None:
    """Take messages until told to end.

    Args:
        read: The settings as they are now; raises InvalidConfig.
        place: Address, port, and the port of health if there is to be one.

    Raises:
        OSError: if a port cannot be had.
        click.ClickException: if there are no rules, or the database cannot be used.
    """
    host, port, health_port = place
    site, metrics = read(), Metrics()
    world = open_world(site.config, metrics)
    receiver = Receiver(world, site.source, metrics)
    server = MllpServer(
        site.source.proof, receiver.take, bounds, say, metrics.count_given_up
    )
    told = _listen_to_signals()
    opened = await server.listen(host, port, site.context)
    listeners = [opened]
    ports = {"port": opened.sockets[0].getsockname()[1]}
    if health_port is not None:
        listeners.append(await open_health_port(host, health_port, receiver.pages()))
        ports["health_port"] = listeners[1].sockets[0].getsockname()[1]
    tls = site.context is not None
    say("mllp listens", source=site.source.id, host=host, tls=tls, **ports)
    while await told.get() == signal.SIGHUP:
        if (other := _renew(read)) is not None:
            receiver.renew(other)
            server.renew(other.source.proof)
            if site.context is not None or other.context is not None:
                opened.close()
                opened = await server.listen(host, ports["port"], other.context)
                listeners[0] = opened
            site = other
            say("settings taken", source=site.source.id)
    await server.end(opened)
    for each in listeners:
        each.close()
    world.store.close()
    say("mllp ended", source=site.source.id)


def _listen_to_signals() -> asyncio.Queue[signal.Signals]:
    """What the process is told from now on, one after another."""
    told = asyncio.Queue[signal.Signals]()
    for number in (*ENDING, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told.put_nowait, number)
    return told


def _renew(read: Callable[[], MllpSite]) -> MllpSite | None:
    """The settings as they are now; None where they are wrong, which is said."""
    try:
        return read()
    except InvalidConfig as error:
        say("settings refused", level="error", problem=str(error))
        return None


def open_world(config: Config, metrics: Metrics) -> World:
    """Return what a message may touch, with the rules that are published.

    Raises:
        click.ClickException: if there are none, or the database cannot be used.
    """
    url, limits = config.database_url, config.database_limits
    try:
        store = Store.open(url, create=False, limits=limits)
    except StoreError as error:
        raise click.ClickException(str(error)) from error
    try:
        rulebook, compiled = _open_rules(store)
    except (StoreError, click.ClickException) as error:
        store.close()
        raise click.ClickException(str(error)) from error
    world = build_world(config, rulebook, store)
    store.condition.listen(metrics.count_store_failure)
    Follower(world.serving, store, world.clock, say, compiled.documents).start()
    return world


def _open_rules(store: Store) -> tuple[Rulebook, Compiled]:
    """What is published."""
    newest = store.publications.newest()
    if newest is None:
        text = "no rules are published; start cds-service serve first"
        raise click.ClickException(text)
    compiled = reopen(store, newest.digest)
    if compiled.rulebook is None:
        text = "the published rules cannot be read by this version"
        raise click.ClickException(text)
    return compiled.rulebook, compiled


def open_ingestion(world: World, metrics: Metrics) -> Ingestion:
    """Return what messages may touch; how many come their answers pace."""
    config = world.config
    return Ingestion(
        world.store,
        world.clients.webhooks,
        world.consent_gate,
        parse_json=json.loads,
        quarantine=QuarantineLimits(
            config.quarantine_wearer_limit, config.quarantine_limit
        ),
        count=metrics.count_readings,
        detection_of=world.detection,
        count_detected=metrics.count_detected,
    )


@dataclass(slots=True)
class Receiver:
    """Answers messages, and says how that goes; thread-safe."""

    world: World
    source: WebhookSource
    metrics: Metrics
    _ingestion: Ingestion = field(init=False)
    _readiness: Readiness = field(init=False)

    def __post_init__(self) -> None:
        self._ingestion = open_ingestion(self.world, self.metrics)
        self._readiness = Readiness(self.world, say)
        self._readiness.start()

    def renew(self, site: MllpSite) -> None:
        """Judge what comes from now on by other settings."""
        config = site.config
        self.world = replace(self.world, config=config, clients=config.clients)
        self.source = site.source
        self._ingestion = open_ingestion(self.world, self.metrics)

    def take(self, raw: bytes, too_large: bool) -> Sequence[bytes]:
        """Return the answers to a message, once what it brings is stored."""
        now = self.world.clock()
        verdict = MessageVerdict(MessageOutcome.REJECT, "The message is too large.")
        if not too_large:
            verdict = self._judge(raw, now)
        seconds = (self.world.clock() - now).total_seconds()
        self.metrics.count(ROUTE, "ORU", STATUS[verdict.outcome], seconds)
        control_id = str(int(now.timestamp() * 1_000_000))
        return acknowledge(read_header(raw), verdict, now, control_id)

    def _judge(self, raw: bytes, now: datetime) -> MessageVerdict:
        try:
            return accept_message(raw, self.source, self._ingestion, now)
        except Exception as error:
            # What it says may be of a patient: the log is told its kind and its place.
            facts = {"error": type(error).__name__, "at": find_lines(error)}
            say("message failed", level="error", source=self.source.id, **facts)
            return MessageVerdict(
                MessageOutcome.ERROR, "The message could not be processed."
            )

    def pages(self) -> Mapping[str, Page]:
        """Return what the health port answers, by path."""

        def live() -> tuple[int, str, bytes]:
            return 200, "application/json", b'{"status":"alive"}'

        def ready() -> tuple[int, str, bytes]:
            fault = self._readiness.known
            told = "ready" if fault is None else fault.kind
            body = json.dumps({"status": told}).encode()
            return 200 if fault is None else 503, "application/json", body

        def counted() -> tuple[int, str, bytes]:
            return 200, "text/plain; version=0.0.4", self.metrics.render_own()

        return {"/health/live": live, "/health/ready": ready, "/metrics": counted}
