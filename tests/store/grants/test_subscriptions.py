"""What vendors were asked to notify of: one looks after it, and when it is due."""

from dataclasses import replace
from datetime import timedelta

from cds_service.store.grants.records import GrantState, GrantWearer
from cds_service.store.store import Store

from .test_grants import EVENT, GIVEN, LATER, NOW

WEARER = GIVEN.wearer
HOUR = timedelta(hours=1)


def claim(store: Store, asked: str = "this", hours: int = 0) -> bool:
    now = NOW + hours * HOUR
    done = store.subscriptions.claim(WEARER, asked, now, now + HOUR / 6)
    return done is not None


def settle(store: Store, problem: str = "") -> None:
    """Somebody has looked after it, and it is due in a day."""
    note = store.subscriptions.find(WEARER)
    assert note is not None
    done = replace(note, base="https://us", due=NOW + 24 * HOUR, problem=problem)
    store.subscriptions.keep(replace(done, until=NOW + 48 * HOUR))


def test_of_two_who_would_look_after_it_one_does(store: Store) -> None:
    assert claim(store)
    assert not claim(store)


def test_who_died_over_it_is_followed_by_another(store: Store) -> None:
    assert claim(store)
    assert claim(store, hours=1)


def test_what_was_looked_at_is_left_alone_until_it_is_due_or_another_is_asked(
    store: Store,
) -> None:
    claim(store)
    settle(store)

    assert not claim(store, hours=23)
    assert claim(store, "that", hours=23)
    settle(store)
    assert claim(store, "that", hours=24)


def test_what_came_of_it_is_known(store: Store) -> None:
    claim(store)
    settle(store, "HTTP 503")

    note = store.subscriptions.find(WEARER)
    assert note is not None
    assert (note.base, note.asked, note.problem) == ("https://us", "this", "HTTP 503")
    assert note.until == NOW + 48 * HOUR
    assert store.subscriptions.count() == {WEARER.source: {"failing": 1}}


def test_one_of_a_source_and_one_of_a_wearer_are_two(store: Store) -> None:
    claim(store)
    whole = GrantWearer(WEARER.tenant, WEARER.source, "")

    assert store.subscriptions.find(whole) is None
    assert store.subscriptions.claim(whole, "this", NOW, LATER) is not None
    store.subscriptions.drop(whole)
    assert store.subscriptions.find(WEARER) is not None


def test_with_the_permission_what_is_known_of_it_goes(store: Store) -> None:
    grant = store.grants.keep(GIVEN, EVENT)
    claim(store)
    settle(store)

    store.grants.end(replace(grant, epoch=9), GrantState.REVOKED, "others'", EVENT)
    assert store.subscriptions.find(WEARER) is not None
    store.grants.end(grant, GrantState.REVOKED, "taken back", EVENT)
    assert store.subscriptions.find(WEARER) is None


def test_who_permits_it_anew_is_looked_at_anew(store: Store) -> None:
    store.grants.keep(GIVEN, EVENT)
    claim(store)
    settle(store)

    store.grants.keep(GIVEN, EVENT)

    assert claim(store, hours=1)
