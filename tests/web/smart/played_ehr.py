"""An EHR that opens pages here: it signs users in, and does wrong where it is told to.

It takes a code once and by the right verifier, changes the refresh token each time, and
ends all tokens of a family when an old one comes again.
"""

import base64
import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

CLIENT_ID = "our-id"
Claims = dict[str, Any]


@dataclass
class PlayedEhr:
    """What it says, whom it has open, and what it was asked."""

    now: datetime
    base: str = ""
    """Of the server; its FHIR base is below."""
    patient: str = "jane"
    reads_patient: str | None = None
    """The id that reading the Patient gives; None for the one that was asked for."""
    user: str | None = "Practitioner/7"
    app_context: str | None = None
    practitioners: dict[str, str] = field(default_factory=dict)
    """By the id of a role, to whom it belongs."""
    issuer: str | None = None
    """That comes back in the address; None for the right one."""
    token_moved_to: str = ""
    """Where its token endpoint leads elsewhere."""
    sign: Callable[["PlayedEhr", Claims], str] | None = None
    """Makes another ID token than the right one."""
    lifetime: int = 3600
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    alive: set[str] = field(default_factory=set)
    """Tokens that are good."""
    family_ended: bool = False
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def fhir(self) -> str:
        """Its FHIR base, which is the ``iss`` of a launch."""
        return f"{self.base}/fhir"

    def configuration(self) -> dict[str, Any]:
        return {
            "issuer": self.base,
            "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint": f"{self.base}/token",
            "revocation_endpoint": f"{self.base}/revoke",
            "jwks_uri": f"{self.base}/jwks",
            "capabilities": ["launch-ehr", "launch-standalone", "permission-v2"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent back to, once its user has signed in."""
        code = uuid4().hex
        self.codes[code] = query
        told = {"code": code, "state": query["state"], "iss": self.issuer or self.base}
        return f"{query['redirect_uri']}?{urlencode(told)}"

    def give(self, form: dict[str, str]) -> tuple[int, Any]:
        """What the token endpoint answers."""
        if form.get("grant_type") == "refresh_token":
            if form.get("refresh_token") not in self.alive:
                self.alive.clear()
                self.family_ended = True
                return 400, {"error": "invalid_grant"}
            self.alive.discard(form["refresh_token"])
            return 200, self._tokens()
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or challenge != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        told: dict[str, Any] = {
            **self._tokens(),
            "scope": asked["scope"],
            "patient": self.patient,
            "need_patient_banner": True,
        }
        if self.app_context is not None:
            told["appContext"] = self.app_context
        if self.user is not None:
            told["id_token"] = self.id_token(asked["nonce"])
        return 200, told

    def id_token(self, nonce: str) -> str:
        now = int(self.now.timestamp())
        claims = {
            **{"iss": self.base, "sub": "u7", "aud": CLIENT_ID, "nonce": nonce},
            **{"iat": now, "exp": now + 300, "fhirUser": f"{self.fhir}/{self.user}"},
        }
        if self.sign is not None:
            return self.sign(self, claims)
        return jwt.encode(claims, self.key, "ES256", headers={"kid": "k1"})

    def jwks(self) -> dict[str, Any]:
        public = json.loads(ECAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": "k1", "alg": "ES256", "use": "sig"}]}

    def _tokens(self) -> dict[str, Any]:
        access, refresh = f"access-{uuid4().hex}", f"refresh-{uuid4().hex}"
        self.alive |= {access, refresh}
        times = {"expires_in": self.lifetime, "token_type": "Bearer"}
        return {"access_token": access, "refresh_token": refresh, **times}

    def answer(
        self, method: str, path: str, told: dict[str, str], token: str
    ) -> tuple[int, Any]:
        """Status and body, or where it leads to."""
        match (method, path):
            case ("GET", "/fhir/.well-known/smart-configuration"):
                return 200, self.configuration()
            case ("GET", "/authorize"):
                return 303, self.authorize(told)
            case ("POST", "/token") if self.token_moved_to:
                return 307, self.token_moved_to
            case ("POST", "/token"):
                return self.give(told)
            case ("POST", "/revoke"):
                self.alive.discard(told.get("token", ""))
                return 200, {}
            case ("GET", "/jwks"):
                return 200, self.jwks()
            case ("GET", _) if path.startswith("/fhir/Patient/"):
                if token not in self.alive:
                    return 401, {}
                return 200, self._patient(path.rpartition("/")[2])
            case ("GET", _) if path.startswith("/fhir/PractitionerRole/"):
                return self._role(path.rpartition("/")[2], token)
        return 404, {}

    def _role(self, id: str, token: str) -> tuple[int, dict[str, Any]]:
        if token not in self.alive or id not in self.practitioners:
            return (404 if token in self.alive else 401), {}
        practitioner = {"reference": self.practitioners[id]}
        kind = "PractitionerRole"
        return 200, {"resourceType": kind, "id": id, "practitioner": practitioner}

    def _patient(self, id: str) -> dict[str, Any]:
        return {
            "resourceType": "Patient",
            "id": self.reads_patient or id,
            "name": [{"given": [id.title()], "family": "Example"}],
            "birthDate": "1958-03-14",
            "gender": "female",
        }


@contextmanager
def playing(
    ehr: PlayedEhr, certificate: tuple[str, str] | None = None
) -> Iterator[PlayedEhr]:
    """Have it listen on a port of its own, over TLS with a certificate and its key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802  as http.server calls it
            self._answer("GET")

        def do_POST(self) -> None:  # noqa: N802
            self._answer("POST")

        def _answer(self, method: str) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            sent = self.rfile.read(length).decode() or parts.query
            ehr.asked.append((method, parts.path))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            told = dict(parse_qsl(sent))
            status, body = ehr.answer(method, parts.path, told, token)
            led = isinstance(body, str)
            data = b"" if led else json.dumps(body).encode()
            self.send_response(status)
            if led:
                self.send_header("Location", body)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        ehr.base = f"http://127.0.0.1:{server.server_port}"
        if certificate is not None:
            ehr.base = f"https://localhost:{server.server_port}"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield ehr
        finally:
            server.shutdown()
            thread.join()
