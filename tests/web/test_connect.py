"""The page to which vendors send wearers says what came of it, and leads nowhere."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.config import Cloud, load_vault
from cds_service.connect.callback import PATH
from cds_service.connect.granting import CloudDesk, invite
from cds_service.connect.played import PlayedGoogle, serve_played
from cds_service.decision import World
from cds_service.http.connections import ConnectionPool
from cds_service.store.grants.records import (
    CloudGrant,
    GrantWearer,
    PullCursor,
    SealedTokens,
)
from cds_service.store.records import AuditEvent

from .conftest import NOW

KEY = "A" * 43 + "="


@pytest.fixture
def google() -> PlayedGoogle:
    return PlayedGoogle(allows_at_once=True)


@pytest.fixture
def world(build: Callable[[], World]) -> World:
    """A server without clouds."""
    return build()


@pytest.fixture
def connecting(world: World, google: PlayedGoogle) -> Iterator[World]:
    """The same server, which has a cloud."""
    with serve_played(google) as base:
        fit = Cloud("fit", "demo", "-", "google-fit", "played", "played-secret")
        cloud = replace(fit, kind_names=("steps",), simulated=base)
        yield replace(
            world,
            config=world.config.model_copy(update={"token_key": KEY}),
            clients=replace(world.clients, clouds=(cloud,)),
        )


@pytest.fixture
def http(connecting: World) -> FlaskClient:
    return create_app(world=connecting).test_client()


@contextmanager
def desk_of(world: World) -> Iterator[CloudDesk]:
    pool = ConnectionPool()
    (cloud,) = world.clients.clouds
    yield CloudDesk(cloud, world.store, load_vault(world.config), pool)
    pool.close()


def brought_back(
    world: World, google: PlayedGoogle, user: str = "u-7"
) -> dict[str, str]:
    """What the address says by which the vendor sends a wearer here."""
    with desk_of(world) as desk:
        url = f"{world.config.public_url}{PATH}"
        query = urlsplit(invite(desk, user, url, "me", NOW).link).query
    sent = google.answer("GET", f"/o/oauth2/v2/auth?{query}", {}, b"")
    assert sent is not None
    address = sent.headers["Location"]
    assert address.startswith("https://cds.example.org/base/connect/callback?")
    return dict(parse_qsl(urlsplit(address).query))


def test_who_comes_back_is_connected_by_the_server(
    http: FlaskClient, connecting: World, google: PlayedGoogle
) -> None:
    answer = http.get(PATH, query_string=brought_back(connecting, google))

    assert answer.status_code == 200 and "It worked." in answer.text
    (grant,) = connecting.store.grants.all()
    assert grant.wearer == GrantWearer("demo", "fit", "u-7")


def test_the_page_may_load_nothing_be_kept_nowhere_and_shown_in_no_frame(
    http: FlaskClient,
) -> None:
    answer = http.get(PATH, query_string={"state": "x", "next": "https://evil.example"})

    assert answer.status_code == 400
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "form-action 'none'" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "Location" not in answer.headers and "evil.example" not in answer.text
    assert "Set-Cookie" not in answer.headers


def test_the_same_address_again_connects_nobody(
    http: FlaskClient, connecting: World, google: PlayedGoogle
) -> None:
    told = brought_back(connecting, google)
    http.get(PATH, query_string=told)

    again = http.get(PATH, query_string=told)

    assert again.status_code == 400 and "was already used" in again.text


def test_of_what_came_in_the_address_nothing_is_logged_or_audited(
    connecting: World,
    google: PlayedGoogle,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    told = brought_back(connecting, google)
    create_app(world=connecting).test_client().get(PATH, query_string=told)

    logged = capfdbinary.readouterr().out.decode()
    trail = str(list(connecting.store.audit_entries()))
    assert '"route":"/connect/callback"' in logged
    assert not any(told[each] in logged + trail for each in ("state", "code"))


def test_a_server_without_clouds_has_no_such_page(world: World) -> None:
    assert create_app(world=world).test_client().get(PATH).status_code == 404


def grant(world: World, user: str, **pulled: Any) -> CloudGrant:
    event = AuditEvent(NOW, "link")
    wearer = GrantWearer("demo", "fit", user)
    kept = world.store.grants.keep(CloudGrant(wearer, (), SealedTokens(), NOW), event)
    if pulled:
        due = NOW + timedelta(hours=1)
        cursor = PullCursor("steps", None, due, 3, "HTTP 503")
        world.store.pulls.fail(kept.id, cursor)
    return kept


def test_health_and_metrics_tell_how_many_permissions_hold_and_which_fail(
    http: FlaskClient, connecting: World
) -> None:
    grant(connecting, "u-7")
    assert http.get("/health").json["grants"] == {"fit": {"active": 1}}

    grant(connecting, "u-8", failing=True)

    health: Mapping[str, Any] = http.get("/health").json
    assert health["grants"] == {"fit": {"active": 2, "failing": 1}}
    assert health["status"] == "degraded"
    text = "not all data can be fetched from fit: see `cds-service connect list`"
    assert text in health["problems"]
    metrics = http.get("/metrics").text
    assert 'cds_grants{source="fit",state="active"} 2.0' in metrics
    assert 'cds_grants{source="fit",state="revoked"} 0.0' in metrics
    assert 'cds_grants{source="fit",state="failing"} 1.0' in metrics
    assert "u-7" not in metrics and "u-7" not in str(health)
