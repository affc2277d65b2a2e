"""What may be asked of the trend of readings: how long, how often, up or down.

More readings may exist than are known. A gain up to the newest reading can only be
undone by a newer one, since an older one can only make the lowest lower; and what was
found often enough stays found.
"""

from collections.abc import Iterable

from ..values.intervals import RISING, Duration, Limit
from ..values.truth import Reason, ReasonKind, Verdict, unknown
from .criteria import newest_is_known
from .facts import CaseFacts, Fact, Predicate
from .rows.readings import Row
from .series import by_day, change, most_apart, span, sustained_rows


def sustained(
    fact: Fact, limit: Limit, period: Duration, share: float, readings: int
) -> Predicate:
    """Check if a share of the readings of a period, up to the newest, meets a limit.

    Unknown with fewer than *readings*, or if they span less than half of the period.
    """

    def predicate(case: CaseFacts) -> Verdict:
        found = case.found(fact)
        doubts = found.doubts(unresolved=False)
        rows = sustained_rows(found.rows, period.length)
        if doubts:
            return unknown(doubts)
        if len(rows) < readings or span(rows) < period.length / 2:
            return unknown([Reason(ReasonKind.NOT_RECORDED, fact.name)])
        verdicts = [limit.of(row.value) for row in rows if row.value is not None]
        # An exact share such as two of three must not fail for lack of a digit.
        wanted = share * len(rows) - 1e-9
        if sum(verdict is True for verdict in verdicts) >= wanted:
            return True
        if sum(verdict is not False for verdict in verdicts) < wanted:
            return False
        return unknown([Reason(ReasonKind.BOUNDARY, fact.name)])

    return predicate


def on_days(fact: Fact, limit: Limit, days: int) -> Predicate:
    """Return whether on at least so many local days a reading meets a limit.

    Unknown where so few days have readings that the answer cannot be no, and where it
    hangs on readings of which the day is not known.
    """

    def predicate(case: CaseFacts) -> Verdict:
        found = case.found(fact)
        read, vague = by_day(found.rows, case.zone)
        met = [_any_met(rows, limit) for rows in read.values()]
        # What has no day of its own may be of any: one of theirs, or another.
        undated = [_any_met([row], limit) for row in vague]
        certain = met.count(True) or int(True in undated)
        possible = len(met) - met.count(False) + len(undated) - undated.count(False)
        if certain >= days:
            return True
        doubts = found.doubts(unresolved=False)
        if doubts:
            return unknown(doubts)
        if possible >= days:
            return unknown([Reason(ReasonKind.BOUNDARY, fact.name)])
        if len(read) + len(vague) < days:
            return unknown([Reason(ReasonKind.NOT_RECORDED, fact.name)])
        return False

    return predicate


def _any_met(rows: Iterable[Row], limit: Limit) -> bool | None:
    """Return whether a limit is met by any of the rows; None if one may meet it."""
    verdicts = [limit.of(row.value) for row in rows if row.value is not None]
    if True in verdicts:
        return True
    return None if None in verdicts else False


def changed(fact: Fact, word: str, limit: Limit, over: Duration) -> Predicate:
    """Check if the newest reading lies beyond an earlier one by as much as a limit.

    ``rise`` is the newest reading minus the lowest of those at most *over* before it,
    ``fall`` the highest of those minus the newest. Unknown without such a reading.
    """
    # An older reading that is not known can only make a rise or a fall greater.
    settles = limit.comparison in RISING

    def predicate(case: CaseFacts) -> Verdict:
        found = case.found(fact)
        doubts = found.doubts(unresolved=False)
        size = change(word, found.rows, over.length)
        if size is None:
            return unknown(doubts or [Reason(ReasonKind.NOT_RECORDED, fact.name)])
        verdict = limit.of(size)
        if verdict is None:
            return unknown([Reason(ReasonKind.BOUNDARY, fact.name), *doubts])
        if not doubts or (verdict is settles and newest_is_known(case, found)):
            return verdict
        return unknown(doubts)

    return predicate


def repeated(fact: Fact, limit: Limit, times: float, apart: Duration) -> Predicate:
    """Check if so many readings meet a limit, each *apart* from the one before it.

    Unknown without any reading; one reading that is not repeated is a no.
    """

    def predicate(case: CaseFacts) -> Verdict:
        found = case.found(fact)
        met = [(row, limit.of(row.value)) for row in found.rows if row.value]
        sure = [row for row, verdict in met if verdict is True]
        if most_apart(sure, apart.length).low >= times:
            return True
        doubts = found.doubts(unresolved=False)
        if doubts:
            return unknown(doubts)
        if not met:
            return unknown([Reason(ReasonKind.NOT_RECORDED, fact.name)])
        perhaps = [row for row, verdict in met if verdict is not False]
        if most_apart(perhaps, apart.length).high >= times:
            return unknown([Reason(ReasonKind.BOUNDARY, fact.name)])
        return False

    return predicate
