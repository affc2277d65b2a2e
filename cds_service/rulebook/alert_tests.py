"""What may be asked of one wearable alert: its value, how long, when, how sure.

Everything that a test lists must hold of the same alert: a slow heart by day is not
made of a slow one by night and a normal one by day.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from .criteria import Judge, Limit
from .facts import Fact
from .intervals import INFINITY, Interval, exactly
from .readings import Row
from .truth import Reason, ReasonKind, Verdict, unknown

if TYPE_CHECKING:
    from .case import Case

ATTRIBUTES = ("value", "threshold", "coverage", "duration", "age", "local_time")
"""What a test may ask of one alert."""

NO_CLOCK = "wearer's local time not known"
"""What stays open where a delivery told its times in UTC alone."""


@dataclass(frozen=True, slots=True)
class AlertTest:
    """What is asked of one alert: every attribute meets its limits."""

    asked: tuple[tuple[str, tuple[Limit, ...]], ...]

    def __call__(self, row: Row, now: datetime) -> bool | None:
        """Return whether an alert is what is asked for; None if it does not say."""
        met = [_meets(row, attribute, limits, now) for attribute, limits in self.asked]
        if False in met:
            return False
        return None if None in met else True

    def left_open(self, fact: Fact, rows: Iterable[Row], now: datetime) -> list[Reason]:
        """Return why alerts that may pass are not known to."""
        lacking = {
            attribute == "local_time"
            for row in rows
            if self(row, now) is None
            for attribute, limits in self.asked
            if _meets(row, attribute, limits, now) is None
        }
        no_clock = Reason(ReasonKind.UNCERTAIN, fact.name, why=NO_CLOCK)
        unsaid = Reason(ReasonKind.NOT_RECORDED, fact.name)
        return [no_clock if by_clock else unsaid for by_clock in sorted(lacking)]


def some_alert(fact: Fact, test: AlertTest) -> Judge:
    """Whether some alert of the fact passes the test."""

    def judge(case: "Case") -> Verdict:
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
            return unknown(test.left_open(fact, found.rows, case.now))
        return False

    return judge


def count_alerts(fact: Fact, test: AlertTest, limit: Limit) -> Judge:
    """Whether the number of the fact's alerts that pass a test meets a limit."""

    def judge(case: "Case") -> Verdict:
        found = case.found(fact)
        answers = [test(row, case.now) for row in found.rows]
        certain, doubtful = answers.count(True), answers.count(None)
        doubts = found.doubts(unresolved=False)
        most = INFINITY if doubts else certain + doubtful
        verdict = limit.of(Interval(certain, most))
        if verdict is None:
            unsaid = test.left_open(fact, found.rows, case.now)
            return unknown([*unsaid, *doubts])
        return verdict

    return judge


def alert_number(row: Row, attribute: str, now: datetime) -> float | None:
    """An attribute of an alert as a number: seconds, or the minute of the day."""
    alert = row.alert
    if alert is None:
        return None
    if attribute == "duration":
        return alert.duration(now).total_seconds()
    if attribute == "age":
        return max((now - (alert.end or now)).total_seconds(), 0.0)
    if attribute == "local_time":
        start = alert.start
        if not alert.local:
            return None
        return start.hour * 60 + start.minute + start.second / 60
    return {
        "value": alert.value,
        "threshold": alert.threshold,
        "coverage": alert.coverage,
    }[attribute]


def _meets(
    row: Row, attribute: str, limits: Sequence[Limit], now: datetime
) -> bool | None:
    number = alert_number(row, attribute, now)
    if number is None:
        return None
    met = [bool(limit.of(exactly(number))) for limit in limits]
    # From 22:00 to 06:00 is past midnight: late enough or early enough will do.
    wraps = attribute == "local_time" and len(limits) == 2
    if wraps and limits[0].value > limits[1].value:
        return any(met)
    return all(met)
