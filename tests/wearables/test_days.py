"""Civil days and nights are those of the wearer's zone, however long they are there."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from cds_service.wearables.days import (
    Calendar,
    beside,
    clipped,
    each_day,
    length,
    moment,
    united,
)
from cds_service.wearables.metrics import Night
from cds_service.wearables.samples import microseconds

NEW_YORK, VIENNA = ZoneInfo("America/New_York"), ZoneInfo("Europe/Vienna")
MINUTE = 60_000_000
NIGHT = Night(time(22), time(8), time(18))
LATE = Night(time(0), time(6), time(18))
THERE = Calendar(NEW_YORK, "America/New_York", NIGHT)


def at(written: str) -> int:
    """Microseconds of a time in New York."""
    return microseconds(datetime.fromisoformat(written).replace(tzinfo=NEW_YORK))


def there(span: tuple[int, int]) -> tuple[str, str]:
    begin, end = (moment(each).astimezone(NEW_YORK) for each in span)
    return f"{begin:%d %H:%M}", f"{end:%d %H:%M}"


@pytest.mark.parametrize(
    ("day", "minutes"),
    [
        (date(2026, 11, 1), 1500),
        (date(2026, 3, 8), 1380),
        (date(2026, 11, 2), 1440),
        (date(2026, 3, 7), 1440),
    ],
)
def test_a_day_is_as_long_as_the_clock_makes_it(day: date, minutes: int) -> None:
    assert length([THERE.day(day)]) == minutes * MINUTE


def test_a_day_begins_at_the_wearer_s_midnight() -> None:
    begin, end = THERE.day(date(2026, 11, 22))

    assert moment(begin) == datetime(2026, 11, 22, 5, tzinfo=UTC)
    assert moment(end) == datetime(2026, 11, 23, 5, tzinfo=UTC)
    assert THERE.day_at(begin) == THERE.day_at(end - 1) == date(2026, 11, 22)
    assert THERE.day_at(begin - 1) == date(2026, 11, 21)
    assert THERE.day_at(end) == date(2026, 11, 23)


@pytest.mark.parametrize(
    ("night", "clock", "sleep"),
    [
        (NIGHT, ("21 22:00", "22 08:00"), ("21 18:00", "22 18:00")),
        (LATE, ("22 00:00", "22 06:00"), ("21 18:00", "22 18:00")),
        (
            Night(time(22), time(8), time(22)),
            ("21 22:00", "22 08:00"),
            ("21 22:00", "22 22:00"),
        ),
        (
            Night(time(0), time(6), time(0)),
            ("22 00:00", "22 06:00"),
            ("22 00:00", "23 00:00"),
        ),
        (
            Night(time(9), time(17), time(9)),
            ("22 09:00", "22 17:00"),
            ("22 09:00", "23 09:00"),
        ),
    ],
)
def test_a_night_is_of_the_day_on_which_it_ends(
    night: Night, clock: tuple[str, str], sleep: tuple[str, str]
) -> None:
    calendar = Calendar(NEW_YORK, "America/New_York", night)

    assert there(calendar.night_before(date(2026, 11, 22))) == clock
    assert there(calendar.sleep_before(date(2026, 11, 22))) == sleep


@pytest.mark.parametrize(
    ("slept", "day"),
    [
        ("2026-11-21T17:59", date(2026, 11, 21)),
        ("2026-11-21T18:00", date(2026, 11, 22)),
        ("2026-11-21T23:30", date(2026, 11, 22)),
        ("2026-11-22T17:59", date(2026, 11, 22)),
    ],
)
def test_sleep_from_the_evening_on_is_of_the_next_day(slept: str, day: date) -> None:
    assert THERE.night_at(at(slept)) == day


def test_where_the_night_begins_at_noon_morning_sleep_is_of_the_day_before() -> None:
    calendar = Calendar(NEW_YORK, "America/New_York", Night(time(9), time(17), time(9)))

    assert calendar.night_at(at("2026-11-22T08:59")) == date(2026, 11, 21)
    assert calendar.night_at(at("2026-11-22T09:00")) == date(2026, 11, 22)


def test_a_night_in_which_the_clocks_are_put_back_is_longer() -> None:
    assert length([THERE.night_before(date(2026, 11, 1))]) == 660 * MINUTE
    assert length([THERE.night_before(date(2026, 3, 8))]) == 540 * MINUTE


def test_without_a_night_there_is_none_to_ask_for() -> None:
    with pytest.raises(ValueError, match="no nights"):
        Calendar(VIENNA, "Europe/Vienna").night_before(date(2026, 11, 22))


@pytest.mark.parametrize(
    ("begin", "end", "first", "last"),
    [
        ("2026-11-21T12:00", "2026-11-21T13:00", 21, 21),
        ("2026-11-21T12:00", "2026-11-21T17:59", 21, 21),
        ("2026-11-21T12:00", "2026-11-21T18:00", 21, 22),
        ("2026-11-21T23:00", "2026-11-21T23:00", 21, 22),
        ("2026-11-22T00:00", "2026-11-22T00:00", 22, 22),
    ],
)
def test_what_is_measured_in_the_evening_changes_the_night_as_well(
    begin: str, end: str, first: int, last: int
) -> None:
    assert THERE.days(at(begin), at(end)) == (
        date(2026, 11, first),
        date(2026, 11, last),
    )


def test_without_nights_what_is_measured_changes_its_own_day() -> None:
    calendar = Calendar(NEW_YORK, "America/New_York")

    assert calendar.days(at("2026-11-21T23:00"), at("2026-11-21T23:00")) == (
        date(2026, 11, 21),
        date(2026, 11, 21),
    )


def test_days_are_from_the_first_to_the_last() -> None:
    found = list(each_day(date(2026, 2, 27), date(2026, 3, 1)))

    assert found == [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)]


def test_stretches_that_meet_are_one() -> None:
    assert united([(5, 9), (0, 2), (2, 4), (6, 7), (8, 12), (20, 20)]) == [
        (0, 4),
        (5, 12),
    ]


def test_of_stretches_only_what_lies_within_counts() -> None:
    assert list(clipped([(0, 4), (5, 6), (8, 12), (12, 14)], (2, 10))) == [
        (2, 4),
        (5, 6),
        (8, 10),
    ]


@pytest.mark.parametrize(
    ("span", "free"),
    [
        ((0, 20), [(0, 2), (4, 6), (8, 20)]),
        ((2, 4), []),
        ((3, 7), [(4, 6)]),
        ((4, 6), [(4, 6)]),
        ((0, 3), [(0, 2)]),
        ((9, 10), [(9, 10)]),
    ],
)
def test_what_lies_beside_is_what_nobody_has_told(
    span: tuple[int, int], free: list[tuple[int, int]]
) -> None:
    assert list(beside(span, [(2, 4), (6, 8)])) == free
