"""The audit trail: what is told, what is withheld, and what tampering leaves behind."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from cds_service.audit import (
    Break,
    anchors,
    build_call_event,
    build_delivery_event,
    build_feedback_event,
    build_refusal_event,
    export,
    verify,
)
from cds_service.protocol.cards import Coding
from cds_service.protocol.errors import InvalidRequest, Problem, Unauthenticated
from cds_service.protocol.feedback import FeedbackEntry, FeedbackOutcome
from cds_service.protocol.requests import FhirAuthorization, HookRequest
from cds_service.store.records import (
    AuditEvent,
    CallRecord,
    CardRecord,
    ConsentUse,
    EvaluationRecord,
    SourceRecord,
    SuppressionRecord,
    SystemActionRecord,
)
from cds_service.store.store import Store
from cds_service.store.trail.chain import entry_hash
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange
from cds_service.wearables.records import PatientKey, WearableAlert

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PATIENT = PatientKey("north", "-", "p1")
EVENT = AuditEvent(NOW, "call", "north", "sandbox", PATIENT, {"user": "Müller"})


@dataclass(frozen=True)
class Somebody:
    id: str = "sandbox"
    tenant: str = "north"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store with four rows in its audit trail."""
    opened = Store.open(url)
    for _ in range(4):
        opened.record_audit(EVENT)
    yield opened
    opened.close()


@pytest.fixture
def tell(url: str) -> Iterator[Callable[[str], object]]:
    """Has the database itself do something."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection.exec_driver_sql
    engine.dispose()


@pytest.fixture
def tamper(kind: str, tell: Callable[[str], object]) -> Callable[[str], None]:
    """Changes the database behind the store's back, as only its owner can."""

    def run(sql: str) -> None:
        if kind == "postgresql":
            tell("SET session_replication_role = replica")
        else:
            for verb in ("update", "delete"):
                tell(f"DROP TRIGGER IF EXISTS audit_is_append_only_{verb}")
        tell(sql)

    return run


def test_a_call_says_who_asked_what_about_whom_and_what_each_rule_said() -> None:
    told = ConsentRecord(PATIENT, "c1", NOW, "fhir:sandbox", {"status": "active"})
    change = ConsentChange(PATIENT, frozenset(), (told,), ("c2",))
    call = CallRecord(
        at=NOW,
        client="sandbox",
        service="wearable-review",
        hook="patient-view",
        hook_instance="i",
        patient=PATIENT,
        rulebook="sha256:0123",
        user="Practitioner/1",
        sources=(
            SourceRecord("conditions", "loaded", foreign=2),
            SourceRecord("observations", "missing"),
        ),
        evaluations=(
            EvaluationRecord("a", "1.0.0", "fires"),
            EvaluationRecord("b", "2.1.0", "unknown", ("observations not_read",)),
            EvaluationRecord("d", "1.0.0", "unknown", ("observations not_read",)),
        ),
        cards=(CardRecord("u1", "a", "1.0.0", "key", "warning", NOW),),
        suppressions=(
            SuppressionRecord(
                "c", "1.1.0", 0, "key", "grouped", None, "group x, told by a"
            ),
        ),
        system_actions=(
            SystemActionRecord("a", "1.0.0", "create", "Task"),
            SystemActionRecord("a", "1.0.0", "delete", "MedicationRequest/12"),
        ),
        consent=ConsentUse("part", 2, False, ("c1",), change=change),
        deviations=("no userId",),
    )

    event = build_call_event(call)

    assert (event.at, event.kind) == (NOW, "call")
    assert (event.tenant, event.client, event.patient) == ("north", "sandbox", PATIENT)
    assert event.detail == {
        "service": "wearable-review",
        "hook": "patient-view",
        "hookInstance": "i",
        "user": "Practitioner/1",
        "rulebook": "sha256:0123",
        "sources": {
            "conditions": ["loaded", "", 0, 0, 2],
            "observations": ["missing"],
        },
        "foreign": 2,
        "evaluations": [
            ["fires", [], ["a@1.0.0"]],
            ["unknown", ["observations not_read"], ["b@2.1.0", "d@1.0.0"]],
        ],
        "cards": [["u1", "a@1.0.0", "warning"]],
        "suppressed": [["c@1.1.0", 0, "grouped", "group x, told by a"]],
        "systemActions": [
            ["a@1.0.0", "create", "Task"],
            ["a@1.0.0", "delete", "MedicationRequest/12"],
        ],
        "consent": {
            "state": "part",
            "withheld": 2,
            "disclose": False,
            "consents": ("c1",),
            "told": [["p1", "c1", "2026-03-01T12:00:00.000000Z", "active"]],
            "gone": [["p1", "c2"]],
        },
        "deviations": ("no userId",),
    }


def test_of_what_was_not_a_call_says_nothing() -> None:
    call = CallRecord(NOW, "sandbox", "s", "patient-view", "i", PATIENT, "digest")

    assert build_call_event(call).detail == {
        "service": "s",
        "hook": "patient-view",
        "hookInstance": "i",
        "rulebook": "digest",
    }


def test_a_refusal_of_somebody_unknown_has_the_reason_that_was_withheld() -> None:
    event = build_refusal_event(NOW, Unauthenticated("unknown kid"), "/cds-services/a")

    assert (event.kind, event.tenant, event.client) == ("refusal", "", "")
    assert event.patient is None
    assert event.detail == {
        "path": "/cds-services/a",
        "status": 401,
        "reason": "unknown kid",
    }


def test_a_refusal_of_a_known_client_names_the_patient_and_never_the_token() -> None:
    hook_request = HookRequest(
        hook="patient-view",
        hook_instance="i",
        instance_is_uuid=False,
        patient_id="p1",
        user_id="Practitioner/1",
        encounter_id=None,
        context={},
        prefetch={},
        fhir_server="https://fhir.example",
        fhir_authorization=FhirAuthorization("secret", "scope", "subject"),
    )

    event = build_refusal_event(
        NOW, InvalidRequest(Problem("No.")), "/cds-services/a", Somebody(), hook_request
    )

    assert (event.client, event.patient) == ("sandbox", PATIENT)
    assert event.detail["reason"] == ["No."]
    assert "secret" not in json.dumps(event.detail)


def test_what_somebody_unknown_has_sent_is_cut() -> None:
    event = build_refusal_event(NOW, Unauthenticated("no kid"), "/" + "a" * 10_000)

    assert len(event.detail["path"]) == 300


def test_a_delivery_says_what_was_stored_about_whom() -> None:
    alert = WearableAlert("a1", PATIENT, "low-heart-rate", NOW, NOW, rev=2)

    event = build_delivery_event(NOW, "north", "w", "k", 202, [alert], {"rejected": 1})

    assert (event.client, event.patient) == ("w", PATIENT)
    assert event.detail == {
        "key": "k",
        "status": 202,
        "alerts": [["p1", "a1", 2, "low-heart-rate", "open"]],
        "rejected": 1,
    }


def test_a_delivery_about_several_patients_is_about_none_in_particular() -> None:
    patients = [PATIENT, PATIENT._replace(patient_id="p2")]
    alerts = [WearableAlert("a", each, "t", NOW, NOW) for each in patients]

    assert build_delivery_event(NOW, "north", "w", "k", 202, alerts).patient is None


def test_f_11_feedback_is_told_without_the_clinicians_own_words() -> None:
    entry = FeedbackEntry(
        "u1",
        FeedbackOutcome.OVERRIDDEN,
        NOW,
        reason=Coding("https://codes.example", "seen", "Seen"),
        comment="Known since May.",
    )

    event = build_feedback_event("wearable-review", [entry], Somebody(), NOW)

    assert event.detail == {
        "service": "wearable-review",
        "feedback": [["u1", "overridden", "https://codes.example|seen"]],
    }


def test_export_gives_a_line_of_json_a_row(store: Store) -> None:
    lines = [json.loads(line) for line in export(store)]

    assert [line["sequence"] for line in lines] == [1, 2, 3, 4]
    assert lines[0]["at"] == "2026-03-01T12:00:00.000000Z"
    assert lines[0]["patient_id"] == "p1"
    assert lines[0]["detail"] == {"user": "Müller"}
    assert lines[1]["previous_hash"] == lines[0]["hash"]


def test_a_trail_as_it_was_written_has_no_break(store: Store, url: str) -> None:
    other = Store.open(url)
    other.record_audit(EVENT)
    store.record_audit(EVENT)
    other.close()

    assert verify(store) == []


@pytest.mark.parametrize(
    "column", ["at", "kind", "tenant", "client", "fhir_base", "patient_id", "detail"]
)
def test_a_changed_row_is_found(
    store: Store, tamper: Callable[[str], None], column: str
) -> None:
    tamper(f"UPDATE audit SET {column} = 'x' WHERE sequence = 2")

    (found,) = verify(store)

    assert (found.sequence, found.problem) == (2, "the row was changed")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("DELETE FROM audit WHERE sequence = 1", [(2, "rows 1 to 1 are missing")]),
        (
            "DELETE FROM audit WHERE sequence IN (2, 3)",
            [(4, "rows 2 to 3 are missing")],
        ),
        (
            "UPDATE audit SET previous_hash = 'x' WHERE sequence = 3",
            [
                (3, "the row does not follow from the row before it"),
                (3, "the row was changed"),
            ],
        ),
        (
            "UPDATE audit SET hash = 'x' WHERE sequence = 2",
            [
                (2, "the row was changed"),
                (3, "the row does not follow from the row before it"),
            ],
        ),
        (
            "UPDATE audit SET id = 9 WHERE sequence = 2",
            [(3, "rows 2 to 2 are missing")],
        ),
    ],
)
def test_a_removed_moved_or_relinked_row_is_found(
    store: Store,
    tamper: Callable[[str], None],
    sql: str,
    expected: list[tuple[int, str]],
) -> None:
    tamper(sql)

    found = [(each.sequence, each.problem) for each in verify(store)]

    assert found[: len(expected)] == expected


def test_a_cut_tail_cannot_be_seen(store: Store, tamper: Callable[[str], None]) -> None:
    tamper("DELETE FROM audit WHERE sequence > 2")

    assert verify(store) == []


@pytest.mark.parametrize("sql", ["UPDATE audit SET kind = 'x'", "DELETE FROM audit"])
def test_the_database_itself_refuses_to_change_the_trail(
    store: Store, tell: Callable[[str], object], sql: str
) -> None:
    with pytest.raises(DBAPIError, match="append-only"):
        tell(sql)

    assert verify(store) == []


def test_an_anchor_shows_that_the_end_was_cut_off(
    store: Store, tamper: Callable[[str], None]
) -> None:
    (anchor,) = anchors(store)
    tamper("DELETE FROM audit WHERE sequence > 2")

    assert anchor.sequence == 4
    assert verify(store, [anchor]) == [
        Break(anchor.writer, 4, "the row that was anchored is missing")
    ]


def test_an_anchor_shows_that_a_chain_was_written_anew(
    store: Store, tamper: Callable[[str], None]
) -> None:
    (anchor,) = anchors(store)
    (newest,) = [each for each in store.audit_entries() if each.sequence == 4]
    forged = entry_hash(replace(newest, kind="x"))
    tamper(f"UPDATE audit SET kind = 'x', hash = '{forged}' WHERE sequence = 4")

    assert verify(store) == []
    assert verify(store, [anchor]) == [
        Break(anchor.writer, 4, "the row is not the one that was anchored")
    ]


def test_rows_after_an_anchor_change_nothing(store: Store) -> None:
    kept = anchors(store)
    store.record_audit(EVENT)

    assert verify(store, kept) == []


def test_a_break_names_the_writer(store: Store, tamper: Callable[[str], None]) -> None:
    writer = next(store.audit_entries()).writer
    tamper("UPDATE audit SET kind = 'x' WHERE sequence = 4")

    assert verify(store) == [Break(writer, 4, "the row was changed")]
