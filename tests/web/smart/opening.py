"""An EHR that opens pages of ours, and a session of it that is there already."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient

from cds_service.config import load_vault
from cds_service.decision import World
from cds_service.http.addresses import ListedServer, Reach
from cds_service.store.grants.records import SealedTokens
from cds_service.store.records import AuditEvent
from cds_service.store.sign_in.records import IDLE, SmartSession, about_token
from cds_service.trust import RegisteredClient, SmartApp, TrustedClient
from cds_service.web.smart.cookies import SESSION, hash_of, new_id, new_key
from cds_service.web.smart.forms import FIELD, make_form_token
from cds_service.web.smart.sessions import Gate

KEY = "A" * 43 + "="
"""Of the vault."""
FHIR = "https://fhir.ehr.example/r4"
FRAME = "https://chart.ehr.example"
APP = SmartApp("our-id", frame_ancestors=(FRAME,))
CLIENT = TrustedClient(
    "chart",
    "north",
    "https://ehr.example",
    fhir_base=FHIR,
    fhir_servers=(ListedServer(FHIR, Reach.PUBLIC),),
    smart=APP,
)


def with_ehrs(world: World, *clients: TrustedClient, **settings: Any) -> World:
    """The same server, which these EHRs open; the one above where none is named."""
    known = tuple(RegisteredClient(each) for each in clients or (CLIENT,))
    others = world.clients.clients
    config = world.config.model_copy(update={"token_key": KEY, **settings})
    return replace(
        world,
        config=config,
        vault=load_vault(config),
        clients=replace(world.clients, clients=(*others, *known)),
    )


def open_session(world: World, http: FlaskClient, **changes: Any) -> SmartSession:
    """Return a session that this browser has the cookie of."""
    gate, now, key = Gate.of(world), world.clock(), new_key()
    id, launch = new_id(), new_id()
    usual = SmartSession(
        id=id,
        launch=launch,
        tenant=CLIENT.tenant,
        client=CLIENT.id,
        fhir_base=FHIR,
        patient="jane",
        encounter=None,
        user="Practitioner/7",
        scopes=("launch", "openid", "fhirUser", "patient/*.rs"),
        opened_at=now,
        idle_until=now + IDLE,
        until=now + timedelta(hours=8),
        context={"name": "Jane Example", "birthDate": "1958-03-14"},
    )
    session = gate.sealed(replace(usual, **changes))
    tokens = SealedTokens(
        world.vault.lock("token", about_token(session.launch, "access")),
        expires=now + timedelta(hours=1),
    )
    event = AuditEvent(now, "sign-in", session.tenant, session.client)
    world.store.smart_sessions.open(session, hash_of(key), tokens, event)
    give_cookie(http, gate.cookies.name(SESSION, session.id), key)
    return session


def give_cookie(http: FlaskClient, name: str, key: str) -> None:
    """Have a browser keep what it was given under this name."""
    secure = name.startswith("__Host-")
    http.set_cookie(name, key, domain="localhost", secure=secure)


def url_of(session: SmartSession, page: str) -> str:
    """Where a page of a session is."""
    return f"/smart/s/{session.id}/{page}"


def form_of(world: World, http: FlaskClient, session: SmartSession) -> dict[str, str]:
    """What a form of a session bears, as its pages have it."""
    cookie = http.get_cookie(Gate.of(world).cookies.name(SESSION, session.id))
    assert cookie is not None
    return {FIELD: make_form_token(cookie.value)}
