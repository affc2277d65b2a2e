"""What Apple Health exports, as samples and notices."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from cds_service.wearables.adapters.apple_health import (
    adapt_ecg,
    adapt_element,
    telling,
)
from cds_service.wearables.metrics import Catalogue, Metric
from cds_service.wearables.records import AlertType
from cds_service.wearables.samples import (
    Context,
    Device,
    Flag,
    Item,
    LeftOut,
    Notice,
    Sample,
    Stat,
)

FIVE_BEHIND = timezone(-timedelta(hours=5))


def known(name: str, unit: str, low: float, high: float, apple: str) -> Metric:
    cumulative = name in ("steps", "time-asleep")
    names = {"apple-health": frozenset({apple})}
    return Metric(name, name, unit, low, high, names=names, cumulative=cumulative)


METRICS = [
    known("heart-rate", "/min", 25, 250, "HKQuantityTypeIdentifierHeartRate"),
    known(
        "oxygen-saturation", "%", 50, 100, "HKQuantityTypeIdentifierOxygenSaturation"
    ),
    known("steps", "{steps}", 0, 50_000, "HKQuantityTypeIdentifierStepCount"),
    known("body-weight", "kg", 2, 400, "HKQuantityTypeIdentifierBodyMass"),
    known(
        "time-asleep",
        "min",
        0,
        1440,
        "HKCategoryTypeIdentifierSleepAnalysis/HKCategoryValueSleepAnalysisAsleepREM",
    ),
]
EVENTS = [
    AlertType(
        "low-heart-rate",
        "Low",
        unit="/min",
        names={
            "apple-health": frozenset({"HKCategoryTypeIdentifierLowHeartRateEvent"})
        },
        plausible=(10, 300),
    ),
    AlertType(
        "low-cardio-fitness",
        "Low fitness",
        unit="mL/min/kg",
        names={
            "apple-health": frozenset({"HKCategoryTypeIdentifierLowCardioFitnessEvent"})
        },
        plausible=(1, 120),
    ),
    AlertType(
        "irregular-rhythm",
        "Irregular",
        names={"apple-health": frozenset({"HKElectrocardiogram/Atrial Fibrillation"})},
    ),
]
CATALOGUE = Catalogue(
    {each.name: each for each in METRICS}, {each.name: each for each in EVENTS}
)
TIMES = (
    'startDate="2026-11-22 08:05:00 -0500" endDate="2026-11-22 08:05:00 -0500"'
    ' creationDate="2026-11-22 08:06:01 -0500"'
)
WATCH = (
    'device="&lt;&lt;HKDevice: 0x1&gt;, name:Apple Watch, manufacturer:Apple Inc.,'
    ' model:Watch, hardware:Watch7,5, software:26.1&gt;"'
)


def record(type: str, rest: str, times: str = TIMES, inside: str = "") -> str:
    return f'<Record type="{type}" sourceName="Watch" {times} {rest}>{inside}</Record>'


def adapt(*records: str) -> list[Item]:
    text = f"<HealthData>{''.join(records)}</HealthData>"
    return [adapt_element(each, CATALOGUE) for each in telling([text.encode()])]


def only(*records: str) -> Sample:
    (item,) = adapt(*records)
    assert isinstance(item, Sample)
    return item


def heart_rate(rest: str = "", inside: str = "", times: str = TIMES) -> str:
    type = "HKQuantityTypeIdentifierHeartRate"
    return record(type, f'unit="count/min" value="112" {rest}', times, inside)


def metadata(key: str, value: str) -> str:
    return f'<MetadataEntry key="{key}" value="{value}"/>'


def test_a_heart_rate_keeps_its_time_on_the_wearers_clock() -> None:
    at = datetime(2026, 11, 22, 8, 5, tzinfo=FIVE_BEHIND)
    sample = only(heart_rate())
    assert sample == Sample(
        "heart-rate",
        112.0,
        "/min",
        at,
        at,
        local=True,
        device=Device(app="Watch"),
        path="line 1",
    )
    assert sample.start.utcoffset() == timedelta(hours=-5)


@pytest.mark.parametrize(
    ("told", "context"),
    [("0", Context.UNKNOWN), ("1", Context.REST), ("2", Context.ACTIVE)],
)
def test_at_rest_is_what_the_watch_calls_sedentary(told: str, context: Context) -> None:
    inside = metadata("HKMetadataKeyHeartRateMotionContext", told)
    assert only(heart_rate(inside=inside)).context is context


def test_an_oxygen_saturation_is_a_share_whatever_its_unit_says() -> None:
    type = "HKQuantityTypeIdentifierOxygenSaturation"
    assert only(record(type, 'unit="%" value="0.88"')).value == 88.0


def test_a_stone_is_a_weight_and_no_volume() -> None:
    type = "HKQuantityTypeIdentifierBodyMass"
    assert only(record(type, 'unit="st" value="11"')).value == pytest.approx(
        69.853, 1e-4
    )


def test_steps_are_a_total_of_their_interval() -> None:
    times = 'startDate="2026-11-22 08:00:00 -0500" endDate="2026-11-22 08:10:00 -0500"'
    type = "HKQuantityTypeIdentifierStepCount"
    sample = only(record(type, 'unit="count" value="420"', times))
    assert (sample.value, sample.stat) == (420.0, Stat.TOTAL)
    assert sample.end - sample.start == timedelta(minutes=10)


def test_a_stage_of_sleep_is_as_many_minutes_as_it_lasted() -> None:
    times = 'startDate="2026-11-22 02:00:00 -0500" endDate="2026-11-22 02:25:30 -0500"'
    type = "HKCategoryTypeIdentifierSleepAnalysis"
    value = 'value="HKCategoryValueSleepAnalysisAsleepREM"'
    sample = only(record(type, value, times))
    assert (sample.value, sample.context) == (25.5, Context.ASLEEP)


def test_lying_awake_is_no_sleep() -> None:
    value = 'value="HKCategoryValueSleepAnalysisAwake"'
    (item,) = adapt(record("HKCategoryTypeIdentifierSleepAnalysis", value))
    assert isinstance(item, LeftOut) and item.reason == "other-kind"


def test_what_was_typed_by_hand_says_so() -> None:
    inside = metadata("HKWasUserEntered", "1")
    assert only(heart_rate(inside=inside)).flags == Flag.MANUAL


def test_the_next_export_of_a_reading_is_the_same_reading() -> None:
    before = only(heart_rate(WATCH))
    changed = WATCH.replace("0x1&gt;", "0x600003a1&gt;").replace("26.1", "26.2")
    after = only(heart_rate(changed).replace('"Watch"', '"Jane’s new name"'))
    assert before.device.name == "Apple Watch"
    assert before.key == after.key


def test_phone_and_watch_are_two_devices() -> None:
    phone = WATCH.replace("Watch7,5", "iPhone14,2").replace("Apple Watch", "iPhone")
    assert only(heart_rate(WATCH)).key != only(heart_rate(phone)).key


def test_what_an_app_syncs_by_an_id_is_revised_by_its_version() -> None:
    inside = metadata("HKMetadataKeySyncIdentifier", "scale-7")
    inside += metadata("HKMetadataKeySyncVersion", "3")
    sample = only(heart_rate(inside=inside))
    assert (sample.source_id, sample.revision) == ("scale-7", 3)


def test_a_heart_event_is_a_notice_with_the_limit_that_was_set() -> None:
    inside = metadata("HKHeartRateEventThreshold", "40 count/min")
    type = "HKCategoryTypeIdentifierLowHeartRateEvent"
    (item,) = adapt(record(type, WATCH, inside=inside))
    assert isinstance(item, Notice)
    assert (item.type, item.threshold, item.local) == ("low-heart-rate", 40.0, True)


def test_low_fitness_is_a_notice_with_what_was_estimated_and_the_limit() -> None:
    inside = metadata("HKVO2MaxValue", "24.5 mL/min·kg")
    inside += metadata("HKLowCardioFitnessEventThreshold", "28 mL/min·kg")
    type = "HKCategoryTypeIdentifierLowCardioFitnessEvent"
    (item,) = adapt(record(type, WATCH, inside=inside))
    assert isinstance(item, Notice)
    assert (item.type, item.value, item.threshold) == ("low-cardio-fitness", 24.5, 28.0)


@pytest.mark.parametrize(
    ("type", "name", "told", "range"),
    [
        ("LowHeartRate", "HKHeartRateEventThreshold", "0 count/min", "10 to 300 /min"),
        ("LowCardioFitness", "HKVO2MaxValue", "-1 mL/min·kg", "1 to 120 mL/min/kg"),
    ],
)
def test_a_heart_event_with_a_number_that_no_body_has_is_implausible(
    type: str, name: str, told: str, range: str
) -> None:
    type = f"HKCategoryTypeIdentifier{type}Event"
    (item,) = adapt(record(type, WATCH, inside=metadata(name, told)))
    assert isinstance(item, LeftOut)
    assert (item.reason, item.problem.text) == ("implausible", f"Must be from {range}.")


@pytest.mark.parametrize(
    ("bound", "flag"), [("Lower", Flag.BELOW), ("Upper", Flag.ABOVE)]
)
def test_a_value_that_was_clamped_is_a_bound(bound: str, flag: Flag) -> None:
    inside = metadata(f"HKMetadataKeyQuantityClampedTo{bound}Bound", "1")
    assert only(heart_rate(inside=inside)).flags == flag
    unset = metadata(f"HKMetadataKeyQuantityClampedTo{bound}Bound", "0")
    assert only(heart_rate(inside=unset)).flags == Flag(0)


def test_the_same_heart_event_has_the_same_id_in_the_next_export() -> None:
    type = "HKCategoryTypeIdentifierLowHeartRateEvent"
    (first,) = adapt(record(type, WATCH))
    (again,) = adapt("<Me/>", record(type, WATCH.replace("0x1&", "0x2&")))
    assert isinstance(first, Notice) and isinstance(again, Notice)
    assert again.id == first.id
    assert replace(again, path=first.path) == first


@pytest.mark.slow  # loads the grammar of UCUM
def test_a_limit_in_a_unit_that_is_none_is_no_limit_unsaid() -> None:
    inside = metadata("HKHeartRateEventThreshold", "40 furlong")
    (item,) = adapt(
        record("HKCategoryTypeIdentifierLowHeartRateEvent", "", inside=inside)
    )
    assert isinstance(item, LeftOut) and item.reason == "unit"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (record("HKQuantityTypeIdentifierHeartRate", 'unit="count/min"'), "malformed"),
        (heart_rate().replace('"112"', '"hundred"'), "malformed"),
        (heart_rate().replace('"112"', '"nan"'), "malformed"),
        (heart_rate().replace('"112"', '"900"'), "implausible"),
        (heart_rate().replace("count/min", "kg"), "unit"),
        (heart_rate(times=TIMES.replace("2026", "1999")), "time"),
        (heart_rate(times=TIMES.replace("08:05:00", "08:61:00")), "time"),
        (heart_rate(times=TIMES.replace(' endDate="2026', ' endDate="2025')), "time"),
        (heart_rate(times=""), "time"),
        (record("HKQuantityTypeIdentifierDietaryWater", 'value="1"'), "other-kind"),
        ('<Workout workoutActivityType="Running"/>', "other-kind"),
    ],
)
def test_what_is_not_understood_is_named_and_its_neighbour_kept(
    text: str, reason: str
) -> None:
    left_out, sample = adapt(text, "\n", heart_rate())
    assert isinstance(left_out, LeftOut) and isinstance(sample, Sample)
    assert (left_out.reason, left_out.problem.expression) == (reason, "line 1")


ECG = """Name,Jane Doe
Date of Birth,"Apr 12, 1956"
Recorded Date,2026-03-19 13:12:38 +0100
Classification,Atrial Fibrillation
Symptoms,
Software Version,1.90
Device,"Watch5,2"
Sample Rate,512 hertz
Lead,Lead I
Unit,µV

-7.5
"""


def test_an_ecg_that_shows_atrial_fibrillation_is_a_notice() -> None:
    item = adapt_ecg(ECG, "ecg_2026-03-19.csv", CATALOGUE)
    assert isinstance(item, Notice)
    assert item.type == "irregular-rhythm"
    assert item.start == datetime(
        2026, 3, 19, 13, 12, 38, tzinfo=timezone(timedelta(hours=1))
    )


def test_an_ecg_is_read_in_the_language_of_the_phone_as_far_as_it_is_known() -> None:
    german = ECG.replace("Recorded Date", "Aufzeichnungsdatum").replace(
        "-7.5", '"-7,5"'
    )
    assert isinstance(adapt_ecg(german, "ecg.csv", CATALOGUE), Notice)
    unknown = german.replace("Atrial Fibrillation", "Vorhofflimmern")
    item = adapt_ecg(unknown, "ecg.csv", CATALOGUE)
    assert isinstance(item, LeftOut) and item.reason == "other-kind"


def test_a_file_that_is_no_ecg_is_left_out() -> None:
    item = adapt_ecg("a,b\n1,2\n", "notes.csv", CATALOGUE)
    assert isinstance(item, LeftOut) and item.reason == "time"


def test_an_ecg_with_a_cell_beyond_what_csv_holds_is_left_out() -> None:
    item = adapt_ecg(ECG + "x" * 200_000, "ecg.csv", CATALOGUE)
    assert isinstance(item, LeftOut) and item.reason == "malformed"
