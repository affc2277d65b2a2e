"""What is asked of Google Fit, for days of any length."""

from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from cds_service.connect.vendors.google_fit import GOOGLE_FIT
from cds_service.connect.vendors.records import Answered, Call, CivilDays, DataKind
from cds_service.wearables.adapters.registry import FORMATS

NEW_YORK = ZoneInfo("America/New_York")
HOUR = 3_600_000
POINTS = (
    "/users/me/dataSources/derived:com.google.heart_rate.bpm:com.google.android.gms:"
    "merge_heart_rate_bpm/datasets/1795237200000000000-1795323600000000000"
)


def kind(name: str) -> DataKind:
    found = GOOGLE_FIT.kind(name)
    assert found is not None
    return found


def day(told: str, zone: str = "America/New_York") -> CivilDays:
    return CivilDays(date.fromisoformat(told), date.fromisoformat(told), ZoneInfo(zone))


def test_a_day_of_steps_is_asked_for_from_midnight_to_midnight_of_the_wearer() -> None:
    assert kind("steps").ask(day("2026-11-21")) == Call(
        "/users/me/dataset:aggregate",
        json={
            "aggregateBy": [
                {
                    "dataTypeName": "com.google.step_count.delta",
                    "dataSourceId": "derived:com.google.step_count.delta:"
                    "com.google.android.gms:estimated_steps",
                }
            ],
            "bucketByTime": {"durationMillis": 24 * HOUR},
            "startTimeMillis": 1795237200000,
            "endTimeMillis": 1795323600000,
        },
    )


@pytest.mark.parametrize(
    ("told", "zone", "hours"),
    [
        ("2026-11-01", "America/New_York", 25),
        ("2026-03-08", "America/New_York", 23),
        ("2026-03-29", "Asia/Beirut", 23),
        ("2026-10-25", "Asia/Beirut", 24),
        ("2026-11-21", "Asia/Kathmandu", 24),
    ],
)
def test_a_day_on_which_clocks_change_is_asked_for_whole(
    told: str, zone: str, hours: int
) -> None:
    asked = kind("steps").ask(day(told, zone)).json

    assert asked["endTimeMillis"] - asked["startTimeMillis"] == hours * HOUR
    assert asked["bucketByTime"] == {"durationMillis": hours * HOUR}


def test_where_midnight_does_not_exist_a_day_begins_an_hour_later() -> None:
    window = day("2026-03-29", "Asia/Beirut")

    assert window.start.isoformat() == "2026-03-29T01:00:00+03:00"
    assert window.end.isoformat() == "2026-03-30T00:00:00+03:00"


def test_heart_rates_are_asked_for_point_by_point_in_nanoseconds() -> None:
    assert kind("heart-rate").ask(day("2026-11-21")) == Call(POINTS, {"limit": "1000"})


def test_an_answer_that_names_a_next_page_is_not_all_of_it() -> None:
    asked = Call(POINTS, {"limit": "1000"})
    body = {"point": [], "nextPageToken": "p2"}

    page = kind("heart-rate").read(body, day("2026-11-21"), asked)

    assert page == Answered(
        body, replace(asked, query={"limit": "1000", "pageToken": "p2"})
    )


@pytest.mark.parametrize("token", ["", None, 7])
def test_an_answer_that_names_no_next_page_is_the_last(token: object) -> None:
    body = {"point": [], "nextPageToken": token}

    page = kind("heart-rate").read(body, day("2026-11-21"), Call(POINTS))

    assert page == Answered(body)


def test_every_kind_has_scopes_and_a_format_that_reads_it() -> None:
    assert all(each.format in FORMATS and each.scopes for each in GOOGLE_FIT.kinds)
    assert len(GOOGLE_FIT.scopes) == len(set(GOOGLE_FIT.scopes))
    assert "https://www.googleapis.com/auth/fitness.activity.read" in GOOGLE_FIT.scopes
