"""What is held comes back as it was, and the same is known again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cds_service.wearables.held import Holdable, held_json, held_key, read_held
from cds_service.wearables.samples import (
    Context,
    Device,
    Flag,
    Notice,
    Removal,
    Sample,
    SourceWearer,
    Stat,
)

EIGHT = datetime.fromisoformat("2026-11-22T08:00:00-05:00")
SAMPLE = Sample(
    "heart-rate",
    72.5,
    "/min",
    EIGHT,
    EIGHT + timedelta(minutes=1),
    local=True,
    wearer=SourceWearer(user="u-7"),
    device=Device("w-1", "Jane's Watch", "Health"),
    source_id="r-1",
    revision=3,
    stat=Stat.MEAN,
    context=Context.REST,
    flags=Flag.MANUAL | Flag.GROUPED,
    path="$.data[0]",
)
NOTICE = Notice(
    "low-heart-rate", "n-1", EIGHT, None, value=38.0, stat="max", retracted=True
)
REMOVAL = Removal(metric="heart-rate", start=EIGHT, end=EIGHT.astimezone(UTC))


@pytest.mark.parametrize(
    "item",
    [
        SAMPLE,
        Sample("heart-rate", 72, "/min", EIGHT, EIGHT),
        NOTICE,
        Notice("irregular-rhythm", "n-2", EIGHT, EIGHT),
        REMOVAL,
        Removal(source_id="r-1"),
    ],
)
def test_it_comes_back_as_it_was(item: Holdable) -> None:
    back = read_held(held_json(item))

    assert back == item
    assert [type(getattr(back, each)) for each in item.__slots__] == [
        type(getattr(item, each)) for each in item.__slots__
    ]


def test_another_revision_is_known_for_the_same_and_another_reading_is_not() -> None:
    same = [replace(SAMPLE, revision=4, value=99), replace(SAMPLE, path="$")]
    others = [
        replace(SAMPLE, source_id="r-2"),
        replace(SAMPLE, metric="steps"),
        replace(SAMPLE, unit="Hz"),
        replace(SAMPLE, stat=Stat.MAX),
        NOTICE,
        replace(NOTICE, id="n-2"),
        REMOVAL,
        replace(REMOVAL, end=None),
        replace(REMOVAL, metric=""),
    ]

    assert {held_key(each) for each in same} == {held_key(SAMPLE)}
    assert len({held_key(each) for each in [SAMPLE, *others]}) == 1 + len(others)
