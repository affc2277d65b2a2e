"""Readings reduced to what can be seen of them: the lowest and highest of each column.

A year of minutes is half a million readings, and a page is some hundred dots wide. What
is left out is neither the lowest nor the highest of its column, so that no spike is
lost; a gap stays one. Pure.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ....wearables.days import Span
from .axes import Timespan, ValueAxis
from .svg import number

COLUMNS = 800
"""A plot is so many of its own units wide, whatever the page makes of it."""


class Extremes(NamedTuple):
    """What readings of one column are."""

    first_us: int
    last_us: int
    low: float
    low_us: int
    high: float
    high_us: int
    n: int


Columns = Sequence[Extremes]


def reduce_readings(
    times: list[int], values: list[float], span: Span, columns: int = COLUMNS
) -> list[Extremes]:
    """Return what each column of a time has, in their order; of an empty one nothing.

    Args:
        times: In microseconds, a list in any order.
        values: As many.
    """
    if times != sorted(times):
        order = sorted(range(len(times)), key=lambda each: (times[each], values[each]))
        times, values = [times[e] for e in order], [values[e] for e in order]
    start, end = span
    length = end - start
    edges = (start + length * number // columns for number in range(columns + 1))
    places = [bisect_left(times, edge) for edge in edges]
    return [
        _extremes(times, values, first, after)
        for first, after in zip(places, places[1:])
        if first < after
    ]


def _extremes(
    times: Sequence[int], values: Sequence[float], first: int, after: int
) -> Extremes:
    some = values[first:after]
    low, high = min(some), max(some)
    return Extremes(
        times[first],
        times[after - 1],
        low,
        times[first + some.index(low)],
        high,
        times[first + some.index(high)],
        after - first,
    )


def unbroken(columns: Columns, gap_us: int) -> list[list[Extremes]]:
    """Return columns in runs, between which there was nothing for longer than *gap_us*.

    Within a column no gap can be seen.
    """
    runs: list[list[Extremes]] = []
    for each in columns:
        if not runs or each.first_us - runs[-1][-1].last_us > gap_us:
            runs.append([])
        runs[-1].append(each)
    return runs


def line_path(
    runs: Iterable[Columns], timespan: Timespan, axis: ValueAxis, height: float
) -> str:
    """Return lines through the extremes of runs; one reading alone is a dot."""
    parts = []
    for run in runs:
        points = list(dict.fromkeys(p for each in run for p in _in_time(each)))
        placed = [place(*each, timespan, axis, height) for each in points]
        begin, rest = placed[0], placed[1:]
        parts.append(f"M{begin}L{' '.join(rest)}" if rest else f"M{begin}h0")
    return "".join(parts)


def dots_path(
    columns: Columns, timespan: Timespan, axis: ValueAxis, height: float
) -> str:
    """Return a dot for each extreme, joined by nothing."""
    points = dict.fromkeys(p for each in columns for p in _in_time(each))
    return "".join(f"M{place(*each, timespan, axis, height)}h0" for each in points)


def _in_time(each: Extremes) -> list[tuple[int, float]]:
    """The lowest and the highest as they came."""
    return sorted([(each.low_us, each.low), (each.high_us, each.high)])


def place(
    at_us: int, value: float, timespan: Timespan, axis: ValueAxis, height: float
) -> str:
    """Return where a reading lies, ``x y``, in columns and from the top."""
    x, y = timespan.share(at_us) * COLUMNS, (1 - axis.share(value)) * height
    return f"{number(x, 1)} {number(y, 1)}"
