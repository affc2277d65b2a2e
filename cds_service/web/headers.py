"""Headers that every answer carries, and CORS for the browsers of listed EHRs.

Every other origin gets no header of CORS at all. A preflight carries no token, so it is
answered without one, for every origin that some client lists. The answer itself goes to
an origin of the very client that called: with the token of one EHR, no page of another
reads anything.

Source: OWASP REST Security Cheat Sheet "Security Headers"; RFC 6797; CDS Hooks 3.0.0
"Cross-Origin Resource Sharing"; Fetch "HTTP-network-or-cache".
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from flask import Flask, Response, g, request
from flask_cors import CORS

from ..config import Config
from .layers import Layer

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""An answer that needs to say otherwise may, except about sniffing; about storing by
:func:`let_keep` alone."""
HSTS = "max-age=31536000"
"""A year."""


def add_headers(config: Config) -> Layer:
    """Put the headers on every answer."""
    secure = config.public_url.startswith("https://") or config.tls_cert is not None
    fixed = {"Strict-Transport-Security": HSTS} if secure else {}
    fixed[_SNIFFING] = HEADERS[_SNIFFING]

    def add(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.update(fixed)
        if g.get("kept") is not response:
            response.headers[_STORING] = HEADERS[_STORING]
        return response

    return Layer(after=add)


def let_keep(response: Response, directive: str) -> Response:
    """Return the answer as one that caches may keep; nothing of a patient is in it.

    It holds for this very answer: an error that takes its place is not kept. Nor is one
    that is no success, or sets a cookie.

    Args:
        directive: For how long, as ``Cache-Control`` says it.
    """
    if response.status_code == 200 and "Set-Cookie" not in response.headers:
        response.headers[_STORING] = directive
        g.kept = response
    return response


_STORING = "Cache-Control"
_SNIFFING = "X-Content-Type-Options"


# CORS

PATHS = re.compile(r"/cds-services(/|\Z)")
MINUTES_TO_REMEMBER = 10
EXPOSED = ["Retry-After", "Server-Timing", "WWW-Authenticate", "X-Request-Id"]


SANDBOX = "https://sandbox.cds-hooks.org"
"""Where the public CDS Hooks sandbox is."""
LOOPBACK = re.compile(
    r"https?://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?\Z", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Origins:
    """Whose pages may call."""

    listed: tuple[re.Pattern[str], ...] = ()

    def __contains__(self, origin: object) -> bool:
        return any(each.match(str(origin)) for each in self.listed)

    def grant(self, path: str, origin: str) -> dict[str, str]:
        """Return the headers by which a page reads a refusal that the app never saw.

        Whose call it was is not known yet, so any origin will do that some client
        lists, as it does where the app recognises nobody.
        """
        if not PATHS.match(path):
            return {}
        vary = {"Vary": "Origin"}
        if origin not in self:
            return vary
        exposed = {"Access-Control-Expose-Headers": ", ".join(EXPOSED)}
        return {"Access-Control-Allow-Origin": origin, **exposed, **vary}


def list_origins(origins: Iterable[str], *, try_out: bool = False) -> Origins:
    """Return the origins whose pages may call discovery, services and feedback.

    To *try_out* a server that asks nobody for a token, pages on the same machine and
    the public sandbox may call as well.
    """
    listed = [compile_origin(each) for each in origins]
    if try_out:
        listed += [LOOPBACK, compile_origin(SANDBOX)]
    return Origins(tuple(listed))


def allow_origins(app: Flask, origins: Origins) -> None:
    """Let pages of these origins call; what surrounds requests stands before it.

    A listed origin may reach a server in a private network (Private Network Access):
    who lists it has said that it may call, and a call needs a token still.
    """
    app.extensions["cds_origins"] = origins
    if origins.listed:
        CORS(
            app,
            resources=PATHS.pattern,
            origins=list(origins.listed),
            methods=["GET", "POST", "OPTIONS"],
            allow_headers="*",
            expose_headers=EXPOSED,
            max_age=MINUTES_TO_REMEMBER * 60,
            supports_credentials=False,
            send_wildcard=False,
            always_send=False,
            intercept_exceptions=False,
            allow_private_network=True,
        )


def keep_to_origins(origins: Origins) -> Layer:
    """Take back what pages may read of the answer to a client that is not theirs."""

    def keep(response: Response) -> Response:
        if PATHS.match(request.path):
            response.vary.add("Origin")
        origin = request.headers.get("Origin", "")
        if "Server-Timing" in response.headers and origin in origins:
            response.headers["Timing-Allow-Origin"] = origin
        client = g.get("client")
        if client and client.issuer and not is_own(client.origins):
            for name in [each for each, _ in response.headers if _is_cors(each)]:
                response.headers.remove(name)
        return response

    return Layer(after=keep)


def is_own(origins: Iterable[str]) -> bool:
    """Check whether the page that sent this request is of one of these origins."""
    sent = request.headers.get("Origin", "")
    return any(compile_origin(each).match(sent) for each in origins)


def compile_origin(origin: str) -> re.Pattern[str]:
    """Return what matches this origin and nothing longer, in either case."""
    return re.compile(re.escape(origin) + r"\Z", re.IGNORECASE)


def _is_cors(name: str) -> bool:
    return name.lower().startswith(("access-control-", "timing-allow-"))
