"""The door of the workbench: who comes in, by what, and what keeps all others out.

There is no password to guess. On the server's machine a command prints a link that is
good once, for five minutes, and in a browser of that machine alone. Opening it changes
nothing yet: what looks at links before people do would have spent it.
"""

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, g, redirect, request
from flask.typing import ResponseReturnValue

from ...audit import build_workbench_event
from ...config import Config, Workbench
from ...protocol.errors import Forbidden, Throttled
from ..limits import Allowance, Proxies, find_address
from ..pages.shell import answer_errors, local_url, offer, render_page
from ..smart.forms import LONGEST_FORM, bound_forms, comes_from_here, is_own_form
from .rooms import PAGES, pages_for, tell
from .sessions import (
    PREFIX,
    BenchRole,
    Workplace,
    close_session,
    current_visit,
    find_visit,
    hash_secret,
    is_loopback,
    is_on_this_machine,
    needs,
    open_session,
)
from .signing_in import add_site_sign_in, way_out
from .trying import REHEARSAL

NOBODY: Mapping[str, Any] = {
    "navigation": (),
    "subject": "",
    "role": "",
    "form_token": "",  # nosec B105 # there is none
}
"""What pages show of who is in before anybody is."""
OPEN = frozenset(
    f"workbench.{name}" for name in ("show_login", "sign_in", "send_away", "come_back")
)
"""What answers before anybody has signed in."""
PLAYING = frozenset({"workbench.show_try", "workbench.show_why"})
"""What plays by itself."""
TRIES = 30
"""Links a minute of one address that are no link, at each worker."""
OVER = (
    "This link was already used, its five minutes are over, or it is not valid.",
    "Run `cds-service workbench login` again on the server's machine.",
)
ELSEWHERE = (
    "A link works only on the server's own machine.",
    "Open it there, as http://127.0.0.1 or through a tunnel to it.",
)


def add_workbench(app: Flask, place: Workplace) -> None:
    """Add the workbench to the server, where the settings have one."""
    if place.world.config.workbench is Workbench.ON:
        app.register_blueprint(build_workbench(app, place))


def build_workbench(app: Flask, place: Workplace) -> Blueprint:
    """Return every URL of the workbench."""
    workbench = Blueprint("workbench", __name__, url_prefix=PREFIX)
    answer_errors(workbench)
    _guard(workbench, app, place)
    _add_ways_in(workbench, place)
    for page in PAGES:
        page.add(workbench, place)

    @workbench.get("/")
    @needs(BenchRole.VIEWER)
    def show_pages() -> Response:
        return render_page(
            "workbench/start.html",
            title="The workbench",
            pages=pages_for(current_visit().role),
        )

    return workbench


def _guard(workbench: Blueprint, app: Flask, place: Workplace) -> None:
    world = place.world

    @workbench.before_request
    def guard() -> ResponseReturnValue | None:
        """Let in who has signed in; of forms only those of our own pages."""
        bound_forms()
        visit = find_visit(world)
        offer(**NOBODY)
        if visit is None:
            if request.endpoint in OPEN:
                return None
            if request.method == "GET":
                return redirect(local_url(f"{PREFIX}/login"), 303)
            return tell(
                "You are not signed in",
                "What you sent was ignored. Sign in, go back, and send it again.",
                status=403,
            )
        bound_forms(longest_form(world.config))
        g.workbench = visit
        offer(
            navigation=[
                (local_url(each.path), each.label) for each in pages_for(visit.role)
            ],
            subject=visit.session.subject,
            role=visit.role.word,
            form_token=visit.form_token,
        )
        if visit.role >= BenchRole.AUTHOR and request.endpoint not in PLAYING:
            REHEARSAL.begin(app, world)
        changes = request.method not in ("GET", "HEAD")
        if changes and request.endpoint not in OPEN:
            if not is_own_form(visit.key, world.config.public_url):
                raise Forbidden("This form was not sent by a page of your session.")
        return None


def longest_form(config: Config) -> int:
    """Return the bytes of a chart, as a form writes it, and of little beside it."""
    return 3 * config.body_limit + LONGEST_FORM


def _add_ways_in(workbench: Blueprint, place: Workplace) -> None:
    world = place.world
    allowance = Allowance(TRIES)
    proxies = Proxies.of(world.config.trusted_proxies)
    site = add_site_sign_in(workbench, world)

    @workbench.get("/login")
    def show_login() -> Response:
        return render_page(
            "workbench/login.html",
            title="Sign in to the workbench",
            code=request.args.get("code", "")[:200],
            again="again" in request.args,
            provider=urlsplit(site.sign_in.server.url).hostname if site else "",
        )

    @workbench.post("/login")
    def sign_in() -> ResponseReturnValue:
        address = find_address(request.environ, proxies)
        if not comes_from_here(world.config.public_url):
            raise Forbidden("This form was not sent by a page of this server.")
        if not (is_on_this_machine() and is_loopback(address)):
            return tell("You are not signed in", *ELSEWHERE, status=403)
        if seconds := allowance.take(address):
            raise Throttled(math.ceil(seconds))
        code = request.form.get("code", "")
        link = world.store.workbench.redeem(hash_secret(code), world.clock())
        if link is None:
            told = {"outcome": "refused", "reason": "no such link", "status": 403}
            event = build_workbench_event(world.clock(), "sign-in", "", told)
            world.store.record_audit(event)
            return tell("You are not signed in", *OVER, status=403)
        first = redirect(local_url(f"{PREFIX}/"), 303)
        assert isinstance(first, Response)
        return open_session(world, "", link.subject, BenchRole.of(link.role), first)

    @workbench.post("/logout")
    @needs(BenchRole.VIEWER)
    def sign_out() -> ResponseReturnValue:
        visit = current_visit()
        answer = render_page(
            "workbench/out.html",
            title="You are signed out",
            elsewhere=way_out(site, visit.session.issuer),
        )
        return close_session(world, visit, answer)
