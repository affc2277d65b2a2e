"""Answers that are written without the app: to what is no request, and about health."""

from collections.abc import Mapping
from http import HTTPStatus

from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)

from ...web.errors import build_outcome
from ...web.headers import HEADERS, Origins
from ...web.json import render_json
from .framing import Head

NOBODY = Origins()
AGAIN = ("Retry-After", "1")
"""Seconds; what passes usually passes soon."""


def render_answer(
    status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> bytes:
    """Return a whole answer of HTTP/1.1, JSON, after which the connection ends."""
    told = {
        "Connection": "close",
        **HEADERS,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    return f"{first}{lines}\r\n".encode() + body


def refuse(
    status: int,
    why: str = "",
    head: Head | None = None,
    origins: Origins = NOBODY,
) -> bytes:
    """Return the answer to a request that never reached the app.

    Pages of *origins* can read it, where its head has come: a browser shows nothing of
    an answer without the headers of CORS, its status neither.
    """
    passes = status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    headers = dict([AGAIN]) if passes else {}
    if head:
        path = head.target.partition("?")[0]
        headers |= origins.grant(path, head.joined("origin"))
    return render_answer(status, render_json(build_outcome(status, why)), headers)


def find_status(error: BaseException) -> int:
    """Return the HTTP status that a fault in HTTP itself deserves."""
    if isinstance(error, LimitRequestLine):
        return 414
    if isinstance(error, LimitRequestHeaders):
        return 431
    if isinstance(error, UnsupportedTransferCoding):
        return 501
    if isinstance(error, ExpectationFailed):
        return 417
    return 400 if isinstance(error, ParseException) else 500
