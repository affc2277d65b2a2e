"""One number out of many readings, as a range where the readings are ranges."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta, tzinfo

from ...fhir.moments import day_of
from ..values.intervals import Interval, exactly, hull
from .facts import Fact
from .rows.readings import Row


def values(rows: Sequence[Row]) -> list[Interval]:
    """The values of the rows that have one."""
    return [row.value for row in rows if row.value is not None]


def reduce_rows(reducer: str, rows: Sequence[Row]) -> Interval | None:
    """Return what *reducer* makes of the rows; None where no row has a value."""
    if reducer == "count":
        return exactly(len(rows))
    if rows and reducer == "latest":
        rows = newest(rows)
    elif rows and reducer == "earliest":
        rows = oldest(rows)
    known = values(rows)
    if not known:
        return None
    return _REDUCERS.get(reducer, hull)(known)


def newest(rows: Sequence[Row]) -> list[Row]:
    """The rows that may be the newest: one, unless their times are vague or equal."""
    bound = max(row.moment.low for row in rows)
    return [row for row in rows if row.moment.high >= bound]


def oldest(rows: Sequence[Row]) -> list[Row]:
    """The rows that may be the oldest."""
    bound = min(row.moment.high for row in rows)
    return [row for row in rows if row.moment.low <= bound]


def _least(known: Sequence[Interval]) -> Interval:
    low = min(known, key=lambda each: (each.low, each.low_open))
    high = min(known, key=lambda each: (each.high, not each.high_open))
    return Interval(low.low, high.high, low.low_open, high.high_open)


def _greatest(known: Sequence[Interval]) -> Interval:
    low = max(known, key=lambda each: (each.low, each.low_open))
    high = max(known, key=lambda each: (each.high, not each.high_open))
    return Interval(low.low, high.high, low.low_open, high.high_open)


def _mean(known: Sequence[Interval]) -> Interval:
    size = len(known)
    return Interval(
        sum(each.low for each in known) / size,
        sum(each.high for each in known) / size,
        any(each.low_open for each in known),
        any(each.high_open for each in known),
    )


def _median(known: Sequence[Interval]) -> Interval:
    def middle(bounds: list[float]) -> float:
        half, odd = divmod(len(bounds), 2)
        ordered = sorted(bounds)
        return ordered[half] if odd else (ordered[half - 1] + ordered[half]) / 2

    return Interval(
        middle([each.low for each in known]), middle([each.high for each in known])
    )


_REDUCERS: Mapping[str, Callable[[list[Interval]], Interval]] = {
    "min": _least,
    "max": _greatest,
    "mean": _mean,
    "median": _median,
}


def sustained_rows(rows: Sequence[Row], period: timedelta) -> list[Row]:
    """The rows within *period* up to and including the newest."""
    if not rows:
        return []
    last = max(row.moment.low for row in rows)
    return [row for row in rows if last - row.moment.low < period]


def span(rows: Sequence[Row]) -> timedelta:
    """The time from the first row to the last."""
    starts = [row.moment.low for row in rows]
    return max(starts) - min(starts) if starts else timedelta(0)


def by_day(
    rows: Sequence[Row], zone: tzinfo
) -> tuple[Mapping[date, list[Row]], list[Row]]:
    """The rows of each local day, and those of which the day is not known."""
    days: dict[date, list[Row]] = {}
    vague = []
    for row in rows:
        day, last = (day_of(each, zone) for each in row.moment)
        if day == last:
            days.setdefault(day, []).append(row)
        else:
            vague.append(row)
    return days, vague


def change(word: str, rows: Sequence[Row], period: timedelta) -> Interval | None:
    """Return how far the newest reading lies beyond those at most *period* before it.

    For ``rise`` above the lowest of them, for ``fall`` below the highest; less than
    zero where it went the other way. None where no reading certainly lies there.
    """
    if not rows:
        return None
    sizes = []
    for last in newest(rows):
        before = [row for row in rows if row is not last]
        near = [row for row in before if last.moment.low - row.moment.high <= period]
        certain = [row for row in near if last.moment.high - row.moment.low <= period]
        now, low, high = values([last]), values(certain), values(near)
        if not now or not low:
            return None
        sizes.append(_difference(word, now[0], low, high))
    return hull(sizes)


def _difference(
    word: str, now: Interval, certain: Sequence[Interval], near: Sequence[Interval]
) -> Interval:
    """The size of a change, given the readings in the period and those perhaps."""
    if word == "fall":
        now, certain, near = _mirror(now), _mirrored(certain), _mirrored(near)
    least, lowest = _least(certain), _least(near)
    return Interval(
        _minus(now.low, least.high),
        _minus(now.high, lowest.low),
        now.low_open or least.high_open,
        now.high_open or lowest.low_open,
    )


def _minus(left: float, right: float) -> float:
    # 82.3 - 80.9 must not be less than 1.4 for lack of a digit.
    return round(left - right, 9)


def _mirror(each: Interval) -> Interval:
    return Interval(-each.high, -each.low, each.high_open, each.low_open)


def _mirrored(several: Sequence[Interval]) -> list[Interval]:
    return [_mirror(each) for each in several]


def most_apart(rows: Sequence[Row], apart: timedelta) -> Interval:
    """Return how many of the rows can be counted, each *apart* from the one before it.

    A range where times are vague: at least those that are certainly apart, at most
    each of the vague ones besides.
    """
    exact = [row for row in rows if row.moment.low == row.moment.high]
    most = _apart(exact, apart) + len(rows) - len(exact)
    return Interval(_apart(rows, apart), most)


def _apart(rows: Sequence[Row], apart: timedelta) -> int:
    count, last = 0, None
    for row in sorted(rows, key=lambda row: row.moment.high):
        if last is None or row.moment.low - last >= apart:
            count, last = count + 1, row.moment.high
    return count


def text_rows(fact: Fact, rows: Sequence[Row]) -> Sequence[Row]:
    """The rows that mean, count and span of a card's text refer to."""
    if fact.sustained_for is None:
        return rows
    return sustained_rows(rows, fact.sustained_for.length)
