"""Headers that every answer carries, whatever it is.

Source: OWASP REST Security Cheat Sheet "Security Headers"; RFC 6797.
"""

from flask import Flask, Response

from ..config import Config

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""An answer that needs to say otherwise may, except about storing and sniffing."""
HSTS = "max-age=31536000"
"""A year."""


def add_headers(app: Flask, config: Config) -> None:
    """Put the headers on every answer of *app*."""
    secure = config.public_url.startswith("https://") or config.tls_cert is not None
    fixed = {"Strict-Transport-Security": HSTS} if secure else {}
    fixed |= {name: HEADERS[name] for name in ("Cache-Control", _SNIFFING)}

    @app.after_request
    def add(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.update(fixed)
        return response


_SNIFFING = "X-Content-Type-Options"
