"""What servers were started with: a row whenever it is otherwise, and never two."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from cds_service.audit import build_configuration_event, verify
from cds_service.store.configurations import NOTHING, Configuration
from cds_service.store.records import AuditEvent, StoreError
from cds_service.store.store import Store

from ..waiting import PATIENCE

Rows = Callable[[str], list[dict[str, Any]]]
FIRST = {"settings.port": 8080, "client.ehr.keys": ["k1 a", "k2 b"]}
SECOND = {"settings.port": 8081, "client.ehr.keys": ["k1 a", "k2 b"]}
RECORD = """
import os, sys
from datetime import UTC, datetime
from cds_service.audit import build_configuration_event
from cds_service.store.configurations import Configuration
from cds_service.store.store import Store

store = Store.open(sys.argv[1])

def record(port):
    told = Configuration("node", {"settings.port": port})
    store.configurations.record(
        told,
        lambda before: build_configuration_event(
            datetime.now(UTC), told, before, "0.1.0"
        ),
    )
"""
AT_ONCE = """
print("ready", flush=True)
sys.stdin.readline()
record(int(sys.argv[2]))
"""
FORKED = """
record(1)
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
record(3 if child else 2)
"""


def start(
    store: Store, server: str, inventory: dict[str, Any], now: datetime
) -> Configuration | None:
    """What came before, as a start of a server finds it."""
    told = Configuration(server, inventory)

    def build(before: Configuration) -> AuditEvent:
        return build_configuration_event(now, told, before, "0.1.0")

    return store.configurations.record(told, build)


def details(store: Store) -> list[dict[str, Any]]:
    return [json.loads(each.detail) for each in store.audit_entries()]


def test_the_first_start_has_everything_added(store: Store, now: datetime) -> None:
    assert start(store, "node", FIRST, now) == NOTHING

    (entry,) = store.audit_entries()
    assert (entry.kind, entry.client) == ("configuration", "node")
    assert json.loads(entry.detail) == {
        "server": "node",
        "digest": Configuration("node", FIRST).digest,
        "previous": "",
        "release": "0.1.0",
        "added": FIRST,
        "removed": {},
        "changed": {},
    }


def test_a_restart_with_the_same_has_no_row(
    store: Store, now: datetime, rows: Rows
) -> None:
    start(store, "node", FIRST, now)

    assert start(store, "node", dict(reversed(FIRST.items())), now) is None

    assert len(details(store)) == 1
    assert rows("SELECT count(*) AS n FROM configurations") == [{"n": 1}]


def test_a_restart_with_another_has_a_row_that_follows_from_the_one_before(
    store: Store, now: datetime
) -> None:
    for inventory in (FIRST, SECOND, FIRST):
        start(store, "node", inventory, now)

    told = details(store)
    assert [each["changed"] for each in told[1:]] == [
        {"settings.port": [8080, 8081]},
        {"settings.port": [8081, 8080]},
    ]
    assert [each["previous"] for each in told[1:]] == [
        each["digest"] for each in told[:2]
    ]
    assert verify(store) == []


def test_the_whole_of_it_is_kept_with_the_digest_of_its_text(
    store: Store, now: datetime, rows: Rows
) -> None:
    start(store, "node", FIRST, now)

    (row,) = rows("SELECT at, server, digest, inventory FROM configurations")
    assert (row["at"], row["server"]) == ("2026-03-01T12:00:00.000000Z", "node")
    assert row["digest"] == (
        "c1e9dfa2e0d954b735722aaffbeb891705d291a871232e4fda360a47fa35a644"
    )
    assert json.loads(row["inventory"]) == FIRST


def test_a_server_is_compared_with_itself_whatever_others_do(
    store: Store, now: datetime
) -> None:
    start(store, "one", FIRST, now)
    start(store, "two", SECOND, now)

    assert start(store, "one", FIRST, now) is None
    assert start(store, "two", SECOND, now) is None


def test_a_server_that_is_new_is_compared_with_the_newest_of_any(
    store: Store, now: datetime
) -> None:
    start(store, "one", FIRST, now)
    start(store, "two", SECOND, now)
    start(store, "three", SECOND, now)

    _, two, three = details(store)
    assert two["changed"] == {"settings.port": [8080, 8081]}
    assert (three["server"], three["previous"]) == ("three", two["digest"])
    assert (three["added"], three["removed"], three["changed"]) == ({}, {}, {})


def test_what_cannot_be_recorded_is_not_kept_either(
    store: Store, now: datetime, rows: Rows
) -> None:
    rows("ALTER TABLE audit RENAME TO elsewhere")

    with pytest.raises(StoreError, match="audit"):
        start(store, "node", FIRST, now)

    assert store.configurations.newest("node") == NOTHING


@pytest.mark.parametrize(
    "sql", ["UPDATE configurations SET inventory = '{}'", "DELETE FROM configurations"]
)
def test_the_database_itself_refuses_to_change_what_was_kept(
    store: Store, now: datetime, rows: Rows, sql: str
) -> None:
    start(store, "node", FIRST, now)

    with pytest.raises(DBAPIError, match="append-only"):
        rows(sql)


def test_a_changed_copy_shows_as_a_previous_that_no_row_has_recorded(
    store: Store, now: datetime, rows: Rows, kind: str
) -> None:
    start(store, "node", FIRST, now)
    table = " ON configurations" if kind == "postgresql" else ""
    rows(f"DROP TRIGGER configurations_are_append_only_update{table}")
    rows("UPDATE configurations SET inventory = '{}'")

    start(store, "node", FIRST, now)

    first, second = details(store)
    assert second["previous"] != first["digest"]


def test_of_many_that_start_at_once_with_the_same_one_is_recorded(
    store: Store, url: str, now: datetime
) -> None:
    gate = threading.Barrier(8)

    def work(_: int) -> Configuration | None:
        own = Store.open(url)
        gate.wait()
        before = start(own, "node", FIRST, now)
        own.close()
        return before

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))

    assert sorted(found, key=str) == [NOTHING, *[None] * 7]
    assert len(details(store)) == 1
    assert verify(store) == []


def test_of_processes_that_start_at_once_each_row_follows_from_another(
    store: Store, url: str, run_at_once: Callable[..., list[str]]
) -> None:
    run_at_once(RECORD + AT_ONCE, *((url, port) for port in "1122"))

    told = details(store)
    assert [each["previous"] for each in told] == [
        "",
        *(each["digest"] for each in told[:-1]),
    ]
    assert all(each["digest"] != each["previous"] for each in told)
    assert verify(store) == []


def test_a_store_that_was_opened_before_a_fork_records_in_parent_and_child(
    store: Store, url: str
) -> None:
    subprocess.run(
        [sys.executable, "-c", RECORD + FORKED, url], check=True, timeout=PATIENCE
    )

    told = details(store)
    assert [each["changed"].get("settings.port") for each in told] == [
        None,
        [1, 2],
        [2, 3],
    ]
    assert verify(store) == []
