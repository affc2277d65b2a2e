"""Streams that have been silent, and days on which a detector could not judge."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from cds_service.fhir.moments import Moment
from cds_service.rulebook.engine.evaluate import Outcome
from cds_service.rulebook.engine.rows.readings import Row
from cds_service.rulebook.values.truth import ReasonKind
from cds_service.wearables.detection.episodes import DayTally, NotJudged
from cds_service.wearables.worn import AgreedStream, Wearables

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SILENT = "it: {stream: {metric: heart-rate, silent_for: 3 days}}"
UNJUDGED = "it: {stream: {detector: fast, not_judged: [rest-unknown], within: 3 days}}"


def stream(
    heard: float | None, source: str = "garmin", agreed: float = 30, **more: Any
) -> AgreedStream:
    """A stream of heart rate, with days since it was heard and agreed."""
    return AgreedStream(
        **{
            "metric": "heart-rate",
            "source": source,
            "since": NOW - timedelta(days=agreed),
            "newest": None if heard is None else NOW - timedelta(days=heard),
            **more,
        }
    )


def tally(
    ago: int, reason: NotJudged = NotJudged.REST_UNKNOWN, **more: Any
) -> DayTally:
    told = {"detector": "fast", "source": "garmin", "judged": 0} | more
    day = (NOW - timedelta(days=ago)).date()
    return DayTally(day=day, not_judged={reason: 5}, **told)


@pytest.mark.parametrize(
    ("streams", "silent"),
    [
        ([stream(3.1)], True),
        ([stream(2.9)], False),
        ([stream(3)], True),
        ([], False),
        ([stream(None)], True),
        ([stream(None, agreed=2)], False),
        ([stream(5), stream(1, "fitbit")], False),
        ([stream(5), stream(4, "fitbit")], True),
        ([stream(5, metric="steps")], False),
    ],
    ids=[
        "longer ago than it may be",
        "not so long ago",
        "just as long ago as it may be",
        "nothing was agreed",
        "it never told anything",
        "it was agreed lately",
        "another source tells",
        "no source tells",
        "another metric is silent",
    ],
)
def test_what_was_agreed_is_silent_where_no_source_tells(
    rules: Any, chart: Any, streams: list[AgreedStream], silent: bool
) -> None:
    told = Wearables(streams=tuple(streams))

    found = rules.evaluate(SILENT, "it: present", chart(), worn=told).items

    assert (bool(found) and found[0].outcome is Outcome.FIRES) is silent


@pytest.mark.parametrize(
    ("streams", "shown"),
    [
        ([stream(5), stream(4, "fitbit")], "2026-11-18"),
        ([stream(None), stream(4, "fitbit")], "2026-11-18"),
        ([stream(None)], None),
    ],
)
def test_of_what_never_told_anything_there_is_no_day_on_which_it_was_heard(
    rules: Any, chart: Any, streams: list[AgreedStream], shown: str | None
) -> None:
    told = Wearables(streams=tuple(streams))

    (found,) = rules.evaluate(SILENT, "it: present", chart(), worn=told).items

    text = found.text("it", "heard_date")
    assert (text.text if text else None) == shown


@pytest.mark.parametrize(
    ("tallies", "fires"),
    [
        ([tally(0)], True),
        ([tally(2)], True),
        ([tally(3)], False),
        ([tally(0, NotJudged.LOW_COVERAGE)], False),
        ([tally(0, detector="slow")], False),
    ],
)
def test_a_detector_that_could_not_judge_is_heard_of(
    rules: Any, chart: Any, tallies: list[DayTally], fires: bool
) -> None:
    told = Wearables(tallies=tuple(tallies))

    found = rules.evaluate(UNJUDGED, "it: present", chart(), worn=told).items

    assert (bool(found) and found[0].outcome is Outcome.FIRES) is fires


def test_two_sources_of_one_day_are_one_day(rules: Any, chart: Any) -> None:
    told = Wearables(tallies=(tally(1), tally(1, source="fitbit"), tally(2)))
    when = "all: [it: {count: {at_least: 2}}, it: {count: {at_most: 2}}]"

    (item,) = rules.evaluate(UNJUDGED, when, chart(), worn=told).items

    assert item.outcome is Outcome.FIRES


@pytest.mark.parametrize("unread", [{"streams": None}, {"tallies": None}])
@pytest.mark.parametrize("fact", [SILENT, UNJUDGED])
def test_streams_that_were_not_read_are_not_silent(
    rules: Any, chart: Any, fact: str, unread: dict[str, None]
) -> None:
    (item,) = rules.evaluate(
        fact, "it: present", chart(), worn=Wearables(**unread)
    ).items

    assert item.outcome is Outcome.UNKNOWN
    assert [each.kind for each in item.reasons] == [ReasonKind.NOT_READ]


def test_of_joined_streams_those_are_named_that_are_silent(
    rules: Any, chart: Any
) -> None:
    silent = "{stream: {metric: %s, silent_for: 3 days}}"
    facts = "\n".join(
        (
            f"hr: {silent % 'heart-rate'}",
            f"walked: {silent % 'steps'}",
            f"weighed: {silent % 'body-weight'}",
            "it: {any_of: [hr, walked, weighed]}",
        )
    )
    told = (stream(4), stream(1, metric="steps"), stream(5, metric="body-weight"))

    when = "it: {count: {at_least: 2}}"
    worn = Wearables(streams=told)
    (item,) = rules.evaluate(facts, when, chart(), worn=worn).items

    text = item.text("it", "name")
    assert text and text.text == "Heart rate, Body weight"


@pytest.mark.parametrize(
    ("fact", "told", "attribute", "shown"),
    [
        (SILENT, {"streams": (stream(4, device="Watch"),)}, "age", "4 d"),
        (SILENT, {"streams": (stream(4, device="Watch"),)}, "device", "Watch"),
        (SILENT, {"streams": (stream(4),)}, "device", None),
        (SILENT, {"streams": (stream(4),)}, "source", "garmin"),
        (SILENT, {"streams": (stream(4),)}, "name", "Heart rate"),
        (SILENT, {"streams": (stream(4),)}, "latest_date", "2026-11-18"),
        (SILENT, {"streams": (stream(4.3),)}, "latest_date", "2026-11-17"),
        (SILENT, {"streams": (stream(4.3),)}, "heard_date", "2026-11-17"),
        (SILENT, {"streams": (stream(4, ""),)}, "source", None),
        (SILENT, {"streams": (stream(4), stream(5, "fitbit"))}, "count", "2"),
        (UNJUDGED, {"tallies": (tally(1),)}, "reason", "rest unknown"),
        (UNJUDGED, {"tallies": (tally(1),)}, "age", "24 h"),
        (UNJUDGED, {"tallies": (tally(1),)}, "latest_date", "2026-11-21"),
        (UNJUDGED, {"tallies": (tally(1), tally(2))}, "count", "2"),
        (UNJUDGED, {"tallies": (tally(1),)}, "device", None),
    ],
)
def test_text_says_since_when_and_why(
    rules: Any,
    chart: Any,
    fact: str,
    told: dict[str, Any],
    attribute: str,
    shown: str | None,
) -> None:
    (item,) = rules.evaluate(fact, "it: present", chart(), worn=Wearables(**told)).items

    text = item.text("it", attribute)

    assert (text.text if text else None) == shown


@pytest.mark.parametrize(
    ("fact", "attribute", "trusted"),
    [
        (SILENT, "age", True),
        (SILENT, "latest_date", True),
        (SILENT, "heard_date", True),
        (SILENT, "count", True),
        (SILENT, "device", False),
        (SILENT, "source", False),
        (UNJUDGED, "age", True),
        (UNJUDGED, "reason", True),
    ],
)
def test_only_names_of_sources_and_devices_are_words_of_a_record(
    rules: Any, chart: Any, fact: str, attribute: str, trusted: bool
) -> None:
    told = Wearables(streams=(stream(4, device="Watch"),), tallies=(tally(1),))

    (item,) = rules.evaluate(fact, "it: present", chart(), worn=told).items

    assert item.text("it", attribute).trusted is trusted


def test_how_long_ago_a_day_was_does_not_depend_on_the_hour(
    rules: Any, chart: Any
) -> None:
    rules.now = NOW + timedelta(hours=6)
    told = Wearables(tallies=(tally(1),))

    (item,) = rules.evaluate(UNJUDGED, "it: present", chart(), worn=told).items

    assert item.text("it", "age").text == "24 h"


def test_a_month_of_silence_is_one_of_the_hospital_s_calendar(
    rules: Any, chart: Any
) -> None:
    # New York went back to winter time on the way.
    fact = "it: {stream: {metric: heart-rate, silent_for: 1 months}}"
    heard = datetime(2026, 10, 22, 11, 30, tzinfo=UTC)
    told = Wearables(streams=(stream(None, newest=heard),))

    found = rules.evaluate(fact, "it: present", chart(), worn=told).items

    assert [each for each in found if each.outcome is Outcome.FIRES] == []


def test_any_reason_for_which_days_were_not_judged_may_be_asked(
    rules: Any, chart: Any
) -> None:
    fact = "it: {stream: {detector: fast, within: 3 days}}"
    told = Wearables(tallies=(tally(1, NotJudged.LOW_COVERAGE),))

    (item,) = rules.evaluate(fact, "it: present", chart(), worn=told).items

    assert item.outcome is Outcome.FIRES


def rows_of(rules: Any, chart: Any, fact: str, told: Wearables) -> list[Row]:
    found = rules.evaluate(fact, "it: present", chart(), worn=told)
    (item,) = found.items
    rows: list[Row] = found.case.found(item.rule.facts["it"]).rows
    return rows


def test_a_silent_stream_is_of_when_it_was_last_heard(rules: Any, chart: Any) -> None:
    silent = stream(4, device="Watch")
    at = NOW - timedelta(days=4)

    (row,) = rows_of(rules, chart, SILENT, Wearables(streams=(silent,)))

    assert row == Row(
        "WearableStream/garmin/heart-rate",
        name="heart-rate",
        moment=Moment(at, at),
        dated=True,
        worn=silent,
    )
    assert row.moment.low.tzinfo is UTC


def test_a_day_that_was_not_judged_tells_of_all_its_sources(
    rules: Any, chart: Any
) -> None:
    told = (tally(1, judged=2, opened=1), tally(1, source="fitbit", judged=3))
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)

    (row,) = rows_of(rules, chart, UNJUDGED, Wearables(tallies=told))

    assert row == Row(
        "WearableTally/fast/2026-11-21",
        name="fast",
        moment=Moment(noon, noon),
        dated=True,
        worn=DayTally(
            "fast",
            date(2026, 11, 21),
            "fitbit, garmin",
            judged=5,
            not_judged={NotJudged.REST_UNKNOWN: 10},
            opened=1,
        ),
    )
