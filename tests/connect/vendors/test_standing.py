"""What is to be done so that a vendor notifies of what is wanted, and no more."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.connect.vendors.oura import OURA
from cds_service.connect.vendors.records import StandingOrder, Subscribing, Vendor
from cds_service.connect.vendors.standing import (
    AT_ONCE,
    Address,
    first_end,
    next_look,
    plan_changes,
)
from cds_service.connect.vendors.withings import WITHINGS

NOW = datetime(2026, 11, 23, 14, tzinfo=UTC)
DAY = timedelta(days=1)
BASE = "https://cds.example.org/wearables/v1/notifications/cloud"
URL = f"{BASE}/secret"
HERE = Address(URL, {BASE, ""})


def order(topic: str, callback: str = URL, days: int = 30) -> StandingOrder:
    return StandingOrder(topic, callback, NOW + days * DAY, f"of {topic} {days}")


def test_what_is_lacking_is_begun_and_what_is_there_is_kept() -> None:
    changes = plan_changes(["1", "2"], [order("1")], HERE, NOW)

    assert (changes.begin, changes.renew, changes.end) == (["2"], [], [])
    assert [each.topic for each in changes.kept] == ["1"]


def test_what_ends_within_a_week_is_renewed() -> None:
    soon, later, over = order("1", days=6), order("2", days=8), order("3", days=-1)

    changes = plan_changes(["1", "2", "3"], [soon, later, over], HERE, NOW)

    assert sorted(each.topic for each in changes.renew) == ["1", "3"]


def test_of_two_of_a_kind_the_one_that_lasts_longer_is_kept() -> None:
    short, long = order("1", days=9), order("1", days=90)

    changes = plan_changes(["1"], [short, long], HERE, NOW)

    assert (changes.kept, changes.end) == ([long], [short])


def test_what_is_not_wanted_or_leads_to_a_former_url_is_ended_and_others_are_left() -> (
    None
):
    unwanted, former = order("9"), order("1", f"{BASE}/older-secret")
    others = [
        order("1", "https://test.example.org/wearables/v1/notifications/cloud"),
        order("1", f"{BASE}-of-somebody-else"),
        order("1", ""),
    ]

    changes = plan_changes(["1"], [unwanted, former, *others], HERE, NOW)

    assert changes.end == [unwanted, former]
    assert changes.begin == ["1"]


def test_however_many_a_vendor_lists_no_more_are_ended_at_once_than_are_fit() -> None:
    many = [order(str(number)) for number in range(AT_ONCE + 9)]

    assert len(plan_changes([], many, HERE, NOW).end) == AT_ONCE


def test_it_is_looked_at_once_a_day_and_sooner_where_it_ends_sooner() -> None:
    assert next_look(None, NOW) == NOW + DAY
    assert next_look(NOW + 30 * DAY, NOW) == NOW + DAY
    assert next_look(NOW + DAY, NOW) == NOW + DAY / 2
    assert next_look(NOW - DAY, NOW) == NOW + timedelta(minutes=1)
    assert first_end([order("1"), order("2", days=3)]) == NOW + 3 * DAY
    assert first_end([StandingOrder("1", URL)]) is None


def how(vendor: Vendor) -> Subscribing:
    assert vendor.subscribing is not None
    return vendor.subscribing


@pytest.mark.parametrize(
    "told",
    [
        *(2147483647, 0, -1, "2147483647", None, "soon", 1e400, float("nan"), [], {}),
        *("9" * 400, {"at": 1}),
    ],
)
def test_an_end_that_withings_does_not_mean_is_none(told: Any) -> None:
    profile = {"appli": 1, "callbackurl": URL, "expires": told}

    listed = how(WITHINGS).read(200, {"status": 0, "body": {"profiles": [profile]}})

    assert listed == (StandingOrder("1", URL),)


@pytest.mark.parametrize(
    "told", [None, "soon", 5, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
def test_an_end_of_oura_that_is_no_time_is_none(told: Any) -> None:
    held = {"id": "s-1", "callback_url": URL, "data_type": "sleep"}
    entry = {**held, "event_type": "create", "expiration_time": told}

    listed = how(OURA).read(200, [entry, "no object", {"id": 7}, None])

    assert listed == (StandingOrder("sleep create", URL, None, "s-1"),)


def test_an_end_of_oura_without_offset_is_in_utc() -> None:
    held = {"id": "s-1", "callback_url": URL, "data_type": "sleep"}
    entry = {**held, "event_type": "create", "expiration_time": "2026-12-23T14:00:00"}

    (listed,) = how(OURA).read(200, [entry])  # type: ignore[misc]

    assert listed.expires == datetime(2026, 12, 23, 14, tzinfo=UTC)


def test_an_id_of_oura_stays_a_part_of_the_path() -> None:
    odd = StandingOrder("sleep create", URL, None, "../a?b#c/d")

    assert how(OURA).end(odd).path.endswith("/subscription/..%2Fa%3Fb%23c%2Fd")
