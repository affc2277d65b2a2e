"""Garmin Health: summaries as they are pushed."""

from typing import Any

import pytest

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.garmin import adapt
from cds_service.wearables.metrics import Catalogue, Metric
from cds_service.wearables.samples import Context, Flag, Sample, SourceWearer, Stat

from .sources import CATALOGUE, Source, identity

MIDNIGHT = 1795323600
"""2026-11-22 in New York, in seconds."""


def summary(**told: Any) -> dict[str, Any]:
    return {
        "userId": "g-7",
        "summaryId": "x1",
        "startTimeInSeconds": MIDNIGHT,
        "startTimeOffsetInSeconds": -18000,
        "durationInSeconds": 86400,
        **told,
    }


def read(source: Source = Source(), **body: Any) -> list[Any]:
    return list(adapt(body, source, CATALOGUE))


def test_a_part_of_a_day_is_its_total_so_far_and_replaced_by_the_next() -> None:
    (first,) = read(dailies=[summary(durationInSeconds=30000, steps=1520)])
    (second,) = read(dailies=[summary(durationInSeconds=60000, steps=4100)])

    assert first.flags == second.flags == Flag.DAY_TOTAL
    assert identity(first) == identity(second)
    assert first.end < second.end


def test_the_average_of_a_day_is_of_seven_days_and_no_value_of_that_day() -> None:
    items = read(
        dailies=[
            summary(
                minHeartRateInBeatsPerMinute=58,
                averageHeartRateInBeatsPerMinute=57,
                maxHeartRateInBeatsPerMinute=121,
            )
        ]
    )

    assert [(each.stat, each.value) for each in items] == [
        (Stat.MIN, 58.0),
        (Stat.MAX, 121.0),
    ]
    assert len({identity(each) for each in items}) == 2


def test_the_mean_and_the_peak_of_a_night_are_two_readings() -> None:
    named = {"garmin": frozenset({"hrv/lastNightAvg", "hrv/lastNight5MinHigh"})}
    known = Catalogue({"rmssd": Metric("rmssd", "RMSSD", "ms", 1, 600, names=named)})
    body = {"hrv": [summary(lastNightAvg=44, lastNight5MinHigh=72)]}

    mean, peak = list(adapt(body, Source(), known))

    assert isinstance(mean, Sample) and isinstance(peak, Sample)

    assert (mean.stat, peak.stat) == (Stat.MEAN, Stat.MAX)
    assert identity(mean) != identity(peak)


def test_a_snapshot_has_another_name_for_its_offset() -> None:
    told = summary(
        offsetStartTimeInSeconds=7200,
        summaries=[{"summaryType": "respiration", "avgValue": 14.5}],
    )
    del told["startTimeOffsetInSeconds"]
    (sample,) = read(healthSnapshot=[told])

    assert (sample.local, sample.start.isoformat()) == (
        True,
        "2026-11-22T07:00:00+02:00",
    )


@pytest.mark.parametrize("nothing", [-1, -2, "-1", -1.0])
def test_minus_one_is_no_value(nothing: Any) -> None:
    item, series = read(
        dailies=[
            summary(
                restingHeartRateInBeatsPerMinute=nothing,
                timeOffsetHeartRateSamples={"15": nothing},
            )
        ]
    )

    assert item.reason == series.reason == "no-value"
    assert not item.rejected


def test_minus_one_is_a_value_where_it_can_be_one() -> None:
    (item,) = read(skinTemp=[summary(avgDeviationCelsius=-1.0)])

    assert (item.metric, item.value) == ("wrist-temperature-deviation", -1.0)


@pytest.mark.parametrize("id", ["x1", " x1", "x1 "])
def test_a_blank_before_the_id_of_a_summary_is_no_part_of_it(id: str) -> None:
    (sample,) = read(dailies=[summary(summaryId=id, steps=10)])

    assert sample.source_id == "x1"


def test_a_series_is_told_by_seconds_from_the_begin() -> None:
    items = read(dailies=[summary(timeOffsetHeartRateSamples={"0": 65, "75": 66})])

    assert [each.start.isoformat() for each in items] == [
        "2026-11-22T00:00:00-05:00",
        "2026-11-22T00:01:15-05:00",
    ]
    assert all(each.local and each.start == each.end for each in items)
    assert all(not each.flags and not each.source_id for each in items)


def test_a_series_that_is_pushed_again_is_the_same_readings() -> None:
    first = read(dailies=[summary(timeOffsetHeartRateSamples={"15": 66})])
    longer = read(dailies=[summary(timeOffsetHeartRateSamples={"15": 66, "30": 67})])

    assert identity(first[0]) == identity(longer[0])


def test_the_wearer_is_the_user_that_garmin_names() -> None:
    (sample,) = read(dailies=[summary(steps=10)])

    assert sample.wearer == SourceWearer(user="g-7")


def test_without_an_offset_the_clock_is_not_known() -> None:
    bare = summary(steps=10)
    del bare["startTimeOffsetInSeconds"]

    (sample,) = read(dailies=[bare])
    (placed,) = read(Source(time_zone="America/New_York"), dailies=[bare])

    assert (sample.local, placed.local) == (False, True)
    assert placed.start.isoformat() == "2026-11-22T00:00:00-05:00"


def test_what_was_measured_in_the_night_was_measured_asleep() -> None:
    items = read(sleeps=[summary(timeOffsetSleepRespiration={"0": 14.2})])

    assert [each.context for each in items] == [Context.ASLEEP]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("sleeps", {"deepSleepDurationInSeconds": 5400, "validation": "MANUAL"}),
        ("bloodPressures", {"systolic": 162, "sourceType": "MANUAL"}),
    ],
)
def test_what_was_typed_is_manual(kind: str, told: Any) -> None:
    (sample,) = read(**{kind: [summary(durationInSeconds=27000, **told)]})

    assert sample.flags == Flag.MANUAL


def test_units_are_those_that_the_names_tell() -> None:
    (weight,) = read(
        bodyComps=[{"measurementTimeInSeconds": MIDNIGHT, "weightInGrams": 81400}]
    )
    (sleep,) = read(sleeps=[summary(deepSleepDurationInSeconds=5400)])

    assert (weight.value, weight.unit) == (81.4, "kg")
    assert (sleep.value, sleep.unit) == (90.0, "min")


def test_a_ping_says_only_where_the_data_is() -> None:
    (item,) = read(dailies=[{"userId": "g-7", "callbackURL": "https://x.example"}])

    assert (item.reason, item.rejected) == ("no-value", False)
    assert "x.example" not in item.problem.text


def test_kinds_that_hold_no_metric_are_said_once_each() -> None:
    items = read(
        deregistrations=[{"userId": "g-7"}, {"userId": "g-8"}],
        activities=[summary(activityName="Run")] * 50,
        userPermissionsChange=[{"userId": "g-7"}],
    )

    assert [each.problem.expression for each in items] == [
        "$.deregistrations",
        "$.activities",
        "$.userPermissionsChange",
    ]
    assert not any(each.rejected for each in items)


def test_a_kind_with_an_odd_name_is_not_told_by_it() -> None:
    (item,) = read(**{"a b\n": [{"steps": 1}]})

    assert item.problem.expression == "$.*"


@pytest.mark.parametrize("body", [None, [], {}, {"userId": "g-7"}])
def test_what_has_no_list_is_refused_as_a_whole(body: Any) -> None:
    with pytest.raises(Unprocessable):
        list(adapt(body, Source(), CATALOGUE))


def test_what_is_no_list_of_summaries_is_let_pass_and_said() -> None:
    left, sample = read(version=2, dailies=[summary(steps=10)])

    assert (left.reason, left.problem.expression) == ("other-kind", "$.version")
    assert sample.value == 10.0


@pytest.mark.parametrize("seconds", [-1, 8 * 86_400 + 1])
def test_a_summary_lasts_as_long_as_one_can(seconds: int) -> None:
    (item,) = read(dailies=[summary(durationInSeconds=seconds, steps=10)])

    assert (item.reason, item.problem.expression) == (
        "time",
        "$.dailies[0].durationInSeconds",
    )


def test_the_id_of_a_summary_may_be_a_number() -> None:
    (sample,) = read(dailies=[summary(summaryId=5001968355, steps=10)])

    assert sample.source_id == "5001968355"
