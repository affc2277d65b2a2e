"""Civil days of a wearer: which of them a fact looks at, and how much they tell."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ...wearables.detection.episodes import DayTally
from ...wearables.summaries import DaySummary
from ..values.intervals import Duration, Interval, exactly
from .rows.readings import Row

OF_DAYS = ("count", "days", "coverage")
"""What is asked of how much the days of a fact tell, and not of their values."""
_ONE = timedelta(days=1)


class Days(NamedTuple):
    """Days of a calendar, both ends of which are among them."""

    first: date
    last: date

    @property
    def number(self) -> int:
        """How many there are."""
        return (self.last - self.first).days + 1

    def lately(self, most: int) -> list[date]:
        """Return the last of them, at most so many, in order."""
        number = min(self.number, most)
        return [self.last - _ONE * back for back in range(number - 1, -1, -1)]


def last_days(length: Duration, today: date, to_today: bool) -> Days:
    """Return the days that a window of some days is, up to today or to yesterday."""
    last = today if to_today else today - _ONE
    return Days(length.shift(last, -1) + _ONE, last)


def today_of(worn: DaySummary | DayTally, now: datetime, zone: tzinfo) -> date:
    """Return which day it is where the wearer is; in *zone* where nobody knows."""
    named = worn.zone if isinstance(worn, DaySummary) else ""
    return now.astimezone(ZoneInfo(named) if named else zone).date()


def reckon(what: str, rows: Sequence[Row], days: Days | None) -> Interval | None:
    """Return how many readings or days rows are, or their mean coverage.

    None where it is not known for how long a reading speaks. A day of *days* without a
    row has no coverage.
    """
    worn = [each.worn for each in rows if isinstance(each.worn, DaySummary)]
    if what == "count":
        return exactly(sum(each.n for each in worn))
    if what == "days":
        return exactly(len({each.day for each in worn}))
    known = [each.coverage for each in worn if each.coverage is not None]
    if days is None or len(known) < len(worn):
        return None
    return exactly(sum(known) / days.number)
