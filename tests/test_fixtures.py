"""Every fixture case through the whole server: what comes back is ``response.json``.

A case whose request brings no prefetch is played twice: with everything prefetched, and
with nothing, so that the server reads a FHIR server. Both must give the same.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from standardwebhooks import Webhook

from cds_service.app import create_app
from cds_service.config import load_config
from cds_service.ehr.fixture_server import load_records, serve_records
from cds_service.ehr.fixtures import FixtureCase, fill_prefetch, load_case
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.starting import build_world

from . import shipped

ROOT = Path(__file__).parent.parent
CASES = sorted(path.parent for path in ROOT.glob("fixtures/*/*/request.json"))
NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
SECRET = "whsec_Zml4dHVyZS1zZWNyZXQtb2YtdGhlLXdhdGNo"


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return shipped.rulebook()


def play(
    folder: Path, tmp_path: Path, url: str, rulebook: Rulebook, *, prefetched: bool
) -> tuple[FixtureCase, int, Any]:
    """One case on a fresh server: what was expected, the status and the body."""
    case = load_case(folder, NOW)
    clients = tmp_path / "clients.yaml"
    clients.write_text(json.dumps({"webhooks": [{"id": "watch", "secrets": [SECRET]}]}))
    records = load_records([case.chart])
    with serve_records(records) as server:
        config = load_config(
            {
                "CDS_PROFILE": "development",
                "CDS_AUTH": "off",
                "CDS_CLIENTS_FILE": str(clients),
                "CDS_FHIR_SERVERS": server.base,
                "CDS_DATABASE_URL": url,
                "CDS_GATHER_DEADLINE_MS": "30000",
                "CDS_ANSWER_DEADLINE_MS": "60000",
            }
        )
        world = replace(build_world(config, rulebook), clock=lambda: NOW)
        http = create_app(world=world).test_client()
        try:
            deliver(http, case)
            body = dict(case.request)
            if "prefetch" not in body and prefetched:
                (service,) = http.get("/cds-services").json["services"]
                context = body["context"]
                body["prefetch"] = fill_prefetch(
                    service["prefetch"], case.chart, context
                )
            elif "prefetch" not in body:
                body["fhirServer"] = server.base
            answer = http.post("/cds-services/wearable-review", json=body)
        finally:
            world.store.close()
            world.fhir.close()
    return case, answer.status_code, answer.json


def deliver(http: FlaskClient, case: FixtureCase) -> None:
    """The case's wearable alerts, by signed webhook."""
    if case.alerts is None:
        return
    raw = json.dumps(case.alerts).encode()
    signature = Webhook(SECRET).sign("msg-1", NOW, raw.decode())
    headers = {
        "webhook-id": "msg-1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": signature,
    }
    answer = http.post(
        "/wearables/v1/alerts",
        data=raw,
        headers=headers,
        content_type="application/json",
    )
    assert answer.status_code == 202, answer.text
    assert answer.json["rejected"] == 0


def told(case: FixtureCase, status: int, body: Any) -> Iterator[str]:
    """Where the answer is not what the case expects."""
    expected = case.expected
    if status != expected["status"]:
        yield f"status {status}: {body}"
        return
    if status != 200:
        text = json.dumps(body)
        yield from (part for part in expected["outcome_contains"] if part not in text)
        return
    shown = [card["summary"] for card in body["cards"]]
    if len(shown) != len(expected["cards"]):
        yield f"{len(shown)} cards: {shown}"
    for card, wanted in zip(body["cards"], expected["cards"], strict=False):
        yield from told_of_card(card, wanted)


def told_of_card(card: Any, wanted: Any) -> Iterator[str]:
    """Where a card is not what the case expects."""
    for name in ("summary", "indicator"):
        if card[name] != wanted[name]:
            yield f"{name}: {card[name]!r}"
    detail = " ".join(card.get("detail", "").split())
    for part in wanted.get("detail_contains", ()):
        if part not in detail:
            yield f"detail lacks {part!r}: {detail}"
    for part in wanted.get("detail_lacks", ()):
        if part in detail:
            yield f"detail has {part!r}"
    labels = [each["label"] for each in card.get("suggestions", ())]
    if labels != wanted.get("suggestions", labels):
        yield f"suggestions: {labels}"


@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
@pytest.mark.parametrize("mode", ["prefetched", "fetched"])
def test_the_answer_is_the_one_that_the_case_expects(
    folder: Path, mode: str, tmp_path: Path, database_url: str, rulebook: Rulebook
) -> None:
    case, status, body = play(
        folder, tmp_path, database_url, rulebook, prefetched=mode == "prefetched"
    )

    assert list(told(case, status, body)) == []


def test_a_wrong_expectation_is_noticed(
    tmp_path: Path, database_url: str, rulebook: Rulebook
) -> None:
    folder = ROOT / "fixtures" / "patient-view" / "fires"

    case, status, body = play(folder, tmp_path, database_url, rulebook, prefetched=True)

    (card,) = case.expected["cards"]
    for wrong in (
        {"status": 412},
        {"cards": []},
        {"cards": [{**card, "indicator": "critical"}]},
        {"cards": [{**card, "detail_contains": ["a diagnosis"]}]},
        {"cards": [{**card, "detail_lacks": ["metoprolol"]}]},
        {"cards": [{**card, "suggestions": ["Stop everything"]}]},
    ):
        expected = {**case.expected, "outcome_contains": [], **wrong}
        assert list(told(replace(case, expected=expected), status, body)) != []


def test_the_cases_show_every_truth() -> None:
    names = {folder.name for folder in CASES}

    assert names >= {
        "fires",
        "silent",
        "unknown",
        "boundary",
        "wrong-patient",
        "paged",
        "partial-prefetch",
        "huge",
    }
