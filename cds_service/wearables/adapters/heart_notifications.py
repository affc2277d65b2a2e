"""Heart notifications of an Apple Watch, as Health Auto Export passes them on.

Three spellings are about: ``heartRateNotifications`` with a ``threshold``,
``heartNotification`` with a ``threshhold``, and one with a ``type`` in words. The limit
and the end may be missing; none is taken to last. Where no type is written, the heart
rates tell on which side of the limit they are. The spelling that is documented leaves
the limit out of an irregular rhythm alone; of others that is not known.

Source: help.healthyapps.dev, "Heart Rate Notifications".
"""

from collections.abc import Iterator
from datetime import datetime
from statistics import median

from ..metrics import Unmeasured, convert
from ..records import AlertType
from ..samples import Item, Notice, Stat, microseconds
from .reading import NotTaken, Object, Reader, inside, made_id, read_number, read_span

HIGH, LOW, IRREGULAR = "High Heart Rate", "Low Heart Rate", "Irregular Rhythm"
"""Types as the app writes them."""
PEAKS = {HIGH: str(Stat.MAX), LOW: str(Stat.MIN)}
LIMITS = ("threshold", "threshhold")
STARTS, ENDS = ("start", "startDate", "date"), ("end", "endDate")
RATES = ("heartRate", "heartRates", "heartRateData")
NUMBERS = ("hr", "qty", "value")
UNIT = "count/min"
"""Of a heart rate beside which none stands."""


def read_notification(
    told: Object, path: str, reader: Reader, documented: bool
) -> Iterator[Item]:
    """Yield the notice that a notification is.

    Args:
        documented: Whether it came in the spelling that is.

    Raises:
        NotTaken: if it does not say of what, or when.
    """
    rates, unit = _rates(told)
    limit = _limit(told)
    name = _name(told, limit, rates, documented)
    type = reader.catalogue.alert_named(reader.format, name)
    if type is None:
        raise NotTaken("other-kind", "No type of alert here.", "type")
    start, end, local = _times(told, reader)
    peak = {HIGH: max, LOW: min}.get(name) if rates and type.unit else None
    yield Notice(
        type.name,
        made_id(type.name, str(microseconds(start))),
        start,
        end,
        local,
        value=_converted(peak(rates), unit, type, reader) if peak else None,
        stat=PEAKS[name] if peak else "",
        threshold=_converted(limit, unit, type, reader),
        n=len(rates) or None,
        path=path,
    )


def _name(
    told: Object, limit: float | None, rates: list[float], documented: bool
) -> str:
    """What the app calls it, or would call it."""
    written = told.get("type")
    if isinstance(written, str):
        return written.strip().title()
    if limit is not None:
        return _side(limit, rates)
    if documented:
        return IRREGULAR
    raise NotTaken("malformed", "Has neither a type nor a limit.")


def _converted(
    number: float | None, unit: str, type: AlertType, reader: Reader
) -> float | None:
    """A number in the unit of the type; None where there is none to tell."""
    if number is None or not type.unit:
        return None
    try:
        return convert(number, unit, type.unit, type.molar_mass, reader.units)
    except Unmeasured as error:
        raise NotTaken(error.reason, str(error)) from error


def _times(told: Object, reader: Reader) -> tuple[datetime, datetime, bool]:
    """Start and end; where none is told, the end of what was measured meanwhile."""
    begin = next((each for each in STARTS if told.get(each) is not None), STARTS[0])
    finish = next((each for each in ENDS if told.get(each) is not None), "")
    start, local = reader.time(told.get(begin), begin)
    if finish:
        end, _ = reader.time(told[finish], finish)
        return *read_span(start, end, finish), local
    return start, max([start, *_measured_at(told, reader)]), local


def _measured_at(told: Object, reader: Reader) -> Iterator[datetime]:
    for rate in _series(told):
        stamp = inside(rate, "timestamp")
        try:
            yield reader.time(stamp.get("end") or stamp.get("start"), "")[0]
        except NotTaken:
            continue


def _side(limit: float, rates: list[float]) -> str:
    middle = median(rates) if rates else limit
    if middle == limit:
        text = "Has a limit, and no heart rates that tell on which side they were."
        raise NotTaken("malformed", text, "threshold")
    return HIGH if middle > limit else LOW


def _limit(told: Object) -> float | None:
    for name in LIMITS:
        if told.get(name) is not None:
            try:
                return read_number(told[name])
            except NotTaken as error:
                raise NotTaken(error.reason, error.text, name) from error
    return None


def _rates(told: Object) -> tuple[list[float], str]:
    """The heart rates that are numbers, and their unit."""
    rates, unit = list[float](), UNIT
    for rate in _series(told):
        written = rate.get("units")
        unit = written if isinstance(written, str) and written else unit
        value = next((rate[name] for name in NUMBERS if name in rate), None)
        try:
            rates.append(read_number(value))
        except NotTaken:
            continue
    return rates, unit


def _series(told: Object) -> list[Object]:
    held = next((told[name] for name in RATES if told.get(name)), None)
    return [
        each
        for each in (held if isinstance(held, list) else [])
        if isinstance(each, dict)
    ]
