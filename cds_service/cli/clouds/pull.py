"""``cds-service pull``: what wearers permit, fetched from vendors' clouds."""

import json
import re
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from random import SystemRandom
from typing import Any

import click

from ...connect.asking import PullWorld
from ...connect.pulling import Puller, PullStep
from ...connect.subscribing import Subscriber
from ...decision.consenting import open_gate
from ...ingestion import Ingestion
from ...publishing.serving import reopen
from ...rulebook.engine import Rulebook
from ...store.detection.records import Detection
from ...store.samples.records import QuarantineLimits
from ..rules.compiled import compile_folder
from ..terminal import ProgressLine
from . import OpenSite, open_site

UNITS = {"s": 1, "m": 60, "h": 3600}
SHORTEST = 60
"""Seconds between two pulls."""


class _Every(click.ParamType[int]):
    """A time such as ``15m``, in seconds."""

    name = "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the seconds; fail for anything else."""
        if isinstance(value, int):
            return value
        told = re.fullmatch(r"([0-9]{1,5})([smh])", value)
        seconds = int(told[1]) * UNITS[told[2]] if told else 0
        if seconds < SHORTEST:
            self.fail("must be like 15m or 2h, and a minute at least", param, ctx)
        return seconds


@click.command()
@click.option("--source", default="", help="Only from this cloud, by its id.")
@click.option("--user", default="", help="Only this wearer, by the name in the links.")
@click.option(
    "--once", is_flag=True, help="Fetch once and exit; the default without --every."
)
@click.option(
    "--every", type=_Every(), help="Fetch repeatedly, at this interval, such as 15m."
)
@click.option(
    "--named", is_flag=True, help="Fetch only what vendors' notifications have named."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per part.")
def pull(
    source: str, user: str, once: bool, every: int | None, named: bool, as_json: bool
) -> None:
    """Fetch what wearers permit, day by day, and store it like a delivery.

    Nothing is fetched before the patient permits the collection. Several processes may
    pull at once: each grant is worked on by one at a time. The settings are those of
    the server. Vendors that are to send
    notifications are asked to, and again before the subscription ends; where one does
    not, it says so and fetches what there is.

    Exit code 0: everything was fetched; 1: something was not, and it says what. With
    --every it ends at SIGTERM or SIGINT, after what is under way.
    """
    if once and every:
        raise click.UsageError("--once and --every exclude each other")
    stop = _stopped_by_signals() if every else threading.Event()
    show = _print_json if as_json else _print
    with open_site() as site:
        # Also where no server has started with these destinations yet.
        takes = [each.takes for each in site.config.clients.destinations]
        site.store.outbox.subscribe(takes)
        while True:
            failed = _pull(site, source, user, named, stop, show)
            if every is None:
                raise SystemExit(1 if failed else 0)
            if stop.wait(every):
                return


def _pull(
    site: OpenSite,
    source: str,
    user: str,
    named: bool,
    stop: threading.Event,
    show: Callable[[PullStep], None],
) -> int:
    """How many parts have failed."""
    rulebook = _rulebook(site)

    def sleep(seconds: float) -> None:
        stop.wait(seconds)

    world = PullWorld(_now, sleep, SystemRandom().random)
    subscriber = Subscriber(world, site.config.public_url)
    ingestion = _ingestion(site, rulebook)
    puller = Puller(site.desks, ingestion, world, named, subscriber)
    line, failed, parts = ProgressLine(), 0, 0
    steps = puller.pull(source, user)
    try:
        for step in steps:
            line.clear()
            show(step)
            failed += step.failed
            parts += 1
            line.say(f"{parts:,} parts, {failed:,} failed")
            if stop.is_set():
                break
    finally:
        line.clear()
        steps.close()  # type: ignore[attr-defined]
    return failed


def _rulebook(site: OpenSite) -> Rulebook:
    """What is served; where nothing is yet, what the folder holds."""
    newest = site.store.publications.newest()
    found = reopen(site.store, newest.digest).rulebook if newest else None
    return found or compile_folder(site.config.rules).rulebook


def _ingestion(site: OpenSite, rulebook: Rulebook) -> Ingestion:
    config = site.config
    limits = config.quarantine_wearer_limit, config.quarantine_limit

    def detection_of(tenant: str) -> Detection:
        detectors = tuple(rulebook.detectors.values())
        return Detection(detectors, gate_of(tenant), config.detection_days)

    def gate_of(tenant: str) -> Any:
        mode = config.wearables_consent
        return open_gate(rulebook, config.clients, tenant, mode)

    return Ingestion(
        *(site.store, config.clients.webhooks, gate_of, json.loads),
        quarantine=QuarantineLimits(*limits),
        detection_of=detection_of,
    )


def _print(step: PullStep) -> None:
    parts = [each for each in (step.source, step.user, step.kind) if each]
    if step.days:
        same = step.days.first == step.days.last
        parts.append(f"{step.days.first}" + ("" if same else f" to {step.days.last}"))
    told = step.problem or step.told or f"{step.stored:,} new"
    click.echo(f"{' '.join(parts)}: {told}", err=bool(step.problem))


def _print_json(step: PullStep) -> None:
    days = step.days
    told = {
        "source": step.source,
        "user": step.user,
        "kind": step.kind,
        "first": days.first.isoformat() if days else None,
        "last": days.last.isoformat() if days else None,
        "stored": step.stored,
        "problem": step.problem,
        "told": step.told,
        "failed": step.failed,
    }
    click.echo(json.dumps(told))


def _stopped_by_signals() -> threading.Event:
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    return stop


def _now() -> datetime:
    return datetime.now(UTC)
