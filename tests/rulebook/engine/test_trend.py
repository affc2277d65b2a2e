"""What the course of readings says: how long, how often, up or down."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.rulebook.describe.explain import trace

LOADED, PARTIAL, MISSING = SourceState
NOON = datetime.fromisoformat("2026-11-22T12:00:00+00:00")
HR = "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}"


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([(104, 0), (106, 24), (103, 48)], True),
        ([(104, 0), (99, 24), (103, 48)], False),
        ([(104, 0), (106, 24)], None),
        ([(104, 0), (106, 1), (103, 2)], None),
        ([(104, 0), (106, 24), (103, 48), (80, 80)], True),
        ([(104, 0), (106, 24), (103, 36)], True),
        ([(104, 0), (106, 24), (103, 35)], None),
    ],
)
def test_sustained_wants_enough_readings_over_half_the_period(
    rules: Any,
    chart: Any,
    reading: Any,
    reasons: Any,
    readings: list[tuple[int, int]],
    expected: bool | None,
) -> None:
    observations = [reading(value, f"{hours + 1} hours") for value, hours in readings]

    verdict = rules.verdict(
        HR,
        "hr: {sustained: {above: 100, for: 3 days}}",
        chart(observations=observations),
    )

    if expected is None:
        assert reasons(verdict) == {"not_recorded"}
    else:
        assert verdict is expected


def test_sustained_allows_a_share_of_the_readings(
    rules: Any, chart: Any, reading: Any
) -> None:
    observations = [
        reading(v, f"{h} hours") for v, h in ((104, 1), (99, 25), (103, 49))
    ]
    test = "hr: {{sustained: {{above: 100, for: 3 days, share: {}}}}}"

    assert (
        rules.verdict(HR, test.format(0.66), chart(observations=observations)) is True
    )
    assert (
        rules.verdict(HR, test.format(0.7), chart(observations=observations)) is False
    )


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([(100, 1), (101, 25)], True),
        ([(100, 1), (101, 2)], {"not_recorded"}),
        ([(100, 1), (99, 25)], False),
        ([(99, 1), (99, 25)], False),
        ([(100, 1)], {"not_recorded"}),
        ([], {"not_recorded"}),
    ],
)
def test_on_days_counts_days_and_not_readings(
    rules: Any,
    chart: Any,
    reading: Any,
    reasons: Any,
    readings: list[tuple[int, int]],
    expected: bool | set[str],
) -> None:
    observations = [reading(value, f"{hours} hours") for value, hours in readings]

    verdict = rules.verdict(
        HR, "hr: {on_days: {at_least: 100, days: 2}}", chart(observations=observations)
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


DAYS = "hr: {on_days: {above: 100, days: 2}}"
SERIES = ["hr: {sustained: {above: 100, for: 3 days}}", DAYS]


@pytest.mark.parametrize("test", SERIES)
def test_a_series_that_was_read_in_part_is_unknown(
    rules: Any, chart: Any, reading: Any, reasons: Any, test: str
) -> None:
    readings = [reading(90, f"{hours} hours") for hours in (1, 25, 49)]
    patient = chart(observations=readings, states={"observations": PARTIAL})

    assert reasons(rules.verdict(HR, test, patient)) == {"not_read"}


def test_enough_days_are_enough_whatever_else_there_may_be(
    rules: Any, chart: Any, reading: Any
) -> None:
    readings = [reading(110, f"{hours} hours") for hours in (1, 25)]
    patient = chart(observations=readings, states={"observations": PARTIAL})

    assert rules.verdict(HR, DAYS, patient) is True


@pytest.mark.parametrize("test", SERIES)
def test_a_series_of_ranges_across_the_limit_is_undecided(
    rules: Any, chart: Any, reading: Any, reasons: Any, test: str
) -> None:
    over = {"value": 90, "comparator": ">", "code": "/min"}
    readings = [
        reading(90, f"{hours} hours", valueQuantity=over) for hours in (1, 25, 49)
    ]

    assert reasons(rules.verdict(HR, test, chart(observations=readings))) == {
        "boundary"
    }


def weight(value: Any, at: str, **more: Any) -> dict[str, Any]:
    """A reading, so many hours before noon, or on a date."""
    hours = at.removesuffix("h")
    when = at if hours == at else (NOON - timedelta(hours=float(hours))).isoformat()
    return {
        "resourceType": "Observation",
        "id": f"w-{value}-{at}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "effectiveDateTime": when,
        "valueQuantity": {"value": value, "code": "/min"},
        **more,
    }


@pytest.mark.parametrize(
    ("test", "readings", "state", "expected"),
    [
        ("at_least: 2, over: 3 days", [(82, "1h"), (80, "40h")], LOADED, True),
        ("above: 2, over: 3 days", [(82, "1h"), (80, "40h")], LOADED, False),
        ("at_least: 2, over: 3 days", [(81.9, "1h"), (80, "40h")], LOADED, False),
        # Three days before, to the second, is still within three days.
        ("at_least: 2, over: 3 days", [(82, "1h"), (80, "73h")], LOADED, True),
        (
            "at_least: 2, over: 3 days",
            [(82, "1h"), (81, "25h"), (80, "73.1h")],
            LOADED,
            False,
        ),
        # A peak that is over is no rise, and the lowest may stand in the middle.
        ("at_least: 2, over: 3 days", [(80, "1h"), (84, "25h")], LOADED, False),
        (
            "at_least: 2, over: 3 days",
            [(82, "1h"), (80, "25h"), (83, "49h")],
            LOADED,
            True,
        ),
        # 82.3 - 80.9 is 1.4 on paper, and a little less in binary.
        ("at_least: 1.4, over: 1 day", [(82.3, "1h"), (80.9, "20h")], LOADED, True),
        ("below: 1, over: 3 days", [(80.5, "1h"), (80, "25h")], LOADED, True),
        # One reading is no change, nor are two that lie too far from each other.
        ("at_least: 2, over: 3 days", [(82, "1h")], LOADED, {"not_recorded"}),
        (
            "at_least: 2, over: 1 day",
            [(82, "1h"), (80, "40h")],
            LOADED,
            {"not_recorded"},
        ),
        ("at_least: 2, over: 3 days", [], LOADED, {"not_recorded"}),
        ("at_least: 2, over: 3 days", [], MISSING, {"not_read"}),
        ("at_least: 2, over: 3 days", [(82, "1h")], PARTIAL, {"not_read"}),
        # In part, newest first: what was reached stays, what was not may have been.
        ("at_least: 2, over: 3 days", [(82, "1h"), (80, "40h")], PARTIAL, True),
        (
            "at_least: 2, over: 3 days",
            [(81, "1h"), (80, "40h")],
            PARTIAL,
            {"not_read"},
        ),
        ("below: 2, over: 3 days", [(82, "1h"), (80, "40h")], PARTIAL, False),
        (
            "below: 2, over: 3 days",
            [(81, "1h"), (80, "40h")],
            PARTIAL,
            {"not_read"},
        ),
        # In part, not in order: a newer reading may have undone it.
        (
            "at_least: 2, over: 3 days",
            [(80, "40h"), (82, "1h")],
            PARTIAL,
            {"not_read"},
        ),
    ],
)
def test_a_rise_is_the_newest_reading_less_the_lowest_before_it(
    rules: Any,
    chart: Any,
    reasons: Any,
    test: str,
    readings: list[tuple[float, str]],
    state: SourceState,
    expected: bool | set[str],
) -> None:
    patient = chart(
        observations=[weight(*each) for each in readings],
        states={"observations": state},
    )

    verdict = rules.verdict(HR, f"hr: {{rise: {{{test}}}}}", patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        # A reading of which only the month is known is of any of its days.
        ([(110, "1h"), (110, "2026-10")], {"boundary"}),
        ([(110, "1h"), (90, "2026-10")], False),
        ([(90, "1h"), (90, "2026-10")], False),
        ([(110, "2026-10"), (110, "2026-10")], {"boundary"}),
        ([(110, "1h"), (110, "25h"), (90, "2026-10")], True),
        ([(90, "2026-10")], {"not_recorded"}),
    ],
)
def test_a_reading_without_a_day_of_its_own_is_no_day_more_and_may_be_one(
    rules: Any,
    chart: Any,
    reasons: Any,
    readings: list[tuple[float, str]],
    expected: bool | set[str],
) -> None:
    observations = [
        {**weight(*each), "id": f"w{number}"} for number, each in enumerate(readings)
    ]

    verdict = rules.verdict(
        HR.replace("7 days", "90 days"), DAYS, chart(observations=observations)
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_a_reading_without_a_day_of_its_own_is_enough_for_one_day(
    rules: Any, chart: Any
) -> None:
    patient = chart(observations=[weight(110, "2026-10")])
    test = "hr: {on_days: {above: 100, days: 1}}"

    assert rules.verdict(HR.replace("7 days", "90 days"), test, patient) is True


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("sustained: {above: 100, for: 3 days}", True),
        ("sustained: {above: 109, for: 3 days}", False),
        ("on_days: {above: 109, days: 3}", False),
        ("rise: {at_least: 3, over: 3 days}", False),
        ("repeated: {at_least: 110, times: 2, apart: 1 hour}", False),
        ("count: {at_least: 3}", True),
        ("count: {at_least: 4}", {"unresolved"}),
    ],
)
def test_a_reading_by_a_code_that_no_set_places_is_none_of_a_trend(
    rules: Any, chart: Any, reasons: Any, test: str, expected: bool | set[str]
) -> None:
    snomed = [{"system": "http://snomed.info/sct", "code": "364075005"}]
    readings = [weight(110, "1h"), weight(108, "25h"), weight(109, "49h")]
    other = weight(90, "2h", code={"coding": snomed})

    verdict = rules.verdict(
        HR, f"hr: {{{test}}}", chart(observations=[*readings, other])
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_two_hours_on_either_side_of_the_sites_midnight_are_two_days(
    rules: Any, chart: Any
) -> None:
    # 23:00 and 01:00 in New York; one day in UTC.
    patient = chart(observations=[weight(110, "30h"), weight(110, "32h")])

    assert rules.verdict(HR, DAYS, patient) is True


def test_a_reading_that_may_meet_the_limit_beside_some_that_do_leaves_it_open(
    rules: Any, chart: Any, reasons: Any
) -> None:
    vague = weight(90, "49h", valueQuantity={"value": 90, "comparator": ">"})
    vague["valueQuantity"]["code"] = "/min"
    readings = [weight(104, "1h"), weight(103, "25h"), vague]
    test = "hr: {sustained: {above: 100, for: 3 days}}"

    verdict = rules.verdict(HR, test, chart(observations=readings))

    assert reasons(verdict) == {"boundary"}


def test_a_share_that_is_reached_exactly_is_reached(
    rules: Any, chart: Any, reading: Any
) -> None:
    """0.56 of 25 is 14 on paper, and a little more in binary."""
    test = "hr: {sustained: {above: 100, for: 3 days, share: 0.56}}"

    def verdict(met: int) -> Any:
        readings = [
            reading(104 if number < met else 90, f"{2 * number + 1} hours")
            for number in range(25)
        ]
        return rules.verdict(HR, test, chart(observations=readings))

    assert verdict(14) is True
    assert verdict(13) is False


def test_a_change_on_the_limit_in_a_list_read_in_part_is_unknown_for_both_reasons(
    rules: Any, chart: Any, reasons: Any
) -> None:
    vague = weight(81, "1h")
    vague["valueQuantity"]["comparator"] = ">"
    patient = chart(
        observations=[vague, weight(80, "25h")], states={"observations": PARTIAL}
    )

    verdict = rules.verdict(HR, "hr: {rise: {at_least: 2, over: 3 days}}", patient)

    assert reasons(verdict) == {"boundary", "not_read"}


@pytest.mark.parametrize(
    ("age", "expected"), [("2h", True), ("0h", {"unusable"}), (None, {"unusable"})]
)
def test_only_a_newer_reading_can_undo_a_rise(
    rules: Any, chart: Any, reasons: Any, age: str | None, expected: bool | set[str]
) -> None:
    odd = weight(70, age or "0h", valueQuantity={"value": 70, "code": "kg"})
    if age is None:
        del odd["effectiveDateTime"]
    patient = chart(observations=[weight(82, "1h"), weight(80, "40h"), odd])

    verdict = rules.verdict(HR, "hr: {rise: {at_least: 2, over: 3 days}}", patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        # Days are whole: three days before may be a little more than three days before.
        ([(82, "2026-11-21"), (80, "2026-11-19")], True),
        ([(82, "2026-11-21"), (80, "2026-11-18")], {"not_recorded"}),
        ([(82, "2026-11-21"), (81, "2026-11-20"), (80, "2026-11-18")], {"boundary"}),
        ([(82, "2026-11-21"), (82, "2026-11-20"), (80, "2026-11-17")], False),
        # Two readings of one day: nobody knows which came last.
        ([(82, "2026-11-21"), (80, "2026-11-21")], {"boundary"}),
        ([(83, "2026-11-21"), (82, "2026-11-21"), (80, "2026-11-20")], True),
    ],
)
def test_a_rise_between_days_is_a_range(
    rules: Any,
    chart: Any,
    reasons: Any,
    readings: list[tuple[float, str]],
    expected: bool | set[str],
) -> None:
    patient = chart(observations=[weight(*each) for each in readings])

    verdict = rules.verdict(HR, "hr: {rise: {at_least: 2, over: 3 days}}", patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("newest", "before", "expected"),
    [
        ((">", 82), (None, 80), True),
        ((">", 81), (None, 80), {"boundary"}),
        (("<", 82), (None, 80), False),
        ((None, 82), ("<", 80), True),
        ((None, 82), (">", 80), False),
        ((None, 82), ("<", 81), {"boundary"}),
    ],
)
def test_a_rise_of_ranges_is_a_range(
    rules: Any,
    chart: Any,
    reasons: Any,
    newest: tuple[str | None, float],
    before: tuple[str | None, float],
    expected: bool | set[str],
) -> None:
    readings = [weight(newest[1], "1h"), weight(before[1], "25h")]
    for each, (comparator, _) in zip(readings, (newest, before), strict=True):
        if comparator:
            each["valueQuantity"]["comparator"] = comparator

    verdict = rules.verdict(
        HR, "hr: {rise: {at_least: 2, over: 3 days}}", chart(observations=readings)
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("readings", "state", "expected"),
    [
        ([(80, "1h"), (82, "40h")], LOADED, True),
        ([(80.1, "1h"), (82, "40h")], LOADED, False),
        ([(82, "1h"), (80, "40h")], LOADED, False),
        ([(80, "1h"), (82, "40h")], PARTIAL, True),
        ([(81, "1h"), (82, "40h")], PARTIAL, {"not_read"}),
        ([(80, "1h")], LOADED, {"not_recorded"}),
        (
            [(80, "2026-11-21"), (81, "2026-11-20"), (82, "2026-11-18")],
            LOADED,
            {"boundary"},
        ),
    ],
)
def test_a_fall_is_the_highest_reading_before_less_the_newest(
    rules: Any,
    chart: Any,
    reasons: Any,
    readings: list[tuple[float, str]],
    state: SourceState,
    expected: bool | set[str],
) -> None:
    patient = chart(
        observations=[weight(*each) for each in readings],
        states={"observations": state},
    )

    verdict = rules.verdict(HR, "hr: {fall: {at_least: 2, over: 3 days}}", patient)

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("readings", "state", "expected"),
    [
        ([(180, "1h"), (181, "2h")], LOADED, True),
        ([(180, "1h"), (179, "2h")], LOADED, False),
        # Apart is at least so far apart, and is counted from the one before.
        ([(180, "1h"), (180, "2h")], LOADED, True),
        ([(180, "1h"), (180, "1.9h")], LOADED, False),
        ([(180, "1h"), (180, "1.5h"), (180, "2h")], LOADED, True),
        # A normal reading in between does not undo two high ones.
        ([(180, "1h"), (120, "2h"), (180, "3h")], LOADED, True),
        # One is not repeated; none is not known.
        ([(180, "1h")], LOADED, False),
        ([], LOADED, {"not_recorded"}),
        ([], MISSING, {"not_read"}),
        ([(180, "1h"), (181, "2h")], PARTIAL, True),
        ([(180, "1h")], PARTIAL, {"not_read"}),
        # Two of one day may lie far enough apart, or not.
        ([(180, "2026-11-21"), (180, "2026-11-20")], LOADED, {"boundary"}),
        ([(180, "2026-11-21"), (180, "2026-11-19")], LOADED, True),
        ([(180, "2026-11-21"), (180, "2026-11-21")], LOADED, {"boundary"}),
        ([(180, "2026-11-21"), (179, "2026-11-21")], LOADED, False),
    ],
)
def test_readings_are_repeated_if_they_lie_apart(
    rules: Any,
    chart: Any,
    reasons: Any,
    readings: list[tuple[float, str]],
    state: SourceState,
    expected: bool | set[str],
) -> None:
    patient = chart(
        observations=[weight(*each) for each in readings],
        states={"observations": state},
    )

    verdict = rules.verdict(
        HR, "hr: {repeated: {at_least: 180, times: 2, apart: 1 hour}}", patient
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_a_reading_across_the_limit_may_be_the_second(
    rules: Any, chart: Any, reasons: Any
) -> None:
    vague = weight(170, "3h")
    vague["valueQuantity"]["comparator"] = ">"
    patient = chart(observations=[weight(180, "1h"), vague])

    verdict = rules.verdict(
        HR, "hr: {repeated: {at_least: 180, times: 2, apart: 1 hour}}", patient
    )

    assert reasons(verdict) == {"boundary"}


def test_limits_of_the_course_may_be_params(rules: Any, chart: Any) -> None:
    more = """
        params:
          gain: {default: 2, unit: /min}
          days: {default: 3 days}
          many: {default: 2}
          far: {default: 1 hour}
        """
    when = """
        all:
          - hr: {rise: {at_least: $gain, over: $days}}
          - hr: {repeated: {above: 1, times: $many, apart: $far}}
        """
    patient = chart(observations=[weight(82, "1h"), weight(80, "40h")])

    (found,) = rules.evaluate(HR, when, patient, more=more).items

    assert found.outcome == "fires"
    assert [each.text for each in found.rule.when.children[1].children] == [
        "hr rise at least 2 /min over 3 days",
        "hr repeated above 1 /min 2 times, 1 hour apart",
    ]


def test_text_shows_the_change_over_the_longest_period_that_is_asked(
    rules: Any, chart: Any
) -> None:
    when = """
        any:
          - hr: {rise: {at_least: 1, over: 1 day}}
          - hr: {rise: {at_least: 2, over: 3 days}}
        """
    readings = [weight(83, "1h"), weight(82, "20h"), weight(80.5, "70h")]
    patient = chart(observations=[*readings, weight(70, "100h")])

    (found,) = rules.evaluate(HR, when, patient).items

    shown = {name: found.text("hr", name).text for name in ("rise", "fall")}
    assert shown == {"rise": "2.5 /min", "fall": "-1 /min"}


def test_text_shows_the_change_in_the_window_where_none_is_asked(
    rules: Any, chart: Any
) -> None:
    patient = chart(observations=[weight(83, "1h"), weight(70, "100h")])

    (found,) = rules.evaluate(HR, "hr: present", patient).items

    assert found.text("hr", "rise").text == "13 /min"


def test_a_single_reading_has_no_change_to_show(rules: Any, chart: Any) -> None:
    patient = chart(observations=[weight(83, "1h")])

    (found,) = rules.evaluate(HR, "hr: present", patient).items

    assert found.text("hr", "rise") is None


def test_more_than_a_bound_is_above_it(rules: Any, chart: Any) -> None:
    newest = weight(81, "1h")
    newest["valueQuantity"]["comparator"] = ">"
    patient = chart(observations=[newest, weight(80, "25h")])

    assert rules.verdict(HR, "hr: {rise: {above: 1, over: 7 days}}", patient) is True


def test_an_explanation_shows_each_change_over_its_own_period(
    rules: Any, chart: Any
) -> None:
    when = """
        any:
          - hr: {rise: {at_least: 1, over: 1 day}}
          - hr: {rise: {at_least: 2, over: 3 days}}
          - hr: {fall: {at_least: 2, over: 3 days}}
        """
    readings = [weight(83, "1h"), weight(82, "20h"), weight(80.5, "70h")]

    (found,) = rules.evaluate(HR, when, chart(observations=readings)).items

    assert [(each.text, each.seen) for each in trace(found.rule, found.case)[2:]] == [
        ("hr rise at least 1 /min over 1 day", "rise = 1 /min"),
        ("hr rise at least 2 /min over 3 days", "rise = 2.5 /min"),
        ("hr fall at least 2 /min over 3 days", "fall = -1 /min"),
    ]
