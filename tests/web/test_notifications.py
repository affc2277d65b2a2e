"""Notifications of vendors' clouds, over HTTP, signed with real keys."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from werkzeug.serving import make_server

from cds_service.app import create_app
from cds_service.config import Clients, Cloud
from cds_service.config.clouds import Notifications
from cds_service.decision import World
from cds_service.store.grants.records import (
    CloudGrant,
    GrantState,
    GrantWearer,
    SealedTokens,
    WantedInterval,
)
from cds_service.store.records import AuditEvent

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
EVENT = AuditEvent(NOW, "link", "north", "operator")
OLD = "an-older-secret-of-the-vendor-0123"
SECRET = "xJ3vQk8sT0m2Lr9bYw5dHc7uNe1gAfPz"
KEY = base64.b64encode(bytes(range(32))).decode()
CLIENT_SECRET = "what-oura-and-we-know"
AT = "/wearables/v1/notifications"


class KeyServer:
    """Publishes a keyset as Tink writes it; its keys change, and it can be down."""

    def __init__(self) -> None:
        self.keys: dict[int, ec.EllipticCurvePrivateKey] = {}
        self.down = False
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                body = outer.document()
                self.send_response(503 if outer.down else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/keyset.json"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    def document(self) -> bytes:
        return json.dumps(
            {"primaryKeyId": 1, "key": [_entry(*each) for each in self.keys.items()]}
        ).encode()

    def sign(self, raw: bytes, number: int = 1) -> str:
        signed = self.keys[number].sign(raw, ec.ECDSA(SHA256()))
        return base64.b64encode(b"\1" + number.to_bytes(4, "big") + signed).decode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _entry(number: int, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    point = key.public_key().public_numbers()
    told = b"\x12\x06\x08\x03\x10\x02\x18\x02"
    told += b"\x1a\x20" + point.x.to_bytes(32, "big")
    told += b"\x22\x20" + point.y.to_bytes(32, "big")
    return {
        "keyData": {
            "typeUrl": "type.googleapis.com/google.crypto.tink.EcdsaPublicKey",
            "value": base64.b64encode(told).decode(),
        },
        "status": "ENABLED",
        "keyId": number,
        "outputPrefixType": "TINK",
    }


@dataclass(frozen=True)
class Server:
    """A server over real HTTP, with a cloud of each vendor that notifies."""

    world: World
    port: int
    keys: KeyServer
    moment: list[datetime] = field(default_factory=lambda: [NOW])

    def ask(
        self, method: str, path: str, body: Any = b"", **headers: str
    ) -> tuple[int, bytes]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, AT + path, raw, told)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def google(self, body: Any, **headers: Any) -> int:
        """Post what Google posts; a header that is None is left out."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        told = {
            "Content_Type": "application/json",
            "Authorization": SECRET,
            "GOOGLE_HEALTH_API_SIGNATURE": self.keys.sign(raw),
            **headers,
        }
        sent = {name: value for name, value in told.items() if value is not None}
        return self.ask("POST", "/google", raw, **sent)[0]

    def wanted(
        self, user: str = "jane", source: str = "google"
    ) -> list[WantedInterval]:
        grant = self.world.store.grants.find("north", source, user)
        assert grant is not None
        return list(self.world.store.pulls.wanted(grant))

    def trail(self) -> str:
        entries = self.world.store.audit_entries()
        return "\n".join(f"{each.kind} {each.detail}" for each in entries)


def cloud(id: str, vendor: str, url: str) -> Cloud:
    told = Notifications((OLD, SECRET), url)
    made = Cloud(id, "north", "-", vendor, "c1", CLIENT_SECRET, notifications=told)
    return replace(made, simulated=url.rpartition("/")[0])


def grant(source: str, user: str, vendor_user: str) -> CloudGrant:
    wearer = GrantWearer("north", source, user)
    return CloudGrant(wearer, (), SealedTokens("a"), NOW, vendor_user)


@pytest.fixture
def server(build: Callable[..., World]) -> Iterator[Server]:
    keys = KeyServer()
    keys.keys[1] = ec.derive_private_key(7, ec.SECP256R1())
    moment = [NOW]
    clouds = (
        cloud("google", "google-health", keys.url),
        cloud("withings", "withings", keys.url),
        cloud("oura", "oura", keys.url),
        replace(cloud("quiet", "oura", keys.url), notifications=None),
    )
    world = replace(
        build(reload="off", token_key=KEY),
        clients=Clients(clouds=clouds),
        clock=lambda: moment[0],
    )
    world.store.grants.keep(grant("google", "jane", "h-7"), EVENT)
    world.store.grants.keep(grant("withings", "jane", "363"), EVENT)
    world.store.grants.keep(grant("oura", "jane", "o-7"), EVENT)
    http = make_server("127.0.0.1", 0, create_app(world=world), threaded=True)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield Server(world, http.server_port, keys, moment)
    http.shutdown()
    thread.join()
    http.server_close()
    keys.close()


def told(user: str = "h-7", **more: Any) -> dict[str, Any]:
    interval = {"startTime": "2026-11-22T12:50:00Z", "endTime": "2026-11-22T13:06:00Z"}
    data = {
        "version": "1",
        "healthUserId": user,
        "operation": "UPSERT",
        "dataType": "heart-rate",
        "intervals": [{"physicalTimeInterval": interval}],
    }
    return {"data": {**data, **more}}


# Google Health


def test_google_sees_that_the_endpoint_looks_at_its_secret(server: Server) -> None:
    body = {"type": "verification"}

    assert server.google(body, GOOGLE_HEALTH_API_SIGNATURE=None) == 201
    assert server.google(body, Authorization=None) == 401
    assert server.google(body, Authorization="somebody-elses") == 401


@pytest.mark.parametrize("secret", [OLD, SECRET, f"Bearer {SECRET}"])
def test_while_a_secret_is_changed_both_are_good(server: Server, secret: str) -> None:
    assert server.google([told()], Authorization=secret) == 204


def test_what_is_named_is_wanted_when_it_is_answered_with_204(server: Server) -> None:
    assert server.google([told()]) == 204

    (each,) = server.wanted()
    assert (each.kind, f"{each.start:%H:%M}", f"{each.end:%H:%M}") == (
        "heart-rate",
        "12:50",
        "13:06",
    )


@pytest.mark.parametrize("operation", ["UPDATE", "DELETE"])
def test_what_was_deleted_is_asked_for_again(server: Server, operation: str) -> None:
    assert server.google(told(operation=operation)) == 204

    assert len(server.wanted()) == 1


def test_what_is_told_again_and_again_is_fetched_once(server: Server) -> None:
    for _ in range(3):
        assert server.google([told(), told()]) == 204

    assert len(server.wanted()) == 1


@pytest.mark.parametrize(
    "header", ["GOOGLE_HEALTH_API_SIGNATURE", "X_HEALTHAPI_SIGNATURE"]
)
def test_the_signature_stands_in_either_header(server: Server, header: str) -> None:
    raw = json.dumps([told()]).encode()
    signed = {"GOOGLE_HEALTH_API_SIGNATURE": None, header: server.keys.sign(raw)}

    assert server.google(raw, **signed) == 204


@pytest.mark.parametrize("signature", [None, "", "AQAAAAE=", "AQAAAAEx"])
def test_a_secret_without_a_signature_is_not_enough(
    server: Server, signature: str | None
) -> None:
    answer = server.google([told()], GOOGLE_HEALTH_API_SIGNATURE=signature)

    assert answer == 401
    assert server.wanted() == []


def test_a_signature_without_the_secret_is_not_enough(server: Server) -> None:
    assert server.google([told()], Authorization=None) == 401
    assert server.wanted() == []


def test_a_body_that_was_changed_on_the_way_is_not_taken(server: Server) -> None:
    signed = server.keys.sign(json.dumps([told()]).encode())

    answer = server.google([told("h-8")], GOOGLE_HEALTH_API_SIGNATURE=signed)

    assert answer == 401
    assert "the signature is not the vendor's" in server.trail()


def test_a_key_that_was_not_published_signs_nothing(server: Server) -> None:
    raw = json.dumps([told()]).encode()
    mine = ec.generate_private_key(ec.SECP256R1()).sign(raw, ec.ECDSA(SHA256()))
    forged = base64.b64encode(b"\1\0\0\0\1" + mine).decode()

    assert server.google(raw, GOOGLE_HEALTH_API_SIGNATURE=forged) == 401


def test_keys_are_fetched_once_for_many_notifications(server: Server) -> None:
    for _ in range(5):
        assert server.google([told()]) == 204

    assert server.keys.asked == 1


def test_a_key_that_is_new_is_asked_for_when_it_is_first_used(server: Server) -> None:
    assert server.google([told()]) == 204
    server.keys.keys[2] = ec.generate_private_key(ec.SECP256R1())
    raw = json.dumps([told()]).encode()
    server.moment[0] = NOW + timedelta(hours=1)

    assert (
        server.google(raw, GOOGLE_HEALTH_API_SIGNATURE=server.keys.sign(raw, 2)) == 204
    )


def test_keys_that_were_had_are_good_while_nobody_answers_but_not_for_ever(
    server: Server,
) -> None:
    assert server.google([told()]) == 204
    server.keys.down = True

    server.moment[0] = NOW + timedelta(hours=6)
    assert server.google([told()]) == 204
    server.moment[0] = NOW + timedelta(days=3)
    assert server.google([told()]) == 503


def test_before_any_key_could_be_had_google_is_to_come_again(server: Server) -> None:
    server.keys.down = True

    assert server.google([told()]) == 503
    assert server.wanted() == []


def test_of_somebody_who_is_not_connected_nothing_is_kept(server: Server) -> None:
    assert server.google([told("h-8"), told()]) == 204

    assert len(server.wanted()) == 1
    ended = server.world.store.grants.find("north", "google", "jane")
    assert ended is not None
    server.world.store.grants.end(ended, GrantState.REVOKED, "by the wearer", EVENT)
    later = told(dataType="sleep")
    assert server.google([later]) == 204
    assert len(server.wanted()) == 1


@pytest.mark.parametrize("body", [[], {}, [7], {"data": None}, [told(), "x"]])
def test_what_cannot_be_read_but_is_signed_is_not_sent_again_and_again(
    server: Server, body: Any
) -> None:
    assert server.google(body) == 204


def test_what_is_no_json_is_refused(server: Server) -> None:
    assert server.google(b"{") == 400


def test_a_body_that_is_too_large_is_refused(server: Server) -> None:
    assert server.google(b" " * (300 * 1024)) == 413


# Withings


def form(**more: str) -> bytes:
    fields = {"userid": "363", "appli": "1", "startdate": "1795352700"}
    return urlencode({**fields, "enddate": "1795353000", **more}).encode()


FORM = {"Content_Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_withings_sees_that_somebody_is_there(server: Server, method: str) -> None:
    assert server.ask(method, f"/withings/{SECRET}")[0] == 200
    assert server.ask(method, "/withings/somebody-elses")[0] == 401
    assert server.ask(method, "/withings")[0] == 401


def test_what_withings_names_is_wanted(server: Server) -> None:
    status, _ = server.ask("POST", f"/withings/{SECRET}", form(), **FORM)

    (each,) = server.wanted(source="withings")
    assert (status, each.kind) == (200, "measures")


def test_without_the_secret_in_the_url_withings_is_nobody(server: Server) -> None:
    assert server.ask("POST", "/withings", form(), **FORM)[0] == 401
    assert server.ask("POST", f"/withings/{SECRET[:-1]}", form(), **FORM)[0] == 401
    assert server.wanted(source="withings") == []


def test_the_secret_of_a_url_stands_in_no_audit_row(server: Server) -> None:
    server.ask("POST", "/withings/a-secret-that-was-almost-right", form(), **FORM)

    assert "almost-right" not in server.trail()
    assert "/wearables/v1/notifications/withings" in server.trail()


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"&".join([b"a=1"] * 60), form(userid="")]
)
def test_a_form_that_says_nothing_does_no_harm(server: Server, body: bytes) -> None:
    status, _ = server.ask("POST", f"/withings/{SECRET}", body, **FORM)

    assert status in (200, 400)
    assert server.wanted(source="withings") == []


# Oura


def event(**more: Any) -> bytes:
    told = {"event_type": "create", "data_type": "sleep", "object_id": "s1"}
    told = {**told, "user_id": "o-7", "event_time": "2026-11-22T13:05:00+00:00"}
    return json.dumps({**told, **more}).encode()


def signed(raw: bytes, secret: str = CLIENT_SECRET) -> dict[str, str]:
    stamp = str(int(NOW.timestamp()))
    made = hmac.new(secret.encode(), stamp.encode() + raw, hashlib.sha256)
    return {
        "Content_Type": "application/json",
        "X_Oura_Timestamp": stamp,
        "X_Oura_Signature": made.hexdigest().upper(),
    }


def test_oura_is_given_its_challenge_back_for_the_agreed_token(server: Server) -> None:
    asked = urlencode({"verification_token": SECRET, "challenge": "c-123"})

    status, body = server.ask("GET", f"/oura?{asked}")

    assert (status, json.loads(body)) == (200, {"challenge": "c-123"})


@pytest.mark.parametrize("token", ["", "somebody-elses", CLIENT_SECRET])
def test_nobody_else_is_given_a_challenge_back(server: Server, token: str) -> None:
    asked = urlencode({"verification_token": token, "challenge": "c-123"})

    assert server.ask("GET", f"/oura?{asked}")[0] == 401


@pytest.mark.parametrize("type", ["create", "update", "delete"])
def test_what_oura_names_is_wanted(server: Server, type: str) -> None:
    raw = event(event_type=type)

    status, _ = server.ask("POST", "/oura", raw, **signed(raw))

    (each,) = server.wanted(source="oura")
    assert (status, each.kind) == (200, "sleep")


def test_what_oura_has_not_signed_is_not_taken(server: Server) -> None:
    raw = event()

    for headers in (
        signed(raw, "somebody-elses"),
        signed(event(user_id="o-8")),
        {**signed(raw), "X_Oura_Timestamp": "1"},
        {"Content_Type": "application/json"},
    ):
        assert server.ask("POST", "/oura", raw, **headers)[0] == 401
    assert server.wanted(source="oura") == []


# Any of them


def test_a_cloud_that_is_not_to_notify_has_no_endpoint(server: Server) -> None:
    raw = event()

    assert server.ask("POST", "/quiet", raw, **signed(raw))[0] == 404
    assert server.ask("POST", "/unknown", raw, **signed(raw))[0] == 404


def test_who_notifies_too_often_is_asked_to_wait(
    build: Callable[..., World], server: Server
) -> None:
    limits = create_app(
        world=replace(
            server.world,
            config=build(rate_limit="2", reload="off", token_key=KEY).config,
        )
    ).test_client()
    raw = event()

    told = [
        limits.post(
            f"{AT}/oura",
            data=raw,
            headers={
                name.replace("_", "-"): value for name, value in signed(raw).items()
            },
        ).status_code
        for _ in range(3)
    ]

    assert told == [200, 200, 429]


def test_what_became_of_notifications_is_counted(server: Server) -> None:
    server.google([told(), told("h-8"), told(dataType="floors"), 7])
    server.google([told()])

    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    connection.close()

    for outcome in ("unknown-wearer", "other-kind", "malformed", "wanted-before"):
        line = f'cds_notifications_total{{outcome="{outcome}",source="google"}} 1.0'
        assert line in page
