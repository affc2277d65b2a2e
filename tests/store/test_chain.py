"""The chain: canonical text, fixed width, and a hash of every field."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from cds_service.store.records import AuditEntry, AuditEvent
from cds_service.store.rows import canonical_json, instant
from cds_service.store.trail.chain import (
    GENESIS,
    Tail,
    chained,
    entry_hash,
    erased,
    pseudonym,
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
    assert len(entry.hash) == 43


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize(
    "name",
    [
        *("writer", "previous_hash", "at", "kind", "tenant", "client"),
        *("fhir_base", "patient_id", "detail"),
    ],
)
def test_the_hash_is_over_every_field_that_its_version_has(
    name: str, version: int
) -> None:
    entry = replace(chained(unchained(EVENT), Tail("w")), version=version)

    changed = replace(entry, **{name: "something else"})

    assert entry_hash(changed) != entry_hash(entry)
    assert entry_hash(replace(entry, sequence=2)) != entry_hash(entry)


@pytest.mark.parametrize("name", ["pseudonym", "salt"])
def test_the_hash_is_over_the_pseudonym_and_the_salt(name: str) -> None:
    entry = chained(unchained(EVENT, "somebody"), Tail("w"))

    changed = replace(entry, **{name: "something else"})

    assert entry_hash(changed) != entry.hash


def test_a_row_of_the_first_version_has_the_hash_that_it_always_had() -> None:
    place = ("w", 1, GENESIS, "", "2026-03-01T12:00:00.000000Z")
    entry = AuditEntry(*place, "call", "t", "c", "-", "p", "{}")

    assert entry_hash(entry) == (
        "a22335c9598835068847a3975572b9ab8fa0fd7e310a0cc7cdafc4f1c43d3939"
    )


def test_a_row_of_the_second_version_has_the_hash_that_it_always_had() -> None:
    place = ("w", 1, GENESIS, "", "2026-03-01T12:00:00.000000Z")
    entry = AuditEntry(*place, "call", "t", "c", "-", "p", "{}", 2, "q", "s")

    assert entry_hash(entry) == (
        "d6cf7663274b79a9cca56c5e4887555ff6994911a18f73de39a516e0d060dbb9"
    )


def test_a_row_whose_body_was_erased_keeps_its_hash_and_says_nothing() -> None:
    entry = chained(unchained(EVENT, "somebody"), Tail("w"))

    kept = erased(entry)

    assert kept.erased and not entry.erased
    assert entry_hash(kept) == kept.hash == entry.hash
    assert (kept.fhir_base, kept.patient_id, kept.detail, kept.salt) == ("",) * 4
    assert entry_hash(replace(kept, body_digest="another")) != kept.hash


def test_two_rows_of_the_same_body_have_digests_that_differ() -> None:
    one, other = (erased(unchained(EVENT)) for _ in range(2))

    assert one.body_digest != other.body_digest


def test_a_pseudonym_is_the_patients_under_the_patients_key() -> None:
    key, other = "00" * 32, "11" * 32
    called = pseudonym(PatientKey("t", "-", "p"), key)

    assert called == pseudonym(PatientKey("t", "-", "p"), key)
    assert called != pseudonym(PatientKey("t", "-", "p"), other)
    assert called != pseudonym(PatientKey("t-", "", "p"), key)
