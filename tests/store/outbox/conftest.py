"""An outbox, whom it tells, and whose consent it asks for."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from cds_service.store.outbox.records import Begun, Lane
from cds_service.store.outbox.sending import Outbox
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.store import Store
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange, ConsentGate, stamp_of
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.telling import (
    PriorTelling,
    Subscription,
    TakenDay,
    Telling,
    ToldAs,
)

from ..detection.conftest import catalogue, detection, detector

__all__ = ["catalogue", "detection", "detector"]

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
JANE = PatientKey("north", "-", "jane")
EHR = Subscription("ehr", "north", days=(TakenDay("steps"), TakenDay("heart-rate")))


@pytest.fixture
def gate(catalogue: Catalogue) -> ConsentGate:
    """Patients agree until they say anything."""
    return ConsentGate(catalogue, UTC, assumed=True)


@pytest.fixture
def outbox(store: Store) -> Outbox:
    """The outbox of a store in which the EHR is told."""
    store.outbox.subscribe([EHR])
    return store.outbox


def alert(**changes: Any) -> WearableAlert:
    """One that began at half past nine and lasts; changed as given."""
    usual: dict[str, Any] = {
        "id": "a1",
        "patient": JANE,
        "type": "high-heart-rate",
        "start": NOW - timedelta(minutes=30),
        "opened": NOW,
        "metric": "heart-rate",
        "value": 120.0,
        "unit": "/min",
        "source": "watch",
    }
    return WearableAlert(**{**usual, **changes})


def tell(store: Store, *alerts: WearableAlert, now: datetime = NOW) -> None:
    """Have a vendor tell alerts."""
    event = AuditEvent(now, "delivery", "north", "watch")
    store.take_in(Intake(alerts=alerts), event, now)


def take_back(store: Store, *alerts: WearableAlert, now: datetime = NOW) -> None:
    """Have a vendor take alerts back."""
    event = AuditEvent(now, "delivery", "north", "watch")
    store.take_in(Intake(retracted=alerts), event, now)


def consent(permits: str, id: str = "c1", at: datetime = NOW) -> ConsentRecord:
    """A Consent of Jane's that permits or denies everything of her wearables."""
    action = "http://terminology.hl7.org/CodeSystem/consentaction"
    resource = {
        "status": "active",
        "provision": {
            "type": permits,
            "action": [
                {"coding": [{"system": action, "code": each}]}
                for each in ("collect", "use", "disclose")
            ],
        },
    }
    return ConsentRecord(JANE, id, at, "portal", resource)


def agree(
    store: Store,
    *consents: ConsentRecord,
    now: datetime = NOW,
    ended: tuple[WearableAlert, ...] = (),
) -> None:
    """Have Jane's Consents be these as well, which ends some of her alerts."""
    known = store.consents.of([JANE])[JANE]
    lasting = store.consents.lasting_alerts(JANE)
    named = frozenset((each.source, each.id) for each in lasting)
    change = ConsentChange(JANE, stamp_of(known), consents, lasting=named, ended=ended)
    store.consents.record([change], AuditEvent(now, "consent", "north", "portal"))


def begin(
    outbox: Outbox, gate: ConsentGate, now: datetime = NOW
) -> tuple[Lane, Begun] | None:
    """What the EHR is to be told next; None for nothing."""
    for lane in outbox.claim("ehr", 1, now):
        begun = outbox.begin(lane, gate, now)
        if begun:
            return lane, begun
    return None


def accepted(telling: Telling) -> PriorTelling:
    """What the other side has once it has taken a telling."""
    return PriorTelling(telling.rev, f"remote-{telling.key}", telling.status, "digest")


def tell_all(
    outbox: Outbox, gate: ConsentGate, now: datetime = NOW
) -> list[tuple[str, ToldAs]]:
    """Tell the EHR all that is due; which things, and how they stand there now."""
    told = []
    while found := begin(outbox, gate, now):
        lane, step = found
        next_one: Begun | None = step
        while next_one:
            telling = next_one.telling
            told.append((telling.key, telling.status))
            next_one = outbox.settle(lane, next_one, accepted(telling), gate, now)
    return told


def rows(url: str, table: str = "outbox") -> Sequence[dict[str, Any]]:
    """The rows of a table, in the order in which they came."""
    engine = create_engine(url)
    order = "id" if table == "outbox" else "patient_id"
    with engine.connect() as connection:
        asked = text(f"SELECT * FROM {table} ORDER BY {order}")
        found = [dict(each) for each in connection.execute(asked).mappings()]
    engine.dispose()
    return found
