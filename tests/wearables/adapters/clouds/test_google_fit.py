"""Google Fit: answers of an aggregate and of a dataset."""

from typing import Any

import pytest

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.clouds.google_fit import adapt
from cds_service.wearables.samples import Context, Flag, Stat

from ..sources import CATALOGUE, Source, identity

AT = 1795352700 * 10**9
"""2026-11-22T13:05:00Z in nanoseconds."""
HOUR, DAY = 3_600_000, 86_400_000
MIDNIGHT = 1795323600000
"""2026-11-22 in New York, in milliseconds."""
HEART, STEPS = "com.google.heart_rate.bpm", "com.google.step_count.delta"


def point(start: Any = AT, end: Any = None, type: str = HEART, **told: Any) -> Any:
    value = [{"fpVal": 112}] if type == HEART else [{"intVal": 42}]
    times = {"startTimeNanos": start, "endTimeNanos": start if end is None else end}
    return {**times, "dataTypeName": type, "value": value, **told}


def dataset(*points: Any, id: str = "raw:stream") -> Any:
    return {"dataSourceId": id, "minStartTimeNs": "0", "point": list(points)}


def bucket(start: int, end: int, *points: Any, id: str = "derived:all") -> Any:
    held = {"dataSourceId": id, "point": list(points)}
    return {"startTimeMillis": str(start), "endTimeMillis": end, "dataset": [held]}


def read(body: Any, source: Source = Source()) -> list[Any]:
    return list(adapt(body, source, CATALOGUE))


def walked(start: int, end: int, steps: int = 42) -> Any:
    value = [{"intVal": steps}]
    return point(start * 10**6, end * 10**6, type=STEPS, value=value)


def test_nanoseconds_are_text_or_numbers_or_both_in_one_point() -> None:
    times = [(AT, AT), (str(AT), str(AT)), (AT, str(AT)), (float(AT), AT)]

    found = {identity(read(dataset(point(*each)))[0]) for each in times}

    assert len(found) == 1


def test_readings_closer_than_a_microsecond_stay_two() -> None:
    first, second = read(dataset(point(AT + 123), point(AT + 456)))

    assert first.start == second.start
    assert identity(first) != identity(second)


def test_of_two_streams_they_are_two_as_well() -> None:
    watch, phone = point(AT + 1, originDataSourceId="a"), point(AT + 1)

    assert len({identity(each) for each in read(dataset(watch, phone))}) == 2


def test_a_whole_microsecond_needs_no_id() -> None:
    (sample,) = read(dataset(point(AT + 2000)))

    assert (sample.source_id, sample.start.microsecond) == ("", 2)


def test_an_empty_list_of_points_is_nothing_and_not_zero() -> None:
    assert read(dataset()) == []
    assert read({"bucket": [bucket(MIDNIGHT, MIDNIGHT + DAY)]}) == []
    assert read({"bucket": []}) == []
    assert read({"minStartTimeNs": "1", "maxEndTimeNs": "2"}) == []


def test_zero_steps_are_a_reading_where_a_point_tells_them() -> None:
    (sample,) = read(dataset(walked(MIDNIGHT, MIDNIGHT + HOUR, steps=0)))

    assert sample.value == 0.0


def test_what_was_typed_is_manual_also_where_it_is_zero() -> None:
    typed = walked(MIDNIGHT, MIDNIGHT + HOUR, steps=0)
    origin = (
        "raw:com.google.step_count.delta:com.google.android.apps.fitness:user_input"
    )

    (by_origin,) = read(dataset({**typed, "originDataSourceId": origin}))
    (by_stream,) = read(dataset(typed, id=origin))

    assert by_origin.flags == by_stream.flags == Flag.MANUAL


def test_the_total_of_a_day_is_of_its_bucket_and_not_of_the_steps_within() -> None:
    within = walked(MIDNIGHT + 8 * HOUR, MIDNIGHT + 20 * HOUR)
    (sample,) = read({"bucket": [bucket(MIDNIGHT, MIDNIGHT + DAY, within)]})

    assert sample.start.timestamp() * 1000 == MIDNIGHT
    assert (sample.end - sample.start).days == 1
    assert sample.flags == Flag.DAY_TOTAL


def test_a_day_that_is_not_over_is_the_same_reading_when_it_is_told_again() -> None:
    before = bucket(MIDNIGHT - DAY, MIDNIGHT)
    noon, evening = MIDNIGHT + 12 * HOUR, MIDNIGHT + 20 * HOUR

    first, second = (
        read({"bucket": [before, bucket(MIDNIGHT, now, walked(MIDNIGHT, now))]})[0]
        for now in (noon, evening)
    )

    assert first.flags == second.flags == Flag.DAY_TOTAL
    assert identity(first) == identity(second)
    assert first.end < second.end


def test_a_day_of_25_hours_is_a_day() -> None:
    midnight = 1793505600000  # 2026-11-01 in New York
    end = midnight + 25 * HOUR
    (sample,) = read({"bucket": [bucket(midnight, end, walked(midnight, end))]})

    assert sample.flags == Flag.DAY_TOTAL


def test_an_hour_that_is_not_over_is_told_again_as_the_same() -> None:
    first, second = (
        read(
            {
                "bucket": [
                    bucket(MIDNIGHT, MIDNIGHT + now, walked(MIDNIGHT, MIDNIGHT + now))
                ]
            }
        )[0]
        for now in (HOUR // 3, HOUR)
    )

    assert identity(first) == identity(second)
    assert first.flags == Flag(0)


def test_a_point_may_begin_before_its_bucket() -> None:
    early = walked(MIDNIGHT - 60_000, MIDNIGHT + 60_000)
    (sample,) = read({"bucket": [bucket(MIDNIGHT, MIDNIGHT + HOUR, early)]})

    assert sample.start.timestamp() * 1000 == MIDNIGHT - 60_000


def test_several_points_of_a_day_are_parts_of_it() -> None:
    parts = [walked(MIDNIGHT + n * HOUR, MIDNIGHT + (n + 1) * HOUR) for n in (8, 9)]
    first, second = read({"bucket": [bucket(MIDNIGHT, MIDNIGHT + DAY, *parts)]})

    assert first.flags == second.flags == Flag(0)
    assert identity(first) != identity(second)


def test_a_summary_tells_average_maximum_and_minimum_in_this_order() -> None:
    values = [{"fpVal": 72.5}, {"fpVal": 131}, {"fpVal": 54}]
    told = point(AT, AT, "com.google.heart_rate.summary", value=values)

    items = read({"bucket": [bucket(MIDNIGHT, MIDNIGHT + DAY, told)]})

    assert [(each.stat, each.value) for each in items] == [
        (Stat.MEAN, 72.5),
        (Stat.MAX, 131.0),
        (Stat.MIN, 54.0),
    ]
    assert {each.flags for each in items} == {Flag.DAY_TOTAL}


def test_sleep_is_told_by_how_long_a_segment_lasts() -> None:
    told = point(
        AT, AT + 1800 * 10**9, "com.google.sleep.segment", value=[{"intVal": 6}]
    )
    (sample,) = read(dataset(told))

    assert (sample.metric, sample.value, sample.unit) == ("rem-sleep", 30.0, "min")
    assert sample.context == Context.ASLEEP


def test_a_later_change_has_a_higher_revision() -> None:
    (sample,) = read(dataset(point(modifiedTimeMillis="1795352762000")))

    assert sample.revision == 1795352762000


def test_the_zone_of_the_source_tells_the_clock() -> None:
    (sample,) = read(dataset(point()), Source(time_zone="America/New_York"))

    assert (sample.start.isoformat(), sample.local) == (
        "2026-11-22T08:05:00-05:00",
        True,
    )


def test_points_of_a_type_that_is_no_metric_are_said_once() -> None:
    items = read(dataset(*[point(type="com.google.location.sample")] * 500, point()))

    assert [type(each).__name__ for each in items] == ["LeftOut", "Sample"]
    assert (items[0].reason, items[0].rejected) == ("other-kind", False)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([{}], "no-value"),
        ([{"mapVal": []}], "no-value"),
        ([{"fpVal": "x"}], "malformed"),
    ],
)
def test_a_value_that_is_none_is_left_out(value: Any, reason: str) -> None:
    (item,) = read(dataset(point(value=value)))

    assert (item.reason, item.problem.expression) == (reason, "$.point[0].value[0]")


@pytest.mark.parametrize("body", [None, [], {}, {"dataset": []}])
def test_what_is_no_answer_of_these_is_refused_as_a_whole(body: Any) -> None:
    with pytest.raises(Unprocessable):
        read(body)


def test_a_stream_with_a_long_name_has_readings_with_ids_that_can_be_kept() -> None:
    stream = "raw:" + "x" * 250
    first, second = read(dataset(point(AT + 1), point(AT + 2), id=stream))

    assert len(first.source_id) == len(second.source_id) == 32
    assert identity(first) != identity(second)


def test_awake_is_no_sleep_and_a_stage_that_is_none_is_no_reading() -> None:
    for stage in (1, 3, 0, -1, 10**5000, "5"):
        told = point(
            AT, AT + 10**9, "com.google.sleep.segment", value=[{"intVal": stage}]
        )
        (item,) = read(dataset(told))
        assert (item.reason, item.rejected) == ("other-kind", False)
