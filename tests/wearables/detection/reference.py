"""The definition of an episode, written down plainly: each question asks every reading.

It shares no line with what it is compared to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from cds_service.wearables.detection.detectors import SustainedBreach
from cds_service.wearables.samples import Context, Flag
from cds_service.wearables.series import Point, Series

from .wearer import SECOND


class Plain(NamedTuple):
    """An episode in seconds since 1970."""

    start: float
    opened: float
    end: float | None
    peak: float
    n: int
    coverage: float
    closing: str


def one_voice_a_minute(series: Series) -> list[Point]:
    """Readings of one instant, of each minute those of the voice that goes first."""
    minutes_told: dict[tuple[int, int], set[int]] = {}
    for each in series.points:
        quarter = each.start_us // (900 * SECOND)
        told = minutes_told.setdefault((quarter, each.voice), set())
        told.add(each.start_us // (60 * SECOND))
    sources = [each.source for each in series.voices]

    def rank(each: Point) -> tuple[int, int, int]:
        quarter = each.start_us // (900 * SECOND)
        told = len(minutes_told[quarter, each.voice])
        return sources.index(sources[each.voice]), -told, each.voice

    first: dict[int, tuple[int, int, int]] = {}
    for each in series.points:
        minute, own = each.start_us // (60 * SECOND), rank(each)
        first[minute] = min(own, first.get(minute, own))
    return [
        each
        for each in sorted(series.points)
        if rank(each) == first[each.start_us // (60 * SECOND)]
    ]


def is_at_rest(at: Point, pattern: SustainedBreach, steps: Sequence[Point]) -> bool:
    rest = pattern.rest
    if rest is None or at.context in (Context.REST, Context.ASLEEP):
        return True
    if at.context is Context.ACTIVE:
        return False
    begin = at.start_us - rest.lookback.total_seconds() * SECOND
    told = set[int]()
    for each in steps:
        length = (each.end_us - each.start_us) / SECOND
        if length > rest.longest.total_seconds() or each.flags & Flag.DAY_TOTAL:
            continue
        if each.start_us <= at.start_us and each.end_us > begin:
            if each.value / (length / 60) > rest.per_minute:
                return False
            first, last = max(each.start_us, begin), min(each.end_us, at.start_us)
            told.update(range(int(first // SECOND), int(last // SECOND)))
    return len(told) >= rest.covered * rest.lookback.total_seconds()


def breaches(at: Point, limit: float) -> bool:
    if at.flags & Flag.BELOW:
        return False
    return at.value >= limit if at.flags & Flag.ABOVE else at.value > limit


def clears(at: Point, clear: float) -> bool:
    if at.flags & Flag.ABOVE:
        return False
    return at.value <= clear if at.flags & Flag.BELOW else at.value < clear


@dataclass
class Plainly:
    """Readings of which one voice a minute counts, and what a pattern asks of them."""

    points: list[Point]
    rested: list[bool]
    pattern: SustainedBreach

    def __post_init__(self) -> None:
        self.times = [each.start_us / SECOND for each in self.points]

    def time(self, number: int) -> float:
        return self.times[number]

    def told(self, begin: float, end: float) -> list[tuple[float, float, int]]:
        """For which parts of a time which reading speaks."""
        gap, found = self.pattern.gap.total_seconds(), []
        for number, (at, later) in enumerate(pairwise(self.times)):
            if self.rested[number] and at < end and later > begin:
                start, stop = max(begin, at), min(end, later, at + gap)
                if start < stop:
                    found.append((start, stop, number))
        return found

    def opens(self, number: int) -> bool:
        pattern, end = self.pattern, self.time(number)
        hold = pattern.hold.total_seconds()
        told = self.told(end - hold, end)
        covered = sum(stop - start for start, stop, _ in told)
        breached = sum(
            stop - start
            for start, stop, each in told
            if breaches(self.points[each], pattern.limit)
        )
        n = sum(
            rested and end - hold <= at <= end
            for rested, at in zip(self.rested, self.times)
        )
        return (
            n >= pattern.readings
            and covered > 0
            and covered / hold >= pattern.coverage
            and breached / covered >= pattern.share
            and told[0][0] <= end - hold + pattern.edge.total_seconds()
        )

    def recovered(self, since: int, number: int) -> float | None:
        """When it was clear, if by a reading it is over that opened with another."""
        clear = [each for each in range(since, number + 1) if self.rested[each]]
        for each in list(clear):
            if not clears(self.points[each], self.pattern.clear):
                clear = [later for later in clear if later > each]
        if len(clear) < 2:
            return None
        first = last = self.time(number)
        for each in reversed(clear):
            if last - self.time(each) > self.pattern.gap.total_seconds():
                break
            first = last = self.time(each)
        begin, end = self.time(clear[0]), self.time(number)
        enough = end - first >= self.pattern.recovery.total_seconds()
        return begin if enough or end - begin >= self.silence else None

    @property
    def silence(self) -> float:
        return self.pattern.silence.total_seconds()

    def over(self, since: int, now: float) -> tuple[float, str, int]:
        """Until when it was, why no longer, and the first reading after it."""
        last = since
        for number in range(since + 1, len(self.points)):
            if not self.rested[number]:
                continue
            if self.time(number) - self.time(last) >= self.silence:
                return self.time(last), "no-data", number
            until = self.recovered(since, number)
            if until is not None:
                return until, "recovered", number + 1
            last = number
        silent = now - self.time(last) >= self.silence
        return self.time(last), "no-data" if silent else "", len(self.points)

    def episode(self, number: int, until: float, closing: str) -> Plain:
        opened = self.time(number)
        start = opened - self.pattern.hold.total_seconds()
        values = [
            point.value
            for each, point in enumerate(self.points)
            if self.rested[each]
            and start <= self.time(each) <= until
            and (self.time(each) < until or closing != "recovered")
        ]
        if not values:
            # So short that only the reading before it speaks for it.
            values = [self.points[self.told(start, until)[0][2]].value]
        told = sum(stop - begin for begin, stop, _ in self.told(start, until))
        return Plain(
            start,
            opened,
            until if closing else None,
            max(values),
            len(values),
            told / (until - start),
            closing,
        )


def find_plainly(
    series: Series, steps: Sequence[Point], pattern: SustainedBreach, now: float
) -> list[Plain]:
    """Return the episodes above a limit in the readings of some voices, in order."""
    usable = [
        each
        for each in series.points
        if not each.flags & (Flag.MANUAL | Flag.GROUPED | Flag.DAY_TOTAL)
    ]
    points = one_voice_a_minute(Series(series.metric, series.voices, usable))
    rested = [is_at_rest(each, pattern, steps) for each in points]
    readings = Plainly(points, rested, pattern)
    found: list[Plain] = []
    number, over = 0, float("-inf")
    while number < len(points):
        start = readings.time(number) - pattern.hold.total_seconds()
        if not rested[number] or start < over or not readings.opens(number):
            number += 1
            continue
        over, closing, after = readings.over(number, now)
        found.append(readings.episode(number, over, closing))
        number = after
    return found
