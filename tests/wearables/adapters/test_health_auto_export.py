"""Health Auto Export: rows of metrics, nights, and heart notifications."""

from typing import Any

import pytest

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.health_auto_export import adapt
from cds_service.wearables.samples import Context, Device, Flag, Notice, Stat

from .sources import CATALOGUE, Source, identity

NEW_YORK = Source(time_zone="America/New_York")
AT = "2026-11-22 08:05:00 -0500"


def metric(name: str, *rows: Any, units: str = "count/min") -> Any:
    return {"data": {"metrics": [{"name": name, "units": units, "data": list(rows)}]}}


def row(date: str = AT, **told: Any) -> dict[str, Any]:
    return {"date": date, "source": "Watch", **(told or {"qty": 61})}


def read(body: Any, source: Source = Source()) -> list[Any]:
    return list(adapt(body, source, CATALOGUE))


def notified(key: str = "heartRateNotifications", **told: Any) -> Any:
    (item,) = read({"data": {key: [{"start": AT, **told}]}})
    return item


@pytest.mark.parametrize(
    "date",
    [
        "2026-11-22 08:05:00 -0500",
        "2026-11-22 8:05:00 AM -0500",
        "2026-11-22 8:05:00\u202fAM -0500",
        "2026-11-22 8:05:00\u202fam\u202f-0500",
        "2026-11-22T08:05:00-05:00",
        "2026-11-22T08:05:00-0500",
    ],
)
def test_a_phone_with_a_clock_of_12_hours_tells_the_same_time(date: str) -> None:
    (sample,) = read(metric("respiratory_rate", row(date, qty=14)))

    assert sample.start.isoformat() == "2026-11-22T08:05:00-05:00"
    assert sample.local


def test_a_row_of_min_avg_and_max_is_of_a_time_whose_length_nobody_knows() -> None:
    items = read(metric("heart_rate", row(Min=108, Avg=112, Max=117)))

    assert [each.stat for each in items] == [Stat.MIN, Stat.MEAN, Stat.MAX]
    assert {each.flags for each in items} == {Flag.GROUPED}
    assert len({identity(each) for each in items}) == 3


def test_watch_and_phone_at_one_time_are_two_readings() -> None:
    body = metric("heart_rate", row(Avg=112), row(Avg=90, source="Phone"))

    watch, phone = read(body)

    assert watch.device == Device(name="Watch")
    assert identity(watch) != identity(phone)


def test_what_is_sent_again_is_the_same_reading() -> None:
    first, again = (read(metric("heart_rate", row(Avg=n)))[0] for n in (112, 113))

    assert identity(first) == identity(again)


def test_sums_that_all_begin_at_midnight_are_those_of_days() -> None:
    rows = [row(f"2026-11-{day} 00:00:00 -0500", qty=6120) for day in (20, 21)]

    first, second = read(metric("step_count", *rows, units="count"))

    for each in (first, second):
        assert (each.end - each.start).days == 1
        assert each.flags == Flag.DAY_TOTAL | Flag.GROUPED


def test_sums_of_hours_are_grouped_and_none_of_them_is_a_day() -> None:
    rows = [row(f"2026-11-21 0{hour}:00:00 -0500", qty=61) for hour in (0, 1)]

    items = read(metric("step_count", *rows, units="count"))

    assert {each.flags for each in items} == {Flag.GROUPED}
    assert all(each.start == each.end for each in items)


def test_a_heart_rate_at_midnight_is_not_that_of_a_day() -> None:
    (sample,) = read(metric("heart_rate", row("2026-11-21 00:00:00 -0500", Avg=61)))

    assert (sample.flags, sample.end) == (Flag.GROUPED, sample.start)


@pytest.mark.parametrize(
    ("date", "hours"),
    [("2026-11-01 00:00:00 -0400", 25), ("2026-03-08 00:00:00 -0500", 23)],
)
def test_a_day_is_as_long_as_its_clock_makes_it(date: str, hours: int) -> None:
    body = metric("step_count", row(date, qty=6120), units="count")

    (sample,) = read(body, NEW_YORK)

    assert (sample.end - sample.start).total_seconds() == hours * 3600


def test_a_night_that_is_told_by_its_date_is_when_one_slept() -> None:
    night = {"sleepStart": "2026-11-21 22:30:00 -0500", "totalSleep": 7.25}
    first, again = (
        read(
            metric(
                "sleep_analysis",
                row("2026-11-22", **night, sleepEnd=f"2026-11-22 0{hour}:00:00 -0500"),
                units="hr",
            )
        )[0]
        for hour in (5, 6)
    )

    assert (first.metric, first.value) == ("time-asleep", 435.0)
    assert first.start.isoformat() == "2026-11-21T22:30:00-05:00"
    assert (first.context, first.flags) == (Context.ASLEEP, Flag.DAY_TOTAL)
    assert identity(first) == identity(again)


def test_two_nights_that_began_on_one_date_are_two() -> None:
    first, second = (
        read(
            metric(
                "sleep_analysis",
                row(start, sleepStart=start, sleepEnd=end, totalSleep=6),
                units="hr",
            )
        )[0]
        for start, end in (
            ("2026-11-22 00:30:00 -0500", "2026-11-22 06:30:00 -0500"),
            ("2026-11-22 22:30:00 -0500", "2026-11-23 05:30:00 -0500"),
        )
    )

    assert identity(first) != identity(second)


def test_a_date_alone_is_a_day_where_the_zone_is_known() -> None:
    body = metric("sleep_analysis", row("2026-11-01", totalSleep=7), units="hr")

    (left,) = read(body)
    (sample,) = read(body, NEW_YORK)

    assert left.reason == "time"
    assert (sample.end - sample.start).total_seconds() == 25 * 3600


def test_a_stage_of_sleep_is_told_by_its_value() -> None:
    times = {"startDate": "2026-11-21 22:30:00 -0500", "endDate": AT}
    rows = [{**times, "qty": 0.5, "value": each} for each in ("Core", "REM", "In Bed")]

    core, rem, bed = read(metric("sleep_analysis", *rows, units="hr"))

    assert (core.metric, core.value) == ("light-sleep", 30.0)
    assert rem.metric == "rem-sleep"
    assert (bed.reason, bed.rejected) == ("other-kind", False)


def test_no_data_is_null_or_empty_and_no_fault() -> None:
    for body in (
        {"data": None},
        {"data": {}},
        {"data": {"metrics": None}},
        {"data": {"metrics": [{"name": "heart_rate", "units": "bpm", "data": None}]}},
    ):
        assert read(body) == []


def test_workouts_beside_data_are_let_pass_and_said_once() -> None:
    items = read({**metric("heart_rate", row(Avg=61)), "workouts": [{}, {}]})

    assert [type(each).__name__ for each in items] == ["Sample", "LeftOut"]
    assert items[1].problem.expression == "$.workouts"
    assert not items[1].rejected


def test_a_metric_that_is_none_here_is_said_once_whatever_it_holds() -> None:
    items = read(metric("environmental_audio_exposure", *[row(qty=61)] * 500))

    assert [(each.reason, each.problem.expression) for each in items] == [
        ("other-kind", "$.data.metrics[0].name")
    ]


def test_units_are_those_of_the_phone() -> None:
    told = [
        ("blood_glucose", "mmol/L", 3.2, 57.6512),
        ("body_temperature", "degF", 101.3, 38.5),
        ("weight_body_mass", "lb", 180, 81.6466266),
        ("weight_body_mass", "st", 12, 76.20351816),
        ("blood_oxygen_saturation", "%", 97, 97.0),
    ]
    for name, units, number, value in told:
        (sample,) = read(metric(name, row(qty=number), units=units))
        assert sample.value == value


@pytest.mark.slow
def test_a_whole_day_of_seconds_is_read_whole() -> None:
    rows = [
        row(f"2026-11-22 {n // 60 % 24:02}:{n % 60:02}:00 -0500") for n in range(20_000)
    ]

    assert len(read(metric("respiratory_rate", *rows))) == 20_000


RATES = [{"hr": rate, "units": "bpm"} for rate in (126, 131, 118)]


def test_the_documented_notification_says_its_limit_and_by_its_rates_the_side() -> None:
    high = notified(threshold=120, end="2026-11-22 08:15:00 -0500", heartRate=RATES)
    low = notified(threshold=40, heartRate=[{"hr": 38, "units": "bpm"}])

    assert (high.type, high.threshold, high.value) == ("high-heart-rate", 120, 131)
    assert (high.stat, high.n) == ("max", 3)
    assert (low.type, low.threshold, low.value) == ("low-heart-rate", 40, 38)
    assert low.stat == "min"


def test_the_notification_with_a_misspelled_limit_names_its_type() -> None:
    notice = notified(
        heartNotification="high_heart_rate_notification",
        threshhold=120,
        heartRateData=[],
        hrvData=[],
        source={"name": "Watch"},
    )

    assert (notice.type, notice.threshold) == ("high-heart-rate", 120.0)
    assert (notice.value, notice.device) == (None, Device(name="Watch"))


def test_the_notification_of_newer_versions_has_a_limit_with_its_unit() -> None:
    notice = notified(
        heartNotification="HKHeartRateNotificationTypeLow",
        threshold={"qty": 40, "units": "count/min"},
        heartRateData=[{"date": AT, "qty": 38}, {"date": AT, "Avg": 37}],
        source="Watch",
    )

    assert (notice.type, notice.threshold) == ("low-heart-rate", 40.0)
    assert (notice.value, notice.stat, notice.n) == (37.0, "min", 2)
    assert notice.device == Device(name="Watch")


def test_the_lowest_and_the_highest_may_stand_for_all_heart_rates() -> None:
    notice = notified(type="High Heart Rate", minHeartRate=101, maxHeartRate=110)

    assert (notice.value, notice.n) == (110.0, 2)


def test_of_a_notification_a_heart_rate_that_no_body_has_hides_no_other() -> None:
    notice = notified(type="Low Heart Rate", heartRate=[{"hr": 0}, {"hr": 38}])

    assert (notice.value, notice.n) == (38.0, 1)


@pytest.mark.parametrize(
    ("told", "member"),
    [
        ({"heartRate": [{"hr": 0}, {"hr": -1}]}, "heartRate"),
        ({"threshold": 0, "heartRate": [{"hr": 131}]}, "threshold"),
        ({"threshold": {"qty": 999, "units": "bpm"}}, "threshold"),
    ],
)
def test_a_notification_that_tells_only_what_no_body_has_is_implausible(
    told: dict[str, Any], member: str
) -> None:
    item = notified(type="High Heart Rate", **told)

    assert (item.reason, item.rejected) == ("implausible", True)
    assert item.problem.text == "Must be from 10 to 300 /min."
    place = f"$.data.heartRateNotifications[0].{member}"
    assert item.problem.expression == place


def test_of_an_irregular_rhythm_heart_rates_are_only_counted() -> None:
    notice = notified(type="Irregular Rhythm", heartRate=[{"hr": 0}, {"hr": 88}])

    assert (notice.type, notice.value, notice.n) == ("irregular-rhythm", None, 2)


@pytest.mark.parametrize(
    ("type", "known"),
    [
        ("High Heart Rate", "high-heart-rate"),
        ("low heart rate", "low-heart-rate"),
        ("Irregular Rhythm", "irregular-rhythm"),
        ("HKHeartRateNotificationTypeHigh", "high-heart-rate"),
        ("irregular_heart_rhythm_notification", "irregular-rhythm"),
    ],
)
def test_the_notification_with_a_type_in_words_needs_no_limit(
    type: str, known: str
) -> None:
    notice = notified(type=type)

    assert (notice.type, notice.threshold, notice.value) == (known, None, None)


def test_in_another_spelling_nothing_is_concluded_from_a_limit_that_is_missing() -> (
    None
):
    item = notified(heartRate=RATES)

    assert (item.reason, item.rejected) == ("malformed", True)


def test_the_documented_one_without_a_limit_is_of_an_irregular_rhythm() -> None:
    notice = notified(heartRate=RATES, heartRateVariation=[])

    assert isinstance(notice, Notice)
    assert (notice.type, notice.value, notice.n) == ("irregular-rhythm", None, 3)


def test_a_notification_that_tells_no_end_is_over_when_it_was_last_measured() -> None:
    stamped = [
        {"hr": 126, "timestamp": {"start": f"2026-11-22 08:{minute}:00 -0500"}}
        for minute in ("09", "07")
    ]

    last = notified(threshold=120, heartRate=stamped)
    bare = notified(type="High Heart Rate")

    assert last.end.isoformat() == "2026-11-22T08:09:00-05:00"
    assert bare.end == bare.start


def test_a_notification_told_again_with_its_end_is_the_same() -> None:
    first = notified(type="High Heart Rate")
    again = notified(type="High Heart Rate", end="2026-11-22 08:15:00 -0500")

    assert first.id == again.id
    assert first.id != notified(type="Low Heart Rate").id


def test_a_limit_that_no_heart_rate_explains_is_no_notification() -> None:
    for rates in ([], [{"hr": 120}], [{"hr": None}], "fast"):
        item = notified(threshold=120, heartRate=rates)
        assert (item.reason, item.rejected) == ("malformed", True)


def test_a_type_that_is_none_here_is_let_pass_and_said() -> None:
    item = notified(type="Noise")

    assert (item.reason, item.rejected) == ("other-kind", False)


@pytest.mark.parametrize("body", [None, [], {}, {"metrics": []}, {"data": []}])
def test_what_has_no_data_is_refused_as_a_whole(body: Any) -> None:
    with pytest.raises(Unprocessable):
        read(body)


def test_older_versions_write_min_avg_and_max_small() -> None:
    items = read(metric("heart_rate", row(min=108, avg=112, max=117)))

    assert [each.stat for each in items] == [Stat.MIN, Stat.MEAN, Stat.MAX]


def test_a_heart_rate_that_is_none_does_not_hide_the_others() -> None:
    rates = [{"hr": "fast"}, *RATES, "odd"]

    assert notified(threshold=120, heartRate=rates).n == 3


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"date": "1999-12-31 23:59:59 -0500"}, "time"),
        ({"date": "9999-01-01 00:00:00 -0500"}, "time"),
        ({"qty": 10**400}, "malformed"),
        ({"qty": "sixty"}, "malformed"),
        ({"qty": True}, "malformed"),
        ({"qty": 1e308}, "implausible"),
    ],
)
def test_a_clock_that_was_never_set_and_a_number_without_end_are_left_out(
    told: dict[str, Any], reason: str
) -> None:
    (item,) = read(metric("respiratory_rate", {"date": AT, "qty": 14, **told}))

    assert (item.reason, item.rejected) == (reason, True)


def test_a_number_may_be_written_as_text() -> None:
    (sample,) = read(metric("respiratory_rate", row(qty=" 14.5 ")))

    assert sample.value == 14.5


def test_a_time_without_an_offset_is_of_the_clock_in_the_zone_of_the_source() -> None:
    (sample,) = read(
        metric("respiratory_rate", row("2026-11-22 08:05:00", qty=14)), NEW_YORK
    )

    assert (sample.start.isoformat(), sample.local) == (
        "2026-11-22T08:05:00-05:00",
        True,
    )
