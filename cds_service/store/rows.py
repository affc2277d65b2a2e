"""Records to rows and back."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from operator import attrgetter
from typing import Any

from sqlalchemy import Row, RowMapping

from ..wearables.records import PatientKey, RecentAlerts, WearableAlert
from .records import (
    AuditEntry,
    CallRecord,
    CardRecord,
    SuppressionRecord,
)
from .references.records import NewReference

Values = Mapping[str, Any]
fromisoformat, fromtimestamp = datetime.fromisoformat, datetime.fromtimestamp


def call_row(call: CallRecord) -> Values:
    """Return the row of ``calls``."""
    return {
        "at": instant(call.at),
        "tenant": call.patient.tenant,
        "client": call.client,
        "service": call.service,
        "hook": call.hook,
        "hook_instance": call.hook_instance,
        "fhir_base": call.patient.fhir_base,
        "patient_id": call.patient.patient_id,
        "user": call.user,
        "encounter": call.encounter,
        "rulebook": "",
        "sources": "",
        "evaluations": "",
        "deviations": "",
    }


def card_row(card: CardRecord, call: CallRecord) -> dict[str, Any]:
    """Return the row of ``cards``, but for the key of its call."""
    return {
        "uuid": card.uuid,
        "tenant": call.patient.tenant,
        "client": call.client,
        "service": call.service,
        "fhir_base": call.patient.fhir_base,
        "patient_id": call.patient.patient_id,
        "rule": card.rule,
        "version": card.version,
        "dedup_key": card.dedup_key,
        "key_digest": key_digest(call.patient, card.dedup_key),
        "indicator": card.indicator,
        "shown_at": instant(card.shown_at),
        "evidence": canonical_json(card.evidence),
    }


def suppression_row(suppression: SuppressionRecord) -> dict[str, Any]:
    """Return the row of ``suppressions``, but for the key of its call."""
    return {
        "rule": suppression.rule,
        "version": suppression.version,
        "card_index": suppression.index,
        "dedup_key": suppression.dedup_key,
        "why": suppression.why,
        "until": instant(suppression.until) if suppression.until else None,
        "detail": suppression.detail,
        "indicator": suppression.indicator or None,
        "told_under": suppression.told_under or None,
    }


def reference_row(reference: NewReference, call: CallRecord) -> dict[str, Any]:
    """Return the row of ``card_references``, but for the key of its call."""
    return {
        **call.patient._asdict(),
        "digest": reference.digest,
        "card": reference.card,
        "client": call.client,
        "user": call.user,
        "page": reference.page,
        "at": instant(call.at),
        "until_utc": reference.until.timestamp(),
        "sealed": reference.sealed,
    }


def alert_row(alert: WearableAlert) -> Values:
    """Return the row of ``wearable_alerts``."""
    return {
        **alert.patient._asdict(),
        "source": alert.source,
        "id": alert.id,
        "rev": alert.rev,
        "type": alert.type,
        "metric": alert.metric,
        "value": alert.value,
        "unit": alert.unit,
        "stat": alert.stat,
        "threshold": alert.threshold,
        "start": alert.start.isoformat(),
        "end": alert.end.isoformat() if alert.end else None,
        "start_utc": alert.start.timestamp(),
        "end_utc": alert.end.timestamp() if alert.end else None,
        "opened": instant(alert.opened),
        "status": alert.status,
        "origin": alert.origin,
        "device": alert.device,
        "coverage": alert.coverage,
        "n": alert.n,
        "local": alert.local,
        "link": alert.link,
        "detector": alert.detector,
        "version": "",
        "closing": "",
        "replaced_by": "",
        "last_utc": alert.last.timestamp() if alert.last else None,
        "median": alert.median,
        "stored_us": None,
        "historical": alert.historical,
    }


def retraction_row(alert: WearableAlert) -> Values:
    """Return what names an alert that is taken back, and the revision that does so."""
    return {
        **{f"of_{name}": value for name, value in alert.patient._asdict().items()},
        "of_source": alert.source,
        "of_id": alert.id,
        "of_rev": alert.rev,
    }


def audit_row(entry: AuditEntry) -> Values:
    """Return the row of ``audit``."""
    return {name: getattr(entry, name) for name in AuditEntry.__slots__}


def audit_entry(row: RowMapping) -> AuditEntry:
    """Return the entry that a row of ``audit`` holds."""
    return AuditEntry(**{name: row[name] for name in AuditEntry.__slots__})


def wearable_alert(row: Row[Any], patient: PatientKey | None = None) -> WearableAlert:
    """Return the alert that a row of ``wearable_alerts`` holds.

    Args:
        patient: Whose it is, where the row does not say.
    """
    return WearableAlert(
        id=row.id,
        patient=patient or PatientKey(row.tenant, row.fhir_base, row.patient_id),
        type=row.type,
        start=fromisoformat(row.start),
        opened=fromisoformat(row.opened),
        end=fromisoformat(row.end) if row.end else None,
        metric=row.metric,
        value=row.value,
        unit=row.unit,
        stat=row.stat,
        threshold=row.threshold,
        status=row.status,
        rev=row.rev,
        origin=row.origin,
        device=row.device,
        source=row.source,
        coverage=row.coverage,
        n=row.n,
        local=bool(row.local),
        link=row.link,
        detector=row.detector,
        historical=bool(row.historical),
        median=row.median,
        last=None if row.last_utc is None else fromtimestamp(row.last_utc, UTC),
    )


def recent_alerts(
    found: Sequence[Row[Any]], most: int, patient: PatientKey
) -> RecentAlerts:
    """Return the *most* newest of a patient's alerts; what lasts is newest."""
    newest = found
    if len(found) > most:
        newest = sorted(found, key=_recency, reverse=True)[:most]
    kept = sorted(newest, key=attrgetter("start_utc", "source", "id"))
    told = tuple(wearable_alert(each, patient) for each in kept)
    return RecentAlerts(told, len(found) <= most)


def _recency(row: Row[Any]) -> tuple[float, float]:
    return (inf if row.end_utc is None else row.end_utc, row.start_utc)


def key_digest(patient: PatientKey, dedup_key: str) -> int:
    """Return a number by which cards of a patient are looked up that say the same.

    64 bits with a sign. Others may have the same, so that both are compared as well.
    """
    whole = canonical_json([*patient, dedup_key]).encode()
    return int.from_bytes(hashlib.sha256(whole).digest()[:8], "big", signed=True)


def digest(*values: Any) -> str:
    """Return a SHA-256 of the values, in hexadecimal."""
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """Return the value as JSON that is always the same text for the same value."""
    return _ENCODER.encode(value)


def instant(at: datetime) -> str:
    """Return an aware instant as UTC text of fixed width: text order is time order."""
    text = at.astimezone(UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"


_ENCODER = json.JSONEncoder(allow_nan=False, sort_keys=True, separators=(",", ":"))
