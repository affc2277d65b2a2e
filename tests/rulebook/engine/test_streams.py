"""Streams that have been silent, and days on which a detector could not judge."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.rulebook.engine.evaluate import Outcome
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
        (SILENT, {"streams": (stream(4), stream(5, "fitbit"))}, "count", "2"),
        (UNJUDGED, {"tallies": (tally(1),)}, "reason", "rest unknown"),
        (UNJUDGED, {"tallies": (tally(1),)}, "age", "24 h"),
        (UNJUDGED, {"tallies": (tally(1),)}, "latest_date", "2026-11-21"),
        (UNJUDGED, {"tallies": (tally(1), tally(2))}, "count", "2"),
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
