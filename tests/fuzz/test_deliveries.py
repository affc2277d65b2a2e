"""Whatever is delivered to whatever endpoint: no fault of ours, nothing by halves.

What the fixtures of each format deliver is bent and sent twice. What is stored is what
the answer says, to the row; what is refused has stored nothing; what is sent again has
the same answer and adds nothing. `CDS_FUZZ_EXAMPLES=5000` is the long run.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.config import load_config
from cds_service.decision import World
from cds_service.ingestion import SAMPLES, SOURCES
from cds_service.starting import build_world
from cds_service.store.records import AuditEvent
from cds_service.wearables.adapters.registry import FORMATS
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey

from .. import shipped
from .test_adapters import EXAMPLES, ODD, at, bent, deliveries, places, put, raw_of

SECRET = "the-secret-of-a-gateway-for-fuzzing"
SINCE = datetime(2000, 1, 1, tzinfo=UTC)
PATHS = {SAMPLES.name: SAMPLES.path} | {
    name: each.path for name, each in SOURCES.items()
}
TABLES = (
    *("samples", "sample_revisions", "sample_removals", "sample_devices"),
    *("wearable_alerts", "quarantine", "sample_streams"),
)
STATE = "SELECT " + ", ".join(
    f"(SELECT count(*) FROM {each}) AS {each}" for each in TABLES
)
LAST = "SELECT detail FROM audit WHERE kind = 'delivery' ORDER BY id DESC LIMIT 1"
Rows = Callable[[str], list[dict[str, Any]]]


@dataclass(frozen=True)
class Server:
    http: FlaskClient
    token: str
    rows: Rows

    def post(self, format: str, raw: bytes, key: str, by_token: bool) -> TestResponse:
        """Deliver by the token of a wearer, or as a source that names its users."""
        bearer = {"Authorization": f"Bearer {self.token}"}
        gateway = {"X-Gateway-Key": SECRET}
        told: TestResponse = self.http.post(
            PATHS[format],
            data=raw,
            headers={**(bearer if by_token else gateway), "Idempotency-Key": key},
            content_type=FORMATS[format].media_types[0],
        )
        return told

    def stored(self) -> Counter[str]:
        (found,) = self.rows(STATE)
        return Counter(found)

    def told(self) -> dict[str, Any]:
        """What the trail says of the delivery that came last."""
        (found,) = self.rows(LAST)
        detail: dict[str, Any] = json.loads(found["detail"])
        return detail


@pytest.fixture
def server(database_url: str, tmp_path: Path, rows: Rows) -> Iterator[Server]:
    """The whole server, which knows one wearer and a source that may deliver all."""
    gateway = {
        "id": "gateway",
        "secrets": [SECRET],
        "proof": {"kind": "header", "header": "x-gateway-key"},
        "formats": list(FORMATS),
        "tokens": True,
        "time_zone": "America/New_York",
    }
    clients = tmp_path / "clients.yaml"
    clients.write_text(json.dumps({"webhooks": [gateway]}))
    config = load_config(
        {
            "CDS_PROFILE": "development",
            "CDS_AUTH": "off",
            "CDS_CLIENTS_FILE": str(clients),
            "CDS_DATABASE_URL": database_url,
            "CDS_RATE_LIMIT": "100000",
            "CDS_REFUSAL_LIMIT": "100000",
        }
    )
    world = build_world(config, shipped.rulebook())
    yield Server(create_app(world=world).test_client(), issue(world), rows)
    world.store.close()
    world.fhir.close()


def issue(world: World) -> str:
    event = AuditEvent(SINCE, "link", "default", "operator")
    alice = PatientKey("default", "-", "alice")
    link = world.store.links.add(WearerLink("gateway", alice, SINCE), event)
    return world.store.wearer_tokens.issue(link, tuple(FORMATS), event)


def check_answer(
    format: str, answer: TestResponse, told: dict[str, Any]
) -> Counter[str]:
    """What became of items, by the trail, which the answer tells as well."""
    outcomes, alerts = Counter(told.get("outcomes", {})), len(told.get("alerts", ()))
    if not FORMATS[format].answers_items:
        assert answer.data == b""
        return outcomes
    said = dict(answer.json)
    listed = [each["status"] for each in said.pop("results")]
    said.pop("listed", None)
    rejected, skipped = said.pop("rejected"), said.pop("skipped", 0)
    assert +Counter(said) == +(outcomes + Counter(accepted=alerts))
    assert rejected + skipped == sum(told.get("left_out", {}).values())
    if len(listed) < 1000:
        assert len(listed) == sum(said.values()) + rejected + skipped
    return outcomes


def check_stored(
    before: Counter[str], after: Counter[str], outcomes: Counter[str]
) -> None:
    """What was said to be taken in is there, and nothing else."""
    grown = {name: after[name] - before[name] for name in TABLES}
    kept = grown["samples"] + grown["sample_revisions"]
    accepted, revised = outcomes["accepted"], outcomes["revised"]
    assert accepted <= kept <= accepted + revised
    if not outcomes["removed"]:
        assert grown["samples"] == accepted
    assert grown["quarantine"] == outcomes["quarantined"]


def check_delivery(server: Server, format: str, raw: bytes, by_token: bool) -> None:
    """Deliver something twice; what is stored is what is answered."""
    before, key = server.stored(), f"k-{next(KEYS)}"

    answer = server.post(format, raw, key, by_token)

    after = server.stored()
    assert answer.status_code < 500
    if answer.status_code in (200, 202):
        check_stored(before, after, check_answer(format, answer, server.told()))
    else:
        refusal = {"resourceType": "OperationOutcome"}.items()
        nothing_taken = {"accepted": 0, "duplicate": 0}.items()
        assert refusal <= answer.json.items() or nothing_taken <= answer.json.items()
        assert after == before

    again = server.post(format, raw, key, by_token)

    assert (again.status_code, again.data) == (answer.status_code, answer.data)
    assert server.stored() == after


KEYS = count()


@st.composite
def touched(draw: Any, format: str) -> Any:
    """A delivery with one member that is not what it was: its neighbours are good."""
    body = deepcopy(draw(st.sampled_from(deliveries(format))))
    leaves = [
        each for each in places(body) if not isinstance(at(body, each), dict | list)
    ]
    return (
        put(body, draw(st.sampled_from(leaves)), deepcopy(draw(ODD)))
        if leaves
        else body
    )


@pytest.mark.parametrize("format", FORMATS)
def test_x_a_delivery_is_stored_as_it_is_answered(server: Server, format: str) -> None:
    for body in deliveries(format):
        for by_token in (False, True):
            check_delivery(server, format, raw_of(body), by_token)


@st.composite
def garbled(draw: Any, format: str) -> bytes:
    """A delivery of which up to three bytes are not what they were."""
    raw = bytearray(raw_of(draw(st.sampled_from(deliveries(format)))))
    for _ in range(draw(st.integers(1, 3))):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw)


@pytest.mark.parametrize("format", FORMATS)
def test_x_what_is_bent_is_stored_as_it_is_answered_or_not_at_all(
    server: Server, format: str
) -> None:
    written = (touched(format) | bent(format)).map(raw_of)

    @settings(
        max_examples=max(EXAMPLES // 3, 1),
        suppress_health_check=list(HealthCheck),
        derandomize=EXAMPLES < 1000,
        deadline=None,
    )
    @given(raw=written | garbled(format), by_token=st.booleans())
    def check(raw: bytes, by_token: bool) -> None:
        check_delivery(server, format, raw, by_token)

    check()
