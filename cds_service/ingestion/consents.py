"""Deliveries of patients' Consents: what changes with them, and the answer."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..audit import build_consent_event, build_delivery_event
from ..config import WebhookSource
from ..protocol.errors import Unprocessable
from ..store.records import AuditEvent, Intake
from ..wearables.adapters.consents import doubts, parse_consents, read_consent
from ..wearables.consent import ConsentRecord
from ..wearables.consent_gate import ConsentGate, plan_change
from .judging import (
    Acknowledgement,
    Format,
    Ingestion,
    Judged,
    acknowledge,
    always,
    problems_of,
    rejection,
)
from .whose import Deliverer


def judge_consents(
    body: Any, deliverer: Deliverer, ingestion: Ingestion, now: datetime
) -> Judged:
    """Return what the Consents change: 202, or 422 if there is none among the items."""
    source = deliverer.source
    try:
        told, rejected = parse_consents(body, source, now)
        if not told:
            raise Unprocessable(*problems_of(rejected))
    except Unprocessable as error:
        answer = Acknowledgement(error.status, error.as_json())
        return Judged(always(answer), lambda key: _refusal(answer, source, key, now))
    gate = ingestion.gate_of(source.tenant)
    patients = {each.patient for each in told.values()}
    known = ingestion.store.consents.of(patients)
    changes = tuple(
        plan_change(
            patient,
            known[patient],
            [each for each in told.values() if each.patient == patient],
            ingestion.store.consents.lasting_alerts(patient),
            gate,
            now,
        )
        for patient in sorted(patients)
    )
    after = {each.patient: each.after(known[each.patient]) for each in changes}
    results = {
        index: _result(record, after[record.patient], gate, now)
        for index, record in told.items()
    }
    answer = acknowledge(results, rejected)
    detail = {"rejected": [rejection(each) for each in rejected]}

    def build_event(key: str) -> AuditEvent:
        return build_consent_event(
            now, source.tenant, source.id, changes, {"key": key, **detail}
        )

    return Judged(always(answer), build_event, Intake(changes=changes))


def _result(
    record: ConsentRecord,
    held: Sequence[ConsentRecord],
    gate: ConsentGate,
    now: datetime,
) -> dict[str, Any]:
    """What is said of one Consent, and what the patient's permit together by now."""
    permitted = gate.permitted(gate.read(held), now)
    told = list(doubts(read_consent(record, gate.zone)))
    return {
        "id": record.id,
        "status": "accepted" if record in held else "outdated",
        "permits": [str(action) for action, of in permitted.items() if of],
        **({"doubts": told} if told else {}),
    }


def _refusal(
    answer: Acknowledgement, source: WebhookSource, key: str, now: datetime
) -> AuditEvent:
    return build_delivery_event(now, source.tenant, source.id, key, answer.status)


CONSENTS = Format("consents", "/wearables/v1/consents", judge_consents)
