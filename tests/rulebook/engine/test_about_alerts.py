"""Tests of wearable alerts: which one is meant, what it says, what nobody knows."""

from dataclasses import replace
from datetime import datetime, timedelta
from textwrap import dedent
from typing import Any

import pytest

from cds_service.fhir.chart import Source
from cds_service.rulebook.engine.evaluate import evaluate
from cds_service.wearables.worn import Wearables

from .facts import DIABETES, NOW, PARTIAL, SNOMED_ONLY

LOW = "low: {wearable_alert: {type: [low-heart-rate], within: 7 days}}"


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("present", True),
        ("{value: {below: 45}}", True),
        ("{value: {below: 38}}", False),
        ("{min: {below: 40}}", True),
        ("{max: {at_least: 42}}", True),
        ("{duration: {at_least: 15 minutes}}", True),
        ("{duration: {above: 15 minutes}}", False),
        ("{age: {at_most: 2 hours}}", True),
        ("{age: {at_most: 50 minutes}}", False),
        ("{local_time: {between: [09:00, 22:00]}}", True),
        ("{local_time: {between: ['22:00', '01:30']}}", True),
        ("{local_time: {between: ['22:00', '00:30']}}", False),
        ("{count: {at_least: 2}}", True),
        ("{value: {below: 40}, local_time: {between: [09:00, 22:00]}}", False),
        ("{value: {below: 45}, local_time: {between: [09:00, 22:00]}}", True),
        ("{value: {below: 45}, count: {at_least: 3}}", False),
    ],
)
def test_all_that_is_asked_holds_of_one_and_the_same_alert(
    rules: Any, chart: Any, wearable: Any, test: str, expected: bool
) -> None:
    local = datetime.fromisoformat("2026-11-22T11:45:00+01:00")
    by_day = wearable(
        hours=1,
        start=local,
        end=local.replace(hour=12, minute=0),
        value=42.0,
        unit="/min",
    )
    by_night = wearable(hours=6, value=38.0, unit="/min")

    assert rules.verdict(LOW, f"low: {test}", chart(), [by_night, by_day]) is expected


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("{local_time: {between: [09:00, 22:00]}}", {"uncertain"}),
        ("{local_time: {between: ['22:00', '06:00']}}", {"uncertain"}),
        ("{value: {below: 45}, local_time: {at_least: 09:00}}", {"uncertain"}),
        ("{value: {below: 40}, local_time: {at_least: 09:00}}", False),
        (
            "{coverage: {at_least: 0.8}, local_time: {at_least: 09:00}}",
            {"not_recorded", "uncertain"},
        ),
        ("{count: {at_least: 1}, local_time: {at_least: 09:00}}", {"uncertain"}),
        ("{count: {at_least: 2}, local_time: {at_least: 09:00}}", False),
        ("{value: {below: 45}}", True),
        ("present", True),
    ],
)
def test_what_the_wearers_clock_showed_is_unknown_where_only_utc_was_sent(
    rules: Any, chart: Any, wearable: Any, reasons: Any, test: str, expected: Any
) -> None:
    alert = wearable(hours=1, value=42.0, unit="/min", local=False)

    verdict = rules.verdict(LOW, f"low: {test}", chart(), [alert])

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_an_alert_that_fails_a_test_leaves_nothing_open(
    rules: Any, chart: Any, wearable: Any, reasons: Any
) -> None:
    slow_at_night = (
        "low: {value: {below: 40}, local_time: {between: ['00:00', '12:00']}}"
    )
    in_utc = wearable(hours=1, value=42.0, unit="/min", local=False)
    without_value = wearable(hours=2)

    verdict = rules.verdict(LOW, slow_at_night, chart(), [in_utc, without_value])

    assert reasons(verdict) == {"not_recorded"}


@pytest.mark.parametrize(
    ("second", "until", "expected"),
    [(0, "at_most: 06:00", True), (30, "at_most: 06:00", False)]
    + [(59, "below: 06:01", True), (0, "below: 06:00", False)],
)
def test_the_clock_is_read_to_the_second(
    rules: Any, chart: Any, wearable: Any, second: int, until: str, expected: bool
) -> None:
    start = datetime.fromisoformat(f"2026-11-22T06:00:{second:02}-05:00")
    alert = wearable(start=start)

    verdict = rules.verdict(LOW, f"low: {{local_time: {{{until}}}}}", chart(), [alert])

    assert verdict is expected


def test_an_alert_whose_end_is_still_ahead_has_no_age(
    rules: Any, chart: Any, wearable: Any
) -> None:
    ahead = wearable(hours=-0.05)

    verdict = rules.verdict(LOW, "low: {age: {at_most: 0 seconds}}", chart(), [ahead])

    assert verdict is True


def test_an_alert_that_lasts_has_lasted_until_now(
    rules: Any, chart: Any, wearable: Any
) -> None:
    lasting = wearable(start=NOW - timedelta(hours=3), end=None)

    for length, expected in (("3 hours", True), ("181 minutes", False)):
        asked = f"low: {{duration: {{at_least: {length}}}}}"
        assert rules.verdict(LOW, asked, chart(), [lasting]) is expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("coverage: {at_least: 0.8}, age: {below: 2 hours}", {"not_recorded"}),
        ("coverage: {at_least: 0.8}, age: {below: 1 hour}", False),
        (
            "count: {at_least: 1}, coverage: {at_least: 0.8}, age: {below: 2 hours}",
            {"not_recorded"},
        ),
        (
            "count: {at_least: 1}, coverage: {at_least: 0.8}, age: {below: 1 hour}",
            False,
        ),
        ("count: {at_least: 1}, age: {below: 2 hours}", True),
    ],
)
def test_what_an_alert_does_not_say_is_open_only_while_it_is_as_old_as_is_asked(
    rules: Any, chart: Any, wearable: Any, reasons: Any, asked: str, expected: Any
) -> None:
    verdict = rules.verdict(LOW, f"low: {{{asked}}}", chart(), [wearable(hours=1)])

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_where_there_is_no_alert_what_it_would_say_is_not_recorded(
    rules: Any, chart: Any, reasons: Any
) -> None:
    verdict = rules.verdict(LOW, "low: {value: {below: 45}}", chart(), [])

    assert reasons(verdict) == {"not_recorded"}


def test_an_alert_whose_clock_is_known_decides_beside_one_in_utc(
    rules: Any, chart: Any, wearable: Any
) -> None:
    told, untold = wearable(hours=1), wearable(hours=2, local=False)

    by_night = "low: {local_time: {between: ['00:00', '12:00']}}"

    assert rules.verdict(LOW, by_night, chart(), [untold, told]) is True


@pytest.mark.parametrize(
    "test", ["{coverage: {at_least: 0.8}}", "{threshold: {at_most: 45}}"]
)
def test_an_alert_that_does_not_say_is_not_taken_for_a_no(
    rules: Any, chart: Any, wearable: Any, reasons: Any, test: str
) -> None:
    silent = wearable(hours=1)
    telling = wearable(hours=2, coverage=0.8, threshold=45.0, unit="/min")

    assert rules.verdict(LOW, f"low: {test}", chart(), [silent, telling]) is True
    assert reasons(rules.verdict(LOW, f"low: {test}", chart(), [silent])) == {
        "not_recorded"
    }


@pytest.mark.parametrize(
    ("test", "values", "expected"),
    [
        ("count: {at_least: 2}, value: {below: 45}", [38, 44], True),
        ("count: {at_least: 2}, value: {below: 45}", [38, 45], False),
        ("value: {below: 45}, count: {at_least: 2}", [38, 50, 60], False),
        ("count: {at_least: 2}, value: {below: 45}", [], False),
        ("count: {below: 2}, value: {below: 45}", [38, 50], True),
        ("count: {between: [2, 3]}, value: {below: 45}", [1, 2], True),
        ("count: {between: [2, 3]}, value: {below: 45}", [1, 2, 3], False),
        # An alert without a value may be one of those that are counted.
        ("count: {at_least: 2}, value: {below: 45}", [38, None], {"not_recorded"}),
        ("count: {at_least: 3}, value: {below: 45}", [38, None], False),
    ],
)
def test_count_beside_other_tests_counts_the_alerts_that_pass_them(
    rules: Any,
    chart: Any,
    wearable: Any,
    reasons: Any,
    test: str,
    values: list[float | None],
    expected: bool | set[str],
) -> None:
    alerts = [
        wearable(hours=hours, value=value, unit="/min")
        for hours, value in enumerate(values, start=1)
    ]

    verdict = rules.verdict(LOW, f"low: {{{test}}}", chart(), alerts)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_alerts_that_could_not_be_read_are_not_counted_as_none(
    rules: Any, chart: Any
) -> None:
    rules.evaluate(LOW, "low: {count: {at_least: 2}, value: {below: 45}}", chart())
    service = rules.compile().rulebook.services["review", "patient-view"]

    (found,) = evaluate(service, chart(), Wearables(alerts=None), rules.now).items

    assert [each.kind.value for each in found.reasons] == ["not_read"]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("count: {at_least: 1}", []),
        ("count: {above: 0}", []),
        ("count: {at_least: 2}, value: {below: 45}", []),
        ("count: {at_least: 0}, value: {below: 45}", ["CDS504"]),
        ("count: {below: 2}, value: {below: 45}", ["CDS504"]),
    ],
)
def test_text_may_rely_on_an_alert_only_where_one_must_be_counted(
    rules: Any, chart: Any, test: str, expected: list[str]
) -> None:
    rules.evaluate(LOW, f"low: {{{test}}}", chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("It fires", '"{{ low.age }}"')

    found = [each.code for each in rules.compile().findings if each.level == "error"]

    assert found == expected


def test_a_count_of_entries_is_asked_although_none_is_recognised(
    rules: Any, chart: Any
) -> None:
    patient = chart(conditions=[SNOMED_ONLY])

    (found,) = rules.evaluate(DIABETES, "dm: {count: {at_least: 1}}", patient).items

    assert found.could_not_check


def test_text_counts_the_alerts_that_were_counted(
    rules: Any, chart: Any, wearable: Any
) -> None:
    alerts = [
        wearable(hours=hours, value=value, unit="/min")
        for hours, value in enumerate([38.0, 44.0, 60.0], start=1)
    ]
    when = "low: {count: {at_least: 2}, value: {below: 45}}"

    (found,) = rules.evaluate(LOW, when, chart(), alerts).items

    assert found.text("low", "count").text == "2"
    assert found.text("low", "value").text == "38 /min"


def test_text_is_about_the_alert_that_was_asked_for(
    rules: Any, chart: Any, wearable: Any
) -> None:
    slow = wearable(hours=5, value=38.0, unit="/min", device="Watch by day")
    slower_than_usual = wearable(
        hours=1, value=48.0, unit="/min", device="Watch at night"
    )

    (found,) = rules.evaluate(
        LOW, "low: {value: {below: 45}}", chart(), [slow, slower_than_usual]
    ).items

    shown = {name: found.text("low", name).text for name in ("value", "device", "max")}
    assert shown == {"value": "38 /min", "device": "Watch by day", "max": "48 /min"}


def test_a_wearable_alert_without_a_value_says_nothing_of_it(
    rules: Any, chart: Any, wearable: Any, reasons: Any
) -> None:
    verdict = rules.verdict(LOW, "low: {value: {below: 45}}", chart(), [wearable()])

    assert reasons(verdict) == {"not_recorded"}


def test_alerts_that_last_can_be_told_from_those_that_ended(
    rules: Any, chart: Any, wearable: Any
) -> None:
    lasting = LOW.replace("type:", "status: open, type:")
    ended = LOW.replace("type:", "status: closed, type:")
    alerts = [wearable(status="open", end=None)]

    assert rules.verdict(lasting, "low: present", chart(), alerts) is True
    assert rules.verdict(ended, "low: present", chart(), alerts) is False
    assert rules.verdict(lasting, "low: present", chart(), [wearable()]) is False
    assert rules.verdict(ended, "low: present", chart(), [wearable()]) is True


def test_a_retracted_alert_is_not_there(rules: Any, chart: Any, wearable: Any) -> None:
    assert (
        rules.verdict(LOW, "low: present", chart(), [wearable(status="retracted")])
        is False
    )


def test_an_alert_that_lasts_is_as_fresh_as_the_moment(
    rules: Any, chart: Any, wearable: Any
) -> None:
    lasting = wearable(hours=400, end=None)

    assert (
        rules.verdict(LOW, "low: {age: {at_most: 1 minute}}", chart(), [lasting])
        is True
    )


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("low: present", True),
        ("low: {duration: {above: 10 minutes}}", True),
        ("low: {duration: {above: 1 hour}}", {"not_read"}),
        ("low: {count: {at_least: 1}}", True),
        ("low: {count: {at_least: 2}}", {"not_read"}),
        ("low: {count: {at_most: 0}}", False),
        ("recently: {count: {at_least: 2}}", False),
        ("recently: {duration: {above: 1 hour}}", False),
        ("irregular: present", {"not_read"}),
    ],
)
def test_of_alerts_that_were_read_in_part_those_before_the_oldest_are_not_known(
    rules: Any, chart: Any, wearable: Any, reasons: Any, asked: str, expected: Any
) -> None:
    facts = f"""\
        {LOW}
        recently: {{wearable_alert: {{type: [low-heart-rate], within: 2 days}}}}
        irregular: {{wearable_alert: {{type: [irregular-rhythm], within: 7 days}}}}"""
    whole = chart()
    source = Source("wearable_alerts", PARTIAL)
    partial = replace(whole, sources={**whole.sources, source.name: source})
    alerts = [wearable(hours=1), wearable("another-kind", hours=72)]

    verdict = rules.verdict(dedent(facts), asked, partial, alerts)

    answer = verdict if isinstance(verdict, bool) else reasons(verdict)
    assert answer == expected


@pytest.mark.parametrize(
    ("says", "above_110", "shown"),
    [
        # A detector keeps the median of what it found.
        ({"stat": "max", "value": 131.0, "median": 116.0}, True, "116 /min (median)"),
        ({"stat": "max", "value": 131.0, "median": 104.0}, False, "104 /min (median)"),
        # A vendor may say what its number is of the readings.
        ({"stat": "mean", "value": 112.0}, True, "112 /min (mean)"),
        ({"stat": "median", "value": 110.0}, False, "110 /min (median)"),
        # Between the limit that it is about and the highest it may have been anything.
        ({"stat": "max", "value": 131.0, "threshold": 110.0}, True, "110–131 /min"),
        ({"stat": "max", "value": 131.0, "threshold": 100.0}, None, "100–131 /min"),
        ({"stat": "max", "value": 110.0, "threshold": 100.0}, False, "100–110 /min"),
        ({"stat": "max", "value": 109.0}, False, "≤ 109 /min"),
        ({"stat": "max", "value": 131.0}, None, "≤ 131 /min"),
        ({"stat": "max", "value": 95.0, "threshold": 100.0}, False, "≤ 95 /min"),
        ({"stat": "min", "value": 112.0}, True, "≥ 112 /min"),
        ({"stat": "min", "value": 90.0, "threshold": 110.0}, False, "90–110 /min"),
        ({"stat": "min", "value": 90.0, "threshold": 120.0}, None, "90–120 /min"),
        ({"stat": "min", "value": 90.0, "threshold": 80.0}, None, "≥ 90 /min"),
        # A number of which nobody says what it is shows the side of the limit.
        ({"value": 131.0, "threshold": 110.0}, True, "> 110 /min"),
        ({"value": 131.0, "threshold": 100.0}, None, "> 100 /min"),
        ({"value": 96.0, "threshold": 110.0}, False, "< 110 /min"),
        ({"stat": "instant", "value": 131.0, "threshold": 120.0}, True, "> 120 /min"),
        ({"value": 131.0, "threshold": 131.0}, None, "not told"),
        ({"value": 131.0}, None, "not told"),
        ({"stat": "instant", "value": 131.0}, None, "not told"),
    ],
)
def test_what_held_for_most_of_an_alert_is_no_more_than_what_it_says_of_itself(
    rules: Any,
    chart: Any,
    wearable: Any,
    reasons: Any,
    says: dict[str, Any],
    above_110: bool | None,
    shown: str,
) -> None:
    alert = wearable(hours=1, unit="/min", **says)

    verdict = rules.verdict(LOW, "low: {typical: {above: 110}}", chart(), [alert])
    (found,) = rules.evaluate(LOW, "low: present", chart(), [alert]).items
    text = found.text("low", "typical")

    expected = {"uncertain"} if above_110 is None else above_110
    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))
    assert (text.text if text else "not told") == shown


def test_without_a_number_nobody_asks_of_what_it_was(
    rules: Any, chart: Any, wearable: Any, reasons: Any
) -> None:
    alert = wearable(hours=1, unit="/min", threshold=120.0)

    verdict = rules.verdict(LOW, "low: {typical: {above: 110}}", chart(), [alert])

    assert reasons(verdict) == {"not_recorded"}


def test_what_an_alert_leaves_open_of_itself_is_said_in_words(
    rules: Any, chart: Any, wearable: Any
) -> None:
    alert = wearable(hours=1, unit="/min", stat="max", value=131.0)
    asked = "low: {typical: {above: 110}, local_time: {at_least: 07:00}}"
    in_utc = replace(alert, local=False)

    verdict = rules.verdict(LOW, asked, chart(), [in_utc])

    assert [each.why for each in verdict.reasons] == [
        "usual value not told",
        "wearer's local time not known",
    ]


def test_an_alert_without_its_numbers_is_said_to_lack_them(
    rules: Any, chart: Any, wearable: Any
) -> None:
    alert = replace(wearable(hours=1, unit="/min"), coverage=None)
    asked = "low: {value: {below: 50}, threshold: {below: 50}, coverage: {above: 0.5}}"

    verdict = rules.verdict(LOW, asked, chart(), [alert])

    assert [each.why for each in verdict.reasons] == [
        "coverage not told",
        "limit not told",
        "value not told",
    ]
    assert {each.kind.value for each in verdict.reasons} == {"not_recorded"}
