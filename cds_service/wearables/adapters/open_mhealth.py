"""Open mHealth and IEEE 1752.1: data points of a header and a body.

Points come alone, in a list, in a series whose bodies share a header, or wrapped by a
shim as ``{shim, timeStamp, body: […]}``; with the header of Open mHealth 1.x (``id``,
``creation_date_time``) or that of the IEEE (``uuid``, ``source_creation_date_time``).

The id of a header belongs to the point and changes whenever something is converted
again, so that it tells nothing apart. ``source_data_point_id`` does; where there is
none, the source and the time frame do.

Source: IEEE 1752.1-2021, "data-series"; schemas of Open mHealth, ``header``,
``data-point``, ``time-frame``, ``time-interval``, ``descriptive-statistic``.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ...protocol.errors import Problem, Unprocessable
from ..metrics import Catalogue, Metric, Unmeasured, convert
from ..samples import (
    Context,
    Device,
    Flag,
    Item,
    SourceWearer,
    Stat,
    microseconds,
)
from .members import Sender
from .reading import (
    MILLISECONDS,
    Frame,
    NotTaken,
    Object,
    Reader,
    inside,
    open_reader,
    read_each,
    read_id,
    read_name,
    read_number,
    read_one,
    read_span,
    read_user,
    step,
)

FORMAT = "open-mhealth"
BODY = "body"
STATISTICS = {
    "average": Stat.MEAN,
    "minimum": Stat.MIN,
    "maximum": Stat.MAX,
    "median": Stat.MEDIAN,
    "sum": Stat.TOTAL,
}
"""Statistics whose value is one of the metric; a deviation or a variance is none."""
ACTIVITY = {
    "at rest": Context.REST,
    "active": Context.ACTIVE,
    "during exercise": Context.ACTIVE,
}
"""Of ``temporal_relationship_to_physical_activity``: what was going on meanwhile."""
ASLEEP = "during sleep"
TYPED = frozenset({"self-reported", "self_reported"})
LONGEST_STRETCH = 10 * 366 * 86_400
"""Seconds of a duration."""


def adapt(body: Any, sender: Sender, catalogue: Catalogue) -> Iterator[Item]:
    """Yield what data points say.

    Raises:
        Unprocessable: if *body* is no data point, nor any number of them.
    """
    reader = open_reader(FORMAT, sender, catalogue)
    if isinstance(body, list):
        yield from read_each(body, "$", lambda each, path: _entry(each, path, reader))
    elif isinstance(body, dict) and ("header" in body or "body" in body):
        yield from read_one(body, "$", lambda each, path: _entry(each, path, reader))
    else:
        text = "Must be a data point with a header and a body, or a list of them."
        raise Unprocessable(Problem(text, "$"))


def _entry(entry: Object, path: str, reader: Reader) -> Iterator[Item]:
    """A data point, or what a shim wraps points in."""

    def read(point: Object, place: str) -> Iterator[Item]:
        return read_point(point, place, reader)

    held = entry.get("body")
    if "header" in entry and isinstance(held, list):
        yield from _series(entry, held, path, reader)
    elif "header" in entry:
        yield from read(entry, path)
    elif isinstance(held, dict):
        yield from read_one(held, f"{path}.body", read)
    elif "body" in entry:
        yield from read_each(held, f"{path}.body", read)
    else:
        raise NotTaken("malformed", "Must have a header and a body.")


def _series(
    series: Object, bodies: list[Any], path: str, reader: Reader
) -> Iterator[Item]:
    """Bodies that share a header, whose id is of none of them."""
    for index, body in enumerate(bodies):
        place = f"body[{index}]"
        point = {"header": series["header"], "body": body}
        try:
            if not isinstance(body, dict):
                raise NotTaken("malformed", "Must be an object.", BODY)
            yield from read_point(point, path, reader, place=place)
        except NotTaken as error:
            member = re.sub("^body", place, error.member)
            yield NotTaken(error.reason, error.text, member).left_out(path)


def read_point(
    point: Object,
    path: str,
    reader: Reader,
    wearer: SourceWearer | None = None,
    place: str = BODY,
) -> Iterator[Item]:
    """Yield what one data point says.

    Args:
        wearer: Where what the point stands in says it.
        place: Of the body, in what stands at *path*.

    Raises:
        NotTaken: if it is none.
    """
    header, body = inside(point, "header"), inside(point, "body")
    schema = inside(header, "schema_id").get("name")
    if not isinstance(schema, str) or not schema:
        raise NotTaken("malformed", "Required.", "header.schema_id.name")
    measures = list(_measures(schema, body, reader))
    if not measures:
        text = "No metric here is what this schema has."
        raise NotTaken("other-kind", text, "header.schema_id.name")
    stat = _stat(body)
    frame = _frame(header, body, reader, wearer)
    if place != BODY:
        frame = replace(frame, source_id="")
    for member, metric in measures:
        measure = body[member]
        unit = measure.get("unit")
        yield reader.value(
            metric,
            measure.get("value"),
            unit if isinstance(unit, str) else "",
            frame,
            step(f"{path}.{place}", member),
            stat,
        )


def _measures(
    schema: str, body: Object, reader: Reader
) -> Iterator[tuple[str, Metric]]:
    """The members of a body that are values of metrics.

    What the body says of how it was measured, such as ``interstitial fluid``, may make
    another metric of the same member.
    """
    kinds = [each for each in body.values() if isinstance(each, str)]
    for member, held in body.items():
        if not isinstance(held, dict) or "value" not in held:
            continue
        name = f"{schema}/{member}"
        closer = (reader.metric(f"{name}/{kind}") for kind in kinds)
        metric = next((each for each in closer if each), reader.metric(name))
        if metric:
            yield member, metric


def _stat(body: Object) -> Stat | None:
    said = body.get("descriptive_statistic")
    if said is None:
        return None
    member = "body.descriptive_statistic"
    if body.get("descriptive_statistic_denominator") is not None:
        raise NotTaken("other-kind", "One of many intervals is no reading.", member)
    stat = STATISTICS.get(said) if isinstance(said, str) else None
    if stat is None:
        raise NotTaken("other-kind", "Not a value of what was measured.", member)
    return stat


def _frame(
    header: Object, body: Object, reader: Reader, wearer: SourceWearer | None
) -> Frame:
    start, end, local = _times(inside(body, "effective_time_frame"), reader)
    origin = inside(header, "acquisition_provenance")
    id = origin.get("source_data_point_id") or header.get("source_data_point_id")
    modality = header.get("modality") or origin.get("modality")
    typed = isinstance(modality, str) and modality in TYPED
    return Frame(
        start,
        end,
        local,
        wearer or read_user(header.get("user_id"), "header.user_id"),
        Device(name=_source_name(header, origin)),
        read_id(id, "header.source_data_point_id"),
        _revision(header, reader),
        _context(body),
        Flag.MANUAL if typed else Flag(0),
    )


def _source_name(header: Object, origin: Object) -> str:
    named = read_name(origin.get("source_name"))
    sheets = header.get("external_datasheets")
    if named or not isinstance(sheets, list):
        return named
    told = (
        each.get("datasheet_reference") for each in sheets if isinstance(each, dict)
    )
    return next(filter(None, map(read_name, told)), "")


def _revision(header: Object, reader: Reader) -> int:
    """When the point was made, in milliseconds since 1970; 0 where it is not said."""
    for name in ("creation_date_time", "source_creation_date_time"):
        try:
            made, _ = reader.time(header.get(name), name)
        except NotTaken:
            continue
        return microseconds(made) // MILLISECONDS
    return 0


def _context(body: Object) -> Context:
    moving = body.get("temporal_relationship_to_physical_activity")
    if body.get("temporal_relationship_to_sleep") == ASLEEP:
        return Context.ASLEEP
    known = ACTIVITY.get(moving) if isinstance(moving, str) else None
    return known or Context.UNKNOWN


def _times(frame: Object, reader: Reader) -> tuple[datetime, datetime, bool]:
    member = "body.effective_time_frame"
    interval = frame.get("time_interval")
    if (interval is None) == (frame.get("date_time") is None):
        text = "Must have either a date_time or a time_interval."
        raise NotTaken("time", text, member)
    if interval is None:
        at, local = reader.time(frame["date_time"], f"{member}.date_time")
        return at, at, local
    member = f"{member}.time_interval"
    told = inside(frame, "time_interval")
    if told.get("start_date_time") is None:
        end, local = reader.time(told.get("end_date_time"), f"{member}.end_date_time")
        return end - _duration(told, member), end, local
    start, local = reader.time(told["start_date_time"], f"{member}.start_date_time")
    if told.get("end_date_time") is None:
        return start, start + _duration(told, member), local
    end, _ = reader.time(told["end_date_time"], f"{member}.end_date_time")
    return *read_span(start, end, member), local


def _duration(interval: Object, member: str) -> timedelta:
    told = inside(interval, "duration")
    unit = told.get("unit")
    try:
        number = read_number(told.get("value"))
        seconds = convert(number, unit if isinstance(unit, str) else "", "s")
    except (NotTaken, Unmeasured):
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_STRETCH:
        text = "Must be a duration, or the other end of the interval."
        raise NotTaken("time", text, f"{member}.duration")
    return timedelta(seconds=seconds)
