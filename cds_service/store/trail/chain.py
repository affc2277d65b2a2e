"""The hash chain of the audit trail: rows, and seals over many of them.

Each row of a writer holds the hash of the row before it. In version 1 that is a hash of
every field. In version 2 it is one of the header and of a salted digest of the body:
whom the row is about, and what it says of them. A body may then be taken away while
the chain holds, and its digest does not tell by trial what it was. Version 3 is the
same, in fewer letters.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...wearables.records import PatientKey
from ..records import AuditEntry, AuditEvent, Seal
from ..rows import canonical_json, instant

GENESIS = "0" * 64
"""What stands before the first row of a writer, and before the first seal."""
VERSION = 3
_FIRST_VERSION = (
    *("writer", "sequence", "previous_hash", "at", "kind", "tenant", "client"),
    *("fhir_base", "patient_id", "detail"),
)
_HEADER = (
    *("previous_hash", "writer", "sequence", "at", "kind", "tenant", "client"),
    "pseudonym",
)
_BODY = ("salt", "fhir_base", "patient_id", "detail")
_SEALED = (
    *("previous", "number", "writer", "first", "last", "hash_before", "hash_last"),
    "newest",
)


@dataclass(frozen=True, slots=True)
class Tail:
    """The last row of a writer; sequence 0 before its first."""

    writer: str
    sequence: int = 0
    hash: str = GENESIS


def new_writer() -> str:
    """Return a name that no other writer has."""
    return secrets.token_hex(8)


def successor(ended: Tail | None, writer: str) -> Tail:
    """Return where *writer* begins, which may take up a chain that has *ended*."""
    if ended is None:
        return Tail(writer)
    if ended.sequence == 0:
        return Tail(writer, hash=ended.hash)
    return Tail(writer, hash=f"{ended.writer}:{ended.sequence}:{ended.hash}")


def predecessor(entry: AuditEntry) -> Tail | None:
    """Return the end of another chain that the first row of a writer takes up."""
    writer, _, place = entry.previous_hash.partition(":")
    sequence, _, hash = place.partition(":")
    if entry.sequence != 1 or not sequence.isdecimal():
        return None
    return Tail(writer, int(sequence), hash)


def unchained(event: AuditEvent, pseudonym: str = "") -> AuditEntry:
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
        version=VERSION,
        pseudonym=pseudonym,
        salt=_written(secrets.token_bytes(16)),
    )


def extended(entry: AuditEntry, more: Mapping[str, Any] | None) -> AuditEntry:
    """Return a row that has no place yet, telling more."""
    if not more:
        return entry
    detail = {**json.loads(entry.detail), **more}
    return replace(entry, detail=canonical_json(detail))


def chained(entry: AuditEntry, tail: Tail) -> AuditEntry:
    """Return the row in its place after *tail*, with its hash."""
    placed = replace(
        entry,
        writer=tail.writer,
        sequence=tail.sequence + 1,
        previous_hash=tail.hash,
    )
    return replace(placed, hash=entry_hash(placed))


def entry_hash(entry: AuditEntry) -> str:
    """Return the hash that a row must have, by its other fields."""
    if entry.version == 1:
        row = [getattr(entry, name) for name in _FIRST_VERSION]
        return hashlib.sha256(canonical_json(row).encode()).hexdigest()
    header = (getattr(entry, name) for name in _HEADER)
    hash = _hashed("row", entry.version, *header, body_digest(entry))
    return hash.hex() if entry.version == 2 else _written(hash)


def body_digest(entry: AuditEntry) -> str:
    """Return what stands for the body of a row in its hash."""
    if entry.erased:
        return entry.body_digest
    return _digest("body", *(getattr(entry, name) for name in _BODY))


def erased(entry: AuditEntry) -> AuditEntry:
    """Return the row without its body; its hash stays what it is."""
    return replace(
        entry,
        body_digest=body_digest(entry),
        salt="",
        fhir_base="",
        patient_id="",
        detail="",
    )


def pseudonym(patient: PatientKey, key: str) -> str:
    """Return what a patient is called in the headers of rows, under their key."""
    whole = _framed(patient)
    return hmac.new(bytes.fromhex(key), whole, hashlib.sha256).hexdigest()[:32]


def seal_digest(seal: Seal) -> str:
    """Return the digest that a seal must have, by what it seals."""
    return _digest("seal", *(getattr(seal, name) for name in _SEALED))


def _digest(*values: str | int) -> str:
    return _hashed(*values).hex()


def _hashed(*values: str | int) -> bytes:
    return hashlib.sha256(_framed(values)).digest()


def _written(bytes: bytes) -> str:
    """In base64url, without what fills it up: RFC 7515, appendix C."""
    return base64.urlsafe_b64encode(bytes).decode().rstrip("=")


def _framed(values: Iterable[str | int]) -> bytes:
    """The values, each with its length before it: none can pass for part of another."""
    texts = [str(each).encode() for each in values]
    return b"".join(b"%d:%b" % (len(each), each) for each in texts)
