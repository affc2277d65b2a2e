"""Nightscout: entries, with their error codes and their clocks."""

from typing import Any

import pytest

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.nightscout import adapt
from cds_service.wearables.samples import Device, LeftOut, Removal

from .sources import CATALOGUE, Source, identity

AT = 1795352700000
"""2026-11-22T13:05:00Z."""


def entry(**told: Any) -> dict[str, Any]:
    return {"type": "sgv", "sgv": 112, "date": AT, "device": "uploader", **told}


def read(body: Any, source: Source = Source()) -> list[Any]:
    return list(adapt(body, source, CATALOGUE))


@pytest.mark.parametrize("code", [0, 5, 9, 12, 38, "10", "38.9", "Low", "HIGH"])
def test_an_error_code_of_the_sensor_is_no_low_glucose(code: Any) -> None:
    (item,) = read(entry(sgv=code))

    assert isinstance(item, LeftOut)
    assert (item.reason, item.rejected) == ("sentinel", False)


@pytest.mark.parametrize("told", [39, "39", 39.0, " 39 "])
def test_the_lowest_that_a_sensor_tells_is_a_reading(told: Any) -> None:
    (sample,) = read(entry(sgv=told))

    assert (sample.metric, sample.value) == ("sensor-glucose", 39.0)


def test_a_low_glucose_in_mmol_is_no_error_code() -> None:
    (sample,) = read(entry(sgv=2.9, units="mmol"))

    assert sample.value == 52.2464


def test_a_meter_may_tell_less_than_a_sensor() -> None:
    (sample,) = read({"type": "mbg", "mbg": 31, "date": AT})

    assert (sample.metric, sample.value) == ("capillary-glucose", 31.0)


def test_all_sent_anew_in_another_time_zone_is_the_same() -> None:
    first, second = read(
        [
            entry(_id="a", dateString="2026-11-22T08:05:00.000-0500"),
            entry(_id="b", dateString="2026-11-22T14:05:00.000+0100"),
        ]
    )

    assert identity(first) == identity(second)
    assert first.start == second.start


@pytest.mark.parametrize(
    ("told", "start", "local"),
    [
        ({"dateString": "2026-11-22T08:05:00.000-0500"}, "08:05:00-05:00", True),
        ({"utcOffset": -300}, "08:05:00-05:00", True),
        (
            {"dateString": "2026-11-22T13:05:00.000Z", "utcOffset": 0},
            "13:05:00+00:00",
            False,
        ),
        ({"dateString": "2026-11-22T13:05:00.000+0000"}, "13:05:00+00:00", True),
        ({"utcOffset": 9999}, "13:05:00+00:00", False),
        (
            {"date": None, "dateString": "2026-11-22T08:05:00-05:00"},
            "08:05:00-05:00",
            True,
        ),
    ],
)
def test_an_offset_of_zero_that_the_server_made_tells_no_clock(
    told: dict[str, Any], start: str, local: bool
) -> None:
    (sample,) = read(entry(**told))

    assert sample.start.isoformat() == f"2026-11-22T{start}"
    assert sample.local is local


def test_the_zone_of_the_source_tells_the_clock_where_nothing_else_does() -> None:
    (sample,) = read(entry(), Source(time_zone="America/New_York"))

    assert (sample.start.isoformat(), sample.local) == (
        "2026-11-22T08:05:00-05:00",
        True,
    )


def test_what_was_deleted_on_the_server_is_taken_back() -> None:
    (item,) = read(entry(isValid=False, srvModified=AT + 1))

    assert isinstance(item, Removal)
    assert (item.metric, item.start, item.revision) == (
        "sensor-glucose",
        item.end,
        AT + 1,
    )


def test_an_entry_comes_alone_listed_or_as_a_result() -> None:
    for body in (entry(), [entry()], {"status": 200, "result": [entry()]}):
        assert len(read(body)) == 1
    assert read([]) == []


@pytest.mark.parametrize("body", [None, "x", {}, {"sgv": 112}, {"result": 7}])
def test_what_holds_no_entries_is_refused_as_a_whole(body: Any) -> None:
    with pytest.raises(Unprocessable):
        read(body)


@pytest.mark.parametrize("type", [None, ["sgv"], "cal", "etc"])
def test_an_entry_of_no_metric_is_let_pass_and_said(type: Any) -> None:
    (item,) = read(entry(type=type))

    assert (item.reason, item.rejected) == ("other-kind", False)


def test_the_device_is_told_so_that_a_link_can_name_it() -> None:
    (sample,) = read(entry(device="xDrip-DexcomG5"))

    assert sample.device == Device("xDrip-DexcomG5", "xDrip-DexcomG5")
