"""``python -m bench referring``: what links to pages of this server cost a call.

The same call, with the shipped rules, is answered to a client that opens no such pages
and to one that does: the card has two links then, and what was answered and why is
encrypted behind each, in the call's own transaction. Rounds alternate in one process,
without HTTP and tokens; medians of the ratios of each round are printed.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from cds_service.config import Config
from cds_service.decision import World, answer
from cds_service.ehr.fixtures import load_case
from cds_service.ehr.hook_calls import build_prefetched, find_templates
from cds_service.protocol.requests import parse_request
from cds_service.protocol.services import discovery
from cds_service.starting import build_world
from cds_service.trust import SmartApp, TrustedClient
from cds_service.trust.vault import KEY_BYTES, Vault, VaultKey
from tests import shipped

from .patients import CASES, SERVICE

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CALLS = 100
"""Of each client in a round."""
CASE = "fires"
PLAIN = TrustedClient("ehr", "north", "https://ehr.example", "https://ehr.example/fhir")
OPENING = replace(PLAIN, smart=SmartApp("cds"))


def main() -> None:
    """Measure and print."""
    with open_world() as world:
        body = build_body(world)
        measure(world, PLAIN, body)
        measure(world, OPENING, body)
        rounds = [
            (measure(world, PLAIN, body), measure(world, OPENING, body))
            for _ in range(ROUNDS)
        ]
    for index, name in enumerate(("time", "CPU")):
        ratios = [opening[index] / plain[index] for plain, opening in rounds]
        plain = statistics.median(each[index] for each, _ in rounds)
        more = f"{statistics.median(ratios):.2f} of it with two links to pages"
        print(f"{name}: {plain:.2f} ms a call without, {more}")


@contextmanager
def open_world() -> Iterator[World]:
    """The shipped rules on a database in a file, with a key."""
    with tempfile.TemporaryDirectory(prefix="cds-bench-") as folder:
        config = Config(
            profile="development",
            auth="off",
            database_url=f"sqlite:///{Path(folder) / 'cds.sqlite'}",
            public_url="https://cds.example",
        )
        world = build_world(config, shipped.rulebook())
        vault = Vault((VaultKey("bench", os.urandom(KEY_BYTES)),))
        with closing(world.store), closing(world.fhir):
            world.store.migrate()
            yield replace(world, clock=lambda: NOW, vault=vault)


def build_body(world: World) -> dict[str, Any]:
    """A call of the service with everything prefetched."""
    services = [each.service for each in world.rulebook.services.values()]
    templates = find_templates(discovery(services)["services"], SERVICE)
    return build_prefetched(load_case(CASES / CASE, NOW), templates)


def measure(
    world: World, client: TrustedClient, body: dict[str, Any]
) -> tuple[float, float]:
    """Milliseconds of time and of CPU for a call; each is of another user."""
    service = world.rulebook.services[SERVICE, "patient-view"]
    requests = []
    for _ in range(CALLS):
        context = {**body["context"], "userId": f"Practitioner/{uuid4()}"}
        asked = {**body, "context": context, "hookInstance": str(uuid4())}
        requests.append(parse_request(asked, https_only=False))
    began, spent = time.perf_counter(), time.process_time()
    for each in requests:
        cards = answer(service, each, client, world).body["cards"]
        linked = any("appContext" in link for link in cards[0]["links"])
        if linked is not (client is OPENING):
            raise SystemExit("the card has not the links that are measured")
    times = (time.perf_counter() - began, time.process_time() - spent)
    return times[0] / CALLS * 1000, times[1] / CALLS * 1000
