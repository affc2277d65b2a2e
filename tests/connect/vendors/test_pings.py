"""What notifications name: whose data, of which kinds, of what time."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.connect.vendors.pings import Named, Ping, PingReader
from cds_service.connect.vendors.registry import VENDORS

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
FROM, TO = datetime(2026, 11, 22, 12, 50, tzinfo=UTC), NOW - timedelta(minutes=54)
PHYSICAL = {"startTime": "2026-11-22T12:50:00Z", "endTime": "2026-11-22T13:06:00Z"}


def reader(
    vendor: str, *kinds: str, zone: tzinfo | None = None, now: datetime = NOW
) -> PingReader:
    every = tuple(each.name for each in VENDORS[vendor].kinds)
    return PingReader(kinds or every, zone, now)


def google(
    type: Any = "heart-rate", *intervals: Any, user: Any = "h-7", **more: Any
) -> dict[str, Any]:
    told = list(intervals) or [{"physicalTimeInterval": PHYSICAL}]
    data = {"version": "1", "healthUserId": user, "operation": "UPSERT"}
    return {"data": {**data, "dataType": type, "intervals": told, **more}}


def named(body: Any, zone: tzinfo | None = None, now: datetime = NOW) -> Ping:
    return reader("google-health", zone=zone, now=now).google_health(body)


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("operation", ["UPSERT", "UPDATE", "DELETE"])
@pytest.mark.parametrize("version", ["1", "v4"])
def test_a_notification_names_a_time_of_a_kind_whatever_was_done_there(
    wrapped: bool, operation: str, version: str
) -> None:
    told = google(operation=operation, version=version)

    ping = named([told] if wrapped else told)

    assert ping == Ping((Named("h-7", "heart-rate", FROM, TO),))


@pytest.mark.parametrize("type", ["heart-rate", "heartRate", "heart_rate"])
def test_a_kind_is_written_in_three_ways(type: str) -> None:
    assert [each.kind for each in named(google(type)).named] == ["heart-rate"]


def test_steps_are_asked_for_by_minutes_and_by_days() -> None:
    kinds = [each.kind for each in named(google("steps")).named]

    assert kinds == ["steps-of-days", "steps"]


def test_a_time_that_is_named_twice_is_named_once() -> None:
    assert len(named([google(), google(), google(user="h-8")]).named) == 2


CIVIL = {"startTime": "2026-11-22T08:00:00", "endTime": "2026-11-22T09:00:00"}
MEMBERS = {
    "startDateTime": {"date": {"year": 2026, "month": 11, "day": 22}, "time": {}},
    "endDateTime": {
        "date": {"year": 2026, "month": 11, "day": 22},
        "time": {"hours": 9},
    },
}


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ({"civilIso8601TimeInterval": CIVIL}, "13:00", "14:00"),
        ({"civilDateTimeInterval": MEMBERS}, "05:00", "14:00"),
        (
            {"civilIso8601TimeInterval": {"startTime": CIVIL["startTime"]}},
            "13:00",
            "13:00",
        ),
        (
            {"civilIso8601TimeInterval": CIVIL, "physicalTimeInterval": PHYSICAL},
            "12:50",
            "13:06",
        ),
    ],
)
def test_a_time_comes_in_three_forms(interval: Any, start: str, end: str) -> None:
    (each,) = named(google("sleep", interval), NEW_YORK).named

    assert (f"{each.start:%H:%M}", f"{each.end:%H:%M}") == (start, end)


def test_a_civil_time_in_no_known_zone_is_that_of_every_zone() -> None:
    now = NOW + timedelta(days=3)
    (each,) = named(google("sleep", {"civilIso8601TimeInterval": CIVIL}), now=now).named

    assert each.start == datetime(2026, 11, 21, 18, tzinfo=UTC)
    assert each.end == datetime(2026, 11, 22, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        None,
        7,
        "x",
        {},
        {"data": []},
        google(operation="READ"),
        google(operation=["UPSERT"]),
        google(user=None),
        google(user="a\nb"),
        google(user="x" * 256),
        google(type=7),
        google("heart-rate", None),
        google("heart-rate", {}),
        google("heart-rate", {"physicalTimeInterval": {"startTime": "now"}}),
        google("heart-rate", {"physicalTimeInterval": {**PHYSICAL, "endTime": 7}}),
        google("heart-rate", {"civilDateTimeInterval": {"startDateTime": {}}}),
        google(
            "heart-rate",
            {
                "physicalTimeInterval": {
                    "startTime": PHYSICAL["endTime"],
                    "endTime": PHYSICAL["startTime"],
                }
            },
        ),
    ],
)
def test_what_names_nothing_is_counted_and_no_fault(body: Any) -> None:
    ping = named([body, google()])

    assert ping.passed_over == {"malformed": 1}
    assert len(ping.named) == 1


def test_a_kind_that_the_site_does_not_ask_for_is_passed_over() -> None:
    ping = reader("google-health", "steps").google_health(google("heart-rate"))

    assert ping == Ping((), {"other-kind": 1})


def interval(start: str, end: str) -> dict[str, Any]:
    return {"physicalTimeInterval": {"startTime": start, "endTime": end}}


def test_of_a_time_without_end_no_more_is_fetched_than_a_month() -> None:
    endless = interval("2000-01-01T00:00:00Z", "9998-01-01T00:00:00Z")

    (each,) = named(google("heart-rate", endless)).named

    assert each.end == NOW + timedelta(days=1)
    assert each.end - each.start == timedelta(days=31)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2001-01-01T00:00:00Z", "2001-01-02T00:00:00Z"),
        ("2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"),
    ],
)
def test_a_time_of_which_nobody_asks_is_passed_over(start: str, end: str) -> None:
    ping = named(google("heart-rate", interval(start, end)))

    assert ping == Ping((), {"other-time": 1})


def test_of_a_flood_of_times_a_thousand_are_named() -> None:
    minutes = [
        interval(
            f"2026-11-22T{n // 60 % 24:02}:{n % 60:02}:{n // 1440:02}Z",
            "2026-11-22T23:59:59Z",
        )
        for n in range(1500)
    ]
    ping = named(google("heart-rate", *minutes))

    assert len(ping.named) == 1000
    assert ping.passed_over == {"too-many": 500}


def test_of_times_that_are_of_two_kinds_none_is_left_out_without_a_word() -> None:
    """Steps are asked for by minutes and by days: each time is named twice."""
    minutes = [
        interval(f"2026-11-22T{n // 60:02}:{n % 60:02}:00Z", "2026-11-22T23:59:59Z")
        for n in range(600)
    ]
    ping = named(google("steps", *minutes, *minutes[:10]))

    assert len(ping.named) == 1000
    assert ping.passed_over == {"too-many": 200}


def form(**more: str) -> dict[str, str]:
    told = {"userid": "363", "appli": "1", "startdate": "1795352700"}
    return {**told, "enddate": "1795353000", **more}


@pytest.mark.parametrize(
    ("appli", "kinds"),
    [
        ("1", ["measures"]),
        ("4", ["measures"]),
        ("16", ["activity", "within-a-day"]),
        ("44", ["sleep"]),
        ("54", ["recordings-of-the-heart"]),
    ],
)
def test_withings_says_by_a_number_what_is_new(appli: str, kinds: list[str]) -> None:
    ping = reader("withings").withings(form(appli=appli))

    assert [each.kind for each in ping.named] == kinds
    assert {each.user for each in ping.named} == {"363"}
    assert ping.named[0].start == datetime(2026, 11, 22, 13, 5, tzinfo=UTC)


def test_withings_may_say_a_day_instead() -> None:
    told = {"userid": "363", "appli": "16", "date": "2026-11-21"}

    each, _ = reader("withings", zone=NEW_YORK).withings(told).named

    assert each.start == datetime(2026, 11, 21, 5, tzinfo=UTC)
    assert each.end == datetime(2026, 11, 22, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (form(appli="46"), "other-kind"),
        ({"appli": "1"}, "malformed"),
        (form(startdate="-1"), "malformed"),
        (form(startdate="9" * 12), "malformed"),
        (form(startdate="1795353001"), "malformed"),
        (form(date="2026-13-01"), "malformed"),
        ({}, "malformed"),
    ],
)
def test_what_withings_does_not_name_is_counted(told: Any, why: str) -> None:
    assert reader("withings").withings(told) == Ping((), {why: 1})


def event(**more: Any) -> dict[str, Any]:
    told = {"event_type": "update", "data_type": "daily_activity", "object_id": "a1"}
    return {**told, "event_time": "2026-11-22T13:05:00+00:00", "user_id": "o-7", **more}


@pytest.mark.parametrize("type", ["create", "update", "delete"])
def test_an_event_of_oura_names_whole_days_up_to_it(type: str) -> None:
    ping = reader("oura").oura(event(event_type=type))

    day = datetime(2026, 11, 22, tzinfo=UTC)
    start, end = day - timedelta(days=2), day + timedelta(days=1)
    assert ping == Ping((Named("o-7", "daily-activity", start, end),))


def test_two_events_of_a_day_name_one_thing() -> None:
    first = reader("oura").oura(event())
    second = reader("oura").oura(event(event_time="2026-11-22T13:55:00+00:00"))

    assert first == second


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (event(data_type="workout"), "other-kind"),
        (event(data_type=["sleep"]), "other-kind"),
        (event(event_type="read"), "malformed"),
        (event(event_time="soon"), "malformed"),
        (event(user_id=None), "malformed"),
        ([event()], "malformed"),
        (None, "malformed"),
    ],
)
def test_what_oura_does_not_name_is_counted(body: Any, why: str) -> None:
    assert reader("oura").oura(body) == Ping((), {why: 1})


WORDS = st.sampled_from(
    [
        *("data", "healthUserId", "operation", "UPSERT", "dataType", "steps", "h-7"),
        *("intervals", "physicalTimeInterval", "startTime", "endTime", "date", "time"),
        *("civilDateTimeInterval", "startDateTime", "2026-11-22T12:50:00Z", "year"),
        *("event_type", "create", "data_type", "sleep", "user_id", "event_time"),
        *("9998-12-31T23:59:59-18:00", "2000-01-01T00:00:00+18:00", "\ud800", ""),
    ]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner),
    max_leaves=30,
)


@given(
    body=ODD,
    form=st.dictionaries(
        st.sampled_from(["userid", "appli", "startdate", "enddate", "date"]),
        WORDS | st.sampled_from(["1", "16", "1795352700", "9" * 11, "2026-11-22"]),
    ),
)
def test_whatever_comes_is_named_or_passed_over_and_no_fault(
    body: Any, form: dict[str, str]
) -> None:
    pings = [
        reader("google-health").google_health(body),
        reader("google-health", zone=NEW_YORK).google_health([google(), body]),
        reader("oura").oura(body),
        reader("withings", zone=NEW_YORK).withings(form),
    ]

    for each in [named for ping in pings for named in ping.named]:
        assert each.start <= each.end
        assert each.end - each.start <= timedelta(days=31)
