import pytest
from flask import Flask
from flask.testing import FlaskClient

from cds_service.web.cors import allow_origins
from cds_service.web.errors import register_errors

EHR = "https://ehr.example.org"


def build_client(*origins: str) -> FlaskClient:
    app = Flask(__name__)
    app.url_map.strict_slashes = False
    register_errors(app)
    allow_origins(app, origins)

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


def test_s_22_the_answer_itself_carries_the_header() -> None:
    response = build_client(EHR).post("/cds-services/a", headers={"Origin": EHR})

    assert response.headers.getlist("Access-Control-Allow-Origin") == [EHR]
    assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]


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
