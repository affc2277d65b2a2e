"""The number that an observation or a component holds."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir.moments import EVER, Moment
from cds_service.rulebook.engine.rows.observations import (
    A_SHARE,
    NO_NUMBER,
    UNSAID,
    Measure,
    observation_moment,
    quantity,
    without_time,
)
from cds_service.rulebook.values.intervals import INFINITY, Interval, exactly
from cds_service.units import Substance

UCUM = "http://unitsofmeasure.org"
NONE = None
SLOW = pytest.mark.slow


def of(value: Any, **more: Any) -> dict[str, Any]:
    return {"valueQuantity": {"value": value, **more}}


@pytest.mark.parametrize(
    ("holder", "expected"),
    [
        (of(101, system=UCUM, code="/min", unit="bpm"), exactly(101)),
        (of(101, code="/min"), exactly(101)),
        (of(101, unit="/min"), exactly(101)),
        (of(101, unit="bpm"), exactly(101)),
        (of(101, unit="beats/min"), exactly(101)),
        (of(101, unit="{beats}/min"), exactly(101)),
        (of(101, code="{beats}/min"), exactly(101)),
        (of(101, code="1/min"), exactly(101)),
        (of(101, code="bpm", system=UCUM), exactly(101)),
        (of(2, code="/s"), exactly(120)),
        (of(101, code=" /min "), exactly(101)),
        (of(101, code=7, unit="/min"), exactly(101)),
        (of(101, system=UCUM + "/", code="kg", unit="/min"), NONE),
        (of(101, system="urn:oid:2.16.840.1.113883.6.8", code="kg"), NONE),
        (of(101, code="kg", unit="/min"), NONE),
        (
            of(101, system="http://example.org/units", code="1", unit="/min"),
            exactly(101),
        ),
        (of(101, system="http://example.org/units", code="/s"), exactly(6060)),
        # The grammar of UCUM, which is asked for these, takes a second to load.
        pytest.param(of(101, code="beats", unit="/min"), exactly(101), marks=SLOW),
        pytest.param(of(101, code="nonsense", unit="more of it"), NONE, marks=SLOW),
        (of(101), NONE),
        (of(101, unit=""), NONE),
        (of(101, unit=["/min"]), NONE),
        (of(" 101 ", unit="/min"), exactly(101)),
        (of("1.01e2", unit="/min"), exactly(101)),
        (of("101,5", unit="/min"), NONE),
        (of("1_01", unit="/min"), NONE),
        (of("0x65", unit="/min"), NONE),
        (of("NaN", unit="/min"), NONE),
        (of("Infinity", unit="/min"), NONE),
        (of("١٠١", unit="/min"), NONE),
        (of("120/80", unit="mm[Hg]"), NONE),
        (of(float("nan"), unit="/min"), NONE),
        (of(float("inf"), unit="/min"), NONE),
        (of(10**400, unit="/min"), NONE),
        (of(-(10**400), unit="/s"), NONE),
        (of(True, unit="/min"), NONE),
        (of(None, unit="/min"), NONE),
        (of([101], unit="/min"), NONE),
        ({"valueQuantity": {"_value": {"extension": []}, "unit": "/min"}}, NONE),
        ({"valueQuantity": 101}, NONE),
        ({"valueQuantity": [{"value": 101, "unit": "/min"}]}, NONE),
        (of(101, unit="/min", comparator="<"), Interval(-INFINITY, 101, False, True)),
        (of(101, unit="/min", comparator="<="), Interval(-INFINITY, 101)),
        (of(101, unit="/min", comparator=">"), Interval(101, INFINITY, True)),
        (of(101, unit="/min", comparator=">="), Interval(101, INFINITY)),
        (of(101, unit="/min", comparator=" > "), Interval(101, INFINITY, True)),
        (of(101, unit="/min", comparator="ad"), NONE),
        (of(101, unit="/min", comparator=7), NONE),
        (of(101, unit="/min", extension=[{"url": "x"}], odd=1), exactly(101)),
        ({}, NONE),
        ({"valueString": "120/80"}, NONE),
        ({"valueString": "101 /min"}, NONE),
        ({"valueCodeableConcept": {"text": "fast"}}, NONE),
        ({"valueRatio": {"numerator": {"value": 1, "unit": "/min"}}}, NONE),
        ({"valueSampledData": {"data": "1 2"}}, NONE),
        ({"valueAttachment": {"url": "x"}}, NONE),
        ({"valueInteger": 101}, NONE),
        ({"dataAbsentReason": {"text": "asleep"}}, NONE),
        ({"_valueQuantity": {"extension": []}}, NONE),
    ],
    ids=str,
)
def test_which_values_are_a_number_per_minute(
    holder: dict[str, Any], expected: Interval | None
) -> None:
    found = quantity(holder, "/min")

    assert found == (expected, "" if expected else NO_NUMBER)


def between(low: Any = None, high: Any = None) -> dict[str, Any]:
    bounds = {"low": low, "high": high}
    return {"valueRange": {name: each for name, each in bounds.items() if each}}


@pytest.mark.parametrize(
    ("holder", "expected"),
    [
        (
            between({"value": 60, "unit": "/min"}, {"value": 1.5, "unit": "/s"}),
            Interval(60, 90),
        ),
        (between({"value": 60, "unit": "/min"}), Interval(60, INFINITY)),
        (between(None, {"value": 60, "unit": "/min"}), Interval(-INFINITY, 60)),
        (between(*[{"value": 60, "unit": "/min"}] * 2), exactly(60)),
        (between({"value": 90, "unit": "/min"}, {"value": 60, "unit": "/min"}), NONE),
        (between({"value": 60, "unit": "/min"}, {"value": 90, "unit": "kg"}), NONE),
        (between({"value": 60, "unit": "/min"}, "90"), NONE),
        (between(), NONE),
        ({"valueRange": "60-90"}, NONE),
        ({"valueRange": 7}, NONE),
    ],
    ids=str,
)
def test_a_range_is_the_interval_that_it_names(
    holder: dict[str, Any], expected: Interval | None
) -> None:
    found = quantity(holder, "/min")

    assert found == (expected, "" if expected else NO_NUMBER)


def test_a_whole_number_without_a_unit_is_one_where_units_are_one() -> None:
    assert quantity({"valueInteger": 15}, "{score}").value == exactly(15)
    assert quantity({"valueInteger": "15"}, "1").value == exactly(15)
    assert quantity({"valueInteger": 15}, "%").value is None
    assert quantity({"valueInteger": True}, "1").value is None


EGFR = "mL/min/{1.73_m2}"


@pytest.mark.parametrize(
    ("holder", "asked", "expected"),
    [
        (of(22, unit="mL/min/1.73"), EGFR, 22),
        (of(22, code="mL/min/1.73", system=UCUM), EGFR, 22),
        (of(22, code="mL/min/1.73m2", system=UCUM, unit="x"), EGFR, 22),
        (of(22, code="mL/min", unit="mL/min/1.73 m²", system=UCUM), EGFR, NONE),
        (of(22, unit="mL/min"), EGFR, NONE),
        (of(37.2, code="C", system=UCUM), "Cel", 37.2),
        (of(100.4, unit="F"), "Cel", 38),
        (of(100.4, code="[degF]", system=UCUM), "Cel", 38),
        (of(95, code="{percent}", system=UCUM), "%", 95),
        (of(95, unit="C"), "%", NONE),
        (of(98, code="MG/DL", system=UCUM), "mg/dL", 98),
        (of(5.4, code="MMOL/L", system=UCUM), "mmol/L", 5.4),
        (of(128, code="mm[hg]", system=UCUM), "mm[Hg]", 128),
        (of(72, code="b/min", system=UCUM), "/min", NONE),
        (of(72, code="b/min", system=UCUM, unit="beats/minute"), "/min", 72),
        (of(72, code="min", system=UCUM, unit="bpm"), "/min", NONE),
        (of(72, code="C", unit="bpm"), "/min", NONE),
        (of(8000, unit="steps/day"), "{steps}", 8000),
        (of(180, unit="lbs"), "kg", 81.6466266),
    ],
    ids=str,
)
def test_common_forms_of_units_are_read_for_what_is_asked_and_never_by_their_letters(
    holder: dict[str, Any], asked: str, expected: float | None
) -> None:
    found = quantity(holder, asked).value

    assert found == (None if expected is None else exactly(expected))


HEART_RATE = Measure("/min", (20, 300))
OUTSIDE = "outside the plausible range, 20 to 300 /min"


def per_minute(value: Any, comparator: str | None = None) -> dict[str, Any]:
    more = {} if comparator is None else {"comparator": comparator}
    return of(value, code="/min", **more)


@pytest.mark.parametrize(
    ("holder", "expected"),
    [
        (per_minute(20), exactly(20)),
        (per_minute(300), exactly(300)),
        (per_minute(19.9), NONE),
        (per_minute(300.1), NONE),
        (per_minute(0), NONE),
        (per_minute(-60), NONE),
        (per_minute(9999), NONE),
        (of(1.5, code="/s"), exactly(90)),
        (of(72, code="/s"), NONE),
        (per_minute(150, ">"), Interval(150, INFINITY, True)),
        (per_minute(300, ">="), Interval(300, INFINITY)),
        (per_minute(400, ">"), NONE),
        (per_minute(20, "<"), Interval(-INFINITY, 20, False, True)),
        (per_minute(10, "<="), NONE),
        (between({"value": 60, "unit": "bpm"}, {"value": 90, "unit": "bpm"}), (60, 90)),
        (between({"value": 60, "unit": "bpm"}, {"value": 900, "unit": "bpm"}), NONE),
        (between({"value": 2, "unit": "bpm"}, {"value": 90, "unit": "bpm"}), NONE),
        (between({"value": 60, "unit": "bpm"}), (60, INFINITY)),
    ],
    ids=str,
)
def test_a_number_that_no_living_patient_has_is_not_used(
    holder: dict[str, Any], expected: tuple[float, float] | None
) -> None:
    found = quantity(holder, "/min", HEART_RATE)

    assert (found.value and found.value[:2]) == (expected and expected[:2])
    assert found.why == ("" if expected else OUTSIDE)


def test_what_is_no_number_in_the_unit_is_not_called_implausible() -> None:
    assert quantity(of(9999, code="kg"), "/min", HEART_RATE) == (None, NO_NUMBER)
    assert quantity({}, "/min", HEART_RATE) == (None, NO_NUMBER)


@pytest.mark.parametrize(
    ("value", "unit", "range", "expected"),
    [
        (0.97, "1", (50, 100), 97),
        (97, "1", (50, 100), 97),
        (97, "{ratio}", (50, 100), 97),
        (1, "1", (50, 100), 100),
        (0.97, "%", (50, 100), NONE),
        (0.3, "1", (50, 100), NONE),
        (970, "1", (50, 100), NONE),
        (0.97, "1", (0, 100), 97),
        (0.97, "1", None, 97),
        (97, "%", None, 97),
    ],
)
def test_a_percentage_with_the_unit_1_is_told_from_a_share_by_what_is_plausible(
    value: float, unit: str, range: tuple[float, float] | None, expected: float | None
) -> None:
    measure = UNSAID if range is None else Measure("%", range)

    found = quantity(of(value, code=unit, system=UCUM), "%", measure).value

    assert found == (None if expected is None else exactly(expected))


def test_97_with_the_unit_1_is_never_9700_percent() -> None:
    assert quantity(of(97, code="1", system=UCUM), "%") == (None, A_SHARE)
    assert quantity(of(97, unit="{ratio}"), "%") == (None, A_SHARE)


def test_what_is_plausible_holds_in_every_unit_that_is_asked_for() -> None:
    glucose = Measure("mg/dL", (10, 1000), Substance(molar_mass=180.16))
    temperature = Measure("Cel", (25, 45))

    assert quantity(of(3, code="mmol/L"), "mg/dL", glucose).value == exactly(54.048)
    assert quantity(of(54, code="mg/dL"), "mmol/L", glucose).value == exactly(
        2.99733570160
    )
    assert quantity(of(99, unit="MMOL/L"), "mg/dL", glucose).value is None
    assert quantity(of(99, unit="MMOL/L"), "mmol/L", glucose) == (
        None,
        "outside the plausible range, 10 to 1000 mg/dL",
    )
    assert quantity(of(101, unit="F"), "[degF]", temperature).value == exactly(101)
    assert quantity(of(37, unit="F"), "[degF]", temperature).value is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda each: st.lists(each, max_size=3)
    | st.dictionaries(st.sampled_from(["value", "unit", "code", "low"]), each),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["valueQuantity", "valueRange", "valueInteger"]), JSON
    )
)
def test_any_value_is_a_finite_number_or_none(holder: dict[str, Any]) -> None:
    found = quantity(holder, "/min")

    assert (found.value is None) == bool(found.why)
    assert found.value is None or found.value.low <= found.value.high


ZONE = ZoneInfo("America/New_York")
DAY = Moment(
    datetime(2026, 11, 22, 5, tzinfo=UTC),
    datetime(2026, 11, 23, 4, 59, 59, 999999, tzinfo=UTC),
)
ISSUED = {"issued": "2020-01-01"}


@pytest.mark.parametrize(
    ("resource", "moment"),
    [
        ({"effectiveDateTime": "2026-11-22", **ISSUED}, DAY),
        ({"effectiveInstant": "2026-11-22", **ISSUED}, DAY),
        ({"effectiveDateTime": "2026-11-22", "effectiveInstant": "2020"}, DAY),
        ({"effectivePeriod": {"end": "2026-11-22"}, **ISSUED}, DAY),
        (
            {"effectivePeriod": {"start": "2026-11-22"}, **ISSUED},
            Moment(DAY.low, EVER.high),
        ),
        ({"issued": "2026-11-22"}, DAY),
        ({"effectiveTiming": {"event": ["2026-11-22"]}, **ISSUED}, None),
        ({"effectiveDateTime": "this morning", **ISSUED}, None),
        ({"effectivePeriod": {}, **ISSUED}, None),
        ({"effectiveDateTime": None, "issued": "2026-11-22"}, DAY),
        ({"_effectiveDateTime": {"extension": [{}]}, **ISSUED}, None),
        ({"_effectiveInstant": {"extension": [{}]}, **ISSUED}, None),
        ({"_effectiveDateTime": {}, "issued": "2026-11-22"}, DAY),
        ({"effectiveDateTime": "2026-11-22", "_effectiveDateTime": {"id": "a"}}, DAY),
        ({}, None),
    ],
    ids=str,
)
def test_an_observation_is_of_its_effective_time_at_the_site_and_else_of_its_issue(
    resource: dict[str, Any], moment: Moment | None
) -> None:
    assert observation_moment(resource, ZONE) == moment


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        ({}, "time not recorded"),
        ({"status": "final"}, "time not recorded"),
        ({"issued": "soon"}, ""),
        ({"effectiveDateTime": "soon"}, ""),
        ({"effectiveTiming": {}}, ""),
    ],
    ids=str,
)
def test_an_observation_without_a_time_is_told_from_one_that_cannot_be_read(
    resource: dict[str, Any], said: str
) -> None:
    assert without_time(resource) == said
