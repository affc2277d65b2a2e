"""In whatever order and portions readings come, what is found is the same."""

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

import pytest

from cds_service.wearables.detection.detectors import SustainedBreach
from cds_service.wearables.detection.episodes import Episode
from cds_service.wearables.samples import Context, Device, Flag, Stat
from cds_service.wearables.series import Point, Series, Voice

from .reference import Plain, find_plainly
from .wearer import EIGHT_US, FAST, HR, REST, SECOND, STEPS, Wearer, detector

VOICES = (
    Voice("watch", device=Device(name="Watch")),
    Voice("phone", device=Device(name="Phone A")),
    Voice("phone", device=Device(name="Phone B")),
)
AT_LAST = datetime(2026, 11, 30, tzinfo=UTC)
SERIES = int(os.environ.get("TEST_SERIES", "40"))
"""Of each of ten parts."""


class Told(NamedTuple):
    """What a source tells of one reading, or that there is none."""

    metric: str
    key: int
    revision: int
    point: Point | None


def some_readings(chance: random.Random) -> Iterator[Point]:
    """A day and a half of phases: high, low, between; dense, sparse, silent."""
    at, until = 0.0, chance.choice([3, 3, 8, 8, 30]) * 3600
    while at < until:
        value = chance.choice([70, 97, 115, 115, 115])
        step = chance.choice([30, 60, 60, 60, 150, 300])
        context = chance.choice([Context.REST, Context.REST, Context.UNKNOWN])
        voice = chance.choice([0, 0, 1, 2])
        end = at + chance.choice([120, 400, 900, 2400, 5400])
        while at < end:
            flags = chance.choices(
                [Flag(0), Flag.MANUAL, Flag.ABOVE, Flag.BELOW], [90, 1, 1, 1]
            )[0]
            said = context if chance.random() < 0.99 else Context.ACTIVE
            us = EIGHT_US + round(at) * SECOND
            noise = chance.choices([0, 1, -20], [20, 20, 1])[0]
            yield Point(us, us, value + noise, voice, Stat.INSTANT, said, flags)
            at += step * chance.choice([1, 1, 1, 0.5, 1.5])
        at += chance.choice([0, 0, 0, 500, 4000, 20000])


def some_steps(chance: random.Random) -> Iterator[Point]:
    at, until = -900.0, chance.choice([3, 3, 8, 8, 30]) * 3600
    while at < until:
        length = chance.choice([60, 60, 300, 900, 3600])
        rate = chance.choice([0, 0, 0, 0, 5, 100])
        for _ in range(chance.choice([3, 10, 30])):
            start = EIGHT_US + round(at) * SECOND
            end = start + length * SECOND
            yield Point(start, end, rate * length / 60, 0, Stat.TOTAL)
            at += length
        at += chance.choice([0, 0, 0, 1, 600, 9000])
    total = Point(EIGHT_US, EIGHT_US + 86_400 * SECOND, 6120, 0, Stat.TOTAL)
    yield total._replace(flags=Flag.DAY_TOTAL)


def some_pattern(chance: random.Random) -> SustainedBreach:
    """The usual one, or one whose lengths and shares stand in other relations."""
    if chance.random() < 0.3:
        return FAST
    return replace(
        FAST,
        hold=timedelta(seconds=chance.choice([120, 600, 600, 1800, 5400])),
        gap=timedelta(seconds=chance.choice([90, 180, 400])),
        coverage=chance.choice([0.3, 0.7, 0.95]),
        share=chance.choice([0.5, 0.9, 1.0]),
        readings=chance.choice([1, 2, 4, 10]),
        edge=timedelta(seconds=chance.choice([0, 0, 60, 300])),
        recovery=timedelta(seconds=chance.choice([0, 60, 600, 2400])),
        silence=timedelta(seconds=chance.choice([200, 1200, 3600])),
        rest=chance.choice([REST, REST, None]),
    )


def tellings(chance: random.Random, changing: bool) -> list[Told]:
    """Return all that is told of a wearer; some of it again, some of it otherwise."""
    points = [(HR, each) for each in some_readings(chance)]
    points += [(STEPS, each) for each in some_steps(chance)]
    told = [Told(metric, key, 0, point) for key, (metric, point) in enumerate(points)]
    if changing:
        for each in chance.sample(told, len(told) // 5):
            assert each.point is not None
            value = each.point.value + chance.choice([-40, -10, 30])
            changed = each.point._replace(value=max(0.0, value))
            other = chance.choice([changed, changed, None])
            told.append(each._replace(revision=1, point=other))
    return told


class Keeper:
    """Keeps the highest revision of each reading, as a store does."""

    def __init__(self, wearer: Wearer) -> None:
        self.wearer = wearer
        self.held: dict[int, Told] = {}

    def take(self, delivery: list[Told], now: datetime) -> None:
        dirty: dict[str, tuple[int, int]] = {}
        for each in delivery:
            before = self.held.get(each.key)
            if before is not None and before.revision >= each.revision:
                continue
            self.held[each.key] = each
            for point in (each.point, before.point if before else None):
                if point is not None:
                    first, last = dirty.get(each.metric, (point.start_us, point.end_us))
                    dirty[each.metric] = (
                        min(first, point.start_us),
                        max(last, point.end_us),
                    )
        for metric in (HR, STEPS):
            points = [
                each.point
                for each in self.held.values()
                if each.metric == metric and each.point is not None
            ]
            self.wearer.kept[metric] = sorted(points, key=lambda each: each.start_us)
        if dirty:
            self.wearer.look(dirty, now)
        assert_apart(self.wearer.found())

    def finish(self) -> None:
        """Look once more at what lasts, since nothing came any more."""
        for each in self.wearer.found():
            if each.end is None:
                last = round(each.last.timestamp()) * SECOND
                self.wearer.look({HR: (last, last)}, AT_LAST)


def assert_apart(episodes: list[Episode]) -> None:
    """No time is in two episodes of one detector."""
    for each, later in zip(episodes, episodes[1:]):
        assert (each.end or each.last) <= later.start


def plain(episode: Episode) -> Plain:
    """Return what of an episode does not depend on how it came to be known."""
    return Plain(
        episode.start.timestamp(),
        episode.opened.timestamp(),
        None if episode.end is None else episode.end.timestamp(),
        episode.peak,
        episode.n,
        episode.coverage,
        str(episode.closing),
    )


def portions(chance: random.Random, told: list[Told]) -> list[list[Told]]:
    """Return deliveries: some days late, some again, some of all times at once."""
    order = [*told, *chance.sample(told, len(told) // 10)]
    mix = chance.choice(["readings", "deliveries", "deliveries", "nothing"])
    if mix == "readings":
        chance.shuffle(order)
    size = chance.choice([7, 15, 40])
    found = [order[at : at + size] for at in range(0, len(order), size)]
    if mix == "deliveries":
        chance.shuffle(found)
    return found


def check_order(seed: int) -> int:
    """Compare one series told in portions, told at once, and judged plainly."""
    chance = random.Random(seed)
    told, pattern = tellings(chance, changing=seed % 2 == 0), some_pattern(chance)
    # Midnight is two to six hours after the first reading.
    zone = timezone(timedelta(hours=chance.choice([10, 11, 12, 13, 14])))
    by_portion = Keeper(Wearer([detector(pattern)], VOICES, zone=zone))
    now = datetime.fromtimestamp(EIGHT_US / SECOND, UTC)
    for portion in portions(chance, told):
        newest = max((each.point.start_us for each in portion if each.point), default=0)
        now = max(now, datetime.fromtimestamp(newest / SECOND, UTC))
        by_portion.take(portion, now)
    by_portion.finish()
    at_once = Keeper(Wearer([detector(pattern)], VOICES, zone=zone))
    at_once.take(told, AT_LAST)

    series = Series(HR, VOICES, at_once.wearer.kept[HR])
    steps = at_once.wearer.kept[STEPS]
    expected = find_plainly(series, steps, pattern, AT_LAST.timestamp())
    found = [plain(each) for each in at_once.wearer.found()]
    rounded = [each._replace(coverage=round(each.coverage, 9)) for each in expected]
    assert [e._replace(coverage=round(e.coverage, 9)) for e in found] == rounded
    assert [plain(each) for each in by_portion.wearer.found()] == found
    assert by_portion.wearer.tallies == at_once.wearer.tallies
    return len(found)


def test_a_few_series_tell_the_same_in_whatever_portions_they_come() -> None:
    assert sum(map(check_order, (0, 1, 6))) > 2


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_hundreds_of_series_tell_the_same_in_whatever_portions_they_come(
    part: int,
) -> None:
    seeds = range(8 + part * SERIES, 8 + (part + 1) * SERIES)

    assert sum(map(check_order, seeds)) > SERIES / 2
