"""Many nodes on one PostgreSQL: what wins waits for nobody's luck, what breaks is said.

Each store here is as one node has it.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cds_service.audit import build_consent_event, verify
from cds_service.store.database import DatabaseLimits
from cds_service.store.publications import Draft
from cds_service.store.records import (
    Attempt,
    AuditEvent,
    CallRecord,
    ConsentsChanged,
    ConsentUse,
    DeliveryState,
    Intake,
    StoreBusy,
    StoredAnswer,
    StoreError,
    TokenKey,
    TokenSpent,
)
from cds_service.store.store import Store
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange, stamp_of
from cds_service.wearables.records import PatientKey
from tests.postgresql import Server, running_server

from ..waiting import PATIENCE, until


@pytest.fixture
def kind() -> str:
    return "postgresql"


PATIENT = DatabaseLimits(
    statement_seconds=PATIENCE, lock_seconds=PATIENCE, transaction_seconds=PATIENCE
)
"""However busy the machine is, nothing is given up here."""
NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
UPDATED = datetime(2026, 11, 1, tzinfo=UTC)

Rows = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def nodes(url: str) -> Iterator[list[Store]]:
    """Three of them."""
    with ExitStack() as opened:
        stores = [Store.open(url, limits=PATIENT) for _ in range(3)]
        for store in stores:
            opened.callback(store.close)
        yield stores


def consent(patient: PatientKey, status: str) -> ConsentRecord:
    return ConsentRecord(patient, "c", UPDATED, "app", {"id": "c", "status": status})


def tell(store: Store, change: ConsentChange) -> None:
    event = build_consent_event(NOW, "demo", "app", [change], {})
    store.consents.record([change], event)


def call_under(patient: PatientKey, use: ConsentUse | None = None) -> CallRecord:
    return CallRecord(
        NOW, "ehr", "review", "patient-view", "i", patient, "digest", consent=use
    )


def at_once(work: Callable[[int], Any], number: int) -> list[Any]:
    gate = threading.Barrier(number)

    def start(each: int) -> Any:
        gate.wait()
        return work(each)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(start, range(number)))


def test_no_call_is_recorded_under_a_consent_after_its_withdrawal_was_answered(
    nodes: list[Store], rows: Rows
) -> None:
    """Without a lock on a row that is there, dozens of them are."""
    patients = [PatientKey("demo", "-", f"p{number}") for number in range(25)]
    for patient in patients:
        tell(
            nodes[0],
            ConsentChange(patient, frozenset(), (consent(patient, "active"),)),
        )
    # As for Consents of a time when there were no guards.
    rows("DELETE FROM consent_guards")
    called = {patient: threading.Event() for patient in patients}

    def work(number: int) -> None:
        for patient in patients:
            seen = stamp_of([consent(patient, "active")])
            if number == 0:
                assert called[patient].wait(PATIENCE)
                gone = ConsentChange(patient, seen, gone=("c",))
                tell(nodes[0], gone)
                continue
            with suppress(ConsentsChanged):
                while True:
                    use = ConsentUse("permitted", seen=seen)
                    node = nodes[number % 3]
                    event = AuditEvent(NOW, "call", patient=patient)
                    node.record_call(call_under(patient, use), event)
                    called[patient].set()

    at_once(work, 7)

    late = rows("""
        SELECT call.patient_id FROM audit AS call JOIN audit AS withdrawal
            ON withdrawal.patient_id = call.patient_id
        WHERE call.kind = 'call' AND withdrawal.detail LIKE '%%"gone":[[%%'
            AND pg_xact_commit_timestamp(call.xmin)
                > pg_xact_commit_timestamp(withdrawal.xmin)
    """)
    assert late == []
    recorded = rows("SELECT DISTINCT patient_id FROM audit WHERE kind = 'call'")
    assert len(recorded) == len(patients)
    assert verify(nodes[0]) == []


def test_a_withdrawal_is_answered_after_the_call_that_still_rests_on_the_consent(
    nodes: list[Store], rows: Rows, url: str
) -> None:
    """A row that does not exist cannot be locked: the first who asks makes it."""
    patient = PatientKey("demo", "-", "p")
    seen = stamp_of([consent(patient, "active")])
    tell(nodes[0], ConsentChange(patient, frozenset(), (consent(patient, "active"),)))
    rows("DELETE FROM consent_guards")
    use = ConsentUse("permitted", seen=seen)
    answered: list[str] = []

    def call() -> None:
        nodes[1].record_call(call_under(patient, use), AuditEvent(NOW, "call"))
        answered.append("call")

    def withdraw() -> None:
        tell(nodes[2], ConsentChange(patient, seen, gone=("c",)))
        answered.append("withdrawal")

    with ThreadPoolExecutor(2) as pool:
        with psycopg.connect(url.replace("+psycopg", "")) as session:
            session.execute("LOCK TABLE calls")
            calls = pool.submit(call)
            until(lambda: waiting(rows) == 1)
            withdraws = pool.submit(withdraw)
            until(lambda: waiting(rows) == 2 or answered)
        calls.result()
        withdraws.result()

    assert answered == ["call", "withdrawal"]
    with pytest.raises(ConsentsChanged):
        call()


def test_of_two_at_once_the_later_withdrawal_is_answered_with_what_has_changed(
    nodes: list[Store], rows: Rows, url: str
) -> None:
    """Both read the same, and whoever changes it changes it alone."""
    patient = PatientKey("demo", "-", "p")
    seen = stamp_of([consent(patient, "active")])
    tell(nodes[0], ConsentChange(patient, frozenset(), (consent(patient, "active"),)))
    withdrawn = ConsentChange(patient, seen, (consent(patient, "inactive"),))
    refused: list[str] = []

    def withdraw(node: int) -> None:
        try:
            tell(nodes[node], withdrawn)
        except ConsentsChanged:
            refused.append("refused")

    with ThreadPoolExecutor(2) as pool:
        with psycopg.connect(url.replace("+psycopg", "")) as session:
            session.execute("LOCK TABLE consents IN SHARE MODE")
            first = pool.submit(withdraw, 1)
            until(lambda: waiting(rows) == 1)
            second = pool.submit(withdraw, 2)
            until(lambda: waiting(rows) == 2)
        first.result()
        second.result()

    assert refused == ["refused"]


def waiting(rows: Rows) -> int:
    """How many sessions wait for a lock."""
    (found,) = rows("""
        SELECT count(*) AS number FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
    """)
    return int(found["number"])


def test_of_many_nodes_with_one_token_exactly_one_wins(nodes: list[Store]) -> None:
    won = at_once(
        lambda each: nodes[each % 3].spend_token("https://ehr.example", "a", NOW, NOW),
        20,
    )

    assert sorted(won) == [False] * 19 + [True]


def test_of_many_nodes_that_answer_one_token_exactly_one_has_recorded_it(
    nodes: list[Store], rows: Rows
) -> None:
    token = TokenKey("https://ehr.example", "a", NOW.timestamp() + 300)

    def record(each: int) -> bool:
        try:
            call = call_under(PatientKey("default", "-", f"p{each}"), None)
            nodes[each % 3].record_call(call, AuditEvent(NOW, "call"), token)
        except TokenSpent:
            return False
        return True

    assert sorted(at_once(record, 20)) == [False] * 19 + [True]
    assert len(rows("SELECT 1 FROM calls")) == len(rows("SELECT 1 FROM audit")) == 1
    assert verify(nodes[0]) == []


def test_of_many_nodes_with_one_delivery_one_works_on_it(nodes: list[Store]) -> None:
    def begin(each: int, now: datetime = NOW) -> DeliveryState:
        attempt = Attempt("watch", "key")
        return nodes[each % 3].begin_delivery(attempt, "digest", now).state

    first = at_once(begin, 20)
    later = NOW + timedelta(minutes=6)
    taken_over = at_once(lambda each: begin(each, later), 20)

    for states in (first, taken_over):
        assert states.count(DeliveryState.NEW) == 1
        assert states.count(DeliveryState.IN_PROGRESS) == 19


END_ALL = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def test_every_connection_that_breaks_is_replaced_and_nothing_is_told_of_it(
    nodes: list[Store], rows: Rows
) -> None:
    for _ in range(3):
        for node in nodes:
            node.record_audit(AuditEvent(NOW, "call"))
        rows(END_ALL)

    assert verify(nodes[0]) == []
    assert len(list(nodes[0].audit_entries())) == 9


def test_what_is_asked_on_a_connection_that_has_just_broken_is_asked_on_another(
    nodes: list[Store], rows: Rows
) -> None:
    token = TokenKey("https://ehr.example.org", "t1", NOW.timestamp() + 60)
    for node in nodes:
        node.record_audit(AuditEvent(NOW, "call"), token if node is nodes[0] else None)
    rows(END_ALL)

    assert [node.is_spent(token) for node in nodes] == [True, True, True]


def test_a_trail_that_is_read_while_others_write_has_no_gap(nodes: list[Store]) -> None:
    stop = threading.Event()

    def write(each: int) -> None:
        while not stop.is_set():
            nodes[each % 3].record_audit(AuditEvent(NOW, "call"))

    with ThreadPoolExecutor(6) as pool:
        for each in range(6):
            pool.submit(write, each)
        try:
            found = [verify(nodes[0]) for _ in range(12)]
        finally:
            stop.set()

    assert found == [[]] * 12


def test_a_lock_that_is_not_let_go_is_an_error_that_says_so(url: str) -> None:
    plain, node = url.replace("+psycopg", ""), Store.open(url)
    with psycopg.connect(plain) as other:
        other.execute("LOCK TABLE calls")

        with pytest.raises(StoreBusy, match="55P03"):
            node.record_call(
                call_under(PatientKey("demo", "-", "p")), AuditEvent(NOW, "call")
            )
    node.close()


def test_what_postgresql_cannot_keep_is_refused_without_a_word_of_it(
    nodes: list[Store],
) -> None:
    for text in ("Okafor\0", "Okafor\ud800"):
        with pytest.raises(StoreError) as refused:
            nodes[0].record_call(
                call_under(PatientKey("demo", "-", text)), AuditEvent(NOW, "call")
            )
        assert "Okafor" not in str(refused.value)
        assert refused.value.__cause__ is None


@pytest.fixture
def two_roles(postgresql: Server) -> Iterator[Callable[[str], str]]:
    """What the page for operators has them make; gives the URL of a role."""
    page = (Path(__file__).parents[2] / "docs" / "operators.md").read_text("utf-8")
    (block,) = re.findall(r"^```sql\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    before, after = block.split("\\connect cds cds_owner\n")
    with postgresql.connect("postgres") as connection:
        for statement in before.strip().split(";\n"):
            connection.execute(statement)
    url = postgresql.url("cds").replace("nobody@", "{}@")
    with psycopg.connect(url.format("cds_owner").replace("+psycopg", "")) as owner:
        owner.execute(after)
    yield url.format
    postgresql.drop("cds")
    with postgresql.connect("postgres") as connection:
        connection.execute("DROP ROLE cds; DROP ROLE cds_owner")


def test_a_server_needs_no_right_to_change_the_tables(
    two_roles: Callable[[str], str], now: datetime, event: AuditEvent, make_call: Any
) -> None:
    owner, store = Store.open(two_roles("cds_owner")), Store.open(two_roles("cds"))
    with pytest.raises(StoreError):
        store.migrate()
    owner.migrate()
    owner.close()

    store.migrate()
    store.record_call(make_call(), event)
    store.publications.publish(Draft("d", {}, "c", 1), event, "node")

    assert store.publications.take_lease("a", now, 60)
    assert store.spend_token("https://ehr.example", "a", now, now)
    assert verify(store) == []
    store.close()
    plain = two_roles("cds").replace("+psycopg", "")
    for statement in ("DROP TABLE audit", "TRUNCATE audit", "DELETE FROM audit"):
        with psycopg.connect(plain) as connection, pytest.raises(psycopg.Error):
            connection.execute(statement)


def test_what_was_acknowledged_outlives_a_server_that_is_killed() -> None:
    with running_server() as server, ExitStack() as opened:
        database = server.template()
        nodes = [Store.open(server.url(database)) for _ in range(3)]
        for node in nodes:
            opened.callback(node.close)
        nodes[0].migrate()
        stop = threading.Event()
        acknowledged: list[str] = []
        refused: list[str] = []

        def deliver(number: int) -> None:
            node = nodes[number % 3]
            while not stop.is_set():
                attempt = Attempt("watch", f"{number}-{time.monotonic_ns()}")
                try:
                    node.begin_delivery(attempt, "digest", NOW)
                    node.finish_delivery(
                        attempt,
                        StoredAnswer(202, "{}"),
                        Intake(),
                        AuditEvent(NOW, "delivery"),
                        NOW,
                    )
                    acknowledged.append(attempt.key)
                except StoreError:
                    refused.append(attempt.key)

        threads = [threading.Thread(target=deliver, args=(each,)) for each in range(6)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            kill(server, acknowledged)
        stop.set()
        for thread in threads:
            thread.join()

        with server.connect(database) as connection:
            kept = connection.execute(
                "SELECT key FROM deliveries WHERE status IS NOT NULL"
            ).fetchall()
        assert set(acknowledged) <= {key for (key,) in kept}
        assert verify(nodes[0]) == []
        assert len(list(nodes[0].audit_entries())) == len(kept)


def kill(server: Server, acknowledged: list[str]) -> None:
    """Kill the server in the middle of work, and wait for more work after."""
    for end in (server.kill, server.start):
        before = len(acknowledged)
        if end == server.kill:
            until(lambda: len(acknowledged) >= before + 30)
        end()
