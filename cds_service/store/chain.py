"""The hash chain of the audit trail: each row holds the hash of the row before it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .records import AuditEntry, AuditEvent

GENESIS = "0" * 64
"""What stands before the first row of a writer."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The last row of a writer; sequence 0 before its first."""

    writer: str
    sequence: int = 0
    hash: str = GENESIS


def canonical_json(value: Any) -> str:
    """Return the value as JSON that is always the same text for the same value."""
    return _ENCODER.encode(value)


def instant(at: datetime) -> str:
    """Return an aware instant as UTC text of fixed width: text order is time order."""
    text = at.astimezone(UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"


def unchained(event: AuditEvent) -> AuditEntry:
    """Return the row of *event*, before it has its place in a chain."""
    patient = event.patient
    return AuditEntry(
        writer="",
        sequence=0,
        previous_hash="",
        hash="",
        at=instant(event.at),
        kind=event.kind,
        tenant=event.tenant,
        client=event.client,
        fhir_base=patient.fhir_base if patient else "",
        patient_id=patient.patient_id if patient else "",
        detail=canonical_json(event.detail),
    )


def chained(entry: AuditEntry, tail: Tail) -> AuditEntry:
    """Return the row in its place after *tail*, with its hash."""
    row = {name: getattr(entry, name) for name in _HASHED}
    row["writer"] = tail.writer
    row["sequence"] = tail.sequence + 1
    row["previous_hash"] = tail.hash
    return AuditEntry(**row, hash=_hash(row))


def entry_hash(entry: AuditEntry) -> str:
    """Return the hash that a row must have, by its other fields."""
    return _hash({name: getattr(entry, name) for name in _HASHED})


def _hash(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(list(row.values())).encode()).hexdigest()


_ENCODER = json.JSONEncoder(allow_nan=False, sort_keys=True, separators=(",", ":"))
_HASHED = [name for name in AuditEntry.__slots__ if name != "hash"]
