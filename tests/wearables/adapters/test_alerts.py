"""The webhook's own format: what becomes an alert, and what is said of the rest."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.alerts import Rejected, parse_alerts
from cds_service.wearables.records import AlertType, PatientKey, WearableAlert

FIXTURES = Path(__file__).parents[3] / "fixtures" / "wearables" / "alerts"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=timezone(timedelta(hours=-5)))
START = datetime(2026, 11, 22, 8, 0, tzinfo=timezone(timedelta(hours=-5)))
TYPES = {
    each.name: each
    for each in (
        AlertType(
            "high-heart-rate",
            "High heart rate",
            "heart_rate",
            "/min",
            plausible=(10, 300),
        ),
        AlertType("high-body-temperature", "Fever", "body_temperature", "Cel"),
        AlertType("irregular-rhythm", "Irregular rhythm", "heart_rhythm"),
        AlertType(
            "low-glucose",
            "Low glucose",
            "glucose",
            "mg/dL",
            molar_mass=180.16,
            plausible=(10, 1000),
        ),
        AlertType(
            "low-oxygen-saturation",
            "Low oxygen",
            "oxygen_saturation",
            "%",
            plausible=(20, 100),
        ),
        AlertType("rapid-weight-gain", "Weight gain", "body_weight", "kg"),
    )
}


@dataclass(frozen=True)
class Source:
    id: str = "demo-watch"
    tenant: str = "demo"
    fhir_base: str = "-"
    time_zone: str = ""


ALERT = WearableAlert(
    id="a-1",
    patient=PatientKey("demo", "-", "smart-1"),
    type="high-heart-rate",
    start=START,
    opened=NOW,
    local=True,
    metric="heart_rate",
    unit="/min",
    source="demo-watch",
)


def read(
    folder: str, name: str
) -> tuple[tuple[WearableAlert, ...], tuple[Rejected, ...]]:
    body = json.loads((FIXTURES / folder / f"{name}.json").read_text("utf-8"))
    return parse_alerts(body, Source(), TYPES, NOW)


def names(folder: str) -> list[str]:
    return sorted(each.stem for each in (FIXTURES / folder).glob("*.json"))


@pytest.mark.parametrize("name", names("shouldPass"))
def test_what_should_pass_gives_an_alert_for_every_item(name: str) -> None:
    accepted, rejected = read("shouldPass", name)

    assert accepted and rejected == ()
    for alert in accepted:
        assert alert.start.utcoffset() is not None
        assert alert.unit == TYPES[alert.type].unit


@pytest.mark.parametrize(
    "name",
    # The grammar of UCUM, which is asked for these units, takes a second to load.
    [
        pytest.param(each, marks=[pytest.mark.slow] * each.startswith("unit-unknown"))
        for each in names("shouldFail")
    ],
)
def test_what_should_fail_is_rejected_with_its_place(name: str) -> None:
    try:
        accepted, rejected = read("shouldFail", name)
    except Unprocessable as error:
        problems = error.problems
    else:
        assert len(accepted) == (1 if name == "same-revision-twice" else 0)
        problems = rejected[0].problems

    assert len(problems) == 1
    assert problems[0].expression.startswith("$")


def test_an_alert_keeps_everything_that_was_said() -> None:
    accepted, _ = read("shouldPass", "everything")

    assert accepted == (
        replace(
            ALERT,
            end=START + timedelta(minutes=12),
            value=131.0,
            stat="max",
            threshold=120.0,
            status="closed",
            device="Demo Watch 4, firmware 2.1",
            coverage=0.92,
            n=12,
        ),
    )


def test_the_least_that_can_be_said_is_an_open_alert() -> None:
    assert read("shouldPass", "least")[0] == (ALERT,)


def begun(start: str, source: Source = Source(), **beside: Any) -> tuple[str, bool]:
    """The start as it is kept, and whether it is known to be the wearer's time."""
    item = {"id": "a", "patient": "p", "type": "irregular-rhythm", "start": start}
    (alert,), _ = parse_alerts({"alerts": [{**item, **beside}]}, source, TYPES, NOW)
    return alert.start.isoformat(), alert.local


def test_a_year_at_the_end_of_the_calendar_is_refused_on_any_clock() -> None:
    late = {"start": "9999-12-31T23:59:59Z", "time_zone": "Pacific/Kiritimati"}
    item = {"id": "a", "patient": "p", "type": "irregular-rhythm", **late}

    accepted, (rejected,) = parse_alerts({"alerts": [item]}, Source(), TYPES, NOW)

    assert (accepted, rejected.problems[0].expression) == ((), "$.alerts[0].start")


def test_the_offset_of_the_device_is_kept() -> None:
    (alert,), _ = read("shouldPass", "least")

    assert alert.start.isoformat() == "2026-11-22T08:00:00-05:00"


@pytest.mark.parametrize(
    "start, kept, local",
    [
        ("2026-11-22T08:00:00-05:00", "2026-11-22T08:00:00-05:00", True),
        ("2026-11-22T13:00:00+00:00", "2026-11-22T13:00:00+00:00", True),
        ("2026-11-22T13:00:00Z", "2026-11-22T13:00:00+00:00", False),
        ("2026-11-22t13:00:00z", "2026-11-22T13:00:00+00:00", False),
        ("2026-11-22T13:00:00-00:00", "2026-11-22T13:00:00+00:00", False),
    ],
)
def test_an_offset_tells_the_wearers_clock_and_z_does_not(
    start: str, kept: str, local: bool
) -> None:
    assert begun(start) == (kept, local)


@pytest.mark.parametrize(
    "start, beside",
    [
        ("2026-11-22T13:00:00Z", {"time_zone": "America/New_York"}),
        ("2026-11-22T13:00:00Z", {"utc_offset": "-05:00"}),
        ("2026-11-22T13:00:00Z[America/New_York]", {}),
        ("2026-11-22T08:00:00-05:00[!America/New_York][u-ca=gregory]", {}),
        ("2026-11-22T08:00:00-05:00", {"time_zone": "America/New_York"}),
        (
            "2026-11-22T13:00:00-00:00",
            {"time_zone": "America/New_York", "utc_offset": "-05:00"},
        ),
    ],
)
def test_a_zone_or_an_offset_beside_the_time_tells_the_wearers_clock(
    start: str, beside: dict[str, str]
) -> None:
    assert begun(start, **beside) == ("2026-11-22T08:00:00-05:00", True)


def test_where_a_source_has_one_zone_its_times_in_utc_are_told_in_it() -> None:
    source = Source(time_zone="America/New_York")

    assert begun("2026-11-22T13:00:00Z", source)[0] == "2026-11-22T08:00:00-05:00"
    assert begun("2026-07-01T13:00:00Z", source) == ("2026-07-01T09:00:00-04:00", True)


def test_what_a_delivery_says_of_the_clock_goes_before_the_zone_of_its_source() -> None:
    source = Source(time_zone="America/New_York")

    assert begun("2026-11-22T14:00:00+01:00", source)[0].endswith("+01:00")
    assert begun("2026-11-22T13:00:00Z", source, utc_offset="+01:00") == (
        "2026-11-22T14:00:00+01:00",
        True,
    )


@pytest.mark.parametrize(
    "start, beside, place",
    [
        ("2026-11-22T08:00:00-05:00", {"time_zone": "Europe/Berlin"}, "time_zone"),
        ("2026-11-22T08:00:00-05:00", {"utc_offset": "-04:00"}, "utc_offset"),
        ("2026-11-22T08:00:00-05:00[Europe/Berlin]", {}, "start"),
        (
            "2026-11-22T13:00:00Z[Europe/Berlin]",
            {"time_zone": "America/New_York"},
            "time_zone",
        ),
        ("2026-11-22T13:00:00Z", {"time_zone": "Berlin"}, "time_zone"),
        ("2026-11-22T13:00:00Z", {"time_zone": "../etc/passwd"}, "time_zone"),
        ("2026-11-22T13:00:00Z", {"time_zone": "America"}, "time_zone"),
        ("2026-11-22T13:00:00Z", {"time_zone": ["Europe/Berlin"]}, "time_zone"),
        ("2026-11-22T13:00:00Z", {"utc_offset": -300}, "utc_offset"),
        ("2026-11-22T13:00:00Z", {"utc_offset": "EST"}, "utc_offset"),
        ("2026-11-22T13:00:00Z", {"utc_offset": "+25:00"}, "utc_offset"),
        ("2026-11-22T13:00:00Z[Nowhere/Town]", {}, "start"),
        ("2026-11-22T13:00:00[Europe/Berlin]", {}, "start"),
        ("2026-11-22T08:00:00-05:60", {}, "start"),
        ("2026-11-22T08:00:00+23:59", {}, "start"),
    ],
)
def test_clocks_that_differ_or_are_none_are_refused_with_their_place(
    start: str, beside: dict[str, Any], place: str
) -> None:
    item = {"id": "a", "patient": "p", "type": "irregular-rhythm", "start": start}

    good, (bad,) = parse_alerts({"alerts": [{**item, **beside}]}, Source(), TYPES, NOW)

    assert good == ()
    assert [each.expression for each in bad.problems] == [f"$.alerts[0].{place}"]


def test_an_alert_with_an_end_counts_as_closed() -> None:
    (alert,), _ = read("shouldPass", "no-value")

    assert alert.status == "closed"


def test_value_and_threshold_are_brought_to_the_unit_of_the_type() -> None:
    (alert,), _ = read("shouldPass", "unit-that-is-converted")

    assert (alert.value, alert.threshold, alert.unit) == (38.5, 38.0, "Cel")


@pytest.mark.parametrize(
    ("type", "value", "unit", "expected"),
    [
        ("low-glucose", 2.8, "mmol/L", 50.4448),
        ("low-glucose", 2.8, "MMOL/L", 50.4448),
        ("low-glucose", 50, "mg/dl", 50.0),
        ("low-oxygen-saturation", 0.86, "1", 86.0),
        ("low-oxygen-saturation", 86, "pct", 86.0),
        ("high-body-temperature", 101.3, "F", 38.5),
        ("high-body-temperature", 38.5, "℃", 38.5),
        ("high-heart-rate", 131, "Beats/Minute", 131.0),
        ("rapid-weight-gain", 2, "Kg", 2.0),
    ],
)
def test_a_wearable_tells_its_value_in_the_units_of_its_country(
    type: str, value: float, unit: str, expected: float
) -> None:
    item = {"id": "a", "patient": "p", "type": type, "start": START.isoformat()}
    body = {"alerts": [{**item, "value": value, "unit": unit}]}

    (alert,), rejected = parse_alerts(body, Source(), TYPES, NOW)

    assert (rejected, alert.value, alert.unit) == ((), expected, TYPES[type].unit)


@pytest.mark.parametrize(
    ("type", "value", "unit", "said"),
    [
        ("low-oxygen-saturation", 86, "1", "Says a share of one"),
        ("low-glucose", 2.8, "meq/L", "Must be UCUM and convertible"),
        ("high-heart-rate", 131, "b/min", "Must be UCUM and convertible"),
        ("high-heart-rate", 131, "C", "Must be UCUM and convertible"),
        ("high-body-temperature", 38.5, "b", "Must be UCUM and convertible"),
    ],
)
def test_a_value_in_a_unit_that_means_something_else_is_rejected(
    type: str, value: float, unit: str, said: str
) -> None:
    item = {"id": "a", "patient": "p", "type": type, "start": START.isoformat()}
    body = {"alerts": [{**item, "value": value, "unit": unit}]}

    accepted, (rejected,) = parse_alerts(body, Source(), TYPES, NOW)

    assert accepted == ()
    assert rejected.problems[0].text.startswith(said)


@pytest.mark.parametrize(
    ("type", "value", "unit", "said"),
    [
        ("high-heart-rate", -1, "/min", "Must be from 10 to 300 /min."),
        ("high-heart-rate", 9.9, "/min", "Must be from 10 to 300 /min."),
        ("high-heart-rate", 300.1, "/min", "Must be from 10 to 300 /min."),
        ("high-heart-rate", 60, "Hz", "Must be from 10 to 300 /min."),
        ("high-heart-rate", 1e300, "/min", "Must be from 10 to 300 /min."),
        ("low-oxygen-saturation", 240, "%", "Must be from 20 to 100 %."),
        ("low-oxygen-saturation", 0.97, "%", "Must be from 20 to 100 %."),
        ("low-glucose", 0, "mg/dL", "Must be from 10 to 1000 mg/dL."),
        ("low-glucose", 90, "mmol/L", "Must be from 10 to 1000 mg/dL."),
    ],
)
@pytest.mark.parametrize("member", ["value", "threshold"])
def test_a_number_that_no_body_has_is_rejected_by_value_and_by_threshold(
    type: str, value: float, unit: str, said: str, member: str
) -> None:
    item = {"id": "a", "patient": "p", "type": type, "start": START.isoformat()}
    body = {"alerts": [{**item, member: value, "unit": unit}]}

    accepted, (rejected,) = parse_alerts(body, Source(), TYPES, NOW)

    assert accepted == ()
    (problem,) = rejected.problems
    assert (problem.text, problem.expression) == (said, f"$.alerts[0].{member}")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"unit": ""}, "Must be printable text of 1 to 64 characters."),
        ({"unit": 1}, "Must be printable text of 1 to 64 characters."),
        ({"patient": 1}, "Must be printable text of 1 to 136 characters."),
        ({"patient": "Patient/"}, "Must be the id of a FHIR Patient."),
    ],
)
def test_what_is_wrong_with_a_member_is_said_once(
    wrong: dict[str, Any], said: str
) -> None:
    item = {"id": "a", "patient": "p", "type": "high-heart-rate", "value": 131}
    told = {**item, "unit": "/min", "start": START.isoformat(), **wrong}

    _, (rejected,) = parse_alerts({"alerts": [told]}, Source(), TYPES, NOW)

    assert [each.text for each in rejected.problems] == [said]


def test_a_threshold_that_no_body_has_is_named_where_it_stands() -> None:
    item = {"id": "a", "patient": "p", "type": "high-heart-rate"}
    limit = {"op": ">", "value": 0, "unit": "bpm"}
    told = {**item, "start": START.isoformat(), "threshold": limit}

    _, (rejected,) = parse_alerts({"alerts": [told]}, Source(), TYPES, NOW)

    (problem,) = rejected.problems
    assert problem.expression == "$.alerts[0].threshold.value"


@pytest.mark.parametrize("value", [10, 300])
def test_the_ends_of_the_range_are_within_it(value: float) -> None:
    item = {"id": "a", "patient": "p", "type": "high-heart-rate", "value": value}
    told = {**item, "unit": "/min", "start": START.isoformat()}

    (alert,), rejected = parse_alerts({"alerts": [told]}, Source(), TYPES, NOW)

    assert (alert.value, rejected) == (value, ())


def test_a_type_without_a_range_takes_any_number() -> None:
    item = {"id": "a", "patient": "p", "type": "rapid-weight-gain", "value": -3}
    told = {**item, "unit": "kg", "start": START.isoformat()}

    (alert,), _ = parse_alerts({"alerts": [told]}, Source(), TYPES, NOW)

    assert alert.value == -3


def test_what_is_taken_back_is_so_whatever_its_numbers_say_and_without_them() -> None:
    item = {"id": "a", "patient": "p", "type": "high-heart-rate", "rev": 1}
    numbers = {"value": -1, "unit": "/min", "threshold": 0}
    told = {**item, **numbers, "start": START.isoformat(), "status": "retracted"}

    (alert,), rejected = parse_alerts({"alerts": [told]}, Source(), TYPES, NOW)

    assert rejected == ()
    assert (alert.status, alert.rev) == ("retracted", 1)
    assert (alert.value, alert.threshold) == (None, None)


def test_what_is_taken_back_keeps_the_numbers_that_a_body_has() -> None:
    item = {"id": "a", "patient": "p", "type": "high-heart-rate", "rev": 1}
    numbers = {"value": 131, "unit": "/min", "threshold": 0}
    told = {**item, **numbers, "start": START.isoformat(), "status": "retracted"}

    (alert,), _ = parse_alerts({"alerts": [told]}, Source(), TYPES, NOW)

    assert (alert.value, alert.threshold) == (131, None)


def test_an_end_whose_value_no_body_has_is_rejected() -> None:
    item = {"id": "a", "patient": "p", "type": "high-heart-rate", "rev": 1}
    times = {"start": START.isoformat(), "end": START.isoformat(), "status": "closed"}
    told = {**item, **times, "value": -1, "unit": "/min"}

    accepted, (rejected,) = parse_alerts({"alerts": [told]}, Source(), TYPES, NOW)

    assert accepted == ()
    assert rejected.problems[0].expression == "$.alerts[0].value"


def test_a_reference_to_a_patient_is_its_id() -> None:
    (alert,), _ = read("shouldPass", "patient-as-reference")

    assert alert.patient.patient_id == "smart-1"


def test_odd_spaces_in_a_name_become_plain_ones() -> None:
    (alert,), _ = read("shouldPass", "device-name-as-vendors-write-it")

    assert alert.device == "Jane’s Apple Watch"


@pytest.mark.parametrize(
    ("name", "expression", "text"),
    [
        ("no-id", "$.alerts[0].id", "Required."),
        ("no-start", "$.alerts[0].start", "Required."),
        ("unknown-type", "$.alerts[0].type", "did you mean high-heart-rate?"),
        ("start-without-offset", "$.alerts[0].start", "with an offset"),
        ("start-in-the-future", "$.alerts[0].start", "in the future"),
        ("end-before-start", "$.alerts[0].end", "before the start"),
        ("closed-without-end", "$.alerts[0].end", "Required"),
        ("value-without-unit", "$.alerts[0].unit", "Required"),
        ("unit-of-another-dimension", "$.alerts[0].unit", "convertible to /min"),
        ("threshold-without-value", "$.alerts[0].threshold.value", "Required"),
        ("threshold-operator-unknown", "$.alerts[0].threshold.op", "did you mean >=?"),
        ("value-where-the-type-has-none", "$.alerts[0].value", "has none"),
        ("same-revision-twice", "$.alerts[1].rev", "Item 0"),
        ("item-is-no-object", "$.alerts[0]", "object"),
    ],
)
def test_a_rejected_item_says_what_is_wrong_and_where(
    name: str, expression: str, text: str
) -> None:
    _, (rejected,) = read("shouldFail", name)

    assert [each.expression for each in rejected.problems] == [expression]
    assert text in rejected.problems[0].text


def test_every_problem_of_an_item_is_named() -> None:
    item = {"id": 7, "type": "x", "start": "now", "coverage": 2, "n": 1.5, "rev": -1}
    _, (rejected,) = parse_alerts({"alerts": [item]}, Source(), TYPES, NOW)

    wrong = [each.expression.rpartition(".")[2] for each in rejected.problems]
    assert sorted(wrong) == sorted(["patient", *item])


def test_a_bad_item_does_not_touch_the_good_ones() -> None:
    good = {
        "id": "a-1",
        "patient": "smart-1",
        "type": "high-heart-rate",
        "start": "2026-11-22T08:00:00-05:00",
    }
    items = [good, {**good, "id": "a-2", "start": "yesterday"}, {**good, "id": "a-3"}]

    accepted, rejected = parse_alerts({"alerts": items}, Source(), TYPES, NOW)

    assert [each.id for each in accepted] == ["a-1", "a-3"]
    assert [(each.index, each.id) for each in rejected] == [(1, "a-2")]


@pytest.mark.parametrize(("minutes", "count"), [(5, 1), (5.1, 0)])
def test_a_clock_may_be_five_minutes_ahead(minutes: float, count: int) -> None:
    start = (NOW + timedelta(minutes=minutes)).isoformat()
    item = {"id": "1", "patient": "1", "type": "high-heart-rate", "start": start}

    accepted, _ = parse_alerts({"alerts": [item]}, Source(), TYPES, NOW)

    assert len(accepted) == count


def test_a_delivery_holds_up_to_a_thousand_items() -> None:
    _, rejected = parse_alerts({"alerts": [{}] * 1000}, Source(), TYPES, NOW)

    assert len(rejected) == 1000


def test_a_delivery_of_more_than_a_thousand_items_is_refused_whole() -> None:
    with pytest.raises(Unprocessable, match="at most 1000"):
        parse_alerts({"alerts": [{}] * 1001}, Source(), TYPES, NOW)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["/min", "2026-11-22T08:00:00Z", "high-heart-rate", "open"])
    | st.from_regex(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d", fullmatch=True
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    "id patient type start end value unit threshold stat status rev coverage n "
    "device origin other".split()
)
ITEMS = st.dictionaries(FIELDS, JSON, max_size=16) | JSON


@given(JSON | st.fixed_dictionaries({"alerts": st.lists(ITEMS, max_size=3)}))
def test_every_item_of_any_body_is_accepted_or_rejected(body: Any) -> None:
    try:
        accepted, rejected = parse_alerts(body, Source(), TYPES, NOW)
    except Unprocessable as error:
        assert error.problems
        return

    assert len(accepted) + len(rejected) == len(body["alerts"])
    assert all(each.problems for each in rejected)
    for alert in accepted:
        assert alert.start.astimezone(UTC) <= NOW + timedelta(minutes=5)
        assert alert.id.isprintable() and alert.patient.patient_id
