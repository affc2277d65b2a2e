"""CORS for the browsers of listed EHRs; every other origin gets no header at all.

Preflights are answered without authentication, since a browser sends none with them.
Source: CDS Hooks 3.0.0 "Cross-Origin Resource Sharing".
"""

import re
from collections.abc import Iterable

from flask import Flask, Response, request
from flask_cors import CORS

PATHS = re.compile(r"/cds-services(/|\Z)")
MINUTES_TO_REMEMBER = 10


def allow_origins(app: Flask, origins: Iterable[str]) -> None:
    """Let pages of *origins* call discovery, services and feedback."""
    listed = [re.compile(re.escape(each) + r"\Z", re.IGNORECASE) for each in origins]

    @app.after_request
    def vary(response: Response) -> Response:
        if PATHS.match(request.path):
            response.vary.add("Origin")
        return response

    if listed:
        CORS(
            app,
            resources=PATHS.pattern,
            origins=listed,
            methods=["GET", "POST", "OPTIONS"],
            allow_headers="*",
            expose_headers=["Retry-After", "WWW-Authenticate", "X-Request-Id"],
            max_age=MINUTES_TO_REMEMBER * 60,
            supports_credentials=False,
            send_wildcard=False,
            always_send=False,
            intercept_exceptions=False,
        )
