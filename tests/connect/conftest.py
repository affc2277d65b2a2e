"""A played Google on loopback, and a server that pulls from it."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener
from zoneinfo import ZoneInfo

import pytest

from cds_service.config import Cloud
from cds_service.connect.asking import PullWorld
from cds_service.connect.granting import CloudDesk, Return, invite, take_back
from cds_service.connect.played import PlayedGoogle, serve_played
from cds_service.connect.pulling import Puller, PullStep
from cds_service.http.connections import ConnectionPool
from cds_service.ingestion import Ingestion
from cds_service.store.detection.records import Detection
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from cds_service.trust.vault import Vault, parse_vault_keys
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey

from ..shipped import rulebook
from .played_vendors import HaltingGoogle

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
JANE = PatientKey("north", "-", "jane")
EVENT = AuditEvent(NOW, "link", "north", "operator")
KEY = base64.b64encode(bytes(range(32))).decode()


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow nobody."""


def visit(url: str) -> dict[str, str]:
    """Where a vendor that allows at once sends the wearer: what the address says."""
    opener = build_opener(_Stay)
    try:
        answer = opener.open(url, timeout=30)
    except HTTPError as error:
        with error:
            return dict(parse_qsl(urlsplit(error.headers["Location"]).query))
    raise AssertionError(answer.read())


@dataclass
class Clock:
    """A time that stands still but for who sleeps."""

    now: datetime = NOW
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def google() -> HaltingGoogle:
    return HaltingGoogle(allows_at_once=True)


@pytest.fixture
def cloud(google: PlayedGoogle) -> Iterator[Cloud]:
    with serve_played(google) as base:
        yield Cloud(
            *("fit", "north", "-", "google-fit", "played", "played-secret"),
            kind_names=("steps",),
            days_again=1,
            days_before=3,
            simulated=base,
        )


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url)
    yield opened
    opened.close()


@pytest.fixture
def pool() -> Iterator[ConnectionPool]:
    opened = ConnectionPool()
    yield opened
    opened.close()


@pytest.fixture
def desk(cloud: Cloud, store: Store, pool: ConnectionPool) -> CloudDesk:
    return CloudDesk(cloud, store, Vault(parse_vault_keys(KEY)), pool)


Connect = Callable[..., Return]


@pytest.fixture
def connect(desk: CloudDesk, clock: Clock) -> Connect:
    """A wearer of the link is asked, goes to the vendor, and comes back."""

    def go(user: str = "u-7", link: bool = True, desk: CloudDesk = desk) -> Return:
        if link:
            told = WearerLink("fit", JANE, NOW - timedelta(days=30), user)
            desk.store.links.add(told, EVENT)
        asked = invite(desk, user, "http://127.0.0.1:9/callback", "me", clock())
        return take_back([desk], visit(asked.link), clock())

    return go


@pytest.fixture
def make_puller(clock: Clock) -> Callable[..., Puller]:
    """Who pulls at these desks, for patients who agree, or do not until they say so."""

    def make(
        *desks: CloudDesk, assumed: bool = True, named_only: bool = False
    ) -> Puller:
        found = rulebook()
        gate = ConsentGate(found.catalogue, NEW_YORK, assumed=assumed)
        detection = Detection(tuple(found.detectors.values()), gate)
        ingestion = Ingestion(
            *(desks[0].store, (), lambda tenant: gate, json.loads),
            detection_of=lambda tenant: detection,
        )
        world = PullWorld(clock, clock.sleep, lambda: 0.5)
        return Puller(desks, ingestion, world, named_only)

    return make


@pytest.fixture
def pull(
    make_puller: Callable[..., Puller], desk: CloudDesk
) -> Callable[..., list[PullStep]]:
    """What comes of a pull of everything."""

    def go(**how: Any) -> list[PullStep]:
        return list(make_puller(desk, **how).pull())

    return go
