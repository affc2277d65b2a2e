"""Deliveries of wearable alerts: what of them may be stored, and the answer.

To take an alert back needs no consent: it adds nothing to what is known of anybody.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ..audit import build_delivery_event
from ..config import WebhookSource
from ..protocol.errors import Forbidden, Problem, Unprocessable
from ..store.records import AuditEvent, Intake
from ..wearables.adapters.alerts import parse_alerts
from ..wearables.adapters.members import Rejected
from ..wearables.consent import ConsentAction
from ..wearables.consent_gate import stamp_of
from ..wearables.records import WearableAlert
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

NO_CONSENT = "No consent of the patient to the storing of these data is known."
Alerts = Mapping[int, WearableAlert]
"""By their place in the delivery."""


def judge_alerts(
    body: Any, deliverer: Deliverer, ingestion: Ingestion, now: datetime
) -> Judged:
    """Return what of the alerts is stored: 202, or 422 if none of them is good.

    Raises:
        Forbidden: if no consent permits to store any of those that are good.
    """
    source = deliverer.source
    gate = ingestion.gate_of(source.tenant)
    try:
        good, rejected = parse_alerts(body, source, gate.catalogue.alert_types, now)
        if not good:
            raise Unprocessable(*problems_of(rejected))
    except Unprocessable as error:
        return _judged(Acknowledgement(error.status, error.as_json()), source, now)
    known = ingestion.store.consents.of({each.patient for each in good})
    consents = {patient: gate.read(each) for patient, each in known.items()}
    placed = dict(_placed(good, rejected))
    stored = {
        index: alert
        for index, alert in placed.items()
        if gate.permits(ConsentAction.COLLECT, alert, consents[alert.patient], now)
    }
    retracted = {
        index: alert
        for index, alert in placed.items()
        if index not in stored and alert.status == "retracted"
    }
    accepted = {**stored, **retracted}
    rejected = (*rejected, *_without_consent(placed, accepted))
    if not accepted:
        raise Forbidden(*problems_of(rejected))
    told = {
        index: {"id": alert.id, "status": "accepted"}
        for index, alert in accepted.items()
    }
    intake = Intake(
        alerts=tuple(stored.values()),
        retracted=tuple(retracted.values()),
        seen={patient: stamp_of(each) for patient, each in known.items()},
        detection=ingestion.detection_of(source.tenant),
    )
    return _judged(acknowledge(told, rejected), source, now, intake, rejected)


def _without_consent(placed: Alerts, accepted: Alerts) -> Iterator[Rejected]:
    for index, alert in placed.items():
        if index not in accepted:
            problem = Problem(NO_CONSENT, f"$.alerts[{index}].patient")
            yield Rejected(index, alert.id, (problem,))


def _placed(
    good: Sequence[WearableAlert], rejected: Sequence[Rejected]
) -> Iterator[tuple[int, WearableAlert]]:
    """The good ones with their places, which are those that no other has."""
    faulty = {each.index for each in rejected}
    places = (each for each in range(len(good) + len(faulty)) if each not in faulty)
    return zip(places, good, strict=True)


def _judged(
    answer: Acknowledgement,
    source: WebhookSource,
    now: datetime,
    intake: Intake = Intake(),
    rejected: Sequence[Rejected] = (),
) -> Judged:
    alerts = (*intake.alerts, *intake.retracted)
    detail = {"rejected": [rejection(each) for each in rejected]}

    def build_event(key: str) -> AuditEvent:
        return build_delivery_event(
            now, source.tenant, source.id, key, answer.status, alerts, detail
        )

    return Judged(always(answer), build_event, intake)


ALERTS = Format("alerts", "/wearables/v1/alerts", judge_alerts)
