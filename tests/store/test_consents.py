"""Consents in the database: by patient, and heard at once by who decides by them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cds_service.audit import build_consent_event
from cds_service.store.records import (
    Attempt,
    AuditEvent,
    CallRecord,
    ConsentsChanged,
    ConsentUse,
    Intake,
    StoredAnswer,
)
from cds_service.store.store import Store
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange, stamp_of
from cds_service.wearables.records import PatientKey, WearableAlert

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
P1 = PatientKey("demo", "-", "p1")
OTHER_BASE = PatientKey("demo", "https://fhir.example", "p1")
START = datetime.fromisoformat("2026-11-22T08:00:00-05:00")
ALERT = WearableAlert("a-1", P1, "low-heart-rate", START, NOW, source="watch")


def record(id: str = "c1", patient: PatientKey = P1, hour: int = 9) -> ConsentRecord:
    updated = datetime(2026, 11, 1, hour, tzinfo=UTC)
    return ConsentRecord(patient, id, updated, "app", {"id": id, "status": "active"})


def change(*kept: ConsentRecord, patient: PatientKey = P1) -> ConsentChange:
    """What is told of a patient of whom nothing was known."""
    return ConsentChange(patient, frozenset(), kept)


def tell(store: Store, *changes: ConsentChange) -> None:
    event = build_consent_event(NOW, "demo", "app", changes, {})
    store.consents.record(changes, event)


def deliver(store: Store, intake: Intake, key: str = "k") -> None:
    event = AuditEvent(NOW, "delivery")
    attempt = Attempt("watch", key)
    store.begin_delivery(attempt, "digest", NOW)
    store.finish_delivery(attempt, StoredAnswer(202, "{}"), intake, event, NOW)


def call_under(use: ConsentUse) -> CallRecord:
    """A call about the patient."""
    return CallRecord(
        NOW, "ehr", "review", "patient-view", "i", P1, "digest", consent=use
    )


def alerts(store: Store) -> list[WearableAlert]:
    return list(store.wearable_alerts(P1, NOW - timedelta(days=30)).alerts)


def test_each_patient_has_their_own(store: Store) -> None:
    tell(store, change(record(), record("c2")))
    tell(store, change(record("c3", OTHER_BASE), patient=OTHER_BASE))

    stranger, north = PatientKey("demo", "-", "p2"), P1._replace(tenant="north")
    tell(store, change(record("c4", north), patient=north))
    assert store.consents.of([P1, stranger])[P1] == (record(), record("c2"))
    assert store.consents.of({P1, OTHER_BASE, stranger}) == {
        P1: (record(), record("c2")),
        OTHER_BASE: (record("c3", OTHER_BASE),),
        stranger: (),
    }


def test_the_consents_of_a_patient_come_by_their_ids(store: Store) -> None:
    for id in ("c3", "c1", "c2"):
        known = store.consents.of([P1])[P1]
        tell(store, ConsentChange(P1, stamp_of(known), (record(id),)))

    for asked in ([P1], [P1, OTHER_BASE]):
        found = store.consents.of(asked)[P1]
        assert [each.id for each in found] == ["c1", "c2", "c3"]


def test_more_patients_than_one_query_takes(store: Store) -> None:
    many = [PatientKey("demo", "-", f"p{number}") for number in range(1100)]
    for first in range(0, len(many), 50):
        some = many[first : first + 50]
        tell(store, *(change(record("c", each), patient=each) for each in some))

    found = store.consents.of(many)

    assert all(found[each] == (record("c", each),) for each in many)


def test_a_source_is_asked_of_whom_it_has_told(store: Store) -> None:
    other = PatientKey("demo", "-", "p2")
    by_ehr = replace(record("c2"), source="fhir:ehr")
    of_other = replace(record("c2", other), source="fhir:ehr")
    elsewhere = replace(record("c2", OTHER_BASE), source="fhir:ehr")
    tell(store, change(record(), by_ehr), change(of_other, patient=other))
    tell(store, change(elsewhere, patient=OTHER_BASE))

    assert store.consents.told_by("demo", "-", "fhir:ehr") == {
        P1: stamp_of([by_ehr]),
        other: stamp_of([of_other]),
    }
    assert store.consents.told_by("north", "-", "fhir:ehr") == {}


def test_a_later_version_takes_the_place_of_the_earlier(store: Store) -> None:
    tell(store, change(record()))
    later = record(hour=10)
    tell(store, ConsentChange(P1, stamp_of([record()]), (later,)))

    assert store.consents.of([P1])[P1] == (later,)


def test_what_is_gone_is_forgotten(store: Store) -> None:
    tell(store, change(record(), record("c2")))
    seen = stamp_of([record(), record("c2")])
    tell(store, ConsentChange(P1, seen, gone=("c1",)))

    assert store.consents.of([P1])[P1] == (record("c2"),)


def test_what_is_gone_of_one_patient_is_not_of_another(store: Store) -> None:
    other = PatientKey("demo", "-", "p2")
    for each in (P1, OTHER_BASE, other):
        tell(store, change(record(patient=each), patient=each))

    tell(store, ConsentChange(P1, stamp_of([record()]), gone=("c1",)))

    assert store.consents.of([P1, OTHER_BASE, other]) == {
        P1: (),
        OTHER_BASE: (record(patient=OTHER_BASE),),
        other: (record(patient=other),),
    }


CHANGED = r"\Aa patient's {} have changed meanwhile\Z"


def test_a_change_of_what_has_changed_meanwhile_is_not_stored(store: Store) -> None:
    tell(store, change(record()))

    with pytest.raises(ConsentsChanged, match=CHANGED.format("consents")):
        tell(store, change(record("c2")))
    assert store.consents.of([P1])[P1] == (record(),)
    assert len(list(store.audit_entries())) == 1


def test_an_alert_that_ends_with_its_consent_is_closed_at_that_moment(
    store: Store,
) -> None:
    deliver(store, Intake((ALERT,)))
    assert store.consents.lasting_alerts(P1) == (ALERT,)

    lasting = frozenset({("watch", "a-1")})
    tell(store, replace(change(record()), lasting=lasting, ended=(ALERT,)))

    (closed,) = alerts(store)
    assert closed == replace(ALERT, status="closed", end=NOW)
    assert closed.end and closed.end.utcoffset() == timedelta(hours=-5)
    assert store.consents.lasting_alerts(P1) == ()


def test_only_the_alert_that_ends_is_closed_and_from_then_on_it_is_of_the_past(
    store: Store,
) -> None:
    second, of_ring = replace(ALERT, id="a-2"), replace(ALERT, source="ring")
    deliver(store, Intake((ALERT, second, of_ring)))

    open_now = frozenset({("watch", "a-1"), ("watch", "a-2"), ("ring", "a-1")})
    tell(store, replace(change(record()), lasting=open_now, ended=(ALERT,)))

    assert set(store.consents.lasting_alerts(P1)) == {second, of_ring}
    afterwards = store.wearable_alerts(P1, NOW + timedelta(days=1)).alerts
    assert set(afterwards) == {second, of_ring}
    until_then = store.wearable_alerts(P1, NOW - timedelta(minutes=30)).alerts
    assert {(each.source, each.id) for each in until_then} == open_now


def test_what_lasts_of_others_and_what_is_over_stand_in_no_change_s_way(
    store: Store,
) -> None:
    of_other = replace(ALERT, patient=PatientKey("demo", "-", "p2"))
    over = replace(ALERT, id="a-0", status="closed", end=NOW)
    deliver(store, Intake((of_other, over)))

    tell(store, change(record()))

    assert store.consents.of([P1, OTHER_BASE]) == {P1: (record(),), OTHER_BASE: ()}


def test_an_alert_that_began_meanwhile_is_not_overlooked(store: Store) -> None:
    deliver(store, Intake((ALERT,)))

    with pytest.raises(ConsentsChanged, match=CHANGED.format("alerts")):
        tell(store, change(record()))


def test_alerts_are_not_stored_under_a_consent_that_was_withdrawn(store: Store) -> None:
    tell(store, change(record()))
    seen = {P1: stamp_of([record()])}
    tell(store, ConsentChange(P1, seen[P1], (record(hour=10),)))

    with pytest.raises(ConsentsChanged):
        deliver(store, Intake((ALERT,), seen=seen))
    assert alerts(store) == []
    assert [each.kind for each in store.audit_entries()] == ["consent", "consent"]


def test_a_call_is_not_recorded_under_a_consent_that_was_withdrawn(
    store: Store,
) -> None:
    tell(store, change(record()))
    call = call_under(ConsentUse("permitted", seen=stamp_of([record("c0")])))

    with pytest.raises(ConsentsChanged):
        store.record_call(call, AuditEvent(NOW, "call"))


def test_a_call_stores_the_consents_that_it_read(store: Store) -> None:
    use = ConsentUse("permitted", seen=frozenset(), change=change(record()))
    store.record_call(call_under(use), AuditEvent(NOW, "call"))

    assert store.consents.of([P1])[P1] == (record(),)


def test_an_alert_is_taken_back_only_where_it_is(store: Store) -> None:
    taken_back = replace(ALERT, status="retracted", rev=1)
    deliver(store, Intake(retracted=(taken_back,)), "k1")
    assert store.consents.lasting_alerts(P1) == ()

    deliver(store, Intake((ALERT,)), "k2")
    assert alerts(store) == [ALERT]
    deliver(store, Intake(retracted=(taken_back,)), "k3")
    assert alerts(store) == []
    deliver(store, Intake((replace(ALERT, rev=1),)), "k4")
    assert alerts(store) == []


def test_the_trail_says_what_was_told_of_whom_and_what_ended(store: Store) -> None:
    deliver(store, Intake((ALERT,)))
    lasting = frozenset({("watch", "a-1")})
    told = replace(change(record()), gone=("c9",), lasting=lasting, ended=(ALERT,))
    tell(store, told)

    entry = list(store.audit_entries())[-1]
    assert (entry.kind, entry.client, entry.patient_id) == ("consent", "app", "p1")
    assert json.loads(entry.detail) == {
        "consents": [["p1", "c1", "2026-11-01T09:00:00.000000Z", "active"]],
        "gone": [["p1", "c9"]],
        "ended": [["p1", "watch", "a-1"]],
    }
