"""What a simulated watch measures, minute by minute: hours of readings to play.

Everything that is random comes from the generator that is given, and every time from
the moment that is given: the same two give the same readings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
EVERY_GLUCOSE = 5
"""Minutes between readings of a glucose sensor."""


@dataclass(frozen=True, slots=True)
class MinuteReading:
    """One minute of a wearer."""

    at: datetime
    """Aware, with the offset of the place where the watch is."""
    heart_rate: int
    steps: int = 0
    glucose: int | None = None
    """In mg/dL, now and then."""
    revision: int = 0

    @property
    def end(self) -> datetime:
        """Return when the minute ends."""
        return self.at + MINUTE


@dataclass(frozen=True, slots=True)
class HourStep:
    """One delivery of readings and what a right server answers."""

    says: str
    """In a few words, for the person who watches."""
    readings: tuple[MinuteReading, ...]
    outcome: str = "accepted"
    """What becomes of all of them; see the answer of ``/wearables/v1/samples``."""
    repeats: bool = False
    """Whether it repeats the step before, so that the same answer is due."""
    forged: bool = False
    """Whether it is signed with another secret."""


@dataclass(frozen=True, slots=True)
class WornWatch:
    """One watch on a wrist, from *start* on."""

    start: datetime
    minutes: int
    random: Random

    def minute(self, number: int, rate: int, steps: int = 0) -> MinuteReading:
        """Return one minute with a heart rate near *rate*."""
        glucose = 95 + self.random.randint(-8, 8)
        return MinuteReading(
            self.start + number * MINUTE,
            rate + self.random.randint(-3, 3),
            steps + (self.random.randint(-6, 6) if steps else 0),
            glucose if number % EVERY_GLUCOSE == 0 else None,
        )

    def worn(self, rate: int, steps: int = 0) -> list[MinuteReading]:
        """Return all the minutes with a heart rate near *rate*."""
        return [self.minute(each, rate, steps) for each in range(self.minutes)]


def steady_tachy(watch: WornWatch) -> list[HourStep]:
    """A heart rate that stays high at rest."""
    return [HourStep("an hour at rest, fast", tuple(watch.worn(116)))]


def walking(watch: WornWatch) -> list[HourStep]:
    """A heart rate that rises with the steps."""
    return [HourStep("a walk", tuple(watch.worn(118, 104)))]


def gap(watch: WornWatch) -> list[HourStep]:
    """Readings, then none for as long, then readings again."""
    first = watch.worn(114)
    later = [replace(each, at=each.at + 2 * watch.minutes * MINUTE) for each in first]
    return [
        HourStep("before the gap", tuple(first)),
        HourStep("after the gap", tuple(later)),
    ]


def out_of_order(watch: WornWatch) -> list[HourStep]:
    """The second half before the first, and each half backwards."""
    readings = watch.worn(116)
    half = len(readings) // 2
    return [
        HourStep("the later half", tuple(reversed(readings[half:]))),
        HourStep("the earlier half, late", tuple(reversed(readings[:half]))),
    ]


def duplicate(watch: WornWatch) -> list[HourStep]:
    """The same delivery twice, then the same readings in another delivery."""
    first = HourStep("a delivery", tuple(watch.worn(112)))
    return [
        first,
        replace(first, says="the same again", repeats=True),
        replace(first, says="the same readings anew", outcome="duplicate"),
    ]


def clock_skew(watch: WornWatch) -> list[HourStep]:
    """A watch whose clock is a day ahead."""
    ahead = [replace(each, at=each.at + DAY) for each in watch.worn(112)]
    return [HourStep("readings from the future", tuple(ahead), outcome="rejected")]


def late_24h(watch: WornWatch) -> list[HourStep]:
    """Readings that reach the phone a day late."""
    late = [replace(each, at=each.at - DAY) for each in watch.worn(112)]
    return [HourStep("yesterday's readings", tuple(late))]


def non_wear(watch: WornWatch) -> list[HourStep]:
    """A watch that was off the wrist but for a few minutes."""
    return [HourStep("few readings", tuple(watch.worn(110)[::15]))]


def corrected_value(watch: WornWatch) -> list[HourStep]:
    """Values that the vendor corrects later."""
    first = watch.worn(118)
    lower = [
        replace(each, heart_rate=each.heart_rate - 30, glucose=None, revision=1)
        for each in first
    ]
    return [
        HourStep("values", tuple(first)),
        HourStep("their corrections", tuple(lower), outcome="revised"),
    ]


def bad_signature(watch: WornWatch) -> list[HourStep]:
    """Readings that somebody else has signed."""
    return [HourStep("a forgery", tuple(watch.worn(112)), forged=True)]


HOURS: Mapping[str, Callable[[WornWatch], list[HourStep]]] = {
    each.__name__: each
    for each in (
        steady_tachy,
        walking,
        gap,
        out_of_order,
        duplicate,
        clock_skew,
        late_24h,
        non_wear,
        corrected_value,
        bad_signature,
    )
}
"""Name to scenario; the first line of the docstring says what it plays."""


def play_hour(name: str, now: datetime, minutes: int, seed: int) -> list[HourStep]:
    """Return the deliveries of a scenario that ends at *now*."""
    random = Random(f"{seed} {name}")  # nosec B311 # made-up readings, repeatable
    whole = now.replace(microsecond=0)
    spans = 3 if name == "gap" else 1
    return HOURS[name](WornWatch(whole - spans * minutes * MINUTE, minutes, random))
