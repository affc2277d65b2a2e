"""Oura API, version 2: documents of its collections, in lists or alone.

A list does not say of what it is, so that a document is known by its members. A series
is ``{"interval": seconds, "timestamp": …, "items": […]}``, in which null is no reading
but takes its time all the same. Pulse readings are told in UTC, which says nothing of
the wearer's clock. Oura's days of activity go from four in the morning to four.

Source: cloud.ouraring.com/v2/docs, "Daily Activity", "Daily Spo2", "Heart Rate",
"Sleep".
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ....protocol.errors import Problem, Unprocessable
from ...metrics import Catalogue, Metric
from ...samples import Context, Flag, Item, LeftOut, Removal, Stat
from ..members import Sender
from ..reading import (
    Frame,
    NotTaken,
    Object,
    Reader,
    inside,
    open_reader,
    read_each,
    read_id,
    read_number,
    read_one,
    read_span,
    read_whole,
    read_word,
    step,
)

FORMAT = "oura"
PAGE = "next_token"
ACTIVITY, SPO2, PULSE, SLEEP = "daily_activity", "daily_spo2", "heartrate", "sleep"
KINDS = (
    ("bpm", PULSE),
    ("bedtime_start", SLEEP),
    ("spo2_percentage", SPO2),
    ("steps", ACTIVITY),
)
"""By a member that documents of no other kind have."""
DOING = {"rest": Context.REST, "sleep": Context.ASLEEP, "workout": Context.ACTIVE}
"""By the ``source`` of a pulse reading."""
NO_SLEEP = ("rest", "deleted")
"""As a ``type`` of sleep: lying still, and what the user has taken back."""
STATISTICS = {"average": Stat.MEAN, "lowest": Stat.MIN}
"""By the beginning of a member's name."""
LONGEST_STEP = 3600
"""Seconds between two items of a series."""


def adapt(body: Any, sender: Sender, catalogue: Catalogue) -> Iterator[Item]:
    """Yield what documents say.

    Raises:
        Unprocessable: if *body* is neither a list of any nor one.
    """
    reader = open_reader(FORMAT, sender, catalogue)
    if isinstance(body, dict) and "data" in body:
        yield from read_each(
            body["data"], "$.data", lambda each, path: _document(each, path, reader)
        )
    elif isinstance(body, dict) and _kind(body):
        yield from read_one(body, "$", lambda each, path: _document(each, path, reader))
    else:
        raise Unprocessable(Problem("Must have data, or be one document.", "$"))


def _kind(document: Object) -> str:
    return next((kind for member, kind in KINDS if member in document), "")


def _document(document: Object, path: str, reader: Reader) -> Iterator[Item]:
    kind = _kind(document)
    if not kind:
        raise NotTaken("other-kind", "No metric here is in such a document.")
    read = {
        PULSE: _pulse,
        SLEEP: _sleep,
        SPO2: _saturation,
        ACTIVITY: _activity,
    }[kind]
    yield from read(document, path, reader)


def _pulse(document: Object, path: str, reader: Reader) -> Iterator[Item]:
    at, local = reader.time(document.get("timestamp"), "timestamp")
    if not at.utcoffset():
        at, local = reader.on_clock(at)
    doing = DOING.get(read_word(document.get("source")), Context.UNKNOWN)
    frame = Frame(at, at, local, context=doing)
    yield from _values(document, PULSE, frame, path, reader)


def _activity(document: Object, path: str, reader: Reader) -> Iterator[Item]:
    """A day's sums. Where it tells no begin, it is the civil day of its date."""
    if document.get("timestamp") is not None:
        start, local = reader.time(document["timestamp"], "timestamp")
        end = start + timedelta(days=1)
    else:
        start, end = _day(document, reader)
        local = True
    id = read_id(document.get("id"), "id")
    frame = Frame(start, end, local, source_id=id, flags=Flag.DAY_TOTAL)
    yield from _values(document, ACTIVITY, frame, path, reader)


def _saturation(document: Object, path: str, reader: Reader) -> Iterator[Item]:
    """The mean of a night, under the day on which it ended."""
    start, end = _day(document, reader)
    id = read_id(document.get("id"), "id")
    frame = Frame(start, end, True, source_id=id, flags=Flag.DAY_TOTAL)
    told = inside(document, "spo2_percentage")
    place = f"{path}.spo2_percentage"
    if _is_nothing(told.get("average")):
        raise NotTaken("no-value", "Says that nothing was measured.", "spo2_percentage")
    yield from _values(told, f"{SPO2}/spo2_percentage", frame, place, reader)


def _is_nothing(told: Any) -> bool:
    try:
        return told is None or read_number(told) == 0
    except NotTaken:
        return False


def _sleep(document: Object, path: str, reader: Reader) -> Iterator[Item]:
    """One sleep: its sums, and its series by their times."""
    id = read_id(document.get("id"), "id")
    if document.get("type") == "deleted" and id:
        yield Removal(source_id=id, path=path)
        return
    start, local = reader.time(document.get("bedtime_start"), "bedtime_start")
    end, _ = reader.time(document.get("bedtime_end"), "bedtime_end")
    read_span(start, end, "bedtime_end")
    slept = document.get("type") not in NO_SLEEP
    frame = Frame(
        start,
        end.astimezone(start.tzinfo),
        local,
        source_id=id,
        context=Context.ASLEEP if slept else Context.REST,
    )
    for name, metric in _measured(document, SLEEP, reader):
        told, place = document[name], step(path, name)
        if isinstance(told, dict):
            moments = replace(frame, source_id="")
            yield from _series(told, metric, name, moments, place, reader)
        elif slept or not metric.cumulative:
            yield _value(told, metric, f"{SLEEP}/{name}", frame, place, reader)


def _series(
    told: Object, metric: Metric, name: str, frame: Frame, path: str, reader: Reader
) -> Iterator[Item]:
    try:
        start, local = reader.time(told.get("timestamp"), "timestamp")
        seconds = _seconds(told.get("interval"))
        items = told.get("items")
        if not isinstance(items, list):
            raise NotTaken("malformed", "Must be a list.", "items")
    except NotTaken as error:
        yield error.left_out(path)
        return
    for index, item in enumerate(items):
        if item is not None:
            at = start + timedelta(seconds=index * seconds)
            within = replace(frame, start=at, end=at, local=local)
            place = f"{path}.items[{index}]"
            yield _value(item, metric, f"{SLEEP}/{name}", within, place, reader)
    nothing = sum(item is None for item in items)
    if nothing:
        text = f"Of {nothing} of its moments it says that nothing was measured."
        yield LeftOut("no-value", Problem(text, f"{path}.items"))


def _seconds(told: Any) -> int:
    """The seconds from one item of a series to the next."""
    seconds = read_whole(told, "interval")
    if not 0 < seconds <= LONGEST_STEP:
        raise NotTaken("time", "Must be the seconds between two items.", "interval")
    return seconds


def _day(document: Object, reader: Reader) -> tuple[datetime, datetime]:
    day = reader.day(document.get("day"), "day")
    if day is None:
        raise NotTaken("time", "Must be a date.", "day")
    return day


def _measured(
    document: Object, kind: str, reader: Reader
) -> Iterator[tuple[str, Metric]]:
    for name in document:
        metric = reader.metric(f"{kind}/{name}")
        if metric is not None:
            yield name, metric


def _values(
    document: Object, kind: str, frame: Frame, path: str, reader: Reader
) -> Iterator[Item]:
    for name, metric in _measured(document, kind, reader):
        place = step(path, name)
        yield _value(document[name], metric, f"{kind}/{name}", frame, place, reader)


def _value(
    told: Any, metric: Metric, name: str, frame: Frame, path: str, reader: Reader
) -> Item:
    stat = STATISTICS.get(name.rpartition("/")[2].partition("_")[0])
    unit = metric.unit_of(FORMAT, name)
    return reader.value(metric, told, unit, frame, path, stat)
