"""Pulls from a played Google: what is fetched once, and what a bad day does to it."""

import json
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Semaphore
from typing import Any

from cds_service.audit import build_consent_event
from cds_service.connect.asking import LONGEST_PAUSE
from cds_service.connect.granting import CloudDesk
from cds_service.connect.played import PlayedAnswer, PlayedGoogle, PlayedRequest
from cds_service.connect.pulling import Puller, PullStep
from cds_service.store.grants.records import GrantState, Hold, NamedInterval
from cds_service.store.store import Store
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Flag

from ..waiting import PATIENCE
from .conftest import EVENT, JANE, NEW_YORK, NOW, Clock, Connect
from .played_vendors import HaltingGoogle

Pull = Callable[..., list[PullStep]]
AGGREGATE = "/fitness/v1/users/me/dataset:aggregate"
HEART = "com.google.heart_rate.bpm"
THREE = ["2026-11-20", "2026-11-21", "2026-11-22"]


def midnight(day: str) -> int:
    at = datetime.fromisoformat(day).replace(tzinfo=NEW_YORK)
    return round(at.timestamp() * 1000)


def days(google: PlayedGoogle) -> list[str]:
    """The days that were asked for, on the wearer's clock."""
    return [
        datetime.fromtimestamp(each.start_ms / 1000, NEW_YORK).date().isoformat()
        for each in google.asked
    ]


def kept(store: Store, metric: str = "steps") -> dict[str, float]:
    """What is kept of Jane, by day."""
    found = store.samples.of(JANE, metric, NOW - timedelta(days=60), NOW)
    return {
        each.sample.start.astimezone(NEW_YORK).date().isoformat(): each.sample.value
        for each in found
    }


def problems(steps: list[PullStep]) -> list[str]:
    return [each.problem for each in steps if each.problem]


def test_days_of_steps_are_fetched_and_kept_as_totals_of_days(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store
) -> None:
    google.steps = {midnight(day): 6000 + n for n, day in enumerate(THREE)}
    connect()

    steps = pull()

    assert [(str(e.days and e.days.first), e.stored) for e in steps] == [
        (day, 1) for day in THREE
    ]
    assert kept(store) == dict(zip(THREE, (6000, 6001, 6002)))
    one, *_ = store.samples.of(JANE, "steps", NOW - timedelta(days=60), NOW)
    assert one.sample.flags & Flag.DAY_TOTAL and one.sample.local
    assert one.sample.end - one.sample.start == timedelta(days=1)


def test_a_day_on_which_clocks_change_is_fetched_whole(
    google: PlayedGoogle, connect: Connect, pull: Pull, clock: Clock
) -> None:
    clock.now = datetime(2026, 11, 3, 14, tzinfo=UTC)
    connect()

    pull()

    asked = {day: each for day, each in zip(days(google), google.asked)}
    assert list(asked) == ["2026-10-31", "2026-11-01", "2026-11-02"]
    autumn = asked["2026-11-01"]
    assert autumn.end_ms - autumn.start_ms == 25 * 3_600_000


def test_who_moved_has_days_of_the_old_zone_before_and_of_the_new_one_after(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store
) -> None:
    moved = datetime(2026, 11, 22, 5, tzinfo=UTC)
    early = NOW - timedelta(days=30)
    east = WearerLink("fit", JANE, early, "u-7", until=moved)
    west = WearerLink("fit", JANE, moved, "u-7", time_zone="America/Los_Angeles")
    for link in (replace(east, time_zone="America/New_York"), west):
        store.links.add(link, EVENT)
    connect(link=False)

    pull()

    begun = [datetime.fromtimestamp(e.start_ms / 1000, UTC) for e in google.asked]
    assert [each.isoformat()[:16] for each in begun] == [
        *("2026-11-20T05:00", "2026-11-21T05:00"),
        *("2026-11-21T08:00", "2026-11-22T08:00"),
    ]


def test_nothing_is_asked_before_the_patient_has_agreed(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store
) -> None:
    connect()

    assert set(problems(pull(assumed=False))) == {"the patient has not agreed to it"}
    assert google.asked == [] and kept(store) == {}

    agree(store)
    assert problems(pull(assumed=False)) == []
    assert days(google) == THREE


def test_of_several_days_those_are_asked_for_of_which_the_patient_agrees(
    google: PlayedGoogle, connect: Connect, make_puller: Any, desk: CloudDesk
) -> None:
    cloud = replace(desk.cloud, kind_names=("heart-rate",), days_before=4)
    desk = replace(desk, cloud=cloud)
    connect(desk=desk)
    agree(
        desk.store, start="2026-11-20T00:00:00-05:00", end="2026-11-21T23:59:59-05:00"
    )

    steps = list(make_puller(desk, assumed=False).pull())

    assert days(google) == ["2026-11-20", "2026-11-21"]
    refused = [str(e.days and e.days.first) for e in steps if e.problem]
    assert refused == ["2026-11-19", "2026-11-22", "2026-11-23"]


def test_who_agreed_while_the_watch_was_another_s_opens_nothing_of_their_days(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store
) -> None:
    noon = datetime(2026, 11, 21, 17, tzinfo=UTC)
    john = PatientKey("north", "-", "john")
    old = WearerLink("fit", john, NOW - timedelta(days=30), "u-7", until=noon)
    store.links.add(old, EVENT)
    connect(link=False)
    store.links.add(WearerLink("fit", JANE, noon, "u-7"), EVENT)
    agree(store)

    pull(assumed=False)

    assert days(google) == ["2026-11-21", "2026-11-22"]
    assert list(kept(store)) == ["2026-11-22"]


def agree(store: Store, code: str = "collect", **data: str) -> None:
    system = "http://terminology.hl7.org/CodeSystem/consentaction"
    action = [{"coding": [{"system": system, "code": code}]}]
    period = {"dataPeriod": data} if data else {}
    resource = {
        "resourceType": "Consent",
        "status": "active",
        "provision": {"type": "permit", "action": action, **period},
    }
    record = ConsentRecord(JANE, "c1", NOW, "app", resource)
    change = ConsentChange(JANE, frozenset(), (record,))
    event = build_consent_event(NOW, "north", "app", [change], {})
    store.consents.record([change], event)


def test_a_consent_to_something_else_than_collecting_asks_for_nothing(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store
) -> None:
    connect()
    agree(store, "disclose")

    assert set(problems(pull(assumed=False))) == {"the patient has not agreed to it"}
    assert google.asked == []


def test_of_a_user_whom_no_link_names_nothing_is_asked(
    google: PlayedGoogle, connect: Connect, pull: Pull
) -> None:
    connect(link=False)

    assert [(e.problem, e.failed) for e in pull()] == [
        ("no link names this user", True)
    ]
    assert google.asked == []


def test_the_same_day_pulled_again_is_stored_once_and_a_corrected_one_anew(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store, clock: Clock
) -> None:
    connect()
    pull()
    before = versions(store)
    google.asked.clear()
    google.steps[midnight("2026-11-22")] = 9_999

    again = pull()

    assert days(google) == ["2026-11-22"]
    assert [each.stored for each in again] == [1]
    assert kept(store)["2026-11-22"] == 9_999
    after = versions(store)
    changed = {each for each in after if after[each] != before[each]}
    assert changed == {each for each in before if each.startswith("2026-11-22")}
    assert changed
    assert pull()[0].stored == 0


def versions(store: Store) -> dict[str, int]:
    """Of the summaries of Jane's days."""
    first, last = NOW.date() - timedelta(days=9), NOW.date()
    found = store.detections.summaries(JANE, first, last, "steps")
    return {f"{each.day} {each.part} {each.source}": each.version for each in found}


def test_a_pull_that_broke_off_goes_on_where_it_was(
    google: PlayedGoogle,
    connect: Connect,
    make_puller: Any,
    desk: CloudDesk,
    store: Store,
) -> None:
    connect()
    desk = replace(desk, cloud=replace(desk.cloud, days_again=0))
    rest = make_puller(desk).pull()
    next(rest)
    rest.close()

    list(make_puller(desk).pull())

    assert days(google) == THREE
    assert list(kept(store)) == THREE


def test_a_token_that_is_over_in_mid_pull_is_renewed_and_the_pull_goes_on(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store
) -> None:
    google.rotates = True
    connect()
    google.bad_days.extend([None, PlayedAnswer(401, {})])

    assert problems(pull()) == []

    assert google.refreshed == 1
    assert list(kept(store)) == THREE


def test_a_token_is_renewed_before_it_is_over(
    google: PlayedGoogle, connect: Connect, pull: Pull, clock: Clock
) -> None:
    connect()
    clock.now += timedelta(minutes=59, seconds=30)

    pull()

    assert google.refreshed == 1


def test_a_rotated_token_is_kept_before_the_next_is_used(
    google: PlayedGoogle, connect: Connect, pull: Pull, clock: Clock
) -> None:
    google.rotates = True
    connect()
    for _ in range(3):
        clock.now += timedelta(hours=1)
        assert problems(pull()) == []

    assert google.refreshed == 3


def test_a_token_that_the_vendor_never_takes_is_renewed_once(
    google: PlayedGoogle, connect: Connect, pull: Pull
) -> None:
    connect()
    google.bad_days.extend([PlayedAnswer(401)] * 5)

    assert problems(pull()) == ["the vendor accepts no token of this grant"]
    assert google.refreshed == 1


def test_a_grant_that_was_taken_back_at_the_vendor_ends_here_and_says_so(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store
) -> None:
    connect()
    google.end()

    (step,) = pull()

    assert (step.problem, step.failed) == ("invalid_grant", True)
    grant = store.grants.find("north", "fit", "u-7")
    assert grant is not None and grant.state is GrantState.REVOKED
    assert grant.why == "the vendor says invalid_grant"
    assert (grant.tokens.access, grant.tokens.refresh) == ("", "")
    assert problems(pull()) == [f"the grant has ended: {grant.why}"]


def test_a_refresh_whose_answer_was_lost_is_tried_again_where_tokens_do_not_rotate(
    google: PlayedGoogle, connect: Connect, pull: Pull, clock: Clock, store: Store
) -> None:
    connect()
    clock.now += timedelta(hours=1)
    google.cuts_refresh = True
    (lost,) = pull()
    assert lost.failed

    google.cuts_refresh = False

    assert problems(pull()) == []
    assert list(kept(store)) == THREE


def test_where_tokens_rotate_a_lost_answer_breaks_the_grant_and_that_is_said(
    google: PlayedGoogle, connect: Connect, pull: Pull, clock: Clock, store: Store
) -> None:
    google.rotates = google.cuts_refresh = True
    connect()
    clock.now += timedelta(hours=1)
    pull()
    google.cuts_refresh = False

    pull()

    grant = store.grants.find("north", "fit", "u-7")
    assert grant is not None and grant.state is GrantState.BROKEN
    assert "a refresh was interrupted" in grant.why


def test_a_busy_vendor_is_asked_again_when_it_says(
    google: PlayedGoogle, connect: Connect, pull: Pull, clock: Clock, store: Store
) -> None:
    connect()
    google.bad_days.append(PlayedAnswer(429, {}, {"Retry-After": "17"}))

    assert problems(pull()) == []

    assert any(17 <= each <= 18 for each in clock.slept)
    assert list(kept(store)) == THREE


def test_a_vendor_that_is_busy_for_long_is_left_until_then(
    google: PlayedGoogle, connect: Connect, pull: Pull, clock: Clock
) -> None:
    connect()
    google.bad_days.append(PlayedAnswer(429, {}, {"Retry-After": "1800"}))

    (first,) = pull()
    (second,) = pull()

    assert first.problem == "HTTP 429" and first.failed
    assert second.problem.startswith("HTTP 429; not before 2026-11-23T14:30")
    assert not any(each > LONGEST_PAUSE for each in clock.slept)
    clock.now += timedelta(minutes=31)
    assert problems(pull()) == []


def test_errors_of_the_server_are_tried_again_and_then_left_for_the_next_pull(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store
) -> None:
    connect()
    google.bad_days.extend([PlayedAnswer(503)] * 2)
    assert problems(pull()) == []

    google.asked.clear()
    google.bad_days.extend([PlayedAnswer(500)] * 4)
    assert problems(pull()) == ["HTTP 500"]
    assert google.asked == []
    assert list(kept(store)) == THREE


def test_an_answer_that_is_no_answer_is_said_and_nothing_is_taken_for_none(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store
) -> None:
    connect()
    google.bad_days.append(PlayedAnswer(200, {"odd": True}))
    assert problems(pull()) == ["the answer cannot be understood"]

    google.bad_days.append(PlayedAnswer(200, "<html>"))
    assert problems(pull()) == ["the answer is not JSON"]
    assert kept(store) == {}
    assert store.pulls.cursors(1)["steps"].until is None


def test_the_pages_of_an_answer_are_all_fetched(
    google: PlayedGoogle,
    connect: Connect,
    make_puller: Any,
    desk: CloudDesk,
    store: Store,
) -> None:
    start = midnight("2026-11-22") * 1_000_000
    google.points[HEART] = [(start + n * 60_000_000_000, 60.0 + n) for n in range(8)]
    desk = replace(desk, cloud=replace(desk.cloud, kind_names=("heart-rate",)))
    connect(desk=desk)

    steps = list(make_puller(desk).pull())

    assert sum(each.stored for each in steps) == 8
    found = store.samples.of(JANE, "heart-rate", NOW - timedelta(days=9), NOW)
    assert [each.sample.value for each in found] == [60.0 + n for n in range(8)]
    assert days(google).count("2026-11-22") == 3


def test_an_error_in_mid_pages_moves_no_cursor(
    google: PlayedGoogle,
    connect: Connect,
    make_puller: Any,
    desk: CloudDesk,
    store: Store,
) -> None:
    start = midnight("2026-11-20") * 1_000_000
    google.points[HEART] = [(start + n * 60_000_000_000, 60.0 + n) for n in range(4)]
    desk = replace(desk, cloud=replace(desk.cloud, kind_names=("heart-rate",)))
    connect(desk=desk)
    google.bad_days.extend([None, PlayedAnswer(403)])
    assert problems(list(make_puller(desk).pull())) == ["HTTP 403"]

    def count() -> int:
        return len(store.samples.of(JANE, "heart-rate", NOW - timedelta(days=9), NOW))

    assert (count(), store.pulls.cursors(1)["heart-rate"].until) == (3, None)
    list(make_puller(desk).pull())
    assert count() == 4


def named(day: str, hour: int = 12, user: str = "u-7") -> NamedInterval:
    start = datetime.fromisoformat(f"{day}T{hour}:00:00-05:00")
    return NamedInterval(user, "steps", start, start + timedelta(minutes=30))


def test_an_interval_that_notifications_name_often_is_fetched_once(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store
) -> None:
    connect()
    for _ in range(3):
        told = [named("2026-11-15"), named("2026-11-18")]
        store.pulls.name("north", "fit", told, NOW)

    pull(named_only=True)
    pull(named_only=True)

    assert days(google) == ["2026-11-15", "2026-11-18"]


def test_an_interval_that_was_not_fetched_is_wanted_still(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store
) -> None:
    connect()
    store.pulls.name("north", "fit", [named("2026-11-15")], NOW)
    google.bad_days.append(PlayedAnswer(403))

    assert problems(pull(named_only=True)) == ["HTTP 403"]
    assert google.asked == []
    pull(named_only=True)

    assert days(google) == ["2026-11-15"]


def test_while_one_process_pulls_another_leaves_the_grant_alone(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store
) -> None:
    connect()
    store.pulls.take(Hold(1, "another"), NOW, NOW + timedelta(minutes=5))

    (step,) = pull()

    assert (
        step.problem == "another process is pulling by this grant" and not step.failed
    )
    assert google.asked == []


def test_two_who_pull_at_once_fetch_each_day_once_and_renew_once(
    google: HaltingGoogle, connect: Connect, pull: Pull, clock: Clock, store: Store
) -> None:
    google.rotates, google.answers = True, Semaphore(0)
    connect()
    clock.now += timedelta(hours=1)
    with ThreadPoolExecutor(2) as both:
        pulls = [both.submit(pull) for _ in range(2)]
        # The vendor answers nobody before one of them has seen that another pulls.
        wait(pulls, PATIENCE, FIRST_COMPLETED)
        google.answers.release(len(THREE))
        told = [each.result() for each in pulls]

    assert days(google) == THREE and google.refreshed == 1
    busy = ["another process is pulling by this grant"]
    assert sorted(map(problems, told)) == [[], busy]
    assert list(kept(store)) == THREE


def test_a_kind_that_the_wearer_did_not_permit_is_said_and_not_asked_for(
    google: PlayedGoogle, connect: Connect, make_puller: Any, desk: CloudDesk
) -> None:
    google.granted = ("https://www.googleapis.com/auth/fitness.heart_rate.read",)
    cloud = replace(desk.cloud, kind_names=("steps", "heart-rate"))
    desk = replace(desk, cloud=cloud)
    connect(desk=desk)

    steps = list(make_puller(desk).pull())

    unpermitted = [each.kind for each in steps if "not permitted" in each.problem]
    assert unpermitted == ["steps"]
    assert not any(each.path == AGGREGATE for each in google.asked)
    assert isinstance(google.asked[0], PlayedRequest)


def test_what_was_measured_while_no_link_named_the_user_is_kept_for_nobody(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store
) -> None:
    noon = datetime(2026, 11, 21, 17, tzinfo=UTC)
    connect(link=False)
    store.links.add(WearerLink("fit", JANE, noon, "u-7"), EVENT)

    pull()

    assert days(google) == ["2026-11-21", "2026-11-22"]
    assert list(kept(store)) == ["2026-11-22"]


def test_the_trail_says_what_was_fetched_and_holds_no_token(
    google: PlayedGoogle, connect: Connect, pull: Pull, store: Store, rows: Any
) -> None:
    connect()
    pull()

    told = [json.loads(e.detail) for e in store.audit_entries() if e.kind == "delivery"]
    assert told[0]["key"] == "steps 2026-11-20 to 2026-11-20"
    whole = str(list(store.audit_entries())) + str(rows("SELECT * FROM grants"))
    assert not any(token in whole for token in google._access | google._refresh)


def test_the_puller_keeps_to_one_source_and_one_user(
    google: PlayedGoogle,
    connect: Connect,
    make_puller: Callable[..., Puller],
    desk: CloudDesk,
) -> None:
    connect()

    assert list(make_puller(desk).pull(source="other")) == []
    assert list(make_puller(desk).pull(user="u-8")) == []
    assert len(list(make_puller(desk).pull(source="fit", user="u-7"))) == 3
