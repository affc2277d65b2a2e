"""Dexcom API, version 3: estimated glucose values, and alerts of the display device.

``systemTime`` is UTC although it is written without an offset; ``displayTime`` is what
the wearer's clock showed, and where it has no offset it is known by how far the two are
apart. What is beyond the sensor comes with the status ``low`` or ``high`` and is a
bound, whatever number stands beside it. Numbers without a unit are in mg/dL: in mmol/L
no glucose is as high as the lowest of them, so that none is mistaken for another.

An alert is told state by state. It lasts from when it sounds to when it is inactive;
where no end is told, none is taken to last.

Source: developer.dexcom.com/docs/dexcomv3, "Get Estimated Glucose Values v3",
"Get Alerts v3".
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ....protocol.errors import Problem, Unprocessable
from ...clock import parse_written
from ...metrics import Catalogue, Metric
from ...records import AlertType
from ...samples import Device, Flag, Item, LeftOut, Notice, microseconds
from ..members import EARLIEST_YEAR, LATEST_YEAR, Sender
from ..reading import (
    Frame,
    NotTaken,
    Object,
    Reader,
    made_id,
    open_reader,
    read_each,
    read_id,
    read_name,
    read_number,
    read_word,
)

FORMAT = "dexcom"
VALUES, ALERTS = "egv", "alert"
"""As a ``recordType``."""
MG_DL, MMOL_L = "mg/dL", "mmol/L"
UNITS = {"mg/dl": MG_DL, "mmol/l": MMOL_L}
LOWEST, HIGHEST = 40, 400
"""In mg/dL: what a sensor of theirs tells at least and at most."""
CODES_BELOW = 39
"""In mg/dL: what is less is a code of the sensor."""
BEYOND = {"low": (LOWEST, Flag.BELOW), "high": (HIGHEST, Flag.ABOVE)}
"""By the status of a value."""
OVER = "inactive"
"""As an ``alertState``."""
QUARTER = timedelta(minutes=15)
"""Of an hour: all zones are whole numbers of them from UTC."""
WIDEST_OFFSET = timedelta(hours=14)


def adapt(body: Any, sender: Sender, catalogue: Catalogue) -> Iterator[Item]:
    """Yield what records say.

    Raises:
        Unprocessable: if *body* has no list of records.
    """
    if not isinstance(body, dict) or "records" not in body:
        raise Unprocessable(Problem("Must have records.", "$"))
    reader = open_reader(FORMAT, sender, catalogue)
    match body.get("recordType"):
        case "alert":
            yield from _alerts(body["records"], reader)
        case "egv" | None:
            yield from read_each(
                body["records"], "$.records", lambda each, at: _value(each, at, reader)
            )
        case _:
            text = "Neither glucose values nor alerts."
            yield LeftOut("other-kind", Problem(text, "$.recordType"))


def _value(record: Object, path: str, reader: Reader) -> Iterator[Item]:
    metric = reader.metric(VALUES)
    if metric is None:
        raise NotTaken("other-kind", "No metric here.")
    at, local = _time(record, reader)
    frame = Frame(
        at,
        at,
        local,
        device=_device(record),
        source_id=_id(record),
    )
    yield _reading(record, metric, frame, path, reader)


def _reading(
    record: Object, metric: Metric, frame: Frame, path: str, reader: Reader
) -> Item:
    told, place = record.get("value"), f"{path}.value"
    unit = _unit(record)
    status = record.get("status")
    beyond = BEYOND.get(status.lower()) if isinstance(status, str) else None
    if beyond is not None:
        bound, flag = beyond
        within = replace(frame, flags=frame.flags | flag)
        return reader.value(metric, bound, MG_DL, within, place)
    if unit == MG_DL and _is_code(told):
        text = "A code of the sensor, and no reading."
        return LeftOut("sentinel", Problem(text, place), frame.source_id)
    return reader.value(metric, told, unit, frame, place)


def _is_code(told: Any) -> bool:
    try:
        return told is not None and read_number(told) < CODES_BELOW
    except NotTaken:
        return False


def _unit(record: Object) -> str:
    told = record.get("unit")
    if not isinstance(told, str) or told.lower() in ("", "unknown"):
        return MG_DL
    return UNITS.get(told.lower(), told)


def _id(record: Object) -> str:
    """What tells a record from others: its id, or what the transmitter counts."""
    id = read_id(record.get("recordId"), "recordId")
    ticks = record.get("transmitterTicks")
    if id or ticks is None:
        return id
    number = read_id(ticks, "transmitterTicks")
    return made_id(read_id(record.get("transmitterId"), "transmitterId"), number)


def _device(record: Object) -> Device:
    generation = read_name(record.get("transmitterGeneration"))
    known = generation and generation != "unknown"
    return Device(
        read_id(record.get("transmitterId"), "transmitterId"),
        f"Dexcom {generation.upper()}" if known else "",
        read_name(record.get("displayDevice")),
    )


def _time(record: Object, reader: Reader) -> tuple[datetime, bool]:
    """The instant, on the wearer's clock where that is told."""
    member = "systemTime"
    told = record.get(member)
    written = parse_written(told) if isinstance(told, str) else None
    if written is None or written.day:
        raise NotTaken("time", "Must be a date and a time of day.", member)
    if not EARLIEST_YEAR <= written.at.year <= LATEST_YEAR:
        raise NotTaken("time", "Nobody wore anything then.", member)
    at = written.at.replace(tzinfo=UTC) - (written.offset or timedelta(0))
    return reader.on_clock(at, _offset(record, at))


def _offset(record: Object, at: datetime) -> timedelta | None:
    """How far the wearer's clock is ahead of UTC; None where that is not known."""
    told = record.get("displayTime")
    shown = parse_written(told) if isinstance(told, str) else None
    if shown is None or shown.day:
        return None
    if shown.offset is not None:
        return shown.offset if shown.tells_clock else None
    ahead = shown.at - at.replace(tzinfo=None)
    plain = abs(ahead) <= WIDEST_OFFSET and not ahead % QUARTER
    return ahead if plain else None


@dataclass(frozen=True, slots=True)
class _State:
    """One state of an alert, and when it came to be in it."""

    name: str
    type: AlertType
    at: datetime
    local: bool
    over: bool
    device: Device
    path: str


def _alerts(told: Any, reader: Reader) -> Iterator[Item]:
    states = list[_State]()

    def read(record: Object, path: str) -> Iterator[Item]:
        name = read_word(record.get("alertName"))
        type = reader.catalogue.alert_named(FORMAT, f"{ALERTS}/{name}")
        if type is None:
            raise NotTaken("other-kind", "No type of alert here.", "alertName")
        state = record.get("alertState")
        if state not in (OVER, "activeAlarming", "activeSnoozed"):
            raise NotTaken("no-value", "Does not say whether it lasts.", "alertState")
        at, local = _time(record, reader)
        device = _device(record)
        over = state == OVER
        states.append(_State(name, type, at, local, over, device, path))
        yield from ()

    yield from read_each(told, "$.records", read)
    states.sort(key=lambda each: each.at)
    for name in dict.fromkeys(each.name for each in states):
        yield from _episodes([each for each in states if each.name == name])


def _episodes(states: list[_State]) -> Iterator[Item]:
    """What the states of one alert say together, in their order."""
    first: _State | None = None
    last: _State | None = None
    for state in states:
        if first is None and state.over:
            text = "Says that one is over, of which it is not told when it began."
            yield LeftOut("no-value", Problem(text, state.path))
            continue
        first, last = first or state, state
        if state.over:
            yield _notice(first, state)
            first = last = None
    if first is not None and last is not None:
        yield _notice(first, last)


def _notice(first: _State, last: _State) -> Notice:
    """The alert from one state to another; a later end holds instead of it."""
    began = microseconds(first.at)
    return Notice(
        first.type.name,
        made_id(FORMAT, first.name, first.device.id, str(began)),
        first.at,
        last.at.astimezone(first.at.tzinfo),
        first.local,
        device=first.device,
        revision=microseconds(last.at) // 1000,
        path=first.path,
    )
