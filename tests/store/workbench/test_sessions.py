"""Who is in the workbench: a link is good once, and a session ends by itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from cds_service.store.workbench.sessions import WorkbenchLink, WorkbenchSession

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
EVENT = AuditEvent(NOW, "sign-in", "", "workbench")
SOON, LATER = NOW + timedelta(minutes=5), NOW + timedelta(hours=8)
IDLE = timedelta(minutes=30)
LINK = WorkbenchLink("5f", "jane", "operator", SOON)
SESSION = WorkbenchSession("a0", "", "jane", "operator", NOW, NOW + IDLE, LATER)


def test_a_link_lets_one_in_once_and_before_its_time_is_over(store: Store) -> None:
    store.workbench.offer(LINK, EVENT)

    assert store.workbench.redeem("60", NOW) is None
    assert store.workbench.redeem("5f", SOON) is None
    assert store.workbench.redeem("5f", NOW) == LINK
    assert store.workbench.redeem("5f", NOW) is None


def test_a_session_lasts_as_long_as_somebody_is_there(store: Store) -> None:
    store.workbench.open(SESSION, EVENT)

    seen = store.workbench.find("a0", NOW + timedelta(minutes=20), IDLE)
    assert seen is not None
    assert seen.idle_until == NOW + timedelta(minutes=50)
    assert store.workbench.find("a0", NOW + timedelta(minutes=49), IDLE) is not None
    assert store.workbench.find("a0", NOW + timedelta(minutes=80), IDLE) is None
    assert store.workbench.find("b1", NOW, IDLE) is None


def test_a_session_ends_after_its_time_however_busy(store: Store) -> None:
    store.workbench.open(SESSION, EVENT)

    step = NOW
    while step < LATER:
        assert store.workbench.find("a0", step, IDLE) is not None
        step += timedelta(minutes=29)

    assert store.workbench.find("a0", LATER, IDLE) is None


def test_who_signs_out_is_out(store: Store) -> None:
    store.workbench.open(SESSION, EVENT)

    store.workbench.end("a0", EVENT)

    assert store.workbench.find("a0", NOW, IDLE) is None


def test_links_and_sessions_that_are_over_are_not_kept(store: Store, rows: Any) -> None:
    store.workbench.offer(LINK, EVENT)
    store.workbench.open(SESSION, EVENT)

    late = AuditEvent(LATER, "sign-in", "", "workbench")
    other = WorkbenchLink("60", "joe", "viewer", LATER + IDLE)
    store.workbench.offer(other, late)
    session = WorkbenchSession("b1", "", "joe", "viewer", LATER, LATER + IDLE, LATER)
    store.workbench.open(session, late)

    assert rows("SELECT subject FROM workbench_links") == [{"subject": "joe"}]
    assert rows("SELECT subject FROM workbench_sessions") == [{"subject": "joe"}]
