"""Trying rules on a patient of a FHIR server that the clients file names."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cds_service.ehr.fixture_server import load_records, serve_records

from .conftest import Browser, OpenBrowser
from .plays import send

PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1958-03-14"}
CONDITION = {
    "resourceType": "Condition",
    "id": "c1",
    "subject": {"reference": "Patient/p1"},
    "clinicalStatus": {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                "code": "active",
            }
        ]
    },
    "code": {"coding": [{"system": "http://snomed.info/sct", "code": "49436004"}]},
}
TOKEN = "s3cret-of-the-ehr"
Visit = Callable[..., Browser]


@pytest.fixture(params=["", TOKEN], ids=["open", "with a token"])
def token(request: pytest.FixtureRequest) -> str:
    """What the server asks for."""
    return str(request.param)


@pytest.fixture
def fhir(token: str) -> Iterator[Any]:
    """It has one patient with one problem."""
    records = load_records(
        [{"entry": [{"resource": each} for each in (PATIENT, CONDITION)]}]
    )
    with serve_records(records, token=token) as served:
        yield served


@pytest.fixture
def visit(browse: OpenBrowser, tmp_path: Path, keys: Any) -> Visit:
    """Has an author on the page, where an EHR with these servers is configured."""

    def come(**servers: Any) -> Browser:
        key = {**keys[1], "kid": "k"}
        known = {"id": "ehr", "iss": "https://ehr.example.org", "tenant": "north"}
        clients = tmp_path / "with-fhir.yaml"
        clients.write_text(
            json.dumps({"clients": [{**known, "keys": [key], **servers}]})
        )
        author = browse(clients_file=str(clients)).sign_in("author")
        author.get("/workbench/try")
        return author

    return come


@pytest.fixture
def author(visit: Visit, fhir: Any, token: str) -> Browser:
    """An author where the EHR of that server is configured."""
    return visit(**{"fhir_servers" if token else "open_fhir_servers": [fhir.base]})


def test_a_fhir_server_of_the_clients_file_is_read_by_the_service_itself(
    author: Browser, fhir: Any, token: str
) -> None:
    chart = f"server ehr {fhir.base}"

    assert "Enter the id of a Patient" in send(author, chart=chart)
    assert ("Access token" in author.last) is bool(token)
    page = send(author, "why", chart=chart, patient="p1", token=token)

    assert "Condition?patient=p1" in " ".join(fhir.seen)
    assert "Answer, status 200" in page
    assert "<code>Condition/c1</code>" in page
    assert token == "" or f'value="{token}"' not in page
    last = list(author.world.store.audit_entries())[-1]
    assert (last.kind, last.tenant, last.patient_id) == ("view", "north", "p1")
    assert token == "" or token not in last.detail


def test_a_key_that_is_left_out_is_not_read_from_a_fhir_server_either(
    author: Browser, fhir: Any, token: str
) -> None:
    asked = {"chart": f"server ehr {fhir.base}", "patient": "p1", "token": token}

    page = send(author, "why", **asked, state_observations="dropped")
    seen = " ".join(fhir.seen)
    assert "Observation" not in seen
    assert "Condition?patient=p1" in seen
    assert re.search(r"Not read</span>\s*<strong>Results and readings", page)
    assert page.count(">Left out</option>") == page.count(">Read</option>")
    assert re.search(r'value="dropped" selected>Left out', page)

    page = send(author, **asked, state_conditions="dropped")
    assert "status 412" in page
    assert " ".join(fhir.seen).count("Condition?") == seen.count("Condition?")


def test_a_token_is_not_in_the_request_that_is_shown(visit: Visit) -> None:
    nobody = "http://127.0.0.1:9/fhir"
    author = visit(fhir_servers=[nobody])

    page = send(author, "why", chart=f"server ehr {nobody}", patient="p1", token=TOKEN)

    assert TOKEN not in page
    assert "access_token" in page
    assert "Not read" in page
