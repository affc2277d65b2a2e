"""Dexcom: estimated glucose values and alerts."""

from typing import Any

import pytest

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.clouds.dexcom import adapt
from cds_service.wearables.samples import Flag, Notice

from ..sources import CATALOGUE, Source, identity


def value(told: Any, **more: Any) -> dict[str, Any]:
    record = {
        "recordId": "e1",
        "systemTime": "2026-11-22T13:05:00",
        "displayTime": "2026-11-22T08:05:00",
        "transmitterId": "8a1f",
        "transmitterTicks": 64309839,
        "value": told,
        "status": "ok",
        "unit": "mg/dL",
    }
    return {**record, **more}


def read(*records: Any, type: Any = "egv", source: Source = Source()) -> list[Any]:
    body = {"recordType": type, "recordVersion": "3.0", "records": list(records)}
    return list(adapt(body, source, CATALOGUE))


@pytest.mark.parametrize("system", ["2026-11-22T13:05:00", "2026-11-22T13:05:00Z"])
def test_the_time_of_the_system_is_utc_though_nothing_says_so(system: str) -> None:
    (sample,) = read(value(112, systemTime=system, displayTime=None))

    assert sample.start.isoformat() == "2026-11-22T13:05:00+00:00"
    assert not sample.local


@pytest.mark.parametrize(
    ("shown", "start"),
    [
        ("2026-11-22T08:05:00-05:00", "2026-11-22T08:05:00-05:00"),
        ("2026-11-22T08:05:00", "2026-11-22T08:05:00-05:00"),
        ("2026-11-22T18:50:00", "2026-11-22T18:50:00+05:45"),
    ],
)
def test_the_wearers_clock_is_what_the_display_showed(shown: str, start: str) -> None:
    (sample,) = read(value(112, displayTime=shown))

    assert (sample.start.isoformat(), sample.local) == (start, True)


@pytest.mark.parametrize(
    "shown", ["2026-11-22T08:07:31", "2026-11-24T13:05:00", "2026-11-22", 8, None]
)
def test_a_display_that_goes_wrong_tells_no_clock(shown: Any) -> None:
    (sample,) = read(value(112, displayTime=shown))

    assert not sample.local


@pytest.mark.parametrize(
    ("status", "told", "bound", "flag"),
    [
        ("low", 39, 40.0, Flag.BELOW),
        ("low", None, 40.0, Flag.BELOW),
        ("LOW", 12, 40.0, Flag.BELOW),
        ("high", 401, 400.0, Flag.ABOVE),
        ("high", None, 400.0, Flag.ABOVE),
    ],
)
def test_what_is_beyond_the_sensor_is_a_bound_and_no_number(
    status: str, told: Any, bound: float, flag: Flag
) -> None:
    (sample,) = read(value(told, status=status))

    assert (sample.value, sample.unit, sample.flags) == (bound, "mg/dL", flag)


@pytest.mark.parametrize("status", ["ok", "unknown", None, 7])
def test_a_value_of_any_other_status_is_a_reading(status: Any) -> None:
    (sample,) = read(value(112, status=status))

    assert (sample.value, sample.flags) == (112.0, Flag(0))


@pytest.mark.parametrize("told", [5, 38, "12"])
def test_a_code_of_the_sensor_is_no_low_glucose(told: Any) -> None:
    (item,) = read(value(told))

    assert (item.reason, item.rejected) == ("sentinel", False)


def test_no_value_is_none() -> None:
    (item,) = read(value(None))

    assert (item.reason, item.rejected) == ("no-value", False)


@pytest.mark.parametrize("unit", [None, "", "unknown", "mg/dl"])
def test_a_number_without_a_unit_is_in_milligrams(unit: Any) -> None:
    (sample,) = read(value(112, unit=unit))

    assert sample.value == 112.0


def test_a_number_in_millimoles_is_converted() -> None:
    (sample,) = read(value(6.2, unit="mmol/L"))

    assert sample.value == pytest.approx(111.6992)


def test_one_in_millimoles_that_has_lost_its_unit_is_not_mistaken() -> None:
    (item,) = read(value(6.2, unit=None))

    assert item.reason == "sentinel"


def test_a_value_that_was_smoothed_holds_instead_of_the_one_before() -> None:
    (before,), (after,) = read(value(112)), read(value(115))

    assert identity(before) == identity(after)


def test_a_record_without_an_id_is_known_by_what_the_transmitter_counts() -> None:
    (first,) = read(value(112, recordId=None))
    (again,) = read(value(115, recordId=None))
    (other,) = read(value(115, recordId=None, transmitterTicks=64309840))

    assert identity(first) == identity(again) != identity(other)


def alert(name: Any, state: Any, minute: int) -> dict[str, Any]:
    at = f"2026-11-22T13:{minute:02}:00"
    return {"alertName": name, "alertState": state, "systemTime": at}


def test_an_alert_lasts_until_it_is_inactive_in_whatever_order_that_is_told() -> None:
    (notice,) = read(
        alert("urgentLow", "inactive", 25),
        alert("urgentLow", "activeAlarming", 10),
        alert("urgentLow", "activeSnoozed", 15),
        type="alert",
    )

    assert isinstance(notice, Notice)
    assert notice.type == "very-low-glucose"
    assert notice.start.isoformat() == "2026-11-22T13:10:00+00:00"
    assert notice.end and notice.end.isoformat() == "2026-11-22T13:25:00+00:00"


def test_an_alert_of_which_no_end_is_told_is_not_taken_to_last() -> None:
    (sounding,) = read(alert("low", "activeAlarming", 10), type="alert")

    assert sounding.end == sounding.start


def test_the_end_that_is_told_later_holds() -> None:
    begin, end = alert("low", "activeAlarming", 10), alert("low", "inactive", 30)

    (sounding,), (over,) = read(begin, type="alert"), read(begin, end, type="alert")

    assert sounding.id == over.id
    assert sounding.revision < over.revision


def test_two_alerts_of_one_kind_are_two() -> None:
    items = read(
        alert("low", "activeAlarming", 10),
        alert("low", "inactive", 20),
        alert("low", "activeAlarming", 40),
        alert("high", "activeAlarming", 50),
        type="alert",
    )

    assert [each.type for each in items] == [
        "low-glucose",
        "low-glucose",
        "high-glucose",
    ]
    assert len({each.id for each in items}) == 3


@pytest.mark.parametrize("name", ["rise", "fall", "outOfRange", "noReadings", None, []])
def test_an_alert_of_another_kind_is_let_pass_and_said(name: Any) -> None:
    (item,) = read(alert(name, "activeAlarming", 10), type="alert")

    assert (item.reason, item.rejected) == ("other-kind", False)


def test_that_one_is_over_of_which_nothing_was_told_is_no_alert() -> None:
    (item,) = read(alert("low", "inactive", 10), type="alert")

    assert item.reason == "no-value"


@pytest.mark.parametrize("type", ["calibration", "device", 7, []])
def test_records_of_another_kind_are_let_pass_and_said(type: Any) -> None:
    (item,) = read(value(112), type=type)

    assert (item.reason, item.problem.expression) == ("other-kind", "$.recordType")


@pytest.mark.parametrize("body", [None, [], {}, {"fault": {}}])
def test_what_has_no_records_is_refused_as_a_whole(body: Any) -> None:
    with pytest.raises(Unprocessable):
        list(adapt(body, Source(), CATALOGUE))


@pytest.mark.parametrize(
    "system", [None, 7, "13:05", "2026-11-22", "0001-01-01T00:00:00+14:00"]
)
def test_a_record_at_no_time_is_named_and_the_good_ones_are_kept(system: Any) -> None:
    bad, good = read(value(112, systemTime=system), value(113, recordId="e2"))

    assert (bad.reason, bad.problem.expression) == ("time", "$.records[0].systemTime")
    assert good.value == 113.0
