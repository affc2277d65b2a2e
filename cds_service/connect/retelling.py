"""What a vendor tells of a time that it has named again: that holds, and nothing else.

Pure. A notification that something was deleted says no more than the time. So that time
is fetched like any other, and of what was known before stays what is told again. What
is fetched carries the moment of asking as its version, and all of a lower version is
taken back. What a usual pull brings of such a time later has no such version, and is
told once more with one where it would be passed over: what the vendor tells is there.
What the vendor itself calls deleted is taken back whichever version of it is there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..ingestion.readings import Shelves
from ..store.grants.records import WantedInterval
from ..store.records import TakenIn
from ..store.samples.records import ItemOutcome
from ..wearables.samples import Item, Removal, Sample
from .vendors.records import DataKind


def versioned(items: Iterable[Item], asked_ms: int) -> Iterator[Item]:
    """Yield items of the version of when they were asked for."""
    for each in deleted(items, asked_ms):
        yield replace(each, revision=asked_ms) if isinstance(each, Sample) else each


def deleted(items: Iterable[Item], now_ms: int) -> Iterator[Item]:
    """Yield items of which those that take back do so up to the version of now."""
    for each in items:
        yield replace(each, revision=now_ms) if isinstance(each, Removal) else each


def withdrawn(
    kind: DataKind, wanted: Iterable[WantedInterval], asked_ms: int
) -> Iterator[Removal]:
    """Yield the taking back of what was known of these times before they were asked.

    Only of metrics that this kind of data alone tells: of others it would take what
    other kinds have told.
    """
    for each in wanted:
        for metric in kind.sole:
            yield Removal(
                metric=metric, start=each.start, end=each.end, revision=asked_ms - 1
            )


def passed_over(shelves: Shelves, taken: TakenIn) -> tuple[Sample, ...]:
    """Return the samples that did not count, for a higher version that did."""
    return tuple(
        item
        for of_owner, outcomes in zip(shelves.samples.values(), taken.samples)
        for (_, item), outcome in zip(of_owner, outcomes)
        if outcome is ItemOutcome.OUTDATED and isinstance(item, Sample)
    )
