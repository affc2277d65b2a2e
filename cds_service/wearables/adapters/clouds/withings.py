"""Withings: answers of its Measure, Sleep and Heart services.

An answer is ``{"status": 0, "body": {…}}``; another status says that there is none,
although it comes with HTTP's 200. A measure is a whole number and the power of ten that
it is times. ``category`` 2 is what the user aims at; ``attrib`` says who told it: the
device, the user by hand, or a device that does not know which of its users it was.
Of a weight with a ``position`` it is that of a part of the body.

Source: developer.withings.com/api-reference, "Measure - Getmeas", "Getactivity",
"Getintradayactivity", "Sleep v2 - Getsummary", "Heart v2 - List".
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ....protocol.errors import Problem, Unprocessable
from ...clock import find_zone
from ...metrics import Catalogue, Metric
from ...samples import Context, Device, Flag, Item, Notice, Stat
from ..members import Sender
from ..reading import (
    SECONDS,
    Frame,
    NotTaken,
    Object,
    Reader,
    inside,
    made_id,
    open_reader,
    read_each,
    read_epoch,
    read_id,
    read_name,
    read_one,
    read_revision,
    read_span,
    read_whole,
    read_word,
    step,
)

FORMAT = "withings"
GOAL = 2
"""As a ``category``."""
SOMEBODY = 1
"""As an ``attrib``: the device has several users, and one of them it was."""
BY_HAND = (2, 4)
"""As an ``attrib``: typed, at any time or when the account was made."""
WEIGHT = 1
"""As a type."""
POWERS = 12
"""So many digits are there before or behind the point, at most."""
LONGEST = 2 * 86_400
"""Seconds that one entry lasts."""
STATISTICS = {"min": Stat.MIN, "max": Stat.MAX, "average": Stat.MEAN}
"""By the end of a member's name."""


def adapt(body: Any, sender: Sender, catalogue: Catalogue) -> Iterator[Item]:
    """Yield what an answer says.

    Raises:
        Unprocessable: if *body* is none, or says that there is none.
    """
    told, path = body, "$"
    if isinstance(body, dict) and "status" in body:
        if body["status"] != 0:
            text = "Says by its status that the request was not answered."
            raise Unprocessable(Problem(text, "$.status"))
        told, path = body.get("body"), "$.body"
    known = [each for each in LISTS if isinstance(told, dict) and each in told]
    if not known:
        text = f"Must have one of {', '.join(LISTS)}."
        raise Unprocessable(Problem(text, path))
    reader = _in_zone_of(told, open_reader(FORMAT, sender, catalogue))
    for name in known:
        yield from LISTS[name](told[name], f"{path}.{name}", reader)


def _in_zone_of(told: Object, reader: Reader) -> Reader:
    """The reader in the time zone that is told beside times, if one is."""
    name = told.get("timezone")
    zone = find_zone(name) if isinstance(name, str) else None
    return replace(reader, zone=zone) if zone else reader


def _groups(told: Any, path: str, reader: Reader) -> Iterator[Item]:
    yield from read_each(told, path, lambda each, place: _group(each, place, reader))


def _group(group: Object, path: str, reader: Reader) -> Iterator[Item]:
    """What was measured at one moment."""
    if group.get("category") == GOAL:
        raise NotTaken("goal", "What the user aims at.", "category")
    attrib = group.get("attrib")
    if attrib == SOMEBODY:
        text = "Of one of several users of the device, and nobody knows of whom."
        raise NotTaken("other-user", text, "attrib")
    if group.get("is_inconclusive") is True:
        raise NotTaken("no-value", "Is not conclusive.", "is_inconclusive")
    at = read_epoch(group.get("date"), SECONDS, "date")
    begun, local = _in_zone_of(group, reader).on_clock(at)
    frame = Frame(
        begun,
        begun,
        local,
        device=_device(group),
        revision=_revision(group),
        flags=Flag.MANUAL if attrib in BY_HAND else Flag(0),
    )
    id = read_id(group.get("grpid"), "grpid")
    yield from read_each(
        group.get("measures"),
        f"{path}.measures",
        lambda each, place: _measure(each, place, frame, id, reader),
    )


def _measure(
    measure: Object, path: str, frame: Frame, id: str, reader: Reader
) -> Iterator[Item]:
    type = read_whole(measure.get("type"), "type")
    name = f"meas/{type}"
    metric = reader.metric(name)
    if metric is None:
        raise NotTaken("other-kind", "No metric here.", "type")
    if type == WEIGHT and measure.get("position") is not None:
        raise NotTaken("other-kind", "The weight of a part of the body.", "position")
    if measure.get("value") is None:
        raise NotTaken("no-value", "Has no value.", "value")
    value = read_whole(measure["value"], "value")
    power = read_whole(measure.get("unit"), "unit")
    if abs(power) > POWERS:
        raise NotTaken("malformed", "Must be a power of ten.", "unit")
    within = replace(frame, source_id=f"{id}/{type}") if id else frame
    number = float(f"{value}e{power}")
    unit = metric.unit_of(FORMAT, name)
    yield reader.value(metric, number, unit, within, f"{path}.value")


def _activities(told: Any, path: str, reader: Reader) -> Iterator[Item]:
    def read(entry: Object, place: str) -> Iterator[Item]:
        there = _in_zone_of(entry, reader)
        day = there.day(entry.get("date"), "date")
        if day is None:
            raise NotTaken("time", "Must be a date.", "date")
        frame = Frame(
            *day,
            local=True,
            device=_device(entry),
            revision=_revision(entry),
            flags=Flag.DAY_TOTAL,
        )
        yield from _members(entry, "activity", frame, place, there)

    yield from read_each(told, path, read)


def _series(told: Any, path: str, reader: Reader) -> Iterator[Item]:
    """Nights, recordings of the heart or, by their seconds, parts of a day."""
    if isinstance(told, dict):
        for seconds, held in told.items():

            def read(entry: Object, place: str, at: str = seconds) -> Iterator[Item]:
                return _moment(entry, at, place, reader)

            yield from read_one(held, step(path, seconds), read)
        return

    def read_either(entry: Object, place: str) -> Iterator[Item]:
        of = _recording if "timestamp" in entry else _night
        return of(entry, place, _in_zone_of(entry, reader))

    yield from read_each(told, path, read_either)


def _moment(entry: Object, seconds: str, path: str, reader: Reader) -> Iterator[Item]:
    start, local = reader.on_clock(read_epoch(seconds, SECONDS, ""))
    lasts = entry.get("duration")
    length = 0 if lasts is None else read_whole(lasts, "duration")
    if not 0 <= length <= LONGEST:
        raise NotTaken("time", "Must be how long it lasts.", "duration")
    end = start + timedelta(seconds=length)
    frame = Frame(start, end, local, device=_device(entry))
    # A pulse is of the moment; how long is told of what is counted.
    yield from _members(entry, "intraday", frame, path, reader, start)


def _night(entry: Object, path: str, reader: Reader) -> Iterator[Item]:
    start = read_epoch(entry.get("startdate"), SECONDS, "startdate")
    end = read_epoch(entry.get("enddate"), SECONDS, "enddate")
    begun, local = reader.on_clock(start)
    read_span(start, end, "enddate")
    frame = Frame(
        begun,
        end.astimezone(begun.tzinfo),
        local,
        device=_device(entry),
        source_id=read_id(entry.get("id"), "id"),
        revision=_revision(entry),
        context=Context.ASLEEP,
    )
    data = inside(entry, "data")
    yield from _members(data, "sleep", frame, f"{path}.data", reader)


def _recording(entry: Object, path: str, reader: Reader) -> Iterator[Item]:
    """A recording of the heart: what it was classified as, and the pulse."""
    at, local = reader.on_clock(
        read_epoch(entry.get("timestamp"), SECONDS, "timestamp")
    )
    found = read_word(inside(entry, "ecg").get("afib"))
    type = reader.catalogue.alert_named(FORMAT, f"ecg/afib/{found}")
    device, revision = _device(entry), _revision(entry)
    if type is not None:
        told = read_id(inside(entry, "ecg").get("signalid"), "ecg.signalid")
        id = made_id(type.name, told or at.isoformat())
        yield Notice(
            type.name, id, at, at, local, device=device, revision=revision, path=path
        )
    frame = Frame(at, at, local, device=device, revision=revision)
    yield from _members(entry, "ecg", frame, path, reader, quiet=type is not None)


def _members(
    entry: Object,
    kind: str,
    frame: Frame,
    path: str,
    reader: Reader,
    moment: datetime | None = None,
    quiet: bool = False,
) -> Iterator[Item]:
    """What the members of an entry say that are metrics.

    Args:
        moment: When what is no sum was measured, if not in all of the time.
        quiet: The entry has said something already.
    """
    found = [
        (name, metric) for name in entry if (metric := reader.metric(f"{kind}/{name}"))
    ]
    if not found and not quiet:
        raise NotTaken("other-kind", "No metric here.")
    for name, metric in found:
        within = frame
        if moment is not None and not metric.cumulative:
            within = replace(frame, end=moment)
        yield _value(entry[name], metric, f"{kind}/{name}", within, path, reader)


def _value(
    told: Any, metric: Metric, name: str, frame: Frame, path: str, reader: Reader
) -> Item:
    member = name.partition("/")[2]
    stat = STATISTICS.get(member.rpartition("_")[2])
    unit = metric.unit_of(FORMAT, name)
    return reader.value(metric, told, unit, frame, step(path, member), stat)


def _device(entry: Object) -> Device:
    id = entry.get("deviceid") or entry.get("hash_deviceid")
    return Device(read_id(id, "deviceid"), read_name(entry.get("model")))


def _revision(entry: Object) -> int:
    """When it was changed, in milliseconds since 1970."""
    return read_revision(read_revision(entry.get("modified")) * 1000)


LISTS: Mapping[str, Callable[[Any, str, Reader], Iterator[Item]]] = {
    "measuregrps": _groups,
    "activities": _activities,
    "series": _series,
}
"""By the member of an answer that holds them."""
