"""The process that tells destinations, by settings that may be taken up anew.

SIGHUP has it read the clients file and all that settings name once more. What is wrong
changes nothing, and is said; else what is under way is settled by the settings of
before, and everything after it is told by the new ones.
"""

import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import click

from ...config import InvalidConfig, load_config
from ...config.destinations import find_untold
from ...decision import World
from ...delivery.dispatcher import Dispatcher, DispatchProgress, Surroundings, run
from ...delivery.opening import Needs, NotOpened, open_destinations
from ...delivery.records import Destination
from ...publishing.serving import Follower, Log
from ...starting import keep_identifier_base, record_configuration
from ...store.records import StoreError
from ..terminal import ProgressLine


@dataclass(frozen=True, slots=True)
class Order:
    """What one deliverer was started for."""

    only: str
    """A destination; empty for all."""
    connections: int
    once: bool
    log: Log


@dataclass(slots=True)
class _Signals:
    """What the process was told meanwhile."""

    ending: threading.Event = field(default_factory=threading.Event)
    anew: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    """Whether those who tell are to settle what they have, for whichever reason."""

    def heed(self, *, once: bool) -> None:
        """Be told from now on; who tells only once takes nothing up anew."""

        def end(*_: object) -> None:
            self.ending.set()
            self.stopping.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        if not once:
            signal.signal(signal.SIGHUP, lambda *_: self.anew.set())


def open_site(world: World, order: Order) -> tuple[Sequence[Destination], str]:
    """Return the destinations of a world, and what its settings change, in a line.

    Raises:
        NotOpened: if one cannot be opened.
        StoreError: if the settings cannot be recorded.
    """
    config, store = world.config, world.store
    base = keep_identifier_base(config, store)
    needs = Needs(lambda: world.rulebook, base, order.log)
    configured = world.clients.destinations
    for each in find_untold(configured, world.rulebook.catalogue):
        click.echo(f"warning: {each}", err=True)
    opened = open_destinations(configured, needs, order.only)
    return opened, record_configuration(config, store, datetime.now(UTC), "deliver")


def tell_on(
    world: World, opened: Sequence[Destination], order: Order
) -> Mapping[str, DispatchProgress]:
    """Tell until a signal says that it is enough, or all is told that is due.

    Return how far it came, by destination.
    """
    signals = _Signals()
    signals.heed(once=order.once)
    follower = Follower(world.serving, world.store, world.clock, order.log)
    if not order.once:
        follower.start()
    following: tuple[World, Sequence[Destination]] | None = (world, opened)
    progress: dict[str, DispatchProgress] = {}
    try:
        while following is not None:
            signals.stopping.clear()
            following = _tell(*following, order, signals, progress)
    finally:
        if not order.once:
            follower.stop()
        world.fhir.close()
    return progress


def _tell(
    world: World,
    opened: Sequence[Destination],
    order: Order,
    signals: _Signals,
    progress: dict[str, DispatchProgress],
) -> tuple[World, Sequence[Destination]] | None:
    """Tell by the settings of a world; by which others to go on, if any."""
    around = Surroundings(world.consent_gate, world.clock, order.log)
    dispatchers = [
        Dispatcher(world.store.outbox, each, around, order.connections)
        for each in opened
    ]
    progress |= {each.id: its.progress for each, its in zip(opened, dispatchers)}
    line = ProgressLine()
    renewed: list[tuple[World, Sequence[Destination]]] = []

    def look() -> None:
        line.say(_progress(dispatchers))
        if signals.anew.is_set() and not renewed:
            signals.anew.clear()
            renewed.extend(_renew(world, order))
            if renewed:
                signals.stopping.set()

    try:
        run(dispatchers, signals.stopping, look, once=order.once)
    finally:
        line.clear()
    return renewed[0] if renewed and not signals.ending.is_set() else None


def _renew(world: World, order: Order) -> list[tuple[World, Sequence[Destination]]]:
    """The world with the settings as they are now; nothing where they are wrong."""
    try:
        config = load_config()
        other = replace(world, config=config, clients=config.clients)
        opened, change = open_site(other, order)
    except (InvalidConfig, NotOpened, StoreError) as error:
        order.log("settings refused", level="error", problem=str(error))
        return []
    order.log("settings taken", change=change)
    return [(other, opened)]


def _progress(dispatchers: Sequence[Dispatcher]) -> str:
    parts = [each.progress for each in dispatchers]
    sent = sum(each.sent for each in parts)
    failed = sum(each.failed for each in parts)
    declined = sum(each.declined for each in parts)
    return f"{sent:,} delivered, {failed:,} to retry, {declined:,} given up"
