"""Published rulebooks: the newest is served, one process publishes."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest

from cds_service.store.publications import Draft, NotLeased
from cds_service.store.records import AuditEvent, StoreError
from cds_service.store.store import Store

from ..waiting import PATIENCE, until

Rows = Callable[[str], list[dict[str, Any]]]
HOUR = timedelta(hours=1)
FILES = {"site.yaml": "format: 1\n", "a/ü.yaml": "rule: ü\n"}


def draft(digest: str, checked: str = "c") -> Draft:
    return Draft(digest, FILES, checked, rules=1)


def publish(store: Store, digest: str, now: datetime, epoch: int = 0) -> None:
    event = AuditEvent(now, "rulebook", detail={"published": digest})
    store.publications.publish(draft(digest), event, "node", epoch)


@pytest.mark.parametrize("kind", ["postgresql"])
def test_another_node_hears_of_a_publication_before_it_would_look(
    store: Store, url: str, now: datetime
) -> None:
    other = Store.open(url)
    heard = Event()
    other.publications.await_next(PATIENCE)
    waiting = Thread(
        target=lambda: (other.publications.await_next(PATIENCE), heard.set())
    )
    waiting.start()
    begun = time.monotonic()

    publish(store, "one", now)

    until(heard.is_set)
    assert time.monotonic() - begun < PATIENCE / 2
    waiting.join()
    other.close()


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_node_that_does_not_hear_goes_on_looking_and_listens_again(
    store: Store, url: str, now: datetime, rows: Rows
) -> None:
    other = Store.open(url)
    other.publications.await_next(60)
    rows("""
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%%'
    """)
    other.publications.await_next(0.1)
    other.publications.await_next(60)
    heard = Event()
    waiting = Thread(target=lambda: (other.publications.await_next(60), heard.set()))
    waiting.start()

    publish(store, "one", now)

    until(heard.is_set)
    waiting.join()
    other.close()


def test_nothing_is_published_at_first(store: Store) -> None:
    assert store.publications.newest() is None
    assert store.publications.refusal() is None


def test_the_newest_is_served_with_its_very_texts(store: Store, now: datetime) -> None:
    publish(store, "one", now)
    publish(store, "two", now)

    newest = store.publications.newest()

    assert newest and (newest.digest, newest.publisher, newest.rules) == (
        "two",
        "node",
        1,
    )
    assert store.publications.files("two") == FILES


def test_what_was_published_before_may_be_published_again(
    store: Store, now: datetime
) -> None:
    for digest in ("one", "two", "one"):
        publish(store, digest, now)

    newest = store.publications.newest()
    assert newest and newest.digest == "one"


def test_a_publication_is_in_the_audit_trail(store: Store, now: datetime) -> None:
    publish(store, "one", now)

    (entry,) = store.audit_entries()
    assert json.loads(entry.detail) == {"published": "one"}


def test_what_was_never_published_has_no_texts(store: Store) -> None:
    with pytest.raises(StoreError, match="one"):
        store.publications.files("one")


def test_what_passed_once_need_not_be_tested_again(store: Store, now: datetime) -> None:
    publish(store, "one", now)
    assert store.publications.has_passed("one", "c")

    store.publications.confirm(draft("one", "with another test"), now)

    assert store.publications.has_passed("one", "with another test")
    assert not store.publications.has_passed("one", "c")
    assert not store.publications.has_passed("two", "with another test")
    newest = store.publications.newest()
    assert newest and newest.id == 1


def test_a_refusal_stands_until_something_good_comes(
    store: Store, now: datetime
) -> None:
    finding = {"file": "a.yaml", "line": 3, "column": 1}
    event = AuditEvent(now, "rulebook", detail={})
    for checked in ("first", "second"):
        store.publications.refuse(checked, [finding], event, "node")

    standing = store.publications.refusal()
    assert standing and standing.checked == "second"
    assert list(standing.findings) == [finding]

    store.publications.confirm(draft("one"), now)
    assert store.publications.refusal() is None


@pytest.mark.parametrize("kind", ["sqlite"])
def test_one_holder_has_the_lease_until_its_time_is_up(
    store: Store, now: datetime
) -> None:
    lease = store.publications
    later = now + timedelta(seconds=10)

    assert lease.take_lease("a", now, 10)
    assert lease.take_lease("a", now + timedelta(seconds=1), 9)
    assert not lease.take_lease("b", later - timedelta(seconds=1), 10)
    assert lease.lease_holder(later - timedelta(seconds=1)) == "a"
    assert lease.lease_holder(later) == ""
    assert lease.take_lease("b", later, 10)
    assert not lease.take_lease("a", later, 10)


def test_the_lease_of_one_who_died_is_free_when_its_time_is_up(store: Store) -> None:
    lease = store.publications

    assert lease.take_lease("a", datetime.now(UTC), PATIENCE)
    assert not lease.take_lease("b", datetime.now(UTC), PATIENCE)
    assert lease.take_lease("a", datetime.now(UTC), 0.1)

    until(lambda: lease.lease_holder(datetime.now(UTC)) == "")
    assert lease.take_lease("b", datetime.now(UTC), 60)
    assert lease.lease_holder(datetime.now(UTC)) == "b"


@pytest.mark.parametrize("kind", ["postgresql"])
@pytest.mark.parametrize("hours", [-5, 5])
def test_a_node_whose_clock_is_wrong_takes_no_lease_from_another(
    store: Store, hours: int
) -> None:
    wrong = datetime.now(UTC) + timedelta(hours=hours)

    assert store.publications.take_lease("a", wrong, 60)
    assert not store.publications.take_lease("b", datetime.now(UTC), 60)
    assert not store.publications.take_lease("b", -hours * HOUR + wrong, 60)
    assert store.publications.lease_holder(wrong + 2 * hours * HOUR) == "a"


def test_of_many_that_ask_for_the_lease_at_once_one_has_it(
    store: Store, now: datetime
) -> None:
    with ThreadPoolExecutor(12) as pool:
        taken = pool.map(
            lambda each: store.publications.take_lease(str(each), now, 60), range(12)
        )

    assert sorted(taken) == [False] * 11 + [True]


def test_a_lease_that_is_given_back_is_free_at_once(
    store: Store, now: datetime
) -> None:
    lease = store.publications
    lease.take_lease("a", now, 10)
    lease.give_lease_back("b")
    assert not lease.take_lease("b", now, 10)

    lease.give_lease_back("a")

    assert lease.take_lease("b", now, 10)


def test_who_lost_the_lease_publishes_nothing(
    store: Store, now: datetime, rows: Rows
) -> None:
    lease = store.publications
    first = lease.take_lease("a", now, 10)
    lease.give_lease_back("a")
    second = lease.take_lease("b", now, 10)

    with pytest.raises(NotLeased):
        publish(store, "one", now, first)

    assert store.publications.newest() is None
    assert rows("SELECT * FROM rulebooks") == rows("SELECT * FROM audit") == []
    publish(store, "one", now, second)
    assert store.publications.newest() is not None


def test_who_has_the_lease_again_does_not_go_on_with_what_was_begun_before(
    store: Store, now: datetime
) -> None:
    """What the other one has published meanwhile would be undone."""
    lease = store.publications
    begun = lease.take_lease("a", now, 10)
    assert lease.take_lease("a", now, 10) == begun
    lease.give_lease_back("a")
    between = lease.take_lease("b", now, 10)
    publish(store, "newer", now, between)
    lease.give_lease_back("b")
    again = lease.take_lease("a", now, 10)

    assert begun < between < again
    with pytest.raises(NotLeased):
        publish(store, "older", now, begun)
    newest = lease.newest()
    assert newest and newest.digest == "newer"
