from typing import Any

import pytest
from flask import Flask, Response, g
from flask.testing import FlaskClient
from werkzeug.exceptions import TooManyRequests

from cds_service.protocol.errors import (
    CdsError,
    Forbidden,
    InvalidRequest,
    Problem,
    Unauthenticated,
    Unavailable,
    UnmetPrecondition,
)
from cds_service.store.records import StoreError
from cds_service.web.errors import register_errors
from cds_service.web.notes import read_notes

PUBLIC = "https://cds.example.org/base"
CALL = "/cds-services/wearable-review"
RAISED: dict[str, Exception] = {
    "invalid": InvalidRequest(
        Problem("hook is required", "$.hook"), Problem("context is required")
    ),
    "unauthenticated": Unauthenticated("signature of Ann Example"),
    "forbidden": Forbidden("Not yours."),
    "unmet": UnmetPrecondition(Problem("No conditions.", diagnostics="conditions")),
    "unavailable": Unavailable("Not recorded."),
    "bug": RuntimeError("Ann Example, born 1970"),
    "key": KeyError("Ann Example"),
    "unstored": StoreError("the database is locked"),
    "throttled": TooManyRequests("Ann Example", retry_after=7),
}


@pytest.fixture
def client() -> FlaskClient:
    app = Flask(__name__)
    register_errors(app)
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.before_request
    def name_it() -> None:
        g.request_id = "r-1"

    @app.get("/raise/<name>")
    def fail(name: str) -> str:
        raise RAISED[name]

    @app.after_request
    def remember(response: Response) -> Response:
        app.config["NOTES"] = read_notes()
        return response

    return app.test_client()


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("invalid", 400, "invalid"),
        ("unauthenticated", 401, "login"),
        ("forbidden", 403, "forbidden"),
        ("unmet", 412, "incomplete"),
        ("throttled", 429, "throttled"),
        ("bug", 500, "exception"),
        ("key", 500, "exception"),
        ("unavailable", 503, "transient"),
        ("unstored", 503, "transient"),
    ],
)
def test_e_2_every_error_is_an_operation_outcome(
    client: FlaskClient, name: str, status: int, code: str
) -> None:
    response = client.get(f"/raise/{name}")

    assert response.status_code == status
    assert response.content_type == "application/json"
    outcome = response.get_json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"][0]["code"] == code
    assert "Ann" not in response.text and "1970" not in response.text


def test_e_3_every_problem_is_an_issue_with_its_place(client: FlaskClient) -> None:
    issues = client.get("/raise/invalid").get_json()["issue"]

    assert [issue["details"]["text"] for issue in issues] == [
        "hook is required",
        "context is required",
    ]
    assert issues[0]["expression"] == ["$.hook"]
    assert "expression" not in issues[1]


def test_e_2_the_routers_404_and_405_are_operation_outcomes(
    client: FlaskClient,
) -> None:
    nothing = client.get("/nothing")
    wrong = client.put("/raise/bug")

    assert nothing.get_json()["issue"][0]["code"] == "not-found"
    assert wrong.status_code == 405
    assert set(wrong.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert wrong.get_json()["resourceType"] == "OperationOutcome"


def test_e_6_a_401_names_the_scheme_and_no_reason(client: FlaskClient) -> None:
    response = client.get("/raise/unauthenticated")

    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert "signature" not in response.text


def test_e_5_an_answer_worth_repeating_says_when(client: FlaskClient) -> None:
    assert client.get("/raise/unavailable").headers["Retry-After"] == "2"
    assert client.get("/raise/throttled").headers["Retry-After"] == "7"


def test_e_7_a_bug_is_named_to_the_client_by_its_request_only(
    client: FlaskClient,
) -> None:
    issue = client.get("/raise/bug").get_json()["issue"][0]

    assert issue["diagnostics"] == "request r-1"
    assert "RuntimeError" not in str(issue)


def test_a_bug_is_known_to_the_log_by_type_and_place_without_its_words(
    client: FlaskClient,
) -> None:
    client.get("/raise/bug")

    notes = client.application.config["NOTES"]
    assert notes["failure"] == "RuntimeError"
    assert notes["at"][-1].startswith("test_errors.py:")
    assert "Ann" not in str(notes)


def test_a_head_request_is_answered_as_json_without_a_body(
    client: FlaskClient,
) -> None:
    response = client.head("/nothing")

    assert response.status_code == 404
    assert response.content_type == "application/json"
    assert response.data == b""


def test_an_error_without_problems_is_still_an_outcome() -> None:
    assert CdsError().as_json()["issue"] == [{"severity": "error", "code": "exception"}]


REASONS = {
    "no token": ({}, "no bearer token"),
    "another URL": (
        {"aud": f"{PUBLIC}/cds-services"},
        f"aud is not the URL that was called; aud must be {PUBLIC}{CALL}",
    ),
    "another issuer": (
        {"iss": "https://who.example"},
        "unknown issuer or tenant; iss and tenant must be those of a client of "
        "CDS_CLIENTS_FILE",
    ),
    "too old": ({"iat": 1, "exp": 200}, "the token has expired"),
}


@pytest.mark.parametrize("name", REASONS)
def test_in_development_a_401_says_which_check_failed(
    build: Any, connect: Any, name: str
) -> None:
    ehr = connect(build(profile="development"))
    claims, told = REASONS[name]
    token = f"Bearer {ehr.token(CALL, **claims)}" if claims else ""

    answer = ehr.send(CALL, {}, headers={"Authorization": token})

    (issue,) = answer.json["issue"]
    assert answer.status_code == 401
    assert issue["details"]["text"] == "Authentication is required."
    assert issue["diagnostics"] == told
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_in_production_no_401_says_which_check_failed(ehr: Any) -> None:
    tokens = [
        f"Bearer {ehr.token(CALL, **claims)}" if claims else ""
        for claims, _ in REASONS.values()
    ]

    bodies = {
        ehr.send(CALL, {}, headers={"Authorization": each}).data for each in tokens
    }

    (body,) = bodies
    assert b"diagnostics" not in body
