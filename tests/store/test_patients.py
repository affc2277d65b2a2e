"""All that is kept of one patient: written out, or removed as far as it may be."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.audit import (
    build_audit_event,
    build_call_event,
    build_consent_event,
    build_delivery_event,
    export,
    verify,
)
from cds_service.protocol.feedback import FeedbackEntry, FeedbackOutcome
from cds_service.store.records import (
    Attempt,
    AuditEvent,
    CallRecord,
    CardRecord,
    Intake,
    StoredAnswer,
    SuppressionRecord,
)
from cds_service.store.references.records import NewReference
from cds_service.store.store import Store
from cds_service.store.upkeep.patients import Asked
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange
from cds_service.wearables.records import PatientKey, WearableAlert

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
JANE, JOHN = PatientKey("north", "-", "jane"), PatientKey("north", "-", "john")
ELSEWHERE = PatientKey("south", "-", "jane")
Rows = Callable[[str], list[dict[str, Any]]]


class Client:
    """Whoever was shown the cards."""

    id, tenant = "sandbox", "north"


@pytest.fixture
def ward(
    store: Store,
    make_call: Callable[..., CallRecord],
    make_alert: Callable[..., WearableAlert],
) -> Store:
    """Three patients, two of one id: calls, feedback, alerts and Consents of each."""
    for patient in (JANE, JOHN, ELSEWHERE):
        record = ConsentRecord(patient, "c1", NOW, "app", {"status": "active"})
        change = ConsentChange(patient, frozenset(), (record,))
        told = build_consent_event(NOW, patient.tenant, "app", [change], {})
        store.consents.record([change], told)
        card = CardRecord(f"card-{patient.tenant}-{patient.patient_id}", "a", "1.0.0",
                          "k", "warning", NOW)  # fmt: skip
        line = SuppressionRecord("b", "1.0.0", 0, "l", "grouped", None, "", "info", "a")
        until = NOW + timedelta(hours=8)
        refers = NewReference(f"d-{card.uuid}", card.uuid, "why", until, "sealed")
        call = make_call(at=NOW, patient=patient, cards=(card,), suppressions=(line,),
                         references=(refers,))  # fmt: skip
        store.record_call(call, build_call_event(call))
        entry = FeedbackEntry(card.uuid, FeedbackOutcome.ACCEPTED, NOW, (), None, "")
        event = AuditEvent(NOW, "feedback", patient.tenant, "sandbox")
        store.record_feedback("wearable-review", [entry], Client, event, NOW)
        deliver(store, [make_alert(patient=patient)])
    deliver(store, [make_alert(patient=each, id="both") for each in (JANE, JOHN)])
    return store


def deliver(store: Store, alerts: list[WearableAlert]) -> None:
    tenant = alerts[0].patient.tenant
    attempt = Attempt(
        "watch", f"{tenant}-{alerts[0].patient.patient_id}-{alerts[0].id}"
    )
    store.begin_delivery(attempt, "digest", NOW)
    event = build_delivery_event(NOW, tenant, "watch", attempt.key, 202, alerts)
    store.finish_delivery(
        attempt, StoredAnswer(202, "{}"), Intake(tuple(alerts)), event, NOW
    )


def asked(patient: PatientKey = JANE) -> Asked:
    return Asked(patient, "operator:me", NOW)


def bodies(store: Store, kind: str) -> list[str]:
    return [each.detail for each in store.audit_entries() if each.kind == kind]


def test_everything_about_the_patient_is_written_and_nothing_about_another(
    ward: Store,
) -> None:
    rows = list(ward.patients.export(asked()))

    counted: dict[str, int] = {}
    for row in rows:
        counted[row["table"]] = counted.get(row["table"], 0) + 1
    assert counted == {
        "wearable_alerts": 2,
        "consents": 1,
        "calls": 1,
        "cards": 1,
        "card_references": 1,
        "suppressions": 1,
        "feedback": 1,
        "audit": 4,
    }
    whole = json.dumps(rows)
    assert "john" not in whole and "south" not in whole
    assert "both" in whole


def test_what_a_reference_of_a_card_has_sealed_is_written_out_for_nobody(
    ward: Store,
) -> None:
    rows = ward.patients.export(asked())

    (told,) = [each for each in rows if each["table"] == "card_references"]

    assert told["card"] == "card-north-jane"
    assert not {"digest", "sealed"} & {*told}


def test_that_it_was_written_is_audited(ward: Store) -> None:
    list(ward.patients.export(asked()))

    last = list(ward.audit_entries())[-1]

    assert (last.kind, last.client, last.patient_id) == (
        *("disclosure", "operator:me", "jane"),
    )
    assert json.loads(last.detail)["rows"]["wearable_alerts"] == 2


def test_what_rests_on_consent_is_removed_and_calls_stay(
    ward: Store, rows: Rows
) -> None:
    done = ward.patients.erase(asked(), calls=False)

    assert done.removed == {
        "wearable_alerts": 2,
        "card_references": 1,
        "consents": 1,
        "consent_guards": done.removed["consent_guards"],
        "audit": 3,
    }
    assert done.left == {"calls": 1, "cards": 1, "audit": 1}
    alerts = rows("SELECT tenant, patient_id, id FROM wearable_alerts")
    assert len(alerts) == 3
    assert {"tenant": "north", "patient_id": "jane", "id": "both"} not in alerts
    cards = [each["card"] for each in rows("SELECT card FROM card_references")]
    assert sorted(cards) == ["card-north-john", "card-south-jane"]
    assert bodies(ward, "delivery").count("") == 2
    assert bodies(ward, "consent").count("") == 1
    assert "" not in bodies(ward, "call")
    assert verify(ward) == []


def test_with_calls_nothing_names_the_patient_and_the_trail_verifies(
    ward: Store, rows: Rows
) -> None:
    done = ward.patients.erase(asked(), calls=True)

    assert done.left == {}
    assert verify(ward) == []
    tables = "calls cards card_references wearable_alerts consents patient_keys"
    for table in tables.split():
        found = rows(f"SELECT * FROM {table} WHERE patient_id = 'jane'")
        assert [each["tenant"] for each in found] == ["south"], table
    assert [each["card"] for each in rows("SELECT card FROM feedback")] == [
        *("card-north-john", "card-south-jane"),
    ]
    assert len(rows("SELECT id FROM suppressions")) == 2
    assert not [
        each
        for each in ward.audit_entries()
        if each.tenant == "north" and "jane" in (each.patient_id + each.detail)
    ]


def test_the_rows_of_who_was_erased_can_be_told_to_be_of_one_and_not_of_whom(
    ward: Store,
) -> None:
    before = {
        each.pseudonym for each in ward.audit_entries() if each.patient_id == "jane"
    }
    ward.patients.erase(asked(), calls=True)

    kept = {
        each.pseudonym
        for each in ward.audit_entries()
        if each.erased and each.tenant == "north"
    }

    assert kept <= {"", *before} and len(kept - {""}) == 1
    assert ward.patients.erase(asked(), calls=True).removed["audit"] == 0


def test_an_erasure_is_told_by_the_pseudonym_and_not_by_the_name(ward: Store) -> None:
    ward.patients.erase(asked(), calls=True)

    begun, done = bodies(ward, "erasure")

    assert json.loads(begun)["begun"]
    assert json.loads(done)["removed"]["calls"] == 1
    assert json.loads(done)["pseudonym"] == json.loads(begun)["pseudonym"] != ""
    assert "jane" not in begun + done


def test_an_id_that_json_writes_otherwise_is_found_in_rows_about_several(
    store: Store, make_alert: Callable[..., WearableAlert]
) -> None:
    quoted = PatientKey("north", "-", 'ja"ne')
    deliver(store, [make_alert(patient=each) for each in (quoted, JOHN)])

    store.patients.erase(asked(quoted), calls=True)

    assert bodies(store, "delivery") == [""]


def test_rows_of_the_first_version_stay_until_they_are_pruned(
    store: Store, rows: Rows
) -> None:
    store.record_audit(AuditEvent(NOW, "delivery", "north", "watch", JANE))
    rows("""
        INSERT INTO audit SELECT 1000, 'old', 1, '', 'h', at, kind, tenant, client,
            fhir_base, patient_id, detail, 1, '', '', '' FROM audit
    """)

    done = store.patients.erase(asked(), calls=True)

    assert (done.removed["audit"], done.left) == (1, {"audit": 1})


def test_an_erased_row_is_exported_as_one(ward: Store) -> None:
    ward.patients.erase(asked(), calls=True)

    lines = [json.loads(line) for line in export(ward)]
    events = [build_audit_event(each) for each in ward.audit_entries() if each.erased]

    assert [each["detail"] for each in lines if each["body_digest"]] == [None] * 4
    assert all("jane" not in json.dumps(each) for each in events)


def test_a_patient_whose_key_is_gone_is_called_otherwise_afterwards(
    ward: Store,
) -> None:
    before = {each.pseudonym for each in ward.audit_entries()}
    ward.patients.erase(asked(), calls=True)
    other = Store(ward._connect)

    other.record_audit(AuditEvent(NOW + timedelta(1), "call", "north", "ehr", JANE))

    assert list(ward.audit_entries())[-1].pseudonym not in before
    other.close()
