"""What a server must not get wrong: the requests that other servers answered badly.

Each row is one request, the answer that the specification wants, and what is kept of
it. The patient has atrial fibrillation on the problem list, a watch that raised an
alert, and no anticoagulant: a problem list that is lost or mistaken changes the answer,
as one that was read and is empty does, which makes the same alert a possible one.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from flask.testing import FlaskClient
from standardwebhooks import Webhook
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.config import load_config
from cds_service.decision import World
from cds_service.ehr.fixture_server import (
    FixtureServer,
    answer,
    load_records,
    serve_records,
)
from cds_service.ehr.fixtures import FixtureCase, load_case
from cds_service.ehr.hook_calls import build_bare, build_prefetched
from cds_service.ehr.tokens import generate_key
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.rulebook.load import check_folder
from cds_service.starting import build_world

HOME = Path(__file__).parents[2]
CASE = HOME / "fixtures" / "patient-view" / "fires-without-anticoagulant"
NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
PUBLIC = "https://cds.example.org"
ISSUER = "https://ehr.example.org"
SERVICE = "/cds-services/wearable-review"
SECRET = "whsec_Zml4dHVyZS1zZWNyZXQtb2YtdGhlLXdhdGNo"
FHIR_TOKEN = "only-for-the-ehrs-own-server"

ALERT = "Irregular rhythm"
"""Begins the summary of the card that the whole chart gives."""
NOT_KNOWN = "Possible AF"
"""Begins the summary of the card where the problem list was read and lacks it."""
INCOMPLETE = "Some checks could not be made"
"""Begins the summary of the card that says what is not known."""
FAILED = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "exception"}],
}
WITHHELD = {
    "resourceType": "Bundle",
    "type": "searchset",
    "total": 0,
    "entry": [
        {
            "search": {"mode": "outcome"},
            "resource": {
                "resourceType": "OperationOutcome",
                "issue": [{"severity": "warning", "code": "suppressed"}],
            },
        }
    ],
}

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ehr:
    """An EHR, its FHIR server, and the server that it asks."""

    http: FlaskClient
    world: World
    pem: str
    case: FixtureCase
    fhir: FixtureServer

    def send(self, path: str, body: Body | None, **members: Any) -> TestResponse:
        now = int(NOW.timestamp())
        claims = {"iss": ISSUER, "aud": PUBLIC + path, "iat": now, "exp": now + 300}
        claims["jti"] = str(uuid4())
        header = {"kid": "k", "typ": "JWT"}
        token = jwt.encode(claims, self.pem, algorithm="ES384", headers=header)
        headers = {"Authorization": f"Bearer {token}"}
        return self.http.open(path, json=body, headers=headers, **members)

    def request(self) -> Body:
        """The call with everything prefetched."""
        (service,) = self.http.get("/cds-services").json["services"]
        return build_prefetched(self.case, service["prefetch"])

    def calls(self) -> list[dict[str, tuple[str, int, int]]]:
        """For each call that was recorded: prefetch key to how it was read, how many
        resources that were, and how many of others were dropped.
        """
        return [
            {name: counted(read) for name, read in call["sources"].items()}
            for call in self.audited()
            if call["kind"] == "call"
        ]

    def audited(self) -> list[dict[str, Any]]:
        """Refusals, calls and feedback in the audit trail."""
        return [
            {"kind": each.kind, **json.loads(each.detail)}
            for each in self.world.store.audit_entries()
            if each.kind != "delivery"
        ]


def counted(read: list[Any]) -> tuple[str, int, int]:
    """The state and the numbers of a part of the chart, less zeros at the end."""
    state, _, count, _, foreign, *_ = [*read, *[0] * 5]
    return state, count, foreign


Change = Callable[[Ehr, Body], None]


def nothing(ehr: Ehr, body: Body) -> None:
    """Changes nothing."""


def without(member: str) -> Change:
    def change(ehr: Ehr, body: Body) -> None:
        del body[member]

    return change


def prefetched(**values: Any) -> Change:
    def change(ehr: Ehr, body: Body) -> None:
        body["prefetch"].update(values)

    return change


def only(*keys: str) -> Change:
    def change(ehr: Ehr, body: Body) -> None:
        body["prefetch"] = {key: body["prefetch"][key] for key in keys}

    return change


def malformed_name(ehr: Ehr, body: Body) -> None:
    body["prefetch"]["patient"]["name"] = {"family": [["Okafor"]], "given": "Emil"}


def another_patient_in_context(ehr: Ehr, body: Body) -> None:
    body["context"]["patientId"] = "somebody-else"


def conditions_of_another(ehr: Ehr, body: Body) -> None:
    for entry in body["prefetch"]["conditions"]["entry"]:
        entry["resource"]["subject"] = {"reference": "Patient/somebody-else"}


def another_hook(ehr: Ehr, body: Body) -> None:
    body["hook"] = "order-sign"
    body["context"]["draftOrders"] = {"resourceType": "Bundle", "type": "collection"}


def first_page(ehr: Ehr, body: Body) -> None:
    """Atrial fibrillation stands on the second page."""
    records = load_records([ehr.case.chart])
    query = f"Condition?patient={ehr.case.name}&_count=1"
    page = answer(records, query, ehr.fhir.base)[1]
    assert "atrial fibrillation" not in json.dumps(page)
    body["prefetch"]["conditions"] = page


def first_page_with_access(ehr: Ehr, body: Body) -> None:
    first_page(ehr, body)
    bare = build_bare(ehr.case, ehr.fhir.base, FHIR_TOKEN)
    for member in ("fhirServer", "fhirAuthorization"):
        body[member] = bare[member]


def large(ehr: Ehr, body: Body) -> None:
    body["extension"] = {"org.example.filler": "x" * 1_200_000}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    id: str
    """In the checklist."""
    request: str
    change: Change
    """What differs from a call with everything prefetched."""
    status: int
    says: tuple[str, ...] = ()
    """Parts of the OperationOutcome; for 200, how the summary of each card begins."""
    conditions: tuple[str, int, int] = ("loaded", 2, 0)
    """For 200, what is recorded: state, how many were read, how many were another's."""
    audited: str = "call"
    """Kind of the row in the audit trail; empty where none is written."""


REFUSED = {"audited": "refusal"}
REQUIRED = ('"patient"', '"conditions"', '"medication-requests"')

TABLE = [
    Row("q-7", "everything prefetched", nothing, 200, (ALERT,)),
    Row(
        "p-12", "no prefetch, no fhirServer", without("prefetch"), 412, REQUIRED,
        **REFUSED,
    ),
    Row("p-12", "prefetch: {}", only(), 412, REQUIRED, **REFUSED),
    Row("p-12", "only Patient", only("patient"), 412, REQUIRED[1:], **REFUSED),
    Row(
        "p-14", "Patient null", prefetched(patient=None), 412, REQUIRED[:1], **REFUSED
    ),
    Row(
        "p-14", "Condition null (= EHR has none)", prefetched(conditions=None), 200,
        (NOT_KNOWN,), conditions=("loaded", 0, 0),
    ),
    Row(
        "p-15", "Condition = OperationOutcome", prefetched(conditions=FAILED), 412,
        REQUIRED[1:2], **REFUSED,
    ),
    Row(
        "p-15", "Condition empty, and some are suppressed",
        prefetched(conditions=WITHHELD), 200, (INCOMPLETE,),
        conditions=("partial", 0, 0),
    ),
    Row("p-20", "malformed name", malformed_name, 200, (ALERT,)),
    Row(
        "p-23", "context.patientId is someone else", another_patient_in_context, 400,
        ('"security"',), **REFUSED,
    ),
    Row(
        "p-23", "Conditions about someone else", conditions_of_another, 200,
        (NOT_KNOWN,), conditions=("loaded", 0, 2),
    ),
    Row(
        "q-2", "hook is order-sign on a patient-view service", another_hook, 400,
        ("patient-view",), **REFUSED,
    ),
    Row(
        "p-16", "bundle has link next: followed", first_page_with_access, 200,
        (ALERT,),
    ),
    Row(
        "p-16", "bundle has link next: cannot be followed", first_page, 200,
        (INCOMPLETE,), conditions=("partial", 1, 0),
    ),
    Row("q-15", "1.2 MB body", large, 413, ('"too-long"',), audited=""),
]  # fmt: skip
"""Two more rows, of feedback and of discovery, are the last two tests."""


def playing(checklist_id: str) -> pytest.MarkDecorator:
    """The test below is played with the rows of an id."""
    found = [row for row in TABLE if row.id == checklist_id]
    assert found
    return pytest.mark.parametrize("row", found, ids=lambda row: row.request)


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    """The shipped rules."""
    return check_folder(HOME / "rules").rulebook


@pytest.fixture
def ehr(tmp_path: Path, database_url: str, rulebook: Rulebook) -> Iterator[Ehr]:
    """An EHR that the server knows; the alert of the patient's watch has arrived."""
    case = load_case(CASE, NOW)
    case = replace(case, chart={**case.chart, "entry": case.chart["entry"][::-1]})
    pem, public = generate_key()
    with serve_records(load_records([case.chart]), token=FHIR_TOKEN) as fhir:
        client = {"id": "ehr", "iss": ISSUER, "keys": [{**public, "kid": "k"}]}
        client["fhir_servers"] = [fhir.base]
        watch = {"id": "watch", "secrets": [SECRET]}
        clients = tmp_path / "clients.yaml"
        clients.write_text(json.dumps({"clients": [client], "webhooks": [watch]}))
        environ = {
            "CDS_PROFILE": "development",
            "CDS_PUBLIC_URL": PUBLIC,
            "CDS_CLIENTS_FILE": str(clients),
            "CDS_DATABASE_URL": database_url,
            "CDS_GATHER_DEADLINE_MS": "30000",
            "CDS_ANSWER_DEADLINE_MS": "60000",
        }
        world = build_world(load_config(environ), rulebook)
        world = replace(world, clock=lambda: NOW)
        http = create_app(world=world).test_client()
        deliver(http, case)
        yield Ehr(http, world, pem, case, fhir)
        world.store.close()
        world.fhir.close()


def deliver(http: FlaskClient, case: FixtureCase) -> None:
    raw = json.dumps(case.alerts)
    headers = {
        "webhook-id": "msg-1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg-1", NOW, raw),
        "Content-Type": "application/json",
    }
    answered = http.post("/wearables/v1/alerts", data=raw, headers=headers)
    assert (answered.status_code, answered.json["rejected"]) == (202, 0)


def play(row: Row, ehr: Ehr) -> TestResponse:
    """The answer, after it was compared with the row."""
    body = ehr.request()
    row.change(ehr, body)

    response = ehr.send(SERVICE, body, method="POST")

    assert response.status_code == row.status, response.text
    assert response.content_type == "application/json"
    if row.status == 200:
        shown = [card["summary"] for card in response.json["cards"]]
        assert len(shown) == len(row.says), shown
        for summary, begins in zip(shown, row.says, strict=True):
            assert summary.startswith(begins)
        (read,) = [each["conditions"] for each in ehr.calls()]
        assert read == row.conditions
    else:
        assert response.json["resourceType"] == "OperationOutcome"
        for part in row.says:
            assert part in response.text
        assert "Okafor" not in response.text
        assert ehr.calls() == []
    audited = [(each["kind"], each.get("status", 200)) for each in ehr.audited()]
    assert audited == ([(row.audited, row.status)] if row.audited else [])
    return response


@playing("q-7")
def test_q_7_what_was_prefetched_is_enough(row: Row, ehr: Ehr) -> None:
    play(row, ehr)

    assert ehr.fhir.seen == []


@playing("p-12")
def test_p_12_required_data_that_cannot_be_had_is_412_by_key(
    row: Row, ehr: Ehr
) -> None:
    outcome = play(row, ehr).json

    issues = outcome["issue"]
    named = {each["diagnostics"] for each in issues if each["severity"] == "error"}
    assert named == {each.strip('"') for each in row.says}


@playing("p-14")
def test_p_14_null_is_an_empty_answer_and_no_patient_is_none(
    row: Row, ehr: Ehr
) -> None:
    play(row, ehr)


@playing("p-15")
def test_p_15_a_failed_search_is_not_an_empty_problem_list(row: Row, ehr: Ehr) -> None:
    play(row, ehr)


@playing("p-20")
def test_p_20_the_right_patient_with_odd_fields_is_answered(row: Row, ehr: Ehr) -> None:
    play(row, ehr)


@playing("p-23")
def test_p_23_data_about_somebody_else_is_refused_or_dropped(
    row: Row, ehr: Ehr
) -> None:
    response = play(row, ehr)

    assert "somebody-else" not in response.text
    (told,) = ehr.audited()
    assert told.get("foreign", 0) == (row.conditions[2] if row.status == 200 else 0)


@playing("q-2")
def test_q_2_a_service_is_not_played_on_another_hook(row: Row, ehr: Ehr) -> None:
    play(row, ehr)


@playing("p-16")
def test_p_16_a_next_page_is_followed_or_missed_aloud(row: Row, ehr: Ehr) -> None:
    play(row, ehr)

    asked = 1 if row.change is first_page_with_access else 0
    assert len(ehr.fhir.seen) == asked
    assert all("_offset=1" in each for each in ehr.fhir.seen)


@playing("q-15")
def test_q_15_a_body_over_the_limit_is_413_in_json(row: Row, ehr: Ehr) -> None:
    play(row, ehr)


def test_f_1_feedback_of_the_correct_shape_is_200_and_kept(
    ehr: Ehr, rows: Callable[[str], list[Body]]
) -> None:
    (card,) = ehr.send(SERVICE, ehr.request(), method="POST").json["cards"]
    entry = {
        "card": card["uuid"],
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-22T15:31:00Z",
    }

    path = f"{SERVICE}/feedback"
    response = ehr.send(path, {"feedback": [entry]}, method="POST")

    assert (response.status_code, response.json) == (200, {"recorded": 1})
    assert [each["kind"] for each in ehr.audited()] == ["call", "feedback"]
    assert rows("select card, rule from feedback") == [
        {"card": card["uuid"], "rule": "af-irregular-rhythm-no-anticoagulant"}
    ]


def test_d_1_discovery_is_200_at_cds_services(ehr: Ehr) -> None:
    response = ehr.http.get("/cds-services")

    assert (response.status_code, response.content_type) == (200, "application/json")
    assert [each["id"] for each in response.json["services"]] == ["wearable-review"]
    assert ehr.calls() == ehr.audited() == []


def test_every_row_is_played() -> None:
    played = {name for name in globals() if name.startswith("test_")}

    for row in TABLE:
        stem = f"test_{row.id.replace('-', '_')}_"
        assert any(name.startswith(stem) for name in played), row.id
