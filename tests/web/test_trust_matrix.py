"""Attacks and variants of a token, each at discovery, a service and its feedback.

A refusal is always the same bytes; which check failed is in the audit trail alone.
"""

import base64
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.config import Profile, load_config
from cds_service.decision import World
from cds_service.rulebook.load import check_folder
from cds_service.starting import build_world

RULES = Path(__file__).parents[2] / "rules"
PUBLIC = "https://cds.example.org/base"
ISSUER = "https://ehr.example.org"
REMOTE = f"{ISSUER}/remote"
TENANTED = f"{ISSUER}/tenanted"
SERVICE = "/cds-services/wearable-review"
ENDPOINTS = {
    "discovery": "/cds-services",
    "service": SERVICE,
    "feedback": f"{SERVICE}/feedback",
}
REFUSED = (
    b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"login",'
    b'"details":{"text":"Authentication is required."}}]}'
)
DAY = 86_400

ES = ec.generate_private_key(ec.SECP384R1())
RS = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
FOREIGN = ec.generate_private_key(ec.SECP384R1())
FOREIGN_RS = rsa.generate_private_key(65537, 2048)


def public_jwk(key: Any, kid: str) -> dict[str, Any]:
    public = key.public_key()
    by = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    return {**by.to_jwk(public, as_dict=True), "kid": kid}  # type: ignore[attr-defined]


class Site(BaseHTTPRequestHandler):
    """A key server."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        key = FOREIGN if self.path == "/foreign" else ES
        body = json.dumps({"keys": [public_jwk(key, "es")]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@dataclass
class Setting:
    """The server, and a clock that never shows the same minute twice."""

    http: FlaskClient
    world: World
    site: HTTPServer
    now: list[datetime] = field(default_factory=list)

    @property
    def at(self) -> int:
        return int(self.now[0].timestamp())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.site.server_port}"

    @property
    def asked(self) -> list[str]:
        found: list[str] = self.site.asked  # type: ignore[attr-defined]
        return found

    def send(self, path: str, authorization: str | None) -> TestResponse:
        headers = {} if authorization is None else {"Authorization": authorization}
        method = "GET" if path == "/cds-services" else "POST"
        return self.http.open(path, method=method, json={}, headers=headers)

    def reason(self) -> str:
        """Why the last message was refused."""
        *_, last = self.world.store.audit_entries()
        told: str = json.loads(last.detail)["reason"]
        return told


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("trust")
    site = HTTPServer(("127.0.0.1", 0), Site)
    site.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=site.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    keys = [public_jwk(ES, "es"), public_jwk(RS, "rs"), public_jwk(P256, "p256")]
    here = f"http://127.0.0.1:{site.server_port}/jwks"
    clients = [
        {"id": "ehr", "iss": ISSUER, "keys": keys},
        {"id": "n", "iss": TENANTED, "tenants": ["n"], "keys": keys},
        {"id": "remote", "iss": REMOTE, "jku": here},
    ]
    (folder / "clients.yaml").write_text(json.dumps({"clients": clients}))
    environ = {
        "CDS_PROFILE": "development",
        "CDS_PUBLIC_URL": PUBLIC,
        "CDS_DISCOVERY": "authenticated",
        "CDS_CLIENTS_FILE": str(folder / "clients.yaml"),
        "CDS_DATABASE_URL": f"sqlite:///{folder / 'store.sqlite'}",
    }
    now = [datetime(2026, 11, 22, 14, 0, tzinfo=UTC)]
    world = build_world(load_config(environ), check_folder(RULES).rulebook)
    # Development for a key server on loopback; the answers are those of production.
    config = world.config.model_copy(update={"profile": Profile.PRODUCTION})
    world = replace(world, clock=lambda: now[0], config=config)
    world.store.migrate()
    yield Setting(create_app(world=world).test_client(), world, site, now)
    world.store.close()
    world.fhir.close()
    site.shutdown()
    thread.join()
    site.server_close()


@pytest.fixture(autouse=True)
def later(setting: Setting) -> None:
    """Each refusal is the first of its minute, so it has a row of its own."""
    setting.now[0] += timedelta(minutes=2)


@dataclass(frozen=True)
class Attempt:
    """What makes a good token into another one."""

    claims: dict[str, Any] = field(default_factory=dict)
    """A number for iat, exp and nbf counts from now."""
    header: dict[str, Any] = field(default_factory=dict)
    key: Any = ES
    alg: str = "ES384"
    without: tuple[str, ...] = ()
    remake: Callable[[str], str] | None = None

    def build(self, setting: Setting, path: str) -> str:
        told = {"iss": ISSUER, "aud": PUBLIC + path, "iat": 0, "exp": 300}
        told = {**told, "jti": str(uuid4()), **self.claims}
        for name in ("iat", "exp", "nbf"):
            if type(told.get(name)) in (int, float):
                told[name] += setting.at
        if isinstance(told["aud"], str):
            told["aud"] = told["aud"].replace("{PATH}", PUBLIC + path)
        header = {"kid": "es", **self.header}
        if "jku" in header:
            header["jku"] = header["jku"].replace("{SITE}", setting.url)
        for name in self.without:
            told.pop(name, None)
        header = {name: each for name, each in header.items() if each != "ABSENT"}
        payload = json.dumps(told).encode()
        sent = jwt.PyJWS().encode(payload, self.key, self.alg, headers=header)
        return self.remake(sent) if self.remake else sent


def part(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def unpart(text: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=="))
    return read


def unsigned(alg: Any) -> Callable[[str], str]:
    def remake(sent: str) -> str:
        head, body, _ = sent.split(".")
        return f"{part({**unpart(head), 'alg': alg})}.{body}."

    return remake


def keyed_with_the_public_key(alg: str) -> Callable[[str], str]:
    def remake(sent: str) -> str:
        head, body, _ = sent.split(".")
        pem = RS.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        told = f"{part({**unpart(head), 'alg': alg, 'kid': 'rs'})}.{body}"
        digest = hmac.digest(pem, told.encode(), f"sha{alg[2:]}")
        return f"{told}.{part(digest)}"

    return remake


def with_claims(**changes: Any) -> Callable[[str], str]:
    def remake(sent: str) -> str:
        head, body, signature = sent.split(".")
        return f"{head}.{part({**unpart(body), **changes})}.{signature}"

    return remake


def resigned(text: Callable[[str, str], tuple[str, str]]) -> Callable[[str], str]:
    """Header and claims changed as text, and signed by the client itself."""

    def remake(sent: str) -> str:
        head, body, _ = sent.split(".")
        told = ".".join(text(head, body)).encode()
        signer = jwt.PyJWS().get_algorithm_by_name("ES384")
        return f"{told.decode()}.{part(signer.sign(told, ES))}"

    return remake


def twice(head: str, body: str) -> tuple[str, str]:
    claims = json.dumps(unpart(body))
    return head, part(f'{{"iss": "https://evil.example", {claims[1:]}'.encode())


def widened(head: str, body: str) -> tuple[str, str]:
    return head, part(json.dumps(unpart(body)).encode("utf-16"))


def untyped(head: str, body: str) -> tuple[str, str]:
    header = unpart(head)
    del header["typ"]
    return part(header), body


def strange(head: str, body: str) -> tuple[str, str]:
    return part({**unpart(head), "crit": ["exp"], "exp": 1}), body


UNREADABLE = "the token cannot be read"
FORGED = "the signature is wrong"
NEVER = "the algorithm is never allowed"
JTI = "jti is no text of up to 256 characters"
AUD = "aud is not the URL that was called"
ISS = "unknown issuer or tenant"
EVIL = "https://evil.example/jwks"
EVIL_KEYS = {"jwk": public_jwk(FOREIGN, "es"), "x5u": EVIL, "x5c": ["MIIB"]}

ATTACKS: dict[str, tuple[Attempt, str]] = {
    "alg none": (Attempt(remake=unsigned("none")), NEVER),
    "alg None": (Attempt(remake=unsigned("None")), NEVER),
    "alg nOnE": (Attempt(remake=unsigned("nOnE")), NEVER),
    "alg empty": (Attempt(remake=unsigned("")), NEVER),
    "alg null": (Attempt(remake=unsigned(None)), NEVER),
    "alg a list": (Attempt(remake=unsigned(["ES384"])), NEVER),
    "alg ES256K": (Attempt(remake=unsigned("ES256K")), NEVER),
    "HS256 of the public key": (
        Attempt(remake=keyed_with_the_public_key("HS256")),
        NEVER,
    ),
    "HS384 of the public key": (
        Attempt(remake=keyed_with_the_public_key("HS384")),
        NEVER,
    ),
    "HS512 of the public key": (
        Attempt(remake=keyed_with_the_public_key("HS512")),
        NEVER,
    ),
    "signature cut off": (Attempt(remake=unsigned("ES384")), FORGED),
    "signature of zeros": (
        Attempt(remake=lambda sent: f"{sent.rpartition('.')[0]}.{part(bytes(96))}"),
        FORGED,
    ),
    "signed by another key": (Attempt(key=FOREIGN), FORGED),
    "signed by another RSA key": (
        Attempt(key=FOREIGN_RS, alg="RS384", header={"kid": "rs"}),
        FORGED,
    ),
    "claims changed": (Attempt(remake=with_claims(jti="other")), FORGED),
    "audience changed": (Attempt(remake=with_claims(aud=PUBLIC)), FORGED),
    "algorithm of another key": (
        Attempt(header={"kid": "rs"}),
        "the algorithm does not fit the key",
    ),
    "curve that does not fit": (
        Attempt(key=P256, alg="ES256", header={"kid": "es"}),
        "the algorithm does not fit the key",
    ),
    "algorithm beyond the profile": (
        Attempt(key=P256, alg="ES256", header={"kid": "p256"}),
        "the algorithm is not allowed to this client",
    ),
    "PS384 beyond the profile": (
        Attempt(key=RS, alg="PS384", header={"kid": "rs"}),
        "the algorithm is not allowed to this client",
    ),
    "typ of an access token": (Attempt(header={"typ": "at+jwt"}), "typ is not JWT"),
    "no typ": (Attempt(remake=resigned(untyped)), "typ is not JWT"),
    "kid unknown": (Attempt(header={"kid": "nobody"}), "unknown kid"),
    "kid empty": (Attempt(header={"kid": ""}), "no kid"),
    "kid a path": (Attempt(header={"kid": "../../dev/null"}), "unknown kid"),
    "kid an injection": (Attempt(header={"kid": "' OR 1=1 --"}), "unknown kid"),
    "crit": (Attempt(remake=resigned(strange)), "the header asks for an extension"),
    "own keys brought along": (
        Attempt(key=FOREIGN, header={**EVIL_KEYS, "jku": EVIL}),
        FORGED,
    ),
    "foreign jku": (
        Attempt(claims={"iss": REMOTE}, key=FOREIGN, header={"jku": "{SITE}/foreign"}),
        "jku is not the client's",
    ),
    "jku beside the client's": (
        Attempt(claims={"iss": REMOTE}, header={"jku": "{SITE}/jwks?x=1"}),
        "jku is not the client's",
    ),
    "kid unknown at the jku": (
        Attempt(claims={"iss": REMOTE}, header={"kid": "nobody"}),
        "unknown kid",
    ),
    "iss unknown": (Attempt(claims={"iss": "https://evil.example"}), ISS),
    "iss with a slash": (Attempt(claims={"iss": ISSUER + "/"}), ISS),
    "iss a list": (Attempt(claims={"iss": [ISSUER]}), ISS),
    "iss absent": (Attempt(without=("iss",)), ISS),
    "tenant absent": (Attempt(claims={"iss": TENANTED}), ISS),
    "tenant unlisted": (Attempt(claims={"iss": TENANTED, "tenant": "s"}), ISS),
    "tenant a list": (Attempt(claims={"iss": TENANTED, "tenant": ["n"]}), ISS),
    "aud absent": (Attempt(without=("aud",)), "no aud"),
    "aud the base": (Attempt(claims={"aud": PUBLIC}), AUD),
    "aud another host": (
        Attempt(claims={"aud": "https://other.example/cds-services"}),
        AUD,
    ),
    "aud a sibling service": (Attempt(claims={"aud": "{PATH}-2"}), AUD),
    "aud with a slash": (Attempt(claims={"aud": "{PATH}/"}), AUD),
    "aud with a query": (Attempt(claims={"aud": "{PATH}?a=b"}), AUD),
    "aud an empty list": (Attempt(claims={"aud": []}), AUD),
    "aud an object": (Attempt(claims={"aud": {PUBLIC: 1}}), "no aud"),
    "exp past": (Attempt(claims={"iat": -400, "exp": -61}), "the token has expired"),
    "exp absent": (Attempt(without=("exp",)), "exp is no number"),
    "exp text": (Attempt(claims={"exp": "300"}), "exp is no number"),
    "exp beyond time": (Attempt(claims={"exp": 10**30}), "exp is out of range"),
    "ten years": (Attempt(claims={"exp": 3650 * DAY}), "the token lives too long"),
    "iat absent": (Attempt(without=("iat",)), "iat is no number"),
    "iat future": (Attempt(claims={"iat": 70}), "the token was issued in the future"),
    "iat too old": (
        Attempt(claims={"iat": -2 * 3600}),
        "the token lives too long",
    ),
    "iat after exp": (
        Attempt(claims={"iat": 30, "exp": 20}),
        "the token lives too long",
    ),
    "nbf future": (Attempt(claims={"nbf": 70}), "the token is not valid yet"),
    "jti absent": (Attempt(without=("jti",)), JTI),
    "jti empty": (Attempt(claims={"jti": ""}), JTI),
    "jti a number": (Attempt(claims={"jti": 7}), JTI),
    "jti endless": (Attempt(claims={"jti": "x" * 257}), JTI),
    "a claim twice": (Attempt(remake=resigned(twice)), UNREADABLE),
    "claims in UTF-16": (Attempt(remake=resigned(widened)), UNREADABLE),
    "half a character in a jti": (
        Attempt(claims={"jti": "\ud83d"}),
        "jti holds half a character",
    ),
    "claims a list": (
        Attempt(remake=resigned(lambda head, _: (head, part([])))),
        "the claims are no object",
    ),
    "padded": (Attempt(remake=lambda sent: sent + "="), UNREADABLE),
    "four parts": (Attempt(remake=lambda sent: sent + ".e30"), UNREADABLE),
    "encrypted": (Attempt(remake=lambda sent: sent + ".e30.e30"), UNREADABLE),
    "nested without end": (
        Attempt(remake=lambda _: f"{part(b'[' * 9000)}.e30.e30"),
        UNREADABLE,
    ),
    "endless": (Attempt(remake=lambda sent: sent * 100), "the token is too long"),
}

VARIANTS: dict[str, Attempt] = {
    "ES384": Attempt(),
    "RS384": Attempt(key=RS, alg="RS384", header={"kid": "rs"}),
    "aud in a list": Attempt(remake=None, claims={"aud": "{PATH}"}),
    "a clock 59 s ahead": Attempt(claims={"iat": 59}),
    "a clock 59 s behind": Attempt(claims={"iat": -300, "exp": -59}),
    "an hour": Attempt(claims={"exp": 3600}),
    "a listed tenant": Attempt(claims={"iss": TENANTED, "tenant": "n"}),
    "keys by URL": Attempt(claims={"iss": REMOTE}),
    "keys by URL, named": Attempt(
        claims={"iss": REMOTE}, header={"jku": "{SITE}/jwks"}
    ),
    "keys of others beside its own": Attempt(header={**EVIL_KEYS, "jku": EVIL}),
    "a jti that is no UUID": Attempt(claims={"jti": "f" * 64}),
    "unknown claims": Attempt(claims={"sub": 7, "x": {"a": [1]}, "jti": "é" * 200}),
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("name", ATTACKS)
def test_s_25_an_attack_is_refused_in_the_same_bytes_everywhere(
    setting: Setting, name: str, endpoint: str
) -> None:
    attempt, reason = ATTACKS[name]
    path = ENDPOINTS[endpoint]

    response = setting.send(path, f"Bearer {attempt.build(setting, path)}")

    assert (response.status_code, response.data) == (401, REFUSED)
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert setting.reason() == reason
    assert "/foreign" not in setting.asked


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    "sent", [None, "", "Bearer", "Basic dXNlcjpwYXNz", "Bearer a.b.c", "Bearer ..."]
)
def test_s_3_what_is_no_token_is_refused_in_the_same_bytes(
    setting: Setting, sent: str | None, endpoint: str
) -> None:
    response = setting.send(ENDPOINTS[endpoint], sent)

    assert (response.status_code, response.data) == (401, REFUSED)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_s_15_a_token_that_comes_again_is_refused_in_the_same_bytes(
    setting: Setting, endpoint: str
) -> None:
    path = ENDPOINTS[endpoint]
    sent = f"Bearer {Attempt().build(setting, path)}"
    assert setting.send(path, sent).status_code != 401

    again = setting.send(path, sent)

    assert (again.status_code, again.data) == (401, REFUSED)
    assert setting.reason() == "the token was used before"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_s_9_a_token_for_one_endpoint_opens_no_other(
    setting: Setting, endpoint: str
) -> None:
    for other in set(ENDPOINTS) - {endpoint}:
        sent = f"Bearer {Attempt().build(setting, ENDPOINTS[other])}"
        response = setting.send(ENDPOINTS[endpoint], sent)
        assert (response.status_code, response.data) == (401, REFUSED)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("name", VARIANTS)
def test_s_25_a_token_that_is_good_is_taken_everywhere(
    setting: Setting, name: str, endpoint: str
) -> None:
    """Beyond the token an empty body is refused: 200 at discovery only."""
    path = ENDPOINTS[endpoint]
    attempt = VARIANTS[name]
    if name.startswith("aud") or "jti" in attempt.claims:
        fresh = attempt.claims.get("jti", uuid4().hex)[:200] + endpoint
        listed = [PUBLIC + path, "https://other.example"]
        attempt = replace(
            attempt, claims={**attempt.claims, "aud": listed, "jti": fresh}
        )

    response = setting.send(path, f"Bearer {attempt.build(setting, path)}")

    assert response.status_code == (200 if endpoint == "discovery" else 400)
