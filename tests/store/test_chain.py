"""The chain: canonical text, fixed width, and a hash of every field."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from cds_service.store.records import AuditEntry, AuditEvent
from cds_service.store.rows import (
    GENESIS,
    Tail,
    canonical_json,
    chained,
    entry_hash,
    instant,
    unchained,
)
from cds_service.wearables.records import PatientKey

EVENT = AuditEvent(
    datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
    "call",
    "default",
    "sandbox",
    PatientKey("default", "-", "p1"),
    {"cards": [], "user": "Müller"},
)


def test_canonical_json_is_the_same_for_the_same_value() -> None:
    assert canonical_json({"b": [1, None], "a": "ü"}) == '{"a":"\\u00fc","b":[1,null]}'
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})


def test_an_instant_is_text_of_fixed_width_in_utc() -> None:
    zone = timezone(timedelta(hours=-5))

    assert (
        instant(datetime(2026, 3, 1, 7, tzinfo=zone)) == "2026-03-01T12:00:00.000000Z"
    )


def test_the_first_row_of_a_writer_follows_from_nothing() -> None:
    entry = chained(unchained(EVENT), Tail("w"))

    assert (entry.writer, entry.sequence, entry.previous_hash) == ("w", 1, GENESIS)
    assert entry.hash == entry_hash(entry)
    assert len(entry.hash) == 64


@pytest.mark.parametrize(
    "name", [name for name in AuditEntry.__slots__ if name not in ("hash", "sequence")]
)
def test_the_hash_is_over_every_other_field(name: str) -> None:
    entry = chained(unchained(EVENT), Tail("w"))

    changed = replace(entry, **{name: "something else"})

    assert entry_hash(changed) != entry.hash
    assert entry_hash(replace(entry, sequence=2)) != entry.hash
