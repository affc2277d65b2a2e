"""Sources that prove who they are in a way of their vendor's, over HTTP."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook
from werkzeug.test import TestResponse

from cds_service.config import Clients, Proof, ProofKind, WebhookSource
from cds_service.decision import World

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=6)
SAMPLES = "/wearables/v1/samples"
SOURCE = "/wearables/v1/sources"
STANDARD = "whsec_c2VjcmV0LW9mLXRoZS1kZW1vLXdhdGNoLWhlcmU="
OLD, NEW = "an-old-secret-of-the-vendor", "the-new-secret-of-the-vendor"
URL_SECRET = "xJ3vQk8sT0m2Lr9bYw5dHc7uNe1gAfPz"
BODY = {
    "samples": [
        {
            "patient": "alice",
            "metric": "heart-rate",
            "value": 72,
            "unit": "/min",
            "start": "2026-11-22T12:00:00+00:00",
        }
    ]
}
RAW = json.dumps(BODY).encode()
ENTRIES = [{"type": "sgv", "sgv": 112, "date": 1795348800000, "device": "cgm"}]
RING = Proof(ProofKind.HMAC_SHA256, "x-oura-signature", "x-oura-timestamp")
HOOK = Proof(ProofKind.HMAC_SHA256, "x-hub-signature", "", "base64", "sha256=")


def source(proof: Proof, *secrets: str, formats: tuple[str, ...] = ()) -> WebhookSource:
    named = formats or ("samples", "nightscout", "garmin")
    return WebhookSource(str(proof.kind), "default", "-", secrets, named, proof=proof)


@dataclass(frozen=True)
class Server:
    world: World
    http: Any

    def post(
        self, headers: dict[str, str], raw: bytes = RAW, path: str = SAMPLES
    ) -> TestResponse:
        told: TestResponse = self.http.post(
            path, data=raw, headers=headers, content_type="application/json"
        )
        return told

    def trail(self) -> str:
        entries = self.world.store.audit_entries()
        return "\n".join(f"{each.kind} {each.detail}" for each in entries)


Start = Callable[..., Server]


@pytest.fixture
def start(
    build: Callable[..., World], connect: Callable[[World], Any]
) -> Iterator[Start]:
    """Starts a server that knows these sources, where nobody has objected."""

    def make(*sources: WebhookSource, at: datetime = NOW) -> Server:
        world = replace(
            build(wearables_consent="assumed", reload="off"),
            clients=Clients(webhooks=sources),
            clock=lambda: at,
        )
        return Server(world, connect(world).http)

    yield make


def signed(
    secret: str = NEW, raw: bytes = RAW, at: datetime = NOW, milliseconds: bool = False
) -> dict[str, str]:
    """What Oura puts beside a body."""
    stamp = str(int(at.timestamp()) * (1000 if milliseconds else 1))
    told = hmac.new(secret.encode(), stamp.encode() + raw, hashlib.sha256)
    return {
        "X-Oura-Signature": told.hexdigest().upper(),
        "X-Oura-Timestamp": stamp,
    }


# HMAC over the time and the raw body


def test_what_the_vendor_has_signed_with_its_own_secret_is_taken(start: Start) -> None:
    server = start(source(RING, NEW))

    answer = server.post(signed())

    assert (answer.status_code, answer.json["accepted"]) == (202, 1)


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_while_a_secret_is_changed_the_old_and_the_new_one_sign(
    start: Start, secret: str
) -> None:
    server = start(source(RING, OLD, NEW))

    assert server.post(signed(secret)).status_code == 202


def test_a_time_in_milliseconds_is_the_same_time(start: Start) -> None:
    server = start(source(RING, NEW))

    assert server.post(signed(milliseconds=True)).status_code == 202


@pytest.mark.parametrize("secret", ["whose-secret-is-this-anyway", NEW + "x"])
def test_what_somebody_else_has_signed_is_401(start: Start, secret: str) -> None:
    server = start(source(RING, NEW))

    answer = server.post(signed(secret))

    assert answer.status_code == 401
    assert answer.json["issue"][0]["code"] == "login"


def test_a_body_that_was_changed_on_the_way_is_401(start: Start) -> None:
    server = start(source(RING, NEW))

    assert server.post(signed(), RAW.replace(b"72", b"27")).status_code == 401


def test_a_time_that_was_changed_on_the_way_is_401(start: Start) -> None:
    server = start(source(RING, NEW), at=LATER)
    headers = signed() | {"X-Oura-Timestamp": str(int(LATER.timestamp()))}

    assert server.post(headers).status_code == 401


@pytest.mark.parametrize("off", [timedelta(minutes=-6), timedelta(minutes=6)])
def test_what_was_signed_more_than_five_minutes_away_is_401(
    start: Start, off: timedelta
) -> None:
    server = start(source(RING, NEW))

    assert server.post(signed(at=NOW + off)).status_code == 401
    assert "outside the window" in server.trail()


@pytest.mark.parametrize(
    "spoilt",
    [
        {"X-Oura-Timestamp": ""},
        {"X-Oura-Timestamp": "soon"},
        {"X-Oura-Timestamp": "9" * 40},
        {"X-Oura-Signature": "zz"},
        {"X-Oura-Signature": "\u00e9"},
    ],
)
def test_what_is_no_signature_or_no_time_is_401(
    start: Start, spoilt: dict[str, str]
) -> None:
    server = start(source(RING, NEW))

    assert server.post(signed() | spoilt).status_code == 401


def test_nobody_s_signature_is_401(start: Start) -> None:
    server = start(source(RING, NEW))

    assert server.post({}).status_code == 401


def test_a_delivery_that_is_sent_again_as_it_was_has_the_same_answer(
    start: Start,
) -> None:
    server = start(source(RING, NEW))
    first, again = server.post(signed()), server.post(signed())

    assert again.data == first.data
    later = server.post(signed(at=NOW + timedelta(seconds=30)))
    assert later.json["duplicate"] == 1


def test_an_unsigned_key_makes_no_new_delivery_of_an_old_one(start: Start) -> None:
    server = start(source(RING, NEW))
    first = server.post(signed())

    again = server.post(signed() | {"Idempotency-Key": "another"})

    assert again.data == first.data


def test_a_vendor_without_a_time_signs_the_body_alone_in_base64(start: Start) -> None:
    server = start(source(HOOK, NEW))
    told = hmac.new(NEW.encode(), RAW, hashlib.sha256).digest()
    right = "sha256=" + base64.b64encode(told).decode()

    assert server.post({"X-Hub-Signature": right}).status_code == 202
    for wrong in (right.removeprefix("sha256="), right[:-4], "sha256=" + told.hex()):
        assert server.post({"X-Hub-Signature": wrong}).status_code == 401


# Nightscout's shared secret


@pytest.mark.parametrize("algorithm", ["sha1", "sha512"])
def test_an_uploader_of_nightscout_sends_the_digest_of_its_secret(
    start: Start, algorithm: str
) -> None:
    server = start(source(Proof(ProofKind.NIGHTSCOUT), OLD, NEW))
    told = hashlib.new(algorithm, NEW.encode()).hexdigest()

    answer = server.post(
        {"api-secret": told}, json.dumps(ENTRIES).encode(), f"{SOURCE}/nightscout"
    )

    assert (answer.status_code, answer.data) == (200, b"")


@pytest.mark.parametrize(
    "told", [NEW, "", hashlib.sha1(b"another").hexdigest(), "\u00e9"]
)
def test_any_other_api_secret_is_401(start: Start, told: str) -> None:
    server = start(source(Proof(ProofKind.NIGHTSCOUT), NEW))

    answer = server.post(
        {"api-secret": told}, json.dumps(ENTRIES).encode(), f"{SOURCE}/nightscout"
    )

    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/api/v1/entries", "/api/v1/entries.json"])
def test_an_uploader_posts_where_nightscout_has_its_entries(
    start: Start, path: str
) -> None:
    server = start(source(Proof(ProofKind.NIGHTSCOUT), NEW))
    told = {"api-secret": hashlib.sha1(NEW.encode()).hexdigest()}
    raw = json.dumps(ENTRIES).encode()

    assert server.post(told, raw, f"{SOURCE}/nightscout{path}").status_code == 200
    assert server.post({}, raw, f"{SOURCE}/nightscout{path}").status_code == 401
    assert server.post(told, raw, f"{SOURCE}/garmin{path}").status_code == 404


def test_an_uploader_asks_first_whether_it_is_let_in(start: Start) -> None:
    server = start(
        source(Proof(ProofKind.NIGHTSCOUT), NEW),
        source(Proof(ProofKind.HEADER, "x-gateway-key"), OLD, formats=("samples",)),
    )
    test = f"{SOURCE}/nightscout/api/v1/experiments/test"

    def ask(headers: dict[str, str], method: str = "GET") -> tuple[int, Any]:
        answer = server.http.open(test, method=method, headers=headers)
        return answer.status_code, answer.get_json(silent=True)

    right = {"api-secret": hashlib.sha1(NEW.encode()).hexdigest()}
    assert ask(right) == (200, {"status": "ok"})
    assert ask(right, "HEAD")[0] == 200
    assert ask({"api-secret": hashlib.sha1(OLD.encode()).hexdigest()})[0] == 401
    assert ask({})[0] == 401
    assert ask({"X-Gateway-Key": OLD})[0] == 403


# Vendors that sign nothing


def test_a_gateway_tells_a_secret_in_a_header(start: Start) -> None:
    server = start(source(Proof(ProofKind.HEADER, "x-gateway-key"), OLD, NEW))

    assert server.post({"X-Gateway-Key": NEW}).status_code == 202
    assert server.post({"X-Gateway-Key": NEW[:-1]}).status_code == 401
    assert server.post({"X-Other-Key": NEW}).status_code == 401


def test_its_key_tells_deliveries_apart_since_its_secret_signs_nothing(
    start: Start,
) -> None:
    server = start(source(Proof(ProofKind.HEADER, "x-gateway-key"), NEW))
    key = {"X-Gateway-Key": NEW}
    first = server.post(key)

    assert server.post(key).data == first.data
    told = server.post(key | {"Idempotency-Key": "another"})
    assert told.json["duplicate"] == 1


def test_a_vendor_that_signs_nothing_has_a_secret_in_its_url(start: Start) -> None:
    server = start(source(Proof(ProofKind.PATH), URL_SECRET))
    day = {
        "userId": "g-7",
        "summaryId": "x1",
        "startTimeInSeconds": 1795323600,
        "durationInSeconds": 30000,
        "steps": 1520,
    }
    raw = json.dumps({"dailies": [day]}).encode()

    def send(path: str) -> int:
        return server.post({}, raw, f"{SOURCE}/garmin{path}").status_code

    assert send(f"/{URL_SECRET}") == 200
    assert [send(""), send(f"/{URL_SECRET}x"), send(f"/{URL_SECRET}/x")] == [
        401,
        401,
        404,
    ]
    assert URL_SECRET not in server.trail()


def test_a_secret_in_the_url_is_good_for_the_formats_of_its_source(
    start: Start,
) -> None:
    server = start(source(Proof(ProofKind.PATH), URL_SECRET, formats=("garmin",)))

    answer = server.post({}, RAW, f"{SOURCE}/nightscout/{URL_SECRET}")

    assert answer.status_code == 403


# Beside each other


def test_sources_with_every_kind_of_proof_are_told_apart(start: Start) -> None:
    standard = source(Proof(), STANDARD)
    server = start(
        standard,
        source(RING, OLD),
        source(Proof(ProofKind.NIGHTSCOUT), NEW),
        source(Proof(ProofKind.HEADER, "x-gateway-key"), URL_SECRET),
    )
    by_webhook = {
        "webhook-id": "m1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": Webhook(STANDARD).sign("m1", NOW, RAW.decode()),
    }

    for headers in (
        by_webhook,
        signed(OLD),
        {"api-secret": hashlib.sha1(NEW.encode()).hexdigest()},
        {"X-Gateway-Key": URL_SECRET},
    ):
        assert server.post(headers).status_code == 202

    clients = [each.client for each in server.world.store.audit_entries()]
    assert [each for each in clients if each] == [
        "standard-webhooks",
        "hmac-sha256",
        "nightscout",
        "header",
    ]


def test_a_secret_of_one_kind_is_good_for_no_other(start: Start) -> None:
    server = start(source(Proof(ProofKind.HEADER, "x-gateway-key"), STANDARD))
    by_webhook = {
        "webhook-id": "m1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": Webhook(STANDARD).sign("m1", NOW, RAW.decode()),
    }

    assert server.post(by_webhook).status_code == 401


@pytest.mark.parametrize("path", ["alerts", "consents", "links"])
def test_alerts_consents_and_links_are_never_taken_so(start: Start, path: str) -> None:
    formats = ("alerts", "consents", "links")
    gateway = Proof(ProofKind.HEADER, "x-gateway-key")
    server = start(source(gateway, NEW, formats=formats))

    answer = server.post({"X-Gateway-Key": NEW}, b"{}", f"/wearables/v1/{path}")

    assert answer.status_code == 401


def test_no_secret_is_written_to_the_trail(start: Start) -> None:
    server = start(source(Proof(ProofKind.HEADER, "x-gateway-key"), NEW))
    server.post({"X-Gateway-Key": NEW})
    server.post({"X-Gateway-Key": "x" + NEW})

    assert NEW not in server.trail()
