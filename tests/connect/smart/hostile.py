"""An EHR that misbehaves, where a real one cannot be made to: it answers as it is told.

What it is not told it does well: discovery, keys, tokens, the patient.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from cds_service.trust import public_jwk

from ...smart_server import PATIENT

KEY = rsa.generate_private_key(65537, 2048)
FOREIGN = rsa.generate_private_key(65537, 2048)
Reply = tuple[int, dict[str, str], Any]


class HostileEhr:
    """What it answers, by path, and what it was asked."""

    def __init__(self) -> None:
        self.told: dict[str, Reply] = {}
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        """Path, headers and form of each request."""
        self.token: dict[str, Any] = {}
        """Beside the usual, in the token response; None takes a member away."""
        self.claims: dict[str, Any] = {}
        """Likewise in the ID token."""
        self.key: Any = KEY
        self.headers: dict[str, Any] = {"kid": "k1"}
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens here while it makes up its mind about a token."""
        self.nonce = ""
        self.client_id = "us"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.base = f"{self.origin}/fhir"
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def tell(
        self, path: str, value: Any = None, status: int = 200, **headers: str
    ) -> None:
        """Have a path be answered so."""
        named = {name.replace("_", "-"): each for name, each in headers.items()}
        self.told[path] = (status, named, value)

    def configuration(self, **changes: Any) -> dict[str, Any]:
        """The usual smart-configuration with changes; None takes a member away."""
        usual = {
            "issuer": self.origin,
            "jwks_uri": f"{self.origin}/jwks",
            "authorization_endpoint": f"{self.origin}/auth",
            "token_endpoint": f"{self.origin}/token",
            "revocation_endpoint": f"{self.origin}/revoke",
            "capabilities": ["permission-v2"],
        }
        return _without_none({**usual, **changes})

    def paths(self) -> list[str]:
        """Return what it was asked for."""
        return [path for path, _, _ in self.asked]

    def id_token(self) -> str:
        """The ID token that goes with a token."""
        now = int(datetime.now(UTC).timestamp())
        claims = {
            **{"iss": self.origin, "aud": self.client_id, "sub": "u", "iat": now},
            **{"exp": now + 300, "nonce": self.nonce, "fhirUser": "Practitioner/7"},
        }
        told = _without_none({**claims, **self.claims})
        return jwt.encode(told, self.key, "RS256", headers=self.headers)

    def _usual(self, path: str) -> Reply:
        if path == "/fhir/.well-known/smart-configuration":
            return 200, {}, self.configuration()
        if path == "/jwks":
            jwk = dict(public_jwk("RS256", KEY.public_key()))
            return 200, {}, {"keys": [{**jwk, "kid": "k1", "use": "sig"}]}
        if path == "/token":
            self.meanwhile()
            return 200, {}, _without_none({**self._token(), **self.token})
        if path == "/revoke":
            return 200, {}, {}
        if path == "/fhir/Patient/p1":
            return 200, {}, PATIENT
        return 404, {}, {}

    def _token(self) -> dict[str, Any]:
        return {
            "access_token": "access-1",
            "token_type": "Bearer",
            "expires_in": 300,
            "refresh_token": "refresh-1",
            "scope": "launch openid fhirUser patient/Patient.rs",
            "patient": "p1",
            "id_token": self.id_token(),
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        ehr = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802
                self._answer({})

            def do_POST(self) -> None:  # noqa: N802
                length = int(self.headers.get("Content-Length", 0))
                form = parse_qs(self.rfile.read(length).decode())
                self._answer({name: each[0] for name, each in form.items()})

            def _answer(self, form: dict[str, str]) -> None:
                path = self.path.partition("?")[0]
                ehr.asked.append((path, dict(self.headers), form))
                status, headers, value = ehr.told.get(path) or ehr._usual(path)
                raw = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                for name, each in headers.items():
                    self.send_header(name, each)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler


def _without_none(value: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in value.items() if each is not None}


@contextmanager
def hostile_ehr() -> Iterator[HostileEhr]:
    """One that listens."""
    ehr = HostileEhr()
    try:
        yield ehr
    finally:
        ehr.close()
