"""In whatever order days become known, patterns of days are the same."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cds_service.wearables.detection.detectors import (
    BaselineShift,
    DaysBeyond,
    Decline,
    Detector,
    Direction,
    Gain,
)
from cds_service.wearables.samples import Context, Stat
from cds_service.wearables.series import Point

from .wearer import (
    DETECTOR,
    EIGHT_US,
    HR,
    RESTING,
    SECOND,
    STEPS,
    WEIGHT,
    Wearer,
)

DAY = 86_400 * SECOND
BEYOND = DaysBeyond(Direction.AT_LEAST, 100, "mean", days=2, of=3)
SHIFT = BaselineShift(
    Direction.AT_LEAST,
    by=10,
    deviations=3,
    statistic="mean",
    days=2,
    baseline=14,
    least=5,
    left_out=2,
)
GAIN = Gain(((1, 1.5), (3, 2.0), (7, 2.5)), implausible=5)
DECLINE = Decline(
    by=0.3, statistic="total", recent=3, before=9, least=2, worn=timedelta(hours=2)
)
DETECTORS = [
    replace(DETECTOR, name="beyond", metric=RESTING, pattern=BEYOND),
    replace(DETECTOR, name="shift", metric=RESTING, pattern=SHIFT),
    replace(DETECTOR, name="gain", metric=WEIGHT, pattern=GAIN),
    replace(DETECTOR, name="decline", metric=STEPS, pattern=DECLINE),
]


def told(metric: str, at_us: int, value: float) -> tuple[str, Point]:
    return metric, Point(at_us, at_us, value, 0, context=Context.REST)


def some_days(chance: random.Random) -> Iterator[tuple[str, Point]]:
    """Three months of phases, of which some days are missing."""
    rate, weight, walks = 60.0, 80.0, 8000.0
    for day in range(chance.choice([12, 40, 90])):
        if chance.random() < 0.1:
            rate = chance.choice([60, 60, 75, 105])
            weight += chance.choice([0, 2, -2, 3])
            walks = chance.choice([8000, 8000, 3000])
        begin = EIGHT_US + day * DAY + chance.randrange(0, 8 * 3600) * SECOND
        if chance.random() < 0.85:
            yield told(RESTING, begin, rate + chance.choice([-1, 0, 1, 2]))
        if chance.random() < 0.8:
            yield told(WEIGHT, begin, weight + chance.choice([0, 0.2, 0.4]))
        if chance.random() < 0.05:
            yield told(WEIGHT, begin + 60 * SECOND, 24.5)
        if chance.random() < 0.9:
            end = begin + 3600 * SECOND
            yield STEPS, Point(begin, end, walks, 0, Stat.TOTAL)
        if chance.random() < 0.9:
            yield told(HR, begin, 80)


def keep(wearer: Wearer, part: Sequence[tuple[str, Point]], now: datetime) -> None:
    for metric in (RESTING, WEIGHT, STEPS, HR):
        wearer.deliver([point for of, point in part if of == metric], metric, now)


def look_once_more(wearer: Wearer, now: datetime) -> None:
    """As when a day is over and nothing came: at the newest day, and what lasts."""
    for metric, points in wearer.kept.items():
        if points:
            newest = points[-1].start_us
            wearer.look({metric: (newest, newest)}, now)


def check_order(seed: int, detectors: Sequence[Detector] = DETECTORS) -> int:
    chance = random.Random(seed)
    days = list(some_days(chance))
    size = chance.choice([1, 4, 15])
    parts = [days[at : at + size] for at in range(0, len(days), size)]
    if chance.random() < 0.6:
        chance.shuffle(parts)
    by_part, at_once = Wearer(detectors), Wearer(detectors)
    now = datetime(2026, 11, 22, tzinfo=UTC)
    for part in parts:
        newest = max(point.end_us for _, point in part)
        now = max(now, datetime.fromtimestamp(newest / SECOND, UTC))
        keep(by_part, part, now)
    taken = chance.sample(days, len(days) // 6) if seed % 2 else []
    for metric, point in taken:
        changed = (
            [point._replace(value=point.value + 2)] if chance.random() < 0.5 else []
        )
        by_part.deliver(changed, metric, now, without=[point])
    at_last = now + timedelta(days=chance.choice([1, 60]))
    look_once_more(by_part, at_last)
    for metric, points in by_part.kept.items():
        at_once.deliver(points, metric, at_last)
    found = 0
    for each in detectors:
        assert by_part.found(each.name) == at_once.found(each.name), each.name
        found += len(at_once.found(each.name))
    assert by_part.tallies == at_once.tallies
    return found


def test_a_few_series_of_days_tell_the_same_in_whatever_portions_they_come() -> None:
    assert sum(map(check_order, range(3))) > 5


@pytest.mark.slow
def test_many_series_of_days_tell_the_same_in_whatever_portions_they_come() -> None:
    assert sum(map(check_order, range(3, 206))) > 406
