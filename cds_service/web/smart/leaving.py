"""The way out of a session, and into another window of it.

In a window that a page in a frame has opened, a browser does not have the cookie of the
frame. So such a window brings a ticket along, which is good once and for a minute, and
gets a session of its own with it. It is sent as a form: in an address it would be seen.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from flask import Blueprint, Response, g, redirect, request

from ...audit import build_sign_in_event
from ...connect.smart import provider_of, revoke, revoke_tokens
from ...decision import World
from ...protocol.errors import Forbidden
from ...store.sign_in.records import IDLE, LaunchTokens, SmartSession
from ...trust.keyring import Log
from ...wearables.records import PatientKey
from ..notes import note
from ..pages.shell import local_url, render_page
from .cookies import SESSION, hash_of, new_id, new_key
from .forms import comes_from_here
from .sessions import ELSEWHERE, UNDER, guard, launching, token_desk
from .signing_in import FIRST, PAGES, PREFIX, NotLetIn, Reception, keep_few

TICKET_LASTS = timedelta(seconds=60)
NOT_LISTED = "the EHR is not listed any more"
BROKE_OFF = "this program broke off"


def build_leaving(reception: Reception) -> Blueprint:
    """Return the URLs of log-out and of windows, for who has a session."""
    leaving = Blueprint("smart_leaving", __name__, url_prefix=UNDER)
    guard(leaving, reception.gate.world)
    sessions = reception.gate.world.store.smart_sessions

    @leaving.post("/logout")
    def log_out() -> Response:
        end(reception, g.session)
        response = render_page("smart_over.html", title="You are logged out")
        reception.cookies.drop(response, SESSION, g.session.id)
        return response

    @leaving.post("/window")
    def offer_window() -> Response:
        ticket = secrets.token_urlsafe(32)
        until = reception.now + TICKET_LASTS
        sessions.give_ticket(g.session.id, hash_of(ticket), until)
        return render_page(
            "smart_window.html",
            title="A separate window",
            ticket=ticket,
            page=_page(),
            back=f"{PREFIX}/s/{g.session.id}/{_page()}",
        )

    return leaving


def add_windows(smart: Blueprint, reception: Reception) -> None:
    """Add the URL to which a new window brings its ticket; it has no cookie yet."""
    world = reception.gate.world

    @smart.post("/window")
    def open_window() -> Response:
        if not comes_from_here(world.config.public_url):
            raise Forbidden(ELSEWHERE)
        sessions = world.store.smart_sessions
        ticket = hash_of(request.form.get("ticket", ""))
        found = sessions.redeem_ticket(ticket, reception.now)
        opened = None if found is None else reception.gate.opened(found)
        if opened is None or not (key := _doubled(reception, opened)):
            why = "This window was already opened, or its minute is over."
            raise NotLetIn(why, "window")
        return key


def end(reception: Reception, session: SmartSession) -> None:
    """End every window of a launch, and give its tokens back where that can be done."""
    world, problem = reception.gate.world, BROKE_OFF
    client = launching(world).get(session.client)
    provider = None if client is None else provider_of(client)
    try:
        problem = (
            NOT_LISTED
            if provider is None
            else revoke(reception.tokens, provider, session)
        )
    finally:
        told = {"signIn": "ended", "why": "logged out", "session": session.id}
        event = build_sign_in_event(
            reception.now,
            session.tenant,
            session.client,
            PatientKey(session.tenant, session.fhir_base, session.patient),
            {**told, "user": session.user, "notRevoked": problem},
        )
        world.store.smart_sessions.end(session.launch, "logged out", event)
    if problem:
        note(revoked=problem)


def give_back_when_over(
    world: World, log: Log
) -> Callable[[SmartSession, LaunchTokens], str]:
    """Return what gives the tokens of a launch back that is over by time alone."""
    desk = token_desk(world, log)

    def give_back(session: SmartSession, held: LaunchTokens) -> str:
        client = launching(world).get(session.client)
        provider = None if client is None else provider_of(client)
        return NOT_LISTED if provider is None else revoke_tokens(desk, provider, held)

    return give_back


def _doubled(reception: Reception, session: SmartSession) -> Response | None:
    """The way into a new session beside one, or None where that has ended."""
    gate, now = reception.gate, reception.now
    id, key = new_id(), new_key()
    idle = min(now + IDLE, session.until)
    new = gate.sealed(replace(session, id=id, idle_until=idle))
    told = {"signIn": "window", "session": id, "of": session.id, "user": session.user}
    event = build_sign_in_event(
        now,
        session.tenant,
        session.client,
        PatientKey(session.tenant, session.fhir_base, session.patient),
        told,
    )
    if not gate.world.store.smart_sessions.open_window(new, hash_of(key), event):
        return None
    response = redirect(local_url(f"{PREFIX}/s/{id}/{_page()}"), 303)
    assert isinstance(response, Response)
    keep_few(reception, response)
    gate.cookies.put(response, SESSION, id, key)
    return response


def _page() -> str:
    """The page that was asked for, by a name of ours."""
    asked = request.form.get("page", "")
    return asked if asked in PAGES else FIRST
