"""``cds-service publish``: check the rules, test them and have them served."""

import os
import signal
from collections.abc import Callable
from threading import Event
from uuid import uuid4

import click

from ...config import Config, InvalidConfig, load_config
from ...publishing.publisher import Lease, Verdict, Watcher, build_publisher
from ...rulebook.language import render
from ...rulebook.load import InvalidRulebook
from ...rulebook.watch import Watch
from ...store.records import StoreError
from ...store.store import Store

REFUSED, COULD_NOT_RUN = 1, 2
NICENESS = 5
"""While the rules are tested, requests have the processors first."""


@click.command()
@click.option(
    "--watch",
    is_flag=True,
    help="Keep running, and publish whenever the folder changes; Ctrl-C stops it.",
)
@click.option("--holder", default=lambda: str(uuid4()), hidden=True)
@click.option("--parent", type=int, hidden=True)
@click.pass_context
def publish(
    context: click.Context, watch: bool, holder: str, parent: int | None
) -> None:
    """Check and test the rules, then have every server on the database serve them.

    CDS_RULES names the folder, CDS_DATABASE_URL the database. Servers that run take the
    new rules within two seconds. Exit code 0: published, or served already; 1: refused,
    and servers keep the rules that they have; 2: could not run.
    """
    try:
        config = load_config()
        # A server has made its database; one that is gone is not to be made anew.
        url, limits = config.database_url, config.database_limits
        store = Store.open(url, create=parent is None, limits=limits)
        store.migrate()
        if watch:
            _watch(config, store, holder, parent)
        else:
            context.exit(_publish_once(config, store))
    except (InvalidConfig, StoreError) as error:
        click.echo(f"Error: {error}", err=True)
        context.exit(COULD_NOT_RUN)


def _publish_once(config: Config, store: Store) -> int:
    publisher = build_publisher(config, store, lambda event, **facts: None)
    files = publisher.read()
    verdict = publisher.consider(files)
    if verdict.rulebook is None:
        texts = {} if isinstance(files, InvalidRulebook) else files
        for each in verdict.errors:
            click.echo(render(each, texts.get(each.file, "")) + "\n")
        click.echo(f"refused: {_counted(len(verdict.errors), 'error')}")
        return REFUSED
    click.echo(_outcome(verdict))
    return 0


def _outcome(verdict: Verdict) -> str:
    assert verdict.rulebook
    what = "published" if verdict.published else "served already"
    rules = _counted(len(verdict.rulebook.rules), "rule")
    return f"{what}: {rules}, digest {verdict.rulebook.digest[:12]}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _watch(config: Config, store: Store, holder: str, parent: int | None) -> None:
    """Watch until a signal comes, or the server is gone that started this."""
    # A server's log, which who publishes once is without.
    from ...web.log import say

    os.nice(NICENESS)
    over = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    publisher = build_publisher(config, store, say)
    with Lease(store, holder, publisher.clock) as lease:
        watcher = Watcher(publisher, lease, Watch(config.rules))
        watcher.run(_ending(over, parent))


def _ending(over: Event, parent: int | None) -> Callable[[], bool]:
    return lambda: over.is_set() or (parent is not None and os.getppid() != parent)
