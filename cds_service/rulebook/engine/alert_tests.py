"""What may be asked of one wearable alert: its value, how long, when, how sure.

Everything that a test lists must hold of the same alert: a slow heart by day is not
made of a slow one by night and a normal one by day.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...wearables.records import WearableAlert
from ..values.intervals import INFINITY, Interval, Limit, exactly
from ..values.truth import Reason, ReasonKind
from .rows.readings import Row

NO_CLOCK = "wearer's local time not known"
"""What stays open where a delivery told its times in UTC alone."""
NOT_USUAL = "usual value not told"
"""What stays open where an alert tells its extreme, or one number and not of what."""


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
            _why_open(row, attribute)
            for row in rows
            if self(row, now) is None
            for attribute, limits in self.asked
            if _meets(row, attribute, limits, now) is None
        }
        return [
            Reason(
                (
                    ReasonKind.UNCERTAIN
                    if why in (NO_CLOCK, NOT_USUAL)
                    else ReasonKind.NOT_RECORDED
                ),
                name,
                why=why,
            )
            for why in sorted(lacking)
        ]


def _why_open(row: Row, attribute: str) -> str:
    """What an alert leaves open of itself, or only does not say."""
    if attribute == "local_time":
        return NO_CLOCK
    told = row.alert is not None and row.alert.value is not None
    return NOT_USUAL if attribute == "typical" and told else _NOT_SAID[attribute]


_NOT_SAID = {
    "value": "value not told",
    "typical": "value not told",
    "threshold": "limit not told",
    "coverage": "coverage not told",
}
"""What an alert may come without."""


def alert_number(row: Row, attribute: str, now: datetime) -> float | None:
    """An attribute of an alert as a number: seconds, or the minute of the day."""
    return None if row.alert is None else _NUMBERS[attribute](row.alert, now)


def typical(alert: WearableAlert) -> Interval | None:
    """Return what the value was for most of the time; None where nothing tells.

    A detector keeps the median, a vendor may send one or a mean. Of an extreme it is
    known that the other readings lay on its one side, and of a limit that the alert is
    about what lay beyond it.
    """
    value, limit = alert.value, alert.threshold
    if alert.median is not None:
        return exactly(alert.median)
    if value is None or alert.stat in ("mean", "median"):
        return None if value is None else exactly(value)
    low, high = -INFINITY, INFINITY
    if limit is not None and limit < value and alert.stat != "min":
        low = limit
    if limit is not None and limit > value and alert.stat != "max":
        high = limit
    within = Interval(low, high, low > -INFINITY, high < INFINITY)
    if alert.stat == "max":
        return within._replace(high=value)
    if alert.stat == "min":
        return within._replace(low=value)
    return None if (low, high) == (-INFINITY, INFINITY) else within


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


def _interval(row: Row, attribute: str, now: datetime) -> Interval | None:
    if attribute == "typical":
        return None if row.alert is None else typical(row.alert)
    number = alert_number(row, attribute, now)
    return None if number is None else exactly(number)


def _meets(
    row: Row, attribute: str, limits: Sequence[Limit], now: datetime
) -> bool | None:
    value = _interval(row, attribute, now)
    if value is None:
        return None
    met = [limit.of(value) for limit in limits]
    # From 22:00 to 06:00 is past midnight: late enough or early enough will do.
    wraps = attribute == "local_time" and len(limits) == 2
    if wraps and limits[0].value > limits[1].value:
        return any(met)
    if False in met:
        return False
    return None if None in met else True
