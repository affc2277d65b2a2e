"""What is to be done so that a vendor notifies of what is wanted, and no more. Pure.

What is subscribed stands at the vendor, who is asked for it: what is there already is
not asked for again, whoever asked for it before.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .records import StandingOrder

RENEW_BEFORE = timedelta(days=7)
"""So long before its end a subscription is renewed."""
AT_ONCE = 50
"""Subscriptions that are ended in one turn, however many a vendor lists."""
LOOK_AGAIN = timedelta(days=1)
"""A vendor may end one where our URL failed, without a word."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a vendor notifies."""

    callback: str = field(repr=False)
    """The URL; a secret may stand in it."""
    bases: Collection[str]
    """How URLs of ours begin, or began: this one, and what it was before."""

    def is_ours(self, callback: str) -> bool:
        """Check if a URL is this source's, by whatever secret."""
        known = (each for each in self.bases if each)
        return any(callback == e or callback.startswith(f"{e}/") for e in known)


@dataclass(frozen=True, slots=True)
class OrderChanges:
    """What is to be done, in this order: some vendors have no two of a kind."""

    end: Sequence[StandingOrder]
    renew: Sequence[StandingOrder]
    begin: Sequence[str]
    """Topics."""
    kept: Sequence[StandingOrder]
    """What is as wanted, those that are renewed among it."""


def plan_changes(
    wanted: Collection[str],
    standing: Sequence[StandingOrder],
    address: Address,
    now: datetime,
) -> OrderChanges:
    """Return what is to be begun, renewed and ended; others' are left alone."""
    kept: dict[str, StandingOrder] = {}
    ours = [each for each in standing if address.is_ours(each.callback)]
    for each in sorted(ours, key=_lasts, reverse=True):
        if each.topic in wanted and each.callback == address.callback:
            kept.setdefault(each.topic, each)
    return OrderChanges(
        [each for each in ours if each is not kept.get(each.topic)][:AT_ONCE],
        [each for each in kept.values() if _ends_soon(each, now)],
        [each for each in wanted if each not in kept],
        list(kept.values()),
    )


def next_look(until: datetime | None, now: datetime) -> datetime:
    """Return when to look again at what ends then."""
    if until is None:
        return now + LOOK_AGAIN
    return now + min(LOOK_AGAIN, max((until - now) / 2, timedelta(minutes=1)))


def first_end(standing: Collection[StandingOrder]) -> datetime | None:
    """Return when the first of them ends; None where none does."""
    return min(_ends(standing), default=None)


def _ends(standing: Collection[StandingOrder]) -> Iterator[datetime]:
    return (each.expires for each in standing if each.expires is not None)


def _ends_soon(each: StandingOrder, now: datetime) -> bool:
    return each.expires is not None and each.expires - RENEW_BEFORE <= now


def _lasts(each: StandingOrder) -> tuple[bool, float]:
    return each.expires is None, each.expires.timestamp() if each.expires else 0.0
