"""What leaves as FHIR: episodes, days and readings as Observations."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.fhir.models import check_resource
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.outputs.observations import (
    OutputFrame,
    day_observations,
    episode_observation,
    reading_observation,
    taken_back,
)
from cds_service.wearables.records import WearableAlert
from cds_service.wearables.samples import Device, Flag, KeptSample, Sample, Stat
from cds_service.wearables.summaries import DaySummary

from .things import FRAME, LATER, NAMING, PATIENT, SHIPPED, a_day, an_episode

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
PA = "http://hl7.org/fhir/us/physical-activity"
PHR = "http://hl7.org/fhir/uv/phr/CodeSystem/observation-pghd-codes"
APPLE = "http://developer.apple.com/documentation/healthkit"
STATISTIC = "http://terminology.hl7.org/CodeSystem/observation-statistics"
MDC = "urn:iso:std:iso:11073:10101"


def of_episode(status: str = "final", **changed: Any) -> dict[str, Any]:
    return episode_observation(an_episode(**changed), ("episode", "k"), status, FRAME)


def of_day(day: DaySummary, now: datetime = LATER) -> dict[str, dict[str, Any]]:
    return day_observations(day, ("day", "k"), "final", FRAME, now)


def coded(resource: dict[str, Any], system: str) -> list[str]:
    return [
        each["code"] for each in resource["code"]["coding"] if each["system"] == system
    ]


def test_an_episode_is_told_by_hl7s_event_code_then_apples_then_ours_and_in_words() -> (
    None
):
    told = of_episode()

    assert told["code"] == {
        "coding": [
            {"system": PHR, "code": "highHeartRateEvent"},
            {"system": APPLE, "code": "HKCategoryTypeIdentifierHighHeartRateEvent"},
            {"system": "https://cds.example.org/alert-type", "code": "high-heart-rate"},
        ],
        "text": "High heart rate while inactive",
    }
    assert told["category"] == [
        {"coding": [{"system": CATEGORY, "code": "vital-signs"}]}
    ]


def test_an_episode_tells_its_limit_its_peak_its_median_and_what_it_rests_on() -> None:
    parts = {
        each["code"]["text"]: each.get("valueQuantity") or each["valueInteger"]
        for each in of_episode()["component"]
    }
    beats = {"unit": "beats/minute", "system": UCUM, "code": "/min"}

    assert parts == {
        "limit of the alert": {"value": 120, **beats},
        "Heart rate, highest": {"value": 131, **beats},
        "Heart rate, median": {"value": 126, **beats},
        "share of the time that readings speak for": {
            "value": 92,
            "unit": "%",
            "system": UCUM,
            "code": "%",
        },
        "number of readings": 12,
    }


def test_the_peak_is_coded_as_what_was_measured_and_as_the_highest_of_it() -> None:
    peak = of_episode()["component"][1]

    assert peak["code"]["coding"] == [
        {"system": LOINC, "code": "8867-4"},
        {"system": MDC, "code": "147842"},
        {"system": STATISTIC, "code": "maximum"},
    ]


def test_what_is_not_known_of_an_episode_is_left_out() -> None:
    told = of_episode(
        value=None, threshold=None, median=None, coverage=None, n=None, detector=""
    )

    assert "component" not in told
    assert "method" not in told
    assert "valueQuantity" not in told
    assert check_resource(told) == []


def test_an_episode_is_told_in_the_offset_of_the_wearers_clock() -> None:
    assert of_episode()["effectivePeriod"] == {
        "start": "2026-11-22T08:00:00-05:00",
        "end": "2026-11-22T08:12:00-05:00",
    }


def test_where_no_clock_is_known_an_episode_is_told_in_utc() -> None:
    assert of_episode(local=False)["effectivePeriod"] == {
        "start": "2026-11-22T13:00:00Z",
        "end": "2026-11-22T13:12:00Z",
    }


def test_an_episode_that_lasts_has_no_end() -> None:
    assert of_episode(end=None, status="final")["effectivePeriod"] == {
        "start": "2026-11-22T08:00:00-05:00"
    }


def test_a_notice_of_one_moment_is_of_that_moment() -> None:
    at = an_episode().start
    told = of_episode(end=at)

    assert told["effectiveDateTime"] == "2026-11-22T08:00:00-05:00"
    assert "effectivePeriod" not in told


def test_an_offset_of_seconds_which_fhir_cannot_write_is_told_in_utc() -> None:
    at = datetime.fromisoformat("2026-11-22T08:00:00+00:19:32")

    assert of_episode(start=at, end=None)["effectivePeriod"] == {
        "start": "2026-11-22T07:40:28Z"
    }


@pytest.mark.parametrize("status", ["final", "amended", "entered-in-error"])
def test_an_episode_keeps_its_id_whatever_becomes_of_it(status: str) -> None:
    first, now = of_episode(), of_episode(status, value=140.0, end=None)

    assert now["status"] == status
    assert (now["id"], now["identifier"]) == (first["id"], first["identifier"])
    assert check_resource(now) == []


def test_neither_the_id_nor_the_identifier_tells_whose_it_is_or_what() -> None:
    told = of_episode()

    assert told["identifier"] == [
        {"system": "https://cds.example.org/observation", "value": told["id"]}
    ]
    assert told["id"] == "3a4df76d-d253-5fce-aab9-f9d2a0a18518"


def test_an_event_of_a_patient_is_about_that_patient_and_by_their_device() -> None:
    told = of_episode()

    assert told["subject"] == {"reference": "Patient/123"}
    assert told["performer"] == [{"reference": "Patient/123"}]
    assert told["device"] == {"reference": "Device/watch-1", "display": "Watch"}


def test_without_a_device_none_is_named() -> None:
    frame = OutputFrame(PATIENT, NAMING, SHIPPED)
    told = episode_observation(an_episode(device=""), ("e",), "final", frame)

    assert "device" not in told
    assert check_resource(told) == []


def test_an_irregular_rhythm_is_an_event_without_a_number() -> None:
    told = of_episode(
        type="irregular-rhythm", metric="", value=None, unit="", threshold=None,
        median=None, origin="vendor", detector="", stat="",
    )  # fmt: skip

    assert coded(told, PHR) == ["irregularHeartRhythmEvent"]
    assert [each["code"]["text"] for each in told["component"]] == [
        "share of the time that readings speak for",
        "number of readings",
    ]


@pytest.mark.parametrize("type", sorted(SHIPPED.alert_types))
def test_every_shipped_type_of_alert_holds_to_fhir(type: str) -> None:
    known = SHIPPED.alert_types[type]
    told = of_episode(type=type, metric=known.metric, unit=known.unit)

    assert told["code"]["text"] == known.title
    assert check_resource(told) == []


def test_a_site_that_says_nothing_of_what_leaves_tells_alerts_by_their_names() -> None:
    frame = OutputFrame(PATIENT, NAMING, Catalogue())
    told = episode_observation(an_episode(), ("e",), "final", frame)

    assert told["code"]["text"] == "high-heart-rate"
    assert day_observations(a_day(), ("d",), "final", frame, LATER) == {}
    assert check_resource(told) == []


# Days


def test_steps_of_a_day_hold_to_the_physical_activity_profile() -> None:
    (told,) = of_day(a_day(worn=1310.4)).values()

    assert told["meta"]["profile"] == [
        f"{PA}/StructureDefinition/pa-observation-time-measure"
    ]
    assert told["category"] == [
        {"coding": [{"system": CATEGORY, "code": "activity"}]},
        {
            "coding": [
                {
                    "system": f"{PA}/CodeSystem/pa-temporary-codes",
                    "code": "PhysicalActivity",
                }
            ]
        },
    ]
    assert told["code"] == {
        "coding": [{"system": LOINC, "code": "41950-7"}],
        "text": "Steps of the day",
    }
    assert told["valueQuantity"] == {
        "value": 6120,
        "unit": "steps per day",
        "system": UCUM,
        "code": "/d",
    }
    assert told["component"] == [
        {
            "code": {
                "coding": [
                    {
                        "system": f"{PA}/CodeSystem/pa-temporary-codes",
                        "code": "DeviceActivePercentage",
                    }
                ],
                "text": "share of the day for which a device was worn",
            },
            "valueQuantity": {"value": 91, "unit": "%", "system": UCUM, "code": "%"},
        }
    ]
    assert told["performer"] == [{"reference": "Patient/123"}]
    assert check_resource(told) == []


@pytest.mark.parametrize(
    ("day", "start", "end"),
    [
        ("2026-11-21", "2026-11-21T00:00:00-05:00", "2026-11-21T23:59:59-05:00"),
        # 25 hours, and 23.
        ("2026-11-01", "2026-11-01T00:00:00-04:00", "2026-11-01T23:59:59-05:00"),
        ("2026-03-08", "2026-03-08T00:00:00-05:00", "2026-03-08T23:59:59-04:00"),
    ],
)
def test_a_day_is_as_long_as_it_was_by_the_wearers_clock(
    day: str, start: str, end: str
) -> None:
    (told,) = of_day(a_day(day=day)).values()

    assert told["effectivePeriod"] == {"start": start, "end": end}


def test_a_day_of_a_zone_that_nobody_knows_is_a_date() -> None:
    (told,) = of_day(a_day(zone="Mars/Olympus")).values()

    assert told["effectivePeriod"] == {"start": "2026-11-21", "end": "2026-11-21"}
    assert check_resource(told) == []


def test_nothing_is_told_of_a_day_before_it_is_over_where_the_wearer_is() -> None:
    before = datetime(2026, 11, 22, 4, 59, 59, tzinfo=UTC)
    after = before + timedelta(seconds=1)

    assert of_day(a_day(), before) == {}
    assert list(of_day(a_day(), after)) == ["total"]


def test_a_value_that_the_day_has_not_is_not_told() -> None:
    assert of_day(a_day(total=None)) == {}


def test_no_steps_are_nought_steps() -> None:
    (told,) = of_day(a_day(total=0.0)).values()

    assert told["valueQuantity"]["value"] == 0


def test_a_metric_whose_days_nobody_takes_is_not_told() -> None:
    assert of_day(a_day("wrist-temperature", mean=34.0)) == {}


def test_a_night_of_what_is_told_by_the_day_is_not_told() -> None:
    assert of_day(a_day("heart-rate", part="night", max=88.0)) == {}


def test_time_asleep_is_told_of_the_time_from_falling_asleep_to_waking() -> None:
    night = a_day(
        "time-asleep", part="night", total=431.5,
        first=datetime(2026, 11, 21, 4, 10, tzinfo=UTC),
        last=datetime(2026, 11, 21, 12, 2, 30, tzinfo=UTC),
    )  # fmt: skip
    (told,) = of_day(night).values()

    assert told["effectivePeriod"] == {
        "start": "2026-11-20T23:10:00-05:00",
        "end": "2026-11-21T07:02:30-05:00",
    }
    assert told["valueQuantity"] == {
        "value": 431.5,
        "unit": "minutes",
        "system": UCUM,
        "code": "min",
    }
    assert coded(told, LOINC) == ["93832-4"]
    assert check_resource(told) == []


def test_a_day_of_sensor_glucose_is_mean_times_in_ranges_and_sensor_time() -> None:
    bands = {
        "very-low": 0.0, "low": 12.0, "in-range": 1000.0, "high": 180.0,
        "very-high": 8.0,
    }  # fmt: skip
    told = of_day(
        a_day("sensor-glucose", mean=152.34567, covered=1200.0, bands=bands, worn=None)
    )

    assert {name: coded(each, LOINC) for name, each in told.items()} == {
        "mean": ["97507-8"],
        "bands": ["106793-3"],
        "coverage": ["104637-4"],
    }
    assert told["mean"]["valueQuantity"] == {
        "value": 152.3457,
        "unit": "mg/dl",
        "system": UCUM,
        "code": "mg/dL",
    }
    assert "valueQuantity" not in told["bands"]
    assert [
        (each["code"]["coding"][0]["code"], each["valueQuantity"]["value"])
        for each in told["bands"]["component"]
    ] == [
        ("104642-4", 0),
        ("104641-6", 1),
        ("97510-2", 83.3333),
        ("104640-8", 15),
        ("104639-0", 0.6667),
    ]
    assert told["coverage"]["valueQuantity"]["value"] == 83.3333
    assert [check_resource(each) for each in told.values()] == [[], [], []]


def test_of_a_day_that_no_reading_speaks_for_no_times_in_ranges_are_told() -> None:
    told = of_day(a_day("sensor-glucose", mean=152.0, covered=0.0, bands={"low": 0.0}))

    assert list(told) == ["mean", "coverage"]


def test_each_value_of_a_day_has_an_id_of_its_own_that_stays() -> None:
    one = of_day(a_day("sensor-glucose", mean=152.0, covered=600.0))
    other = of_day(a_day("sensor-glucose", mean=99.0, covered=601.0, version=2))

    assert one["mean"]["id"] == other["mean"]["id"]
    assert one["mean"]["id"] != one["coverage"]["id"]


def test_what_is_taken_back_stands_as_entered_in_error_under_its_id() -> None:
    (told,) = of_day(a_day()).values()
    gone = taken_back(told)

    assert gone == told | {"status": "entered-in-error"}
    assert check_resource(gone) == []


# Readings


def a_reading(metric: str, value: float, unit: str, **changed: Any) -> dict[str, Any]:
    at = datetime.fromisoformat("2026-11-22T08:05:00-05:00")
    told: dict[str, Any] = {"start": at, "end": at, "local": True}
    sample = Sample(metric, value, unit, **told | changed)
    kept = KeptSample(sample, "phones", 3, LATER)
    return reading_observation(kept, sample.key, FRAME)


def test_a_heart_rate_holds_to_the_core_profile() -> None:
    told = a_reading("heart-rate", 112.0, "/min")

    assert told["meta"]["profile"] == [
        "http://hl7.org/fhir/StructureDefinition/heartrate"
    ]
    assert coded(told, LOINC) == ["8867-4"]
    assert told["effectiveDateTime"] == "2026-11-22T08:05:00-05:00"
    assert told["valueQuantity"] == {
        "value": 112,
        "unit": "beats/minute",
        "system": UCUM,
        "code": "/min",
    }
    assert check_resource(told) == []


def test_a_mean_over_some_minutes_claims_no_profile_of_a_moment() -> None:
    at = datetime(2026, 11, 22, 13, tzinfo=UTC)
    mean = a_reading(
        "heart-rate", 80.0, "/min", stat=Stat.MEAN, end=at + timedelta(minutes=10)
    )

    assert "meta" not in mean
    assert "meta" in a_reading("heart-rate", 80.0, "/min")


def test_an_oxygen_saturation_has_both_codes_that_the_core_profile_wants() -> None:
    told = a_reading("oxygen-saturation", 97.0, "%")

    assert coded(told, LOINC) == ["2708-6", "59408-5"]


@pytest.mark.parametrize(("flag", "sign"), [(Flag.BELOW, "<"), (Flag.ABOVE, ">")])
def test_a_bound_is_told_as_a_bound(flag: Flag, sign: str) -> None:
    told = a_reading("sensor-glucose", 40.0, "mg/dL", flags=flag)

    assert told["valueQuantity"] == {
        "value": 40,
        "comparator": sign,
        "unit": "mg/dl",
        "system": UCUM,
        "code": "mg/dL",
    }
    assert check_resource(told) == []


def test_a_glucose_in_milligrams_has_no_code_of_moles() -> None:
    assert coded(a_reading("sensor-glucose", 99.0, "mg/dL"), LOINC) == ["99504-3"]


def test_steps_of_some_minutes_are_not_steps_of_a_day() -> None:
    at = datetime(2026, 11, 22, 13, tzinfo=UTC)
    told = a_reading(
        "steps", 312.0, "{steps}", stat=Stat.TOTAL,
        start=at, end=at + timedelta(minutes=5), local=False,
    )  # fmt: skip

    assert coded(told, LOINC) == ["55423-8"]
    assert told["effectivePeriod"] == {
        "start": "2026-11-22T13:00:00Z",
        "end": "2026-11-22T13:05:00Z",
    }
    assert told["valueQuantity"]["unit"] == "steps"


def test_of_several_readings_it_is_told_which_value_it_is() -> None:
    told = a_reading("heart-rate", 131.0, "/min", stat=Stat.MAX)

    assert told["code"]["text"] == "Heart rate, highest"
    assert coded(told, STATISTIC) == ["maximum"]


def test_how_a_reading_came_about_that_no_device_measured_is_told() -> None:
    told = a_reading("body-weight", 80.0, "kg", flags=Flag.MANUAL | Flag.ESTIMATED)

    assert told["method"] == {
        "text": "typed by a person, worked out by the vendor from something else"
    }


def test_two_devices_that_measure_at_one_moment_make_two_observations() -> None:
    one = a_reading("heart-rate", 70.0, "/min", device=Device("1"))
    other = a_reading("heart-rate", 70.0, "/min", device=Device("2"))

    assert one["id"] != other["id"]


@pytest.mark.parametrize("metric", sorted(SHIPPED.metrics))
def test_a_reading_of_every_shipped_metric_holds_to_fhir(metric: str) -> None:
    known = SHIPPED.metrics[metric]

    assert check_resource(a_reading(metric, known.lowest, known.unit)) == []


def test_a_vendors_alert_has_no_detector_for_its_method() -> None:
    vendor: WearableAlert = an_episode(origin="vendor", detector="")

    assert "method" not in episode_observation(vendor, ("e",), "final", FRAME)
    assert of_episode()["method"] == {"text": "sustained-high-heart-rate"}
