"""Identity: which stored episode is which of those that are found now. Pure.

An episode keeps the id that it got when it was first stored. What overlaps in time is
the same: two that late data join become one under the older id, and of one that they
split the first part keeps it.

Source: wearables.md section 0a, 2.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from .detectors import Detector
from .episodes import Episode, StoredEpisode
from .evidence import Changes, NewEpisode, RetractedEpisode, RevisedEpisode


def reconcile(
    detector: Detector,
    stored: Iterable[StoredEpisode],
    found: Iterable[Episode],
    now: datetime,
) -> Changes:
    """Return what makes what is stored of a time what is found of it.

    Args:
        stored: Not retracted, in the order in which they were first stored.
        found: None of which overlaps another.
        now: When it becomes known.
    """
    order = sorted(found, key=lambda each: each.start)
    named: dict[Episode, str] = {}
    revised: list[RevisedEpisode] = []
    gone: list[tuple[str, Sequence[Episode]]] = []
    for each in stored:
        same = [one for one in order if overlap(one, each.episode)]
        unnamed = next((one for one in same if one not in named), None)
        if unnamed is None:
            gone.append((each.id, same))
            continue
        named[unnamed] = each.id
        if unnamed != each.episode:
            revised.append(RevisedEpisode(each.id, unnamed))
    new = tuple(
        NewEpisode(each, now - each.opened > detector.lateness)
        for each in order
        if each not in named
    )
    retracted = tuple(
        RetractedEpisode(id, named[same[0]] if same else "") for id, same in gone
    )
    return Changes(new, tuple(revised), retracted)


def overlap(one: Episode, other: Episode) -> bool:
    """Check whether two episodes have a time in common."""
    return one.start < (other.end or other.last) and other.start < (one.end or one.last)
