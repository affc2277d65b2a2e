"""Nightscout: entries of its REST API, versions 1 and 3.

An entry is ``{"type": "sgv", "sgv": 112, "date": 1795352700000, "dateString": …,
"device": …}``; ``mbg`` is a meter's. Numbers come as text at times. Below 39 a ``sgv``
is an error code of the sensor, which as mg/dL would be a false critical low.

Two entries of one instant and device are one reading, whatever their ``_id`` and
``dateString``: uploaders send all anew when the phone's time zone changes.

Source: OpenAPI descriptions of ``nightscout/cgm-remote-monitor``; error codes of
Dexcom's sensors as uploaders pass them on.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ...protocol.errors import Problem, Unprocessable
from ..clock import parse_written
from ..metrics import Catalogue
from ..samples import Device, Item, LeftOut, Removal
from .members import Sender
from .reading import (
    MILLISECONDS,
    Frame,
    NotTaken,
    Object,
    Reader,
    open_reader,
    read_each,
    read_epoch,
    read_name,
    read_number,
    read_one,
    read_revision,
)

FORMAT = "nightscout"
SENSOR = "sgv"
FIRST_READING = 39
"""Of ``sgv``, in mg/dL: what is below is an error code."""
UNITS = {"mg/dl": "mg/dL", "mmol": "mmol/L", "mmol/l": "mmol/L"}
WIDEST_OFFSET = 18 * 60
"""Minutes."""


def adapt(body: Any, sender: Sender, catalogue: Catalogue) -> Iterator[Item]:
    """Yield what entries say.

    Raises:
        Unprocessable: if *body* is no entry, nor a list of them.
    """
    reader = open_reader(FORMAT, sender, catalogue)
    path = "$"
    if isinstance(body, dict) and "result" in body:
        body, path = body["result"], "$.result"
    if isinstance(body, dict) and "type" in body:
        yield from read_one(body, path, lambda each, place: _entry(each, place, reader))
    elif isinstance(body, list):
        yield from read_each(
            body, path, lambda each, place: _entry(each, place, reader)
        )
    else:
        raise Unprocessable(Problem("Must be an entry, or a list of them.", path))


def _entry(entry: Object, path: str, reader: Reader) -> Iterator[Item]:
    type = entry.get("type")
    metric = reader.metric(type) if isinstance(type, str) else None
    if metric is None or not isinstance(type, str):
        yield LeftOut("other-kind", Problem("No reading of a metric.", f"{path}.type"))
        return
    at, local = _time(entry, reader)
    revision = read_revision(entry.get("srvModified"))
    if entry.get("isValid") is False:
        name = metric.name
        yield Removal(metric=name, start=at, end=at, revision=revision, path=path)
        return
    told, place = entry.get(type), f"{path}.{type}"
    unit = _unit(entry) or metric.unit_of(FORMAT, type)
    if type == SENSOR and _is_code(told, unit):
        text = "A code of the sensor, and no reading."
        yield LeftOut("sentinel", Problem(text, place))
        return
    name = read_name(entry.get("device"))
    frame = Frame(at, at, local, device=Device(name, name), revision=revision)
    yield reader.value(metric, told, unit, frame, place)


def _is_code(told: Any, unit: str) -> bool:
    """Whether a value is an error code, or says that it is beyond what is measured."""
    if isinstance(told, str) and told.strip().lower() in ("low", "high"):
        return True
    try:
        return unit == "mg/dL" and read_number(told) < FIRST_READING
    except NotTaken:
        return False


def _unit(entry: Object) -> str:
    """The unit that is written beside the value; empty where none is."""
    told = entry.get("units")
    return UNITS.get(told.lower(), told) if isinstance(told, str) else ""


def _time(entry: Object, reader: Reader) -> tuple[datetime, bool]:
    """The instant, on the wearer's clock where an offset is said to be of that."""
    if entry.get("date") is None and entry.get("dateString") is not None:
        return reader.time(entry["dateString"], "dateString")
    at = read_epoch(entry.get("date"), MILLISECONDS, "date")
    text = entry.get("dateString")
    written = parse_written(text) if isinstance(text, str) else None
    if written and written.tells_clock:
        return reader.on_clock(at, written.offset)
    return reader.on_clock(at, _offset(entry))


def _offset(entry: Object) -> timedelta | None:
    """The offset beside the time. Of 0 the server makes one, where it was told none."""
    told = entry.get("utcOffset")
    if not isinstance(told, int | float) or not 0 < abs(told) <= WIDEST_OFFSET:
        return None
    return timedelta(minutes=told)
