"""Scores: points for each criterion that holds.

An item that cannot be assessed makes the score a range, from without its points to with
them. A limit within that range leaves the question open, and the reasons are those of
the items that could settle it. A score is never shown as if it were complete.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..values.intervals import RISING, Interval, Limit, exactly
from ..values.truth import Reason, Unknown, Verdict
from .facts import CaseFacts, Item, Predicate


@dataclass(frozen=True, slots=True)
class Tally:
    """What the items of a score say of one case."""

    verdicts: tuple[tuple[Item, Verdict], ...]

    @property
    def total(self) -> Interval:
        """The score; a range where an item is unknown."""
        return Interval(
            sum(min(_amounts(*each)) for each in self.verdicts),
            sum(max(_amounts(*each)) for each in self.verdicts),
        )

    @property
    def counted(self) -> tuple[Item, ...]:
        """The items that hold."""
        return tuple(item for item, verdict in self.verdicts if verdict is True)

    @property
    def unassessed(self) -> tuple[Item, ...]:
        """The items that are unknown."""
        return tuple(i for i, verdict in self.verdicts if isinstance(verdict, Unknown))


def tally(items: Sequence[Item], case: CaseFacts) -> Tally:
    """Return what each item says of a case."""
    return Tally(tuple((item, item.criterion.verdict(case)) for item in items))


def compare(items: Sequence[Item], limit: Limit) -> Predicate:
    """Return whether a score meets a limit."""

    def predicate(case: CaseFacts) -> Verdict:
        counts = tally(items, case)
        verdict = limit.of(counts.total)
        return _undecided(counts, limit) if verdict is None else verdict

    return predicate


def _undecided(counts: Tally, limit: Limit) -> Unknown:
    """Why a limit within the range cannot be settled, and whether reading could."""
    reasons: dict[Reason, None] = {}
    for index, (_, verdict) in enumerate(counts.verdicts):
        if isinstance(verdict, Unknown) and _matters(counts, index, limit):
            reasons.update(dict.fromkeys(verdict.reasons))
    # The range that is left once everything unread is read, at its best either way.
    least_high = exactly(sum(max(_least(*each)) for each in counts.verdicts))
    greatest_low = exactly(sum(min(_greatest(*each)) for each in counts.verdicts))
    rising = limit.comparison in RISING
    top, bottom = limit.of(greatest_low), limit.of(least_high)
    return Unknown(
        tuple(reasons),
        may_be_true=(top if rising else bottom) is True,
        may_be_false=(bottom if rising else top) is False,
    )


def _matters(counts: Tally, index: int, limit: Limit) -> bool:
    """Check if one item, known, could turn the answer, whatever the others are."""
    others = [each for at, each in enumerate(counts.verdicts) if at != index]
    points = counts.verdicts[index][0].points
    return any(
        limit.of(exactly(total)) is not limit.of(exactly(total + points))
        for total in _sums(_amounts(*each) for each in others)
    )


def _sums(amounts: Iterable[Sequence[float]]) -> set[float]:
    """Every sum of one amount out of each."""
    sums = {0.0}
    for each in amounts:
        sums = {total + amount for total in sums for amount in each}
    return sums


def _amounts(item: Item, verdict: Verdict) -> Sequence[float]:
    """The points that an item may give."""
    if isinstance(verdict, Unknown):
        return (0, item.points)
    return (item.points,) if verdict else (0,)


def _greatest(item: Item, verdict: Verdict) -> Sequence[float]:
    """Return what an item may give once it is read and turned out to give the most."""
    return _read(item, verdict, item.points > 0)


def _least(item: Item, verdict: Verdict) -> Sequence[float]:
    """Return what an item may give once it is read and turned out to give the least."""
    return _read(item, verdict, item.points < 0)


def _read(item: Item, verdict: Verdict, wanted: bool) -> Sequence[float]:
    if isinstance(verdict, Unknown):
        reachable = verdict.may_be_true if wanted else verdict.may_be_false
        verdict = wanted if reachable else verdict
    return _amounts(item, verdict)
