"""Withings: measures, days, nights and recordings."""

from typing import Any

import pytest

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.clouds.withings import adapt
from cds_service.wearables.samples import Context, Flag, LeftOut, Notice, Stat

from ..sources import CATALOGUE, Source, identity

AT = 1795352700
"""2026-11-22T13:05:00Z."""


def measure(value: Any, type: Any = 1, unit: Any = -3, **more: Any) -> dict[str, Any]:
    return {"value": value, "type": type, "unit": unit, **more}


def group(*measures: Any, **more: Any) -> dict[str, Any]:
    told = {"grpid": 1001, "attrib": 0, "category": 1, "date": AT, "modified": AT}
    return {**told, "measures": list(measures), **more}


def answer(name: str, held: Any, **more: Any) -> dict[str, Any]:
    return {"status": 0, "body": {name: held, **more}}


def read(body: Any, source: Source = Source()) -> list[Any]:
    return list(adapt(body, source, CATALOGUE))


def measured(*groups: Any, **more: Any) -> list[Any]:
    return read(answer("measuregrps", list(groups), **more))


@pytest.mark.parametrize(
    ("value", "unit", "kilograms"),
    [(81400, -3, 81.4), (814, -1, 81.4), (81, 0, 81.0), (8, 1, 80.0)],
)
def test_a_measure_is_a_number_times_a_power_of_ten(
    value: int, unit: int, kilograms: float
) -> None:
    (sample,) = measured(group(measure(value, unit=unit)))

    assert sample.value == kilograms


@pytest.mark.parametrize("unit", [None, "x", 13, -13, 1.5])
def test_a_power_that_is_none_is_named(unit: Any) -> None:
    (item,) = measured(group(measure(81400, unit=unit)))

    assert (item.reason, item.problem.expression) == (
        "malformed",
        "$.body.measuregrps[0].measures[0].unit",
    )


def test_what_the_user_aims_at_is_no_reading() -> None:
    (item,) = measured(group(measure(70000), category=2))

    assert (item.reason, item.rejected) == ("goal", False)


@pytest.mark.parametrize("attrib", [2, 4])
def test_what_the_user_has_typed_is_manual(attrib: int) -> None:
    (sample,) = measured(group(measure(81400), attrib=attrib))

    assert sample.flags == Flag.MANUAL


@pytest.mark.parametrize("attrib", [0, 5, 7, 8, None])
def test_what_a_device_has_measured_is_plain(attrib: Any) -> None:
    (sample,) = measured(group(measure(81400), attrib=attrib))

    assert sample.flags == Flag(0)


def test_what_may_be_of_another_user_of_the_scale_is_nobodys() -> None:
    (item,) = measured(group(measure(81400), attrib=1))

    assert (item.reason, item.rejected) == ("other-user", False)


@pytest.mark.parametrize("position", [0, 10])
def test_the_weight_of_a_leg_is_not_that_of_the_wearer(position: int) -> None:
    whole, leg = measured(group(measure(81400), measure(11200, position=position)))

    assert whole.value == 81.4
    assert isinstance(leg, LeftOut)


def test_measures_of_one_group_are_several_readings() -> None:
    items = measured(group(measure(162, 10, 0), measure(101, 9, 0), measure(88, 11, 0)))

    assert [each.metric for each in items] == [
        "systolic-blood-pressure",
        "diastolic-blood-pressure",
        "heart-rate",
    ]


def test_a_measure_that_was_changed_holds_instead_of_the_one_before() -> None:
    (before,) = measured(group(measure(81400)))
    (after,) = measured(group(measure(80400), modified=AT + 60))

    assert identity(before) == identity(after)
    assert before.revision < after.revision


@pytest.mark.parametrize("modified", [None, "x", -1, 2**62, 2**53])
def test_a_change_at_no_time_keeps_no_later_one_out(modified: Any) -> None:
    (sample,) = measured(group(measure(81400), modified=modified))

    assert sample.revision == 0


def test_the_zone_beside_the_answer_is_that_of_the_wearer() -> None:
    (sample,) = measured(group(measure(81400)), timezone="America/New_York")

    assert (sample.start.isoformat(), sample.local) == (
        "2026-11-22T08:05:00-05:00",
        True,
    )


def test_without_a_zone_the_clock_is_not_known() -> None:
    (sample,) = measured(group(measure(81400)), timezone="Nowhere/None")

    assert not sample.local


def test_a_day_is_as_long_as_its_clocks_make_it() -> None:
    day = {"date": "2026-11-01", "timezone": "America/New_York", "steps": 7000}

    (sample,) = read(answer("activities", [day]))

    assert (sample.end - sample.start).total_seconds() == 25 * 3600
    assert sample.flags == Flag.DAY_TOTAL


def test_the_average_pulse_of_a_day_is_no_reading() -> None:
    day = {"date": "2026-11-22", "timezone": "Europe/Paris", "hr_average": 71}

    (item,) = read(answer("activities", [{**day, "hr_min": 52}]))

    assert (item.value, item.stat, item.flags) == (52.0, Stat.MIN, Flag.DAY_TOTAL)


def test_a_night_is_told_by_its_stages_in_minutes() -> None:
    told = {"deepsleepduration": 6420, "total_sleep_time": 23820}
    night = {"id": 5551, "startdate": AT, "enddate": AT + 28800, "data": told}

    items = read(answer("series", [night]))

    assert [(each.metric, each.value) for each in items] == [
        ("deep-sleep", 107.0),
        ("time-asleep", 397.0),
    ]
    assert all(each.context is Context.ASLEEP for each in items)


def test_steps_are_of_an_interval_and_a_pulse_is_of_its_moment() -> None:
    told = {"steps": 42, "heart_rate": 112, "duration": 60}

    steps, pulse = read(answer("series", {str(AT): told}))

    assert (steps.end - steps.start).total_seconds() == 60
    assert pulse.start == pulse.end


def recording(afib: Any) -> list[Any]:
    told = {"timestamp": AT, "ecg": {"signalid": 77, "afib": afib}, "heart_rate": 104}
    return read(answer("series", [told]))


def test_a_recording_that_was_classified_as_fibrillation_is_an_alert() -> None:
    notice, pulse = recording(1)

    assert isinstance(notice, Notice)
    assert (notice.type, pulse.metric) == ("irregular-rhythm", "heart-rate")


@pytest.mark.parametrize("afib", [0, 2, None, "1.0", [1]])
def test_a_recording_of_another_class_is_none(afib: Any) -> None:
    (pulse,) = recording(afib)

    assert pulse.metric == "heart-rate"


def test_what_is_not_conclusive_is_no_reading() -> None:
    (item,) = measured(group(measure(97, 54, 0), is_inconclusive=True))

    assert item.reason == "no-value"


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"status": 401, "body": {}, "error": "invalid_token"},
        {"status": 601, "body": {"measuregrps": []}},
        {"status": 0},
        {"status": 0, "body": {"devices": []}},
    ],
)
def test_a_refusal_that_comes_with_200_is_no_answer(body: Any) -> None:
    with pytest.raises(Unprocessable):
        read(body)


def test_a_bad_group_is_named_and_the_good_ones_are_kept() -> None:
    bad, good = measured(group(measure(81400), date="today"), group(measure(81400)))

    assert bad.problem.expression == "$.body.measuregrps[0].date"
    assert good.value == 81.4
