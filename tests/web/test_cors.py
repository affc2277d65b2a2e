import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.config import load_config
from cds_service.starting import build_world
from cds_service.web.errors import register_errors
from cds_service.web.headers import allow_origins, keep_to_origins, list_origins
from cds_service.web.layers import surround

EHR = "https://ehr.example.org"


def build_client(*origins: str) -> FlaskClient:
    app = Flask(__name__)
    app.url_map.strict_slashes = False
    register_errors(app)
    listed = list_origins(origins)
    surround(app, [keep_to_origins(listed)])
    allow_origins(app, listed)

    @app.get("/cds-services")
    def discovery() -> str:
        return "{}"

    @app.post("/cds-services/<service_id>")
    @app.post("/cds-services/<service_id>/feedback")
    def call(service_id: str) -> str:
        if service_id == "broken":
            raise RuntimeError
        return "{}"

    @app.get("/health/live")
    def live() -> str:
        return "{}"

    return app.test_client()


@pytest.mark.parametrize(
    "path",
    [
        "/cds-services",
        "/cds-services/",
        "/cds-services/a",
        "/cds-services/a/",
        "/cds-services/a/feedback",
        "/cds-services/a/feedback/",
    ],
)
def test_s_22_a_preflight_of_a_listed_origin_is_answered(path: str) -> None:
    response = build_client(EHR, "https://other.example.org").options(
        path,
        headers={
            "Origin": EHR,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type, x-medplum",
        },
    )

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == EHR
    assert set(response.headers["Access-Control-Allow-Methods"].split(", ")) == {
        "GET",
        "POST",
        "OPTIONS",
    }
    assert response.headers["Access-Control-Allow-Headers"] == (
        "authorization, content-type, x-medplum"
    )
    assert "Origin" in response.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.org",
        "https://ehr.example.org.evil.net",
        "https://ehrXexample.org",
        "http://ehr.example.org",
        "null",
        "https://ehr.example.org.evil",
        "https://ehr.example.org:8443",
        "https://ehr.example.org:443",
        "https://ehr.example.org/",
        "https://ehr.example.org@evil.net",
        "https://evil.net#https://ehr.example.org",
        "https://x.ehr.example.org",
        "https://ehr.example.org, https://evil.net",
        "https://evil.net,https://ehr.example.org",
        "https://ehr.example.org https://evil.net",
        "*",
        "",
    ],
)
def test_s_22_an_unlisted_origin_gets_no_header(origin: str) -> None:
    client = build_client(EHR)
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}

    for response in [
        client.options("/cds-services/a", headers=preflight),
        client.post("/cds-services/a", headers={"Origin": origin}),
    ]:
        assert response.status_code == 200
        assert not [name for name in response.headers.keys() if "Access" in name]
        assert response.headers["Vary"] == "Origin"


def test_s_22_a_listed_origin_with_a_port_is_that_port_alone() -> None:
    client = build_client("https://ehr.example.org:8443")

    for origin, listed in [("https://ehr.example.org:8443", True), (EHR, False)]:
        response = client.get("/cds-services", headers={"Origin": origin})
        assert ("Access-Control-Allow-Origin" in response.headers) is listed


def test_s_22_letters_of_an_origin_are_the_same_in_either_case() -> None:
    origin = "HTTPS://EHR.Example.org"

    response = build_client(EHR).get("/cds-services", headers={"Origin": origin})

    assert response.headers["Access-Control-Allow-Origin"] == origin


def test_s_22_several_origin_headers_are_none() -> None:
    headers = [("Origin", EHR), ("Origin", "https://evil.net"), ("Origin", EHR)]

    response = build_client(EHR).get("/cds-services", headers=headers)

    assert "Access-Control-Allow-Origin" not in response.headers


def test_s_22_a_preflight_is_remembered_for_ten_minutes() -> None:
    preflight = {"Origin": EHR, "Access-Control-Request-Method": "POST"}

    response = build_client(EHR).options("/cds-services/a", headers=preflight)

    assert response.headers["Access-Control-Max-Age"] == "600"


@pytest.mark.parametrize(("origin", "allowed"), [(EHR, "true"), ("null", None)])
def test_s_22_a_listed_origin_may_reach_into_a_private_network(
    origin: str, allowed: str | None
) -> None:
    preflight = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Private-Network": "true",
    }

    response = build_client(EHR).options("/cds-services/a", headers=preflight)

    assert response.headers.get("Access-Control-Allow-Private-Network") == allowed


def test_s_22_the_answer_itself_carries_the_header() -> None:
    response = build_client(EHR).post("/cds-services/a", headers={"Origin": EHR})

    assert response.headers.getlist("Access-Control-Allow-Origin") == [EHR]
    exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"X-Request-Id", "Server-Timing", "Retry-After"} <= set(exposed)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/cds-services/broken", 500),
        ("PUT", "/cds-services/a", 405),
        ("GET", "/cds-services/a/b/c", 404),
    ],
)
def test_e_8_errors_carry_the_header_too(method: str, path: str, status: int) -> None:
    response = build_client(EHR).open(path, method=method, headers={"Origin": EHR})

    assert response.status_code == status
    assert response.headers.getlist("Access-Control-Allow-Origin") == [EHR]
    assert response.headers.getlist("Vary") == ["Origin"]


def test_a_request_without_an_origin_learns_nothing_of_the_list() -> None:
    response = build_client(EHR).get("/cds-services")

    assert "Access-Control-Allow-Origin" not in response.headers


def test_nothing_but_cds_hooks_is_opened_to_browsers() -> None:
    response = build_client(EHR).get("/health/live", headers={"Origin": EHR})

    assert "Access-Control-Allow-Origin" not in response.headers


def test_without_a_list_there_is_no_header_for_anybody() -> None:
    response = build_client().get("/cds-services", headers={"Origin": EHR})

    assert "Access-Control-Allow-Origin" not in response.headers


ORIGIN = "https://chart.example.org"
SERVICE = "/cds-services/wearable-review"


def open_to(response: Any, origin: str) -> bool:
    assert response.headers.getlist("Vary") == ["Origin"]
    assert "Access-Control-Allow-Credentials" not in response.headers
    allowed = response.headers.getlist("Access-Control-Allow-Origin")
    assert allowed in ([], [origin])
    return bool(allowed)


@pytest.mark.parametrize(
    ("status", "path", "request_of"),
    [
        (400, SERVICE, {"body": {}}),
        (401, SERVICE, {"signed": False}),
        (404, "/cds-services/nothing", {}),
        (405, SERVICE, {"method": "PUT"}),
        (412, SERVICE, {"without": "conditions"}),
        (413, SERVICE, {"body": b"x" * 2_000_000}),
        (415, SERVICE, {"content_type": "text/plain"}),
    ],
)
def test_e_8_a_browser_can_read_every_refusal(
    ehr: Any, request_body: Any, status: int, path: str, request_of: dict[str, Any]
) -> None:
    told = {"body": request_body, **request_of}
    without = told.pop("without", "")
    if without:
        del told["body"]["prefetch"][without]

    response = ehr.send(path, headers={"Origin": ORIGIN}, **told)

    assert response.status_code == status
    assert open_to(response, ORIGIN)


def test_e_8_a_browser_can_read_that_it_called_too_often(
    build: Any, connect: Any, request_body: Any
) -> None:
    ehr = connect(build(rate_limit="1"))
    ehr.call(request_body)

    response = ehr.call(request_body, headers={"Origin": ORIGIN})

    assert response.status_code == 429
    assert open_to(response, ORIGIN)


def test_e_8_a_browser_can_read_that_nothing_was_recorded(
    ehr: Any, request_body: Any, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "cds.sqlite")) as database:
        database.execute("drop table calls")

    response = ehr.call(request_body, headers={"Origin": ORIGIN})

    assert response.status_code == 503
    assert open_to(response, ORIGIN)


def test_s_22_the_pages_of_one_client_read_nothing_with_the_token_of_another(
    ehr: Any, request_body: Any
) -> None:
    other = "https://strict.example.org"
    preflight = {"Origin": other, "Access-Control-Request-Method": "POST"}
    assert open_to(ehr.http.options(SERVICE, headers=preflight), other)

    answers = {
        (profile, origin): ehr.call(request_body, headers={"Origin": origin})
        for profile in ("ehr", "strict")
        for origin in (ORIGIN, other)
        if not setattr(ehr, "profile", profile)
    }

    assert {each.status_code for each in answers.values()} == {200}
    opened = [key for key, each in answers.items() if open_to(each, key[1])]
    assert opened == [("ehr", ORIGIN), ("strict", other)]
    hidden = answers["ehr", other].headers.keys()
    assert not [name for name in hidden if name.startswith("Access-Control")]


LOOPBACK = [
    "http://localhost",
    "http://localhost:8080",
    "https://localhost:3000",
    "HTTP://LOCALHOST:8080",
    "http://127.0.0.1:4200",
    "http://127.1.2.3",
    "http://[::1]:8081",
    "https://sandbox.cds-hooks.org",
]
OTHERS = [
    "http://localhost.evil.net",
    "http://localhost:8080.evil.net",
    "http://evil.net#localhost",
    "http://127.0.0.1.evil.net",
    "http://x.localhost.net",
    "http://128.0.0.1",
    "http://[::2]",
    "http://sandbox.cds-hooks.org",
    "https://sandbox.cds-hooks.org:8443",
    "https://evil.example.org",
    "file://localhost",
    "null",
]


def preflight(client: FlaskClient, origin: str) -> str | None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "authorization,content-type"
    answer = client.options("/cds-services/wearable-review", headers=asked)
    return answer.headers.get("Access-Control-Allow-Origin")


def open_server(tmp_path: Path, rulebook: Any, **settings: str) -> Any:
    environ = {
        "CDS_PROFILE": "development",
        "CDS_DATABASE_URL": f"sqlite:///{tmp_path / 'open.sqlite'}",
        **settings,
    }
    world = build_world(load_config(environ), rulebook)
    world.store.migrate()
    return world


def test_pages_on_the_same_machine_and_the_sandbox_connect_at_once(
    tmp_path: Path, rulebook: Any
) -> None:
    world = open_server(tmp_path, rulebook, CDS_AUTH="off")
    client = create_app(world=world).test_client()

    for origin in LOOPBACK:
        assert preflight(client, origin) == origin
        answer = client.get("/cds-services", headers={"Origin": origin})
        assert answer.headers["Access-Control-Allow-Origin"] == origin
    for origin in OTHERS:
        assert preflight(client, origin) is None
    world.store.close()


def test_where_a_token_is_asked_for_only_listed_origins_are_let_in(
    tmp_path: Path, rulebook: Any, ehr: Any
) -> None:
    (tmp_path / "none.yaml").write_text("clients: []")
    file = str(tmp_path / "none.yaml")
    world = open_server(tmp_path, rulebook, CDS_CLIENTS_FILE=file)

    for client in (create_app(world=world).test_client(), ehr.http):
        for origin in LOOPBACK:
            assert preflight(client, origin) is None
    world.store.close()
