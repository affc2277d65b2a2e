"""Pulls in the database: one at a time, and a cursor moves with what was stored."""

import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta

import pytest

from cds_service.store.grants.pulling import NotHeld
from cds_service.store.grants.records import (
    CloudGrant,
    GrantState,
    Hold,
    NamedInterval,
    PullCursor,
    Pulled,
)
from cds_service.store.records import Intake
from cds_service.store.store import Store

from .test_grants import EVENT, GIVEN, LATER, NOW

HOUR = timedelta(hours=1)
MORNING = NamedInterval("g-1", "steps", NOW - 4 * HOUR, NOW - 3 * HOUR)


@pytest.fixture
def grant(store: Store) -> CloudGrant:
    return store.grants.keep(GIVEN, EVENT)


def hold(grant: CloudGrant, holder: str = "one") -> Hold:
    return Hold(grant.id, holder)


def pull(store: Store, grant: CloudGrant, until: str, holder: str = "one") -> None:
    told = Pulled(hold(grant, holder), "steps", date.fromisoformat(until))
    store.take_in(Intake(pulled=told), EVENT, NOW)


def test_of_two_who_would_pull_by_a_grant_one_does(
    store: Store, grant: CloudGrant
) -> None:
    assert store.pulls.take(hold(grant), NOW, LATER) is not None
    assert store.pulls.take(hold(grant, "two"), NOW, LATER) is None
    assert store.pulls.take(hold(grant), NOW, LATER) is not None

    store.pulls.leave(hold(grant, "two"))
    assert store.pulls.take(hold(grant, "two"), NOW, LATER) is None
    store.pulls.leave(hold(grant))
    assert store.pulls.take(hold(grant, "two"), NOW, LATER) is not None


def test_who_died_while_pulling_is_followed_by_another(
    store: Store, grant: CloudGrant
) -> None:
    store.pulls.take(hold(grant), NOW, LATER)

    assert store.pulls.take(hold(grant, "two"), LATER, LATER + HOUR) is not None
    with pytest.raises(NotHeld):
        pull(store, grant, "2026-11-21")
    assert store.pulls.cursors(grant.id) == {}


def test_nobody_pulls_by_a_grant_that_has_ended(
    store: Store, grant: CloudGrant
) -> None:
    store.pulls.take(hold(grant), NOW, LATER)
    store.grants.end(grant, GrantState.REVOKED, "revoked", EVENT)

    with pytest.raises(NotHeld):
        pull(store, grant, "2026-11-21")
    assert store.pulls.take(hold(grant), NOW, LATER) is None


def test_a_cursor_moves_forward_only(store: Store, grant: CloudGrant) -> None:
    store.pulls.take(hold(grant), NOW, LATER)

    pull(store, grant, "2026-11-21")
    pull(store, grant, "2026-11-19")

    assert store.pulls.cursors(grant.id) == {
        "steps": PullCursor("steps", date(2026, 11, 21))
    }


def test_a_failure_is_forgotten_with_the_next_success(
    store: Store, grant: CloudGrant
) -> None:
    store.pulls.take(hold(grant), NOW, LATER)
    pull(store, grant, "2026-11-20")
    failed = PullCursor("steps", date(2026, 11, 20), LATER, 2, "HTTP 503")

    store.pulls.fail(grant.id, failed)
    assert store.pulls.cursors(grant.id) == {"steps": failed}

    pull(store, grant, "2026-11-21")
    assert store.pulls.cursors(grant.id)["steps"].failures == 0


def test_an_interval_waits_once_however_often_it_is_named(
    store: Store, grant: CloudGrant
) -> None:
    evening = replace(MORNING, end=NOW)

    assert store.pulls.name("north", "fit", [MORNING, MORNING, evening], NOW) == 2
    assert store.pulls.name("north", "fit", [MORNING], NOW) == 0

    assert len(store.pulls.wanted(grant)) == 2


def test_of_another_wearer_or_source_nothing_is_wanted(
    store: Store, grant: CloudGrant
) -> None:
    store.pulls.name("north", "fit", [replace(MORNING, user="g-2")], NOW)
    store.pulls.name("north", "other", [MORNING], NOW)
    store.pulls.name("south", "fit", [MORNING], NOW)

    assert store.pulls.wanted(grant) == ()


def test_what_is_fetched_is_wanted_no_more_unless_it_was_named_meanwhile(
    store: Store, grant: CloudGrant
) -> None:
    evening = replace(MORNING, end=NOW)
    store.pulls.name("north", "fit", [MORNING, evening], NOW)
    store.pulls.take(hold(grant), NOW, LATER)
    wanted = store.pulls.wanted(grant)
    store.pulls.name("north", "fit", [evening], NOW + HOUR)

    told = Pulled(hold(grant), "steps", None, wanted)
    store.take_in(Intake(pulled=told), EVENT, NOW)

    (left,) = store.pulls.wanted(grant)
    assert left.end == NOW
    assert store.pulls.cursors(grant.id) == {}
    store.pulls.drop([left])
    assert store.pulls.wanted(grant) == ()


def test_what_nobody_fetches_is_wanted_for_a_month(
    store: Store, grant: CloudGrant
) -> None:
    store.pulls.name("north", "fit", [MORNING], NOW)
    store.pulls.name("north", "fit", [], NOW + timedelta(days=31))

    assert store.pulls.wanted(grant) == ()


DYING = """
import os, sys
from datetime import datetime, timedelta, UTC
from cds_service.store.grants.records import Hold
from cds_service.store.store import Store
store = Store.open(sys.argv[1])
now = datetime.fromisoformat(sys.argv[2])
taken = store.pulls.take(Hold(1, "dying"), now, now + timedelta(minutes=10))
print("held" if taken else "not held", flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_on_one_machine_nobody_waits_for_a_process_that_was_killed(
    store: Store, grant: CloudGrant, url: str
) -> None:
    """To PostgreSQL a process is known by its session, which may end before it does."""
    told = [sys.executable, "-c", DYING, url, NOW.isoformat()]
    done = subprocess.run(told, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("held\n", -9)

    assert store.pulls.take(hold(grant), NOW, LATER) is not None


def test_grants_are_counted_by_source_and_state(
    store: Store, grant: CloudGrant
) -> None:
    john = replace(GIVEN, wearer=replace(GIVEN.wearer, user="john"), vendor_user="g-2")
    ended = store.grants.keep(john, EVENT)
    store.grants.end(ended, GrantState.REVOKED, "revoked", EVENT)
    assert store.pulls.count() == {"fit": {"active": 1, "revoked": 1}}

    store.pulls.fail(grant.id, PullCursor("steps", None, None, 1, "HTTP 503"))
    store.pulls.fail(ended.id, PullCursor("steps", None, None, 1, "HTTP 503"))

    assert store.pulls.count() == {"fit": {"active": 1, "revoked": 1, "failing": 1}}
