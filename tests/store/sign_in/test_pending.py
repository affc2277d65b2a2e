"""Pending sign-ins: good once, for a while, and never so many that they do harm."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cds_service.store.opening import open_database
from cds_service.store.sign_in.pending import PendingSignIns
from cds_service.store.sign_in.records import PendingSignIn
from cds_service.store.store import Store

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
ASKED = PendingSignIn("a1", "5f", "6e", "north", "ehr", NOW, LATER, "why", "sealed")


def test_a_sign_in_waits_until_it_is_taken_and_is_taken_once(store: Store) -> None:
    pending = store.pending_sign_ins
    assert pending.begin(ASKED)

    assert pending.find("60", NOW) is None
    assert pending.find("5f", NOW) == ASKED == pending.find("5f", NOW)
    assert pending.take("5f", NOW)
    assert not pending.take("5f", NOW)
    assert pending.find("5f", NOW) is None


def test_a_sign_in_whose_time_is_over_is_there_for_nobody(store: Store) -> None:
    store.pending_sign_ins.begin(ASKED)

    assert store.pending_sign_ins.find("5f", LATER) is None
    assert not store.pending_sign_ins.take("5f", LATER)


def test_of_many_who_come_back_with_one_state_at_once_one_is_let_in(url: str) -> None:
    doors = [Store.open(url) for _ in range(6)]
    doors[0].pending_sign_ins.begin(ASKED)
    start, taken = threading.Barrier(len(doors)), list[bool]()

    def come(store: Store) -> None:
        start.wait()
        taken.append(store.pending_sign_ins.take("5f", NOW))

    threads = [threading.Thread(target=come, args=[each]) for each in doors]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for door in doors:
        door.close()

    assert sorted(taken) == [False] * 5 + [True]


def test_the_secret_part_of_a_sign_in_is_gone_once_it_was_taken(
    store: Store, rows: Any
) -> None:
    store.pending_sign_ins.begin(ASKED)
    store.pending_sign_ins.take("5f", NOW)

    assert rows("SELECT sealed FROM pending_sign_ins") == [{"sealed": ""}]


def test_a_flood_of_launches_finds_no_room_and_old_ones_make_some(
    url: str, rows: Any
) -> None:
    database = open_database(url)
    pending = PendingSignIns(database, most=3)
    many = [replace(ASKED, state_hash=str(number)) for number in range(5)]

    assert [pending.begin(each) for each in many] == [True, True, True, False, False]
    assert rows("SELECT count(*) AS n FROM pending_sign_ins") == [{"n": 3}]
    late = replace(ASKED, begun=LATER, until=LATER + timedelta(minutes=5))
    assert pending.begin(late)
    assert rows("SELECT count(*) AS n FROM pending_sign_ins") == [{"n": 1}]
    database.close()
