"""A whole server at a fixed moment, with trust on, and an EHR that it knows."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.config import load_config
from cds_service.decision import World
from cds_service.ehr.tokens import generate_key
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.rulebook.load import check_folder
from cds_service.starting import build_world

from .clinic import Clinic

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
PUBLIC = "https://cds.example.org/base"
ISSUER = "https://ehr.example.org"
ORIGIN = "https://chart.example.org"
SERVICE = "wearable-review"
RULES = Path(__file__).parents[2] / "rules"
ABOUT_DATA = {
    "test_attacks",
    "test_alert_fatigue",
    "test_proofs",
    "test_databases",
    "test_readiness",
    "test_readings",
    "test_half_characters",
    "test_health",
    "test_hooks",
    "test_notifications",
    "test_operations",
    "test_rules",
    "test_vendors",
    "test_refusals",
    "test_right_patient",
    "test_rulebook_state",
    "test_several_services",
    "test_single_use",
    "test_sources_seen",
    "test_silenced",
    "test_system_actions",
    "test_timeline_page",
    "test_wearables",
}
"""Modules whose tests run on both databases; the others' are about messages alone."""


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Which database."""
    return str(request.param)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Say on which databases a test runs that does not say so itself."""
    marks = metafunc.definition.iter_markers("parametrize")
    said = any(each.args[0] == "kind" for each in marks)
    if "kind" in metafunc.fixturenames and not said:
        both = metafunc.module.__name__.rpartition(".")[2] in ABOUT_DATA
        kinds = ["sqlite", "postgresql"] if both else ["sqlite"]
        metafunc.parametrize("kind", kinds, indirect=True)


@dataclass
class Caller:
    """An EHR; it signs every message unless told not to."""

    http: FlaskClient
    world: World
    pem: str
    profile: str = "ehr"

    def token(self, path: str, **claims: Any) -> str:
        now = int(NOW.timestamp())
        iss = f"{ISSUER}/strict" if self.profile == "strict" else ISSUER
        told = {"iss": iss, "aud": PUBLIC + path, "iat": now, "exp": now + 300}
        told = {**told, "jti": str(uuid4()), **claims}
        header = {"kid": "k", "typ": "JWT"}
        return jwt.encode(told, self.pem, algorithm="ES384", headers=header)

    def send(
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "POST",
        signed: bool = True,
        headers: Mapping[str, str] | None = None,
        content_type: str | None = "application/json",
    ) -> TestResponse:
        told = dict(headers or {})
        if signed:
            audience = path.partition("?")[0].rstrip("/")
            told.setdefault("Authorization", f"Bearer {self.token(audience)}")
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.open(
            path, method=method, data=data, headers=told, content_type=content_type
        )

    def call(self, body: Any, **more: Any) -> TestResponse:
        return self.send(f"/cds-services/{SERVICE}", body, **more)

    def feedback(self, *entries: Any, **more: Any) -> TestResponse:
        path = f"/cds-services/{SERVICE}/feedback"
        return self.send(path, {"feedback": list(entries)}, **more)

    def audited(self) -> list[dict[str, Any]]:
        """The audit trail: kind, patient and detail."""
        return [
            {
                "kind": each.kind,
                "client": each.client,
                "patient": each.patient_id,
                **json.loads(each.detail),
            }
            for each in self.world.store.audit_entries()
        ]


def searchset(*resources: Any) -> dict[str, Any]:
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    return {**bundle, "entry": [{"resource": each} for each in resources]}


def beta_blocker(subject: str) -> dict[str, Any]:
    rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm"
    return {
        "resourceType": "MedicationStatement",
        "id": "m",
        "status": "active",
        "medicationCodeableConcept": {
            "coding": [{"system": rxnorm, "code": "6918", "display": "metoprolol"}]
        },
        "subject": {"reference": f"Patient/{subject}"},
        "effectivePeriod": {"start": "2026-01-05"},
    }


def resting_heart_rate(value: int, day: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o-{day}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "40443-4"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": f"2026-11-{day}T09:00:00Z",
        "valueQuantity": {
            "value": value,
            "unit": "/min",
            "system": "http://unitsofmeasure.org",
            "code": "/min",
        },
    }


@pytest.fixture
def request_body() -> dict[str, Any]:
    """The smallest patient-view call with every prefetch key satisfied: one card."""
    return {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/u1", "patientId": "p1"},
        "prefetch": {
            "patient": {
                "resourceType": "Patient",
                "id": "p1",
                "birthDate": "1958-03-14",
            },
            "conditions": searchset(),
            "medication-requests": None,
            "medication-statements": searchset(beta_blocker("p1")),
            "observations": searchset(
                resting_heart_rate(108, 22), resting_heart_rate(110, 21)
            ),
        },
    }


@pytest.fixture(scope="session")
def rulebook() -> Rulebook:
    """The shipped rules."""
    return check_folder(RULES).rulebook


@pytest.fixture(scope="session")
def keys() -> tuple[str, dict[str, Any]]:
    """The EHR's private key, and its public half as JWK."""
    return generate_key()


BuildWorld = Callable[..., World]


@pytest.fixture
def build(
    tmp_path: Path,
    rulebook: Rulebook,
    keys: tuple[str, dict[str, Any]],
    url: str,
) -> Iterator[BuildWorld]:
    """Makes a world at NOW with other settings than the usual ones."""
    clients = tmp_path / "clients.yaml"
    client = {
        "id": "ehr",
        "iss": ISSUER,
        "keys": [{**keys[1], "kid": "k"}],
        "origins": [ORIGIN],
        "fhir_servers": ["https://fhir.example.org/r4"],
    }
    strict = {
        **client,
        "id": "strict",
        "origins": ["https://strict.example.org"],
        "iss": f"{ISSUER}/strict",
        "profile": {"strict": True},
    }
    clients.write_text(json.dumps({"clients": [client, strict]}))
    with ExitStack() as opened:

        def make(**settings: str) -> World:
            environ = {
                "CDS_PUBLIC_URL": PUBLIC,
                "CDS_CLIENTS_FILE": str(clients),
                "CDS_DATABASE_URL": url,
                "CDS_GATHER_DEADLINE_MS": "30000",
                "CDS_ANSWER_DEADLINE_MS": "60000",
                **{f"CDS_{name.upper()}": each for name, each in settings.items()},
            }
            world = build_world(load_config(environ), rulebook)
            world = replace(world, clock=lambda: NOW)
            opened.callback(world.store.close)
            opened.callback(world.fhir.close)
            return world

        yield make


@pytest.fixture
def connect(keys: tuple[str, dict[str, Any]]) -> Callable[[World], Caller]:
    """An EHR before the server that a world makes."""

    def make(world: World) -> Caller:
        return Caller(create_app(world=world).test_client(), world, keys[0])

    return make


@pytest.fixture
def ehr(build: BuildWorld, connect: Callable[[World], Caller]) -> Caller:
    """An EHR before a server in its production profile."""
    return connect(build())


@pytest.fixture
def open_clinic(tmp_path: Path, url: str) -> Any:
    """Opens a clinic with rules; all are closed when the test is over."""
    opened = []

    def make(*rules: dict[str, str], site: str = "") -> Clinic:
        files = {name: text for each in rules for name, text in each.items()}
        clinic = Clinic(tmp_path, url, files, site)
        opened.append(clinic)
        return clinic

    yield make
    for clinic in opened:
        clinic.close()
