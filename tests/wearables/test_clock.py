"""Times as programs write them for people: read, or no time."""

from datetime import datetime, timedelta

import pytest

from cds_service.wearables.clock import WrittenTime, parse_written

AT = datetime(2026, 11, 22, 8, 5)
WEST = timedelta(hours=-5)
NARROW = "\N{NARROW NO-BREAK SPACE}"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 08:05:00 -0500",
        "2026-11-22T08:05:00-05:00",
        "2026-11-22t08:05:00.000-05",
        "2026-11-22 8:05:00 AM -0500",
        f"2026-11-22 8:05:00{NARROW}AM -0500",
        f"2026-11-22 8:05:00{NARROW}am{NARROW}-0500",
        "2026-11-22 8:05 a.m. -05:00",
    ],
)
def test_one_time_in_the_spellings_of_phones(text: str) -> None:
    assert parse_written(text) == WrittenTime(AT, WEST, True)


@pytest.mark.parametrize(
    ("text", "hour"), [("12:05 AM", 0), ("12:05 PM", 12), ("1:05 pm", 13)]
)
def test_twelve_is_the_first_hour_of_each_half_of_the_day(text: str, hour: int) -> None:
    written = parse_written(f"2026-11-22 {text}")

    assert written == WrittenTime(AT.replace(hour=hour))


def test_z_and_minus_zero_do_not_tell_what_the_clock_of_the_wearer_showed() -> None:
    for text in ("2026-11-22T08:05:00Z", "2026-11-22 08:05:00 -0000"):
        assert parse_written(text) == WrittenTime(AT, timedelta(0), False)


def test_plus_zero_does() -> None:
    assert parse_written("2026-11-22 08:05:00 +0000") == WrittenTime(
        AT, timedelta(0), True
    )


def test_a_date_alone_is_a_day() -> None:
    assert parse_written("2026-11-22") == WrittenTime(datetime(2026, 11, 22), day=True)


def test_what_is_finer_than_a_microsecond_is_cut() -> None:
    written = parse_written("2026-11-22T08:05:00.123456789Z")

    assert written and written.at.microsecond == 123456


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-02-30",
        "2026-11-22 24:00:00",
        "2026-11-22 13:05:00 PM",
        "2026-11-22 0:05 AM",
        "2026-11-22T08:05:00+19:00",
        "2026-11-22T08:05:00-05:75",
        "22/11/2026 08:05:00",
        "2026-11-22T08:05:00Z" + " " * 60,
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert parse_written(text) is None
