"""``cds-service deliver``: episodes and days, told to the hospital."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing

import click

from ...config import Config, InvalidConfig, load_config
from ...delivery.dispatcher import CONNECTIONS, DispatchProgress
from ...delivery.opening import NotOpened
from ...publishing.serving import Log, reopen
from ...rulebook.engine import Rulebook
from ...starting import build_world
from ...store.outbox.records import Backlog
from ...store.records import StoreError
from ...store.store import Store
from ...web.log import say
from .. import Verb, Verbs
from ..rules.compiled import compile_folder
from .running import Order, open_site, tell_on

TO_REPORT = (
    "a mistake of this program: report this line, and see `cds-service deliver list`"
    " for what still waits"
)


@click.group(
    cls=Verbs,
    package=__name__,
    invoke_without_command=True,
    verbs={
        "backfill": Verb("outbox", "Queue older data for a destination."),
        "drop": Verb("outbox", "Cancel a delivery."),
        "list": Verb(
            "outbox", "List what is waiting, by destination.", name="list_rows"
        ),
        "retry": Verb("outbox", "Retry deliveries that were given up."),
        "show": Verb("outbox", "Show everything that is known about one delivery."),
    },
)
@click.option("--once", is_flag=True, help="Deliver what is due now, and exit.")
@click.option("--destination", default="", help="Only this one; by default all.")
@click.option(
    "--connections",
    default=CONNECTIONS,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Connections at a time to one destination.",
)
@click.pass_context
def deliver(
    context: click.Context, once: bool, destination: str, connections: int
) -> None:
    """Send episodes and days to destinations, until a signal comes.

    Settings and the clients file are those of the server, from the environment. Several
    may run on one database: they share the work. SIGTERM finishes what is under way;
    SIGHUP reloads the clients file and all other files that the settings name.

    Exit code 0: ended, or with --once everything due was sent; 1: it could not be done,
    or something is left after --once, or this program broke off: it says how much is
    left, and what to do.
    """
    if context.invoked_subcommand is not None:
        return
    try:
        config = load_config()
        with closing(_open(config)) as store:
            left = _deliver(config, store, once, destination, connections)
    except (InvalidConfig, StoreError, NotOpened) as error:
        raise click.ClickException(str(error)) from error
    if once and left:
        raise click.ClickException("; ".join(left))


def _open(config: Config) -> Store:
    store = Store.open(config.database_url, limits=config.database_limits)
    store.migrate()
    return store


def _deliver(
    config: Config, store: Store, once: bool, only: str, connections: int
) -> list[str]:
    """Deliver until it is over; what is left, a phrase a destination."""
    log: Log = _quiet if once and sys.stderr.isatty() else say
    world = build_world(config, _rulebook(config, store), store)
    order = Order(only, connections, once, log)
    opened, change = open_site(world, order)
    if change:
        click.echo(change, err=True)
    progress = tell_on(world, opened, order)
    backlogs = store.outbox_desk.backlogs(world.clock())
    chosen = [each for each in backlogs if only in ("", each.destination)]
    return _left(chosen, progress)


def _rulebook(config: Config, store: Store) -> Rulebook:
    """What servers serve or, where none has published anything yet, the folder."""
    newest = store.publications.newest()
    if newest is not None:
        compiled = reopen(store, newest.digest)
        if compiled.rulebook is not None:
            return compiled.rulebook
    return compile_folder(config.rules).rulebook


def _left(
    backlogs: Sequence[Backlog], progress: Mapping[str, DispatchProgress]
) -> list[str]:
    """Of each destination what is left and what broke off, though nothing is left."""
    left = []
    for each in backlogs:
        told, done = [], progress.get(each.destination, DispatchProgress())
        if each.due:
            why = done.problem or each.health.last_problem
            told.append(f"{each.due:,} to retry" + (f" ({why})" if why else ""))
        if each.dead:
            told.append(f"{each.dead:,} given up, see `cds-service deliver list`")
        if done.fault:
            told.append(f"broke off by {done.fault}, {TO_REPORT}")
        if told:
            left.append(f"{each.destination}: {', '.join(told)}")
    return left


def _quiet(event: str, **facts: object) -> None:
    """Nothing is logged where a person looks on."""
