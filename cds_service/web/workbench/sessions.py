"""Who is in the workbench, and what they may do there.

A session is a row; the browser has its key in a cookie and nothing else. Whoever may do
something may do all that the roles below may. What changes what others are served wants
a sign-in of the last minutes, so that a screen that was left alone does not do it.

Source: RFC 6265bis "Cookie Name Prefixes"; OWASP Session Management Cheat Sheet.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from functools import wraps
from ipaddress import ip_address
from secrets import token_urlsafe
from typing import ParamSpec
from urllib.parse import urlsplit

from flask import Flask, Response, g, redirect, request
from flask.typing import ResponseReturnValue

from ...audit import build_workbench_event
from ...decision import World
from ...protocol.errors import Forbidden
from ...store.workbench.sessions import WorkbenchSession
from ..pages.shell import local_url
from ..smart.forms import make_form_token

P = ParamSpec("P")
IDLE = timedelta(minutes=30)
"""A session ends when nobody has asked for anything for so long,"""
WHOLE = timedelta(hours=8)
"""and after so long in any case."""
FRESH = timedelta(minutes=15)
"""How old the sign-in may be of who changes what others are served."""
SECURE_COOKIE, LOCAL_COOKIE = "__Host-wb", "wb"
PREFIX = "/workbench"


class BenchRole(IntEnum):
    """What somebody may do; each may do what those before may."""

    VIEWER = 1
    """Look at rules, figures and calls, without anything of a patient."""
    AUTHOR = 2
    """Try rules on charts as well, and see what is in them."""
    OPERATOR = 3
    """Change what is served as well."""

    @property
    def word(self) -> str:
        """What settings and pages call it."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> "BenchRole":
        """Return the role that is called so."""
        return cls[word.upper()]


@dataclass(frozen=True, slots=True)
class Workplace:
    """What the pages of the workbench work with."""

    world: World
    build_app: Callable[[World], Flask]
    """Makes a server of its own of another world, to be tried."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody who is in, at this moment."""

    session: WorkbenchSession
    key: str
    now: datetime

    @property
    def role(self) -> BenchRole:
        """What they may do."""
        return BenchRole.of(self.session.role)

    @property
    def is_fresh(self) -> bool:
        """Whether they have just proved who they are."""
        return self.now - self.session.signed_in < FRESH

    @property
    def form_token(self) -> str:
        """What their forms carry."""
        return make_form_token(self.key)


def find_visit(world: World) -> Visit | None:
    """Return who asks; None where they are not signed in, or not any more."""
    key = request.cookies.get(cookie_name(), "")
    if not key:
        return None
    now = world.clock()
    session = world.store.workbench.find(hash_secret(key), now, IDLE)
    return None if session is None else Visit(session, key, now)


def current_visit() -> Visit:
    """Return who is in; only behind the guard of the workbench."""
    visit: Visit = g.workbench
    return visit


def needs(
    role: BenchRole, *, fresh: bool = False
) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """Return what keeps a page for those who have at least this role.

    Args:
        fresh: Whether they must have signed in within the last 15 minutes; who has not
            is sent to do so, and presses again.
    """

    def keep(
        view: Callable[P, ResponseReturnValue],
    ) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def kept(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            visit = current_visit()
            if visit.role < role:
                raise Forbidden(f"This requires the role {role.word} or a higher one.")
            if fresh and not visit.is_fresh:
                return redirect(local_url(f"{PREFIX}/login?again=1"), 303)
            return view(*args, **kwargs)

        return kept

    return keep


def open_session(
    world: World,
    issuer: str,
    subject: str,
    role: BenchRole,
    response: Response,
    proved: datetime | None = None,
) -> Response:
    """Return the answer with the cookie of a session that begins with it.

    Its key is new, whatever the browser had before.

    Args:
        proved: When they have proved who they are; None for now.
    """
    key, now = token_urlsafe(32), world.clock()
    session = WorkbenchSession(
        hash_secret(key),
        issuer,
        subject,
        role.word,
        proved or now,
        now + IDLE,
        now + WHOLE,
    )
    told = {"role": role.word, "issuer": issuer, "outcome": "signed in"}
    event = build_workbench_event(now, "sign-in", subject, told)
    world.store.workbench.open(session, event)
    response.set_cookie(
        cookie_name(),
        key,
        max_age=int(WHOLE.total_seconds()),
        path="/",
        secure=cookie_name() == SECURE_COOKIE,
        httponly=True,
        samesite="Lax",
    )
    return response


def close_session(world: World, visit: Visit, response: Response) -> Response:
    """Return the answer after which the browser has no session, nor the database."""
    told = {"outcome": "signed out"}
    event = build_workbench_event(visit.now, "sign-in", visit.session.subject, told)
    world.store.workbench.end(visit.session.key_hash, event)
    response.delete_cookie(
        cookie_name(), path="/", secure=cookie_name() == SECURE_COOKIE, httponly=True
    )
    return response


def hash_secret(secret: str) -> str:
    """Return what the database has of a key or a link."""
    return hashlib.sha256(secret.encode()).hexdigest()


def cookie_name() -> str:
    """Return what the cookie is called here: plain where a browser speaks http to its
    own machine, since no cookie with a prefix would come back.
    """
    local = is_on_this_machine() and not request.is_secure
    return LOCAL_COOKIE if local else SECURE_COOKIE


def is_on_this_machine() -> bool:
    """Check whether the browser calls this machine its own."""
    return is_loopback(urlsplit(request.host_url).hostname)


def is_loopback(host: str | None) -> bool:
    """Check whether a host is this machine's own address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False
