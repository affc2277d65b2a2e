"""Which days of a wearer are to be fetched. Pure.

A day is the wearer's own, from midnight to midnight, and is fetched whole. What was
fetched lately is fetched again, since a watch may reach its vendor days late. Days that
a notification has named are fetched with them, each once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from itertools import groupby

from ..store.grants.records import PullCursor, WantedInterval
from ..wearables.days import each_day
from ..wearables.links import WearerLink
from .vendors.records import CivilDays, DataKind

DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class PullHabits:
    """How a site pulls."""

    again: int
    """Days that are fetched once more."""
    before: int
    """Days that the first pull goes back."""
    named_only: bool = False
    """Whether nothing is fetched but what notifications have named."""


@dataclass(frozen=True, slots=True)
class Errand:
    """Days that are fetched at once."""

    days: CivilDays
    until: date | None
    """Where the cursor stands once they are stored; None where it stays."""
    wanted: tuple[WantedInterval, ...] = ()
    """What notifications have named, and is fetched with them."""


def plan(
    kind: DataKind,
    cursor: PullCursor,
    wanted: Sequence[WantedInterval],
    links: Sequence[WearerLink],
    zone: tzinfo,
    habits: PullHabits,
    now: datetime,
) -> Iterator[Errand]:
    """Yield what is to be fetched of a kind, the earliest days first.

    Args:
        wanted: Of this kind.
        links: That name the wearer: days of which none holds are nobody's.
    """
    today = now.astimezone(zone).date()
    last = today - DAY if kind.whole else today
    usual = set() if habits.named_only else set(_usual(cursor, today, last, habits))
    named = {each: _days_of(each, zone) for each in wanted}
    days = usual | {day for each in named.values() for day in each if day <= last}
    worn = sorted(day for day in days if _is_worn(day, links, zone))
    for some in _runs(worn, kind.most_days, zone):
        fetched = set(each_day(some.first, some.last))
        done = tuple(each for each, of in named.items() if of[-1] in fetched)
        until = min(some.last + DAY, today) if usual & fetched else None
        yield Errand(some, until, done)


def split(
    errand: Errand, is_permitted: Callable[[date], bool]
) -> Iterator[tuple[Errand, bool]]:
    """Yield the parts of an errand, with whether its days are permitted.

    What was named is fetched with the last part, and still wanted if that is not.
    """
    whole = errand.days
    for permitted, some in groupby(each_day(whole.first, whole.last), is_permitted):
        first, *others = some
        days = CivilDays(first, others[-1] if others else first, whole.zone)
        if days.last == whole.last:
            yield replace(errand, days=days), permitted
        else:
            until = None if errand.until is None else days.last + DAY
            yield Errand(days, until), permitted


def idle(
    wanted: Iterable[WantedInterval], links: Sequence[WearerLink], zone: tzinfo
) -> tuple[WantedInterval, ...]:
    """Return intervals on whose last day nobody is known to have worn anything."""
    return tuple(e for e in wanted if not _is_worn(_days_of(e, zone)[-1], links, zone))


def _usual(
    cursor: PullCursor, today: date, last: date, habits: PullHabits
) -> Iterator[date]:
    first = today - habits.before * DAY
    if cursor.until is not None:
        first = min(cursor.until, today) - habits.again * DAY
    return each_day(first, last)


def _days_of(interval: WantedInterval, zone: tzinfo) -> list[date]:
    """At least that on which it begins, and not the one at whose midnight it ends."""
    first = interval.start.astimezone(zone).date()
    last = max(interval.start, interval.end - MOMENT).astimezone(zone).date()
    return list(each_day(first, last))


def links_on(days: CivilDays, links: Iterable[WearerLink]) -> Iterator[WearerLink]:
    """Yield the links that hold at some moment of the days."""
    start, end = days.start, days.end
    for each in links:
        ended = each.until is not None and each.until <= start
        if each.retracted is None and each.since < end and not ended:
            yield each


def _is_worn(day: date, links: Sequence[WearerLink], zone: tzinfo) -> bool:
    return any(links_on(CivilDays(day, day, zone), links))


def _runs(days: Sequence[date], most: int, zone: tzinfo) -> Iterator[CivilDays]:
    """Days without a gap, so many at a time."""
    start = 0
    for index, day in enumerate(days):
        whole = index + 1 - start == most
        if whole or index + 1 == len(days) or days[index + 1] != day + DAY:
            yield CivilDays(days[start], day, zone)
            start = index + 1
