"""Messages of HL7 v2: stored as every other delivery, and answered after that."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.config import WebhookSource
from cds_service.ingestion.judging import Ingestion
from cds_service.ingestion.messages import accept_message
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from cds_service.wearables.adapters.hl7v2.acknowledging import MessageOutcome
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey

from ..wearables.adapters.sources import CATALOGUE

NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)
ENGINE = WebhookSource("engine", "default", "-", (), ("hl7v2",))
PATIENT = PatientKey("default", "-", "p1")
Rows = Callable[[str], list[dict[str, Any]]]
AT = "20261122080000-0500"


def oru(*obx: str, id: str = "M-1", pid: str = "12345^^^HOSP^MR") -> bytes:
    lines = [
        f"MSH|^~\\&|MON|ICU|CDS|HOSP|20261122080100-0500||ORU^R01|{id}|P|2.5.1",
        f"PID|1||{pid}",
        "OBR|1||O-1^MON|VS",
        *(obx or (pulse(),)),
    ]
    return "\r".join(lines).encode()


def pulse(value: str = "74", at: str = AT, rest: str = "") -> str:
    return f"OBX|1|NM|8867-4^^LN||{value}|/min|||||F|||{at}{rest}"


@pytest.fixture
def ingestion(store: Store) -> Ingestion:
    """Patients permit everything; one is linked."""
    link = WearerLink("engine", PATIENT, datetime(2026, 1, 1, tzinfo=UTC), "HOSP|12345")
    store.links.add(link, AuditEvent(NOW, "link", "default", "operator"))
    gate = ConsentGate(CATALOGUE, assumed=True)
    return Ingestion(store, (ENGINE,), lambda tenant: gate, lambda raw: None)


def answered(ingestion: Ingestion, raw: bytes) -> tuple[MessageOutcome, str]:
    verdict = accept_message(raw, ENGINE, ingestion, NOW)
    return verdict.outcome, verdict.text


def kept(store: Store) -> list[float]:
    day = timedelta(days=1)
    found = store.samples.of(PATIENT, "heart-rate", NOW - day, NOW + day)
    return [each.sample.value for each in found]


def test_a_reading_becomes_the_patients_whom_the_link_names(
    ingestion: Ingestion, store: Store
) -> None:
    assert answered(ingestion, oru()) == (MessageOutcome.ACCEPT, "1 accepted")
    assert kept(store) == [74.0]


def test_the_same_message_again_has_the_same_answer_and_adds_nothing(
    ingestion: Ingestion, store: Store
) -> None:
    first = answered(ingestion, oru())

    assert answered(ingestion, oru()) == first
    assert kept(store) == [74.0]


def test_a_device_that_counts_anew_loses_nothing(
    ingestion: Ingestion, store: Store
) -> None:
    answered(ingestion, oru(id="1"))
    later = oru(pulse("80", "20261122080500-0500"), id="1")

    assert answered(ingestion, later) == (MessageOutcome.ACCEPT, "1 accepted")
    assert kept(store) == [74.0, 80.0]


def test_a_message_about_nobody_who_is_known_is_held_and_accepted(
    ingestion: Ingestion, store: Store, rows: Rows
) -> None:
    stranger = oru(pid="99^^^HOSP^MR")
    nobody = oru(pulse(rest="||||SN-1"), pid="")

    assert answered(ingestion, stranger) == (MessageOutcome.ACCEPT, "1 quarantined")
    assert answered(ingestion, nobody) == (MessageOutcome.ACCEPT, "1 quarantined")
    assert rows("SELECT count(*) AS n FROM quarantine") == [{"n": 2}]
    assert kept(store) == []


def test_what_can_be_mended_is_an_error_with_its_place(ingestion: Ingestion) -> None:
    raw = oru("OBX|1|NM|8867-4^^LN||74|furlong|||||F|||" + AT)

    verdict = accept_message(raw, ENGINE, ingestion, NOW)

    assert verdict.outcome is MessageOutcome.ERROR
    (error,) = verdict.errors
    assert (error.code, error.segment, error.sequence, error.field) == (
        *("103", "OBX", 1, 5),
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"hello",
        b"MSH|^~\\&|ADT||||1||ADT^A01|M-1|P|2.3\rPID|1||1",
        oru().replace(b"|2.5.1", b"|3.0"),
    ],
)
def test_what_never_will_be_taken_is_rejected(ingestion: Ingestion, raw: bytes) -> None:
    verdict = accept_message(raw, ENGINE, ingestion, NOW)

    assert verdict.outcome is MessageOutcome.REJECT
    assert verdict.errors


def test_of_a_patient_who_does_not_permit_it_nothing_is_stored(
    ingestion: Ingestion, store: Store
) -> None:
    gate = ConsentGate(CATALOGUE, assumed=False)
    strict = Ingestion(store, (ENGINE,), lambda tenant: gate, lambda raw: None)

    assert answered(strict, oru())[0] is MessageOutcome.REJECT
    assert kept(store) == []


def test_where_only_some_of_it_is_good_that_is_kept(
    ingestion: Ingestion, store: Store
) -> None:
    demo = f"OBX|2|NM|8867-4^^LN||200|/min||DEMO|||F|||{AT}"
    odd = f"OBX|3|NM|8867-4^^LN||900|/min|||||F|||{AT}"

    outcome, text = answered(ingestion, oru(pulse(), demo, odd))

    assert (outcome, text) == (
        MessageOutcome.ACCEPT,
        "1 accepted, 1 rejected, 1 skipped",
    )
    assert kept(store) == [74.0]


def test_a_message_is_an_error_while_the_database_is_away(
    ingestion: Ingestion, store: Store, rows: Rows
) -> None:
    rows("ALTER TABLE deliveries RENAME TO away")

    assert answered(ingestion, oru())[0] is MessageOutcome.ERROR
    assert kept(store) == []

    rows("ALTER TABLE away RENAME TO deliveries")

    assert answered(ingestion, oru())[0] is MessageOutcome.ACCEPT


def test_a_source_takes_over_mllp_what_it_may_deliver_alone(
    ingestion: Ingestion, store: Store
) -> None:
    other = WebhookSource("engine", "default", "-", (), ("samples",))

    verdict = accept_message(oru(), other, ingestion, NOW)

    assert verdict.outcome is MessageOutcome.REJECT
    assert kept(store) == []
