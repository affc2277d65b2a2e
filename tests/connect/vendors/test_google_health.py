"""Google Health: what is asked, and how an answer says that there is more."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from cds_service.connect.vendors.google_health import GOOGLE_HEALTH
from cds_service.connect.vendors.records import Answered, Call, CivilDays, DataKind

NEW_YORK = ZoneInfo("America/New_York")
DAY = CivilDays(date(2026, 11, 22), date(2026, 11, 22), NEW_YORK)
FALL = CivilDays(date(2026, 11, 1), date(2026, 11, 2), NEW_YORK)


def kind(name: str) -> DataKind:
    found = GOOGLE_HEALTH.kind(name)
    assert found is not None
    return found


def test_steps_of_days_are_rolled_up_over_civil_days_and_to_before_the_next() -> None:
    assert kind("steps-of-days").ask(FALL) == Call(
        "/users/me/dataTypes/steps/dataPoints:dailyRollUp",
        json={
            "range": {
                "start": {"date": {"year": 2026, "month": 11, "day": 1}},
                "end": {"date": {"year": 2026, "month": 11, "day": 3}},
            },
            "windowSizeDays": 1,
        },
    )


def test_no_roll_up_is_asked_for_more_days_than_google_takes() -> None:
    assert kind("steps-of-days").most_days == 90


def test_steps_of_minutes_are_reconciled_so_that_two_devices_walk_once() -> None:
    asked = kind("steps").ask(DAY)

    assert asked.path == "/users/me/dataTypes/steps/dataPoints:reconcile"
    assert asked.query["filter"] == (
        'steps.interval.start_time >= "2026-11-22T05:00:00Z"'
        ' AND steps.interval.start_time < "2026-11-23T05:00:00Z"'
    )


@pytest.mark.parametrize(
    ("name", "member", "start"),
    [
        (
            "heart-rate",
            "heart_rate.sample_time.physical_time",
            "2026-11-22T05:00:00Z",
        ),
        ("blood-glucose", "blood_glucose.sample_time.physical_time", "2026-11-22T05"),
        ("daily-resting-heart-rate", "daily_resting_heart_rate.date", "2026-11-22"),
        ("sleep", "sleep.interval.end_time", "2026-11-22T05:00:00Z"),
        (
            "irregular-rhythm-notification",
            "irregular_rhythm_notification.interval.civil_start_time",
            "2026-11-22",
        ),
    ],
)
def test_each_kind_is_filtered_by_the_time_that_it_has(
    name: str, member: str, start: str
) -> None:
    asked = kind(name).ask(DAY)

    assert asked.path == f"/users/me/dataTypes/{name}/dataPoints"
    assert asked.query["filter"].startswith(f'{member} >= "{start}')


def test_of_sleeps_no_more_are_asked_for_than_there_are_on_a_page() -> None:
    assert kind("sleep").ask(DAY).query["pageSize"] == "25"


def test_a_page_is_followed_by_its_token_with_all_else_the_same() -> None:
    heart = kind("heart-rate")
    asked = heart.ask(DAY)
    body = {"dataPoints": [], "nextPageToken": "p2"}

    answered = heart.read(body, DAY, asked)

    assert answered == Answered(
        body, Call(asked.path, {**asked.query, "pageToken": "p2"})
    )


def test_a_page_of_a_roll_up_is_followed_as_well() -> None:
    steps = kind("steps-of-days")
    asked = steps.ask(DAY)

    answered = steps.read({"nextPageToken": "p2"}, DAY, asked)

    assert isinstance(answered, Answered) and answered.next is not None
    assert answered.next.json == {**asked.json, "pageToken": "p2"}


@pytest.mark.parametrize("token", [None, "", 7, []])
@pytest.mark.parametrize("name", ["heart-rate", "steps-of-days"])
def test_without_a_token_there_is_no_more(name: str, token: object) -> None:
    body = {"nextPageToken": token}

    answered = kind(name).read(body, DAY, kind(name).ask(DAY))

    assert answered == Answered(body)


def test_the_rhythm_needs_a_permission_of_its_own() -> None:
    scope, profile = kind("irregular-rhythm-notification").scopes

    assert profile == "https://www.googleapis.com/auth/googlehealth.profile.readonly"
    assert scope == "https://www.googleapis.com/auth/googlehealth.irn.readonly"


@pytest.mark.parametrize(
    ("answer", "user"),
    [({"healthUserId": "u-7"}, "u-7"), ({"healthUserId": 7}, ""), ({}, ""), ([], "")],
)
def test_who_the_wearer_is_is_asked_for(answer: object, user: str) -> None:
    identity = GOOGLE_HEALTH.identity

    assert identity is not None
    assert identity.ask == Call("/users/me/identity")
    assert identity.read(answer) == user
