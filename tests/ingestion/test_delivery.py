"""A delivery from raw body to answer: who sent it, once only, stored or refused."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from cds_service.config import WebhookSource
from cds_service.ingestion import (
    ALERTS,
    Acknowledgement,
    Delivery,
    Ingestion,
    accept,
)
from cds_service.protocol.errors import (
    CdsError,
    Conflict,
    Forbidden,
    InvalidRequest,
    Unauthenticated,
    Unavailable,
    Unprocessable,
)
from cds_service.store.records import Attempt, DeliveryState
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.records import AlertType, PatientKey, WearableAlert
from cds_service.web.json import parse_json

from ..waiting import PATIENCE

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
OLD, NEW, OTHER, FOREIGN = (
    "whsec_b2xkLXNlY3JldC1vZi10aGUtZGVtby13YXRjaA==",
    "whsec_bmV3LXNlY3JldC1vZi10aGUtZGVtby13YXRjaA==",
    "whsec_c2VjcmV0LW9mLWFub3RoZXItd2F0Y2gtbWFrZXI=",
    "whsec_c2VjcmV0LXRoYXQtbm8tc291cmNlLWhhcy1oZXJl",
)
WATCH = WebhookSource("demo-watch", "demo", "-", (OLD, NEW))
CLINIC = WebhookSource("clinic", "north", "https://fhir.example", (OTHER,))
TYPES = {"low-heart-rate": AlertType("low-heart-rate", "Low", "heart_rate", "/min")}
ITEM = {
    "id": "a-1",
    "patient": "smart-1",
    "type": "low-heart-rate",
    "start": "2026-11-22T08:00:00-05:00",
    "value": 38,
    "unit": "bpm",
}
BAD = {**ITEM, "id": "a-2", "start": "this morning"}


def body_of(*items: Any) -> bytes:
    return json.dumps({"alerts": items}).encode()


def signed(
    body: bytes,
    *secrets: str,
    delivery: str = "msg_1",
    at: datetime = NOW,
    key: str = "",
) -> dict[str, str]:
    """The headers of a delivery; one signature for each secret."""
    signatures = [
        Webhook(secret).sign(delivery, at, body.decode()) for secret in secrets or [NEW]
    ]
    return {
        "Webhook-Id": delivery,
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": " ".join(signatures),
        **({"Idempotency-Key": key} if key else {}),
    }


Deliver = Callable[..., Acknowledgement]


@pytest.fixture
def deliver(store: Store) -> Deliver:
    """Send a body, signed unless headers are given, to a server at NOW."""

    def deliver(
        body: bytes = body_of(ITEM),
        headers: dict[str, str] | None = None,
        *,
        now: datetime = NOW,
        consent: bool = True,
        webhooks: tuple[WebhookSource, ...] = (CLINIC, WATCH),
        to: Store = store,
    ) -> Acknowledgement:
        headers = signed(body) if headers is None else headers
        gate = ConsentGate(Catalogue(alert_types=TYPES), assumed=consent)
        ingestion = Ingestion(to, webhooks, lambda tenant: gate, parse_json)
        return accept(Delivery(ALERTS, headers, body, now), ingestion)

    return deliver


def stored(store: Store, tenant: str = "demo", base: str = "-") -> list[WearableAlert]:
    key = PatientKey(tenant, base, "smart-1")
    return list(store.wearable_alerts(key, NOW - timedelta(days=30)).alerts)


def audited(store: Store) -> list[tuple[str, str, Any]]:
    """Kind, source and detail of every row of the audit trail."""
    return [
        (each.kind, each.client, json.loads(each.detail))
        for each in store.audit_entries()
    ]


# Stored


def test_a_signed_delivery_is_stored_for_tenant_and_patient(
    deliver: Deliver, store: Store
) -> None:
    reply = deliver()

    assert reply.status == 202
    assert reply.body == {
        "accepted": 1,
        "rejected": 0,
        "results": [{"index": 0, "id": "a-1", "status": "accepted"}],
    }
    (alert,) = stored(store)
    assert (alert.id, alert.value, alert.unit) == ("a-1", 38.0, "/min")
    assert alert.start.isoformat() == "2026-11-22T08:00:00-05:00"
    assert (alert.source, alert.opened) == ("demo-watch", NOW)


def test_good_items_are_kept_and_bad_ones_are_named(
    deliver: Deliver, store: Store
) -> None:
    reply = deliver(body_of(BAD, ITEM, 7))

    assert reply.status == 202
    assert (reply.body["accepted"], reply.body["rejected"]) == (1, 2)
    first, second, third = reply.body["results"]
    assert (first["index"], first["id"], first["status"]) == (0, "a-2", "rejected")
    assert first["problems"][0]["expression"] == "$.alerts[0].start"
    assert second == {"index": 1, "id": "a-1", "status": "accepted"}
    assert third["problems"] == [
        {"expression": "$.alerts[2]", "text": "Must be an object."}
    ]
    assert [each.id for each in stored(store)] == ["a-1"]


def test_a_delivery_without_one_good_item_is_422_and_names_each_problem(
    deliver: Deliver, store: Store
) -> None:
    reply = deliver(body_of(BAD, {**BAD, "id": "a-3", "rev": -1}))

    assert reply.status == 422
    assert reply.body["resourceType"] == "OperationOutcome"
    assert [each["expression"] for each in reply.body["issue"]] == [
        ["$.alerts[0].start"],
        ["$.alerts[1].start"],
        ["$.alerts[1].rev"],
    ]
    assert stored(store) == []


def test_what_is_no_delivery_is_422(deliver: Deliver) -> None:
    assert deliver(b"[]").status == 422


def test_the_higher_revision_stays_in_whatever_order_they_come(
    deliver: Deliver, store: Store
) -> None:
    for rev, value in ((1, 36), (0, 38), (2, 35)):
        body = body_of({**ITEM, "rev": rev, "value": value})
        reply = deliver(body, signed(body, delivery=f"msg_{rev}"))
        assert reply.status == 202

    assert [(each.rev, each.value) for each in stored(store)] == [(2, 35.0)]


def test_a_retracted_alert_is_gone(deliver: Deliver, store: Store) -> None:
    deliver()
    body = body_of({**ITEM, "rev": 1, "status": "retracted"})
    deliver(body, signed(body, delivery="msg_2"))

    assert stored(store) == []


# Who


@pytest.mark.parametrize("secrets", [(OLD,), (NEW,), (OLD, NEW), (FOREIGN, NEW)])
def test_any_secret_of_a_source_may_sign_so_that_they_can_be_changed(
    deliver: Deliver, secrets: tuple[str, ...]
) -> None:
    body = body_of(ITEM)

    assert deliver(body, signed(body, *secrets)).status == 202


def test_the_secret_tells_whose_delivery_it_is(deliver: Deliver, store: Store) -> None:
    body = body_of(ITEM)
    deliver(body, signed(body, OTHER))

    assert stored(store) == []
    (alert,) = stored(store, "north", "https://fhir.example")
    assert alert.source == "clinic"


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_signature_may_be_five_minutes_away(deliver: Deliver, minutes: int) -> None:
    body = body_of(ITEM)
    at = NOW + timedelta(minutes=minutes)

    assert deliver(body, signed(body, at=at)).status == 202


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_signature_that_is_further_away_is_refused(
    deliver: Deliver, store: Store, seconds: int
) -> None:
    body = body_of(ITEM)
    at = NOW + timedelta(seconds=seconds)

    with pytest.raises(Unauthenticated):
        deliver(body, signed(body, at=at))

    (row,) = audited(store)
    assert "outside the window" in row[2]["reason"]


VALID = signed(body_of(ITEM))
UNSIGNED: dict[str, dict[str, str]] = {
    "nothing": {},
    "no id": {**VALID, "Webhook-Id": ""},
    "another id": {**VALID, "Webhook-Id": "msg_2"},
    "no time": {**VALID, "Webhook-Timestamp": ""},
    "another time": {**VALID, "Webhook-Timestamp": "1795356001"},
    "a time in words": {**VALID, "Webhook-Timestamp": "now"},
    "a time in Arabic digits": {**VALID, "Webhook-Timestamp": "١٧٩٥٣٥٦٠٠٠"},
    "a time beyond the calendar": {**VALID, "Webhook-Timestamp": "9" * 40},
    "no signature": {**VALID, "Webhook-Signature": ""},
    "no version": {**VALID, "Webhook-Signature": VALID["Webhook-Signature"][3:]},
    "another version": {
        **VALID,
        "Webhook-Signature": VALID["Webhook-Signature"].replace("v1,", "v1a,"),
    },
    "no base64": {**VALID, "Webhook-Signature": "v1,§ v1"},
    "a lone surrogate": {**VALID, "Webhook-Signature": "v1,\udc80"},
    "another secret": signed(body_of(ITEM), FOREIGN),
    "too many": {
        **VALID,
        "Webhook-Signature": "v1, " * 10 + VALID["Webhook-Signature"],
    },
}


@pytest.mark.parametrize("headers", UNSIGNED.values(), ids=UNSIGNED)
def test_what_nobody_known_has_signed_is_refused_with_the_same_words(
    deliver: Deliver, store: Store, headers: dict[str, str]
) -> None:
    with pytest.raises(Unauthenticated, match="^Authentication is required.$"):
        deliver(headers=headers)

    ((kind, source, detail),) = audited(store)
    assert (kind, source, detail["status"]) == ("refusal", "", 401)
    assert detail["path"] == "/wearables/v1/alerts"
    assert stored(store) == []


def test_a_body_that_was_changed_on_the_way_is_refused(deliver: Deliver) -> None:
    with pytest.raises(Unauthenticated):
        deliver(body_of(ITEM).replace(b"38", b"83"), VALID)


def test_a_body_that_is_not_utf_8_is_refused(deliver: Deliver) -> None:
    with pytest.raises(Unauthenticated):
        deliver(b"\xff", VALID)


def test_without_a_source_nobody_is_let_in(deliver: Deliver) -> None:
    with pytest.raises(Unauthenticated):
        deliver(webhooks=())


def test_a_source_that_may_not_deliver_alerts_is_refused(
    deliver: Deliver, store: Store
) -> None:
    source = WebhookSource("demo-watch", "demo", "-", (NEW,), formats=())

    with pytest.raises(Forbidden):
        deliver(webhooks=(source,))

    assert audited(store)[0][1] == "demo-watch"


# Once


def test_the_same_delivery_gets_the_same_answer_and_is_stored_once(
    deliver: Deliver, store: Store
) -> None:
    first = deliver(body_of(ITEM, BAD))
    later = NOW + timedelta(minutes=4)
    second = deliver(body_of(ITEM, BAD), now=later)

    assert second == first
    assert [each.opened for each in stored(store)] == [NOW]
    assert [detail.get("repeated", False) for _, _, detail in audited(store)] == [
        False,
        True,
    ]


def test_a_refusal_of_every_item_is_repeated_too(deliver: Deliver) -> None:
    first = deliver(body_of(BAD))
    assert first.status == 422
    assert deliver(body_of(BAD)) == first


def test_a_key_that_nobody_signed_makes_no_new_delivery_of_an_old_one(
    deliver: Deliver, store: Store
) -> None:
    body = body_of(ITEM)
    first = deliver(body, signed(body))

    assert deliver(body, signed(body, key="another")) == first

    assert [each.get("repeated", False) for _, _, each in audited(store)] == [
        False,
        True,
    ]


def test_a_key_that_nobody_signed_hides_no_new_delivery(
    deliver: Deliver, store: Store
) -> None:
    deliver(body_of(ITEM), signed(body_of(ITEM), key="k"))
    other = body_of({**ITEM, "id": "a-2"})

    answer = deliver(other, signed(other, delivery="msg_2", key="k"))

    assert answer.status == 202
    assert [each.id for each in stored(store)] == ["a-1", "a-2"]


def test_a_key_with_another_body_is_refused(deliver: Deliver, store: Store) -> None:
    deliver()
    body = body_of({**ITEM, "id": "a-9"})

    with pytest.raises(Unprocessable, match="another body"):
        deliver(body, signed(body))

    assert [each.id for each in stored(store)] == ["a-1"]
    assert [kind for kind, _, _ in audited(store)] == ["delivery", "refusal"]


def test_two_sources_may_use_the_same_key(deliver: Deliver, store: Store) -> None:
    body = body_of(ITEM)
    deliver(body, signed(body, NEW))
    deliver(body, signed(body, OTHER))

    assert len(stored(store)) == len(stored(store, "north", CLINIC.fhir_base)) == 1


@pytest.mark.parametrize("key", ["k" * 256, "a b", "ключ"])
def test_a_key_that_is_none_is_refused(deliver: Deliver, key: str) -> None:
    headers = signed(body_of(ITEM), delivery=key)

    with pytest.raises(InvalidRequest, match="webhook-id"):
        deliver(headers=headers)


def test_a_delivery_that_is_in_progress_is_to_be_sent_again(
    deliver: Deliver, store: Store
) -> None:
    claim(store, NOW)

    with pytest.raises(Conflict) as refused:
        deliver()

    assert refused.value.retry_after is not None


def test_a_crash_in_the_middle_does_not_block_the_key_for_ever(
    deliver: Deliver, store: Store
) -> None:
    claim(store, NOW - timedelta(minutes=10))

    assert deliver().status == 202
    assert len(stored(store)) == 1


def claim(store: Store, at: datetime) -> None:
    """Begin the usual delivery and go no further, as a process that died does."""
    digest = hashlib.sha256(body_of(ITEM)).hexdigest()
    begun = store.begin_delivery(
        Attempt("demo-watch", f"{ALERTS.path} msg_1"), digest, at
    )
    assert begun.state is DeliveryState.NEW


def test_one_key_at_many_doors_at_once_is_stored_once(
    deliver: Deliver, store: Store
) -> None:
    count = 6
    ready = threading.Barrier(count)
    answers: list[int] = []

    def send() -> None:
        ready.wait(PATIENCE)
        try:
            answers.append(deliver().status)
        except CdsError as error:
            answers.append(error.status)

    threads = [threading.Thread(target=send) for _ in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(PATIENCE)

    assert len(answers) == count
    assert 202 in answers and set(answers) <= {202, 409}
    assert len(stored(store)) == 1
    firsts = [
        detail
        for kind, _, detail in audited(store)
        if kind == "delivery" and not detail.get("repeated")
    ]
    assert len(firsts) == 1


# Refused, and welcome again


@pytest.mark.parametrize("body", [b"", b"{", b'{"alerts": [NaN]}', b'{"a":1,"a":2}'])
def test_what_is_not_json_is_refused(
    deliver: Deliver, store: Store, body: bytes
) -> None:
    with pytest.raises(InvalidRequest):
        deliver(body)

    ((kind, source, detail),) = audited(store)
    assert (kind, source, detail["status"]) == ("refusal", "demo-watch", 400)


HALVES = [rb"\ud83d", b"\xf0\x9f", b"\xed\xa0\xbd"]


def half(item: dict[str, Any], old: str, new: bytes) -> tuple[bytes, dict[str, str]]:
    """A delivery in which a text ends in half a character, and its headers."""
    body = body_of(item).replace(old.encode(), new)
    stamp = str(int(NOW.timestamp()))
    key = base64.b64decode(NEW.removeprefix("whsec_"))
    mac = hmac.digest(key, f"msg_1.{stamp}.".encode() + body, "sha256")
    signature = f"v1,{base64.b64encode(mac).decode()}"
    return body, {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": stamp,
        "Webhook-Signature": signature,
    }


@pytest.mark.parametrize("cut", HALVES)
def test_a_device_named_by_half_an_emoji_is_no_reason_to_lose_an_alert(
    deliver: Deliver, store: Store, cut: bytes
) -> None:
    reply = deliver(*half({**ITEM, "device": "Watch _"}, "_", cut))

    assert (reply.status, reply.body["accepted"]) == (202, 1)
    assert [each.device for each in stored(store)] == ["Watch \ufffd"]


@pytest.mark.parametrize("name", ["id", "patient"])
@pytest.mark.parametrize("cut", [*HALVES, b"\xef\xbf\xbd"])
def test_an_alert_or_a_patient_named_by_half_a_character_is_rejected(
    deliver: Deliver, store: Store, name: str, cut: bytes
) -> None:
    reply = deliver(*half({**ITEM, name: "smart-1_"}, "smart-1_", b"smart-1" + cut))

    assert (reply.status, stored(store)) == (422, [])


def test_the_signature_is_over_the_half_character_and_not_over_what_replaces_it(
    deliver: Deliver,
) -> None:
    body, headers = half({**ITEM, "device": "Watch _"}, "_", b"\xf0\x9f")

    with pytest.raises(Unauthenticated):
        deliver(body.replace(b"\xf0\x9f", b"\xef\xbf\xbd"), headers)
    with pytest.raises(Unauthenticated):
        deliver(body.replace(b"\xf0\x9f", b"\xf0\x90"), headers)


def test_two_deliveries_that_differ_in_a_half_character_are_not_one(
    deliver: Deliver,
) -> None:
    one = half({**ITEM, "device": "Watch _"}, "_", rb"\ud83d")
    other = half({**ITEM, "device": "Watch _"}, "_", rb"\ud83e")

    assert deliver(*one) == deliver(*one)
    with pytest.raises(Unprocessable, match="another body"):
        deliver(*other)


def test_the_key_of_a_refused_delivery_is_free_again(deliver: Deliver) -> None:
    with pytest.raises(InvalidRequest):
        deliver(b"{")

    assert deliver().status == 202


def test_without_consent_nothing_is_stored(deliver: Deliver, store: Store) -> None:
    with pytest.raises(Forbidden, match="consent"):
        deliver(consent=False)

    assert stored(store) == []
    assert audited(store)[0][2]["status"] == 403
    assert deliver(consent=True).status == 202


def test_a_bug_in_the_middle_leaves_the_key_free(
    deliver: Deliver, store: Store
) -> None:
    def broken(body: bytes) -> Any:
        raise ZeroDivisionError

    gate = ConsentGate(Catalogue(alert_types=TYPES), assumed=True)
    with pytest.raises(ZeroDivisionError):
        accept(
            Delivery(ALERTS, VALID, body_of(ITEM), NOW),
            Ingestion(store, (WATCH,), lambda tenant: gate, broken),
        )

    assert deliver().status == 202


def test_a_store_that_does_not_answer_is_503(deliver: Deliver, tmp_path: Path) -> None:
    empty = Store.open(f"sqlite:///{tmp_path / 'empty.sqlite'}")

    with pytest.raises(Unavailable) as refused:
        deliver(to=empty)
    with pytest.raises(Unavailable):
        deliver(headers={}, to=empty)

    assert refused.value.retry_after is not None
    empty.close()


def test_the_trail_tells_what_was_stored_about_whom(
    deliver: Deliver, store: Store
) -> None:
    deliver(body_of(ITEM, BAD))

    (entry,) = store.audit_entries()
    detail = json.loads(entry.detail)
    assert (entry.kind, entry.tenant, entry.patient_id) == (
        "delivery",
        "demo",
        "smart-1",
    )
    assert detail["status"] == 202
    assert detail["alerts"] == [["smart-1", "a-1", 0, "low-heart-rate", "open"]]
    assert [each["id"] for each in detail["rejected"]] == ["a-2"]
