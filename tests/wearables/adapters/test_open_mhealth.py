"""Open mHealth and IEEE 1752.1: points in both headers, alone, listed and wrapped."""

from typing import Any

import pytest

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.open_mhealth import adapt
from cds_service.wearables.samples import Context, Device, Flag, LeftOut, Stat

from .sources import CATALOGUE, Source, identity

AT = {"date_time": "2026-11-22T08:05:00-05:00"}
RATE = {"heart_rate": {"value": 112, "unit": "beats/min"}, "effective_time_frame": AT}


def point(schema: str = "heart-rate", body: Any = RATE, **header: Any) -> Any:
    told = {"schema_id": {"namespace": "omh", "name": schema, "version": "2.0"}}
    return {"header": {**told, **header}, "body": body}


def read(body: Any, source: Source = Source()) -> list[Any]:
    return list(adapt(body, source, CATALOGUE))


def during(**interval: Any) -> Any:
    return {**RATE, "effective_time_frame": {"time_interval": interval}}


def test_a_conversion_repeated_with_a_new_uuid_is_the_same_reading() -> None:
    first, second = read(
        [
            point(uuid="a", source_creation_date_time="2026-11-22T13:06:00Z"),
            point(uuid="b", source_creation_date_time="2026-11-23T13:06:00Z"),
        ]
    )

    assert identity(first) == identity(second)
    assert first.revision < second.revision


def test_an_id_at_the_source_tells_a_reading_whatever_its_time() -> None:
    origin = {"acquisition_provenance": {"source_data_point_id": "hr-1"}}
    later = {**RATE, "effective_time_frame": {"date_time": "2026-11-22T08:06:00-05:00"}}

    first, second = read([point(**origin), point(body=later, **origin)])

    assert first.source_id == "hr-1"
    assert identity(first) == identity(second)


def test_two_sources_of_one_minute_are_two_readings() -> None:
    watch = {"acquisition_provenance": {"source_name": "watch"}}
    phone = {"acquisition_provenance": {"source_name": "phone"}}

    first, second = read([point(**watch), point(**phone)])

    assert first.device == Device(name="watch")
    assert identity(first) != identity(second)


def test_points_come_alone_listed_and_wrapped() -> None:
    alone = point()
    wrapped = {"shim": "demo", "timeStamp": 1795352762, "body": [alone]}

    (one,) = read(alone)
    (listed,) = read([alone])
    (by_shim,) = read(wrapped)
    (of_one,) = read({"shim": "demo", "body": alone})
    (within,) = read([wrapped])

    assert one.value == listed.value == by_shim.value == of_one.value == within.value
    assert [each.path for each in (one, listed, by_shim, of_one, within)] == [
        "$.body.heart_rate",
        "$[0].body.heart_rate",
        "$.body[0].body.heart_rate",
        "$.body.body.heart_rate",
        "$[0].body[0].body.heart_rate",
    ]


@pytest.mark.parametrize("body", [[], {"shim": "demo", "body": []}])
def test_nothing_in_a_list_is_nothing_and_no_fault(body: Any) -> None:
    assert read(body) == []


@pytest.mark.parametrize(
    ("said", "context"),
    [
        ({"temporal_relationship_to_physical_activity": "at rest"}, Context.REST),
        ({"temporal_relationship_to_physical_activity": "active"}, Context.ACTIVE),
        (
            {"temporal_relationship_to_physical_activity": "after exercise"},
            Context.UNKNOWN,
        ),
        ({"temporal_relationship_to_sleep": "during sleep"}, Context.ASLEEP),
        ({"temporal_relationship_to_physical_activity": ["at rest"]}, Context.UNKNOWN),
    ],
)
def test_what_the_wearer_did_is_what_the_point_says(said: Any, context: Any) -> None:
    (sample,) = read(point(body={**RATE, **said}))

    assert sample.context == context


@pytest.mark.parametrize(
    "header",
    [
        {"modality": "self-reported"},
        {"acquisition_provenance": {"modality": "self-reported"}},
    ],
)
def test_what_a_person_typed_is_manual(header: Any) -> None:
    (sample,) = read(point(**header))

    assert sample.flags == Flag.MANUAL


@pytest.mark.parametrize(
    ("interval", "minutes"),
    [
        (
            {
                "start_date_time": "2026-11-22T08:00:00-05:00",
                "end_date_time": "2026-11-22T09:00:00-05:00",
            },
            60,
        ),
        (
            {
                "start_date_time": "2026-11-22T08:00:00-05:00",
                "duration": {"value": 5, "unit": "min"},
            },
            5,
        ),
        (
            {
                "end_date_time": "2026-11-22T08:00:00-05:00",
                "duration": {"value": 90, "unit": "sec"},
            },
            1.5,
        ),
    ],
)
def test_an_interval_is_told_by_its_ends_or_by_one_and_its_length(
    interval: Any, minutes: float
) -> None:
    (sample,) = read(point(body=during(**interval)))

    assert (sample.end - sample.start).total_seconds() == minutes * 60
    assert sample.stat == Stat.MEAN


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"heart_rate": RATE["heart_rate"]}, ""),
        (
            during(start_date_time="2026-11-22T08:00:00-05:00"),
            ".time_interval.duration",
        ),
        (
            during(date="2026-11-22", part_of_day="morning"),
            ".time_interval.end_date_time",
        ),
        (
            during(
                start_date_time="2026-11-22T09:00:00-05:00",
                end_date_time="2026-11-22T08:00:00-05:00",
            ),
            ".time_interval",
        ),
        (
            during(
                start_date_time="2026-11-22T09:00:00-05:00",
                duration={"value": -5, "unit": "min"},
            ),
            ".time_interval.duration",
        ),
        ({**RATE, "effective_time_frame": {"date_time": "2026-11-22"}}, ".date_time"),
    ],
)
def test_without_a_time_there_is_no_reading(body: Any, place: str) -> None:
    (item,) = read(point(body=body))

    assert item.reason == "time"
    assert item.problem.expression == f"$.body.effective_time_frame{place}"


def test_a_mean_of_many_days_is_no_reading() -> None:
    body = {
        **RATE,
        "descriptive_statistic": "average",
        "descriptive_statistic_denominator": "d",
    }
    (item,) = read(point(body=body))

    assert (item.reason, item.rejected) == ("other-kind", False)


def test_a_share_is_read_as_percent_and_never_by_its_size() -> None:
    body = {
        "oxygen_saturation": {"value": 0.97, "unit": "%"},
        "effective_time_frame": AT,
    }
    (item,) = read(point("oxygen-saturation", body))

    assert (item.reason, item.rejected) == ("implausible", True)


def test_glucose_is_of_the_metric_that_its_specimen_makes_it() -> None:
    glucose = {"value": 58, "unit": "mg/dL"}
    body = {"blood_glucose": glucose, "effective_time_frame": AT}

    told = [
        read(point("blood-glucose", {**body, **kind}))[0].metric
        for kind in (
            {},
            {"specimen_source": "interstitial fluid"},
            {"specimen_source": "capillary blood"},
            {"specimen_source": "tears"},
            {"specimen_source": "plasma"},
        )
    ]

    assert told == [
        *("glucose", "sensor-glucose", "capillary-glucose", "tear-glucose"),
        "glucose",
    ]


def test_flow_of_oxygen_beside_a_saturation_is_let_pass() -> None:
    body = {
        "oxygen_saturation": {"value": 89, "unit": "%"},
        "supplemental_oxygen_flow_rate": {"value": 2, "unit": "L/min"},
        "effective_time_frame": AT,
    }
    (sample,) = read(point("oxygen-saturation", body))

    assert (sample.metric, sample.value) == ("oxygen-saturation", 89.0)


def test_a_point_without_a_value_is_left_out_and_nobody_has_to_mend_it() -> None:
    body = {**RATE, "heart_rate": {"value": None, "unit": "beats/min"}}
    (item,) = read(point(body=body))

    assert (item.reason, item.rejected) == ("no-value", False)


@pytest.mark.parametrize("id", ["\ud800", "\ufffd", "a\0b", "x" * 256, ["a"]])
def test_an_id_that_cannot_be_kept_leaves_the_point_out(id: Any) -> None:
    origin = {"source_data_point_id": id}
    (item,) = read(point(acquisition_provenance=origin))
    (user,) = read(point(user_id="u" * 256))

    assert (item.reason, user.reason) == ("malformed", "wearer")


@pytest.mark.parametrize("body", [None, 7, "x", {}, {"heart_rate": {"value": 61}}])
def test_what_is_no_data_point_is_refused_as_a_whole(body: Any) -> None:
    with pytest.raises(Unprocessable):
        read(body)


def test_a_point_without_a_schema_says_so() -> None:
    (item,) = read({"header": {}, "body": RATE})

    assert isinstance(item, LeftOut)
    assert item.problem.expression == "$.header.schema_id.name"


def test_what_has_neither_header_nor_body_is_no_point_and_hides_none() -> None:
    left, sample = read([{"heart_rate": 61}, point()])

    assert (left.reason, left.problem.expression) == ("malformed", "$[0]")
    assert sample.value == 112.0


def test_an_unusable_time_of_conversion_costs_the_revision_alone() -> None:
    (sample,) = read(point(creation_date_time="yesterday"))

    assert (sample.revision, sample.value) == (0, 112.0)


def test_the_bodies_of_a_series_share_its_header_and_not_its_id() -> None:
    later = {**RATE, "effective_time_frame": {"date_time": "2026-11-22T08:06:00-05:00"}}
    header = {"modality": "self-reported", "source_data_point_id": "s-1"}
    series = {
        **point(**header),
        "body": [RATE, {"heart_rate": {"value": 61}}, later, 7],
    }

    first, untimed, second, odd = read(series)

    assert first.flags == second.flags == Flag.MANUAL
    assert identity(first) != identity(second)
    assert first.path == "$.body[0].heart_rate"
    assert untimed.problem.expression == "$.body[1].effective_time_frame"
    assert (odd.reason, odd.problem.expression) == ("malformed", "$.body[3]")
