"""``when``: each node of the tree as a function from a case to a verdict.

The table of truths is in ``decisions``: what a test says when all rows are known, when
there may be more, and when there are none.
"""

from collections.abc import Sequence

from ..values import truth
from ..values.intervals import INFINITY, RISING, Interval, Limit
from ..values.truth import Reason, ReasonKind, Verdict, unknown
from .alert_tests import AlertTest
from .days import OF_DAYS, reckon
from .facts import CaseFacts, Fact, Found, Predicate
from .rows.readings import Row
from .series import reduce_rows

_GROWS = {"max", *OF_DAYS}
_SHRINKS = {"min"}


def conjunction(predicates: Sequence[Predicate]) -> Predicate:
    """``all``."""
    return lambda case: truth.all_of(predicate(case) for predicate in predicates)


def disjunction(predicates: Sequence[Predicate]) -> Predicate:
    """``any``."""
    return lambda case: truth.any_of(predicate(case) for predicate in predicates)


def negation(predicate: Predicate) -> Predicate:
    """``none``, of one predicate."""
    return lambda case: truth.negate(predicate(case))


def present(fact: Fact) -> Predicate:
    """Check if the fact has a row; a code that no set can place is none."""

    def predicate(case: CaseFacts) -> Verdict:
        sure = case.surely(fact)
        if sure is not None:
            return sure
        found = case.found(fact)
        if found.rows:
            return True
        doubts = found.doubts(unresolved=False)
        return unknown(doubts) if doubts else False

    return predicate


def absent(fact: Fact) -> Predicate:
    """Return whether the fact certainly has no row; anything in doubt may be one."""

    def predicate(case: CaseFacts) -> Verdict:
        sure = case.surely(fact)
        if sure is not None:
            return not sure
        found = case.found(fact)
        if found.rows:
            return False
        doubts = found.doubts(unresolved=True)
        return unknown(doubts) if doubts else True

    return predicate


def compare(fact: Fact, reducer: str, limit: Limit) -> Predicate:
    """Return whether a number made of the fact's rows meets a limit."""
    growing = reducer in _GROWS or reducer in _SHRINKS
    # Whether more rows can only move the answer towards true.
    settles_true = (reducer in _GROWS) == (limit.comparison in RISING)

    def predicate(case: CaseFacts) -> Verdict:
        found = case.found(fact)
        doubts = found.doubts(unresolved=reducer == "count")
        value = number_of(case, fact, reducer, found.rows)
        if value is None:
            return unknown(doubts or [Reason(ReasonKind.NOT_RECORDED, fact.name)])
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

    return predicate


def number_of(
    case: CaseFacts, fact: Fact, what: str, rows: Sequence[Row]
) -> Interval | None:
    """Return what a test compares; None where no row tells it."""
    if fact.kind == "wearable" and what in OF_DAYS:
        return reckon(what, rows, case.days_of(fact))
    return reduce_rows(what, rows)


def some_alert(fact: Fact, test: AlertTest) -> Predicate:
    """Return whether some alert of the fact passes the test."""

    def predicate(case: CaseFacts) -> Verdict:
        found = case.found(fact)
        answers = [test(row, case.now) for row in found.rows]
        if True in answers:
            return True
        doubts = found.doubts(unresolved=False)
        if doubts:
            return unknown(doubts)
        if not answers:
            return unknown([Reason(ReasonKind.NOT_RECORDED, fact.name)])
        if None in answers:
            return unknown(test.left_open(fact.name, found.rows, case.now))
        return False

    return predicate


def count_alerts(fact: Fact, test: AlertTest, limit: Limit) -> Predicate:
    """Return whether the number of the fact's alerts that pass a test meets a limit."""

    def predicate(case: CaseFacts) -> Verdict:
        found = case.found(fact)
        answers = [test(row, case.now) for row in found.rows]
        certain, doubtful = answers.count(True), answers.count(None)
        doubts = found.doubts(unresolved=False)
        most = INFINITY if doubts else certain + doubtful
        verdict = limit.of(Interval(certain, most))
        if verdict is None:
            unsaid = test.left_open(fact.name, found.rows, case.now)
            return unknown([*unsaid, *doubts])
        return verdict

    return predicate


def newest_is_known(case: CaseFacts, found: Found) -> bool:
    """Return whether the newest row is known although some rows are not."""
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
