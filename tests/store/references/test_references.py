"""References of cards: opened by who was shown the card, and gone when it is over."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cds_service.store.records import AuditEvent, CallRecord, StoreError
from cds_service.store.references.records import NewReference, digest_of
from cds_service.store.store import Store
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange
from cds_service.wearables.records import PatientKey

BASE = "https://ehr.example/fhir"
JANE = PatientKey("north", BASE, "jane")
REFERENCE, OTHER = "a-reference-that-nobody-guesses", "another-of-the-same-card"
EIGHT_HOURS = timedelta(hours=8)
Rows = Callable[[str], list[dict[str, Any]]]
MakeCall = Callable[..., CallRecord]


def new(at: datetime, reference: str = REFERENCE, **changes: Any) -> NewReference:
    usual = NewReference(
        digest_of(reference), "card-1", "why", at + EIGHT_HOURS, "sealed"
    )
    return replace(usual, **changes)


@pytest.fixture
def call(make_call: MakeCall, now: datetime) -> CallRecord:
    """A call about Jane whose card bears a reference."""
    return make_call(patient=JANE, references=(new(now),))


@pytest.fixture
def shown(store: Store, call: CallRecord, event: AuditEvent) -> Store:
    store.record_call(call, event)
    return store


def test_who_was_shown_the_card_opens_what_was_answered_as_often_as_they_like(
    shown: Store, now: datetime
) -> None:
    for minutes in (0, 5, 479):
        found = shown.references.resolve(
            *(REFERENCE, JANE, "sandbox", "Practitioner/1"),
            now + timedelta(minutes=minutes),
        )
        assert found is not None
        assert (found.card_uuid, found.page, found.sealed) == (
            "card-1",
            "why",
            "sealed",
        )
        assert (found.patient, found.client) == (JANE, "sandbox")
        assert found.user == "Practitioner/1"
        assert (found.at, found.until) == (now, now + EIGHT_HOURS)


@pytest.mark.parametrize(
    "changed",
    [
        {"reference": OTHER},
        {"reference": REFERENCE.upper()},
        {"reference": ""},
        {"reference": digest_of(REFERENCE)},
        {"patient": JANE._replace(tenant="south")},
        {"patient": JANE._replace(fhir_base="https://other.example/fhir")},
        {"patient": JANE._replace(fhir_base="-")},
        {"patient": JANE._replace(patient_id="john")},
        {"client": "another-ehr"},
        {"user": "Practitioner/2"},
        {"user": "PractitionerRole/1"},
        {"user": "https://other.example/fhir/Practitioner/1"},
        {"later": EIGHT_HOURS},
        {"later": timedelta(days=300)},
    ],
    ids=str,
)
def test_unknown_over_and_another_s_are_one_answer(
    shown: Store, now: datetime, changed: dict[str, Any]
) -> None:
    usual = {
        "reference": REFERENCE,
        "patient": JANE,
        "client": "sandbox",
        "user": "Practitioner/1",
    }
    asked = {**usual, **changed}
    later = asked.pop("later", timedelta())

    assert shown.references.resolve(**asked, now=now + later) is None


@pytest.mark.parametrize("user", [None, f"{BASE}/Practitioner/1", "Practitioner/1"])
def test_a_user_is_compared_where_both_are_known_however_it_is_written(
    shown: Store, now: datetime, user: str | None
) -> None:
    assert shown.references.resolve(REFERENCE, JANE, "sandbox", user, now)


def test_a_card_that_was_shown_to_nobody_known_is_opened_by_any_user(
    store: Store, call: CallRecord, event: AuditEvent, now: datetime
) -> None:
    store.record_call(replace(call, user=None), event)

    found = store.references.resolve(REFERENCE, JANE, "sandbox", "Practitioner/2", now)

    assert found is not None and found.user is None


def test_the_reference_itself_is_not_in_the_database(shown: Store, rows: Rows) -> None:
    (row,) = rows("SELECT * FROM card_references")

    assert REFERENCE not in str(row)
    assert row["call_id"] == rows("SELECT id FROM calls")[0]["id"]


def test_several_references_of_a_call_are_stored_with_its_cards(
    store: Store, call: CallRecord, event: AuditEvent, now: datetime, rows: Rows
) -> None:
    both = (new(now), new(now, OTHER, page="timeline"))

    store.record_call(replace(call, references=both), event)

    found = store.references.resolve(OTHER, JANE, "sandbox", None, now)
    assert found is not None and found.page == "timeline"
    assert len(rows("SELECT digest FROM card_references")) == 2


def test_a_call_that_cannot_be_recorded_leaves_no_reference(
    shown: Store, call: CallRecord, event: AuditEvent, now: datetime, rows: Rows
) -> None:
    twice = (new(now, OTHER), new(now))

    with pytest.raises(StoreError):
        shown.record_call(replace(call, references=twice), event)

    assert len(rows("SELECT id FROM calls")) == 1
    assert shown.references.resolve(OTHER, JANE, "sandbox", None, now) is None


def test_what_is_over_is_wiped_and_the_rest_stays(
    shown: Store, call: CallRecord, event: AuditEvent, now: datetime, rows: Rows
) -> None:
    later = (new(now, OTHER, until=now + timedelta(days=1)),)
    shown.record_call(replace(call, references=later), event)

    assert shown.references.wipe(now + EIGHT_HOURS - timedelta(seconds=1)) == 0
    assert shown.references.wipe(now + EIGHT_HOURS) == 1

    kept = rows("SELECT digest FROM card_references")
    assert kept == [{"digest": digest_of(OTHER)}]


def test_what_cards_refer_to_is_gone_once_the_patient_permits_something_else(
    shown: Store, call: CallRecord, event: AuditEvent, now: datetime
) -> None:
    john = JANE._replace(patient_id="john")
    of_john = replace(call, patient=john, references=(new(now, OTHER),))
    shown.record_call(of_john, event)
    record = ConsentRecord(JANE, "c1", now, "app", {"status": "inactive"})

    shown.consents.record([ConsentChange(JANE, frozenset(), (record,))], event)

    assert shown.references.resolve(REFERENCE, JANE, "sandbox", None, now) is None
    assert shown.references.resolve(OTHER, john, "sandbox", None, now)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
BASES = NAMES.map(lambda name: f"https://{name}.example/fhir")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(["reference", "tenant", "base", "id", "client", "user"]),
    told=NAMES,
    base=BASES,
)
def test_whoever_says_one_thing_otherwise_is_told_what_a_stranger_is(
    shown: Store, now: datetime, name: str, told: str, base: str
) -> None:
    right = {
        "reference": REFERENCE,
        "tenant": "north",
        "base": BASE,
        "id": "jane",
        "client": "sandbox",
        "user": "Practitioner/1",
    }
    value = base if name == "base" else told
    assume(value != right[name])
    said = {**right, name: value}
    patient = PatientKey(said["tenant"], said["base"], said["id"])

    found = shown.references.resolve(
        said["reference"], patient, said["client"], said["user"], now
    )

    assert found is None


def test_a_reference_is_sealed_anew_and_one_under_the_newest_key_is_left_alone(
    shown: Store, call: CallRecord, event: AuditEvent, now: datetime
) -> None:
    newest = (new(now, OTHER, sealed="new"),)
    shown.record_call(replace(call, references=newest), event)

    done = shown.references.reseal(lambda each: "new" if each.sealed != "new" else None)

    assert done == (1, 2)
    found = shown.references.resolve(REFERENCE, JANE, "sandbox", None, now)
    assert found is not None and found.sealed == "new"
