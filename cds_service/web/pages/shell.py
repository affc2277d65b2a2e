"""The shell that every page stands in: template, style, what it may load, its assets.

Templates are escaped whatever their names, and a value that a template names and
nobody gave is an error, not an empty space on a page that a clinician reads. Scripts
and styles are files with a digest in their names: these alone may be kept, since
nothing of a patient is in them, and a new release has new names.

Source: W3C Content Security Policy Level 3; Trusted Types; RFC 8246 "immutable".
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, g, request
from jinja2 import Environment, PackageLoader, StrictUndefined
from werkzeug.exceptions import HTTPException, NotFound

from ...decision import World
from ...protocol.errors import CdsError
from ...publishing.serving import find_lines
from ...store.records import StoreError
from ..headers import let_keep
from ..notes import note
from .markdown import keep_https, render_markdown

MEDIA_TYPES = {
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
FOR_EVER = "public, max-age=31536000, immutable"
"""A year, which is what caches take for that."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'self';"
    " require-trusted-types-for 'script'; frame-ancestors "
)
DIGITS = 16
"""Of an asset's digest, which stand in its name."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A script, a style or a picture."""

    body: bytes
    media_type: str
    path: str
    """Such as ``/assets/pages.0123456789abcdef.css``."""


def render_page(
    template: str, *, title: str, status: int = 200, **values: Any
) -> Response:
    """Return a page.

    Args:
        template: The name of a file of ``templates/``.
        title: What it is called, in the browser's list and in its first heading.
        status: Of the answer.
        values: What the template names, beside what :func:`offer` has put there.
    """
    given = {"lead": "", **g.get("offered", {}), **values}
    html = _templates().get_template(template).render(title=title, **given)
    response = Response(html, status, mimetype="text/html")
    ancestors = " ".join(g.get("ancestors", ())) or "'none'"
    response.headers["Content-Security-Policy"] = POLICY + ancestors
    return response


def offer(**values: Any) -> None:
    """Have these values at hand for every page that answers this request."""
    g.offered = {**g.get("offered", {}), **values}


def allow_framing(origins: Iterable[str]) -> None:
    """Let pages of these origins show in a frame what answers this request."""
    g.ancestors = tuple(origins)


def show_notice(title: str, *texts: str, status: int = 200) -> Response:
    """Return a page that says something in a few plain sentences."""
    return render_page("notice.html", title=title, texts=texts, status=status)


def local_url(path: str) -> str:
    """Return a path of this server as a browser has to ask for it.

    A proxy may have put the server below a path of its own; the public URL says so.
    """
    world: World = current_app.extensions["cds_service"]
    return urlsplit(world.config.public_url).path.rstrip("/") + path


def asset_url(name: str) -> str:
    """Return where a script, a style or a picture is, such as ``pages.css``."""
    return local_url(_assets()[name].path)


def build_assets() -> Blueprint:
    """Return the URL of what pages are made of: the only answers that may be kept."""
    assets = Blueprint("assets", __name__)
    by_path = {each.path: each for each in _assets().values()}

    @assets.get("/assets/<name>")
    def give(name: str) -> Response:
        found = by_path.get(f"/assets/{name}")
        if found is None:
            raise NotFound()
        response = Response(found.body, mimetype=found.media_type)
        return let_keep(response, FOR_EVER)

    return assets


def answer_errors(pages: Blueprint) -> None:
    """Have people who meet an error on these pages be told so on a page.

    As everywhere, what an exception says stays here: it may hold patient data.
    """

    @pages.errorhandler(CdsError)
    def refuse(error: CdsError) -> Response:
        response = show_notice("This cannot be shown", str(error), status=error.status)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    @pages.errorhandler(StoreError)
    def fail(error: StoreError) -> Response:
        note(failure=type(error).__name__, kind=error.kind, at=find_lines(error))
        return show_notice(
            "This cannot be shown now",
            "The server could not record that this page was opened, so it is not shown."
            " Try again in a moment.",
            status=503,
        )

    @pages.errorhandler(HTTPException)
    def point(error: HTTPException) -> Response:
        status = error.code or 500
        title = "Nothing was done" if status == 413 else "No such page"
        return show_notice(title, _HTTP.get(status, ""), status=status)

    @pages.errorhandler(Exception)
    def admit(error: Exception) -> Response:
        note(failure=type(error).__name__, at=find_lines(error))
        return show_notice(
            "The server failed",
            "Draw no conclusion about the patient from this. The operator of the"
            f" server can find it as request {g.get('request_id', '?')}.",
            status=500,
        )


_HTTP = {
    404: "There is no page at this address. Go back to where you came from.",
    405: "There is no page at this address. Go back to where you came from.",
    413: "What was sent is larger than this server accepts.",
}


@cache
def _assets() -> dict[str, Asset]:
    found = {}
    for file in files(__package__).joinpath("assets").iterdir():
        body = file.read_bytes()
        stem, _, ending = file.name.rpartition(".")
        digest = hashlib.sha256(body).hexdigest()[:DIGITS]
        path = f"/assets/{stem}.{digest}.{ending}"
        found[file.name] = Asset(body, MEDIA_TYPES[ending], path)
    return found


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {
        "asset_url": asset_url,
        "local_url": local_url,
        "is_current": is_current,
    }
    environment.filters |= {
        "markdown": render_markdown,
        "https": keep_https,
        "moment": tell_moment,
        "day": tell_day,
        "clock": tell_clock,
    }
    return environment


def is_current(path: str) -> bool:
    """Check whether this request is for that page, by the last step of its address."""
    return request.path.rpartition("/")[2] == path


def tell_moment(at: datetime) -> str:
    """Return a moment as ``29 Nov 2026, 14:05``, in its own zone."""
    return f"{tell_day(at)}, {tell_clock(at)}"


def tell_day(at: datetime) -> str:
    """Return a day that nobody reads the wrong way round, such as ``29 Nov 2026``."""
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"


def tell_clock(at: datetime) -> str:
    """Return hours and minutes, such as ``14:05``."""
    return f"{at:%H:%M}"


_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
