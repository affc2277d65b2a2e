"""Which time a page shows is what was asked, on the wearer's calendar."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.store.detection.timeline import Heard
from cds_service.wearables.metrics import Catalogue, Derivation, Metric
from cds_service.web.pages.plots.axes import Timespan
from cds_service.web.pages.timeline.asking import (
    LONGEST,
    SHORTEST,
    TimelineQuery,
    Way,
    choose_subject,
    choose_timespan,
    length_ways,
    metric_ways,
    other_ways,
    read_query,
    way_to,
)

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 22, 19, 30, tzinfo=UTC)
HEART = Metric(
    "heart-rate", "Heart rate", "/min", 25, 250, speaks_for=timedelta(minutes=3)
)
RESTING = Metric(
    *("resting-heart-rate", "Resting heart rate", "/min", 25, 200),
    shown_with="heart-rate",
)
STEPS = Metric("steps", "Steps", "{steps}", 0, 250_000, cumulative=True)
SLEEP = Metric(
    "time-asleep", "Time asleep", "min", 0, 1500, cumulative=True, sleep=True
)
GLUCOSE = Metric("sensor-glucose", "Glucose", "mg/dL", 39, 600)
GMI = Metric(
    *("gmi", "Glucose management indicator", "%", 3, 20),
    derived=Derivation("sensor-glucose", "mean", 0.02, 3.3),
)
CATALOGUE = Catalogue(
    {each.name: each for each in (HEART, RESTING, STEPS, SLEEP, GLUCOSE, GMI)}
)


def chosen(start: str = "", end: str = "", *, whole_days: bool = False) -> str:
    query = TimelineQuery("", start, end)
    timespan, as_asked = choose_timespan(query, NEW_YORK, NOW, whole_days=whole_days)
    return told(timespan) + ("" if as_asked else " instead")


def told(timespan: Timespan) -> str:
    start, end = (timespan.clock(each) for each in timespan.span)
    return f"{start:%d %b %H:%M} {end:%d %b %H:%M}"


def span(start: str, end: str) -> Timespan:
    query = TimelineQuery("", start, end)
    return choose_timespan(query, NEW_YORK, NOW, whole_days=False)[0]


LAST_WEEK = "16 Nov 00:00 23 Nov 00:00"


def test_a_request_says_what_it_asks_for_or_nothing() -> None:
    assert read_query({"metric": "steps", "from": "a", "to": "b"}) == TimelineQuery(
        "steps", "a", "b"
    )
    assert read_query({}) == TimelineQuery()


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("", "", LAST_WEEK),
        ("2026-11-20", "2026-11-21", "20 Nov 00:00 21 Nov 00:00"),
        ("2026-11-20T14:00Z", "2026-11-20T16:30:00Z", "20 Nov 09:00 20 Nov 11:30"),
        ("2026-11-20T09:00", "2026-11-20T11:30", "20 Nov 09:00 20 Nov 11:30"),
        ("2026-11-20T14:00:00.4Z", "2026-11-20T15:00Z", "20 Nov 09:00 20 Nov 10:00"),
        ("2026-11-20T14:00+01:00", "2026-11-20T15:00Z", "20 Nov 08:00 20 Nov 10:00"),
        # What cannot be read is not quietly taken for something.
        ("2026-11-20", "", f"{LAST_WEEK} instead"),
        ("2026-11-21", "2026-11-20", f"{LAST_WEEK} instead"),
        ("yesterday", "2026-11-20", f"{LAST_WEEK} instead"),
        ("0001-01-01", "9999-12-31", f"{LAST_WEEK} instead"),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", f"{LAST_WEEK} instead"),
        ("2026-11-20", "2" * 5000, f"{LAST_WEEK} instead"),
        ("2026-13-40", "2026-11-20", f"{LAST_WEEK} instead"),
    ],
)
def test_the_time_is_what_was_asked(start: str, end: str, expected: str) -> None:
    assert chosen(start, end) == expected


def test_sums_of_days_are_shown_of_whole_days() -> None:
    assert (
        chosen("2026-11-20T14:00Z", "2026-11-21T15:00Z", whole_days=True)
        == "20 Nov 00:00 22 Nov 00:00"
    )


def test_a_time_has_a_shortest_and_a_longest_length() -> None:
    moment = span("2026-11-20T14:00:00Z", "2026-11-20T14:00:01Z")
    age = span("1990-01-01", "2026-11-21")

    assert told(moment) == "20 Nov 08:50 20 Nov 09:00"
    assert timedelta(microseconds=moment.end_us - moment.start_us) == SHORTEST
    assert timedelta(microseconds=age.end_us - age.start_us) == LONGEST
    assert told(age).endswith("21 Nov 00:00")


@given(st.text(max_size=50), st.text(max_size=50))
def test_whatever_is_asked_some_time_is_shown(start: str, end: str) -> None:
    timespan, _ = choose_timespan(
        TimelineQuery("", start, end), NEW_YORK, NOW, whole_days=False
    )

    assert timespan.start_us < timespan.end_us


@pytest.mark.parametrize(
    ("asked", "heard", "shown"),
    [
        ("steps", {"heart-rate": 1}, "steps"),
        ("", {"steps": 1, "sensor-glucose": 1}, "steps"),
        ("no-such", {"sensor-glucose": 1}, "sensor-glucose"),
        ("", {}, "heart-rate"),
    ],
)
def test_the_metric_is_what_was_asked_or_the_first_that_was_told(
    asked: str, heard: dict[str, int], shown: str
) -> None:
    query = TimelineQuery(asked)

    subject = choose_subject(query, CATALOGUE, (), Heard(UTC, "UTC", heard), NOW)

    assert subject.metric.name == shown


@pytest.mark.parametrize(
    ("metric", "start", "end", "read"),
    [
        ("heart-rate", "2026-11-16", "2026-11-23", ("day", False)),
        ("heart-rate", "2026-10-23", "2026-11-24", ("day", False)),
        ("heart-rate", "2026-10-22", "2026-11-24", ("day", True)),
        ("steps", "2026-11-22", "2026-11-23", ("day", True)),
        ("time-asleep", "2026-11-22", "2026-11-23", ("night", True)),
        ("gmi", "2026-11-22", "2026-11-23", ("day", True)),
    ],
)
def test_what_is_long_or_a_sum_is_read_day_by_day(
    metric: str, start: str, end: str, read: tuple[str, bool]
) -> None:
    query = TimelineQuery(metric, start, end)

    asked = choose_subject(query, CATALOGUE, (), Heard(UTC, "UTC"), NOW).asked()

    assert (asked.part, asked.is_of_days) == read


def test_resting_heart_rate_is_read_beside_heart_rate() -> None:
    subject = choose_subject(
        TimelineQuery("heart-rate"), CATALOGUE, (), Heard(UTC, "UTC"), NOW
    )

    assert subject.asked().metrics == ("heart-rate", "resting-heart-rate")


def test_links_lead_to_each_metric_of_which_anything_came() -> None:
    week = span("2026-11-16", "2026-11-23")
    heard = {"heart-rate": 1, "sensor-glucose": 1}

    ways = list(metric_ways(CATALOGUE, heard, HEART, week))

    times = "from=2026-11-16&to=2026-11-23"
    assert ways == [
        Way("Heart rate", f"metric=heart-rate&{times}", True),
        Way("Glucose", f"metric=sensor-glucose&{times}", False),
        Way("Glucose management indicator", f"metric=gmi&{times}", False),
    ]


def test_links_lead_to_usual_lengths_that_end_with_this_time() -> None:
    ways = list(length_ways(HEART, span("2026-11-16", "2026-11-21"), NOW))

    assert [(each.label, each.query[18:]) for each in ways] == [
        ("Day", "from=2026-11-20&to=2026-11-21"),
        ("Week", "from=2026-11-14&to=2026-11-21"),
        ("Month", "from=2026-10-22&to=2026-11-21"),
        ("Year", "from=2025-11-21&to=2026-11-21"),
    ]


def test_of_a_time_that_is_not_over_the_lengths_end_today() -> None:
    ways = list(length_ways(HEART, span("2026-11-22", "2026-12-24"), NOW))

    assert ways[0].query.endswith("from=2026-11-22&to=2026-11-23")


def test_earlier_and_later_are_as_many_days_whatever_clocks_do() -> None:
    week = span("2026-10-26", "2026-11-02")

    earlier, later = other_ways(HEART, week, NOW)

    assert earlier.query.endswith("from=2026-10-19&to=2026-10-26")
    assert later.query.endswith("from=2026-11-02&to=2026-11-09")


def test_of_part_of_a_day_earlier_is_as_much_before_it() -> None:
    earlier, _ = other_ways(HEART, span("2026-11-20T14:00Z", "2026-11-20T16:00Z"), NOW)

    assert earlier.query.endswith(
        "from=2026-11-20T12%3A00%3A00Z&to=2026-11-20T14%3A00%3A00Z"
    )


def test_there_is_nothing_later_than_now() -> None:
    ways = other_ways(HEART, span("2026-11-16", "2026-11-23"), NOW)

    assert [each.label for each in ways] == ["Earlier"]


def test_a_link_leads_to_the_week_of_a_reading() -> None:
    at = span("2026-10-03T22:00", "2026-10-03T23:00").start_us

    way = way_to(HEART, at, NEW_YORK, "There")

    assert way.query == "metric=heart-rate&from=2026-09-27&to=2026-10-04"
