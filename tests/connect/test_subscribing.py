"""What vendors are asked to notify of: once, anew before it ends, and no more."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from cds_service.config import Cloud
from cds_service.config.clouds import Notifications
from cds_service.connect.asking import PullWorld
from cds_service.connect.granting import CONNECTED, CloudDesk, invite, take_back
from cds_service.connect.notifying import Notification, NotifyingDesk, answer_notice
from cds_service.connect.pulling import Puller, PullStep
from cds_service.connect.subscribing import Subscriber, disconnect
from cds_service.http.connections import ConnectionPool
from cds_service.protocol.errors import Unauthenticated
from cds_service.store.grants.records import CloudGrant, GrantState, Hold
from cds_service.store.store import Store
from cds_service.trust.vault import Vault, parse_vault_keys
from cds_service.wearables.links import WearerLink

from ..waiting import PATIENCE
from .conftest import EVENT, JANE, KEY, NOW, Clock, visit
from .played_vendors import (
    SILENCE,
    Answer,
    PlayedOura,
    PlayedVendor,
    PlayedWithings,
    serve_vendor,
)
from .test_played_vendors import NO_KEYS, SECRET, weighing

PUBLIC = "https://cds.example.org"
NEWER = "a-newer-secret-that-was-agreed-0123"
OURS = f"{PUBLIC}/wearables/v1/notifications/withings/{SECRET}"
OURA = f"{PUBLIC}/wearables/v1/notifications/oura"
EVENTS = ("create", "update", "delete")
NIGHTS = [f"sleep {each}" for each in EVENTS]


Meet = Callable[..., CloudDesk]
Pull = Callable[..., list[PullStep]]


@pytest.fixture
def withings() -> PlayedWithings:
    return PlayedWithings(groups=[weighing(1, 81)])


@pytest.fixture
def oura(clock: Clock) -> PlayedOura:
    return PlayedOura(scope="daily personal", now=clock)


@pytest.fixture
def meet(store: Store, pool: ConnectionPool) -> Iterator[Meet]:
    """A desk at a played vendor that is to notify, and nobody connected yet."""
    served = []

    def make(vendor: PlayedVendor, name: str, *kinds: str) -> CloudDesk:
        serving = serve_vendor(vendor)
        served.append(serving)
        cloud = Cloud(
            *(name, "north", "-", name, "played", "played-secret"),
            kind_names=kinds,
            days_again=0,
            days_before=1,
            notifications=Notifications((SECRET,)),
            simulated=serving.__enter__(),
        )
        return CloudDesk(cloud, store, Vault(parse_vault_keys(KEY)), pool)

    yield make
    for each in served:
        each.__exit__(None, None, None)


def come(desk: CloudDesk, clock: Clock, user: str = "u-7") -> CloudGrant:
    """A wearer is linked and connected."""
    patient = JANE._replace(patient_id=user)
    link = WearerLink(desk.cloud.id, patient, NOW - timedelta(days=30), user)
    desk.store.links.add(link, EVENT)
    asked = invite(desk, user, "http://127.0.0.1:9/callback", "me", clock())
    done = take_back([desk], visit(asked.link), clock())
    assert done.text == CONNECTED and done.grant is not None
    return done.grant


@pytest.fixture
def desk(withings: PlayedWithings, meet: Meet, clock: Clock) -> CloudDesk:
    """At a played Withings, to which a wearer has connected the scales."""
    made = meet(withings, "withings", "measures")
    come(made, clock)
    return made


@pytest.fixture
def subscriber(clock: Clock) -> Subscriber:
    world = PullWorld(clock, clock.sleep, lambda: 0.5)
    return Subscriber(world, PUBLIC, seconds=PATIENCE)


@pytest.fixture
def pull(make_puller: Callable[..., Puller], subscriber: Subscriber) -> Pull:
    def go(desk: CloudDesk, public_url: str = PUBLIC, **how: float) -> list[PullStep]:
        looks = replace(subscriber, public_url=public_url, **how)
        return list(replace(make_puller(desk), subscriber=looks).pull())

    return go


def patience(answers: list[Answer]) -> float:
    """Seconds that a vendor is waited for, who may not answer at all."""
    return 0.4 if SILENCE in answers else PATIENCE


def notifications(steps: list[PullStep]) -> list[tuple[str, str, bool]]:
    return [
        (each.told, each.problem, each.failed)
        for each in steps
        if each.kind == "notifications"
    ]


# Withings: with each wearer's token


def test_what_a_wearer_permits_is_subscribed_with_the_first_pull_and_only_once(
    withings: PlayedWithings, desk: CloudDesk, clock: Clock, pull: Pull, store: Store
) -> None:
    first, second = notifications(pull(desk)), notifications(pull(desk))
    clock.now += timedelta(days=2)
    third = notifications(pull(desk))

    assert withings.notified == {(each, OURS) for each in ("1", "2", "4")}
    assert sorted(withings.begun) == ["1", "2", "4"]
    assert first == [("notifications are subscribed", "", False)]
    assert (second, third) == ([], [])


def test_what_was_not_granted_is_not_subscribed(
    withings: PlayedWithings, meet: Meet, clock: Clock, pull: Pull
) -> None:
    withings.scope = "user.metrics"
    desk = meet(withings, "withings", "measures", "activity", "sleep")
    come(desk, clock)

    pull(desk)

    assert {appli for appli, _ in withings.notified} == {"1", "2", "4"}


def test_where_no_notifications_are_set_up_the_vendor_is_not_asked(
    withings: PlayedWithings, desk: CloudDesk, pull: Pull
) -> None:
    withings.on_notify.append((500, {}, {}))

    pull(replace(desk, cloud=replace(desk.cloud, notifications=None)))

    assert len(withings.on_notify) == 1


@pytest.mark.parametrize(
    "answers, said",
    [
        ([(503, {}, {})] * 2, "HTTP 503"),
        ([(200, {"status": 343, "body": {}}, {})], "status 343"),
        ([(302, None, {"Location": "https://other.example.org/notify"})], "HTTP 302"),
        ([(200, "no object", {})], "an answer without a status"),
        ([(200, {"status": 0, "body": {}}, {})], "an answer without subscriptions"),
        ([SILENCE] * 2, "timeout"),
    ],
)
def test_a_vendor_that_does_not_take_it_is_named_and_the_pull_goes_on(
    withings: PlayedWithings,
    meet: Meet,
    clock: Clock,
    pull: Pull,
    store: Store,
    answers: list[Answer],
    said: str,
) -> None:
    desk = meet(withings, "withings", "measures")
    grant = come(desk, clock)
    withings.on_notify.extend(answers)

    steps = pull(desk, seconds=patience(answers))
    withings.on_notify.clear()

    assert [each.stored for each in steps if each.kind == "measures"] == [1]
    assert notifications(steps) == [("", said, False)]
    noted = store.subscriptions.find(grant.wearer)
    assert noted is not None and (noted.problem, noted.failures) == (said, 1)
    assert store.subscriptions.count() == {"withings": {"failing": 1}}

    clock.now += timedelta(hours=2)
    assert notifications(pull(desk)) == [("notifications are subscribed", "", False)]
    assert store.subscriptions.count() == {"withings": {"subscribed": 1}}


def test_after_a_failure_the_vendor_is_left_alone_for_a_while(
    withings: PlayedWithings, desk: CloudDesk, pull: Pull
) -> None:
    withings.on_notify.extend([(503, {}, {})] * 9)

    pull(desk)
    pull(desk)

    assert len(withings.on_notify) == 7


def test_what_one_of_them_is_refused_for_does_not_keep_the_others(
    withings: PlayedWithings, desk: CloudDesk, pull: Pull
) -> None:
    listed = {"status": 0, "body": {"profiles": []}}
    refused = {"status": 305, "body": {}}
    withings.on_notify.extend([(200, listed, {}), (200, refused, {})])

    ((_, problem, _),) = notifications(pull(desk))

    assert problem == "status 305 (1)"
    assert {appli for appli, _ in withings.notified} == {"2", "4"}


def test_a_token_that_is_not_good_any_more_is_renewed_for_it(
    withings: PlayedWithings, desk: CloudDesk, pull: Pull
) -> None:
    withings.on_notify.append((200, {"status": 401, "body": {}}, {}))

    pull(desk)

    assert len(withings.notified) == 3
    assert len(withings.tokens) == 3


def test_what_was_subscribed_by_hand_is_not_subscribed_again(
    withings: PlayedWithings, desk: CloudDesk, pull: Pull
) -> None:
    withings.notified = {(each, OURS) for each in ("1", "2", "4")}

    assert notifications(pull(desk)) == []

    assert withings.begun == []


def test_a_vendor_that_says_there_is_one_is_believed_where_it_lists_it(
    withings: PlayedWithings, desk: CloudDesk, pull: Pull
) -> None:
    withings.notified = {(each, OURS) for each in ("1", "2", "4")}
    withings.says_there_is_one = True
    withings.on_notify.append((200, {"status": 0, "body": {"profiles": []}}, {}))

    assert notifications(pull(desk)) == [("notifications are subscribed", "", False)]


def test_a_vendor_that_says_there_is_one_and_lists_none_is_not_believed(
    withings: PlayedWithings, desk: CloudDesk, pull: Pull
) -> None:
    withings.notified = {(each, OURS) for each in ("1", "2", "4")}
    withings.says_there_is_one = withings.lists_nothing = True

    ((_, problem, _),) = notifications(pull(desk))

    assert problem.endswith("but lists none for this URL (1, 2, 4)")


def test_what_the_vendor_has_dropped_is_subscribed_again_within_a_day(
    withings: PlayedWithings, desk: CloudDesk, clock: Clock, pull: Pull
) -> None:
    pull(desk)
    withings.notified.clear()

    clock.now += timedelta(days=1)
    pull(desk)

    assert len(withings.notified) == 3


def test_with_a_new_secret_the_url_of_the_old_one_is_given_up(
    withings: PlayedWithings, desk: CloudDesk, pull: Pull
) -> None:
    pull(desk)
    elsewhere = ("1", "https://test.example.org/wearables/v1/notifications/withings/x")
    withings.notified.add(elsewhere)

    both = Notifications((NEWER, SECRET))
    pull(replace(desk, cloud=replace(desk.cloud, notifications=both)))

    new = OURS.replace(SECRET, NEWER)
    assert withings.notified == {(e, new) for e in ("1", "2", "4")} | {elsewhere}


def test_with_another_public_url_the_one_before_is_given_up(
    withings: PlayedWithings, desk: CloudDesk, pull: Pull
) -> None:
    pull(desk)

    pull(desk, "https://other.example.org")

    assert {urlsplit(url).hostname for _, url in withings.notified} == {
        "other.example.org"
    }


def test_where_notifications_are_not_wanted_any_more_they_are_ended(
    withings: PlayedWithings, meet: Meet, clock: Clock, pull: Pull, store: Store
) -> None:
    desk = meet(withings, "withings", "measures")
    grant = come(desk, clock)
    pull(desk)

    steps = pull(replace(desk, cloud=replace(desk.cloud, notifications=None)))

    assert withings.notified == set()
    assert notifications(steps) == [("notifications are ended", "", False)]
    assert store.subscriptions.find(grant.wearer) is None


def test_a_url_that_the_vendor_would_not_take_is_named_and_the_vendor_not_asked(
    withings: PlayedWithings, desk: CloudDesk, pull: Pull
) -> None:
    withings.on_notify.append((500, {}, {}))

    steps = pull(desk, f"https://{'very-' * 45}long.example.org")

    ((_, problem, _),) = notifications(steps)
    assert problem == "the URL to notify has more than 255 characters"
    assert len(withings.on_notify) == 1


def test_with_the_permission_the_notifications_end(
    withings: PlayedWithings,
    meet: Meet,
    clock: Clock,
    pull: Pull,
    store: Store,
    subscriber: Subscriber,
) -> None:
    desk = meet(withings, "withings", "measures")
    grant = come(desk, clock)
    pull(desk)
    withings.tokens.append("another-that-we-do-not-have")

    told = disconnect(desk, grant, "me", subscriber)

    assert told == ("the vendor offers no way to revoke it", "")
    assert withings.notified == set()
    ended = store.grants.find("north", "withings", "u-7")
    assert ended is not None and ended.state is GrantState.REVOKED
    assert store.subscriptions.find(grant.wearer) is None


def test_a_permission_ends_here_though_its_notifications_cannot_be_ended(
    withings: PlayedWithings,
    meet: Meet,
    clock: Clock,
    pull: Pull,
    store: Store,
    subscriber: Subscriber,
) -> None:
    desk = meet(withings, "withings", "measures")
    grant = come(desk, clock)
    pull(desk)
    withings.on_notify.extend([(503, {}, {})] * 2)

    assert disconnect(desk, grant, "me", subscriber)[1] == "HTTP 503"

    ended = store.grants.find("north", "withings", "u-7")
    assert ended is not None and ended.state is GrantState.REVOKED
    assert store.subscriptions.count() == {}


def test_who_is_pulled_by_somebody_else_is_not_subscribed_meanwhile(
    withings: PlayedWithings,
    meet: Meet,
    clock: Clock,
    store: Store,
    subscriber: Subscriber,
) -> None:
    desk = meet(withings, "withings", "measures")
    grant = come(desk, clock)
    store.pulls.take(Hold(grant.id, "one"), NOW, NOW + timedelta(minutes=5))

    done = subscriber.of_grant(desk, grant)

    assert done is not None and done.problem.startswith(
        "another process is working on it"
    )
    assert withings.notified == set()


def test_where_nothing_was_subscribed_nobody_is_said_to_notify_on(
    withings: PlayedWithings,
    meet: Meet,
    clock: Clock,
    store: Store,
    subscriber: Subscriber,
) -> None:
    desk = meet(withings, "withings", "measures")
    desk = replace(desk, cloud=replace(desk.cloud, notifications=None))
    grant = come(desk, clock)
    store.pulls.take(Hold(grant.id, "one"), NOW, NOW + timedelta(minutes=5))

    assert disconnect(desk, grant, "me", subscriber)[1] == ""


# Oura: once for all wearers of an app


def test_oura_is_asked_once_however_many_wearers_there_are(
    oura: PlayedOura, meet: Meet, clock: Clock, pull: Pull
) -> None:
    desk = meet(oura, "oura")
    come(desk, clock)
    oura.user = "o-8"
    come(desk, clock, "u-8")

    first = notifications(pull(desk))
    pull(desk)

    assert sorted(oura.begun) == sorted(
        f"{what} {event}" for what in ("daily_activity", "sleep") for event in EVENTS
    )
    assert {each["callback_url"] for each in oura.held.values()} == {OURA}
    assert first == [("notifications are subscribed until 2026-12-23", "", False)]


def test_the_challenge_of_oura_is_answered_with_the_secret_and_with_no_other(
    oura: PlayedOura, meet: Meet, clock: Clock, pull: Pull, store: Store
) -> None:
    desk = meet(oura, "oura", "sleep")
    come(desk, clock)
    here, accepted = NotifyingDesk(store, NO_KEYS, json.loads), desk.cloud

    def knock(url: str, query: dict[str, str]) -> str:
        assert url == OURA
        asked = Notification({}, b"", clock(), query, asks=True)
        try:
            answer = answer_notice(asked, accepted, here)
        except Unauthenticated:
            return ""
        assert answer is not None and answer.body is not None
        return str(answer.body["challenge"])

    oura.knock = knock
    accepted = replace(desk.cloud, notifications=Notifications((NEWER,)))
    ((_, refused, _),) = notifications(pull(desk))
    accepted = desk.cloud
    clock.now += timedelta(hours=2)
    ((_, taken, _),) = notifications(pull(desk))

    assert refused == f"HTTP 400 ({', '.join(NIGHTS)})"
    assert (taken, oura.begun) == ("", NIGHTS)


def test_a_subscription_is_renewed_before_it_ends_and_not_long_before(
    oura: PlayedOura, meet: Meet, clock: Clock, pull: Pull
) -> None:
    desk = meet(oura, "oura", "sleep")
    come(desk, clock)
    pull(desk)
    ends = NOW + oura.lasts

    while clock.now < ends - timedelta(days=8):
        clock.now += timedelta(hours=12)
        pull(desk)
    assert oura.renewed_ids == []
    while clock.now < ends - timedelta(days=6):
        clock.now += timedelta(hours=12)
        pull(desk)

    assert sorted(oura.renewed_ids) == ["s-1", "s-2", "s-3"]
    assert oura.begun == NIGHTS


def test_what_ended_before_it_could_be_renewed_is_begun_anew(
    oura: PlayedOura, meet: Meet, clock: Clock, pull: Pull
) -> None:
    desk = meet(oura, "oura", "sleep")
    come(desk, clock)
    pull(desk)
    listed = list(oura.held.values())
    oura.held.clear()

    clock.now += timedelta(days=25)
    oura.on_notify.append((200, listed, {}))
    pull(desk)

    assert oura.begun == 2 * NIGHTS
    assert len(oura.held) == 3


def test_with_the_last_wearer_the_app_is_notified_no_more(
    oura: PlayedOura,
    meet: Meet,
    clock: Clock,
    pull: Pull,
    subscriber: Subscriber,
    store: Store,
) -> None:
    desk = meet(oura, "oura", "sleep")
    first = come(desk, clock)
    oura.user = "o-8"
    last = come(desk, clock, "u-8")
    pull(desk)

    disconnect(desk, first, "me", subscriber)
    assert len(oura.held) == 3
    disconnect(desk, last, "me", subscriber)

    assert oura.held == {}
    assert store.subscriptions.find(desk.wearer("")) is None


def test_when_the_last_wearer_left_at_the_vendor_the_next_pull_ends_them(
    oura: PlayedOura, meet: Meet, clock: Clock, pull: Pull, store: Store
) -> None:
    desk = meet(oura, "oura", "sleep")
    grant = come(desk, clock)
    pull(desk)
    store.grants.end(grant, GrantState.REVOKED, "the vendor says so", EVENT)

    pull(desk)

    assert oura.held == {}


@pytest.mark.parametrize(
    "answers, said",
    [
        ([(500, {}, {})] * 2, "HTTP 500"),
        ([(429, {}, {"Retry-After": "900"})], "HTTP 429"),
        ([(403, {}, {})], "HTTP 403: it does not accept the app's id and secret"),
        ([(307, None, {"Location": "https://other.example.org/"})], "HTTP 307"),
        ([(200, {"data": []}, {})], "an answer without subscriptions"),
        ([SILENCE] * 2, "timeout"),
    ],
)
def test_oura_that_does_not_take_it_is_named_and_the_pull_goes_on(
    oura: PlayedOura,
    meet: Meet,
    clock: Clock,
    pull: Pull,
    answers: list[Answer],
    said: str,
) -> None:
    oura.scope = "heartrate daily personal"
    oura.beats = {"2026-11-22T13:00:00+00:00": 60}
    desk = meet(oura, "oura", "pulse", "sleep")
    come(desk, clock)
    oura.on_notify.extend(answers)

    steps = pull(desk, seconds=patience(answers))
    oura.on_notify.clear()

    ((_, problem, failed),) = notifications(steps)
    assert (problem, failed) == (said, False)
    assert sum(each.stored for each in steps) == 1
    clock.now += timedelta(hours=2)
    assert notifications(pull(desk))[0][1] == ""


def test_a_subscription_of_another_installation_is_named_and_left_alone(
    oura: PlayedOura, meet: Meet, clock: Clock, pull: Pull
) -> None:
    desk = meet(oura, "oura", "sleep")
    come(desk, clock)
    oura.begin(
        {
            "callback_url": "https://test.example.org/wearables/v1/notifications/oura",
            **{"event_type": "create", "data_type": "sleep", "verification_token": "t"},
        }
    )

    ((_, problem, _),) = notifications(pull(desk))

    assert problem.endswith("but lists none for this URL (sleep create)")
    assert len(oura.held) == 3
