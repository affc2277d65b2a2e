"""``when``: each node of the tree as a function from a case to a verdict.

The table of truths is in ``decisions``: what a test says when all rows are known, when
there may be more, and when there are none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from . import intervals, truth
from .facts import Fact
from .intervals import Duration, Interval
from .series import reduce_rows
from .truth import Reason, ReasonKind, Verdict, unknown

if TYPE_CHECKING:
    from .case import Case, Found

Judge = Callable[["Case"], Verdict]
Compare = Callable[[Interval, float], bool | None]

COMPARISONS: Mapping[str, Compare] = {
    "above": intervals.is_above,
    "at_least": intervals.is_at_least,
    "below": intervals.is_below,
    "at_most": intervals.is_at_most,
    "equals": intervals.equals,
}
"""How a value may be compared with a limit; ``between`` is at_least and below."""

RISING = frozenset({"above", "at_least"})
"""Comparisons that a greater number meets sooner."""
_GROWS = {"count", "max"}
_SHRINKS = {"min"}


@dataclass(frozen=True, slots=True)
class Limit:
    """One comparison: ``above 100``."""

    comparison: str
    value: float
    """In the fact's unit; seconds for durations; minutes for times of day."""

    def of(self, value: Interval) -> bool | None:
        """Whether the value meets the limit; None if it may or may not."""
        return COMPARISONS[self.comparison](value, self.value)


def conjunction(judges: Sequence[Judge]) -> Judge:
    """``all``."""
    return lambda case: truth.all_of(judge(case) for judge in judges)


def disjunction(judges: Sequence[Judge]) -> Judge:
    """``any``."""
    return lambda case: truth.any_of(judge(case) for judge in judges)


def negation(judge: Judge) -> Judge:
    """``none``, of one judge."""
    return lambda case: truth.negate(judge(case))


def present(fact: Fact) -> Judge:
    """Whether the fact has a row; what a code tells of and no set can place is none."""

    def judge(case: "Case") -> Verdict:
        sure = case.surely(fact)
        if sure is not None:
            return sure
        found = case.found(fact)
        if found.rows:
            return True
        doubts = found.doubts(unresolved=False)
        return unknown(doubts) if doubts else False

    return judge


def absent(fact: Fact) -> Judge:
    """Whether the fact certainly has no row; anything in doubt may be one."""

    def judge(case: "Case") -> Verdict:
        sure = case.surely(fact)
        if sure is not None:
            return not sure
        found = case.found(fact)
        if found.rows:
            return False
        doubts = found.doubts(unresolved=True)
        return unknown(doubts) if doubts else True

    return judge


def compare(fact: Fact, reducer: str, limit: Limit) -> Judge:
    """Whether a number made of the fact's rows meets a limit."""
    growing = reducer in _GROWS or reducer in _SHRINKS
    # Whether more rows can only move the answer towards true.
    settles_true = (reducer in _GROWS) == (limit.comparison in RISING)

    def judge(case: "Case") -> Verdict:
        found = case.found(fact)
        doubts = found.doubts(unresolved=reducer == "count")
        if not found.rows and (doubts or reducer != "count"):
            return unknown(doubts or [Reason(ReasonKind.NOT_RECORDED, fact.name)])
        value = reduce_rows(reducer, found.rows)
        if value is None:
            return unknown([Reason(ReasonKind.NOT_RECORDED, fact.name), *doubts])
        verdict = limit.of(value)
        if verdict is None:
            return unknown([Reason(ReasonKind.BOUNDARY, fact.name), *doubts])
        if not doubts:
            return verdict
        if growing and limit.comparison != "equals" and verdict is settles_true:
            return verdict
        if reducer == "latest" and newest_is_known(case, found):
            return verdict
        return unknown(doubts)

    return judge


def newest_is_known(case: "Case", found: "Found") -> bool:
    """Whether the newest row is known although some rows are not."""
    if found.unread and not (found.fact.kind == "observation" and case.newest_first()):
        return False
    last = max(row.moment.low for row in found.rows)
    doubtful = [
        *found.unusable,
        *found.unobtained,
        *found.uncertain,
        *found.possible,
    ]
    return all(row.moment.high < last for row in doubtful)


def seconds(length: Duration) -> float:
    """A duration as seconds, with a month of 30 and a year of 365 days."""
    return length.length / timedelta(seconds=1)
