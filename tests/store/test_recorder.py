"""The recorder: one chain, whole transactions, many threads."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Connection

from cds_service.audit import verify
from cds_service.store.opening import open_database
from cds_service.store.recorder import Recorder, build_recorder
from cds_service.store.records import AuditEvent, StoreError
from cds_service.store.store import Store
from cds_service.store.trail.chain import GENESIS, entry_hash

Rows = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def recorder(store: Store, url: str) -> Iterator[Recorder]:
    """One beside that of the store."""
    database = open_database(url)
    yield build_recorder(database)
    database.close()


def nothing(connection: Connection) -> None:
    pass


def refuse(connection: Connection) -> None:
    connection.exec_driver_sql("INSERT INTO no_such_table VALUES (1)")


def test_each_row_follows_from_the_row_before_it(
    recorder: Recorder, store: Store, event: AuditEvent
) -> None:
    for _ in range(3):
        recorder.record(event, nothing)

    entries = list(store.audit_entries())
    hashes = [GENESIS, *(entry.hash for entry in entries)]
    assert [entry.sequence for entry in entries] == [1, 2, 3]
    assert [entry.previous_hash for entry in entries] == hashes[:3]
    assert all(entry.hash == entry_hash(entry) for entry in entries)


def test_a_transaction_that_fails_does_not_advance_the_chain(
    recorder: Recorder, store: Store, event: AuditEvent
) -> None:
    recorder.record(event, nothing)
    with pytest.raises(StoreError):
        recorder.record(event, refuse)
    recorder.record(event, nothing)

    first, second = store.audit_entries()
    assert (second.sequence, second.previous_hash) == (2, first.hash)


def test_two_recorders_write_two_chains(
    recorder: Recorder, store: Store, event: AuditEvent
) -> None:
    store.record_audit(event)
    recorder.record(event, nothing)

    one, other = store.audit_entries()
    assert one.writer != other.writer
    assert (one.sequence, other.sequence) == (1, 1)


@pytest.mark.parametrize("kind", ["sqlite"])
def test_many_threads_write_one_chain_and_only_those_refused_are_told_so(
    recorder: Recorder, store: Store, event: AuditEvent, rows: Rows
) -> None:
    gate = threading.Barrier(8)
    refused: list[int] = []

    def work(number: int) -> None:
        gate.wait()
        for turn in range(20):
            try:
                recorder.record(
                    event, refuse if (number, turn % 4) == (3, 0) else nothing
                )
            except StoreError:
                refused.append(number)

    threads = [threading.Thread(target=work, args=(each,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    entries = list(store.audit_entries())
    assert refused == [3] * 5
    assert [entry.sequence for entry in entries] == list(range(1, 8 * 20 - 5 + 1))
    assert all(
        entry.previous_hash == before.hash
        for before, entry in zip(entries, entries[1:], strict=False)
    )


@pytest.mark.parametrize("kind", ["sqlite"])
def test_what_the_work_of_one_thread_raises_reaches_that_thread_alone(
    recorder: Recorder, store: Store, event: AuditEvent
) -> None:
    gate = threading.Barrier(8)
    raised: list[tuple[int, str]] = []

    def fail(connection: Connection) -> None:
        raise LookupError("of thread 3")

    def work(number: int) -> None:
        gate.wait()
        for turn in range(20):
            fails = (number, turn % 4) == (3, 0)
            try:
                recorder.record(event, fail if fails else nothing)
            except (StoreError, LookupError) as error:
                raised.append((number, str(error)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    assert raised == [(3, "of thread 3")] * 5
    assert len(list(store.audit_entries())) == 8 * 20 - 5


def test_what_many_threads_record_at_once_is_an_unbroken_trail(
    recorder: Recorder, store: Store, event: AuditEvent
) -> None:
    def work(number: int) -> None:
        for turn in range(20):
            with suppress(StoreError):
                recorder.record(event, refuse if turn % 4 == 0 else nothing)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    assert verify(store) == []
    assert len(list(store.audit_entries())) == 8 * 15


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_chain_whose_tail_is_not_as_remembered_goes_on_from_its_last_row(
    recorder: Recorder, store: Store, event: AuditEvent, rows: Rows
) -> None:
    recorder.record(event, nothing)
    rows("""
        INSERT INTO audit SELECT 2, writer, 2, hash, 'a hash', at, kind, tenant, client,
            fhir_base, patient_id, detail, version, pseudonym, salt, body_digest
            FROM audit
    """)

    with pytest.raises(StoreError):
        recorder.record(event, nothing)
    recorder.record(event, nothing)

    last = list(store.audit_entries())[-1]
    assert (last.sequence, last.previous_hash) == (3, "a hash")
