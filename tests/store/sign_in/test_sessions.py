"""Sessions: for who has the key, for a while, and nothing is left of them then."""

import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.store.grants.records import SealedTokens
from cds_service.store.records import AuditEvent
from cds_service.store.sign_in.records import (
    PendingSignIn,
    SmartSession,
    SweptSignIns,
)
from cds_service.store.store import Store
from cds_service.store.upkeep.copying import copy
from cds_service.store.upkeep.patients import Asked
from cds_service.wearables.records import PatientKey

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
JANE = PatientKey("north", "https://fhir.example.org", "jane")
EVENT = AuditEvent(NOW, "sign-in", "north", "ehr", JANE, {"signIn": "launched"})
TOKENS = SealedTokens("a1", "r1", NOW + HOUR)
SESSION = SmartSession(
    id="s1",
    launch="l1",
    tenant="north",
    client="ehr",
    fhir_base=JANE.fhir_base,
    patient="jane",
    encounter=None,
    user="Practitioner/7",
    scopes=("launch", "patient/Observation.rs"),
    opened_at=NOW,
    idle_until=NOW + 15 * MINUTE,
    until=NOW + 8 * HOUR,
    sealed="context",
)


def over(session: SmartSession) -> AuditEvent:
    return replace(EVENT, detail={"signIn": "ended", "session": session.id})


def over_at(now: datetime) -> Any:
    return lambda each: replace(over(each), at=now)


@pytest.fixture
def opened(store: Store) -> Store:
    """A store with one session, whose key is k1."""
    store.smart_sessions.open(SESSION, "k1", TOKENS, EVENT)
    return store


def test_a_session_is_found_by_its_id_and_its_key_together(opened: Store) -> None:
    found = opened.smart_sessions.find

    assert found("s1", "k1", NOW) == SESSION
    assert found("s1", "k2", NOW) is None
    assert found("s2", "k1", NOW) is None


def test_each_page_makes_a_session_last_and_eight_hours_end_it(opened: Store) -> None:
    find, at = opened.smart_sessions.find, NOW
    while at < NOW + 8 * HOUR:
        found = find("s1", "k1", at)
        assert found and found.idle_until == min(at + 15 * MINUTE, SESSION.until)
        at += 14 * MINUTE

    assert find("s1", "k1", NOW + 8 * HOUR) is None


def test_after_a_quarter_of_an_hour_without_a_page_a_session_is_over(
    opened: Store,
) -> None:
    assert opened.smart_sessions.find("s1", "k1", NOW + 15 * MINUTE) is None


def test_who_logs_out_ends_every_window_and_nothing_secret_is_left(
    opened: Store, rows: Any
) -> None:
    second = replace(SESSION, id="s2", sealed="other")
    assert opened.smart_sessions.open_window(second, "k2", EVENT)

    assert opened.smart_sessions.end("l1", "logged out", over(SESSION))

    assert opened.smart_sessions.find("s1", "k1", NOW) is None
    assert opened.smart_sessions.find("s2", "k2", NOW) is None
    assert rows("SELECT sealed FROM smart_sessions") == [{"sealed": ""}] * 2
    assert rows("SELECT * FROM smart_tokens") == []
    assert not opened.smart_sessions.end("l1", "logged out", over(SESSION))


def test_no_window_opens_of_a_session_that_has_ended(opened: Store) -> None:
    opened.smart_sessions.end("l1", "logged out", over(SESSION))

    assert not opened.smart_sessions.open_window(replace(SESSION, id="s2"), "k2", EVENT)
    assert opened.smart_sessions.find("s2", "k2", NOW) is None


def test_a_window_that_opens_while_somebody_logs_out_is_over_as_well(
    url: str, rows: Any
) -> None:
    with closing(Store.open(url)) as here, closing(Store.open(url)) as there:
        for round in range(20):
            first = replace(SESSION, id=f"a{round}", launch=f"l{round}")
            second = replace(first, id=f"b{round}")
            here.smart_sessions.open(first, "k1", TOKENS, EVENT)
            start = threading.Barrier(2)

            def open_window(start: Any = start, window: Any = second) -> None:
                start.wait()
                there.smart_sessions.open_window(window, "k2", EVENT)

            thread = threading.Thread(target=open_window)
            thread.start()
            start.wait()
            here.smart_sessions.end(first.launch, "logged out", over(first))
            thread.join()

    assert rows("SELECT id FROM smart_sessions WHERE ended_us IS NULL") == []
    assert rows("SELECT launch FROM smart_tokens") == []


def test_a_ticket_opens_one_window_within_its_time(opened: Store) -> None:
    sessions = opened.smart_sessions
    sessions.give_ticket("s1", "t1", NOW + MINUTE)
    sessions.give_ticket("s1", "t2", NOW + MINUTE)

    assert sessions.redeem_ticket("t3", NOW) is None
    assert sessions.redeem_ticket("t2", NOW + MINUTE) is None
    assert sessions.redeem_ticket("t1", NOW) == SESSION
    assert sessions.redeem_ticket("t1", NOW) is None


def test_a_ticket_of_a_session_that_has_ended_opens_nothing(opened: Store) -> None:
    opened.smart_sessions.give_ticket("s1", "t1", NOW + MINUTE)
    opened.smart_sessions.end("l1", "logged out", over(SESSION))

    assert opened.smart_sessions.redeem_ticket("t1", NOW) is None


def test_of_two_who_would_refresh_one_holds_the_tokens(opened: Store) -> None:
    sessions = opened.smart_sessions
    seen = sessions.tokens("l1")
    assert seen and seen.sealed == TOKENS

    assert sessions.hold_tokens(seen, NOW, NOW + MINUTE)
    assert not sessions.hold_tokens(seen, NOW, NOW + MINUTE)
    assert sessions.renew_tokens(seen, SealedTokens("a2", "r2"))
    assert not sessions.hold_tokens(seen, NOW, NOW + MINUTE)
    newer = sessions.tokens("l1")
    assert newer and newer.sealed == SealedTokens("a2", "r2")
    assert sessions.hold_tokens(newer, NOW, NOW + MINUTE)


def test_tokens_are_free_again_once_they_are_left_or_their_holder_died(
    opened: Store,
) -> None:
    sessions = opened.smart_sessions
    seen = sessions.tokens("l1")
    assert seen and sessions.hold_tokens(seen, NOW, NOW + MINUTE)

    sessions.leave_tokens(seen)

    assert sessions.hold_tokens(seen, NOW, NOW + MINUTE)
    assert sessions.hold_tokens(seen, NOW + MINUTE, NOW + 2 * MINUTE)


def test_tokens_that_come_after_the_end_of_their_launch_are_not_kept(
    opened: Store, rows: Any
) -> None:
    seen = opened.smart_sessions.tokens("l1")
    assert seen
    opened.smart_sessions.end("l1", "logged out", over(SESSION))

    assert not opened.smart_sessions.renew_tokens(seen, SealedTokens("a2", "r2"))
    assert rows("SELECT * FROM smart_tokens") == []


def test_what_is_over_is_wiped_audited_and_after_a_day_forgotten(
    opened: Store, rows: Any
) -> None:
    sessions = opened.smart_sessions
    waiting = PendingSignIn("a", "5f", "6e", "north", "ehr", NOW, NOW + MINUTE)
    opened.pending_sign_ins.begin(waiting)
    sessions.give_ticket("s1", "t1", NOW + MINUTE)
    assert sessions.sweep(NOW, over) == SweptSignIns()

    later = NOW + 15 * MINUTE
    swept = sessions.sweep(later, over_at(later))

    assert ([each.id for each in swept.ended], swept.rows) == (["s1"], 2)
    assert [each.sealed for _, each in swept.tokens] == [TOKENS]
    assert rows("SELECT sealed, why_ended FROM smart_sessions") == [
        {"sealed": "", "why_ended": "it had expired"}
    ]
    for table in ("smart_tokens", "smart_tickets", "pending_sign_ins"):
        assert rows(f"SELECT * FROM {table}") == []
    told = [each.kind for each in opened.audit_entries()]
    assert told == ["sign-in", "sign-in"]
    a_day_later = later + timedelta(days=1)
    assert sessions.sweep(a_day_later, over_at(a_day_later)).rows == 1
    assert rows("SELECT * FROM smart_sessions") == []


def test_the_tokens_stay_while_one_window_of_the_launch_is_used(
    opened: Store, rows: Any
) -> None:
    longer = replace(SESSION, id="s2", idle_until=NOW + HOUR)
    opened.smart_sessions.open_window(longer, "k2", EVENT)
    later = NOW + 15 * MINUTE

    swept = opened.smart_sessions.sweep(later, over_at(later))

    assert [each.id for each in swept.ended] == ["s1"] and swept.tokens == ()
    assert opened.smart_sessions.tokens("l1") is not None


def test_the_launches_of_a_browser_are_told_oldest_first(opened: Store) -> None:
    waits = PendingSignIn("w", "5f", "6e", "north", "ehr", NOW - MINUTE, NOW + MINUTE)
    opened.pending_sign_ins.begin(waits)

    ids = ["s1", "unknown", "w"]

    assert opened.smart_sessions.living(ids, NOW) == ("w", "s1")
    assert opened.smart_sessions.living(ids, NOW + MINUTE) == ("s1",)


def test_every_sealed_text_of_sessions_can_be_sealed_anew(
    opened: Store, rows: Any
) -> None:
    asked = PendingSignIn("w", "5f", "6e", "north", "ehr", NOW, NOW + MINUTE)
    opened.pending_sign_ins.begin(replace(asked, sealed="verifier"))
    again = opened.smart_sessions.reseal(lambda what, id, text: f"{what} {id} {text}")

    assert again == (4, 4)
    assert rows("SELECT access, refresh FROM smart_tokens") == [
        {"access": "access l1 a1", "refresh": "refresh l1 r1"}
    ]
    assert rows("SELECT sealed FROM smart_sessions") == [
        {"sealed": "context s1 context"}
    ]
    assert rows("SELECT sealed FROM pending_sign_ins") == [
        {"sealed": "pending 5f verifier"}
    ]
    assert opened.smart_sessions.reseal(lambda *_: None) == (0, 4)


def test_who_asks_what_is_kept_hears_of_the_sessions_and_of_nothing_secret(
    opened: Store,
) -> None:
    opened.smart_sessions.give_ticket("s1", "t1", NOW + MINUTE)

    told = {e["table"]: e for e in opened.patients.export(Asked(JANE, "me", NOW))}

    assert told["smart_sessions"]["user"] == "Practitioner/7"
    assert told["smart_tokens"].keys() & {"access", "refresh"} == set()
    assert told["smart_sessions"].keys() & {"sealed", "key_hash"} == set()
    assert "ticket_hash" not in told["smart_tickets"]


def test_an_erasure_ends_the_sessions_about_the_patient(
    opened: Store, rows: Any
) -> None:
    john = replace(SESSION, id="s9", launch="l9", patient="john")
    opened.smart_sessions.open(john, "k9", TOKENS, EVENT)
    opened.smart_sessions.give_ticket("s1", "t1", NOW + MINUTE)

    opened.patients.erase(Asked(JANE, "me", NOW), calls=False)

    assert opened.smart_sessions.find("s1", "k1", NOW) is None
    assert rows("SELECT id FROM smart_sessions") == [{"id": "s9"}]
    assert rows("SELECT launch FROM smart_tokens") == [{"launch": "l9"}]
    assert rows("SELECT * FROM smart_tickets") == []


def test_a_copy_of_the_database_has_the_sessions(
    opened: Store, url: str, empty: str
) -> None:
    with closing(Store.open(empty)) as target:
        target.migrate()

        list(copy(url, empty))

        assert target.smart_sessions.find("s1", "k1", NOW) == SESSION
