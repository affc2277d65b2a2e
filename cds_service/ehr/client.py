"""The EHR's side of a conversation: discover, sign, call."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ..protocol.conformance import Reply, read_json
from .exchange import PATIENCE, Unanswered, exchange
from .tokens import Claims, build_token


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
    way: Callable[..., Reply] = exchange
    """How a message gets there; takes what ``exchange`` takes."""

    @property
    def discovery_url(self) -> str:
        """Where discovery is. Source: CDS Hooks 3.0.0 "Discovery"."""
        return f"{self.base}/cds-services"

    def service_url(self, service_id: str) -> str:
        """Return where a service is."""
        return f"{self.discovery_url}/{service_id}"

    def discover(self) -> list[dict[str, Any]]:
        """Return the services that the server offers."""
        answer = self._read("GET", self.discovery_url, None)
        if answer.status != 200 or "services" not in answer.body:
            raise Unanswered(f"{self.discovery_url} answered {answer.status}")
        services: list[dict[str, Any]] = answer.body["services"]
        return services

    def call(self, service_id: str, body: Mapping[str, Any]) -> ServiceAnswer:
        """Return the answer of a service."""
        return self._read("POST", self.service_url(service_id), body)

    def ask(self, method: str, url: str, body: Any = None) -> Reply:
        """Return the whole answer, whatever it is, to a signed message."""
        headers = {"Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.sign(url)}"
        if self.origin:
            headers["Origin"] = self.origin
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        return self.way(method, url, headers=headers, body=data, patience=self.patience)

    def preflight(self, url: str) -> Reply:
        """Return the answer to what a browser asks before a page may call *url*."""
        headers = {
            "Origin": self.origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        return exchange("OPTIONS", url, headers=headers, patience=self.patience)

    def sign(self, audience: str) -> str:
        """Return a token for one call of the URL *audience*.

        Source: CDS Hooks 3.0.0 "Trusting CDS Clients".
        """
        claims = Claims(
            self.issuer,
            audience,
            self.key_id,
            self.key_url or None,
            self.tenant or None,
        )
        private = load_pem_private_key(self.key.encode(), None)
        return build_token(private, claims, datetime.now(UTC), self.algorithm)

    def _read(self, method: str, url: str, body: Any) -> ServiceAnswer:
        reply = self.ask(method, url, body)
        read = read_json(reply.content)
        if not read.is_json:
            raise Unanswered(f"{url} did not answer in JSON.")
        return ServiceAnswer(reply.status, read.value, reply.seconds * 1000)
