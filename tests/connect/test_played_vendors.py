"""Vendors that are played: their bad days, and what they tell again."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from cds_service.config import Cloud
from cds_service.config.clouds import Notifications
from cds_service.connect.granting import CONNECTED, CloudDesk, Return, invite, take_back
from cds_service.connect.notifying import Notification, NotifyingDesk, answer_notice
from cds_service.connect.pulling import Puller, PullStep
from cds_service.connect.vendors.google_health import PROFILE
from cds_service.http.connections import ConnectionPool
from cds_service.store.grants.records import GrantState, NamedInterval
from cds_service.store.store import Store
from cds_service.trust import Keyring
from cds_service.trust.documents import PublishedKeys
from cds_service.trust.vault import Vault, parse_vault_keys
from cds_service.wearables.links import WearerLink

from .conftest import EVENT, JANE, KEY, NOW, Clock, visit
from .played_vendors import (
    Answer,
    PlayedDexcom,
    PlayedHealth,
    PlayedOura,
    PlayedVendor,
    PlayedWithings,
    serve_vendor,
)

SECRET = "xJ3vQk8sT0m2Lr9bYw5dHc7uNe1gAfPz"
NO_KEYS = Keyring(lambda server: PublishedKeys())
BACK = "http://127.0.0.1:9/callback"
DAY = int(datetime.fromisoformat("2026-11-22T00:00:00-05:00").timestamp())
HEALTH = "https://www.googleapis.com/auth/googlehealth"


def weighing(number: int, kilograms: float, **more: Any) -> dict[str, Any]:
    measure = {"value": round(kilograms * 1000), "type": 1, "unit": -3}
    told = {"grpid": number, "attrib": 0, "category": 1, "date": DAY + 3600 * number}
    return {**told, "modified": DAY, "measures": [measure], **more}


@pytest.fixture
def withings() -> PlayedWithings:
    return PlayedWithings()


@pytest.fixture
def health() -> PlayedHealth:
    scope = f"{HEALTH}.health_metrics_and_measurements.readonly {PROFILE}"
    return PlayedHealth(scope=scope)


Meet = Callable[[PlayedVendor, str, str], CloudDesk]


@pytest.fixture
def meet(store: Store, pool: ConnectionPool, clock: Clock) -> Iterator[Meet]:
    """A desk at a played vendor, to which Jane has given her permission."""
    served = []

    def make(vendor: PlayedVendor, name: str, kind: str) -> CloudDesk:
        serving = serve_vendor(vendor)
        served.append(serving)
        cloud = Cloud(
            *(name, "north", "-", name, "played", "played-secret"),
            kind_names=(kind,),
            days_again=1,
            days_before=2,
            simulated=serving.__enter__(),
        )
        desk = CloudDesk(cloud, store, Vault(parse_vault_keys(KEY)), pool)
        link = WearerLink(name, JANE, NOW - timedelta(days=30), "u-7")
        store.links.add(link, EVENT)
        done = come_back(desk, clock)
        assert done.text == CONNECTED
        return desk

    yield make
    for each in served:
        each.__exit__(None, None, None)


def come_back(desk: CloudDesk, clock: Clock, user: str = "u-7") -> Return:
    asked = invite(desk, user, BACK, "me", clock())
    return take_back([desk], visit(asked.link), clock())


@pytest.fixture
def pull(make_puller: Callable[..., Puller]) -> Callable[..., list[PullStep]]:
    def go(desk: CloudDesk, **how: Any) -> list[PullStep]:
        return list(make_puller(desk, **how).pull())

    return go


Pull = Callable[..., list[PullStep]]


def kept(store: Store, metric: str) -> list[float]:
    found = store.samples.of(JANE, metric, NOW - timedelta(days=60), NOW)
    return [each.sample.value for each in found]


def problems(steps: list[PullStep]) -> list[str]:
    return [each.problem for each in steps if each.problem]


# Withings


def test_the_tokens_of_withings_are_found_in_the_body_of_an_answer(
    withings: PlayedWithings, meet: Meet, store: Store
) -> None:
    meet(withings, "withings", "measures")

    grant = store.grants.find("north", "withings", "u-7")
    assert grant is not None
    assert (grant.vendor_user, grant.state) == ("363", GrantState.ACTIVE)
    assert grant.scopes == ("user.metrics", "user.activity")


def test_every_page_is_fetched(
    withings: PlayedWithings, meet: Meet, pull: Pull, store: Store
) -> None:
    withings.groups = [weighing(n, 80 + n) for n in range(5)]

    assert problems(pull(meet(withings, "withings", "measures"))) == []

    assert sorted(kept(store, "body-weight")) == [80, 81, 82, 83, 84]
    assert [told.get("offset") for _, told in withings.asked] == [None, "2", "4"]


def test_a_token_that_is_refused_with_200_is_renewed_and_nothing_is_lost(
    withings: PlayedWithings, meet: Meet, pull: Pull, store: Store
) -> None:
    desk = meet(withings, "withings", "measures")
    withings.groups = [weighing(n, 80 + n) for n in range(3)]
    withings.tokens.append("another-that-we-do-not-have")

    assert problems(pull(desk)) == []

    assert sorted(kept(store, "body-weight")) == [80, 81, 82]
    assert withings.refresh != "refresh-2"


def test_a_permission_that_has_ended_ends_the_grant(
    withings: PlayedWithings, meet: Meet, pull: Pull, store: Store
) -> None:
    desk = meet(withings, "withings", "measures")
    withings.tokens.append("another-that-we-do-not-have")
    withings.refresh = "another-that-we-do-not-have"

    (problem,) = problems(pull(desk))

    grant = store.grants.find("north", "withings", "u-7")
    assert problem == "invalid_grant"
    assert grant is not None and grant.state is GrantState.REVOKED


def test_too_many_requests_are_followed_by_none_until_a_minute_is_over(
    withings: PlayedWithings, meet: Meet, pull: Pull, store: Store, clock: Clock
) -> None:
    desk = meet(withings, "withings", "measures")
    withings.groups = [weighing(1, 81)]
    withings.bad_days.append((200, {"status": 601, "body": {}}, {}))
    began = clock.now

    while problems(pull(desk)):
        clock.now += timedelta(seconds=10)

    assert kept(store, "body-weight") == [81]
    assert clock.now - began >= timedelta(minutes=1)


@dataclass
class ManyAtWithings(PlayedWithings):
    """It has several wearers, each with a token that is good."""

    when: Callable[[], datetime] = lambda: NOW
    times: list[datetime] = field(default_factory=list)
    """When it was asked for data."""

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        if "Bearer access-" in headers.get("Authorization", ""):
            headers = {"Authorization": f"Bearer {self.tokens[-1]}"}
            self.times.append(self.when())
        return super().answer(method, target, headers, body)


def test_the_limit_of_withings_is_that_of_all_wearers_together(
    meet: Meet,
    make_puller: Callable[..., Puller],
    store: Store,
    clock: Clock,
) -> None:
    withings = ManyAtWithings()
    desk = meet(withings, "withings", "measures")
    for user in ("u-8", "u-9"):
        withings.account += 1
        patient = JANE._replace(patient_id=user)
        link = WearerLink("withings", patient, NOW - timedelta(days=30), user)
        store.links.add(link, EVENT)
        assert come_back(desk, clock, user).text == CONNECTED
    withings.asked.clear()

    steps = list(make_puller(desk).pull())

    assert {each.user for each in steps} == {"u-7", "u-8", "u-9"}
    assert len(withings.asked) == 3
    assert clock.slept == [0.5, 0.5]


def test_while_withings_takes_no_more_no_other_wearer_is_asked_for(
    meet: Meet, make_puller: Callable[..., Puller], store: Store, clock: Clock
) -> None:
    withings = ManyAtWithings()
    desk = meet(withings, "withings", "measures")
    withings.account += 1
    store.links.add(WearerLink("withings", JANE, NOW - timedelta(days=9), "u-8"), EVENT)
    assert come_back(desk, clock, "u-8").text == CONNECTED
    withings.when = lambda: clock.now
    withings.bad_days.append((200, {"status": 601, "body": {}}, {}))

    list(make_puller(desk).pull())

    first, second, *_ = withings.times
    assert second - first >= timedelta(minutes=1)


@pytest.mark.parametrize("status", [503, 293, 2557])
def test_what_withings_refuses_is_told_and_asked_for_the_next_time(
    withings: PlayedWithings, meet: Meet, pull: Pull, store: Store, status: int
) -> None:
    desk = meet(withings, "withings", "measures")
    withings.groups = [weighing(1, 81)]
    withings.bad_days.append((200, {"status": status, "body": {}}, {}))

    assert problems(pull(desk)) == [f"status {status}"]
    assert problems(pull(desk)) == []

    assert kept(store, "body-weight") == [81]


def test_a_weighing_that_is_corrected_holds_instead_of_the_one_before(
    withings: PlayedWithings, meet: Meet, pull: Pull, store: Store
) -> None:
    desk = meet(withings, "withings", "measures")
    withings.groups = [weighing(1, 18.1)]
    pull(desk)

    withings.groups = [weighing(1, 81.0, modified=DAY + 600)]
    pull(desk)

    assert kept(store, "body-weight") == [81.0]


def test_what_withings_notifies_of_is_there_with_the_next_pull(
    withings: PlayedWithings, meet: Meet, pull: Pull, store: Store
) -> None:
    desk = meet(withings, "withings", "measures")
    cloud = replace(desk.cloud, notifications=Notifications((SECRET,)))
    told = {"userid": "363", "appli": "1", "startdate": str(DAY + 3600)}
    form = urlencode({**told, "enddate": str(DAY + 3601)}).encode()
    notified = Notification({}, form, NOW, url_secret=SECRET)
    withings.groups = [weighing(1, 81)]

    answer = answer_notice(notified, cloud, NotifyingDesk(store, NO_KEYS, json.loads))
    pull(desk, named_only=True)

    assert answer is not None and answer.outcomes == {"wanted": 1}
    assert kept(store, "body-weight") == [81]
    assert len(withings.asked) == 1


# Google Health


FIRST, SECOND, THIRD = (f"2026-11-22T13:{n:02}:00Z" for n in (0, 5, 10))


def named(store: Store, start: str, end: str, **more: Any) -> None:
    interval = NamedInterval(
        *("h-7", "heart-rate"),
        datetime.fromisoformat(f"2026-11-22T13:{start}:00+00:00"),
        datetime.fromisoformat(f"2026-11-22T13:{end}:00+00:00"),
    )
    store.pulls.name("north", "google-health", [interval], more.get("at", NOW))


def test_who_the_wearer_is_is_asked_when_they_connect(
    health: PlayedHealth, meet: Meet, store: Store
) -> None:
    meet(health, "google-health", "heart-rate")

    grant = store.grants.find("north", "google-health", "u-7")
    assert grant is not None and grant.vendor_user == "h-7"


def test_what_the_vendor_has_deleted_is_taken_back_and_nothing_else(
    health: PlayedHealth, meet: Meet, pull: Pull, store: Store, clock: Clock
) -> None:
    desk = meet(health, "google-health", "heart-rate")
    health.points = {FIRST: 70, SECOND: 180, THIRD: 72}
    pull(desk)
    del health.points[SECOND]

    named(store, "04", "06")
    clock.now += timedelta(minutes=15)
    pull(desk)

    assert kept(store, "heart-rate") == [70, 72]


def test_without_a_notification_nothing_is_taken_back(
    health: PlayedHealth, meet: Meet, pull: Pull, store: Store, clock: Clock
) -> None:
    desk = meet(health, "google-health", "heart-rate")
    health.points = {FIRST: 70, SECOND: 180}
    pull(desk)

    health.points = {}
    clock.now += timedelta(minutes=15)
    pull(desk)

    assert kept(store, "heart-rate") == [70, 180]


def test_what_comes_of_such_a_time_later_is_taken_all_the_same(
    health: PlayedHealth, meet: Meet, pull: Pull, store: Store, clock: Clock
) -> None:
    desk = meet(health, "google-health", "heart-rate")
    health.points = {FIRST: 70, SECOND: 180}
    pull(desk)
    health.points = {}
    named(store, "00", "59")
    clock.now += timedelta(minutes=15)
    pull(desk)
    assert kept(store, "heart-rate") == []

    health.points = {FIRST: 70, SECOND: 75}
    clock.now += timedelta(minutes=15)
    pull(desk)

    assert kept(store, "heart-rate") == [70, 75]


def test_what_is_named_again_and_again_is_fetched_once(
    health: PlayedHealth, meet: Meet, pull: Pull, store: Store, clock: Clock
) -> None:
    desk = meet(health, "google-health", "heart-rate")
    for _ in range(3):
        named(store, "04", "06")
    named(store, "00", "02")
    health.asked.clear()

    pull(desk, named_only=True)
    pull(desk, named_only=True)

    assert len(health.asked) == 1


def test_before_the_patient_has_agreed_a_notification_brings_nothing(
    health: PlayedHealth, meet: Meet, pull: Pull, store: Store
) -> None:
    desk = meet(health, "google-health", "heart-rate")
    named(store, "04", "06")
    health.asked.clear()

    steps = pull(desk, assumed=False, named_only=True)

    assert set(problems(steps)) == {"the patient has not agreed to it"}
    assert health.asked == []


# Oura and Dexcom


def test_every_page_of_oura_is_fetched_for_whoever_it_says_they_are(
    meet: Meet, pull: Pull, store: Store
) -> None:
    oura = PlayedOura()
    desk = meet(oura, "oura", "pulse")
    oura.asked.clear()
    oura.beats = {f"2026-11-22T13:{n:02}:00+00:00": 60 + n for n in range(5)}

    assert problems(pull(desk)) == []

    grant = store.grants.find("north", "oura", "u-7")
    assert grant is not None and grant.vendor_user == "o-7"
    assert kept(store, "heart-rate") == [60, 61, 62, 63, 64]
    assert [told.get("next_token") for _, told in oura.asked] == [None, "2", "4"]


def a_night(**more: Any) -> dict[str, Any]:
    told = {
        "id": "s1",
        "day": "2026-11-22",
        "type": "long_sleep",
        "bedtime_start": "2026-11-21T23:10:00-05:00",
        "bedtime_end": "2026-11-22T06:40:00-05:00",
        "total_sleep_duration": 23400,
        "average_breath": 15,
    }
    return {**told, **more}


def slept(store: Store) -> list[list[float]]:
    return [kept(store, each) for each in ("time-asleep", "respiratory-rate")]


def test_a_night_that_was_deleted_is_taken_back_whatever_had_named_it_before(
    meet: Meet, pull: Pull, store: Store, clock: Clock
) -> None:
    oura = PlayedOura(nights=[a_night()])
    desk = meet(oura, "oura", "sleep")
    when = (NOW - timedelta(days=2), NOW)
    store.pulls.name("north", "oura", [NamedInterval("o-7", "sleep", *when)], NOW)
    pull(desk)
    assert slept(store) == [[390], [15]]

    oura.nights = [a_night(type="deleted")]
    clock.now += timedelta(minutes=15)
    pull(desk)

    assert slept(store) == [[], []]


def test_a_night_comes_back_when_it_is_told_again_and_not_before(
    meet: Meet, pull: Pull, store: Store, clock: Clock
) -> None:
    oura = PlayedOura(nights=[a_night(type="deleted")])
    desk = meet(oura, "oura", "sleep")
    for _ in range(2):
        pull(desk)
        clock.now += timedelta(minutes=15)
    assert slept(store) == [[], []]

    oura.nights = [a_night()]
    pull(desk)

    assert slept(store) == [[390], [15]]


def test_when_oura_says_how_long_to_wait_it_is_not_asked_before(
    meet: Meet, pull: Pull, store: Store, clock: Clock
) -> None:
    oura = PlayedOura()
    desk = meet(oura, "oura", "pulse")
    oura.beats = {"2026-11-22T13:00:00+00:00": 60}
    oura.bad_days.append((429, {}, {"Retry-After": "300"}))
    began = clock.now

    while problems(pull(desk)):
        clock.now += timedelta(seconds=20)

    assert kept(store, "heart-rate") == [60]
    assert clock.now - began >= timedelta(minutes=5)


def test_glucose_of_dexcom_is_at_its_moment_on_the_wearers_clock(
    meet: Meet, pull: Pull, store: Store
) -> None:
    dexcom = PlayedDexcom()
    desk = meet(dexcom, "dexcom", "glucose")
    told = {"systemTime": "2026-11-22T13:05:00", "displayTime": "2026-11-22T08:05:00"}
    dexcom.records = [
        {**told, "recordId": "e1", "value": 52, "status": None, "unit": None},
        {"systemTime": "2026-11-22T13:10:00", "recordId": "e2", "value": 39}
        | {"status": "low", "unit": "mg/dL"},
    ]
    dexcom.tokens.append("another-that-we-do-not-have")

    assert problems(pull(desk)) == []

    first, second = store.samples.of(
        JANE, "sensor-glucose", NOW - timedelta(days=9), NOW
    )
    assert first.sample.start.isoformat() == "2026-11-22T08:05:00-05:00"
    assert (first.sample.value, first.sample.comparator) == (52, "")
    assert (second.sample.value, second.sample.comparator) == (40, "<")
