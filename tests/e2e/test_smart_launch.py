"""From a chart in the EHR to a page of ours and out again, at a real EHR."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.config import load_config
from cds_service.decision import World
from cds_service.starting import build_world

from .. import shipped
from ..smart_server import PATIENT, SmartServer, walk

PUBLIC = "http://127.0.0.1:8080"
CALLBACK = f"{PUBLIC}/smart/callback"
KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = {**PATIENT, "id": "p2", "name": [{"family": "Notsowell", "given": ["Simone"]}]}


@pytest.fixture
def world(smart_server: SmartServer, tmp_path: Path, url: str) -> Iterator[World]:
    """A server whose pages the EHR opens, as a public client."""
    client_id = smart_server.register(CALLBACK)
    smart_server.chart(PATIENT, OTHER)
    entry = {
        "id": "ehr",
        "iss": "https://ehr.example.org",
        "jku": "https://ehr.example.org/jwks.json",
        "fhir_base": smart_server.base,
        "fhir_servers": [smart_server.base],
        "smart": {"client_id": client_id},
    }
    clients = tmp_path / "clients.yaml"
    clients.write_text(json.dumps({"format": 1, "clients": [entry]}))
    environ = {
        "CDS_PROFILE": "development",
        "CDS_PUBLIC_URL": PUBLIC,
        "CDS_CLIENTS_FILE": str(clients),
        "CDS_DATABASE_URL": url,
        "CDS_TOKEN_KEY": KEY,
    }
    made = build_world(load_config(environ), shipped.rulebook())
    yield made
    made.store.close()
    made.fhir.close()


@pytest.fixture
def browser(world: World) -> FlaskClient:
    return create_app(world=world).test_client()


Come = Callable[..., Any]


@pytest.fixture
def come(browser: FlaskClient, smart_server: SmartServer) -> Come:
    """Goes from a chart, or from our own page, to where the browser is let in."""

    def gone(**query: str) -> Any:
        path = "/smart/launch" if "launch" in query else "/smart/start"
        away = browser.get(f"{path}?{urlencode(query)}", base_url=PUBLIC)
        assert away.status_code == 303, away.text
        told = walk(away.headers["Location"], CALLBACK)
        return browser.get(f"/smart/callback?{urlencode(told)}", base_url=PUBLIC)

    return gone


def session_of(answer: Any) -> str:
    """The id of the session that a browser is sent to."""
    assert answer.status_code == 303, answer.text
    return urlsplit(answer.headers["Location"]).path.split("/")[3]


def living(rows: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rows(
        "SELECT id, patient_id AS patient, scopes FROM smart_sessions"
        " WHERE ended_us IS NULL ORDER BY patient_id"
    )
    return found


def test_a_chart_opens_the_pages_about_its_patient(
    come: Come, smart_server: SmartServer, rows: Any
) -> None:
    launch = smart_server.launch("p1", encounter="e1")

    id = session_of(come(iss=smart_server.base, launch=launch))

    (row,) = living(rows)
    assert (row["id"], row["patient"]) == (id, "p1")
    assert "patient/Observation.rs" in row["scopes"]


def test_two_charts_open_two_sessions_and_neither_is_the_others(
    come: Come, smart_server: SmartServer, rows: Any
) -> None:
    ids = [
        session_of(come(iss=smart_server.base, launch=smart_server.launch(patient)))
        for patient in ("p1", "p2")
    ]

    found = {each["patient"]: each["id"] for each in living(rows)}
    assert found == {"p1": ids[0], "p2": ids[1]}


def test_the_pages_open_without_the_ehr_too(
    come: Come, smart_server: SmartServer, rows: Any
) -> None:
    smart_server.set(patient="p2")

    id = session_of(come(ehr="ehr"))

    (row,) = living(rows)
    assert (row["id"], row["patient"]) == (id, "p2")


def test_what_the_ehr_has_not_opened_lets_nobody_in(
    come: Come, smart_server: SmartServer, rows: Any
) -> None:
    answer = come(iss=smart_server.base, launch="never given")

    assert answer.status_code == 403
    assert "The server answered invalid_request." in answer.text
    assert living(rows) == []


def test_an_ehr_that_is_not_listed_is_not_asked(
    browser: FlaskClient, smart_server: SmartServer
) -> None:
    query = urlencode({"iss": f"{smart_server.issuer}/other", "launch": "x"})

    answer = browser.get(f"/smart/launch?{query}", base_url=PUBLIC)

    assert answer.status_code == 403
    assert smart_server.seen() == []
