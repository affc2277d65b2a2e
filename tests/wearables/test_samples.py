"""Samples: which two are the same reading."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from cds_service.protocol.errors import Problem
from cds_service.wearables.samples import Device, Flag, LeftOut, Sample, Stat

AT = datetime(2026, 11, 22, 8, 5, tzinfo=timezone(-timedelta(hours=5)))
READING = Sample("heart-rate", 112.0, "/min", AT, AT, device=Device("w-1", "Watch"))


def test_the_same_time_on_another_clock_is_the_same_reading() -> None:
    there = AT.astimezone(timezone(timedelta(hours=9)))
    assert replace(READING, start=there, end=there).key == READING.key


def test_another_value_is_the_same_reading_told_anew() -> None:
    assert replace(READING, value=113.0).key == READING.key


def test_another_device_time_or_statistic_is_another_reading() -> None:
    later = AT + timedelta(microseconds=1)
    others = [
        replace(READING, device=Device("w-2", "Watch")),
        replace(READING, device=Device("w-1", "Watch", "Health Sync")),
        replace(READING, end=later),
        replace(READING, stat=Stat.MAX),
        replace(READING, flags=Flag.DAY_TOTAL),
    ]
    assert len({each.key for each in (READING, *others)}) == 6


def test_typed_by_hand_or_not_it_is_the_same_reading() -> None:
    assert replace(READING, flags=Flag.MANUAL).key == READING.key


def test_a_reading_with_an_id_is_told_by_the_id_whatever_its_time() -> None:
    named = replace(READING, source_id="hr-88121")
    moved = replace(named, start=AT + timedelta(minutes=1), device=Device())
    assert named.key == moved.key != READING.key


def test_the_mean_and_the_maximum_of_one_id_are_two_readings() -> None:
    named = replace(READING, source_id="hr-88121", stat=Stat.MEAN)
    assert replace(named, stat=Stat.MAX).key != named.key


def test_what_nobody_has_to_mend_is_not_rejected() -> None:
    assert LeftOut("unit", Problem("Must be UCUM.")).rejected
    assert not LeftOut("goal", Problem("A goal.")).rejected
