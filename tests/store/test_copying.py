"""A database in another: whole, once, and as good as the one before."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest

from cds_service.audit import verify
from cds_service.store.publications import Draft
from cds_service.store.records import (
    Attempt,
    AuditEvent,
    CallRecord,
    Intake,
    StoredAnswer,
    StoreError,
)
from cds_service.store.references.records import NewReference
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.store.upkeep.copying import copy
from cds_service.wearables.records import WearableAlert
from cds_service.wearables.samples import Sample

MakeCall = Callable[..., CallRecord]


@pytest.fixture
def kind() -> str:
    """Of the target."""
    return "postgresql"


@pytest.fixture
def old(tmp_path: Any) -> str:
    """A file that a server has written to for a while."""
    return f"sqlite:///{tmp_path / 'old.sqlite'}"


@pytest.fixture
def source(
    old: str,
    now: datetime,
    event: AuditEvent,
    make_call: MakeCall,
    make_alert: Callable[..., WearableAlert],
) -> Iterator[Store]:
    store = Store.open(old)
    store.migrate()
    for _ in range(1200):
        store.record_audit(event)
    for number in range(3):
        until = now + timedelta(hours=8)
        refers = NewReference(f"digest-{number}", "card-1", "why", until, "sealed")
        call = make_call(hook_instance=str(number), references=(refers,))
        store.record_call(call, event)
    attempt = Attempt("watch", "key")
    store.begin_delivery(attempt, "digest", now)
    alerts = tuple(make_alert(id=each) for each in ("a", "Z", "é", "ü", "_"))
    start = now - timedelta(days=1)
    told = [Sample("steps", n, "1", start + timedelta(n), now) for n in range(3)]
    batch = SampleBatch(StreamOwner(alerts[0].patient, "watch"), told)
    intake = Intake(alerts, samples=(batch,))
    store.finish_delivery(attempt, StoredAnswer(202, "{}"), intake, event, now)
    store.spend_token("https://ehr.example", "a", now + timedelta(1), now)
    store.publications.publish(Draft("d", {"a": "ü"}, "c", 1), event, "node")
    yield store
    store.close()


def test_everything_is_there_and_goes_on_from_there(
    source: Store, old: str, store: Store, url: str, now: datetime, event: AuditEvent,
    make_call: MakeCall, rows: Any, make_alert: Any,
) -> None:  # fmt: skip
    told = list(copy(old, url))

    assert list(store.audit_entries()) == list(source.audit_entries())
    assert verify(store) == []
    patient, since = make_alert().patient, now - timedelta(days=1)
    found = store.wearable_alerts(patient, since).alerts
    assert found == source.wearable_alerts(patient, since).alerts
    assert [each.id for each in found] == ["Z", "_", "a", "é", "ü"]
    asked = (patient, "steps", since, now + timedelta(days=9))
    assert len(store.samples.of(*asked)) == 3
    assert store.samples.of(*asked) == source.samples.of(*asked)
    assert store.begin_delivery(Attempt("watch", "key"), "digest", now).body == "{}"
    assert not store.spend_token("https://ehr.example", "a", now, now)
    assert store.publications.newest() == source.publications.newest()
    assert {each.table: each.of for each in told}["audit"] == 1205
    store.record_call(make_call(), event)
    assert rows("SELECT max(id) AS id FROM calls") == [{"id": 4}]


def test_a_copy_that_broke_off_goes_on_where_it_was(
    source: Store, old: str, store: Store, url: str
) -> None:
    for progress in copy(old, url):
        if (progress.table, progress.copied) == ("audit", 1000):
            break

    again, *_ = [each for each in copy(old, url) if each.table == "audit"]

    assert again.copied == 1000
    assert list(store.audit_entries()) == list(source.audit_entries())


def test_a_target_with_rows_of_its_own_is_refused(
    source: Store, old: str, store: Store, url: str, event: AuditEvent
) -> None:
    store.publications.publish(Draft("e", {}, "c", 1), event, "node")

    with pytest.raises(StoreError, match="rows that the source does not"):
        list(copy(old, url))


def test_no_server_starts_on_half_of_a_copy(
    source: Store, old: str, store: Store, url: str
) -> None:
    for progress in copy(old, url):
        if progress.copied == 1000:
            break

    with pytest.raises(StoreError, match="old.sqlite into this database is not whole"):
        store.migrate()

    list(copy(old, url))
    store.migrate()


def test_a_target_that_is_refused_is_left_as_it_was(
    source: Store, old: str, store: Store, url: str, event: AuditEvent
) -> None:
    store.publications.publish(Draft("e", {}, "c", 1), event, "node")

    with pytest.raises(StoreError, match="rows that the source does not"):
        list(copy(old, url))

    store.migrate()
    assert len(list(store.audit_entries())) == 1


def test_half_of_a_copy_is_not_finished_from_another_database(
    source: Store, old: str, store: Store, url: str, tmp_path: Any
) -> None:
    for progress in copy(old, url):
        if progress.copied == 1000:
            break
    with closing(sqlite3.connect(old.removeprefix("sqlite:///"))) as lite:
        lite.execute("VACUUM INTO ?", [str(tmp_path / "other.sqlite")])

    with pytest.raises(StoreError, match="old.sqlite into the target is not whole"):
        list(copy(f"sqlite:///{tmp_path / 'other.sqlite'}", url))


def test_schemas_that_differ_are_refused(source: Store, old: str, empty: str) -> None:
    with pytest.raises(StoreError):
        list(copy(old, empty))


def test_it_leads_back_as_well(
    source: Store, old: str, store: Store, url: str, tmp_path: Any
) -> None:
    list(copy(old, url))
    back = Store.open(f"sqlite:///{tmp_path / 'back.sqlite'}")
    back.migrate()

    list(copy(url, f"sqlite:///{tmp_path / 'back.sqlite'}"))

    assert list(back.audit_entries()) == list(source.audit_entries())
    back.close()
