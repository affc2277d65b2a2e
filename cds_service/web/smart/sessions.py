"""Sessions at the door of pages: whose it is, or a page that says why there is none.

That there is none, that it is over and that it is another browser's are one answer.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, g, request

from ...connect.smart import NoAccess, SignInDesk, TokenDesk
from ...decision import World
from ...protocol.errors import Forbidden
from ...store.sign_in.records import SmartSession, about_context
from ...trust import SmartApp, TrustedClient
from ...trust.keyring import Log, keep_quiet
from ...trust.vault import Unopened, Vault
from ..notes import note
from ..pages.shell import (
    allow_framing,
    answer_errors,
    offer,
    render_page,
    show_notice,
)
from .cookies import MOST, SESSION, Cookies, hash_of, is_id
from .forms import bound_forms, is_own_form, make_form_token

UNDER = "/smart/s/<session_id>"
"""Where the pages of a session stand."""
OPEN_AGAIN = "Open it from the EHR again, or outside the EHR."
CROWDED = f"A browser that opens more than {MOST} charts closes the oldest."
NO_SESSION = (
    f"Nobody is signed in here. {OPEN_AGAIN}",
    "The session has ended, or it belongs to another browser. A session ends after 15"
    f" minutes without use, after eight hours, and when you log out. {CROWDED}",
    "If you have just come from the EHR, your browser did not return its cookie,"
    " probably because it blocks cookies in frames. You can open the pages outside"
    " the EHR.",
)
ELSEWHERE = "This was not sent from a page of this server, so nothing was changed."


@dataclass(frozen=True, slots=True)
class Gate:
    """What it takes to know whose session it is."""

    world: World
    cookies: Cookies

    @classmethod
    def of(cls, world: World) -> "Gate":
        """Return the gate of a server."""
        return cls(world, Cookies.of(world.config))

    @property
    def vault(self) -> Vault:
        """What encrypts and opens what sessions hold."""
        return self.world.vault

    def find(self, id: str) -> SmartSession | None:
        """Return the session of an id, if this browser has its key."""
        key = self.cookies.read(SESSION, id) if is_id(id) else ""
        if not key:
            return None
        sessions, now = self.world.store.smart_sessions, self.world.clock()
        found = sessions.find(id, hash_of(key), now)
        return None if found is None else self.opened(found)

    def opened(self, session: SmartSession) -> SmartSession | None:
        """Return a session with what it holds; None where no key opens that."""
        try:
            text = self.vault.unlock(session.sealed, about_context(session.id))
        except Unopened:
            note(session="sealed under a key that is not set")
            return None
        told = json.loads(text) if text else {}
        return replace(
            session,
            reference=told.get("reference"),
            context=told.get("context", {}),
            known_as=tuple(told.get("known_as", ())),
            identity=told.get("identity", {}),
        )

    def sealed(self, session: SmartSession) -> SmartSession:
        """Return a session of which everything that it holds is encrypted."""
        told = {
            "reference": session.reference,
            "context": dict(session.context),
            "known_as": session.known_as,
            "identity": dict(session.identity),
        }
        text = json.dumps(told, ensure_ascii=False)
        return replace(session, sealed=self.vault.lock(text, about_context(session.id)))


def token_desk(world: World, log: Log = keep_quiet) -> TokenDesk:
    """Return what it takes to have tokens of sessions; one for a process.

    What servers have said of sign-ins is known to all who have it.
    """
    sign_in = SignInDesk(world.fhir, log)
    return TokenDesk(sign_in, world.store.smart_sessions, world.vault, world.clock)


def guard(blueprint: Blueprint, world: World) -> None:
    """Have the pages of a blueprint be for who has the session that they are of.

    Each finds it as ``g.session``, and ``form_token`` in its templates. A POST without
    that in its form, or from elsewhere, is refused before the view is asked. Pages
    may be framed by that EHR alone, and errors are pages as well. The blueprint's
    ``url_prefix`` is ``UNDER``; its views are called without the id.
    """
    gate = Gate.of(world)
    answer_errors(blueprint)

    @blueprint.url_value_preprocessor
    def take_id(endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.session_id = (values or {}).pop("session_id", "")

    @blueprint.url_defaults
    def give_id(endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("session_id", g.session_id)

    @blueprint.before_request
    def enter() -> Response | None:
        allow_framing(all_ancestors(world))
        bound_forms()
        session = gate.find(g.session_id)
        app = None if session is None else app_of(world, session.client)
        if session is None or app is None:
            return refuse(NO_SESSION, 404, "Open this page again")
        allow_framing(app.frame_ancestors)
        key = gate.cookies.read(SESSION, session.id)
        changes = request.method not in ("GET", "HEAD")
        if changes and not is_own_form(key, world.config.public_url):
            raise Forbidden(ELSEWHERE)
        g.session = session
        offer(form_token=make_form_token(key))
        return None

    @blueprint.errorhandler(NoAccess)
    def say_why(error: NoAccess) -> Response:
        if not error.ended:
            title = "The chart cannot be read now"
            return show_notice(title, str(error), "Try again in a moment.", status=503)
        response = refuse((str(error), OPEN_AGAIN), 403, "The session has ended")
        gate.cookies.drop(response, SESSION, g.session.id)
        return response


def refuse(texts: tuple[str, ...], status: int, title: str) -> Response:
    """Return a page about nobody that says why, and offers a way in."""
    return render_page("smart_refused.html", title=title, texts=texts, status=status)


def all_ancestors(world: World) -> tuple[str, ...]:
    """Return who may frame a page that is about nobody: every EHR there is."""
    apps = (each.smart for each in launching(world).values())
    listed = (origin for app in apps if app for origin in app.frame_ancestors)
    return tuple(dict.fromkeys(listed))


def app_of(world: World, client: str) -> SmartApp | None:
    """Return who we are at the EHR of a client; None where it opens us no more."""
    found = launching(world).get(client)
    return None if found is None else found.smart


def launching(world: World) -> Mapping[str, TrustedClient]:
    """Return the clients whose EHRs open pages of ours, by their ids."""
    known = (each.client for each in world.clients.clients)
    return {each.id: each for each in known if each.smart is not None}
