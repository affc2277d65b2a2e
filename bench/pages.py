"""``python -m bench pages``: how long the pages behind a card take, beside /health.

One server as it is run, over HTTP, with the shipped rules and a patient of the
fixtures; the browser has one session by a card, and one without, for which the chart is
read from a FHIR server on this machine. Each page is asked in turn with ``/health``, on
one connection, so that what the machine does besides meets both. Of the workbench, Try
is asked as well: first as by somebody who has just opened it, then again and again.
"""

import base64
import http.client
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cds_service.config import load_config, load_vault
from cds_service.decision import World, answer
from cds_service.ehr.fixture_server import FixtureServer, load_records, serve_records
from cds_service.ehr.fixtures import load_case
from cds_service.ehr.hook_calls import build_prefetched, find_templates
from cds_service.protocol.requests import parse_request
from cds_service.protocol.services import discovery
from cds_service.starting import build_world
from cds_service.store.grants.records import SealedTokens
from cds_service.store.records import AuditEvent
from cds_service.store.sign_in.records import IDLE, SmartSession, about_token
from cds_service.store.workbench.sessions import WorkbenchSession
from cds_service.web.smart.cookies import SESSION, hash_of, new_id, new_key
from cds_service.web.smart.sessions import Gate
from cds_service.web.workbench.sessions import LOCAL_COOKIE, PREFIX, hash_secret
from tests import shipped

from .patients import CASES, SERVICE
from .serving import serve_product

CASE = "fires"
TIMES = int(os.environ.get("BENCH_PAGES", "100"))
"""Of each page."""
READS = 1.0
"""Seconds for which somebody looks at a page before they press something."""
TARGET = 200.0
"""Milliseconds within which a page is to be there."""


@dataclass(frozen=True, slots=True)
class Place:
    """A page, and the cookie with which it opens."""

    name: str
    path: str
    cookie: str


def main() -> None:
    """Measure and print."""
    case = load_case(CASES / CASE, datetime.now(UTC))
    with (
        tempfile.TemporaryDirectory(prefix="cds-bench-") as folder,
        serve_records(load_records([case.chart]), token="token") as fhir,
    ):
        settings = write_settings(Path(folder), fhir)
        with serve_product(settings) as (port, _), open_world(settings) as world:
            author = Place("try, of the workbench", f"{PREFIX}/try", sign_in(world))
            measure_first(port, author)
            measure(port, [*places_of(world, fhir), author])


def write_settings(folder: Path, fhir: FixtureServer) -> dict[str, str]:
    """The settings of a server that one EHR opens."""
    client = {
        "id": "ehr",
        "iss": "https://ehr.example.org",
        "jku": "https://ehr.example.org/jwks.json",
        "fhir_base": fhir.base,
        "fhir_servers": [fhir.base],
        "smart": {"client_id": "bench"},
    }
    (folder / "clients.yaml").write_text(json.dumps({"clients": [client]}))
    return {
        "CDS_PROFILE": "development",
        "CDS_RULES": str(shipped.RULES),
        "CDS_CLIENTS_FILE": str(folder / "clients.yaml"),
        "CDS_DATABASE_URL": f"sqlite:///{folder / 'cds.sqlite'}",
        "CDS_TOKEN_KEY": base64.b64encode(os.urandom(32)).decode(),
        "CDS_WORKERS": "1",
    }


@contextmanager
def open_world(settings: dict[str, str]) -> Iterator[World]:
    """The server's database, seen from here."""
    config = load_config(settings)
    world = build_world(config, shipped.rulebook())
    with closing(world.store), closing(world.fhir):
        yield replace(world, vault=load_vault(config))


def places_of(world: World, fhir: FixtureServer) -> list[Place]:
    """The pages of a session that came by a card, and of one that did not."""
    by_card = open_session(world, fhir, reference_of(world))
    without = open_session(world, fhir, None)
    return [
        *(Place(name, *by_card(name)) for name in ("card", "why", "consent")),
        Place("why, of the chart now", *without("why")),
    ]


def sign_in(world: World) -> str:
    """Open a session of an author; give its cookie."""
    now, key = datetime.now(UTC), new_key()
    until = now + timedelta(hours=8)
    session = WorkbenchSession(hash_secret(key), "", "b", "author", now, until, until)
    world.store.workbench.open(session, AuditEvent(now, "sign-in"))
    return f"{LOCAL_COOKIE}={key}"


def reference_of(world: World) -> str:
    """What the link of the first card of the fixture bears."""
    services = [each.service for each in world.rulebook.services.values()]
    templates = find_templates(discovery(services)["services"], SERVICE)
    case = load_case(CASES / CASE, datetime.now(UTC))
    asked = parse_request(build_prefetched(case, templates), https_only=False)
    service = world.rulebook.services[SERVICE, "patient-view"]
    client = world.clients.clients[0].client
    card, *_ = answer(service, asked, client, world).body["cards"]
    return next(str(e["appContext"]) for e in card["links"] if e["type"] == "smart")


def open_session(
    world: World, fhir: FixtureServer, reference: str | None
) -> Callable[[str], tuple[str, str]]:
    """Open a session; give the path and the cookie of each of its pages."""
    gate, now, key = Gate.of(world), datetime.now(UTC), new_key()
    client = world.clients.clients[0].client
    case = load_case(CASES / CASE, now)
    session = SmartSession(
        id=new_id(),
        launch=new_id(),
        tenant=client.tenant,
        client=client.id,
        fhir_base=fhir.base,
        patient=case.name,
        encounter=None,
        user=None,
        scopes=("patient/*.rs",),
        opened_at=now,
        idle_until=now + IDLE,
        until=now + timedelta(hours=8),
        reference=reference,
        context={"name": "Ann Example", "birthDate": "1958-03-14"},
    )
    sealed = world.vault.lock("token", about_token(session.launch, "access"))
    tokens = SealedTokens(sealed, expires=now + timedelta(hours=1))
    event = AuditEvent(now, "sign-in", session.tenant, session.client)
    stored = gate.sealed(session)
    world.store.smart_sessions.open(stored, hash_of(key), tokens, event)
    cookie = f"{gate.cookies.name(SESSION, session.id)}={key}"
    return lambda page: (f"/smart/s/{session.id}/{page}", cookie)


def measure(port: int, places: list[Place]) -> None:
    """Ask each page in turn with ``/health``, and print what each took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for place in places:
        took: list[float] = []
        beside: list[float] = []
        for _ in range(TIMES):
            beside.append(ask(connection, "/health", ""))
            took.append(ask(connection, place.path, place.cookie))
        median, last = statistics.median(took), sorted(took)[int(TIMES * 0.99) - 1]
        health = statistics.median(beside)
        verdict = "" if last < TARGET else f"  over {TARGET:g} ms"
        print(
            f"{place.name:24} {median:6.1f} ms, 99 %: {last:6.1f} ms,"
            f" {median / health:5.1f} times /health ({health:.1f} ms){verdict}"
        )


def measure_first(port: int, place: Place) -> None:
    """Open the workbench, press Try a little later, and print what that took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    ask(connection, f"{PREFIX}/", place.cookie)
    time.sleep(READS)
    print(f"{place.name}, first {ask(connection, place.path, place.cookie):6.1f} ms")


def ask(connection: http.client.HTTPConnection, path: str, cookie: str) -> float:
    """Milliseconds of one answer, which must be a good one."""
    begun = time.perf_counter()
    connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
    answered = connection.getresponse()
    body = answered.read()
    took = (time.perf_counter() - begun) * 1000
    if answered.status != 200:
        raise SystemExit(f"{path} answered {answered.status}: {body[:300]!r}")
    return took
