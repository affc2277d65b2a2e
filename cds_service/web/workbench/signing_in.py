"""The way into the workbench by the site's own sign-in: an OpenID provider.

The browser is sent there and comes back, once, with the cookie that it was sent away
with. What the provider says of somebody gives a role, or they do not come in. Whoever
is to sign in again has to do so there as well, and the provider to say when they did.

Source: OpenID Connect Core 1.0 section 3.1; OpenID Connect RP-Initiated Logout 1.0.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue

from ...audit import build_workbench_event
from ...config.bench_sign_in import BenchSignIn
from ...connect.smart import (
    Arrival,
    NotSignedIn,
    Provider,
    ProviderKind,
    SignedIn,
    SignInDesk,
    begin,
    complete,
    read_pending,
)
from ...decision import World
from ...protocol.errors import Unauthenticated, Unavailable
from ...store.sign_in.records import PendingSignIn, about_pending
from ...trust import LEEWAY
from ...trust.authentication import number_claim
from ...trust.vault import Unopened
from ..pages.shell import local_url
from .rooms import tell
from .sessions import (
    FRESH,
    PREFIX,
    SECURE_COOKIE,
    BenchRole,
    cookie_name,
    hash_secret,
    open_session,
)

NAME = "workbench"
"""What its sign-ins are called among those that are pending."""
WAITS = timedelta(minutes=5)
STRAY = 400
"""The status of what nobody waits for. Anybody may send that: it is not recorded."""
LONGEST = 8192
"""Characters of what comes back."""


@dataclass(frozen=True, slots=True)
class BenchDesk:
    """What it takes to have somebody signed in elsewhere."""

    world: World
    sign_in: BenchSignIn
    desk: SignInDesk

    @property
    def provider(self) -> Provider:
        """Who signs people in."""
        told = self.sign_in
        return Provider(NAME, told.server, told.app, ProviderKind.OIDC)

    @property
    def callback(self) -> str:
        """Where the browser comes back to, as it is registered there."""
        return f"{self.world.config.public_url}{PREFIX}/callback"


def add_site_sign_in(workbench: Blueprint, world: World) -> BenchDesk | None:
    """Return how the site signs people in, with its URLs added; None if it does not."""
    if world.clients.workbench is None:
        return None
    desk = BenchDesk(world, world.clients.workbench, SignInDesk(world.fhir))

    @workbench.get("/begin")
    def send_away() -> ResponseReturnValue:
        return _send_away(desk)

    @workbench.get("/callback")
    def come_back() -> ResponseReturnValue:
        try:
            return _let_in(desk)
        except NotSignedIn as error:
            if error.status != STRAY:
                why = {"reason": str(error), "status": error.status}
                told = {"outcome": "refused", **why}
                event = build_workbench_event(world.clock(), "sign-in", "", told)
                world.store.record_audit(event)
            return tell("You are not signed in", str(error), status=error.status)

    return desk


def way_out(desk: BenchDesk | None, issuer: str) -> str:
    """Return where somebody signs out at the provider as well; empty for nowhere."""
    if desk is None or not issuer:
        return ""
    try:
        configuration = desk.desk.configuration(desk.provider, desk.world.clock())
    except NotSignedIn:
        return ""
    if not configuration.end_session:
        return ""
    told = urlencode({"client_id": desk.sign_in.app.client_id})
    mark = "&" if "?" in configuration.end_session else "?"
    return f"{configuration.end_session}{mark}{told}"


def _send_away(desk: BenchDesk) -> Response:
    world, now = desk.world, desk.world.clock()
    id, key = secrets.token_hex(8), secrets.token_urlsafe(32)
    state = f"{id}.{secrets.token_urlsafe(32)}"
    age = int(FRESH.total_seconds()) if "again" in request.args else None
    arrival = Arrival(desk.callback, state, max_age=age)
    try:
        begun = begin(desk.desk, desk.provider, arrival, now)
    except NotSignedIn as error:
        return tell("You cannot sign in now", str(error), status=error.status)
    digest = hash_secret(state)
    sealed = world.vault.lock(begun.pending.as_text(), about_pending(digest))
    waiting = PendingSignIn(
        id, digest, hash_secret(key), "", NAME, now, now + WAITS, sealed=sealed
    )
    if not world.store.pending_sign_ins.begin(waiting):
        raise Unavailable("Too many people are signing in. Try again in a minute.")
    response = _redirected(begun.url)
    _put(response, key, int(WAITS.total_seconds()))
    return response


def _let_in(desk: BenchDesk) -> Response:
    world, now = desk.world, desk.world.clock()
    state = hash_secret(request.args.get("state", "")[:LONGEST])
    waiting = world.store.pending_sign_ins.find(state, now)
    if waiting is None or waiting.provider != NAME:
        raise NotSignedIn("This sign-in was already used, or has expired.", STRAY)
    key = request.cookies.get(_cookie(), "")
    if not secrets.compare_digest(hash_secret(key), waiting.key_hash):
        raise NotSignedIn("This browser did not return its cookie.")
    if not world.store.pending_sign_ins.take(state, now):
        raise NotSignedIn("This sign-in was already used, or has expired.", STRAY)
    signed_in = _completed(desk, waiting)
    role = desk.sign_in.role_of(signed_in.claims)
    if not role:
        raise NotSignedIn("None of your roles may use this page.")
    response = _redirected(local_url(f"{PREFIX}/"))
    _put(response, "", 0)
    issuer, subject = str(signed_in.claims["iss"]), _called(signed_in)
    proved = now - _since_proved(signed_in.claims, now)
    return open_session(world, issuer, subject, BenchRole.of(role), response, proved)


def _since_proved(claims: Mapping[str, Any], now: datetime) -> timedelta:
    """How long ago somebody has proved to the provider who they are.

    It may have known them for hours when it lets them in here. Where it does not say
    when they signed in there, that was not lately.
    """
    try:
        seconds = now.timestamp() - number_claim(claims, "auth_time")
    except Unauthenticated:
        return FRESH
    lately = -LEEWAY <= seconds < FRESH.total_seconds()
    return timedelta(seconds=max(seconds, 0.0)) if lately else FRESH


def _completed(desk: BenchDesk, waiting: PendingSignIn) -> SignedIn:
    about = about_pending(waiting.state_hash)
    try:
        pending = read_pending(desk.world.vault.unlock(waiting.sealed, about))
    except Unopened as error:
        raise NotSignedIn(
            "The key of this server has changed in the meantime."
        ) from error
    told = {name: request.args[name][:LONGEST] for name in request.args}
    return complete(desk.desk, desk.provider, pending, told, desk.world.clock())


def _called(signed_in: SignedIn) -> str:
    """What pages and trail call somebody: a name of theirs, and ``sub`` always."""
    claims = signed_in.claims
    name = claims.get("preferred_username") or claims.get("name") or ""
    sub = str(claims.get("sub", ""))
    return f"{name} ({sub})" if isinstance(name, str) and name else sub


def _cookie() -> str:
    return f"{cookie_name()}-in"


def _put(response: Response, key: str, age: int) -> None:
    response.set_cookie(
        _cookie(),
        key,
        max_age=age,
        path="/",
        secure=cookie_name() == SECURE_COOKIE,
        httponly=True,
        samesite="Lax",
    )


def _redirected(url: str) -> Response:
    response = redirect(url, 303)
    assert isinstance(response, Response)
    return response
