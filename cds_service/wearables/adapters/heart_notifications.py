"""Heart notifications of an Apple Watch, as Health Auto Export passes them on.

Three spellings are about, by the version of the app: a ``threshold`` beside
``heartRate`` and ``heartRateVariation``, which is the one that is documented; a
``heartNotification`` that names the type beside ``heartRateData``, its limit a
``threshhold`` or an object with a unit; and a ``type`` in words. The limit and the end
may be missing; none is taken to last. Where no type is named, the heart rates tell on
which side of the limit they were. The documented one leaves the limit out of an
irregular rhythm alone; from what else is missing nothing is concluded.

Source: help.healthyapps.dev, "Heart Rate Notifications"; payloads that receivers of the
app keep as their tests.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from statistics import median
from typing import Any

from ..metrics import Unmeasured, measure_alert
from ..records import AlertType
from ..samples import Device, Item, Notice, Stat, microseconds
from .reading import (
    NotTaken,
    Object,
    Reader,
    inside,
    made_id,
    read_name,
    read_number,
    read_span,
)

HIGH, LOW, IRREGULAR = "High Heart Rate", "Low Heart Rate", "Irregular Rhythm"
"""Types in words."""
BY_WORD = {"irregular": IRREGULAR, "high": HIGH, "low": LOW}
"""By what their other names hold, such as ``HKHeartRateNotificationTypeHigh``."""
PEAKS = {HIGH: Stat.MAX, LOW: Stat.MIN}
TYPES = ("heartNotification", "type", "name")
LIMITS = ("threshold", "threshhold")
STARTS, ENDS = ("start", "startDate", "date"), ("end", "endDate")
RATES = ("heartRate", "heartRateData")
NUMBERS = ("hr", "qty", "value", "Avg")
EXTREMES = ("minHeartRate", "maxHeartRate")
DOCUMENTED = "heartRateVariation"
"""What stands in the documented spelling and in no other."""
UNIT = "count/min"
"""Of a heart rate beside which none stands."""


def read_notification(told: Object, path: str, reader: Reader) -> Iterator[Item]:
    """Yield the notice that a notification is.

    Raises:
        NotTaken: if it does not say of what, or when.
    """
    rates, unit = _rates(told)
    limit, limit_unit = _limit(told, unit)
    name = _name(told, limit, rates)
    type = reader.catalogue.alert_named(reader.format, name)
    if type is None:
        raise NotTaken("other-kind", "No type of alert here.")
    start, end, local = _times(told, reader)
    if type.unit:
        rates = _measured(rates, unit, type, reader, _first(told, RATES))
    stat = PEAKS.get(name) if rates and type.unit else None
    peak = None if stat is None else max(rates) if stat is Stat.MAX else min(rates)
    if limit is not None and type.unit:
        member = _first(told, LIMITS)
        limit = _converted(limit, limit_unit, type, reader, member)
    yield Notice(
        type.name,
        made_id(type.name, str(microseconds(start))),
        start,
        end,
        local,
        device=Device(name=_source(told)),
        value=peak,
        stat=str(stat or ""),
        threshold=limit if type.unit else None,
        n=len(rates) or None,
        path=path,
    )


def _name(told: Object, limit: float | None, rates: list[float]) -> str:
    """The type in words."""
    named = (told[each] for each in TYPES if isinstance(told.get(each), str))
    written = next(named, None)
    if written is not None:
        folded = written.lower()
        return next((BY_WORD[each] for each in BY_WORD if each in folded), "")
    if limit is not None:
        return _side(limit, rates)
    if DOCUMENTED in told:
        return IRREGULAR
    raise NotTaken("malformed", "Has neither a type nor a limit.")


def _side(limit: float, rates: list[float]) -> str:
    middle = median(rates) if rates else limit
    if middle == limit:
        text = "Has a limit, and no heart rates that tell on which side they were."
        raise NotTaken("malformed", text, "threshold")
    return HIGH if middle > limit else LOW


def _limit(told: Object, unit: str) -> tuple[float | None, str]:
    """The limit and its unit, which is that of the heart rates where none is told."""
    name = _first(told, LIMITS)
    if not name:
        return None, unit
    held = told[name]
    if isinstance(held, dict):
        written = held.get("units")
        unit = written if isinstance(written, str) else unit
        held = held.get("qty")
    try:
        return read_number(held), unit
    except NotTaken as error:
        raise NotTaken(error.reason, error.text, name) from error


def _first(told: Object, names: Sequence[str]) -> str:
    """The first of the members that is there; empty where none is."""
    return next((each for each in names if told.get(each) is not None), "")


def _measured(
    rates: list[float], unit: str, type: AlertType, reader: Reader, member: str
) -> list[float]:
    """Those that a body has, in the unit of the type; what none has hides no other.

    Raises:
        NotTaken: if none of several is left.
    """
    found, wrong = list[float](), list[NotTaken]()
    for rate in rates:
        try:
            found.append(_converted(rate, unit, type, reader, member))
        except NotTaken as error:
            wrong.append(error)
    if wrong and not found:
        raise wrong[0]
    return found


def _converted(
    number: float, unit: str, type: AlertType, reader: Reader, member: str
) -> float:
    """A number in the unit of the type."""
    try:
        return measure_alert(type, number, unit, reader.units)
    except Unmeasured as error:
        raise NotTaken(error.reason, str(error), member) from error


def _times(told: Object, reader: Reader) -> tuple[datetime, datetime, bool]:
    """Start and end; where none is told, the end of what was measured meanwhile."""
    begin = _first(told, STARTS) or STARTS[0]
    finish = _first(told, ENDS)
    start, local = reader.time(told.get(begin), begin)
    if finish:
        end, _ = reader.time(told[finish], finish)
        return *read_span(start, end, finish), local
    return start, max([start, *_measured_at(told, reader)]), local


def _measured_at(told: Object, reader: Reader) -> Iterator[datetime]:
    for rate in _series(told):
        stamp = inside(rate, "timestamp")
        at = stamp.get("end") or stamp.get("start") or rate.get("date")
        try:
            yield reader.time(at, "")[0]
        except NotTaken:
            continue


def _rates(told: Object) -> tuple[list[float], str]:
    """The heart rates that are numbers, and their unit."""
    unit, numbers = UNIT, list[Any]()
    for rate in _series(told):
        written = rate.get("units")
        unit = written if isinstance(written, str) and written else unit
        numbers.append(next((rate[each] for each in NUMBERS if each in rate), None))
    if not numbers:
        numbers = [told[each] for each in EXTREMES if each in told]
    rates = list[float]()
    for number in numbers:
        try:
            rates.append(read_number(number))
        except NotTaken:
            continue
    return rates, unit


def _series(told: Object) -> list[Object]:
    held = next((told[name] for name in RATES if told.get(name)), None)
    rates = held if isinstance(held, list) else []
    return [each for each in rates if isinstance(each, dict)]


def _source(told: Object) -> str:
    source = told.get("source")
    return read_name(source.get("name") if isinstance(source, dict) else source)
