"""Oura: documents of its collections."""

from typing import Any

import pytest

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.clouds.oura import adapt
from cds_service.wearables.samples import Context, Flag, Removal, Sample, Stat

from ..sources import CATALOGUE, Source, identity

NEW_YORK = Source(time_zone="America/New_York")


def pulse(at: Any = "2026-11-22T13:05:00+00:00", **more: Any) -> dict[str, Any]:
    return {"bpm": 71, "source": "awake", "timestamp": at, **more}


def night(**more: Any) -> dict[str, Any]:
    told = {
        "id": "s1",
        "day": "2026-11-22",
        "type": "long_sleep",
        "bedtime_start": "2026-11-21T23:10:00-05:00",
        "bedtime_end": "2026-11-22T06:40:00-05:00",
    }
    return {**told, **more}


def series(*items: Any, **more: Any) -> dict[str, Any]:
    told = {"interval": 300, "timestamp": "2026-11-21T23:10:00-05:00"}
    return {**told, "items": list(items), **more}


def read(*documents: Any, source: Source = Source()) -> list[Any]:
    return list(adapt({"data": list(documents)}, source, CATALOGUE))


def test_a_moment_of_which_nothing_was_measured_takes_its_time_all_the_same() -> None:
    *items, left = read(night(heart_rate=series(None, 58, None, 55)))

    assert [each.start.isoformat() for each in items] == [
        "2026-11-21T23:15:00-05:00",
        "2026-11-21T23:25:00-05:00",
    ]
    assert (left.reason, left.rejected) == ("no-value", False)
    assert "2 of its moments" in left.problem.text


@pytest.mark.parametrize("interval", [None, 0, -300, 3601, "x", 1.5])
def test_a_series_without_a_step_is_none(interval: Any) -> None:
    (item,) = read(night(heart_rate=series(58, interval=interval)))

    assert item.problem.expression == "$.data[0].heart_rate.interval"


@pytest.mark.parametrize(
    ("source", "context"),
    [
        ("rest", Context.REST),
        ("sleep", Context.ASLEEP),
        ("workout", Context.ACTIVE),
        ("awake", Context.UNKNOWN),
        ("live", Context.UNKNOWN),
        (None, Context.UNKNOWN),
    ],
)
def test_what_the_wearer_did_is_told(source: Any, context: Context) -> None:
    (sample,) = read(pulse(source=source))

    assert sample.context is context


def test_a_pulse_in_utc_says_nothing_of_the_wearers_clock() -> None:
    (anywhere,) = read(pulse())
    (placed,) = read(pulse(), source=NEW_YORK)

    assert not anywhere.local
    assert placed.local and placed.start.isoformat() == "2026-11-22T08:05:00-05:00"


def test_a_day_of_activity_goes_from_four_to_four_and_is_one_reading() -> None:
    def told(steps: int) -> Sample:
        begin = "2026-11-22T04:00:00-05:00"
        day = {"id": "a1", "day": "2026-11-22", "steps": steps, "timestamp": begin}
        (sample,) = read(day)
        assert isinstance(sample, Sample)
        return sample

    first, later = told(1520), told(6120)

    assert first.flags == Flag.DAY_TOTAL
    assert (first.end - first.start).total_seconds() == 86400
    assert identity(first) == identity(later)


def test_a_day_without_a_begin_is_its_civil_day() -> None:
    (sample,) = read({"id": "a1", "day": "2026-11-01", "steps": 5}, source=NEW_YORK)

    assert (sample.end - sample.start).total_seconds() == 25 * 3600


def saturation(told: Any) -> list[Any]:
    document = {"id": "o1", "day": "2026-11-22", "spo2_percentage": told}
    return read(document, source=NEW_YORK)


def test_a_nights_saturation_is_its_mean() -> None:
    (sample,) = saturation({"average": 97.25})

    assert (sample.value, sample.stat, sample.flags) == (
        97.25,
        Stat.MEAN,
        Flag.DAY_TOTAL,
    )


@pytest.mark.parametrize("told", [None, {}, {"average": None}, {"average": 0}])
def test_a_night_without_saturation_is_no_low_one(told: Any) -> None:
    (item,) = saturation(told)

    assert (item.reason, item.rejected) == ("no-value", False)


def test_a_saturation_of_a_kind_that_is_none_is_named() -> None:
    (item,) = saturation({"average": "high"})

    assert item.reason == "malformed"


def test_a_night_is_told_in_minutes_and_asleep() -> None:
    items = read(night(deep_sleep_duration=5400, total_sleep_duration=23400))

    assert [(each.metric, each.value) for each in items] == [
        ("deep-sleep", 90.0),
        ("time-asleep", 390.0),
    ]
    assert all(each.context is Context.ASLEEP for each in items)


def test_to_lie_still_is_no_sleep() -> None:
    (sample,) = read(night(type="rest", total_sleep_duration=1200, average_breath=15))

    assert (sample.metric, sample.context) == ("respiratory-rate", Context.REST)


def test_a_sleep_that_was_deleted_is_taken_back() -> None:
    (item,) = read(night(type="deleted", total_sleep_duration=1200))

    assert isinstance(item, Removal)
    assert item.source_id == "s1"


def test_one_document_alone_is_read_as_one_of_a_list() -> None:
    (alone,) = adapt(pulse(), Source(), CATALOGUE)
    (listed,) = read(pulse())

    assert isinstance(alone, Sample)
    assert identity(alone) == identity(listed)


def test_documents_without_a_metric_are_let_pass_and_said() -> None:
    left, sample = read({"id": "r1", "day": "2026-11-22", "score": 80}, pulse())

    assert (left.reason, left.rejected) == ("other-kind", False)
    assert sample.value == 71.0


@pytest.mark.parametrize("body", [None, [], {}, {"detail": "Not found"}])
def test_what_is_no_document_is_refused_as_a_whole(body: Any) -> None:
    with pytest.raises(Unprocessable):
        list(adapt(body, Source(), CATALOGUE))


def test_a_bad_document_is_named_and_the_good_ones_are_kept() -> None:
    bad, good = read(pulse(at="yesterday"), pulse())

    assert bad.problem.expression == "$.data[0].timestamp"
    assert good.value == 71.0
