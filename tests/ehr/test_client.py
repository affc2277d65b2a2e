import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import pytest

from cds_service.ehr.client import Ehr
from cds_service.ehr.exchange import Unanswered
from cds_service.ehr.fixtures import FixtureCase
from cds_service.ehr.hook_calls import build_bare, build_prefetched, find_templates
from cds_service.ehr.tokens import generate_key, read_key

CASE = FixtureCase(
    name="case",
    request={
        "hook": "patient-view",
        "hookInstance": "written",
        "context": {"userId": "Practitioner/1", "patientId": "1"},
    },
    chart={
        "resourceType": "Bundle",
        "entry": [{"resource": {"resourceType": "Patient", "id": "1"}}],
    },
    alerts=None,
    expected=None,
)
TEMPLATES = {"patient": "Patient/{{context.patientId}}"}


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that answers everything alike, and what it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            asked.append(
                {
                    "path": self.path,
                    "authorization": self.headers.get("Authorization"),
                    "body": self.rfile.read(length),
                }
            )
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_a_call_bears_a_token_for_its_own_url_only() -> None:
    pem, public = generate_key()
    with answering(200, b'{"cards": []}') as (base, asked):
        answer = Ehr(base, "https://ehr.example.org", pem, "k1").call(
            "review", {"a": 1}
        )

    assert (answer.status, answer.body) == (200, {"cards": []})
    assert json.loads(asked[0]["body"]) == {"a": 1}
    token = asked[0]["authorization"].removeprefix("Bearer ")
    assert jwt.get_unverified_header(token) == {
        "alg": "ES384",
        "kid": "k1",
        "typ": "JWT",
    }
    claims = jwt.decode(
        token,
        jwt.PyJWK(public, "ES384"),
        ["ES384"],
        audience=f"{base}/cds-services/review",
    )
    assert claims["iss"] == "https://ehr.example.org"
    assert claims["exp"] - claims["iat"] == 300


def test_no_token_is_sent_without_a_key() -> None:
    with answering(200, b'{"services": []}') as (base, asked):
        assert Ehr(base).discover() == []

    assert asked[0]["authorization"] is None


def test_a_server_that_does_not_speak_json_is_said_so() -> None:
    with answering(200, b"<html>") as (base, _):
        with pytest.raises(Unanswered, match="did not answer in JSON"):
            Ehr(base).discover()


def test_a_refused_discovery_is_said_so() -> None:
    with answering(401, b"{}") as (base, _):
        with pytest.raises(Unanswered, match="answered 401"):
            Ehr(base).discover()


def test_a_server_that_is_not_there_is_said_so() -> None:
    with answering(200, b"") as (base, _):
        pass
    with pytest.raises(Unanswered, match="Nothing answers"):
        Ehr(base).discover()


def test_templates_are_those_of_the_service_or_none_by_that_name() -> None:
    services = [{"id": "a"}, {"id": "b", "prefetch": TEMPLATES}]

    assert find_templates(services, "b") == TEMPLATES
    assert find_templates(services, "a") == {}
    with pytest.raises(Unanswered, match="no service c; offered: a, b"):
        find_templates(services, "c")


def test_a_prefetched_call_has_every_template_filled_and_an_instance_of_its_own() -> (
    None
):
    body = build_prefetched(CASE, TEMPLATES)

    assert body["prefetch"] == {"patient": {"resourceType": "Patient", "id": "1"}}
    assert body["hookInstance"] != build_prefetched(CASE, TEMPLATES)["hookInstance"]


def test_prefetch_that_a_case_writes_itself_stays() -> None:
    case = FixtureCase("own", {**CASE.request, "prefetch": {"x": None}}, {}, None, None)

    assert build_prefetched(case, TEMPLATES)["prefetch"] == {"x": None}


def test_a_bare_call_says_where_to_ask_and_about_whom() -> None:
    body = build_bare(CASE, "http://127.0.0.1:1/fhir", "secret")

    assert "prefetch" not in body
    assert body["fhirServer"] == "http://127.0.0.1:1/fhir"
    assert body["fhirAuthorization"]["access_token"] == "secret"
    assert body["fhirAuthorization"]["patient"] == "1"


def test_a_file_without_a_private_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text("-----BEGIN CERTIFICATE-----")

    with pytest.raises(Unanswered, match="no private key"):
        read_key(file)
