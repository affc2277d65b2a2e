"""What is in the outbox, told in order, with consent, once."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cds_service.audit import verify
from cds_service.store.opening import open_database
from cds_service.store.outbox.backlog import Chosen
from cds_service.store.outbox.noting import change_of_day, note
from cds_service.store.outbox.records import LEASE, Begun, Lane, LaneLost
from cds_service.store.outbox.sending import FailedAttempt, Outbox
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import microseconds
from cds_service.wearables.summaries import DaySummary
from cds_service.wearables.telling import ToldAs

from ..detection.hours import EIGHT
from .conftest import (
    JANE,
    NOW,
    accepted,
    agree,
    alert,
    begin,
    consent,
    rows,
    take_back,
    tell,
    tell_all,
)

SECOND = timedelta(seconds=1)
OPERATOR = AuditEvent(NOW, "outbox", client="operator:me")


def must_begin(
    outbox: Outbox, gate: ConsentGate, now: datetime = NOW
) -> tuple[Lane, Begun]:
    found = begin(outbox, gate, now)
    assert found is not None
    return found


def never(failures: int) -> timedelta:
    return timedelta(0)


def lose_and_drop(store: Store, outbox: Outbox, gate: ConsentGate) -> None:
    """Have an alert be sent, nobody know whether it arrived, and it be dropped."""
    tell(store, alert())
    lane, begun = must_begin(outbox, gate)
    lost = FailedAttempt("silence", None, uncertain=True, rest=never)
    outbox.fail(lane, begun, lost, gate, NOW)
    store.outbox_desk.drop(Chosen(), OPERATOR)


def test_who_tells_a_patient_is_alone_with_that(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert(), alert(id="a2"))
    must_begin(outbox, gate)

    assert store.outbox.claim("ehr", 8, NOW) == ()


def test_of_several_patients_each_has_a_lane(store: Store, outbox: Outbox) -> None:
    others = [PatientKey("north", "-", f"p{n}") for n in range(3)]
    tell(store, *(alert(patient=each) for each in others))

    some = outbox.claim("ehr", 2, NOW)
    rest = store.outbox.claim("ehr", 2, NOW)

    assert [each.patient for each in (*some, *rest)] == others


def test_what_an_attempt_was_begun_for_and_never_settled_is_uncertain(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    lane, begun = must_begin(outbox, gate)
    later = NOW + LEASE + SECOND

    other, again = must_begin(store.outbox, gate, later)

    assert not begun.telling.uncertain and again.telling.uncertain
    assert (begun.telling.rev, again.telling.rev) == (1, 1)
    with pytest.raises(LaneLost):
        outbox.settle(lane, begun, accepted(begun.telling), gate, later)


def test_of_a_revision_it_is_known_which_telling_may_have_arrived(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    lane, begun = must_begin(outbox, gate)
    lost = FailedAttempt("silence", NOW + SECOND, uncertain=True, rest=never)
    outbox.fail(lane, begun, lost, gate, NOW)
    tell(store, alert(rev=1, value=130.0))

    lane, again = must_begin(outbox, gate, NOW + SECOND)
    after = outbox.settle(lane, again, accepted(again.telling), gate, NOW + SECOND)
    tell(store, alert(rev=2, value=140.0))
    _, third = must_begin(outbox, gate, NOW + SECOND)

    assert (again.telling.begun, again.telling.rev) == (1, 2)
    assert after is None
    assert (third.telling.begun, third.telling.uncertain) == (0, False)


def test_that_one_attempt_did_not_arrive_says_nothing_of_those_before(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    lane, begun = must_begin(outbox, gate)
    lost = FailedAttempt("silence", NOW + SECOND, uncertain=True, rest=never)
    outbox.fail(lane, begun, lost, gate, NOW)
    lane, begun = must_begin(outbox, gate, NOW + SECOND)
    refused = FailedAttempt("nobody listens", NOW + 2 * SECOND, rest=never)
    outbox.fail(lane, begun, refused, gate, NOW + SECOND)

    _, again = must_begin(outbox, gate, NOW + 2 * SECOND)

    assert again.telling.uncertain


def test_ten_seconds_after_the_first_look_whoever_looks_is_to_send(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    must_begin(outbox, gate)
    looked = FailedAttempt("", NOW, uncertain=True, looked=True, counts=False)
    settled = []
    for second in (0, 5, 9, 10):
        now = NOW + LEASE + second * SECOND
        lane, begun = must_begin(store.outbox, gate, now)
        settled.append(begun.telling.settled)
        store.outbox.fail(lane, begun, looked, gate, now)

    assert settled == [False, False, False, True]


def test_who_dies_while_it_sends_anew_is_looked_for_anew(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    must_begin(outbox, gate)
    now = NOW + LEASE + SECOND
    lane, begun = must_begin(outbox, gate, now)
    looked = FailedAttempt("", now, uncertain=True, looked=True, counts=False)
    outbox.fail(lane, begun, looked, gate, now)
    _, sends = must_begin(outbox, gate, now + 10 * SECOND)

    _, after = must_begin(outbox, gate, now + 2 * LEASE)

    assert (sends.telling.settled, after.telling.settled) == (True, False)


def test_what_was_looked_for_and_surely_not_taken_need_not_be_looked_for_again(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    must_begin(outbox, gate)
    now = NOW + LEASE + SECOND
    lane, begun = must_begin(outbox, gate, now)
    looked = FailedAttempt("", now, uncertain=True, looked=True, counts=False)
    outbox.fail(lane, begun, looked, gate, now)
    now += 10 * SECOND
    lane, begun = must_begin(outbox, gate, now)
    outbox.fail(lane, begun, FailedAttempt("busy", now, rest=never), gate, now)

    _, again = must_begin(outbox, gate, now)

    assert again.telling.uncertain and again.telling.settled


def test_a_revision_while_it_is_sent_is_told_afterwards(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    lane, begun = must_begin(outbox, gate)
    tell(store, alert(rev=1, status="closed"))

    after = outbox.settle(lane, begun, accepted(begun.telling), gate, NOW)

    assert after is not None
    assert (after.telling.rev, after.telling.status) == (2, ToldAs.AMENDED)
    assert not after.telling.uncertain
    assert after.telling.prior is not None
    assert after.telling.prior.remote == "remote-watch|a1"


def test_a_retraction_of_what_may_have_arrived_is_told(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    must_begin(outbox, gate)
    take_back(store, alert(rev=1))

    _, again = must_begin(store.outbox, gate, NOW + LEASE + SECOND)

    assert again.telling.uncertain and again.telling.retracts
    assert again.telling.prior is None


def test_consent_that_is_withdrawn_meanwhile_keeps_it_here(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    tell(store, alert())
    agree(store, consent("deny"))

    assert begin(outbox, gate) is None
    (row,) = rows(url)
    assert row["state"] == "withheld"
    withheld = [each for each in store.audit_entries() if each.kind == "withheld"]
    assert [each.detail for each in withheld] == [
        '{"destination":"ehr","thing":["episode","watch|a1"]}'
    ]


def test_what_was_withheld_is_told_once_the_patient_agrees(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    agree(store, consent("deny"))
    assert tell_all(outbox, gate) == []

    later = NOW + timedelta(minutes=1)
    agree(store, consent("permit", at=later), now=later)

    assert tell_all(outbox, gate, later) == [("watch|a1", ToldAs.FINAL)]


def test_what_is_withheld_is_asked_for_anew_and_said_once(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    agree(store, consent("deny"))

    for hours in range(4):
        assert begin(outbox, gate, NOW + timedelta(hours=hours, minutes=hours)) is None

    kinds = [each.kind for each in store.audit_entries()]
    assert kinds.count("withheld") == 1


def test_that_it_did_not_hold_is_told_whatever_is_permitted_by_now(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert(status="closed", end=NOW))
    tell_all(outbox, gate)
    agree(store, consent("deny"))

    take_back(store, alert(rev=1))

    assert tell_all(outbox, gate) == [("watch|a1", ToldAs.ENTERED_IN_ERROR)]


def test_every_disclosure_is_in_the_trail(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())

    tell_all(outbox, gate)

    entries = list(store.audit_entries())
    (told,) = [each for each in entries if each.kind == "disclosure"]
    assert (told.client, told.patient_id) == ("ehr", "jane")
    assert told.detail == (
        '{"destination":"ehr","remote":"remote-watch|a1","rev":1,"status":"final",'
        '"thing":["episode","watch|a1"]}'
    )
    assert verify(store) == []


def test_a_failure_makes_what_follows_wait(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    tell(store, alert(), alert(id="a2"))
    lane, begun = must_begin(outbox, gate)
    again = NOW + timedelta(seconds=10)

    assert (
        outbox.fail(lane, begun, FailedAttempt("busy", again, rest=never), gate, NOW)
        is None
    )

    assert begin(outbox, gate, NOW + timedelta(seconds=9)) is None
    _, second = must_begin(outbox, gate, again)
    assert (second.telling.key, second.attempts) == ("watch|a1", 1)
    assert (second.first, second.telling.uncertain) == (NOW, False)


def test_news_of_the_patient_do_not_shorten_the_wait(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    lane, begun = must_begin(outbox, gate)
    failed = FailedAttempt("busy", NOW + timedelta(minutes=5), rest=never)
    outbox.fail(lane, begun, failed, gate, NOW)

    tell(store, alert(id="a2"))

    assert begin(outbox, gate, NOW + timedelta(minutes=4)) is None


def test_what_is_refused_makes_way_and_says_why(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    tell(store, alert(), alert(id="a2"))
    lane, begun = must_begin(outbox, gate)

    after = outbox.fail(lane, begun, FailedAttempt("no code", None), gate, NOW)

    assert after is not None and after.telling.key == "watch|a2"
    first, _ = rows(url)
    assert (first["state"], first["problem"]) == ("dead", "no code")
    outbox.settle(lane, after, accepted(after.telling), gate, NOW)
    assert begin(outbox, gate, NOW + timedelta(days=9)) is None


def test_a_revision_of_what_was_refused_is_tried(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    tell(store, alert())
    lane, begun = must_begin(outbox, gate)
    outbox.fail(lane, begun, FailedAttempt("no code", None), gate, NOW)

    tell(store, alert(rev=1, value=130.0))

    _, again = must_begin(outbox, gate)
    assert (again.attempts, again.telling.rev) == (0, 2)


def test_a_revision_that_came_while_it_was_refused_is_tried(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    lane, begun = must_begin(outbox, gate)
    tell(store, alert(rev=1, value=130.0))

    after = outbox.fail(lane, begun, FailedAttempt("no code", None), gate, NOW)

    assert after is not None and (after.telling.rev, after.attempts) == (2, 0)


def test_what_is_dropped_while_it_is_sent_takes_nothing_of_others_along(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    """Its number may be another's by the time that it is settled."""
    john = PatientKey("north", "-", "john")
    tell(store, alert())
    lane, begun = must_begin(outbox, gate)
    assert store.outbox_desk.drop(Chosen(), OPERATOR) == 1
    tell(store, alert(patient=john))

    assert outbox.settle(lane, begun, accepted(begun.telling), gate, NOW) is None

    (waits,) = store.outbox_desk.rows(Chosen(), 9)
    assert (waits.patient, waits.attempts, waits.problem) == (john, 0, "")


def test_a_refusal_of_what_is_dropped_meanwhile_says_nothing_of_others(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    lane, begun = must_begin(outbox, gate)
    store.outbox_desk.drop(Chosen(), OPERATOR)
    tell(store, alert(patient=PatientKey("north", "-", "john")))

    outbox.fail(lane, begun, FailedAttempt("no code", None), gate, NOW)

    (waits,) = store.outbox_desk.rows(Chosen(), 9)
    assert (waits.state, waits.problem) == ("waiting", "")


def test_what_is_dropped_while_it_is_sent_and_comes_again_is_another_telling(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    lane, begun = must_begin(outbox, gate)
    store.outbox_desk.drop(Chosen(), OPERATOR)
    tell(store, alert(rev=1, value=130.0))

    again = outbox.settle(lane, begun, accepted(begun.telling), gate, NOW)

    assert again is not None
    assert (begun.telling.rev, again.telling.rev) == (1, 2)
    assert again.telling.status is ToldAs.AMENDED and not again.telling.uncertain


@pytest.mark.parametrize("given_up", [True, False])
def test_of_what_is_dropped_it_is_known_that_it_may_have_arrived(
    store: Store, outbox: Outbox, gate: ConsentGate, given_up: bool
) -> None:
    tell(store, alert())
    lane, begun = must_begin(outbox, gate)
    again = None if given_up else NOW + SECOND
    lost = FailedAttempt("silence", again, uncertain=True, rest=never)
    outbox.fail(lane, begun, lost, gate, NOW)

    assert store.outbox_desk.drop(Chosen(), OPERATOR) == 1
    assert begin(outbox, gate, NOW + SECOND) is None
    assert store.outbox_desk.rows(Chosen(), 9) == ()
    (left,) = store.outbox_desk.rows(Chosen(state="dropped"), 9)
    tell(store, alert(rev=1, value=130.0))
    _, revised = must_begin(outbox, gate, NOW + SECOND)

    assert left.uncertain and revised.attempts == 0
    told = revised.telling
    assert (told.uncertain, told.begun, told.rev) == (True, 1, 2)


def test_a_retraction_of_what_was_dropped_and_may_have_arrived_is_told(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    lose_and_drop(store, outbox, gate)

    take_back(store, alert(rev=1, status="retracted"))

    assert tell_all(outbox, gate) == [("watch|a1", ToldAs.ENTERED_IN_ERROR)]


def test_what_is_dropped_while_it_is_sent_and_lost_stays_dropped(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert())
    lane, begun = must_begin(outbox, gate)
    store.outbox_desk.drop(Chosen(), OPERATOR)
    lost = FailedAttempt("silence", None, uncertain=True, rest=never)

    outbox.fail(lane, begun, lost, gate, NOW)

    (left,) = store.outbox_desk.rows(Chosen(state="dropped"), 9)
    assert left.uncertain
    assert begin(outbox, gate, NOW + timedelta(days=1)) is None


def test_what_was_dropped_and_may_have_arrived_is_told_once_somebody_wants_it(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    lose_and_drop(store, outbox, gate)

    since = NOW - timedelta(days=1)
    added = sum(store.outbox_desk.backfill("ehr", since, NOW, NOW))

    assert added == 1
    assert must_begin(outbox, gate)[1].telling.uncertain


def test_a_destination_that_rests_is_told_nothing_and_then_tried_by_one_lane(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    patients = [PatientKey("north", "-", f"p{n}") for n in range(3)]
    tell(store, *(alert(patient=each) for each in patients))
    lane, begun = must_begin(outbox, gate)
    minute = timedelta(minutes=1)
    failed = FailedAttempt("down", NOW + SECOND, rest=lambda failures: minute)
    outbox.fail(lane, begun, failed, gate, NOW)

    assert outbox.health("ehr").open_until == NOW + minute
    assert outbox.claim("ehr", 8, NOW + 59 * SECOND) == ()
    (probe,) = outbox.claim("ehr", 8, NOW + minute)
    assert probe.probes and probe.patient == patients[1]
    assert store.outbox.claim("ehr", 8, NOW + minute) == ()
    tried = outbox.begin(probe, gate, NOW + minute)
    assert tried is not None
    outbox.settle(probe, tried, accepted(tried.telling), gate, NOW + minute)
    assert len(outbox.claim("ehr", 8, NOW + minute)) == 2


def test_who_stops_leaves_the_rest_to_others(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    tell(store, alert(), alert(id="a2"))
    lane, begun = must_begin(outbox, gate)

    told = accepted(begun.telling)
    assert outbox.settle(lane, begun, told, gate, NOW, go_on=False) is None

    _, after = must_begin(store.outbox, gate)
    assert after.telling.key == "watch|a2"


def test_what_is_no_longer_kept_is_forgotten_and_not_taken_back(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    tell(store, alert())
    tell_all(outbox, gate)
    tell(store, alert(rev=1, status="closed", end=NOW))
    database = open_database(url)
    database.write(lambda it: it.exec_driver_sql("DELETE FROM wearable_alerts"))
    database.close()

    assert tell_all(outbox, gate) == []
    assert rows(url) == []


def test_it_is_told_by_the_number_of_the_link_that_it_came_by(
    store: Store, outbox: Outbox, gate: ConsentGate
) -> None:
    event = AuditEvent(NOW, "link", "north", "operator")
    links = [
        store.links.add(
            WearerLink(source, JANE, since=EIGHT, user="u1", mrn=mrn, authority="HOSP"),
            event,
        )
        for source, mrn in (("watch", "1"), ("ring", "2"), ("scale", "3"))
    ]

    tell(store, alert(link=links[1].id), alert(id="a2", source="watch"))
    tell(store, alert(id="a3", source="patch"), now=NOW + SECOND)

    numbers = {}
    now = NOW + SECOND
    lane, first = must_begin(outbox, gate, now)
    step: Begun | None = first
    while step:
        numbers[step.telling.key] = step.telling.identity.mrn
        step = outbox.settle(lane, step, accepted(step.telling), gate, now)
    assert numbers == {"watch|a1": "2", "watch|a2": "1", "patch|a3": "3"}


def day(zone: str, on: date, minutes: float) -> DaySummary:
    return DaySummary("steps", on, zone, minutes, n=1, total=6000.0)


@pytest.mark.parametrize(
    ("on", "minutes", "over"),
    [
        (date(2026, 11, 1), 1500, datetime(2026, 11, 2, 5)),
        (date(2026, 3, 8), 1380, datetime(2026, 3, 9, 4)),
        (date(2026, 7, 1), 1440, datetime(2026, 7, 2, 4)),
    ],
)
def test_a_day_is_told_an_hour_after_it_is_over_where_the_wearer_is(
    store: Store, outbox: Outbox, url: str, on: date, minutes: float, over: datetime
) -> None:
    noon = datetime(on.year, on.month, on.day, 12, tzinfo=ZoneInfo("America/New_York"))
    changes = list(change_of_day(day("America/New_York", on, minutes), noon))
    database = open_database(url)
    database.write(lambda it: note(it, JANE, changes, microseconds(noon)))
    database.close()

    end = over.replace(tzinfo=ZoneInfo("UTC")) + timedelta(hours=1)
    assert outbox.claim("ehr", 1, end - timedelta(microseconds=1)) == ()
    assert len(outbox.claim("ehr", 1, end)) == 1


def test_an_open_day_keeps_no_episode_waiting(
    store: Store, outbox: Outbox, gate: ConsentGate, url: str
) -> None:
    today = day("UTC", NOW.date(), 1440)
    database = open_database(url)
    changes = list(change_of_day(today, NOW))
    database.write(lambda it: note(it, JANE, changes, microseconds(NOW)))
    database.close()

    tell(store, alert(), now=NOW + SECOND)

    assert tell_all(outbox, gate, NOW + SECOND) == [("watch|a1", ToldAs.FINAL)]
