"""Windows: what readings say about the time up to one of them. Pure.

A reading speaks for the time until the next one, and for ``gap`` at most. A window is
asked for at readings alone: nobody knows what follows the newest one, so that it speaks
for nothing yet. Sums from the first reading on make of each window a few subtractions.

Source: wearables.md section 3.2, steps 6 and 7.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from .detectors import SustainedBreach
from .judging import Readings
from .rest import us


class Terms(NamedTuple):
    """What a pattern asks, in microseconds and shares."""

    hold: int
    gap: int
    edge: int
    recovery: int
    silence: int
    coverage: float
    share: float
    readings: int

    @classmethod
    def of(cls, pattern: SustainedBreach) -> "Terms":
        """Return the terms of a pattern."""
        return cls(
            us(pattern.hold),
            us(pattern.gap),
            us(pattern.edge),
            us(pattern.recovery),
            us(pattern.silence),
            pattern.coverage,
            pattern.share,
            pattern.readings,
        )

    @property
    def horizon(self) -> int:
        """How long after its last reading an episode may have a say in another."""
        return max(self.hold, self.silence)

    def enough(self, window: "TimeBefore") -> bool:
        """Check whether enough readings speak for a window to say what it was."""
        return (
            window.n >= self.readings
            and window.covered / self.hold >= self.coverage
            and window.late <= self.edge
        )

    def beyond(self, window: "TimeBefore") -> bool:
        """Check whether enough of what readings speak for is in breach."""
        if not window.covered:
            return False
        return window.breached / window.covered >= self.share


class TimeBefore(NamedTuple):
    """What readings say about the time up to one of them, which is ``hold`` long."""

    covered: int
    """Microseconds for which a reading speaks."""
    breached: int
    """Microseconds of these in breach."""
    n: int
    late: int
    """Microseconds at its beginning for which none speaks."""


class Windows:
    """The windows of readings, of which some count."""

    def __init__(
        self, readings: Readings, terms: Terms, counted: Sequence[bool]
    ) -> None:
        times, gap = readings.times, terms.gap
        self.counted = counted
        self._times = times
        self._breach = readings.breach
        self._terms = terms
        owned = [min(gap, later - at) for at, later in pairwise(times)]
        owned.append(0)
        self._owned = owned
        covered = [own if counts else 0 for own, counts in zip(owned, counted)]
        breached = [own if b else 0 for own, b in zip(covered, readings.breach)]
        self._covered = [0, *accumulate(covered)]
        self._breached = [0, *accumulate(breached)]
        self._n = [0, *accumulate(counted)]
        self._first = _firsts(times, terms.hold)
        self._next = _nexts(counted)

    def at(self, number: int) -> TimeBefore:
        """Return the window that ends with a reading that counts."""
        times, first = self._times, self._first[number]
        begin = times[number] - self._terms.hold
        covered = self._covered[number] - self._covered[first]
        breached = self._breached[number] - self._breached[first]
        late = times[self._next[first]] - begin
        if first and self.counted[first - 1]:
            reaches = times[first - 1] + self._owned[first - 1] - begin
            if reaches > 0:
                late = 0
                covered += reaches
                breached += reaches if self._breach[first - 1] else 0
        return TimeBefore(covered, breached, self._n[number + 1] - self._n[first], late)

    def candidates(self) -> Iterator[int]:
        """Yield the readings that count, in whose window anything is in breach."""
        breached = self._breached
        for number, first in enumerate(self._first):
            # One before the window may reach into it.
            before = breached[first - 1] if first else 0
            if breached[number] > before and self.counted[number]:
                yield number

    def is_opening(self, number: int) -> bool:
        """Check whether what is told up to a reading that counts is an episode."""
        window, terms = self.at(number), self._terms
        return terms.enough(window) and terms.beyond(window)

    def share_covered(self, from_us: int, to_us: int) -> float:
        """Return for how much of a time readings speak, 0 to 1."""
        if to_us <= from_us:
            return 1.0
        return (self._until(to_us) - self._until(from_us)) / (to_us - from_us)

    def _until(self, at: int) -> int:
        """Return the microseconds up to an instant for which readings speak."""
        number = bisect_right(self._times, at) - 1
        if number < 0:
            return 0
        own = min(self._owned[number], at - self._times[number])
        return self._covered[number] + (own if self.counted[number] else 0)


def _firsts(times: Sequence[int], hold: int) -> list[int]:
    """Return for each reading which is the first of the window that it ends."""
    firsts, first = [], 0
    for at in times:
        while times[first] < at - hold:
            first += 1
        firsts.append(first)
    return firsts


def _nexts(counted: Sequence[bool]) -> list[int]:
    """Return for each reading the next one that counts, which may be itself."""
    nexts, upcoming = [0] * len(counted), 0
    for number in range(len(counted) - 1, -1, -1):
        if counted[number]:
            upcoming = number
        nexts[number] = upcoming
    return nexts
