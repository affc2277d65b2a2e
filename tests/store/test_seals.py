"""Rows of the trail are sealed and removed whole; anything else shows, and as what."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from cds_service.audit import Anchor, anchors, verify
from cds_service.store.records import AuditEvent, Seal, StoreError
from cds_service.store.store import Store
from cds_service.store.trail.seals import AT_ONCE, Broken
from cds_service.wearables.records import PatientKey

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PATIENT = PatientKey("north", "-", "p1")
Rows = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def trail(store: Store) -> Iterator[Store]:
    """Two writers with three old rows and one new each, and two seals."""
    other = Store(store._connect)
    for at in (NOW - 9 * DAY, NOW - 8 * DAY, NOW - 7 * DAY):
        for each in (store, other):
            each.record_audit(AuditEvent(at, "call", "north", "ehr", PATIENT))
    assert len(sealed(store)) == 2
    for each in (store, other):
        each.record_audit(AuditEvent(NOW, "call", "north", "ehr", PATIENT))
    other.close()
    yield store


def sealed(store: Store, before: datetime = NOW - DAY) -> list[Seal | Broken]:
    return list(store.seals.seal(before, NOW))


def pruned(store: Store, before: datetime = NOW - DAY) -> int:
    return sum(store.seals.prune(each, NOW) for each in store.seals.prunable(before))


@pytest.fixture
def tamper(rows: Rows, kind: str) -> Callable[[str], None]:
    """Changes the database as only who owns it can."""

    def run(sql: str) -> None:
        if kind == "sqlite":
            for name in ("audit_is_append_only", "audit_seals_stay"):
                for verb in ("update", "delete"):
                    rows(f"DROP TRIGGER IF EXISTS {name}_{verb}")
        else:
            for table in ("audit", "audit_seals"):
                rows(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        rows(sql)

    return run


def problems(store: Store, kept: tuple[Anchor, ...] = ()) -> set[str]:
    return {each.problem for each in verify(store, kept)}


FIRST = "writer = (SELECT writer FROM audit_seals WHERE number = 1)"


def test_a_trail_that_is_whole_verifies(trail: Store) -> None:
    assert verify(trail, anchors(trail)) == []


def test_a_trail_of_which_sealed_rows_were_removed_verifies(trail: Store) -> None:
    kept = anchors(trail)

    assert pruned(trail) == 6

    assert verify(trail, kept) == []
    left = [each.sequence for each in trail.audit_entries() if each.kind == "call"]
    assert left == [4, 4]


def test_what_was_removed_is_told_in_the_trail(trail: Store, rows: Rows) -> None:
    first, second = trail.seals.all()

    pruned(trail)

    told = rows("SELECT detail FROM audit WHERE kind = 'pruning' ORDER BY id")
    assert [first.digest in told[0]["detail"], second.digest in told[1]["detail"]] == [
        True,
        True,
    ]


def test_half_of_a_segment_that_is_gone_shows(
    trail: Store, tamper: Callable[[str], None]
) -> None:
    tamper(f"DELETE FROM audit WHERE sequence <= 2 AND {FIRST}")

    assert problems(trail) == {"rows 1 to 2 are missing, part of what seal 1 holds"}


def test_half_of_a_segment_that_says_it_was_removed_shows(
    trail: Store, tamper: Callable[[str], None]
) -> None:
    tamper("UPDATE audit_seals SET pruned = '2026' WHERE number = 1")
    tamper(f"DELETE FROM audit WHERE sequence <= 2 AND {FIRST}")

    assert problems(trail) == {"its seal says it was removed"}


def test_a_segment_that_is_gone_without_a_word_shows(
    trail: Store, tamper: Callable[[str], None]
) -> None:
    tamper(f"DELETE FROM audit WHERE sequence <= 3 AND {FIRST}")

    assert problems(trail) == {"rows 1 to 3 are missing, all of what seal 1 holds"}


def test_a_row_that_was_changed_shows(
    trail: Store, tamper: Callable[[str], None]
) -> None:
    tamper(f"UPDATE audit SET patient_id = 'p2' WHERE sequence = 2 AND {FIRST}")

    assert problems(trail) == {"the row was changed"}


def test_a_chain_that_was_written_anew_shows_at_its_seal(
    trail: Store, tamper: Callable[[str], None]
) -> None:
    tamper(f"UPDATE audit SET hash = 'anew' WHERE sequence = 3 AND {FIRST}")

    assert "seal 1 was put on another row" in problems(trail)


@pytest.mark.parametrize("number", [1, 2])
def test_a_seal_that_was_removed_shows(
    trail: Store, tamper: Callable[[str], None], number: int
) -> None:
    kept = anchors(trail)
    tamper(f"DELETE FROM audit_seals WHERE number = {number}")

    shown = {1: "seal 1 is missing", 2: "the seal that was anchored is missing"}
    assert shown[number] in problems(trail, kept)


def test_a_seal_that_was_removed_after_its_rows_shows_without_an_anchor(
    trail: Store, tamper: Callable[[str], None]
) -> None:
    pruned(trail)
    tamper("DELETE FROM audit_seals WHERE number = 2")

    assert "rows 1 to 3 are missing" in problems(trail)


def test_a_seal_that_was_changed_shows(
    trail: Store, tamper: Callable[[str], None]
) -> None:
    tamper("UPDATE audit_seals SET last = 2 WHERE number = 1")

    assert "the seal was changed" in problems(trail)


def test_a_tail_that_is_gone_shows_by_its_anchor(
    trail: Store, tamper: Callable[[str], None]
) -> None:
    kept = anchors(trail)
    tamper("DELETE FROM audit WHERE sequence = 4")

    assert problems(trail) == set()
    assert problems(trail, kept) == {"the row that was anchored is missing"}


def test_a_tail_that_is_gone_into_what_was_sealed_shows_by_its_seal(
    trail: Store, tamper: Callable[[str], None]
) -> None:
    tamper(f"DELETE FROM audit WHERE sequence >= 3 AND {FIRST}")

    assert problems(trail) == {"rows 3 to 3 are missing, part of what seal 1 holds"}


def test_a_tail_that_is_gone_with_its_seal_shows_by_the_anchor_alone(
    trail: Store, tamper: Callable[[str], None]
) -> None:
    kept = anchors(trail)
    tamper("DELETE FROM audit_seals")
    tamper("DELETE FROM audit WHERE sequence >= 3")

    assert problems(trail) == set()
    assert problems(trail, kept) == {
        "the seal that was anchored is missing",
        "the row that was anchored is missing",
    }


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit",
        "DELETE FROM audit WHERE sequence = 4",
        "UPDATE audit SET detail = '{}'",
        "UPDATE audit SET body_digest = 'x', salt = '', fhir_base = '', detail = ''",
        "UPDATE audit SET body_digest = 'x', salt = '', fhir_base = '', detail = '',"
        " patient_id = '', at = '2020'",
        "DELETE FROM audit_seals",
        "UPDATE audit_seals SET last = 4",
        "UPDATE audit_seals SET pruned = '2026', last = 4",
    ],
)
def test_the_database_refuses_every_other_change(
    trail: Store, rows: Rows, statement: str
) -> None:
    with pytest.raises(DBAPIError, match="append-only|seals stay"):
        rows(statement)

    assert verify(trail) == []


def test_a_segment_that_is_not_whole_is_not_removed(
    trail: Store, tamper: Callable[[str], None]
) -> None:
    tamper(f"DELETE FROM audit WHERE sequence = 2 AND {FIRST}")

    with pytest.raises(StoreError, match="the rows of seal 1 are not all there"):
        pruned(trail)

    assert trail.seals.all()[0].pruned is None


def test_a_chain_that_does_not_hold_is_not_sealed(
    store: Store, tamper: Callable[[str], None]
) -> None:
    for _ in range(3):
        store.record_audit(AuditEvent(NOW - 9 * DAY, "call", "north"))
    tamper("UPDATE audit SET client = 'else' WHERE sequence = 2")

    (found,) = sealed(store)

    assert isinstance(found, Broken) and found.sequence == 2
    assert store.seals.all() == ()


def test_what_is_sealed_again_is_only_what_came_since(trail: Store) -> None:
    assert sealed(trail) == []

    assert [each.first for each in sealed(trail, NOW + DAY)] == [4, 4]
    assert verify(trail) == []


def test_a_segment_has_so_many_rows_that_one_transaction_removes_them(
    store: Store,
) -> None:
    event = AuditEvent(NOW - 9 * DAY, "call", "north")
    for _ in range(AT_ONCE + 1):
        store.record_audit(event)

    first, second = sealed(store)

    assert isinstance(first, Seal) and isinstance(second, Seal)
    assert (first.last, second.first, second.last) == (AT_ONCE, AT_ONCE + 1, 1001)


def test_a_writer_goes_on_although_all_of_its_rows_were_removed(
    store: Store,
) -> None:
    store.record_audit(AuditEvent(NOW - 9 * DAY, "call", "north"))
    sealed(store)
    pruned(store)

    store.record_audit(AuditEvent(NOW, "call", "north"))

    assert verify(store) == []


def test_of_one_writer_the_first_segments_go_first(store: Store) -> None:
    """A clock was set back: what is behind follows from what is before."""
    for at in (NOW - 2 * DAY, NOW - 90 * DAY):
        store.record_audit(AuditEvent(at, "call", "north"))
        assert len(sealed(store)) == 1

    assert store.seals.prunable(NOW - 30 * DAY) == ()
