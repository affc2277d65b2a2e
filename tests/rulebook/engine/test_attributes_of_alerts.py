"""What card text shows of an alert of a wearable."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from cds_service.wearables.worn import Wearables

from .shown import FACTS, show


def test_an_alert_shows_what_it_brought(rules: Any, chart: Any, wearable: Any) -> None:
    alert = wearable(
        hours=2, value=38.0, unit="/min", threshold=40.0, coverage=0.925, device="Watch"
    )

    shown = show(
        rules, chart(), "low.value", "low.threshold", "low.coverage", "low.device",
        "low.duration", "low.age", "low.local_time", "low.latest_date", "low.type",
        "low.name", alerts=[alert],
    )  # fmt: skip

    assert shown == [
        "38 /min",
        "40 /min",
        "92.5 %",
        "Watch",
        "15 min",
        "2 h",
        "2026-11-22 04:45 (wearer's time)",
        "2026-11-22",
        "low-heart-rate",
        "Low heart rate",
    ]


def test_an_alert_in_utc_alone_shows_the_sites_time_and_says_so(
    rules: Any, chart: Any, wearable: Any
) -> None:
    start = datetime.fromisoformat("2026-11-22T03:10:00+00:00")
    alert = wearable(hours=1, start=start, local=False)

    shown = show(rules, chart(), "low.local_time", "low.latest_date", alerts=[alert])

    assert shown == [
        "2026-11-21 22:10 (site's time; wearer's local time not known)",
        "2026-11-21",
    ]


@pytest.mark.parametrize(
    ("stat", "said"),
    [("min", "down to 44 /min"), ("max", "up to 44 /min"), ("median", "44 /min")],
)
def test_a_value_that_was_reached_once_is_not_told_as_if_it_had_lasted(
    rules: Any, chart: Any, wearable: Any, stat: str, said: str
) -> None:
    alert = wearable(value=44.0, stat=stat, unit="/min")

    assert show(rules, chart(), "low.value", "low.min", alerts=[alert]) == [
        said,
        "44 /min",
    ]


def test_an_episode_soon_after_another_says_which_of_the_row_it_is(
    rules: Any, chart: Any, wearable: Any
) -> None:
    episode = wearable(origin="detector")
    alone = Wearables((episode,))
    rows = [Wearables((episode,), places={episode.id: n}) for n in (1, 2, 3)]

    said = [show(rules, chart(), "low.recurrence", worn=each) for each in rows]

    assert said == [[None], ["2"], ["3"]]
    assert show(rules, chart(), "low.recurrence", worn=alone) == [None]


def test_an_alert_shows_nothing_that_it_did_not_bring(
    rules: Any, chart: Any, wearable: Any
) -> None:
    names = ("value", "threshold", "coverage", "device", "unit", "min", "max")

    shown = show(rules, chart(), *(f"low.{n}" for n in names), alerts=[wearable()])

    assert shown == [None] * 7


def test_an_age_is_told_more_roughly_than_a_duration(
    rules: Any, chart: Any, wearable: Any
) -> None:
    end = rules.now - timedelta(hours=1.6)
    alert = wearable(start=end - timedelta(hours=1.6), end=end)

    assert show(rules, chart(), "low.duration", "low.age", alerts=[alert]) == [
        "1.6 h",
        "2 h",
    ]


def test_of_several_alerts_the_least_and_the_greatest_are_shown(
    rules: Any, chart: Any, wearable: Any
) -> None:
    alerts = [
        wearable(hours=hours, value=value, unit="/min")
        for hours, value in ((1, 42.0), (2, 38.0), (3, 45.0))
    ]

    assert show(rules, chart(), "low.value", "low.min", "low.max", alerts=alerts) == [
        "42 /min",
        "38 /min",
        "45 /min",
    ]


def test_an_alert_that_has_just_ended_is_of_no_age(
    rules: Any, chart: Any, wearable: Any
) -> None:
    ended, begun = wearable(hours=0), wearable(hours=0, start=rules.now)

    assert show(rules, chart(), "low.age", alerts=[ended]) == ["0 min"]
    assert show(rules, chart(), "low.duration", alerts=[begun]) == ["0 s"]


def test_an_episode_that_lasts_is_as_old_as_its_last_reading(
    rules: Any, chart: Any, wearable: Any
) -> None:
    start, last = (rules.now - timedelta(minutes=each) for each in (70, 12))
    lasting = wearable(start=start, end=None, last=last, detector="low")

    assert show(rules, chart(), "low.duration", "low.age", alerts=[lasting]) == [
        "58 min",
        "12 min",
    ]


def test_text_counts_the_alerts_that_the_rule_counts(
    rules: Any, chart: Any, wearable: Any
) -> None:
    alerts = [wearable(hours=hours) for hours in (1, 3, 5)]
    when = "low: {count: {at_least: 2}, age: {below: 4 hours}}"

    (found,) = rules.evaluate(FACTS, when, chart(), alerts).items

    assert found.text("low", "count").text == "2"


def test_text_is_about_the_newest_alert_that_passes(
    rules: Any, chart: Any, wearable: Any
) -> None:
    alerts = [
        wearable(hours=hours, value=value, unit="/min")
        for hours, value in ((1, 48.0), (3, 38.0), (5, 36.0), (2, 50.0))
    ]
    when = "low: {value: {below: 45}, age: {below: 6 hours}}"

    (found,) = rules.evaluate(FACTS, when, chart(), alerts).items

    assert found.text("low", "value").text == "38 /min"


def test_an_alert_whose_clock_is_known_is_told_on_that_clock(
    rules: Any, chart: Any, wearable: Any
) -> None:
    start = datetime.fromisoformat("2026-11-22T03:10:00+09:00")
    alert = wearable(hours=1, start=start)

    assert show(
        rules, chart(), "low.local_time", "low.latest_date", alerts=[alert]
    ) == [
        "2026-11-22 03:10 (wearer's time)",
        "2026-11-22",
    ]
