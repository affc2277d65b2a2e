"""The shell of every page: what it may load, what may frame it, what may be kept."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Response
from flask.testing import FlaskClient
from jinja2 import UndefinedError

from cds_service.app import create_app
from cds_service.protocol.errors import UnmetPrecondition
from cds_service.store.records import StoreError
from cds_service.web.pages.shell import (
    allow_framing,
    answer_errors,
    asset_url,
    offer,
    render_page,
    show_notice,
)

BASE = "https://cds.example.org/base"
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "require-trusted-types-for": "'script'",
    "frame-ancestors": "'none'",
}


@pytest.fixture
def browser(build: Callable[..., Any]) -> FlaskClient:
    """Before a server with some pages of our making."""
    app = create_app(world=build())
    pages = Blueprint("some", __name__, url_prefix="/some")
    answer_errors(pages)

    @pages.get("/plain")
    def plain() -> Response:
        return show_notice("Good <day>", "It is <b>late</b>.")

    @pages.get("/framed")
    def framed() -> Response:
        allow_framing(["https://ehr.example.org", "https://chart.example.org"])
        return show_notice("Framed")

    @pages.get("/offered")
    def offered() -> Response:
        offer(texts=["Given before."])
        return render_page("notice.html", title="Offered")

    @pages.get("/forgotten")
    def forgotten() -> Response:
        return render_page("notice.html", title="Forgotten")

    @pages.get("/raise/<name>")
    def fail(name: str) -> Response:
        raise {
            "unmet": UnmetPrecondition("The conditions were not read."),
            "unstored": StoreError("Ann Example"),
            "bug": RuntimeError("Ann Example"),
        }[name]

    app.register_blueprint(pages)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app.test_client()


def policy(response: Any) -> dict[str, str]:
    (header,) = response.headers.getlist("Content-Security-Policy")
    parts = (each.strip().partition(" ") for each in header.split(";"))
    return {name: value for name, _, value in parts}


def test_a_page_loads_from_this_server_alone_and_is_framed_by_nobody(
    browser: FlaskClient,
) -> None:
    response = browser.get("/some/plain")

    assert policy(response) == POLICY
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.content_type == "text/html; charset=utf-8"


def test_the_origins_of_an_ehr_may_frame_its_pages_and_no_others(
    browser: FlaskClient,
) -> None:
    told = policy(browser.get("/some/framed"))["frame-ancestors"]

    assert told == "https://ehr.example.org https://chart.example.org"
    assert policy(browser.get("/some/plain"))["frame-ancestors"] == "'none'"


def test_what_a_page_is_given_is_text_and_not_html(browser: FlaskClient) -> None:
    page = browser.get("/some/plain").text

    assert "<h1>Good &lt;day&gt;</h1>" in page
    assert "It is &lt;b&gt;late&lt;/b&gt;." in page


def test_what_was_offered_before_is_on_the_page(browser: FlaskClient) -> None:
    assert "Given before." in browser.get("/some/offered").text


def test_a_value_that_nobody_gave_is_an_error_and_not_an_empty_space(
    browser: FlaskClient,
) -> None:
    browser.application.config["PROPAGATE_EXCEPTIONS"] = True

    answered = browser.get("/some/forgotten")

    assert answered.status_code == 500
    with browser.application.test_request_context(), pytest.raises(UndefinedError):
        render_page("notice.html", title="Forgotten")


def test_a_style_has_its_digest_in_its_name_and_may_be_kept_for_ever(
    browser: FlaskClient,
) -> None:
    with browser.application.test_request_context():
        url = asset_url("pages.css")

    assert re.fullmatch(r"/base/assets/pages\.[0-9a-f]{16}\.css", url)
    response = browser.get(url.removeprefix("/base"))
    assert response.status_code == 200
    assert response.headers.getlist("Cache-Control") == [
        "public, max-age=31536000, immutable"
    ]
    assert response.content_type == "text/css; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/assets/pages.css", "/assets/pages.0000000000000000.css", "/assets/x"]
)
def test_another_name_is_nowhere_and_that_is_not_kept(
    browser: FlaskClient, path: str
) -> None:
    response = browser.get(path)

    assert response.status_code == 404
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/some/raise/unmet", 412, "The conditions were not read."),
        ("/some/raise/unstored", 503, "could not record that this page was opened"),
        ("/some/raise/bug", 500, "Draw no conclusion about the patient"),
    ],
)
def test_who_meets_an_error_is_told_on_a_page_without_what_it_held(
    browser: FlaskClient, path: str, status: int, said: str
) -> None:
    response = browser.get(path)

    assert response.status_code == status
    assert said in response.text
    assert "Ann Example" not in response.text
    assert policy(response) == POLICY
    assert response.headers["Cache-Control"] == "no-store"
