"""Apple Health's export: records and heart events of ``export.xml``, ECGs. Pure.

Phone and watch both stand in it, and the same record stands in the next export again.
Nothing identifies a record but what it says; a device's pointer changes each time, and
the name of a source whenever its owner renames it.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

from ...protocol.errors import Problem
from ...units.formats import OWN_UNITS
from ..metrics import Catalogue, Metric, Unmeasured, measure, measure_alert
from ..records import AlertType
from ..samples import (
    Context,
    Device,
    Flag,
    Item,
    LeftOut,
    Notice,
    Sample,
    Stat,
    microseconds,
)
from .apple_xml import Element, read_elements
from .members import EARLIEST_YEAR

FORMAT = "apple-health"
MOTION = {"1": Context.REST, "2": Context.ACTIVE}
"""``HKHeartRateMotionContext``: 0 is not set, and is what most watches write."""
SILENT = frozenset({"ExportDate", "Me"})
"""Elements that are about the file and the person."""
ECG = "HKElectrocardiogram"


@dataclass(frozen=True, slots=True)
class _Times:
    start: datetime
    end: datetime


def telling(chunks: Iterable[bytes]) -> Iterator[Element]:
    """Yield the elements of an ``export.xml`` that are items, in their order.

    Raises:
        BrokenExport: where it is no export or breaks off, after what stands before.
    """
    return (each for each in read_elements(chunks) if each.name not in SILENT)


def adapt_element(element: Element, catalogue: Catalogue) -> Item:
    """Return what an element of an ``export.xml`` says."""
    path = f"line {element.line}"
    if element.name != "Record":
        problem = Problem(f"{element.name} is no record.", path)
        return LeftOut("other-kind", problem)
    return adapt_record(element, path, catalogue)


def adapt_record(record: Element, path: str, catalogue: Catalogue) -> Item:
    """Return what a ``Record`` says."""
    type, said = record.attributes.get("type", ""), record.attributes.get("value", "")
    by_time = catalogue.metric_named(FORMAT, f"{type}/{said}")
    metric = by_time or catalogue.metric_named(FORMAT, type)
    kind = metric or catalogue.alert_named(FORMAT, type)
    if kind is None:
        text = f"{_shown(type)} is not known here."
        return LeftOut("other-kind", Problem(text, path))
    times = _times(record.attributes)
    if times is None:
        text = "Must start and end at a date and time with an offset, in this order."
        return LeftOut("time", Problem(text, path))
    if isinstance(kind, AlertType):
        return _notice(kind, record, times, path)
    return _sample(kind, by_time is not None, record, times, path)


def _sample(
    metric: Metric, by_its_time: bool, record: Element, times: _Times, path: str
) -> Item:
    said, about = record.attributes, record.metadata
    number, unit = _number(said.get("value", "")), said.get("unit", "")
    context = MOTION.get(about.get("HKMetadataKeyHeartRateMotionContext", ""))
    if by_its_time:
        number, unit = (times.end - times.start) / timedelta(minutes=1), "min"
        context = Context.ASLEEP
    if number is None:
        return LeftOut("malformed", Problem("Must have a number as its value.", path))
    try:
        value = measure(metric, number, unit, OWN_UNITS[FORMAT])
    except Unmeasured as error:
        return LeftOut(error.reason, Problem(str(error), path))
    return Sample(
        metric.name,
        value,
        metric.unit,
        times.start,
        times.end,
        local=True,
        device=_device(said),
        source_id=about.get("HKMetadataKeySyncIdentifier", ""),
        revision=_revision(about.get("HKMetadataKeySyncVersion", "")),
        stat=_stat(metric, times),
        context=context or Context.UNKNOWN,
        flags=_flags(about),
        path=path,
    )


def _flags(about: Mapping[str, str]) -> Flag:
    found = Flag(0)
    for name, flag in FLAGGED.items():
        if about.get(name) == "1":
            found |= flag
    return found


FLAGGED = {
    "HKWasUserEntered": Flag.MANUAL,
    "HKMetadataKeyQuantityClampedToLowerBound": Flag.BELOW,
    "HKMetadataKeyQuantityClampedToUpperBound": Flag.ABOVE,
}
"""Metadata that say what a sample is. Source: HealthKit, "Metadata Keys"."""


def _notice(event: AlertType, record: Element, times: _Times, path: str) -> Item:
    device = _device(record.attributes)
    try:
        limit = _told_quantity(record, LIMITS, event)
        value = _told_quantity(record, VALUES, event)
    except Unmeasured as error:
        return LeftOut(error.reason, Problem(str(error), path))
    return Notice(
        event.name,
        _made_id(event.name, times, device),
        times.start,
        times.end,
        local=True,
        device=device,
        value=value,
        threshold=limit,
        path=path,
    )


def _told_quantity(
    record: Element, names: Sequence[str], event: AlertType
) -> float | None:
    """The first of these metadata that holds a number, in the unit of the event."""
    for name in names:
        number, _, unit = record.metadata.get(name, "").partition(" ")
        told = _number(number)
        if told is not None and event.unit:
            return _converted(told, unit, event)
    return None


LIMITS = ("HKHeartRateEventThreshold", "HKLowCardioFitnessEventThreshold")
VALUES = ("HKVO2MaxValue",)
"""Metadata of events: the limit that was set, and what was found."""


def _converted(number: float, unit: str, event: AlertType) -> float:
    return measure_alert(event, number, unit, OWN_UNITS[FORMAT])


def adapt_ecg(text: str, path: str, catalogue: Catalogue) -> Item:
    """Return what an ECG's CSV says: its classification, where that is an alert.

    The curve is not kept. The labels and the classification are in the phone's
    language; those of the known ones that are told in ``rules/alert-types.yaml`` count.
    """
    try:
        rows = list(csv.reader(text.splitlines()[:HEAD_OF_ECG]))
    except csv.Error as error:
        return LeftOut("malformed", Problem(f"Must be CSV: {error}.", path))
    said = [row[1].strip() for row in rows if len(row) > 1 and _number(row[0]) is None]
    start = next((each for each in map(_instant, said) if each), None)
    if start is None:
        return LeftOut("time", Problem("Must say when it was recorded.", path))
    named = (catalogue.alert_named(FORMAT, f"{ECG}/{each}") for each in said)
    event = next((each for each in named if each), None)
    if event is None:
        text = "An ECG whose classification is no alert here."
        return LeftOut("other-kind", Problem(text, path))
    device = Device(app=ECG)
    times = _Times(start, start + LENGTH_OF_ECG)
    return Notice(
        event.name,
        _made_id(event.name, times, device),
        times.start,
        times.end,
        local=True,
        device=device,
        path=path,
    )


HEAD_OF_ECG = 20
"""Lines before the curve."""
LENGTH_OF_ECG = timedelta(seconds=30)


def _times(said: Mapping[str, str]) -> _Times | None:
    start, end = _instant(said.get("startDate", "")), _instant(said.get("endDate", ""))
    if start is None or end is None or end < start or start.year < EARLIEST_YEAR:
        return None
    return _Times(start, end)


def _instant(text: str) -> datetime | None:
    """Return the time that ``2026-11-22 08:05:00 -0500`` tells."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(f"{text[:10]}T{text[11:19]}{text[20:]}")
    except ValueError:
        return None


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _revision(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _stat(metric: Metric, times: _Times) -> Stat:
    if metric.cumulative:
        return Stat.TOTAL
    return Stat.INSTANT if times.start == times.end else Stat.MEAN


def _device(said: Mapping[str, str]) -> Device:
    """Return the device; the name of its source only where there is no device."""
    written = _PASSING.sub("", said.get("device", "")).strip("<> ")
    if not written:
        return Device(app=said.get("sourceName", "").strip()[:200])
    name = _NAME.search(written)
    return Device(_short(written), name[1].strip()[:200] if name else "")


def _short(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _made_id(type: str, times: _Times, device: Device) -> str:
    start, end = microseconds(times.start), microseconds(times.end)
    told = "\0".join((type, str(start), str(end), *_told(device)))
    return f"{FORMAT}-{blake2b(told.encode(), digest_size=16).hexdigest()}"


def _told(device: Device) -> Sequence[str]:
    return (device.id, device.app)


def _shown(text: str) -> str:
    return text[:100] if text.isprintable() and text else "A record without a type"


_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,18})?([eE][+-]?\d{1,2})?", re.ASCII)
_PASSING = re.compile(r"HKDevice: 0x[0-9a-fA-F]+>?,?|, software:[^,>]*")
_NAME = re.compile(r"name:([^,]*)")
