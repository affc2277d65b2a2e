"""The number that an observation or a component holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.rulebook.intervals import INFINITY, Interval, exactly
from cds_service.rulebook.quantities import quantity

UCUM = "http://unitsofmeasure.org"
NONE = None


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
        (of(101, code="beats", unit="/min"), exactly(101)),
        (of(101, code="nonsense", unit="more of it"), NONE),
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
    assert quantity(holder, "/min") == expected


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
        (between({"value": 90, "unit": "/min"}, {"value": 60, "unit": "/min"}), NONE),
        (between({"value": 60, "unit": "/min"}, {"value": 90, "unit": "kg"}), NONE),
        (between({"value": 60, "unit": "/min"}, "90"), NONE),
        (between(), NONE),
        ({"valueRange": "60-90"}, NONE),
    ],
    ids=str,
)
def test_a_range_is_the_interval_that_it_names(
    holder: dict[str, Any], expected: Interval | None
) -> None:
    assert quantity(holder, "/min") == expected


def test_a_whole_number_without_a_unit_is_one_where_units_are_one() -> None:
    assert quantity({"valueInteger": 15}, "{score}") == exactly(15)
    assert quantity({"valueInteger": "15"}, "1") == exactly(15)
    assert quantity({"valueInteger": 15}, "%") is None
    assert quantity({"valueInteger": True}, "1") is None


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

    assert found is None or found.low <= found.high
