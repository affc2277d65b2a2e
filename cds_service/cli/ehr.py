"""The EHR's side of a conversation: discover, sign, call."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .fixtures import Case, fill_prefetch

PATIENCE = 60
"""Seconds to wait for any answer."""
LIFETIME = 300
"""Seconds that a token lives."""


class Unanswered(Exception):
    """The server could not be spoken to; the message is for a person."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and how long it took."""

    status: int
    body: Any
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Ehr:
    """An EHR that calls one server; without a key it sends no token."""

    base: str
    """The server's public base URL."""
    issuer: str = ""
    key: str = ""
    """The private key as PEM: elliptic curve P-384."""
    key_id: str = ""

    def discover(self) -> list[dict[str, Any]]:
        """The services that the server offers."""
        answer = self._send("GET", f"{self.base}/cds-services", None)
        if answer.status != 200 or "services" not in answer.body:
            raise Unanswered(f"{self.base}/cds-services answered {answer.status}")
        services: list[dict[str, Any]] = answer.body["services"]
        return services

    def call(self, service_id: str, body: Mapping[str, Any]) -> Answer:
        """The answer of a service."""
        return self._send("POST", f"{self.base}/cds-services/{service_id}", body)

    def sign(self, audience: str) -> str:
        """A token for one call of the URL *audience*.

        Source: CDS Hooks 3.0.0 "Trusting CDS Clients".
        """
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": audience,
            "iat": now,
            "exp": now + LIFETIME,
            "jti": str(uuid4()),
        }
        header = {"kid": self.key_id, "typ": "JWT"}
        return jwt.encode(claims, self.key, algorithm="ES384", headers=header)

    def _send(self, method: str, url: str, body: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self.sign(url)}"} if self.key else {}
        begun = time.perf_counter()
        try:
            response = requests.request(
                method, url, json=body, headers=headers, timeout=PATIENCE
            )
            answer = response.json()
        except requests.ConnectionError as error:
            raise Unanswered(f"Nothing answers at {url}.") from error
        except (requests.RequestException, ValueError) as error:
            raise Unanswered(f"{url} did not answer in JSON.") from error
        return Answer(
            response.status_code, answer, (time.perf_counter() - begun) * 1000
        )


def find_templates(services: list[dict[str, Any]], service_id: str) -> dict[str, str]:
    """The prefetch templates of a service, from the answer to discovery."""
    for service in services:
        if service.get("id") == service_id:
            templates: dict[str, str] = service.get("prefetch", {})
            return templates
    offered = ", ".join(sorted({each["id"] for each in services})) or "none"
    raise Unanswered(f"There is no service {service_id}; offered: {offered}.")


def build_prefetched(case: Case, templates: Mapping[str, str]) -> dict[str, Any]:
    """The case's request with every template filled from its chart.

    Prefetch that the case writes itself stays as written.
    """
    if "prefetch" in case.request:
        return _fresh(case.request)
    filled = fill_prefetch(templates, case.chart, case.request["context"])
    return _fresh({**case.request, "prefetch": filled})


def build_bare(case: Case, fhir_server: str, token: str) -> dict[str, Any]:
    """The case's request without prefetch: the server has to ask *fhir_server*."""
    request = {name: each for name, each in case.request.items() if name != "prefetch"}
    request["fhirServer"] = fhir_server
    request["fhirAuthorization"] = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": LIFETIME,
        "scope": "patient/Patient.rs patient/Condition.rs patient/Observation.rs "
        "patient/MedicationRequest.rs patient/MedicationStatement.rs "
        "patient/Medication.rs",
        "subject": "cds-service",
        "patient": case.request["context"]["patientId"],
    }
    return _fresh(request)


def generate_key() -> tuple[str, dict[str, Any]]:
    """A new private key as PEM, and its public half as JWK."""
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(
        key.public_key(), as_dict=True
    )
    return pem.decode(), public


def read_key(file: Path) -> str:
    """A private key from a PEM file.

    Raises:
        Unanswered: if it holds none.
    """
    text = file.read_text("utf-8")
    if "PRIVATE KEY" not in text:
        raise Unanswered(f"{file} holds no private key in PEM form.")
    return text


def _fresh(request: Mapping[str, Any]) -> dict[str, Any]:
    return {**request, "hookInstance": str(uuid4())}
