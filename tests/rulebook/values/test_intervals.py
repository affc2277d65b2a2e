"""Times as records write them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir.moments import EVER, Moment, parse_moment

NEW_YORK = ZoneInfo("America/New_York")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-22T12:00:00Z", "2026-11-22T12:00:00+00:00"),
        ("2026-11-22T07:00:00-05:00", "2026-11-22T12:00:00+00:00"),
        ("2026-11-22T07:00-05:00", "2026-11-22T12:00:00+00:00"),
        ("2026-11-22T07:00:00-0500", "2026-11-22T12:00:00+00:00"),
        ("2026-11-22T07:00:00", "2026-11-22T12:00:00+00:00"),
        ("2026-07-22T08:00:00", "2026-07-22T12:00:00+00:00"),
        ("2026-11-22T12:00:00.123456789Z", "2026-11-22T12:00:00.123456+00:00"),
        ("2026-11-22T12:00:00.1Z", "2026-11-22T12:00:00.100000+00:00"),
        ("2026-11-22T24:00:00Z", "2026-11-23T00:00:00+00:00"),
        ("2026-11-22T24:00", "2026-11-23T05:00:00+00:00"),
        ("2026-12-31T24:00:00.000Z", "2027-01-01T00:00:00+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00"),
        ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.500000+00:00"),
        ("2026-11-22t12:00:00z", "2026-11-22T12:00:00+00:00"),
        ("2026-11-22 12:00:00Z", "2026-11-22T12:00:00+00:00"),
        (" 2026-11-22T12:00:00Z ", "2026-11-22T12:00:00+00:00"),
    ],
)
def test_a_time_is_one_instant(text: str, at: str) -> None:
    assert parse_moment(text, NEW_YORK) == Moment(utc(at), utc(at))


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2026-11-22", "2026-11-22T00:00:00-05:00", "2026-11-23T00:00:00-05:00"),
        (" 2026-11-22 ", "2026-11-22T00:00:00-05:00", "2026-11-23T00:00:00-05:00"),
        ("2026-11", "2026-11-01T00:00:00-04:00", "2026-12-01T00:00:00-05:00"),
        ("2026", "2026-01-01T00:00:00-05:00", "2027-01-01T00:00:00-05:00"),
        ("2024-02-29", "2024-02-29T00:00:00-05:00", "2024-03-01T00:00:00-05:00"),
    ],
)
def test_a_date_is_the_whole_of_it_in_the_sites_zone(
    text: str, low: str, high: str
) -> None:
    expected = Moment(utc(low), utc(high) - timedelta(microseconds=1))

    assert parse_moment(text, NEW_YORK) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "T", "yesterday", "0000", "0000-01-01", "2026-00", "2026-11-00"),
        *("2026-02-30", "2025-02-29", "2026-11-31T12:00:00Z", "26-11-22", "20261122"),
        *("2026-1-5", "22/11/2026", "2026-11-22T25:00:00Z", "2026-11-22T24:00:01Z"),
        *("2026-11-22T24:30:00Z", "2026-11-22T12:61:00Z", "2026-11-22T12:00:61Z"),
        *("2026-11-22T12:00:00+25:00", "2026-11-22T12", "-0001-01-01", "٢٠٢٦-١١-٢٢"),
        *(None, 7, 2026, True, [], {}, ["2026-11-22"]),
    ],
    ids=repr,
)
def test_what_names_no_time_is_none(text: object) -> None:
    assert parse_moment(text, NEW_YORK) is None


def test_the_ends_of_the_calendar_are_times_too() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")

    last = parse_moment("9999-12-31", NEW_YORK)
    assert last and last.high == EVER.high
    year = parse_moment("9999", NEW_YORK)
    assert year and year.high == EVER.high
    late = parse_moment("9999-12-31T23:59:59-05:00", NEW_YORK)
    assert late == Moment(EVER.high, EVER.high)
    first = parse_moment("0001-01-01", tokyo)
    assert first and first.low == EVER.low
    early = parse_moment("0001-01-01T00:00:00+09:00", tokyo)
    assert early == Moment(EVER.low, EVER.low)
    assert parse_moment("9999-12-31T24:00:00Z", NEW_YORK) is None


@given(st.text(alphabet="0123456789-:T.Zz+ 24٣", max_size=32))
def test_any_text_is_a_time_or_none(text: str) -> None:
    found = parse_moment(text, NEW_YORK)

    assert found is None or found.low <= found.high
