"""The store: what goes in comes out, once, whole, and for whoever asks."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cds_service.audit import build_call_event, verify
from cds_service.protocol.cards import Coding
from cds_service.protocol.feedback import FeedbackEntry, FeedbackOutcome
from cds_service.store.detection.reading import ALERTS_READ
from cds_service.store.records import (
    Attempt,
    AuditEvent,
    CallRecord,
    Intake,
    StoreBusy,
    StoredAnswer,
    StoreError,
    TokenKey,
    TokenSpent,
)
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey, WearableAlert

from ..waiting import PATIENCE

Rows = Callable[[str], list[dict[str, Any]]]
MakeCall = Callable[..., CallRecord]
MakeAlert = Callable[..., WearableAlert]

SPEND_ALL = """
import sys
from datetime import datetime, timedelta, UTC
from cds_service.store.store import Store

now = datetime.now(UTC)
store = Store.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
won = [
    number
    for number in range(200)
    if store.spend_token("https://ehr.example", str(number), now + timedelta(1), now)
]
print(*won)
"""


@dataclass(frozen=True)
class Somebody:
    id: str = "sandbox"
    tenant: str = "default"


def deliver(
    store: Store, key: str, alerts: list[WearableAlert], event: AuditEvent
) -> None:
    attempt = Attempt("simulator", key)
    store.begin_delivery(attempt, "digest", event.at)
    store.finish_delivery(
        attempt, StoredAnswer(202, "{}"), Intake(tuple(alerts)), event, event.at
    )


def test_a_call_is_stored_with_its_card_and_its_audit_row(
    store: Store, make_call: MakeCall, event: AuditEvent, rows: Rows
) -> None:
    made = make_call()
    store.record_call(made, build_call_event(made))

    (call,) = rows("SELECT * FROM calls")
    (card,) = rows("SELECT * FROM cards")
    (audit,) = rows("SELECT * FROM audit")
    assert call["at"] == "2026-03-01T12:00:00.000000Z"
    assert (call["tenant"], call["fhir_base"]) == ("default", "-")
    assert (call["patient_id"], call["user"]) == ("p1", "Practitioner/1")
    assert (card["uuid"], card["call_id"]) == ("card-1", call["id"])
    assert (card["rule"], card["version"]) == ("a-rule", "1.2.0")
    assert card["shown_at"] == "2026-03-01T12:00:00.000000Z"
    assert (audit["kind"], audit["sequence"]) == ("call", 1)
    told = json.loads(audit["detail"])
    assert told["evaluations"] == [["fires", [], ["a-rule@1.2.0"]]]
    assert told["sources"] == {"conditions": ["loaded", "prefetch", 2]}
    assert told["deviations"] == ["patientId was written Patient/…"]


def test_an_identical_retry_adds_a_call_but_no_second_card(
    store: Store, make_call: MakeCall, event: AuditEvent, rows: Rows
) -> None:
    store.record_call(make_call(), event)
    store.record_call(make_call(), event)

    assert len(rows("SELECT * FROM calls")) == 2
    assert [row["call_id"] for row in rows("SELECT * FROM cards")] == [1]


def test_a_call_with_no_card_or_several_is_stored(
    store: Store, make_call: MakeCall, event: AuditEvent, rows: Rows
) -> None:
    (card,) = make_call().cards

    store.record_call(make_call(cards=()), event)
    store.record_call(make_call(cards=(card, replace(card, uuid="card-2"))), event)

    assert {row["uuid"] for row in rows("SELECT * FROM cards")} == {"card-1", "card-2"}
    assert {row["call_id"] for row in rows("SELECT * FROM cards")} == {2}


def test_a_call_that_cannot_be_stored_whole_leaves_nothing_behind(
    store: Store, make_call: MakeCall, event: AuditEvent, rows: Rows
) -> None:
    rows("ALTER TABLE audit RENAME TO elsewhere")

    with pytest.raises(StoreError):
        store.record_call(make_call(), event)

    assert rows("SELECT * FROM calls") == []
    assert rows("SELECT * FROM cards") == []


def test_an_error_names_no_patient(
    store: Store, make_call: MakeCall, event: AuditEvent, rows: Rows
) -> None:
    rows("ALTER TABLE calls RENAME TO elsewhere")

    with pytest.raises(StoreError) as error:
        store.record_call(make_call(), event)

    assert "p1" not in str(error.value)
    assert "p1" not in str(error.value.__cause__)


def test_what_cannot_be_written_as_text_is_a_store_error(
    store: Store, make_call: MakeCall, event: AuditEvent
) -> None:
    with pytest.raises(StoreError):
        store.record_call(make_call(user="\ud800"), event)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite"])
def test_another_writer_who_does_not_let_go_is_a_store_error(
    store: Store, file: Path, make_call: MakeCall, event: AuditEvent
) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreBusy):
        store.record_call(make_call(), event)

    other.execute("ROLLBACK")
    other.close()
    store.record_call(make_call(), event)


def test_s_15_a_token_is_spent_once(store: Store, now: datetime) -> None:
    until = now + timedelta(minutes=5)

    assert store.spend_token("https://ehr.example", "a", until, now)
    assert not store.spend_token("https://ehr.example", "a", until, now)
    assert store.spend_token("https://ehr.example", "b", until, now)
    assert store.spend_token("https://other.example", "a", until, now)


def test_s_15_of_many_threads_with_one_token_exactly_one_wins(
    store: Store, now: datetime
) -> None:
    gate = threading.Barrier(20)
    won: list[bool] = []

    def spend() -> None:
        gate.wait()
        won.append(store.spend_token("https://ehr.example", "a", now, now))

    threads = [threading.Thread(target=spend) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won) == [False] * 19 + [True]


def test_s_15_of_two_processes_with_one_token_exactly_one_wins(
    store: Store, url: str, run_at_once: Callable[..., list[str]]
) -> None:
    won = [printed.split() for printed in run_at_once(SPEND_ALL, (url,), (url,))]

    assert sorted(int(each) for part in won for each in part) == list(range(200))


def test_s_15_a_call_with_a_token_that_was_used_is_not_recorded(
    store: Store, event: AuditEvent, make_call: MakeCall, now: datetime, rows: Rows
) -> None:
    token = TokenKey("https://ehr.example", "a", now.timestamp() + 300)
    store.record_call(make_call(cards=()), event, token)

    with pytest.raises(TokenSpent):
        store.record_call(make_call(cards=()), event, token)
    with pytest.raises(TokenSpent):
        store.record_audit(event, token)

    assert len(rows("SELECT 1 FROM calls")) == len(rows("SELECT 1 FROM audit")) == 1


def test_a_token_is_new_until_what_is_done_for_it_is_recorded(
    store: Store, event: AuditEvent, make_call: MakeCall, now: datetime
) -> None:
    token = TokenKey("https://ehr.example", "a", now.timestamp() + 300)
    with pytest.raises(StoreError):
        store.record_call(make_call(user="\ud800"), event, token)
    assert not store.is_spent(token)

    store.record_call(make_call(), event, token)
    assert store.is_spent(token)
    assert not store.spend_token(token.issuer, token.jti, now, now)


def test_s_15_of_calls_recorded_together_with_one_token_exactly_one_is(
    store: Store, event: AuditEvent, make_call: MakeCall, now: datetime, rows: Rows
) -> None:
    token = TokenKey("https://ehr.example", "a", now.timestamp() + 300)
    gate, lost = threading.Barrier(20), []

    def record(number: int) -> None:
        call = make_call(cards=(), hook_instance=str(number))
        own = token if number < 10 else token._replace(jti=str(number))
        gate.wait()
        try:
            store.record_call(call, event, own)
        except TokenSpent:
            lost.append(number)

    threads = [threading.Thread(target=record, args=(each,)) for each in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(lost) == 9 and max(lost) < 10
    assert len(rows("SELECT 1 FROM calls")) == 11
    assert verify(store) == []


def test_a_token_that_nobody_accepts_any_more_is_forgotten(
    store: Store, now: datetime, rows: Rows
) -> None:
    store.spend_token("https://ehr.example", "old", now, now)
    later = now + timedelta(hours=2)

    store.spend_token("https://ehr.example", "new", later, later)

    assert [row["jti"] for row in rows("SELECT jti FROM spent_tokens")] == ["new"]


def test_an_alert_comes_out_as_it_went_in(
    store: Store, event: AuditEvent, make_alert: MakeAlert, now: datetime
) -> None:
    lasting, ended = make_alert(), make_alert(id="alert-2", end=now, status="closed")

    deliver(store, "k", [lasting, ended], event)

    found = store.wearable_alerts(lasting.patient, now - timedelta(days=1)).alerts
    assert found == (lasting, ended)
    assert found[0].start.utcoffset() == timedelta(hours=-5)
    assert found[0].opened.tzinfo == UTC


def test_of_too_many_alerts_the_newest_are_read_and_it_is_said_that_there_are_more(
    store: Store, event: AuditEvent, make_alert: MakeAlert, now: datetime
) -> None:
    start = now - timedelta(days=9)
    ended = [
        make_alert(
            id=f"{minutes:04}",
            start=start,
            end=now - timedelta(minutes=minutes),
            status="closed",
        )
        for minutes in range(ALERTS_READ)
    ]
    deliver(store, "k", ended, event)
    since = now - timedelta(days=1)
    all_of_them = store.wearable_alerts(ended[0].patient, since)
    lasting = make_alert(id="lasting", start=start - timedelta(days=30))

    deliver(store, "l", [lasting], event)

    found = store.wearable_alerts(lasting.patient, since)
    assert (len(all_of_them.alerts), all_of_them.whole) == (ALERTS_READ, True)
    assert {each.id for each in found.alerts} == {
        "lasting",
        *(each.id for each in ended[:-1]),
    }
    assert not found.whole


def test_alerts_are_those_of_the_patient_of_the_tenant_and_server(
    store: Store, event: AuditEvent, make_alert: MakeAlert, now: datetime
) -> None:
    keys = [
        PatientKey("default", "-", "p1"),
        PatientKey("default", "-", "p2"),
        PatientKey("other", "-", "p1"),
        PatientKey("default", "https://fhir.example", "p1"),
    ]
    deliver(store, "k", [make_alert(patient=key) for key in keys], event)

    for key in keys:
        (found,) = store.wearable_alerts(key, now - timedelta(days=1)).alerts
        assert found.patient == key


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"end": None}, True),
        ({"end": timedelta(0)}, True),
        ({"end": timedelta(minutes=5)}, True),
        ({"end": timedelta(minutes=-5)}, False),
        ({"end": None, "status": "closed"}, False),
        ({"end": timedelta(minutes=5), "status": "retracted"}, False),
        ({"end": None, "status": "retracted"}, False),
    ],
)
def test_alerts_are_those_that_lasted_until_since_and_were_not_retracted(
    store: Store,
    event: AuditEvent,
    make_alert: MakeAlert,
    now: datetime,
    changes: dict[str, Any],
    found: bool,
) -> None:
    if changes["end"] is not None:
        changes = {**changes, "end": now + changes["end"]}
    alert = make_alert(start=now - timedelta(hours=1), **changes)

    deliver(store, "k", [alert], event)

    assert bool(store.wearable_alerts(alert.patient, now).alerts) is found


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_highest_revision_stays_whichever_came_first(
    store: Store,
    event: AuditEvent,
    make_alert: MakeAlert,
    now: datetime,
    order: tuple[int, ...],
) -> None:
    for rev in order:
        later = now.astimezone(UTC) + timedelta(minutes=order.index(rev))
        alert = make_alert(rev=rev, value=100.0 + rev, opened=later)
        deliver(store, f"k{rev}", [alert], event)

    (found,) = store.wearable_alerts(alert.patient, now - timedelta(days=1)).alerts
    assert (found.rev, found.value) == (2, 102.0)
    assert found.opened == now


def test_the_same_id_from_another_source_is_another_alert(
    store: Store, event: AuditEvent, make_alert: MakeAlert, now: datetime
) -> None:
    deliver(store, "k", [make_alert(), make_alert(source="other")], event)

    found = store.wearable_alerts(make_alert().patient, now - timedelta(days=1)).alerts
    assert {alert.source for alert in found} == {"simulator", "other"}


def feedback(card: str = "card-1", **changes: Any) -> FeedbackEntry:
    at = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
    return FeedbackEntry(card, FeedbackOutcome.OVERRIDDEN, at, **changes)


def test_feedback_joins_the_rule_and_version_of_its_card(
    store: Store, make_call: MakeCall, event: AuditEvent, now: datetime, rows: Rows
) -> None:
    store.record_call(make_call(), event)
    reason = Coding("https://codes.example", "seen", "Seen")
    entry = feedback(reason=reason, comment="Known since May.")

    store.record_feedback("wearable-review", [entry], Somebody(), event, now)

    (row,) = rows("SELECT * FROM feedback")
    assert (row["known_card"], row["rule"], row["version"]) == (1, "a-rule", "1.2.0")
    assert (row["outcome"], row["reason_code"]) == ("overridden", "seen")
    assert row["user_comment"] == "Known since May."
    assert row["outcome_at"] == "2026-03-01T12:05:00.000000Z"


def test_f_4_the_same_feedback_twice_is_kept_once(
    store: Store, event: AuditEvent, now: datetime, rows: Rows
) -> None:
    for _ in range(2):
        store.record_feedback("wearable-review", [feedback()], Somebody(), event, now)
    entries = [feedback("card-2")]
    store.record_feedback("wearable-review", entries, Somebody(), event, now)

    assert len(rows("SELECT * FROM feedback")) == 2
    assert len(rows("SELECT * FROM audit")) == 3


def test_f_10_feedback_about_an_unknown_card_is_kept_and_flagged(
    store: Store, event: AuditEvent, now: datetime, rows: Rows
) -> None:
    entries = [feedback("no-such-card")]
    store.record_feedback("wearable-review", entries, Somebody(), event, now)

    (row,) = rows("SELECT * FROM feedback")
    assert (row["known_card"], row["rule"]) == (0, None)


@pytest.mark.parametrize(
    ("service", "client"),
    [
        ("other", Somebody()),
        ("wearable-review", Somebody(id="other")),
        ("wearable-review", Somebody(tenant="other")),
    ],
)
def test_feedback_does_not_join_a_card_that_was_shown_to_somebody_else(
    store: Store,
    make_call: MakeCall,
    event: AuditEvent,
    now: datetime,
    rows: Rows,
    service: str,
    client: Somebody,
) -> None:
    store.record_call(make_call(), event)

    store.record_feedback(service, [feedback()], client, event, now)

    assert rows("SELECT known_card FROM feedback") == [{"known_card": 0}]


def test_the_audit_trail_reads_out_in_the_order_of_arrival_over_many_pages(
    store: Store, event: AuditEvent, rows: Rows
) -> None:
    store.record_audit(event)
    rows("""
        INSERT INTO audit
        WITH RECURSIVE more(n) AS (
            SELECT 2 UNION ALL SELECT n + 1 FROM more WHERE n < 2501
        )
        SELECT n, writer, n, previous_hash, hash, at, kind, tenant,
            client, fhir_base, patient_id, detail, version, pseudonym, salt,
                body_digest FROM audit, more
    """)

    entries = [entry.sequence for entry in store.audit_entries()]

    assert entries == list(range(1, 2502))


def test_ping_answers_only_where_the_schema_is(url: str, store: Store) -> None:
    store.ping()
    empty = Store.open(url + ".empty")

    with pytest.raises(StoreError):
        empty.ping()

    empty.close()


@pytest.mark.parametrize(
    "url",
    [
        "no url",
        "mysql://localhost/cds",
        "postgresql+asyncpg://localhost/cds",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////proc/nowhere/cds.sqlite",
    ],
)
def test_a_url_that_cannot_be_used_is_a_store_error(url: str) -> None:
    with pytest.raises(StoreError):
        Store.open(url)


def test_only_the_owner_may_read_the_database(file: Path) -> None:
    store = Store.open(f"sqlite:///{file}")
    store.migrate()

    for each in (file, file.with_name(file.name + "-wal")):
        assert stat.S_IMODE(os.stat(each).st_mode) == 0o600
    store.close()


def test_a_store_opened_before_a_fork_serves_the_child_with_a_chain_of_its_own(
    url: str, store: Store, event: AuditEvent
) -> None:
    script = f"""
import os
from datetime import UTC, datetime
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store

store = Store.open({url!r})
event = AuditEvent(datetime.now(UTC), "call")
store.record_audit(event)
child = os.fork()
store.record_audit(event)
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=PATIENCE)

    sequences: dict[str, list[int]] = {}
    for entry in store.audit_entries():
        sequences.setdefault(entry.writer, []).append(entry.sequence)
    assert sorted(sequences.values()) == [[1], [1, 2]]


def test_what_a_database_takes_grows_with_what_is_stored(
    store: Store, make_call: Callable[..., CallRecord], now: datetime
) -> None:
    before = store.usage(now)

    for number in range(200):
        call = make_call(hook_instance=f"{number}", cards=())
        store.record_call(call, AuditEvent(now, "call", detail={"filler": "x" * 2000}))

    assert store.usage(now).bytes > before.bytes > 0


def test_the_room_on_the_disk_is_known_of_a_file_alone(
    kind: str, store: Store, now: datetime
) -> None:
    free = store.usage(now).free

    assert free is None if kind == "postgresql" else free is not None and free > 0


def test_a_connection_is_busy_while_somebody_reads_or_writes(
    kind: str, store: Store
) -> None:
    assert store.pool.busy == 0
    assert store.pool.most == (16 if kind == "postgresql" else 0)

    with store._database.reading():
        assert store.pool.busy == 1
    seen = store._database.write(lambda connection: store.pool.busy)

    assert (seen, store.pool.busy) == (1, 0)
