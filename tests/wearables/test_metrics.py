"""Metrics: what formats call them, and numbers in their units."""

import pytest

from cds_service.wearables.metrics import Catalogue, Metric, Unmeasured, measure
from cds_service.wearables.records import AlertType

LOINC = "http://loinc.org"
OXYGEN = Metric(
    "oxygen-saturation",
    "Oxygen saturation",
    "%",
    50,
    100,
    frozenset({(LOINC, "2708-6")}),
)
GLUCOSE = Metric("glucose", "Glucose", "mg/dL", 20, 1000, molar_mass=180.16)
WARMTH = Metric(
    "body-temperature",
    "Body temperature",
    "Cel",
    25,
    45,
    names={"open-mhealth": frozenset({"body-temperature"})},
)
FAST = AlertType(
    "high-heart-rate", "Fast", names={"apple-health": frozenset({"HighHeartRateEvent"})}
)
KNOWN = Catalogue(
    {each.name: each for each in (OXYGEN, GLUCOSE, WARMTH)}, {FAST.name: FAST}
)


def test_a_metric_is_found_by_what_a_format_calls_it() -> None:
    assert KNOWN.metric_named("open-mhealth", "body-temperature") is WARMTH
    assert KNOWN.metric_named("apple-health", "body-temperature") is None


def test_a_metric_is_found_by_the_code_of_an_observation() -> None:
    assert KNOWN.metric_coded(LOINC, "2708-6") is OXYGEN
    assert KNOWN.metric_coded(LOINC, "8867-4") is None


def test_a_type_of_alert_is_found_by_what_a_format_calls_it() -> None:
    assert KNOWN.alert_named("apple-health", "HighHeartRateEvent") is FAST
    assert KNOWN.alert_named("garmin", "HighHeartRateEvent") is None


def test_a_value_in_the_unit_of_the_metric_stays_as_it_is() -> None:
    assert measure(GLUCOSE, 58.0, "mg/dL") == 58.0


def test_a_value_in_another_unit_is_converted() -> None:
    assert measure(GLUCOSE, 3.2, "mmol/L") == 57.6512


def test_what_a_format_means_by_a_unit_goes_first() -> None:
    assert measure(WARMTH, 98.6, "F", {"F": "[degF]"}) == 37.0


def test_a_share_is_one_where_the_format_says_so_and_not_by_its_size() -> None:
    assert measure(OXYGEN, 0.97, "%", {"%": "1"}) == 97.0
    with pytest.raises(Unmeasured, match="^Must be from 50 to 100 %.$") as caught:
        measure(OXYGEN, 0.97, "%")
    assert caught.value.reason == "implausible"


def test_a_unit_of_something_else_is_none() -> None:
    with pytest.raises(Unmeasured, match="convertible to mg/dL") as caught:
        measure(GLUCOSE, 58.0, "kg")
    assert caught.value.reason == "unit"


@pytest.mark.parametrize("unit", ["", "furlong"])
def test_a_unit_that_is_none_or_missing_is_refused(unit: str) -> None:
    with pytest.raises(Unmeasured, match="Must be UCUM"):
        measure(GLUCOSE, 58.0, unit)


@pytest.mark.parametrize("value", [19.9, 1000.1, float("nan")])
def test_what_nobody_can_have_is_implausible(value: float) -> None:
    with pytest.raises(Unmeasured) as caught:
        measure(GLUCOSE, value, "mg/dL")
    assert caught.value.reason == "implausible"
