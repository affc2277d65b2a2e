"""What the shipped rules know wearables to measure."""

from pathlib import Path

import pytest

from cds_service.rulebook.load import check_folder
from cds_service.units.formats import OWN_UNITS
from cds_service.wearables.adapters.registry import FORMATS
from cds_service.wearables.metrics import Unmeasured, measure, measure_alert

SHIPPED = check_folder(Path(__file__).parents[2] / "rules").rulebook.catalogue
LOINC = "http://loinc.org"
APART = [
    ("heart-rate-variability-sdnn", "heart-rate-variability-rmssd"),
    ("body-temperature", "wrist-temperature"),
    ("wrist-temperature", "wrist-temperature-deviation"),
    ("sensor-glucose", "capillary-glucose"),
    ("sensor-glucose", "glucose"),
    ("heart-rate", "resting-heart-rate"),
]


def read(format: str, name: str, number: float, unit: str = "") -> tuple[str, float]:
    """The metric that a format calls so, and a number of it in the metric's unit."""
    metric = SHIPPED.metric_named(format, name)
    assert metric is not None, name
    told = unit or metric.unit_of(format, name)
    return metric.name, measure(metric, number, told, OWN_UNITS[format])


def test_every_format_that_may_be_delivered_says_what_it_means_by_its_units() -> None:
    assert set(FORMATS) <= set(OWN_UNITS)


READINGS = """
open-mhealth       | heart-rate/heart_rate                         | 112 beats/min | heart-rate 112
open-mhealth       | body-temperature/body_temperature             | 98.6 F        | body-temperature 37
open-mhealth       | blood-glucose/blood_glucose/interstitial fluid | 3.2 mmol/L   | sensor-glucose 57.6512
apple-health       | HKQuantityTypeIdentifierOxygenSaturation      | 0.97 %        | oxygen-saturation 97
apple-health       | HKQuantityTypeIdentifierBodyMass              | 10 st         | body-weight 63.5029318
apple-health       | HKQuantityTypeIdentifierActiveEnergyBurned    | 2 Cal         | active-energy 2
apple-health       | HKQuantityTypeIdentifierBloodGlucose          | 5 mmol<180.1558800000541>/L | glucose 90.08
health-auto-export | blood_oxygen_saturation                       | 97 %          | oxygen-saturation 97
health-auto-export | sleep_analysis/totalSleep                     | 7.5 hr        | time-asleep 450
garmin             | bodyComps/weightInGrams                       | 71300         | body-weight 71.3
garmin             | sleeps/remSleepInSeconds                      | 5400          | rem-sleep 90
garmin             | skinTemp/avgDeviationCelsius                  | -0.4          | wrist-temperature-deviation -0.4
nightscout         | sgv                                           | 58            | sensor-glucose 58
google-fit         | com.google.blood_glucose                      | 5             | glucose 90.08
health-connect     | active_calories_burned_record_table/energy    | 250000        | active-energy 250
health-connect     | blood_glucose_record_table/level/1            | 5             | sensor-glucose 90.08
health-connect     | blood_glucose_record_table/level/5            | 0.35          | tear-glucose 6.3056
health-connect     | body_temperature_record_table/temperature/7   | 29.5          | skin-temperature 29.5
health-connect     | body_temperature_record_table/temperature/9   | 33.4          | wrist-temperature 33.4
open-mhealth       | blood-glucose/blood_glucose/tears             | 6 mg/dL       | tear-glucose 6
open-mhealth       | body-temperature/body_temperature/finger      | 30 C          | skin-temperature 30
"""  # noqa: E501


@pytest.mark.parametrize("line", READINGS.strip().splitlines())
def test_a_reading_is_kept_as_its_metric_whatever_format_it_comes_in(line: str) -> None:
    format, name, told, kept = (each.strip() for each in line.split("|"))
    number, _, unit = told.partition(" ")
    metric, value = kept.split()

    assert read(format, name, float(number), unit) == (metric, float(value))


@pytest.mark.parametrize(
    ("format", "name", "number"),
    [
        ("nightscout", "sgv", 38.9),  # an error code of the sensor
        ("apple-health", "HKQuantityTypeIdentifierHeartRate", 24.9),
        ("apple-health", "HKQuantityTypeIdentifierHeartRate", 250.1),
        ("health-connect", "oxygen_saturation_record_table/percentage", 0.97),
    ],
)
def test_what_no_device_measures_on_anybody_is_rejected(
    format: str, name: str, number: float
) -> None:
    with pytest.raises(Unmeasured) as caught:
        read(format, name, number)
    assert caught.value.reason == "implausible"


def test_of_a_share_the_range_is_told_without_a_unit() -> None:
    share = SHIPPED.alert_types["low-oxygen-saturation-at-night"]

    with pytest.raises(Unmeasured, match=r"^Must be from 0 to 1\.$"):
        measure_alert(share, 30, "1")


NO_READINGS = {"rapid-weight-gain", "low-oxygen-saturation-at-night"}
"""Types of alerts whose value is a gain, or a share of the night."""


def test_every_type_of_alerts_with_a_value_says_what_is_plausible() -> None:
    types = SHIPPED.alert_types.values()

    assert {bool(each.unit) for each in types} == {True, False}
    for each in types:
        assert (each.plausible is not None) == bool(each.unit), each.name


def test_what_is_a_reading_of_a_metric_is_a_value_of_its_alerts() -> None:
    for each in SHIPPED.alert_types.values():
        metric = SHIPPED.metrics.get(each.metric)
        if metric is not None and each.plausible and each.name not in NO_READINGS:
            low, high = each.plausible
            assert each.unit == metric.unit
            assert low <= metric.lowest and metric.highest <= high, each.name


ALERTS = """
low-heart-rate                 | -1 0 9 301 511   | 10 22 38 300
high-resting-heart-rate        | -1 0 400         | 104 250
low-oxygen-saturation          | -1 0 0.97 101 240 | 20 45 88 100
low-oxygen-saturation-at-night | -0.1 1.1 35      | 0 0.35 1
low-respiratory-rate           | -1 121 255       | 0 3 8 90
very-low-glucose               | -1 0 3.2 1001    | 10 38 53
high-blood-pressure            | -1 0 999         | 180 310
high-body-temperature          | -1 0 98.6 101.3  | 38.5 46.5
rapid-weight-gain              | -2 51 82         | 0 1.4 12
falling-steps                  | -1 250001        | 0 1200
low-cardio-fitness             | -1 0 121         | 3 24.5 97.5
"""


@pytest.mark.parametrize("line", ALERTS.strip().splitlines())
def test_an_alert_may_say_what_somebody_has_and_nothing_else(line: str) -> None:
    name, wrong, right = (each.strip() for each in line.split("|"))
    type = SHIPPED.alert_types[name]

    for number in map(float, right.split()):
        assert measure_alert(type, number, type.unit) == number
    for number in map(float, wrong.split()):
        with pytest.raises(Unmeasured) as caught:
            measure_alert(type, number, type.unit)
        assert caught.value.reason == "implausible"


@pytest.mark.parametrize("unit", ["Cel", "[degF]"])
def test_a_difference_is_never_read_as_a_temperature(unit: str) -> None:
    deviation = SHIPPED.metrics["wrist-temperature-deviation"]

    with pytest.raises(Unmeasured):
        measure(deviation, 0.4, unit)


@pytest.mark.parametrize(("one", "other"), APART)
def test_what_is_never_told_in_each_other_shares_no_code(one: str, other: str) -> None:
    first, second = SHIPPED.metrics[one], SHIPPED.metrics[other]

    assert first.codes & second.codes == frozenset()


@pytest.mark.parametrize(
    ("code", "metric"),
    [
        ("8867-4", "heart-rate"),
        ("40443-4", "resting-heart-rate"),
        ("80404-7", "heart-rate-variability-sdnn"),
        ("59408-5", "oxygen-saturation"),
        ("8480-6", "systolic-blood-pressure"),
        ("8462-4", "diastolic-blood-pressure"),
        ("99504-3", "sensor-glucose"),
        ("41653-7", "capillary-glucose"),
        ("41950-7", "steps"),
        ("55423-8", "steps"),
        ("93832-4", "time-asleep"),
    ],
)
def test_an_observation_is_known_by_its_code(code: str, metric: str) -> None:
    assert SHIPPED.metric_coded(LOINC, code) is SHIPPED.metrics[metric]


def test_a_temperature_of_the_wrist_is_none_of_the_body() -> None:
    coded = SHIPPED.metric_coded(LOINC, "8310-5")

    assert coded is SHIPPED.metrics["body-temperature"]
    assert SHIPPED.metrics["wrist-temperature"].codes == frozenset()


@pytest.mark.parametrize(
    ("event", "type"),
    [
        ("HKCategoryTypeIdentifierHighHeartRateEvent", "high-heart-rate"),
        ("HKCategoryTypeIdentifierLowHeartRateEvent", "low-heart-rate"),
        ("HKCategoryTypeIdentifierIrregularHeartRhythmEvent", "irregular-rhythm"),
        ("HKCategoryTypeIdentifierLowCardioFitnessEvent", "low-cardio-fitness"),
        ("HKCategoryTypeIdentifierHypertensionEvent", "possible-hypertension"),
        ("HKCategoryTypeIdentifierSleepApneaEvent", "possible-sleep-apnea"),
        ("HKCategoryTypeIdentifierAppleWalkingSteadinessEvent", "unsteady-walking"),
    ],
)
def test_an_event_of_an_apple_watch_is_an_alert(event: str, type: str) -> None:
    healthkit = "http://developer.apple.com/documentation/healthkit"
    known = SHIPPED.alert_types[type]

    assert SHIPPED.alert_named("apple-health", event) is known
    assert SHIPPED.alert_named("fhir", f"{healthkit}|{event}") is known


@pytest.mark.parametrize(
    "type",
    [
        "possible-hypertension",
        "possible-sleep-apnea",
        "low-cardio-fitness",
        "unsteady-walking",
    ],
)
def test_a_consent_may_name_what_a_watch_suspects(type: str) -> None:
    systems = {system for system, _ in SHIPPED.alert_types[type].codes}

    assert "http://developer.apple.com/documentation/healthkit" in systems


def test_a_watch_that_suspects_hypertension_has_measured_no_blood_pressure() -> None:
    known = SHIPPED.alert_types["possible-hypertension"]

    assert (known.metric, known.unit) == ("", "")
    assert (LOINC, "85354-9") in known.codes


def test_a_mean_of_seven_days_is_none_of_the_day_that_tells_it() -> None:
    name = "dailies/averageHeartRateInBeatsPerMinute"

    assert SHIPPED.metric_named("garmin", name) is None


def test_sums_and_what_is_at_rest_by_definition_say_so() -> None:
    metrics = SHIPPED.metrics.values()

    assert {each.name for each in metrics if each.cumulative} == {
        "steps",
        "active-energy",
        "time-asleep",
        "light-sleep",
        "deep-sleep",
        "rem-sleep",
    }
    assert {each.name for each in metrics if each.at_rest} == {"resting-heart-rate"}


def test_a_consent_to_heart_rate_is_one_to_all_that_is_told_of_it() -> None:
    named = {
        each.name
        for each in SHIPPED.metrics.values()
        if (LOINC, "8867-4") in each.consent_codes
    }

    assert named == {"heart-rate", "resting-heart-rate", "walking-heart-rate"}


@pytest.mark.parametrize(
    ("mg_per_dl", "band"),
    [
        (53, "very-low"),
        (54, "low"),
        (69, "low"),
        (70, "in-range"),
        (180, "in-range"),
        (181, "high"),
        (250, "high"),
        (251, "very-high"),
    ],
)
def test_glucose_is_in_the_range_that_the_consensus_says(
    mg_per_dl: float, band: str
) -> None:
    (found,) = [
        each.name
        for each in SHIPPED.metrics["sensor-glucose"].bands
        if each.low <= mg_per_dl < each.high
    ]

    assert found == band


@pytest.mark.parametrize(
    ("mmol_per_l", "band"),
    [(2.9, "very-low"), (3.0, "low"), (3.8, "low"), (3.9, "in-range")]
    + [(10.0, "in-range"), (10.1, "high"), (13.9, "high"), (14.0, "very-high")],
)
def test_glucose_in_moles_is_in_the_same_range(mmol_per_l: float, band: str) -> None:
    glucose = SHIPPED.metrics["sensor-glucose"]
    value = measure(glucose, mmol_per_l, "mmol/L")

    (found,) = [each.name for each in glucose.bands if each.low <= value < each.high]
    assert found == band


@pytest.mark.parametrize(("mean", "percent"), [(100, 5.7), (154, 7.0), (200, 8.1)])
def test_the_glucose_management_indicator_is_as_published(
    mean: float, percent: float
) -> None:
    """Bergenstal, Diabetes Care 2018;41:2275, table 1."""
    derived = SHIPPED.metrics["glucose-management-indicator"].derived
    assert derived is not None

    assert round(derived.of(mean), 1) == percent


@pytest.mark.parametrize(
    ("metric", "statistic", "code"),
    [
        ("heart-rate", "max", "8873-2"),
        ("resting-heart-rate", "mean", "40443-4"),
        ("steps", "total", "41950-7"),
        ("time-asleep", "total", "93832-4"),
        ("sensor-glucose", "mean", "97507-8"),
        ("sensor-glucose", "coverage", "104637-4"),
        ("sensor-glucose", "band:very-low", "104642-4"),
        ("sensor-glucose", "band:low", "104641-6"),
        ("sensor-glucose", "band:in-range", "97510-2"),
        ("sensor-glucose", "band:high", "104640-8"),
        ("sensor-glucose", "band:very-high", "104639-0"),
        ("glucose-management-indicator", "mean", "97506-0"),
    ],
)
def test_what_a_day_was_has_a_code(metric: str, statistic: str, code: str) -> None:
    assert SHIPPED.metrics[metric].summary_codes[statistic] == {(LOINC, code)}
