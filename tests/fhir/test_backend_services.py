"""Tokens from an authorization server that looks at assertions as a real one does."""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from cds_service.fhir.backend_services import (
    BackendServices,
    InvalidSigningKey,
    Registration,
    TokenFailure,
    is_exposed,
    load_signing_key,
)
from cds_service.fhir.backend_services.configuration import (
    NotConfigured,
    reach_of,
    read_configuration,
)
from cds_service.http.addresses import Reach, parse_base

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP384R1())


def pem(key, password=None):
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden).decode()


class Authority:
    """Gives tokens for assertions that hold; *odd* is what it answers instead."""

    def __init__(self):
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.authority = self
        self.keys = {"rsa": RSA.public_key(), "ec": EC.public_key()}
        self.configuration = {"token_endpoint": self.endpoint}
        self.members = {"token_type": "bearer", "expires_in": 300}
        self.odd = []
        self.pause = 0.0
        self.clock = time.time
        self.spent = set()
        self.asked = []
        self.forms = []
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def base(self):
        return f"http://127.0.0.1:{self.http.server_port}/fhir"

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.http.server_port}/auth/token"

    def answer(self, form):
        """Status and body for what was posted."""
        try:
            self.verify(form)
        except (jwt.PyJWTError, KeyError, AssertionError) as error:
            return 400, {"error": "invalid_client", "error_description": repr(error)}
        token = f"token-{len(self.forms)}"
        return 200, {"access_token": token, "scope": form["scope"]} | self.members

    def verify(self, form):
        assert form["grant_type"] == "client_credentials"
        assert form["client_assertion_type"] == ASSERTION_TYPE
        assertion = form["client_assertion"]
        header = jwt.get_unverified_header(assertion)
        assert header["typ"] == "JWT" and header["alg"] in ("RS384", "ES384")
        claims = jwt.decode(
            assertion,
            self.keys[header["kid"]],
            algorithms=[header["alg"]],
            audience=self.endpoint,
            issuer="our-client",
            options={
                "require": ["iss", "sub", "aud", "exp", "jti"],
                "verify_exp": False,
            },
        )
        assert claims["sub"] == "our-client"
        assert self.clock() < claims["exp"] <= self.clock() + 300
        assert claims["jti"] not in self.spent, "replayed"
        self.spent.add(claims["jti"])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        authority = self.server.authority
        authority.asked.append(self.path)
        known = self.path == "/fhir/.well-known/smart-configuration"
        self.say(200 if known else 404, authority.configuration)

    def do_POST(self):
        authority = self.server.authority
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: each[0] for name, each in parse_qs(body).items()}
        with authority.lock:
            authority.busy += 1
            authority.most_busy = max(authority.busy, authority.most_busy)
        time.sleep(authority.pause)
        with authority.lock:
            authority.forms.append(form)
            authority.busy -= 1
            odd = authority.odd.pop(0) if authority.odd else None
        self.say(*(odd or authority.answer(form)))

    def say(self, status, body, headers=()):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, text in dict(headers).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def start():
    running = []

    def begin():
        running.append(Authority())
        return running[-1]

    yield begin
    for each in running:
        each.http.shutdown()
        each.http.server_close()
        each.thread.join()


@pytest.fixture
def authority(start):
    return start()


@pytest.fixture
def key_file(tmp_path):
    def write(text):
        file = tmp_path / "key"
        file.write_text(text)
        return file

    return write


class Clock:
    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return time.time() + self.ahead


@pytest.fixture
def clock(authority):
    """The clock of the client and the server."""
    authority.clock = Clock()
    return authority.clock


@pytest.fixture
def client(authority, key_file, pool, clock):
    def build(key=EC, kid="ec", **members):
        signing = load_signing_key(key_file(pem(key)), kid)
        base = parse_base(authority.base)
        registration = Registration(base, "our-client", signing, **members)
        return BackendServices(registration, pool, clock)

    return build


@pytest.mark.parametrize(("key", "kid"), [(RSA, "rsa"), (EC, "ec")])
def test_a_token_is_given_for_an_assertion_that_holds(authority, client, key, kid):
    services = client(key, kid)

    assert services.token() == "token-1"
    assert services.scope == "system/Patient.rs"
    assert authority.asked == ["/fhir/.well-known/smart-configuration"]


def test_a_token_is_kept_until_shortly_before_its_end(authority, client, clock):
    services = client()

    assert [services.token(), services.token()] == ["token-1"] * 2
    clock.ahead = 260
    assert services.token() == "token-1"
    clock.ahead = 271
    assert services.token() == "token-2"
    assert len(authority.spent) == 2
    assert len(authority.asked) == 1


def test_a_token_that_was_refused_is_renewed_once_for_all(authority, client):
    services = client()
    first = services.token()

    assert [services.renew(first), services.renew(first)] == ["token-2"] * 2
    assert len(authority.forms) == 2


def test_threads_wait_for_one_token(authority, client):
    authority.pause = 0.05
    services, tokens = client(), []
    threads = [
        threading.Thread(target=lambda: tokens.append(services.token()))
        for _ in range(16)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert tokens == ["token-1"] * 16
    assert (len(authority.forms), authority.most_busy) == (1, 1)


def test_the_server_looks_for_replays_here(authority, client, pool, key_file):
    registration = Registration(
        parse_base(authority.base),
        "our-client",
        load_signing_key(key_file(pem(EC)), "ec"),
    )
    services = BackendServices(registration, pool, new_id=lambda: "same")

    first = services.token()

    with pytest.raises(TokenFailure, match="invalid_client .*replayed"):
        services.renew(first)


@pytest.mark.parametrize(
    ("configuration", "scope"),
    [
        ({}, "system/Patient.rs"),
        ({"capabilities": ["permission-v1"]}, "system/Patient.read"),
        ({"capabilities": ["permission-v1", "permission-v2"]}, "system/Patient.rs"),
        ({"scopes_supported": ["openid", "system/*.read"]}, "system/Patient.read"),
        ({"scopes_supported": ["system/*.read", "system/*.rs"]}, "system/Patient.rs"),
        ({"scopes_supported": ["system/*.*"]}, "system/Patient.read"),
        ({"scopes_supported": "odd", "capabilities": [7]}, "system/Patient.rs"),
    ],
)
def test_scopes_are_those_that_the_server_understands(
    authority, client, configuration, scope
):
    authority.configuration |= configuration

    client().token()

    assert authority.forms[0]["scope"] == scope


def test_a_token_endpoint_that_is_given_is_not_looked_for(authority, client):
    assert client(token_url=authority.endpoint).token() == "token-1"
    assert authority.asked == []


def test_another_scope_is_asked_for_as_given(authority, client, pool):
    services = client()
    registration = services._registration.asking_for("system/*.rs")

    BackendServices(registration, pool).token()

    assert authority.forms[0]["scope"] == "system/*.rs"


# What goes wrong.


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((200, b"<html><body>Login"), "cannot be read: HTML"),
        ((200, b""), "cannot be read: empty body"),
        ((200, b"{"), "cannot be read: not JSON"),
        ((200, []), "cannot be read: not a JSON object"),
        ((200, {"token_type": "bearer"}), "without an access_token"),
        ((200, {"access_token": "a b", "token_type": "bearer"}), "an access_token"),
        ((200, {"access_token": "a\r\nX: y", "token_type": "bearer"}), "an access_"),
        ((200, {"access_token": "a", "token_type": "mac"}), "no token of type bearer"),
        ((200, {"access_token": "a"}), "no token of type bearer"),
        (
            (200, {"access_token": "a", "token_type": "bearer", "expires_in": 0}),
            "a token that is over",
        ),
        ((400, {"error": "invalid_client"}), "refuses: invalid_client; check the"),
        ((400, {"error": "invalid_scope"}), "refuses: invalid_scope; ask for a scope"),
        ((400, {"error": "<script>"}), "answers with HTTP 400"),
        ((401, b"no"), "answers with HTTP 401"),
        ((503, b"no"), "answers with HTTP 503"),
    ],
)
def test_what_goes_wrong_is_told_in_a_sentence(authority, client, answer, sentence):
    authority.odd = [answer]

    with pytest.raises(TokenFailure, match=re.escape(sentence)) as failure:
        client().token()
    assert failure.value.passing is (answer[0] == 503)


def test_no_sentence_holds_the_assertion(authority, client):
    authority.answer = lambda form: (
        400,
        {"error": "invalid_client", "error_description": form["client_assertion"]},
    )

    with pytest.raises(TokenFailure) as failure:
        client().token()

    said = f"{failure.value!r} {failure.value.__cause__!r}"
    assert "eyJ" not in said and "(…)" in said


def test_a_failure_is_not_kept(authority, client):
    authority.odd = [(503, b"", {"Retry-After": "7"})]
    services = client()

    with pytest.raises(TokenFailure) as failure:
        services.token()

    assert failure.value.again_after == 7
    assert services.token() == "token-2"


@pytest.mark.parametrize(
    ("expires", "ahead"), [(None, 31), ("90", 61), (True, 31), ("soon", 31)]
)
def test_a_lifetime_that_is_not_said_is_short(authority, client, clock, expires, ahead):
    authority.members["expires_in"] = expires
    services = client()

    assert [services.token(), services.token()] == ["token-1"] * 2
    clock.ahead = ahead
    assert services.token() == "token-2"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_assertion_follows_no_redirect(authority, start, client, status):
    other = start()
    where = {"Location": other.endpoint.replace("127.0.0.1", "localhost")}
    authority.odd = [(status, b"", where)]

    with pytest.raises(TokenFailure, match="leads elsewhere"):
        client().token()
    assert other.forms == [] and other.asked == []


def test_a_server_that_hangs_is_not_waited_for(authority, client):
    authority.pause = 2

    with pytest.raises(TokenFailure, match="timeout") as failure:
        client(seconds=0.2).token()
    assert failure.value.passing


@pytest.mark.parametrize(
    "endpoint",
    [
        None,
        7,
        "",
        "auth/token",
        "ftp://127.0.0.1/token",
        "http://auth.example.org/token",
        "https://user@auth.example.org/token",
        "https://auth.example.org/a/../token",
    ],
)
def test_an_assertion_goes_to_no_odd_endpoint(authority, client, endpoint):
    authority.configuration = {"token_endpoint": endpoint}

    with pytest.raises(TokenFailure):
        client().token()
    assert authority.forms == []


@pytest.mark.parametrize(
    ("endpoint", "base", "given", "reach"),
    [
        ("https://auth.example.org/t?p=1", "https://ehr.example.org/fhir", False, 1),
        ("https://ehr.example.org/t", "https://ehr.example.org/fhir", False, 2),
        ("https://10.0.0.7/t", "https://ehr.example.org/fhir", False, 1),
        ("https://localhost/t", "https://ehr.example.org/fhir", True, 2),
        ("http://127.0.0.1:9/t", "http://127.0.0.1/fhir", False, 2),
    ],
)
def test_an_endpoint_lies_no_further_inside_than_it_may(endpoint, base, given, reach):
    assert reach_of(endpoint, parse_base(base), given=given) is Reach(reach)


def test_a_server_elsewhere_names_no_endpoint_on_this_machine():
    with pytest.raises(NotConfigured, match="on this machine"):
        reach_of("https://localhost/t", parse_base("https://ehr.example"), given=False)


def test_a_configuration_that_is_no_object_names_no_endpoint():
    with pytest.raises(NotConfigured, match="names no token_endpoint"):
        read_configuration(["x"])


def test_a_server_without_a_configuration_is_told(authority, key_file, pool):
    signing = load_signing_key(key_file(pem(EC)), "ec")
    base = parse_base(f"{authority.base}/other")

    with pytest.raises(TokenFailure, match="SMART configuration answers with HTTP 404"):
        BackendServices(Registration(base, "our-client", signing), pool).token()


# Keys.


def jwk(key, **members):
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return algorithm.to_jwk(key, as_dict=True) | members


@pytest.mark.parametrize(("key", "name"), [(RSA, "RS384"), (EC, "ES384")])
def test_a_key_is_read_from_pem_and_from_jwk(key_file, key, name):
    from_pem = load_signing_key(key_file(pem(key)), "k1")
    from_jwk = load_signing_key(key_file(json.dumps(jwk(key, kid="k2"))))

    assert (from_pem.algorithm, from_pem.kid) == (name, "k1")
    assert (from_jwk.algorithm, from_jwk.kid) == (name, "k2")
    assert "key=" not in repr(from_jwk)


def test_a_key_of_a_set_is_chosen_by_its_kid(key_file):
    keys = {"keys": [jwk(RSA, kid="a"), jwk(EC, kid="b"), {"kty": "oct"}]}
    file = key_file(json.dumps(keys))

    assert load_signing_key(file, "b").algorithm == "ES384"
    with pytest.raises(InvalidSigningKey, match="several private keys; say which"):
        load_signing_key(file)
    with pytest.raises(InvalidSigningKey, match="no private key with kid c"):
        load_signing_key(file, "c")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "neither as PEM nor as JWK"),
        ("[]", "no private key"),
        ("{}", "no private key"),
        (json.dumps({"kty": "EC", "d": "x"}), "the JWK cannot be read"),
        ("-----BEGIN PRIVATE KEY-----\nabc", "holds no private key as PEM"),
        (pem(EC, b"secret"), "the key is encrypted"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "the elliptic curve P-384"),
        (pem(rsa.generate_private_key(65537, 1024)), "shorter than 2048 bits"),
    ],
)
def test_what_is_no_key_to_sign_with_is_told(key_file, text, sentence):
    with pytest.raises(InvalidSigningKey, match=re.escape(sentence)):
        load_signing_key(key_file(text), "k")


def test_a_key_without_a_name_cannot_be_found_by_the_server(key_file):
    with pytest.raises(InvalidSigningKey, match="by which kid"):
        load_signing_key(key_file(pem(EC)))


@pytest.mark.parametrize(("mode", "exposed"), [(0o600, False), (0o640, True)])
def test_a_file_that_others_may_read_is_exposed(key_file, mode, exposed):
    file = key_file("x")
    file.chmod(mode)

    assert is_exposed(file) is exposed
