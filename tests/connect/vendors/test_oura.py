"""Oura: what is asked, and how an answer says that there is more."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from cds_service.connect.vendors.oura import OURA
from cds_service.connect.vendors.records import Answered, Call, CivilDays, DataKind

NEW_YORK = ZoneInfo("America/New_York")
FALL = CivilDays(date(2026, 11, 1), date(2026, 11, 1), NEW_YORK)


def kind(name: str) -> DataKind:
    found = OURA.kind(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("daily-activity", "/v2/usercollection/daily_activity"),
        ("sleep", "/v2/usercollection/sleep"),
        ("daily-spo2", "/v2/usercollection/daily_spo2"),
    ],
)
def test_documents_are_asked_for_by_a_day_more_than_is_wanted(
    name: str, path: str
) -> None:
    dates = {"start_date": "2026-11-01", "end_date": "2026-11-02"}

    assert kind(name).ask(FALL) == Call(path, dates)


def test_a_pulse_is_asked_for_by_the_moments_of_a_day_of_25_hours() -> None:
    assert kind("pulse").ask(FALL).query == {
        "start_datetime": "2026-11-01T00:00:00-04:00",
        "end_datetime": "2026-11-02T00:00:00-05:00",
    }


def test_a_page_is_followed_by_its_token_with_all_else_the_same() -> None:
    pulse = kind("pulse")
    asked = pulse.ask(FALL)
    body = {"data": [], "next_token": "t2"}

    assert pulse.read(body, FALL, asked) == Answered(
        body, Call(asked.path, {**asked.query, "next_token": "t2"})
    )


@pytest.mark.parametrize("body", [{"data": [], "next_token": None}, {}, [], None])
def test_without_a_token_there_is_no_more(body: object) -> None:
    pulse = kind("pulse")

    assert pulse.read(body, FALL, pulse.ask(FALL)) == Answered(body)


@pytest.mark.parametrize(
    ("answer", "user"), [({"id": "u-7"}, "u-7"), ({"id": None}, ""), ([], "")]
)
def test_who_the_wearer_is_is_asked_for(answer: object, user: str) -> None:
    assert OURA.identity is not None
    assert OURA.identity.read(answer) == user
    assert all("personal" in each.scopes for each in OURA.kinds)
