"""What may be asked of one wearable alert: its value, how long, when, how sure.

Everything that a test lists must hold of the same alert: a slow heart by day is not
made of a slow one by night and a normal one by day.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...wearables.records import WearableAlert
from ..values.intervals import Limit, exactly
from ..values.truth import Reason, ReasonKind
from .rows.readings import Row

NO_CLOCK = "wearer's local time not known"
"""What stays open where a delivery told its times in UTC alone."""


@dataclass(frozen=True, slots=True)
class AlertTest:
    """What is asked of one alert: every attribute meets its limits."""

    asked: tuple[tuple[str, tuple[Limit, ...]], ...]

    def __call__(self, row: Row, now: datetime) -> bool | None:
        """Return whether an alert is what is asked for; None if it does not say."""
        answer: bool | None = True
        for attribute, limits in self.asked:
            met = _meets(row, attribute, limits, now)
            if met is False:
                return False
            if met is None:
                answer = None
        return answer

    def left_open(self, name: str, rows: Iterable[Row], now: datetime) -> list[Reason]:
        """Return why alerts of the fact *name* that may pass are not known to."""
        lacking = {
            attribute == "local_time"
            for row in rows
            if self(row, now) is None
            for attribute, limits in self.asked
            if _meets(row, attribute, limits, now) is None
        }
        no_clock = Reason(ReasonKind.UNCERTAIN, name, why=NO_CLOCK)
        unsaid = Reason(ReasonKind.NOT_RECORDED, name)
        return [no_clock if by_clock else unsaid for by_clock in sorted(lacking)]


def alert_number(row: Row, attribute: str, now: datetime) -> float | None:
    """An attribute of an alert as a number: seconds, or the minute of the day."""
    return None if row.alert is None else _NUMBERS[attribute](row.alert, now)


def _age(alert: WearableAlert, now: datetime) -> float:
    return max((now - alert.until(now)).total_seconds(), 0.0)


def _minute_of_day(alert: WearableAlert, now: datetime) -> float | None:
    start = alert.start
    if not alert.local:
        return None
    return start.hour * 60 + start.minute + start.second / 60


_NUMBERS: Mapping[str, Callable[[WearableAlert, datetime], float | None]] = {
    "value": lambda alert, now: alert.value,
    "threshold": lambda alert, now: alert.threshold,
    "coverage": lambda alert, now: alert.coverage,
    "duration": lambda alert, now: alert.duration(now).total_seconds(),
    "age": _age,
    "local_time": _minute_of_day,
}


def _meets(
    row: Row, attribute: str, limits: Sequence[Limit], now: datetime
) -> bool | None:
    number = alert_number(row, attribute, now)
    if number is None:
        return None
    value = exactly(number)
    met = [bool(limit.of(value)) for limit in limits]
    # From 22:00 to 06:00 is past midnight: late enough or early enough will do.
    wraps = attribute == "local_time" and len(limits) == 2
    if wraps and limits[0].value > limits[1].value:
        return any(met)
    return all(met)
