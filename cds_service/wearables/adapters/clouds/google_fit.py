"""Google Fit: answers of ``dataset.aggregate`` and ``datasets.get``.

Times are nanoseconds since 1970, as text or as numbers. What is finer than a
microsecond tells readings apart that would be one otherwise, so it goes into their id.
A bucket without points says nothing, which is not zero. A day's total is of its whole
bucket, since its point ends with the last step, and the same day told later is the same
reading.

Source: developers.google.com/fit/rest/v1, "Users.dataset: aggregate",
"Users.dataSources.datasets: get"; "Public data types".
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ....protocol.errors import Problem, Unprocessable
from ...metrics import Catalogue, Metric
from ...samples import Context, Device, Flag, Item, Stat, microseconds
from ..members import Sender
from ..reading import (
    LONGEST_DAY,
    LONGEST_ID,
    MILLISECONDS,
    SHORTEST_DAY,
    Frame,
    NotTaken,
    Object,
    Reader,
    at_microseconds,
    made_id,
    open_reader,
    read_each,
    read_epoch,
    read_id,
    read_one,
    read_revision,
    read_span,
    read_whole,
)

FORMAT = "google-fit"
TYPED = "user_input"
"""The end of the id of a data stream into which people type."""
SEGMENTS = "com.google.sleep.segment"
"""Its value is a kind of sleep; what is measured is how long it lasted."""
SUMMARY = ".summary"
SUMMARIES = (Stat.MEAN, Stat.MAX, Stat.MIN)
"""The values of a type of summaries, in their order."""
MINUTE = timedelta(minutes=1)
NANOSECONDS = 1000
"""In a microsecond."""


def adapt(body: Any, sender: Sender, catalogue: Catalogue) -> Iterator[Item]:
    """Yield what the points of an answer say.

    Raises:
        Unprocessable: if *body* is neither of the two answers.
    """
    reader = open_reader(FORMAT, sender, catalogue)
    if isinstance(body, dict) and "bucket" in body:
        yield from _buckets(body["bucket"], "$.bucket", reader)
    elif isinstance(body, dict) and ("point" in body or "minStartTimeNs" in body):
        yield from read_one(body, "$", lambda each, path: _set(each, path, reader))
    else:
        text = "Must have the bucket of an aggregate, or the point of a dataset."
        raise Unprocessable(Problem(text, "$"))


@dataclass(frozen=True, slots=True)
class _Bucket:
    """A time that an aggregate was asked for by."""

    start: datetime
    end: datetime
    day: bool


def _buckets(told: Any, path: str, reader: Reader) -> Iterator[Item]:
    days = isinstance(told, list) and any(
        SHORTEST_DAY <= end - start <= LONGEST_DAY
        for each in told
        if (found := _bounds(each))
        for start, end in [found]
    )

    def read(bucket: Object, place: str) -> Iterator[Item]:
        found = _bounds(bucket)
        if found is None:
            text = "Must have startTimeMillis and endTimeMillis, in this order."
            raise NotTaken("time", text)
        within = _Bucket(*found, day=days)
        yield from read_each(
            bucket.get("dataset"),
            f"{place}.dataset",
            lambda each, inner: _set(each, inner, reader, within),
        )

    yield from read_each(told, path, read)


def _bounds(bucket: Any) -> tuple[datetime, datetime] | None:
    names = ("startTimeMillis", "endTimeMillis")
    try:
        start, end = (
            read_epoch(bucket.get(each), MILLISECONDS, each) for each in names
        )
        return read_span(start, end)
    except (NotTaken, AttributeError):
        return None


def _set(
    held: Object, path: str, reader: Reader, bucket: _Bucket | None = None
) -> Iterator[Item]:
    """What a dataset says: its points are of one data source."""
    points, unknown = held.get("point"), set[str]()
    # Where several points share a bucket, each is a part of it and has its own time.
    whole = bucket if isinstance(points, list) and len(points) == 1 else None

    def read(point: Object, place: str) -> Iterator[Item]:
        type = point.get("dataTypeName")
        type = type if isinstance(type, str) else ""
        values = list(_values(type, point.get("value"), reader))
        if values:
            frame = _frame(point, read_id(held.get("dataSourceId"), ""), whole, reader)
            if type == SEGMENTS:
                frame = replace(frame, context=Context.ASLEEP)
            for metric, number, unit, index, stat in values:
                if type == SEGMENTS:
                    number, unit = (frame.end - frame.start) / MINUTE, "min"
                inner = f"{place}.value[{index}]"
                yield reader.value(metric, number, unit, frame, inner, stat)
        elif type not in unknown:
            unknown.add(type)
            text = "No metric here is what this type of data has."
            raise NotTaken("other-kind", text, "dataTypeName")

    yield from read_each(points, f"{path}.point", read)


def _values(
    type: str, told: Any, reader: Reader
) -> Iterator[tuple[Metric, Any, str, int, Stat | None]]:
    """Metric, number, its unit, place and statistic of each value that is of one."""
    for index, value in enumerate(told if isinstance(told, list) else []):
        number = _number(value)
        staged = type == SEGMENTS and isinstance(number, int) and 0 < number < 100
        name = f"{type}/{number if staged else index}"
        metric = reader.metric(name)
        if metric is None and index == 0:
            name = type
            metric = reader.metric(name)
        if metric is None:
            continue
        stat = None
        if type.endswith(SUMMARY):
            stat = SUMMARIES[index % len(SUMMARIES)]
        yield metric, number, metric.unit_of(FORMAT, name), index, stat


def _number(value: Any) -> Any:
    held = value if isinstance(value, dict) else {}
    told = (held.get(name) for name in ("intVal", "fpVal", "stringVal"))
    return next((each for each in told if each is not None), None)


def _frame(point: Object, stream: str, bucket: _Bucket | None, reader: Reader) -> Frame:
    begin = read_whole(point.get("startTimeNanos"), "startTimeNanos")
    finish = read_whole(point.get("endTimeNanos"), "endTimeNanos")
    start = at_microseconds(begin // NANOSECONDS, "startTimeNanos")
    end = at_microseconds(finish // NANOSECONDS, "endTimeNanos")
    read_span(start, end, "endTimeNanos")
    origin = read_id(point.get("originDataSourceId"), "originDataSourceId")
    id, flags = "", Flag(0)
    if bucket is not None:
        kind = "day" if bucket.day else "bucket"
        id = _id(stream, kind, microseconds(bucket.start) * NANOSECONDS)
        if bucket.day:
            start, end, flags = bucket.start, bucket.end, Flag.DAY_TOTAL
    elif begin % NANOSECONDS or finish % NANOSECONDS:
        id = _id(origin or stream, begin, finish)
    if (origin or stream).endswith(TYPED):
        flags |= Flag.MANUAL
    begun, local = reader.on_clock(start)
    return Frame(
        begun,
        end.astimezone(begun.tzinfo),
        local,
        device=Device(stream if bucket else origin or stream),
        source_id=id,
        revision=read_revision(point.get("modifiedTimeMillis")),
        flags=flags,
    )


def _id(stream: str, *parts: object) -> str:
    text = "/".join((stream, *map(str, parts)))
    if len(text) <= LONGEST_ID:
        return text
    return made_id(text)
