"""Civil days and nights of a wearer, and stretches of time. Pure.

A day is from midnight to midnight of the wearer's zone, and as long as it is there:
where clocks are changed it has 23 or 25 hours.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from .metrics import Night
from .samples import EPOCH, microseconds

Span = tuple[int, int]
"""Microseconds since 1970-01-01T00:00:00Z: the first, and the one after the last."""
MICROSECOND = timedelta(microseconds=1)
NEXT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """What the days of a wearer are."""

    zone: tzinfo
    """The wearer's, or the site's."""
    zone_name: str
    """An IANA name."""
    night: Night | None = None
    """None where there are no nights."""

    def day(self, day: date) -> Span:
        """Return when a civil day begins and ends."""
        return self._at(day, time()), self._at(day + NEXT, time())

    def day_at(self, at_us: int) -> date:
        """Return the civil day of an instant."""
        return moment(at_us).astimezone(self.zone).date()

    def night_before(self, day: date) -> Span:
        """Return when the night that ends on a day begins and ends, by the clock."""
        night = self._night()
        before = day - NEXT if night.begin >= night.end else day
        return self._at(before, night.begin), self._at(day, night.end)

    def sleep_before(self, day: date) -> Span:
        """Return the time of which sleep belongs to the night that ends on a day."""
        night, eve = self._night(), day - NEXT
        if night.begin < night.end and night.sleep_from <= night.begin:
            eve = day
        return self._at(eve, night.sleep_from), self._at(eve + NEXT, night.sleep_from)

    def night_at(self, at_us: int) -> date:
        """Return the day on which the night of sleep at an instant ends."""
        day = self.day_at(at_us)
        begin, end = self.sleep_before(day)
        if at_us < begin:
            return day - NEXT
        return day + NEXT if at_us >= end else day

    def days(self, from_us: int, to_us: int) -> tuple[date, date]:
        """Return the first and the last day whose summaries may change.

        By what was measured from one instant to another: the day of each, and the day
        on which its night ends.
        """
        first, last = self.day_at(from_us), self.day_at(to_us)
        if self.night is not None:
            first = min(first, self.night_at(from_us))
            last = max(last, self.night_at(to_us))
        return first, last

    def _night(self) -> Night:
        if self.night is None:
            raise ValueError("there are no nights")
        return self.night

    def _at(self, day: date, clock: time) -> int:
        return microseconds(datetime.combine(day, clock, self.zone).astimezone(UTC))


def moment(at_us: int) -> datetime:
    """Return an instant of microseconds as a time in UTC."""
    return EPOCH + at_us * MICROSECOND


def each_day(first: date, last: date) -> Iterator[date]:
    """Yield the days from the first to the last, which is among them."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def united(spans: Iterable[Span]) -> list[Span]:
    """Return spans that are apart, in their order, with the time of all."""
    whole: list[Span] = []
    for begin, end in sorted(spans):
        if whole and begin <= whole[-1][1]:
            whole[-1] = (whole[-1][0], max(whole[-1][1], end))
        elif begin < end:
            whole.append((begin, end))
    return whole


def clipped(spans: Iterable[Span], within: Span) -> Iterator[Span]:
    """Yield the parts of spans that lie within one."""
    for begin, end in spans:
        part = max(begin, within[0]), min(end, within[1])
        if part[0] < part[1]:
            yield part


def length(spans: Iterable[Span]) -> int:
    """Return how long spans are that are apart, in microseconds."""
    return sum(end - begin for begin, end in spans)


def beside(span: Span, told: Sequence[Span]) -> Iterator[Span]:
    """Yield the parts of a span that lie in none of others, which are united."""
    begin, end = span
    place = max(bisect_right(told, (begin, begin)) - 1, 0)
    for other in told[place:]:
        if other[0] >= end:
            break
        if other[0] > begin:
            yield begin, other[0]
        begin = max(begin, other[1])
    if begin < end:
        yield begin, end
