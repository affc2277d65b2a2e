"""Consents by webhook, and what alerts may be stored under them."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from standardwebhooks import Webhook

from cds_service.config import WebhookSource
from cds_service.ingestion import (
    ALERTS,
    CONSENTS,
    Acknowledgement,
    Delivery,
    Format,
    Ingestion,
    Judged,
    accept,
)
from cds_service.protocol.errors import CdsError, Forbidden, Unavailable
from cds_service.store.records import ConsentsChanged
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.records import AlertType, PatientKey, WearableAlert
from cds_service.web.json import parse_json

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
SECRET = "whsec_c2VjcmV0LW9mLXRoZS1kZW1vLXdhdGNoLWhlcmU="
SOURCE = WebhookSource("app", "demo", "-", (SECRET,), ("alerts", "consents"))
TYPES = {"low-heart-rate": AlertType("low-heart-rate", "Low", "heart_rate", "/min")}
GATE = ConsentGate(Catalogue(alert_types=TYPES), ZoneInfo("America/New_York"))
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
ALERT = {
    "id": "a-1",
    "patient": "p1",
    "type": "low-heart-rate",
    "start": "2026-11-22T08:00:00-05:00",
    "value": 38,
    "unit": "bpm",
}


def consent(
    *actions: str,
    id: str = "c1",
    patient: str = "p1",
    status: str = "active",
    at: str = "2026-11-01T09:00:00Z",
    **provision: Any,
) -> dict[str, Any]:
    named = [{"coding": [{"system": ACTIONS, "code": each}]} for each in actions]
    return {
        "resourceType": "Consent",
        "id": id,
        "meta": {"lastUpdated": at},
        "status": status,
        "patient": {"reference": f"Patient/{patient}"},
        "provision": {"type": "permit", "action": named, **provision},
    }


ALL = consent("collect", "use", "disclose")
WITHDRAWN = consent(
    "collect", "use", "disclose", status="inactive", at="2026-11-22T13:00:00Z"
)


def bundle(*resources: Any) -> dict[str, Any]:
    entries = [{"resource": each} for each in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


Send = Callable[..., Acknowledgement]


@pytest.fixture
def send(store: Store) -> Send:
    """Deliver a body as a source with every format does, each with a key of its own."""
    sent = iter(range(1000))

    def send(
        format: Format, body: Any, source: WebhookSource = SOURCE, key: str = ""
    ) -> Acknowledgement:
        raw, delivery = json.dumps(body), key or f"msg_{next(sent)}"
        headers = {
            "webhook-id": delivery,
            "webhook-timestamp": str(int(NOW.timestamp())),
            "webhook-signature": Webhook(SECRET).sign(delivery, NOW, raw),
        }
        return accept(
            Delivery(format, headers, raw.encode(), NOW),
            Ingestion(store, (source,), lambda tenant: GATE, parse_json),
        )

    return send


@pytest.fixture
def tell(send: Send) -> Callable[..., Acknowledgement]:
    """Deliver Consents."""
    return lambda body, **more: send(CONSENTS, body, **more)


@pytest.fixture
def raise_alerts(send: Send) -> Callable[..., Acknowledgement]:
    """Deliver alerts."""
    return lambda *items, **more: send(ALERTS, {"alerts": items}, **more)


def stored(store: Store, patient: str = "p1") -> list[WearableAlert]:
    key = PatientKey("demo", "-", patient)
    return list(store.wearable_alerts(key, NOW - timedelta(days=30)).alerts)


def kept(store: Store, patient: str = "p1") -> list[tuple[str, str]]:
    """Id and status of the patient's Consents."""
    key = PatientKey("demo", "-", patient)
    return [
        (each.id, each.resource["status"]) for each in store.consents.of([key])[key]
    ]


def audited(store: Store) -> list[dict[str, Any]]:
    return [
        {"kind": each.kind, "patient": each.patient_id, **json.loads(each.detail)}
        for each in store.audit_entries()
    ]


# Told


def test_one_key_on_two_paths_is_two_deliveries(
    tell: Callable[..., Acknowledgement],
    raise_alerts: Callable[..., Acknowledgement],
    store: Store,
) -> None:
    assert tell(ALL, key="msg").status == 202
    first = raise_alerts(ALERT, key="msg")

    assert first.status == 202
    assert raise_alerts(ALERT, key="msg") == first
    assert len(stored(store)) == 1


def test_a_consent_is_kept_and_the_answer_says_what_is_permitted(
    tell: Callable[..., Acknowledgement], store: Store
) -> None:
    reply = tell(ALL)

    assert reply.status == 202
    assert reply.body == {
        "accepted": 1,
        "rejected": 0,
        "results": [
            {
                "index": 0,
                "id": "c1",
                "status": "accepted",
                "permits": ["collect", "use", "disclose"],
            }
        ],
    }
    assert kept(store) == [("c1", "active")]


def test_the_author_of_a_consent_that_permits_nothing_is_told_why(
    tell: Callable[..., Acknowledgement],
) -> None:
    labelled = consent("collect", securityLabel=[{"code": "R"}])

    (result,) = tell(labelled).body["results"]

    assert result["permits"] == []
    assert result["doubts"] == ["$.provision.securityLabel cannot be judged here."]


def test_the_answer_says_what_the_patient_s_consents_permit_together(
    tell: Callable[..., Acknowledgement],
) -> None:
    tell(ALL)
    denial = consent(id="c2", type="deny")
    denial["provision"]["action"] = ALL["provision"]["action"][1:]

    (result,) = tell(denial).body["results"]

    assert result["permits"] == ["collect"]


def test_a_bundle_brings_several_and_names_what_is_none(
    tell: Callable[..., Acknowledgement], store: Store
) -> None:
    reply = tell(
        bundle(
            ALL,
            {"resourceType": "Patient", "id": "p1"},
            consent("collect", id="c2", patient="p2"),
            consent("collect", id="c3", patient="../p3"),
            None,
        )
    )

    assert reply.status == 202
    assert [each["status"] for each in reply.body["results"]] == [
        "accepted",
        "rejected",
        "accepted",
        "rejected",
        "rejected",
    ]
    assert [
        each["problems"][0]["expression"]
        for each in reply.body["results"]
        if "problems" in each
    ] == [
        "$.entry[1].resource.patient.reference",
        "$.entry[3].resource.patient.reference",
        "$.entry[4].resource.patient.reference",
    ]
    assert kept(store, "p2") == [("c2", "active")]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"alerts": []},
        {"resourceType": "Bundle"},
        bundle(),
        bundle({}),
        bundle(*[ALL] * 1001),
        {**ALL, "meta": {}},
        {**ALL, "meta": {"lastUpdated": "2026-11-22T14:06:00Z"}},
        {**ALL, "patient": {"reference": "https://elsewhere.example/Patient/p1"}},
        {**ALL, "patient": {"reference": "Group/p1"}},
        {**ALL, "patient": {"display": "Jane"}},
        {**ALL, "subject": {"reference": "Patient/p2"}},
    ],
)
def test_what_is_no_consent_is_422_and_nothing_is_kept(
    tell: Callable[..., Acknowledgement], store: Store, body: Any
) -> None:
    reply = tell(body)

    assert reply.status == 422
    assert reply.body["resourceType"] == "OperationOutcome"
    assert kept(store) == []


def test_a_patient_may_be_named_with_the_server_whose_ids_the_source_uses(
    tell: Callable[..., Acknowledgement], store: Store
) -> None:
    base = "https://fhir.example/r4"
    of_base = WebhookSource("app", "demo", base, (SECRET,), ("consents",))
    full = {**ALL, "patient": {"reference": f"{base}/Patient/p1"}}

    assert tell(full, source=of_base).status == 202
    key = PatientKey("demo", base, "p1")
    assert [each.id for each in store.consents.of([key])[key]] == ["c1"]


def test_an_r5_consent_names_its_patient_as_subject(
    tell: Callable[..., Acknowledgement], store: Store
) -> None:
    r5 = {name: each for name, each in ALL.items() if name != "patient"}
    r5 |= {"subject": {"reference": "Patient/p1"}, "decision": "deny"}
    r5["provision"] = [{"action": ALL["provision"]["action"]}]

    (result,) = tell(r5).body["results"]

    assert result["permits"] == ["collect", "use", "disclose"]


def test_an_older_version_that_comes_late_is_outdated(
    tell: Callable[..., Acknowledgement], store: Store
) -> None:
    tell(WITHDRAWN)

    (result,) = tell(ALL).body["results"]

    assert (result["status"], result["permits"]) == ("outdated", [])
    assert kept(store) == [("c1", "inactive")]


def test_a_source_that_may_not_tell_of_consents_is_403(
    tell: Callable[..., Acknowledgement], store: Store
) -> None:
    watch = WebhookSource("watch", "demo", "-", (SECRET,))

    with pytest.raises(Forbidden):
        tell(ALL, source=watch)
    assert kept(store) == []
    assert audited(store)[-1]["path"] == "/wearables/v1/consents"


# Stored under a consent


def test_without_a_consent_no_alert_is_stored(
    raise_alerts: Callable[..., Acknowledgement], store: Store
) -> None:
    with pytest.raises(Forbidden) as refused:
        raise_alerts(ALERT)

    assert refused.value.problems[0].expression == "$.alerts[0].patient"
    assert stored(store) == []


def test_under_a_consent_to_collect_it_is(
    tell: Callable[..., Acknowledgement],
    raise_alerts: Callable[..., Acknowledgement],
    store: Store,
) -> None:
    tell(consent("collect"))

    assert raise_alerts(ALERT).status == 202
    assert [each.id for each in stored(store)] == ["a-1"]


def test_a_consent_to_use_is_none_to_collect(
    tell: Callable[..., Acknowledgement], raise_alerts: Callable[..., Acknowledgement]
) -> None:
    tell(consent("use", "disclose"))

    with pytest.raises(Forbidden):
        raise_alerts(ALERT)


def test_a_consent_is_for_the_patient_whose_it_is(
    tell: Callable[..., Acknowledgement], raise_alerts: Callable[..., Acknowledgement]
) -> None:
    tell(consent("collect", patient="p2"))

    with pytest.raises(Forbidden):
        raise_alerts(ALERT)


def test_of_several_patients_those_who_agreed_are_stored(
    tell: Callable[..., Acknowledgement],
    raise_alerts: Callable[..., Acknowledgement],
    store: Store,
) -> None:
    tell(ALL)

    reply = raise_alerts(
        {**ALERT, "id": "a-0", "patient": "p2"},
        ALERT,
        {**ALERT, "id": "a-3", "start": "now"},
    )

    assert reply.status == 202
    told = [(each["id"], each["status"]) for each in reply.body["results"]]
    assert told == [("a-0", "rejected"), ("a-1", "accepted"), ("a-3", "rejected")]
    assert stored(store, "p2") == []
    assert audited(store)[-1]["rejected"][0]["id"] in ("a-0", "a-3")


def test_refused_for_want_of_consent_the_key_is_free_for_when_there_is_one(
    tell: Callable[..., Acknowledgement], store: Store
) -> None:
    raw = json.dumps({"alerts": [ALERT]})
    headers = {
        "webhook-id": "same",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("same", NOW, raw),
    }

    def send_again() -> Acknowledgement:
        return accept(
            Delivery(ALERTS, headers, raw.encode(), NOW),
            Ingestion(store, (SOURCE,), lambda tenant: GATE, parse_json),
        )

    with pytest.raises(Forbidden):
        send_again()
    tell(ALL)
    assert send_again().status == 202


# Withdrawn


def test_who_withdraws_has_nothing_stored_any_more_and_what_lasts_ends(
    tell: Callable[..., Acknowledgement],
    raise_alerts: Callable[..., Acknowledgement],
    store: Store,
) -> None:
    tell(ALL)
    raise_alerts(ALERT)

    tell(WITHDRAWN)

    (ended,) = stored(store)
    assert (ended.status, ended.end) == ("closed", NOW)
    assert audited(store)[-1]["ended"] == [["p1", "app", "a-1"]]
    with pytest.raises(Forbidden):
        raise_alerts({**ALERT, "rev": 1})


def test_an_alert_may_be_taken_back_by_its_source_without_a_consent(
    tell: Callable[..., Acknowledgement],
    raise_alerts: Callable[..., Acknowledgement],
    store: Store,
) -> None:
    tell(ALL)
    raise_alerts(ALERT)
    tell(WITHDRAWN)

    reply = raise_alerts({**ALERT, "rev": 2, "status": "retracted"})

    assert reply.status == 202
    assert stored(store) == []


def test_a_consent_that_changes_while_an_alert_is_stored_is_heard(
    tell: Callable[..., Acknowledgement], store: Store, send: Send
) -> None:
    tell(ALL)

    def withdraw_meanwhile(*parts: Any) -> Judged:
        judged = ALERTS.judge(*parts)
        if kept(store) == [("c1", "active")]:
            tell(WITHDRAWN)
        return judged

    with pytest.raises(Forbidden):
        send(replace(ALERTS, judge=withdraw_meanwhile), {"alerts": [ALERT]})
    assert stored(store) == []


def test_consents_that_never_settle_are_503_and_the_key_is_free(
    tell: Callable[..., Acknowledgement], store: Store, send: Send
) -> None:
    hours = iter(range(24))

    def change_meanwhile(*parts: Any) -> Judged:
        judged = ALERTS.judge(*parts)
        tell(consent("collect", at=f"2026-11-21T{next(hours):02}:00:00Z"))
        return judged

    tell(consent("collect"))
    with pytest.raises(Unavailable) as refused:
        send(replace(ALERTS, judge=change_meanwhile), {"alerts": [ALERT]})
    assert isinstance(refused.value, CdsError)
    assert isinstance(refused.value.__cause__, ConsentsChanged)
    assert stored(store) == []


def test_the_trail_says_who_told_what_of_whom(
    tell: Callable[..., Acknowledgement], store: Store
) -> None:
    tell(bundle(ALL, {}))

    assert audited(store)[-1] == {
        "kind": "consent",
        "patient": "p1",
        "key": "msg_0",
        "consents": [["p1", "c1", "2026-11-01T09:00:00.000000Z", "active"]],
        "gone": [],
        "ended": [],
        "rejected": [
            {
                "index": 1,
                "status": "rejected",
                "problems": [
                    {
                        "expression": "$.entry[1].resource.patient.reference",
                        "text": "Must be Patient/ and an id.",
                    }
                ],
            }
        ],
    }
