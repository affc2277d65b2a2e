"""Withings: what is asked, and what its statuses say."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.connect.vendors.records import (
    Answered,
    Call,
    CivilDays,
    DataKind,
    VendorFault,
)
from cds_service.connect.vendors.withings import WITHINGS

NEW_YORK = ZoneInfo("America/New_York")
DAY = CivilDays(date(2026, 11, 22), date(2026, 11, 22), NEW_YORK)
LONG = CivilDays(date(2026, 11, 1), date(2026, 11, 1), NEW_YORK)
"""Of 25 hours."""


def kind(name: str) -> DataKind:
    found = WITHINGS.kind(name)
    assert found is not None
    return found


def form(call: Call) -> dict[str, str]:
    assert call.form is not None
    return dict(call.form)


def test_measures_are_asked_for_by_seconds_and_goals_are_not() -> None:
    asked = form(kind("measures").ask(DAY))

    assert asked["action"] == "getmeas"
    assert (asked["startdate"], asked["enddate"]) == ("1795323600", "1795409999")
    assert asked["category"] == "1"


def test_days_are_asked_for_by_their_dates() -> None:
    asked = form(kind("activity").ask(DAY))

    assert (asked["startdateymd"], asked["enddateymd"]) == ("2026-11-22", "2026-11-22")


def page(**held: Any) -> dict[str, Any]:
    return {"status": 0, "body": {"measuregrps": [], **held}}


def test_a_page_is_followed_by_its_offset_with_all_else_the_same() -> None:
    measures = kind("measures")
    asked = measures.ask(DAY)
    body = page(more=1, offset=50)

    answered = measures.read(body, DAY, asked)

    assert answered == Answered(
        body, Call("/measure", form={**form(asked), "offset": "50"})
    )


@pytest.mark.parametrize(
    "held", [{}, {"more": 0, "offset": 50}, {"more": True}, {"more": 1, "offset": "x"}]
)
def test_without_an_offset_there_is_no_more(held: Any) -> None:
    measures = kind("measures")

    assert measures.read(page(**held), DAY, measures.ask(DAY)) == Answered(page(**held))


def test_a_page_that_leads_to_itself_is_the_last() -> None:
    measures = kind("measures")
    asked = Call("/measure", form={**form(measures.ask(DAY)), "offset": "50"})
    body = page(more=1, offset=50)

    assert measures.read(body, DAY, asked) == Answered(body)


def test_a_day_of_25_hours_is_asked_for_in_two_pieces() -> None:
    minutes = kind("within-a-day")
    asked = minutes.ask(LONG)

    first = minutes.read(page(), LONG, asked)
    assert isinstance(first, Answered) and first.next is not None
    rest = form(first.next)
    second = minutes.read(page(), LONG, first.next)

    assert int(rest["startdate"]) - int(form(asked)["startdate"]) == 24 * 3600
    assert int(rest["enddate"]) - int(rest["startdate"]) == 3599
    assert second == Answered(page())


def test_a_day_of_24_hours_is_asked_for_once() -> None:
    minutes = kind("within-a-day")

    assert minutes.read(page(), DAY, minutes.ask(DAY)) == Answered(page())


@pytest.mark.parametrize("name", ["measures", "within-a-day", "sleep"])
@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (401, VendorFault("token", "status 401")),
        (100, VendorFault("token", "status 100")),
        (601, VendorFault("busy", "status 601", timedelta(minutes=1))),
        (522, VendorFault("busy", "status 522")),
        (503, VendorFault("refused", "status 503")),
        (2556, VendorFault("busy", "status 2556")),
        (None, VendorFault("refused", "an answer without a status")),
        ("0", VendorFault("refused", "an answer without a status")),
    ],
)
def test_a_refusal_that_comes_with_200_is_one(
    name: str, status: Any, fault: VendorFault
) -> None:
    body = {"status": status, "body": {}, "error": "of p1"}

    assert kind(name).read(body, DAY, kind(name).ask(DAY)) == fault


@pytest.mark.parametrize("body", [None, [], "x"])
def test_what_is_no_answer_is_refused(body: Any) -> None:
    measures = kind("measures")

    read = measures.read(body, DAY, measures.ask(DAY))

    assert isinstance(read, VendorFault) and read.kind == "refused"


def test_tokens_come_in_the_body_of_an_answer() -> None:
    answer = {"status": 0, "body": {"access_token": "a", "userid": 363}}

    token = WITHINGS.tokens.unwrap(answer)

    assert token == {"access_token": "a", "userid": 363}
    assert WITHINGS.tokens.user(token) == "363"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status": 401, "error": "invalid_token"}, "invalid_grant"),
        ({"status": 503, "error": "Invalid Params: refresh_token"}, "invalid_grant"),
        ({"status": 503, "error": "Invalid Params: client_secret"}, "invalid_request"),
        ({"status": 601}, "temporarily_unavailable"),
        ({}, "invalid_request"),
        ([], "invalid_request"),
    ],
)
def test_a_token_that_is_refused_is_an_error_of_oauth(answer: Any, error: str) -> None:
    assert WITHINGS.tokens.unwrap(answer) == {"error": error}


def test_a_token_is_asked_for_with_an_action_and_scopes_between_commas() -> None:
    assert WITHINGS.tokens.request == {"action": "requesttoken"}
    assert WITHINGS.tokens.scope_separator == ","
