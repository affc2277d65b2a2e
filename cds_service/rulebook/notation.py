"""The short notation of rule tests: series of values, and times that count from now."""

from datetime import datetime, timedelta, tzinfo
from typing import Any

from .intervals import parse_duration


class ExampleError(ValueError):
    """A line of a test that has the right shape and still says nothing."""


def parse_series(text: str) -> list[float | None]:
    """The values of a series, oldest first; None for a missing one.

    ``100x5`` is five values of 100, ``100+2x5`` five values that rise by 2, ``_`` a
    missing one.

    Raises:
        ExampleError: for anything else.
    """
    values: list[float | None] = []
    for word in text.split():
        first, _, count = word.partition("x")
        try:
            times = int(count) if count else 1
            values += [None] * times if first == "_" else _steps(first, times)
        except ValueError:
            raise ExampleError(
                f"{word} is no series; write `104`, `100x5`, `100+2x5` or `_`"
            ) from None
    return values


def _steps(first: str, times: int) -> list[float | None]:
    sign = max(first.rfind("+"), first.rfind("-"))
    if sign <= 0:
        return [float(first)] * times
    start, step = float(first[:sign]), float(first[sign:])
    return [start + step * index for index in range(times)]


def moment(text: Any, now: datetime, zone: tzinfo) -> datetime:
    """The time that ``6 hours ago`` or a full date and time means.

    Raises:
        ExampleError: for anything else.
    """
    words = str(text)
    if words.endswith(" ago"):
        length = parse_duration(words.removesuffix(" ago"))
        if length:
            return length.before(now, zone).astimezone(zone)
    try:
        exact = datetime.fromisoformat(words)
    except ValueError:
        exact = None
    if exact is None or exact.tzinfo is None:
        raise ExampleError(
            f"{words} is no time; write `6 hours ago` or `2026-11-22T12:00:00Z`"
        )
    return exact


def length_of(text: Any) -> timedelta:
    """The length that ``20 minutes`` means.

    Raises:
        ExampleError: for anything else.
    """
    length = parse_duration(text)
    if length is None:
        raise ExampleError(f"{text} is no duration; write `20 minutes` or `1 day`")
    return length.length
