"""The EHR's side of a conversation: discover, sign, call."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ..protocol.conformance import Reply, read_json
from .exchange import PATIENCE, Unanswered, exchange
from .fixtures import Case, fill_prefetch

__all__ = [
    "ServiceAnswer",
    "Ehr",
    "Unanswered",
    "build_bare",
    "build_prefetched",
    "choose_algorithm",
    "find_templates",
    "generate_key",
    "read_key",
]

LIFETIME = 300
"""Seconds that a token lives."""
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_RSA = ("RS384", "RS256", "RS512", "PS256", "PS384", "PS512")
ALGORITHMS = (*sorted(_CURVES.values()), *_RSA)
"""What a token can be signed with; the standard recommends ES384 and RS384."""


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
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
    """The private key as PEM."""
    key_id: str = ""
    algorithm: str = "ES384"
    key_url: str = ""
    """Where the public keys are, for the token's ``jku``."""
    tenant: str = ""
    origin: str = ""
    """Of the web page that calls; empty where none does."""
    patience: float = PATIENCE
    """Seconds to wait for any answer."""

    @property
    def discovery_url(self) -> str:
        """Where discovery is. Source: CDS Hooks 3.0.0 "Discovery"."""
        return f"{self.base}/cds-services"

    def service_url(self, service_id: str) -> str:
        """Where a service is."""
        return f"{self.discovery_url}/{service_id}"

    def discover(self) -> list[dict[str, Any]]:
        """The services that the server offers."""
        answer = self._read("GET", self.discovery_url, None)
        if answer.status != 200 or "services" not in answer.body:
            raise Unanswered(f"{self.discovery_url} answered {answer.status}")
        services: list[dict[str, Any]] = answer.body["services"]
        return services

    def call(self, service_id: str, body: Mapping[str, Any]) -> ServiceAnswer:
        """The answer of a service."""
        return self._read("POST", self.service_url(service_id), body)

    def ask(self, method: str, url: str, body: Any = None) -> Reply:
        """The whole answer, whatever it is, to a signed message."""
        headers = {"Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.sign(url)}"
        if self.origin:
            headers["Origin"] = self.origin
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        return exchange(method, url, headers=headers, body=data, patience=self.patience)

    def preflight(self, url: str) -> Reply:
        """The answer to what a browser asks before a page may call *url*."""
        headers = {
            "Origin": self.origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        return exchange("OPTIONS", url, headers=headers, patience=self.patience)

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
        if self.tenant:
            claims["tenant"] = self.tenant
        if self.key_url:
            header["jku"] = self.key_url
        return jwt.encode(claims, self.key, algorithm=self.algorithm, headers=header)

    def _read(self, method: str, url: str, body: Any) -> ServiceAnswer:
        reply = self.ask(method, url, body)
        read = read_json(reply.content)
        if not read.is_json:
            raise Unanswered(f"{url} did not answer in JSON.")
        return ServiceAnswer(reply.status, read.value, reply.seconds * 1000)


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
        "token_type": "Bearer",  # nosec B105 # the name of a type
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
    text = file.read_bytes().decode("ascii", "replace")
    if "PRIVATE KEY" not in text:
        raise Unanswered(f"{file} holds no private key in PEM form.")
    return text


def choose_algorithm(pem: str, wanted: str = "") -> str:
    """What a private key signs with: *wanted*, or what the standard recommends for it.

    Raises:
        Unanswered: if the key cannot be read, or cannot sign so.
    """
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        text = "The private key cannot be read; one without a password is needed."
        raise Unanswered(text) from error
    able: tuple[str, ...] = ()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        able = tuple(each for name, each in _CURVES.items() if name == key.curve.name)
    elif isinstance(key, rsa.RSAPrivateKey):
        able = _RSA
    if not able:
        raise Unanswered("The private key must be an RSA key or on P-256, -384, -521.")
    if wanted and wanted not in able:
        raise Unanswered(f"This key signs {', '.join(able)}, not {wanted}.")
    return wanted or able[0]


def _fresh(request: Mapping[str, Any]) -> dict[str, Any]:
    return {**request, "hookInstance": str(uuid4())}
