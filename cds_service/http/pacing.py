"""When to ask a server again that is busy, or counts what it is asked. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of answers that may be others when asked again."""

_EPOCH_SECONDS = 1e9
"""From here a reset is taken for a point in time, below for seconds to wait."""
_EPOCH_MILLISECONDS = 1e12
_COUNTED = (
    ("X-RateLimit-Remaining", "X-RateLimit-Reset"),
    ("RateLimit-Remaining", "RateLimit-Reset"),
)

Random = Callable[[], float]
"""A number from 0 to 1, another at each call."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often a request is made, and how long to wait before it is made again."""

    max_attempts: int = 6
    first_seconds: float = 0.5
    longest_seconds: float = 60.0

    def pause(self, failed: int, asked: float | None, random: Random) -> float:
        """Return seconds to wait after *failed* attempts, at least the *asked* ones.

        Source: Amazon Builders' Library, "Timeouts, retries, and backoff with jitter":
        full jitter.
        """
        if asked is not None:
            return asked + random() * self.first_seconds
        doubled = self.first_seconds * 2.0 ** min(failed - 1, 32)
        return random() * min(self.longest_seconds, doubled)


def parse_retry_after(text: str | None, now: datetime) -> float | None:
    """Return seconds to wait, by a number of seconds or a date; else none.

    Source: RFC 9110 §10.2.3.
    """
    if not text:
        return None
    seconds = _number(text)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        moment = parsedate_to_datetime(text.strip())
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def seconds_until_reset(headers: Mapping[str, str], now: datetime) -> float:
    """Return seconds until more may be asked, if the headers say nothing is left.

    The reset may be seconds to wait or a point in time in Unix seconds or milliseconds.
    """
    for remaining_name, reset_name in _COUNTED:
        remaining = _number(headers.get(remaining_name, ""))
        reset = _number(headers.get(reset_name, ""))
        if remaining is None or reset is None or remaining > 0:
            continue
        if reset >= _EPOCH_MILLISECONDS:
            reset /= 1000
        if reset >= _EPOCH_SECONDS:
            reset -= now.timestamp()
        return max(0.0, reset)
    return 0.0


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
