"""The short notation of rule tests: series of values, and times that count from now."""

import re
from datetime import datetime, timedelta, tzinfo
from typing import Any, NamedTuple

from ..values.intervals import parse_duration


class ExampleError(ValueError):
    """A line of a test that has the right shape and still says nothing."""


class SeriesValue(NamedTuple):
    """One value of a series."""

    value: float
    comparator: str = ""
    """``<``, ``<=``, ``>`` or ``>=``; empty for an exact value."""


_WORD = re.compile(
    r"(?P<comparator>[<>]=?)?(?P<start>-?[\d.]+)(?P<step>[+-][\d.]+)?(x(?P<times>\d+))?"
)
_MISSING = re.compile(r"_(x(?P<times>\d+))?")


def parse_series(text: str) -> list[SeriesValue | None]:
    """The values of a series, oldest first; None for a missing one.

    ``100x5`` is five values of 100, ``100+2x5`` five values that rise by 2, ``>60`` a
    value of which only a bound is known, ``_`` a missing one.

    Raises:
        ExampleError: for anything else.
    """
    readings: list[SeriesValue | None] = []
    for word in text.split():
        missing = _MISSING.fullmatch(word)
        readings += [None] * int(missing["times"] or 1) if missing else _several(word)
    return readings


def _several(word: str) -> list[SeriesValue | None]:
    found = _WORD.fullmatch(word)
    try:
        if found is None:
            raise ValueError(word)
        start, step = float(found["start"]), float(found["step"] or 0)
    except ValueError:
        raise ExampleError(
            f"{word} is not a series; write `104`, `100x5`, `100+2x5`, `>60` or `_`"
        ) from None
    return [
        SeriesValue(start + step * index, found["comparator"] or "")
        for index in range(int(found["times"] or 1))
    ]


def moment(text: Any, now: datetime, zone: tzinfo) -> datetime:
    """The time that ``now``, ``6 hours ago``, a date or a date and time means.

    A date alone is the beginning of that day in *zone*.

    Raises:
        ExampleError: for anything else.
    """
    words = str(text)
    if words == "now":
        return now.astimezone(zone)
    if words.endswith(" ago"):
        length = parse_duration(words.removesuffix(" ago"))
        if length:
            return length.before(now, zone).astimezone(zone)
    try:
        exact = datetime.fromisoformat(words)
    except ValueError:
        raise ExampleError(
            f"{words} is not a time; write `6 hours ago` or `2026-11-22T12:00:00Z`"
        ) from None
    return exact if exact.tzinfo else exact.replace(tzinfo=zone)


def length_of(text: Any) -> timedelta:
    """The length that ``20 minutes`` means.

    Raises:
        ExampleError: for anything else.
    """
    length = parse_duration(text)
    if length is None:
        raise ExampleError(f"{text} is not a duration; write `20 minutes` or `1 day`")
    return length.length
