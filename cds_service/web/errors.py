"""Every answer that is not 2xx is an OperationOutcome, the router's and a bug's too.

What an exception says may hold patient data, so nothing of it leaves: not to the
client, not to the log. A bug is named by its type and the places it passed through.
"""

from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException

from ..protocol.cards import InvalidAnswer
from ..protocol.errors import CdsError, Unauthenticated, Unavailable
from ..publishing.serving import find_lines
from ..store.records import StoreError
from .json import render_json
from .notes import note

ISSUE_CODES = {
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    408: "timeout",
    409: "conflict",
    412: "incomplete",
    413: "too-long",
    414: "too-long",
    415: "not-supported",
    422: "processing",
    429: "throttled",
    431: "too-long",
    500: "exception",
    501: "not-supported",
    503: "transient",
}
"""HTTP status to FHIR issue type; other 4xx are ``invalid``."""

TEXTS = {
    404: "There is nothing at this URL.",
    405: "This URL does not support this method.",
    413: "The body is larger than this server accepts.",
    500: "The server failed to answer. Draw no conclusion about the patient from this.",
}
"""Where the standard phrase of a status says too little."""


def register_errors(app: Flask, *, tell_reasons: bool = False) -> None:
    """Answer every error of *app* as an OperationOutcome.

    With *tell_reasons* a 401 says which check failed, as an EHR developer needs to know
    and nobody else may.
    """
    app.register_error_handler(
        Unauthenticated, explain_refusal if tell_reasons else answer_refusal
    )
    app.register_error_handler(CdsError, answer_refusal)
    app.register_error_handler(StoreError, answer_store_error)
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(Exception, answer_bug)


def answer_refusal(error: CdsError) -> Response:
    """Return the answer that one of our own errors is."""
    response = _json(error.as_json(), error.status)
    if error.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def explain_refusal(error: Unauthenticated) -> Response:
    """Return the answer to who is not recognised: what failed, what was expected."""
    response = answer_refusal(error)
    response.set_data(render_json(error.explained()))
    return response


def answer_store_error(error: StoreError) -> Response:
    """Return the database failed: nothing was stored, so nothing is answered."""
    note(failure=type(error).__name__, kind=error.kind, at=find_lines(error))
    return answer_refusal(Unavailable("This could not be recorded. Try again."))


def answer_http_error(error: HTTPException) -> Response:
    """Flask's and Werkzeug's errors, with the headers that belong to them."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    response = _json(build_outcome(status), status)
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


def answer_bug(error: Exception) -> Response:
    """Return the same words for every bug; the log learns its type and its place."""
    note(failure=type(error).__name__, at=find_lines(error))
    if isinstance(error, InvalidAnswer):
        note(invalid=error.places)
    return _json(build_outcome(500, f"request {g.get('request_id', '?')}"), 500)


def build_outcome(status: int, diagnostics: str = "") -> dict[str, Any]:
    """Return an OperationOutcome in fixed words for an HTTP status."""
    issue: dict[str, Any] = {
        "severity": "error",
        "code": ISSUE_CODES.get(status, "invalid" if status < 500 else "exception"),
        "details": {"text": TEXTS.get(status) or HTTPStatus(status).phrase},
    }
    if diagnostics:
        issue["diagnostics"] = diagnostics
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def _json(value: Any, status: int) -> Response:
    return Response(render_json(value), status, mimetype="application/json")
