"""Rows of Health Connect's database, as samples."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cds_service.wearables.adapters.health_connect import ExportedRow, adapt_row
from cds_service.wearables.metrics import Catalogue, Metric
from cds_service.wearables.samples import Context, Device, Flag, LeftOut, Sample, Stat

SERIES = "heart_rate_record_series_table"
LEVEL = "blood_glucose_record_table/level"
METRICS = [
    Metric(
        "heart-rate",
        "Heart rate",
        "/min",
        25,
        250,
        names={"health-connect": frozenset({f"{SERIES}/beats_per_minute"})},
    ),
    Metric(
        "glucose",
        "Glucose",
        "mg/dL",
        20,
        1000,
        names={"health-connect": frozenset({LEVEL})},
        units={("health-connect", LEVEL): "mmol/L"},
        molar_mass=180.16,
    ),
    Metric(
        "sensor-glucose",
        "Glucose",
        "mg/dL",
        39,
        600,
        names={"health-connect": frozenset({f"{LEVEL}/1"})},
        units={("health-connect", f"{LEVEL}/1"): "mmol/L"},
        molar_mass=180.16,
    ),
    Metric(
        "body-weight",
        "Weight",
        "kg",
        2,
        400,
        names={"health-connect": frozenset({"weight_record_table/weight"})},
        units={("health-connect", "weight_record_table/weight"): "g"},
    ),
    Metric(
        "steps",
        "Steps",
        "{steps}",
        0,
        50_000,
        names={"health-connect": frozenset({"steps_record_table/count"})},
        cumulative=True,
    ),
    Metric(
        "time-asleep",
        "Asleep",
        "min",
        0,
        1440,
        names={"health-connect": frozenset({"sleep_stages_table/stage_type/5"})},
        cumulative=True,
    ),
]
CATALOGUE = Catalogue({each.name: each for each in METRICS})
AT = 1_795_352_700_000
BEAT = ExportedRow(
    SERIES,
    "beats_per_minute",
    72,
    AT,
    None,
    offset=-18_000,
    uuid=bytes(range(16)),
    modified=AT + 5_000,
    recorded=2,
    device="Google Pixel Watch 3",
    app="com.example.watch",
    number=4,
)
STEPS = replace(
    BEAT, table="steps_record_table", column="count", value=420, end=AT + 600_000
)


def sample(row: ExportedRow) -> Sample:
    item = adapt_row(row, CATALOGUE)
    assert isinstance(item, Sample)
    return item


def test_a_heart_rate_comes_with_time_clock_device_and_id() -> None:
    told = sample(BEAT)
    assert (told.metric, told.value, told.stat) == ("heart-rate", 72, Stat.INSTANT)
    assert told.start == datetime(2026, 11, 22, 13, 5, tzinfo=UTC)
    assert told.local and told.start.utcoffset() == timedelta(hours=-5)
    watch = "Google Pixel Watch 3"
    assert told.device == Device(watch, watch, "com.example.watch")
    assert told.source_id == f"{bytes(range(16)).hex()}/{AT}"
    assert told.revision == AT + 5_000
    assert told.path == f"{SERIES}[4].beats_per_minute"


def test_two_readings_of_one_record_are_two() -> None:
    assert sample(BEAT).key != sample(replace(BEAT, start=AT + 1000)).key


def test_a_record_that_was_changed_is_the_same_record() -> None:
    later = replace(STEPS, value=430, modified=AT + 9_000, end=AT + 660_000)
    assert sample(later).key == sample(STEPS).key
    assert sample(later).revision > sample(STEPS).revision


def test_a_clock_that_nobody_tells_is_unknown() -> None:
    told = sample(replace(BEAT, offset=None))
    assert not told.local and told.start.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("table", "column", "value", "expected"),
    [
        ("blood_glucose_record_table", "level", 5.0, 90.08),
        ("weight_record_table", "weight", 71_300.0, 71.3),
        ("steps_record_table", "count", 420, 420.0),
    ],
)
def test_a_number_is_in_the_unit_of_its_column(
    table: str, column: str, value: float, expected: float
) -> None:
    row = replace(BEAT, table=table, column=column, value=value)
    assert sample(row).value == expected


@pytest.mark.parametrize(
    ("kind", "metric"), [(1, "sensor-glucose"), (2, "glucose"), (None, "glucose")]
)
def test_glucose_by_a_sensor_is_a_metric_of_its_own(
    kind: int | None, metric: str
) -> None:
    row = replace(
        BEAT, table="blood_glucose_record_table", column="level", value=5.0, kind=kind
    )
    assert (sample(row).metric, sample(row).value) == (metric, 90.08)


def test_steps_are_a_total_of_their_interval() -> None:
    assert (sample(STEPS).stat, sample(STEPS).end - sample(STEPS).start) == (
        Stat.TOTAL,
        timedelta(minutes=10),
    )


def test_deep_sleep_is_as_many_minutes_as_it_lasted() -> None:
    stage = replace(
        STEPS, table="sleep_stages_table", column="stage_type", value=5, recorded=None
    )
    told = sample(stage)
    assert (told.metric, told.value) == ("time-asleep", 10.0)
    assert told.context is Context.ASLEEP


def test_lying_awake_is_no_sleep() -> None:
    stage = replace(STEPS, table="sleep_stages_table", column="stage_type", value=7)
    item = adapt_row(stage, CATALOGUE)
    assert isinstance(item, LeftOut) and item.reason == "other-kind"


def test_what_was_typed_by_hand_says_so() -> None:
    assert sample(replace(BEAT, recorded=3)).flags == Flag.MANUAL


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (replace(BEAT, value=None), "no-value"),
        (replace(BEAT, value="72"), "no-value"),
        (replace(BEAT, value=float("inf")), "no-value"),
        (replace(BEAT, value=600), "implausible"),
        (replace(BEAT, start=None), "time"),
        (replace(BEAT, start="now"), "time"),
        (replace(BEAT, start=-1), "time"),
        (replace(BEAT, start=2**62), "time"),
        (replace(BEAT, end=AT - 1), "time"),
        (replace(BEAT, table="speed_record_table"), "other-kind"),
    ],
)
def test_what_is_not_understood_is_named(wrong: ExportedRow, reason: str) -> None:
    item = adapt_row(wrong, CATALOGUE)
    assert isinstance(item, LeftOut)
    assert item.reason == reason
    assert item.problem.expression == f"{wrong.table}[4].{wrong.column}"


@pytest.mark.parametrize("uuid", [None, "text", b"short"])
def test_a_row_without_an_id_is_known_by_device_and_time(uuid: object) -> None:
    told = sample(replace(BEAT, uuid=uuid))
    assert told.source_id == ""
    assert told.key == sample(replace(BEAT, uuid=uuid, value=90)).key
