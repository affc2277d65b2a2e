from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cds_service.rulebook.testing.notation import (
    ExampleError,
    SeriesValue,
    length_of,
    moment,
    parse_series,
)

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("104 106 109", [104, 106, 109]),
        ("100x5", [100, 100, 100, 100, 100]),
        ("100+2x3", [100, 102, 104]),
        ("100-2.5x3", [100, 97.5, 95]),
        ("-1x2", [-1, -1]),
        ("98.6", [98.6]),
        ("", []),
    ],
)
def test_a_series_is_written_on_one_line(text: str, values: list[float]) -> None:
    assert parse_series(text) == [SeriesValue(value) for value in values]


def test_a_missing_value_keeps_its_place() -> None:
    assert parse_series("1 _ 3 _x2") == [
        SeriesValue(1),
        None,
        SeriesValue(3),
        None,
        None,
    ]


def test_a_bound_is_no_exact_value() -> None:
    assert parse_series(">60 <=3") == [SeriesValue(60, ">"), SeriesValue(3, "<=")]


@pytest.mark.parametrize("text", ["abc", "100x", "100 x5", "1.2.3", "=5", "100+x3"])
def test_what_is_no_series_is_refused(text: str) -> None:
    with pytest.raises(ExampleError, match="is not a series"):
        parse_series(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-11-22T07:00:00-05:00"),
        ("6 hours ago", "2026-11-22T01:00:00-05:00"),
        ("1 month ago", "2026-10-22T07:00:00-04:00"),
        ("2026-11-20", "2026-11-20T00:00:00-05:00"),
        ("2026-11-20T09:00:00+01:00", "2026-11-20T09:00:00+01:00"),
    ],
)
def test_a_time_counts_from_now_in_the_site_s_zone(text: str, expected: str) -> None:
    assert moment(text, NOW, NEW_YORK).isoformat() == expected


@pytest.mark.parametrize("text", ["6 hours", "yesterday", "x ago", "", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ExampleError, match="is not a time"):
        moment(text, NOW, NEW_YORK)


def test_a_length_is_a_number_and_a_unit() -> None:
    assert length_of("20 minutes") == timedelta(minutes=20)
    with pytest.raises(ExampleError, match="is not a duration"):
        length_of("20")
