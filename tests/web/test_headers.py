"""What every answer carries, and what none does."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Response

from cds_service.web.headers import let_keep

Build = Callable[..., Any]
Connect = Callable[[Any], Any]
SERVICE = "/cds-services/wearable-review"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/cds-services"),
        ("POST", SERVICE),
        ("OPTIONS", SERVICE),
        ("PUT", SERVICE),
        ("GET", "/nowhere"),
        ("POST", "/wearables/v1/alerts"),
        ("GET", "/health"),
        ("GET", "/metrics"),
    ],
)
def test_every_answer_is_not_stored_not_sniffed_and_loads_nothing(
    ehr: Any, method: str, path: str
) -> None:
    headers = ehr.http.open(path, method=method).headers

    assert headers.getlist("Cache-Control") == ["no-store"]
    assert headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert headers.getlist("Referrer-Policy") == ["no-referrer"]
    (policy,) = headers.getlist("Content-Security-Policy")
    assert policy == "default-src 'none'; frame-ancestors 'none'"
    assert headers.getlist("Strict-Transport-Security") == ["max-age=31536000"]
    assert "X-Powered-By" not in headers


@pytest.fixture
def kept(ehr: Any) -> Any:
    """Views that let their answers be kept, and one that only says so."""
    app = ehr.http.application

    def answered(response: Response) -> Response:
        with app.test_request_context("/"):
            app.preprocess_request()
            kept = let_keep(response, "public, max-age=3600")
            done: Response = app.process_response(kept)
            return done

    return answered


def test_what_is_public_may_be_kept(kept: Any) -> None:
    answer = kept(Response("{}"))

    assert answer.headers.getlist("Cache-Control") == ["public, max-age=3600"]


@pytest.mark.parametrize(
    "response",
    [
        Response("", 404),
        Response("", 503),
        Response("", 303, {"Location": "/"}),
        Response("", 200, {"Set-Cookie": "a=b"}),
    ],
    ids=["not found", "unavailable", "elsewhere", "with a cookie"],
)
def test_no_refusal_and_nothing_with_a_cookie_is_kept(
    kept: Any, response: Response
) -> None:
    assert kept(response).headers.getlist("Cache-Control") == ["no-store"]


def test_an_answer_that_only_says_so_is_not_kept(ehr: Any) -> None:
    app = ehr.http.application
    with app.test_request_context("/"):
        app.preprocess_request()
        response = Response("{}", headers={"Cache-Control": "public"})
        answer = app.process_response(response)

    assert answer.headers.getlist("Cache-Control") == ["no-store"]


def test_over_plain_http_nobody_is_told_to_come_back_over_https(
    build: Build, connect: Connect
) -> None:
    ehr = connect(build(profile="development", public_url="http://127.0.0.1:8080"))

    headers = ehr.http.get("/cds-services").headers

    assert "Strict-Transport-Security" not in headers


FORGED = {
    "Host": "evil.net",
    "X-Forwarded-Host": "evil.net",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/evil",
    "X-Original-URL": "/evil",
    "Forwarded": "for=10.0.0.1;host=evil.net;proto=http",
}


@pytest.mark.parametrize("proxies", ["", "127.0.0.1"])
def test_no_header_says_what_the_audience_of_a_token_is(
    build: Build, connect: Connect, request_body: Any, proxies: str
) -> None:
    ehr = connect(build(trusted_proxies=proxies))
    evil = {
        "Authorization": "Bearer " + ehr.token("", aud=f"https://evil.net{SERVICE}")
    }

    assert ehr.call(request_body, headers=FORGED).status_code == 200
    assert ehr.call(request_body, headers={**FORGED, **evil}).status_code == 401
    for path in ("/cds-services", "/openapi.json", "/cds-services/", SERVICE):
        answer = ehr.http.get(path, headers=FORGED)
        assert answer.status_code in (200, 405)
        assert "evil" not in answer.text + str(answer.headers)
