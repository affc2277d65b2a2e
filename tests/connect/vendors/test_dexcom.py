"""Dexcom: what is asked of it, and where."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from cds_service.connect.vendors.dexcom import DEXCOM, DEXCOM_EUROPE, DEXCOM_JAPAN
from cds_service.connect.vendors.records import Answered, Call, CivilDays, Vendor

NEW_YORK = ZoneInfo("America/New_York")
FALL = CivilDays(date(2026, 11, 1), date(2026, 11, 1), NEW_YORK)


@pytest.mark.parametrize(("name", "what"), [("glucose", "egvs"), ("alerts", "alerts")])
def test_a_day_is_asked_for_in_utc_that_is_not_said_to_be_it(
    name: str, what: str
) -> None:
    kind = DEXCOM.kind(name)

    assert kind is not None
    assert kind.ask(FALL) == Call(
        f"/v3/users/self/{what}",
        {"startDate": "2026-11-01T04:00:00", "endDate": "2026-11-02T05:00:00"},
    )
    assert kind.read({"records": []}, FALL, kind.ask(FALL)) == Answered({"records": []})


def test_no_more_days_are_asked_for_than_dexcom_takes() -> None:
    assert all(each.most_days <= 30 for each in DEXCOM.kinds)


@pytest.mark.parametrize(
    ("vendor", "host"),
    [
        (DEXCOM, "https://api.dexcom.com"),
        (DEXCOM_EUROPE, "https://api.dexcom.eu"),
        (DEXCOM_JAPAN, "https://api.dexcom.jp"),
    ],
)
def test_each_region_is_at_a_host_of_its_own(vendor: Vendor, host: str) -> None:
    assert vendor.api == host
    assert vendor.authorize_url == f"{host}/v2/oauth2/login"
    assert vendor.token_url == f"{host}/v2/oauth2/token"


@pytest.mark.parametrize(
    ("answer", "user"), [({"userId": "u-7"}, "u-7"), ({}, ""), (None, "")]
)
def test_who_the_wearer_is_is_asked_for(answer: object, user: str) -> None:
    assert DEXCOM.identity is not None
    assert DEXCOM.identity.read(answer) == user
