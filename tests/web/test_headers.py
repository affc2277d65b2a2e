"""What every answer carries, and what none does."""

from collections.abc import Callable
from typing import Any

import pytest

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
