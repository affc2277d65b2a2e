"""Metrics and types of wearable alerts: what they are called, and by which codes."""

import math
from datetime import time, timedelta

import pytest

from cds_service.rulebook.compile.catalogue_builder import build_catalogue
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.document import Document
from cds_service.rulebook.language.source import parse_yaml
from cds_service.wearables.metrics import (
    Band,
    Catalogue,
    Derivation,
    Night,
    Unmeasured,
    measure,
    measure_alert,
)

METRICS = """
format: 1
priority: [garmin, apple-health]
metrics:
  heart-rate:
    title: Heart rate
    unit: /min
    plausible: [25, 250]
    codes: [{system: loinc, codes: [8867-4]}]
    consent: [{system: "urn:oid:2.16.840.1.113883.6.96", codes: ["364075005"]}]
    names: {apple-health: [HKQuantityTypeIdentifierHeartRate]}
    priority: [watches]
  sensor-glucose:
    title: Glucose by a sensor
    unit: mg/dL
    plausible: [39, 600]
    molar_mass: 180.16
    names:
      nightscout: [sgv]
      health-connect: [{name: level/1, unit: mmol/L}]
  steps:
    title: Steps
    unit: "{steps}"
    plausible: [0, 250000]
    cumulative: true
  resting-heart-rate:
    title: Resting heart rate
    unit: /min
    plausible: [25, 200]
    at_rest: true
"""
TYPES = """
format: 1
alert_types:
  low-heart-rate:
    title: Low heart rate
    metric: heart-rate
    unit: /min
    codes: [{system: "http://example.org/events", codes: [lowHeartRate]}]
    names: {apple-health: [HKCategoryTypeIdentifierLowHeartRateEvent]}
  low-glucose: {title: Low glucose, metric: sensor-glucose, unit: mg/dL}
  weight-gain: {title: Weight gain, unit: kg, plausible: [0, 50]}
  irregular-rhythm: {title: Irregular rhythm}
"""
DAYS = """
format: 1
night: {from: "22:00", to: "08:00", sleep_from: "18:00"}
metrics:
  sensor-glucose:
    title: Glucose by a sensor
    unit: mg/dL
    plausible: [39, 600]
    speaks_for: 450 seconds
    proves_wear: 15 minutes
    bands: {low: [null, 70], in-range: [70, 181], high: [181, null]}
    summary_codes:
      band:in-range: [{system: loinc, codes: [97510-2]}]
  gmi:
    title: Glucose management indicator
    unit: "%"
    plausible: [3, 20]
    derived: {from: sensor-glucose, summary: mean, times: 0.02, plus: 3.5}
  time-asleep:
    title: Time asleep
    unit: min
    plausible: [0, 1500]
    cumulative: true
    sleep: true
    includes: [deep-sleep]
"""
OLDER = """
format: 1
alert_types:
  low-glucose:
    title: Low glucose
    metric: glucose
    unit: mg/dL
    molar_mass: 180.16
    codes: [{system: loinc, codes: [99504-3]}]
"""
LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"


def read(text: str) -> Document:
    document = parse_yaml(text, "a.yaml", Findings())
    assert document is not None
    return document


KNOWN = build_catalogue(read(METRICS), read(TYPES))


def test_a_metric_has_its_unit_and_what_is_plausible_in_it() -> None:
    rate = KNOWN.metrics["heart-rate"]

    assert (rate.title, rate.unit, rate.lowest, rate.highest) == (
        "Heart rate",
        "/min",
        25,
        250,
    )
    assert measure(rate, 1.2, "Hz") == 72


def test_a_type_of_alerts_has_the_range_that_it_names_and_not_its_metrics() -> None:
    types = KNOWN.alert_types

    assert types["weight-gain"].plausible == (0, 50)
    assert measure_alert(types["weight-gain"], 2000, "g") == 2
    with pytest.raises(Unmeasured, match="Must be from 0 to 50 kg."):
        measure_alert(types["weight-gain"], 81, "kg")
    assert types["low-heart-rate"].plausible is None
    assert measure_alert(types["low-heart-rate"], 1, "/min") == 1


def test_a_metric_is_found_by_its_codes_and_by_what_formats_call_it() -> None:
    rate = KNOWN.metrics["heart-rate"]

    assert KNOWN.metric_coded(LOINC, "8867-4") is rate
    assert (
        KNOWN.metric_named("apple-health", "HKQuantityTypeIdentifierHeartRate") is rate
    )
    assert KNOWN.metric_coded(SNOMED, "364075005") is None


def test_a_consent_may_call_a_metric_by_its_codes_and_by_others() -> None:
    assert KNOWN.metrics["heart-rate"].consent_codes == {
        (LOINC, "8867-4"),
        (SNOMED, "364075005"),
    }


def test_numbers_without_a_unit_are_in_the_metric_s_or_in_the_one_beside_the_name() -> (
    None
):
    glucose = KNOWN.metrics["sensor-glucose"]

    assert KNOWN.metric_named("health-connect", "level/1") is glucose
    assert glucose.unit_of("health-connect", "level/1") == "mmol/L"
    assert glucose.unit_of("nightscout", "sgv") == "mg/dL"
    assert measure(glucose, 5.5, "mmol/L") == 99.088


def test_a_metric_says_whether_it_is_a_sum_or_at_rest() -> None:
    told = {
        name: (each.cumulative, each.at_rest) for name, each in KNOWN.metrics.items()
    }

    assert told == {
        "heart-rate": (False, False),
        "sensor-glucose": (False, False),
        "steps": (True, False),
        "resting-heart-rate": (False, True),
    }


def test_a_metric_without_a_priority_has_that_of_all() -> None:
    assert KNOWN.metrics["heart-rate"].priority == ("watches",)
    assert KNOWN.metrics["steps"].priority == ("garmin", "apple-health")


def test_a_consent_may_call_an_alert_what_it_may_call_its_metric() -> None:
    assert KNOWN.alert_types["low-heart-rate"].codes == {
        ("http://example.org/events", "lowHeartRate"),
        (LOINC, "8867-4"),
        (SNOMED, "364075005"),
    }
    assert KNOWN.alert_types["irregular-rhythm"].codes == frozenset()


def test_an_alert_is_converted_by_the_molar_mass_of_its_metric() -> None:
    assert KNOWN.alert_types["low-glucose"].molar_mass == 180.16
    assert KNOWN.alert_types["low-heart-rate"].molar_mass == 0


def test_an_alert_is_found_by_what_a_format_calls_it() -> None:
    name = "HKCategoryTypeIdentifierLowHeartRateEvent"

    assert (
        KNOWN.alert_named("apple-health", name) is KNOWN.alert_types["low-heart-rate"]
    )
    assert KNOWN.alert_named("fhir", name) is None


def test_a_folder_without_metrics_has_alerts_all_the_same() -> None:
    known = build_catalogue(None, read(OLDER))

    assert known.metrics == {}
    assert known.alert_types["low-glucose"].codes == {(LOINC, "99504-3")}
    assert known.alert_types["low-glucose"].molar_mass == 180.16


def test_without_files_nothing_is_known() -> None:
    assert build_catalogue(None, None) == Catalogue()


def test_a_metric_says_what_a_day_of_it_is() -> None:
    known = build_catalogue(read(DAYS), None)
    glucose, asleep = known.metrics["sensor-glucose"], known.metrics["time-asleep"]

    assert glucose.speaks_for == timedelta(minutes=7, seconds=30)
    assert glucose.proves_wear == timedelta(minutes=15)
    assert glucose.bands == (
        Band("low", -math.inf, 70),
        Band("in-range", 70, 181),
        Band("high", 181, math.inf),
    )
    assert glucose.summary_codes == {"band:in-range": {(LOINC, "97510-2")}}
    assert (asleep.sleep, asleep.includes) == (True, ("deep-sleep",))
    assert (asleep.speaks_for, asleep.proves_wear, asleep.bands) == (None, None, ())


def test_a_metric_follows_from_the_day_of_another() -> None:
    derived = build_catalogue(read(DAYS), None).metrics["gmi"].derived

    assert derived == Derivation("sensor-glucose", "mean", 0.02, 3.5)
    assert derived.of(150) == 6.5


def test_when_it_is_night_is_content() -> None:
    known = build_catalogue(read(DAYS), None)

    assert known.night == Night(time(22), time(8), time(18))
    assert KNOWN.night is None


def test_codes_of_one_thing_stand_in_the_order_of_their_systems() -> None:
    outputs = """
format: 1
systems: ["http://example.org/first", loinc]
categories: {vital-signs: [{system: "http://example.org/c", codes: [vital-signs]}]}
metrics:
  heart-rate: {categories: [vital-signs], unit_text: beats/minute}
  nobody-knows-it: {}
"""
    metrics = METRICS.replace(
        "codes: [{system: loinc, codes: [8867-4]}]",
        "codes: [{system: loinc, codes: [8867-4]},"
        ' {system: "http://example.org/first", codes: [z]},'
        ' {system: "http://example.org/a", codes: [a]}]',
    )
    documents = [parse_yaml(each, "a.yaml", Findings()) for each in (metrics, outputs)]
    told = build_catalogue(documents[0], None, documents[1]).outputs

    assert told.metrics["heart-rate"].codes == (
        ("http://example.org/first", "z"),
        ("http://loinc.org", "8867-4"),
        ("http://example.org/a", "a"),
    )
    assert list(told.metrics) == ["heart-rate"]
    assert told.categories["vital-signs"].codes == (
        ("http://example.org/c", "vital-signs"),
    )
