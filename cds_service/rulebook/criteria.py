"""``when``: each node of the tree as a function from a case to a verdict.

The table of truths is in ``decisions``: what a test says when all rows are known, when
there may be more, and when there are none.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from . import intervals, truth
from .facts import Fact
from .intervals import Duration, Interval, parse_moment
from .readings import text_of
from .series import reduce_rows
from .truth import Reason, ReasonKind, Unknown, Verdict, unknown

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


def age(comparison: str, length: Duration) -> Judge:
    """Whether the patient's age meets a limit, by the calendar."""
    held: Callable[[date, date], bool] = {
        "at_least": operator.le,
        "above": operator.lt,
        "below": operator.gt,
        "at_most": operator.ge,
    }[comparison]

    def work_out(case: "Case") -> Verdict:
        born = _birth(case)
        if isinstance(born, Unknown):
            return born
        answers = {held(length.shift(day), case.today) for day in born}
        if len(answers) == 1:
            return answers.pop()
        return unknown([Reason(ReasonKind.BOUNDARY, "patient")])

    def judge(case: "Case") -> Verdict:
        # Nearly every rule asks, and most ask the same.
        answer = case.ages.get((comparison, length))
        if answer is None:
            answer = case.ages[comparison, length] = work_out(case)
        return answer

    return judge


def _birth(case: "Case") -> tuple[date, date] | Unknown:
    """The first and the last day on which the patient may have been born."""
    patient = case.chart.patient
    if patient is None:
        return _unread_patient()
    if patient.get("birthDate") is None:
        return unknown([Reason(ReasonKind.NOT_RECORDED, "patient")])
    moment = parse_moment(patient["birthDate"], case.zone)
    if moment is None:
        return unknown([Reason(ReasonKind.UNUSABLE, "patient")])
    low, high = (each.astimezone(case.zone).date() for each in moment)
    return low, high


def sex(allowed: Sequence[str]) -> Judge:
    """Whether the patient's administrative gender is one of those allowed."""

    def judge(case: "Case") -> Verdict:
        if case.chart.patient is None:
            return _unread_patient()
        gender = text_of(case.chart.patient.get("gender"))
        if gender in ("", "unknown"):
            return unknown([Reason(ReasonKind.NOT_RECORDED, "patient")])
        return gender in allowed

    return judge


def alive() -> Judge:
    """Whether the patient is not recorded as deceased."""

    def judge(case: "Case") -> Verdict:
        patient = case.chart.patient
        if patient is None:
            return _unread_patient()
        deceased = patient.get("deceasedBoolean") is True
        return not (deceased or patient.get("deceasedDateTime"))

    return judge


def _unread_patient() -> Unknown:
    return unknown([Reason(ReasonKind.NOT_READ, "patient", ("patient",))])


def seconds(length: Duration) -> float:
    """A duration as seconds, with a month of 30 and a year of 365 days."""
    return length.length / timedelta(seconds=1)
