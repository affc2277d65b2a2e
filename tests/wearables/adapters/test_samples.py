"""The own format of readings: what becomes a sample, and what is said of the rest."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.samples import adapt
from cds_service.wearables.adapters.written import item_as_json
from cds_service.wearables.samples import (
    Context,
    Device,
    Flag,
    LeftOut,
    Notice,
    Removal,
    Sample,
    SourceWearer,
    Stat,
)

from .sources import CATALOGUE, Source

WEST = timezone(timedelta(hours=-5))
AT = datetime(2026, 11, 22, 8, 5, tzinfo=WEST)
LEAST = {
    "metric": "heart-rate",
    "value": 112,
    "unit": "/min",
    "start": "2026-11-22T08:05:00-05:00",
}
READING = Sample("heart-rate", 112.0, "/min", AT, AT, local=True, path="$.samples[0]")


def read(source: Source = Source(), **told: Any) -> Any:
    (item,) = adapt({"samples": [{**LEAST, **told}]}, source, CATALOGUE)
    return item


def test_the_least_that_can_be_said_is_a_reading_of_whom_the_sender_speaks() -> None:
    assert read() == READING


def test_a_reading_keeps_everything_that_was_said() -> None:
    told = read(
        patient="Patient/p1",
        end="2026-11-22T08:06:00-05:00",
        device={"id": "w-1", "name": "Watch", "app": "Sync"},
        id="hr-88121",
        rev=1_795_352_762_000,
        stat="max",
        context="rest",
        flags=["manual", "estimated", "below"],
    )

    assert told == Sample(
        "heart-rate",
        112.0,
        "/min",
        AT,
        AT + timedelta(minutes=1),
        True,
        SourceWearer("p1"),
        Device("w-1", "Watch", "Sync"),
        "hr-88121",
        1_795_352_762_000,
        Stat.MAX,
        Context.REST,
        Flag.MANUAL | Flag.ESTIMATED | Flag.BELOW,
        "$.samples[0]",
    )


def test_what_is_written_of_a_sample_is_read_as_the_same() -> None:
    told = read(
        user="u-7",
        end="2026-11-22T08:06:00-05:00",
        device={"name": "Watch"},
        id="hr-88121",
        stat="mean",
        context="asleep",
        flags=["grouped"],
    )
    for sample in (READING, told):
        (again,) = adapt({"samples": [item_as_json(sample)]}, Source(), CATALOGUE)
        assert again == sample


def test_an_instant_of_no_known_clock_is_written_with_a_z() -> None:
    sample = read(start="2026-11-22T13:05:00Z")

    assert not sample.local
    assert item_as_json(sample)["start"] == "2026-11-22T13:05:00Z"


def test_z_is_no_clock_unless_the_source_has_a_zone() -> None:
    sample = read(Source(time_zone="America/New_York"), start="2026-11-22T13:05:00Z")

    assert (sample.start.isoformat(), sample.local) == (AT.isoformat(), True)


def test_a_device_may_be_told_by_its_name() -> None:
    assert read(device="Watch").device == Device(name="Watch")


def test_steps_of_a_day_are_kept_apart_from_those_of_its_parts() -> None:
    day = read(
        metric="steps",
        value=6120,
        unit="steps",
        start="2026-11-22T00:00:00-05:00",
        end="2026-11-23T00:00:00-05:00",
    )

    assert (day.stat, day.flags, day.unit) == (Stat.TOTAL, Flag.DAY_TOTAL, "{steps}")


def test_the_day_on_which_clocks_are_put_back_is_a_day_of_25_hours() -> None:
    steps = {"metric": "steps", "value": 6120, "unit": "{steps}"}
    long = {"start": "2026-11-01T00:00:00-04:00", "end": "2026-11-02T00:00:00-05:00"}
    short = {"start": "2026-03-08T00:00:00-05:00", "end": "2026-03-09T00:00:00-04:00"}

    assert read(**steps, **long).flags == Flag.DAY_TOTAL
    assert read(**steps, **short).flags == Flag.DAY_TOTAL


def test_a_deletion_takes_back_by_the_id_of_the_source() -> None:
    told = {"id": "hr-88121", "deleted": True, "patient": "p1", "rev": 2}
    (item,) = adapt({"samples": [told]}, Source(), CATALOGUE)

    assert item == Removal(
        SourceWearer("p1"), "", "hr-88121", revision=2, path="$.samples[0]"
    )


def test_a_deletion_without_an_id_says_of_what_and_when() -> None:
    removed = read(deleted=True, end="2026-11-22T09:05:00-05:00")
    refused = read(deleted=True)

    assert removed == Removal(
        metric="heart-rate",
        start=AT,
        end=AT + timedelta(hours=1),
        path="$.samples[0]",
    )
    assert refused.problem.expression == "$.samples[0].end"


@pytest.mark.parametrize(
    ("told", "reason", "place"),
    [
        ({"metric": "heart-rte"}, "metric", ".metric"),
        ({"metric": None}, "metric", ".metric"),
        ({"value": "112"}, "malformed", ".value"),
        ({"value": True}, "malformed", ".value"),
        ({"value": 700}, "implausible", ".value"),
        ({"unit": "kg"}, "unit", ".unit"),
        ({"unit": None}, "unit", ".unit"),
        ({"start": "2026-11-22"}, "time", ".start"),
        ({"start": "1999-01-01T00:00:00Z"}, "time", ".start"),
        ({"end": "2026-11-22T08:04:59-05:00"}, "time", ".end"),
        ({"time_zone": "Mars/Olympus"}, "time", ".time_zone"),
        ({"utc_offset": "-06:00"}, "time", ".utc_offset"),
        ({"patient": "a b"}, "wearer", ".patient"),
        ({"user": "\ud800"}, "wearer", ".user"),
        ({"stat": "average"}, "malformed", ".stat"),
        ({"context": "running"}, "malformed", ".context"),
        ({"flags": ["typed"]}, "malformed", ".flags"),
        ({"flags": "manual"}, "malformed", ".flags"),
        ({"flags": ["below", "above"]}, "malformed", ".flags"),
        ({"device": {"id": 7}}, "malformed", ".device.id"),
        ({"rev": -1}, "malformed", ".rev"),
        ({"rev": 2**53}, "malformed", ".rev"),
        ({"deleted": "yes"}, "malformed", ".deleted"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    told: dict[str, Any], reason: str, place: str
) -> None:
    item = read(id="hr-1", **told)

    assert isinstance(item, LeftOut)
    assert (item.reason, item.id) == (reason, "hr-1")
    assert item.problem.expression == f"$.samples[0]{place}"


def test_what_else_is_wrong_is_told_beside_the_first() -> None:
    item = read(value=None, start="soon")

    assert item.problem.expression == "$.samples[0].value"
    assert item.problem.diagnostics.startswith("$.samples[0].start: Must be a date")


def test_a_wrong_item_does_not_touch_its_neighbours() -> None:
    body = {"samples": [LEAST, 7, {**LEAST, "value": 700}, LEAST]}

    items = list(adapt(body, Source(), CATALOGUE))

    assert [type(each) for each in items] == [Sample, LeftOut, LeftOut, Sample]
    assert isinstance(items[1], LeftOut)
    assert items[1].problem.expression == "$.samples[1]"


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"samples": []}, {"samples": {}}, {"samples": [LEAST] * 1001}],
)
def test_what_is_no_delivery_is_refused_as_a_whole(body: Any) -> None:
    with pytest.raises(Unprocessable):
        list(adapt(body, Source(), CATALOGUE))


def test_a_thousand_samples_are_a_delivery() -> None:
    assert len(list(adapt({"samples": [LEAST] * 1000}, Source(), CATALOGUE))) == 1000


def test_a_notice_and_what_is_left_out_are_written_with_what_they_say() -> None:
    at = datetime(2026, 11, 22, 13, 5, tzinfo=UTC)
    notice = Notice("high-heart-rate", "n-1", at, None, value=126.0, stat="max")

    assert item_as_json(notice) == {
        "kind": "notice",
        "type": "high-heart-rate",
        "id": "n-1",
        "status": "open",
        "start": "2026-11-22T13:05:00Z",
        "value": 126.0,
        "stat": "max",
    }
    assert item_as_json(read(value=None)) == {
        "kind": "left-out",
        "path": "$.samples[0].value",
        "reason": "malformed",
        "text": "Required.",
    }


def test_a_removal_is_written_so_that_it_is_read_again() -> None:
    removal = read(deleted=True, end="2026-11-22T09:05:00-05:00", user="u")
    (again,) = adapt({"samples": [item_as_json(removal)]}, Source(), CATALOGUE)

    assert again == removal
