"""The right patient or nobody, through the whole server.

What is about somebody else is dropped, counted and audited; what cannot be told is not
used and not taken for nothing; another Patient, or a token for one, refuses the call.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from cds_service.decision import World
from cds_service.http.addresses import ListedServer

SERVER = "https://fhir.example.org/r4"
URN = "urn:uuid:5cbc121b-cd71-4428-b8b7-31e53eba8184"
Body = dict[str, Any]
Caller = Any

OWN = [
    "Patient/p1",
    "Patient/p1/_history/2",
    "Patient/%70%31",
    "p1",
    URN,
    f"{SERVER}/Patient/p1",
    f"{SERVER}/Patient/p1/_history/2",
    "HTTPS://FHIR.example.org:443/r4/Patient/p1",
]
FOREIGN = [
    "Patient/p2",
    "Patient/p2/_history/2",
    "Patient/%70%32",
    "Patient/p10",
    f"{SERVER}/Patient/p2",
    "https://elsewhere.example/r4/Patient/p2",
]
UNCLEAR = [
    "https://elsewhere.example/r4/Patient/p1",
    f"{SERVER}/other/Patient/p1",
    "Patient/P1",
    "patient/p1",
    "Group/p1",
    "Group/all-who-have-had-flu",
    "Patient?identifier=p1",
    "#p1",
    "urn:uuid:11111111-cd71-4428-b8b7-31e53eba8184",
    "p2",
    None,
]


def about(body: Body, reference: str | None) -> Body:
    """The call with its medicine about somebody."""
    body["fhirServer"] = SERVER
    bundle = body["prefetch"]["medication-statements"]
    (entry,) = bundle["entry"]
    resource = entry["resource"]
    resource["subject"] = {"reference": reference}
    if reference is None:
        resource["subject"] = {"identifier": {"system": "urn:mrn", "value": "p1"}}
    resource["contained"] = [{"resourceType": "Patient", "id": "p1"}]
    named = {"resourceType": "Patient", "id": "p1"}
    bundle["entry"].append({"fullUrl": URN, "resource": named})
    return body


def summaries(response: Any) -> list[str]:
    assert response.status_code == 200, response.text
    return [card["summary"] for card in response.json["cards"]]


@pytest.mark.parametrize("reference", OWN)
def test_p_23_the_patient_s_own_medicine_fires_however_it_is_referred_to(
    ehr: Caller, request_body: Body, reference: str
) -> None:
    (card,) = summaries(ehr.call(about(request_body, reference)))

    assert "could not be made" not in card
    assert "foreign" not in ehr.audited()[-1]


@pytest.mark.parametrize("reference", FOREIGN)
def test_p_23_another_s_medicine_is_dropped_and_counted_in_the_audit(
    ehr: Caller, request_body: Body, reference: str
) -> None:
    assert summaries(ehr.call(about(request_body, reference))) == []
    (row,) = ehr.audited()
    assert (row["kind"], row["patient"], row["foreign"]) == ("call", "p1", 1)
    assert row["sources"]["medication_statements"][0] == "loaded"


@pytest.mark.parametrize("reference", UNCLEAR)
def test_p_23_a_medicine_that_may_be_anybody_s_is_not_used_and_not_nothing(
    ehr: Caller, request_body: Body, reference: str | None
) -> None:
    (card,) = summaries(ehr.call(about(request_body, reference)))

    assert "could not be made" in card
    (row,) = ehr.audited()
    assert "foreign" not in row
    assert row["sources"]["medication_statements"][0] == "partial"


@pytest.mark.parametrize(
    ("patient", "status"),
    [("p1", 200), ("Patient/p1", 200), ("p2", 400), ("Patient/p2", 400), ("P1", 400)],
)
def test_a_10_the_token_s_patient_is_the_context_s_or_nobody_is_answered(
    ehr: Caller, request_body: Body, patient: str, status: int
) -> None:
    request_body["fhirServer"] = SERVER
    request_body["fhirAuthorization"] = {
        "access_token": "s3cr3t",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.rs",
        "subject": "cds",
        "patient": patient,
    }

    response = ehr.call(request_body)

    assert response.status_code == status
    (row,) = ehr.audited()
    assert row["kind"] == ("call" if status == 200 else "refusal")
    assert "s3cr3t" not in json.dumps(row) + response.text


class Answers(BaseHTTPRequestHandler):
    """Answers by the last part of the path."""

    def do_GET(self) -> None:
        answers = self.server.answers  # type: ignore[attr-defined]
        path = urlsplit(self.path).path.removeprefix("/fhir/")
        content = json.dumps(answers.get(path, {"resourceType": "Bundle"})).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def fhir() -> Iterator[Callable[[Mapping[str, Any]], str]]:
    """A FHIR server that answers what the test says; gives its base."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def start(answers: Mapping[str, Any]) -> str:
        server.answers = answers  # type: ignore[attr-defined]
        return f"http://127.0.0.1:{server.server_port}/fhir"

    yield start
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def fetching(
    build: Callable[..., World], connect: Callable[[World], Caller], fhir: Any
) -> Callable[[Body, Mapping[str, Any]], tuple[Caller, Body]]:
    """An EHR that sends no prefetch, but a token for a FHIR server with *answers*."""

    def make(body: Body, answers: Mapping[str, Any]) -> tuple[Caller, Body]:
        base = fhir(answers)
        world = build(profile="development")
        known = tuple(
            replace(
                each,
                client=replace(each.client, fhir_servers=(ListedServer(base),)),
            )
            for each in world.clients.clients
        )
        world = replace(world, clients=replace(world.clients, clients=known))
        authorization = {
            "access_token": "t",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "user/*.rs",
            "subject": "cds",
        }
        fetched = {"fhirServer": base, "fhirAuthorization": authorization}
        return connect(world), {**body, **fetched, "prefetch": {}}

    return make


def answers_of(body: Body) -> dict[str, Any]:
    prefetch = body["prefetch"]
    return {
        "Patient/p1": prefetch["patient"],
        "MedicationStatement": prefetch["medication-statements"],
        "Observation": prefetch["observations"],
    }


def test_a_14_what_is_fetched_about_the_patient_fires(
    fetching: Any, request_body: Body
) -> None:
    ehr, body = fetching(request_body, answers_of(request_body))

    assert len(summaries(ehr.call(body))) == 1
    assert "foreign" not in ehr.audited()[-1]


def test_p_23_what_is_fetched_about_others_is_dropped_and_counted(
    fetching: Any, request_body: Body
) -> None:
    answers = answers_of(request_body)
    (entry,) = answers["MedicationStatement"]["entry"]
    entry["resource"]["subject"] = {"reference": "Patient/p2"}
    ehr, body = fetching(request_body, answers)

    assert summaries(ehr.call(body)) == []
    assert ehr.audited()[-1]["foreign"] == 1


def test_p_23_another_patient_from_the_fhir_server_refuses_the_call(
    fetching: Any, request_body: Body
) -> None:
    other = {"resourceType": "Patient", "id": "p2", "name": [{"family": "Muster"}]}
    ehr, body = fetching(
        request_body, {**answers_of(request_body), "Patient/p1": other}
    )

    response = ehr.call(body)

    assert response.status_code == 400
    assert response.json["resourceType"] == "OperationOutcome"
    for secret in ("p1", "p2", "Muster"):
        assert secret not in response.text
    (row,) = ehr.audited()
    assert (row["kind"], row["status"], row["patient"]) == ("refusal", 400, "p1")
