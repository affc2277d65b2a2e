"""Google Health: points, reconciled points and roll-ups."""

from typing import Any

import pytest

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.clouds.google_health import adapt
from cds_service.wearables.samples import Context, Flag, Notice, Stat

from ..sources import CATALOGUE, Source, identity

NEW_YORK = Source(time_zone="America/New_York")
FALL = {"year": 2026, "month": 11, "day": 1}
"""The day on which New York puts its clocks back."""


def points(*told: Any) -> dict[str, Any]:
    return {"dataPoints": list(told)}


def pulse(at: Any = "2026-11-22T13:05:00Z", **more: Any) -> dict[str, Any]:
    time = {"physicalTime": at, "utcOffset": "-18000s"}
    return {"heartRate": {"sampleTime": time, "beatsPerMinute": "112", **more}}


def slept(*stages: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    told = [
        {"type": type, "startTime": start, "endTime": end}
        for type, start, end in stages
    ]
    interval = {"startTime": "2026-11-22T04:00:00Z", "endTime": "2026-11-22T06:00:00Z"}
    return {"name": "s1", "sleep": {"interval": interval, "stages": told, **more}}


LIGHT = ("LIGHT", "2026-11-22T04:00:00Z", "2026-11-22T04:40:00Z")
LONGER = ("LIGHT", "2026-11-22T04:00:00Z", "2026-11-22T04:50:00Z")


def read(body: Any, source: Source = Source()) -> list[Any]:
    return list(adapt(body, source, CATALOGUE))


def test_whole_numbers_come_as_text() -> None:
    (sample,) = read(points(pulse()))

    assert (sample.metric, sample.value) == ("heart-rate", 112.0)


def test_the_offset_beside_a_time_is_that_of_the_wearers_clock() -> None:
    (sample,) = read(points(pulse()))

    assert sample.start.isoformat() == "2026-11-22T08:05:00-05:00"
    assert sample.local


@pytest.mark.parametrize("kind", ["heartRate", "heart-rate", "heart_rate"])
def test_a_kind_is_written_in_three_ways(kind: str) -> None:
    (sample,) = read(points({kind: pulse()["heartRate"]}))

    assert sample.metric == "heart-rate"


@pytest.mark.parametrize(
    ("time", "start"),
    [
        ({}, "2026-11-22T00:00:00-05:00"),
        (None, "2026-11-22T00:00:00-05:00"),
        ({"hours": 8}, "2026-11-22T08:00:00-05:00"),
        ({"minutes": 5, "seconds": 7, "nanos": 1}, "2026-11-22T00:05:07-05:00"),
    ],
)
def test_of_a_civil_time_what_is_zero_is_left_out(time: Any, start: str) -> None:
    civil = {"date": {"year": 2026, "month": 11, "day": 22}, "time": time}
    body = points({"heartRate": {"sampleTime": {"civilTime": civil}, **BPM}})

    (sample,) = read(body, NEW_YORK)

    assert (sample.start.isoformat(), sample.local) == (start, True)


BPM = {"beatsPerMinute": 70}


@pytest.mark.parametrize(
    "civil",
    [{}, {"date": {"year": 2026, "month": 2, "day": 30}}, {"date": []}, 7, "noon"],
)
def test_a_civil_time_that_is_none_is_named(civil: Any) -> None:
    body = points({"heartRate": {"sampleTime": {"civilTime": civil}, **BPM}})

    (item,) = read(body, NEW_YORK)

    assert (item.reason, item.problem.expression) == (
        "time",
        "$.dataPoints[0].heartRate.sampleTime.civilTime",
    )


def test_a_day_of_a_daily_roll_up_is_as_long_as_its_clocks_make_it() -> None:
    day = {
        "civilStartTime": {"date": FALL, "time": {}},
        "civilEndTime": {"date": {**FALL, "day": 2}},
        "steps": {"countSum": "6120"},
    }

    (sample,) = read({"rollupDataPoints": [day]}, NEW_YORK)

    assert (sample.value, sample.stat, sample.flags) == (
        6120.0,
        Stat.TOTAL,
        Flag.DAY_TOTAL,
    )
    assert (sample.end - sample.start).total_seconds() == 25 * 3600


def test_the_total_of_a_day_that_goes_on_is_one_reading() -> None:
    def told(steps: str) -> Any:
        day = {"civilStartTime": {"date": FALL}, "civilEndTime": {"date": NEXT}}
        body = {"rollupDataPoints": [{**day, "steps": {"countSum": steps}}]}
        return read(body, NEW_YORK)[0]

    assert identity(told("1520")) == identity(told("6120"))


NEXT = {"year": 2026, "month": 11, "day": 2}


def test_of_a_day_of_pulse_the_extremes_are_the_days_and_not_readings() -> None:
    day = {"civilStartTime": {"date": FALL}, "civilEndTime": {"date": NEXT}}
    told = {"beatsPerMinuteAvg": 71.5, "beatsPerMinuteMin": 50, "beatsPerMinuteMax": 99}

    items = read({"rollupDataPoints": [{**day, "heartRate": told}]}, NEW_YORK)

    assert [(each.stat, each.flags) for each in items] == [
        (Stat.MEAN, Flag.DAY_TOTAL),
        (Stat.MIN, Flag.DAY_TOTAL),
        (Stat.MAX, Flag.DAY_TOTAL),
    ]


def test_a_daily_value_is_of_the_wearers_day() -> None:
    body = points({"dailyRestingHeartRate": {"date": FALL, **BPM}})

    (sample,) = read(body, NEW_YORK)

    assert (sample.metric, sample.flags) == ("resting-heart-rate", Flag.DAY_TOTAL)
    assert sample.start.isoformat() == "2026-11-01T00:00:00-04:00"


def test_a_date_in_no_known_zone_is_no_day() -> None:
    (item,) = read(points({"dailyRestingHeartRate": {"date": FALL, **BPM}}))

    assert (item.reason, item.rejected) == ("time", True)


@pytest.mark.parametrize(
    ("method", "flags"),
    [
        ("MANUAL", Flag.MANUAL),
        ("DERIVED", Flag.ESTIMATED),
        ("PASSIVELY_MEASURED", Flag(0)),
    ],
)
def test_how_it_was_recorded_is_told(method: str, flags: Flag) -> None:
    told = {"dataSource": {"recordingMethod": method}, **pulse()}

    (sample,) = read(points(told))

    assert sample.flags == flags


@pytest.mark.parametrize(
    ("motion", "context"),
    [
        ("SEDENTARY", Context.REST),
        ("ACTIVE", Context.ACTIVE),
        ("MOTION_CONTEXT_UNSPECIFIED", Context.UNKNOWN),
    ],
)
def test_whether_the_wearer_rested_is_told(motion: str, context: Context) -> None:
    (sample,) = read(points(pulse(metadata={"motionContext": motion})))

    assert sample.context is context


@pytest.mark.parametrize(
    ("told", "metric"),
    [
        ({"specimen": "INTERSTITIAL_FLUID"}, "sensor-glucose"),
        (
            {"measurementSource": "CONTINUOUS_GLUCOSE_MONITORING"},
            "sensor-glucose",
        ),
        ({"specimen": "CAPILLARY_BLOOD"}, "capillary-glucose"),
        ({"specimen": "TEARS", "measurementSource": "LAB_TEST"}, "tear-glucose"),
        ({"specimen": "PLASMA"}, "glucose"),
        ({}, "glucose"),
    ],
)
def test_glucose_is_of_what_it_was_measured_in(told: Any, metric: str) -> None:
    time = {"physicalTime": "2026-11-22T13:05:00Z"}
    held = {"sampleTime": time, "bloodGlucoseMilligramsPerDeciliter": 58, **told}

    (sample,) = read(points({"bloodGlucose": held}))

    assert sample.metric == metric


def test_two_kinds_of_variability_are_two_metrics() -> None:
    held = {
        "sampleTime": {"physicalTime": "2026-11-22T08:00:00Z"},
        "rootMeanSquareOfSuccessiveDifferencesMilliseconds": 31,
        "standardDeviationMilliseconds": 44,
    }

    items = read(points({"heartRateVariability": held}))

    assert [each.metric for each in items] == [
        "heart-rate-variability-rmssd",
        "heart-rate-variability-sdnn",
    ]


def test_a_sleep_that_is_told_anew_replaces_its_stages() -> None:
    (before,) = read(points(slept(LIGHT, updateTime="2026-11-22T12:00:00Z")))
    (after,) = read(points(slept(LONGER, updateTime="2026-11-22T13:00:00Z")))

    assert identity(before) == identity(after)
    assert before.revision < after.revision
    assert (before.value, after.value) == (40.0, 50.0)


def test_without_stages_a_sleep_is_how_long_it_was() -> None:
    (sample,) = read(points(slept(summary={"minutesAsleep": "115"})))

    assert (sample.metric, sample.value) == ("time-asleep", 115.0)
    assert sample.context is Context.ASLEEP


def test_a_sleep_that_the_user_has_edited_is_typed() -> None:
    (sample,) = read(points(slept(LIGHT, metadata={"manuallyEdited": True})))

    assert sample.flags == Flag.MANUAL


def test_to_lie_awake_is_no_sleep_and_nothing_is_left_out() -> None:
    awake = ("AWAKE", "2026-11-22T04:40:00Z", "2026-11-22T04:45:00Z")

    items = read(points(slept(LIGHT, awake)))

    assert [each.metric for each in items] == ["light-sleep"]


def irregular(*positive: bool) -> dict[str, Any]:
    interval = {"startTime": "2026-11-22T07:00:00Z", "endTime": "2026-11-22T07:30:00Z"}
    windows = [{"positive": each} for each in positive]
    return {
        "irregularRhythmNotification": {"interval": interval, "alertWindows": windows}
    }


def test_an_irregular_rhythm_is_an_alert_and_no_sample() -> None:
    (notice,) = read(points(irregular(True, True)))

    assert isinstance(notice, Notice)
    assert (notice.type, notice.n) == ("irregular-rhythm", 2)
    assert notice.end and notice.end.isoformat() == "2026-11-22T07:30:00+00:00"


def test_an_irregular_rhythm_without_a_name_is_told_again_by_its_time() -> None:
    (first,), (again,) = read(points(irregular(True))), read(points(irregular(True)))

    assert first.id == again.id


def test_windows_of_which_none_was_positive_are_no_alert() -> None:
    (item,) = read(points(irregular(False)))

    assert (item.reason, item.rejected) == ("no-value", False)


def test_an_empty_answer_says_nothing_and_is_one() -> None:
    assert read({}) == read({"nextPageToken": ""}) == read(points()) == []


@pytest.mark.parametrize("body", [None, [], "x", {"error": {"code": 403}}])
def test_what_is_no_answer_is_refused_as_a_whole(body: Any) -> None:
    with pytest.raises(Unprocessable):
        read(body)


def test_a_bad_point_is_named_and_the_good_ones_are_kept() -> None:
    bad, good = read(points({"name": "a\nb", **pulse()}, pulse()))

    assert bad.problem.expression == "$.dataPoints[0].name"
    assert good.value == 112.0


def test_kinds_without_a_metric_are_said_once_each() -> None:
    items = read(points(*[{"floors": {"count": "1"}}] * 50))

    assert [each.reason for each in items] == ["other-kind"]
