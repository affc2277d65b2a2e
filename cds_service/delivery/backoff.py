"""How long is waited after a failure, and when it is given up. Pure.

A thing that fails is tried again after a while that grows, by chance anything up to a
bound, so that many that failed together do not come again together. A destination that
fails again and again, whatever it is told, is left alone, and then tried with one
thing. What only tries a destination does not wear that thing out.

Source: the "full jitter" of AWS Architecture Blog, "Exponential Backoff And Jitter";
RFC 9110 §10.2.3 (Retry-After).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

BASE = timedelta(seconds=1)
CAP = timedelta(minutes=5)
TRIES = 8
LONGEST = timedelta(hours=24)
"""From the first try on; then it is given up, whoever is to blame."""
FAILURES = 5
"""In a row, after which a destination is left alone."""
FIRST_REST = timedelta(seconds=5)
LOOKED_AGAIN = timedelta(seconds=2)
"""Between two looks for what may be there, which are no tries."""
LONGEST_ASKED = timedelta(hours=1)
"""A Retry-After that asks for more is not believed."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What is known of a thing that has failed once more."""

    times: int
    """With this one."""
    first: datetime
    """When it was tried first."""
    retry_after: timedelta | None = None
    """As the other side asks."""


def again_at(tried: Tried, now: datetime, chance: float) -> datetime | None:
    """Return when it is tried again; None where it is given up.

    Args:
        chance: Anything from 0 to 1, each as likely.
    """
    if tried.times >= TRIES or now - tried.first >= LONGEST:
        return None
    bound = min(CAP, BASE * (1 << tried.times))
    return now + max(bound * chance, asked(tried.retry_after))


def rest(failures: int, retry_after: timedelta | None = None) -> timedelta:
    """Return for how long a destination is left alone after so many failures in a row.

    Nothing for few, unless it has asked for it.
    """
    grown = timedelta(0)
    if failures >= FAILURES:
        grown = min(CAP, FIRST_REST * (1 << min(failures - FAILURES, 10)))
    return max(grown, asked(retry_after))


def asked(retry_after: timedelta | None) -> timedelta:
    """Return for how long the other side is believed to want no more."""
    return min(max(retry_after or timedelta(0), timedelta(0)), LONGEST_ASKED)
