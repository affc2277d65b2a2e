"""Health Auto Export: what the app on an iPhone posts of HealthKit.

``{"data": {"metrics": [{"name", "units", "data": [rows]}], "heartRateNotifications":
[…]}}``; units follow the settings of the phone. Times are written for people, with the
12-hour clock of some phones.

By how long a time rows were grouped is a setting of the app and stands nowhere. A row
of Min, Avg and Max, and a sum, is ``grouped`` therefore, until the link of the wearer
says how long. Where all rows of a sum begin at midnight, they are taken for days.

Source: help.healthyapps.dev, "Export format"; wiki of ``Lybron/health-auto-export``,
"API Export - JSON Format".
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import Any

from ...protocol.errors import Problem, Unprocessable
from ..clock import parse_written
from ..metrics import Catalogue, Metric
from ..samples import Context, Device, Flag, Item, LeftOut, Stat
from .heart_notifications import read_notification
from .members import Sender
from .reading import (
    Frame,
    NotTaken,
    Object,
    Reader,
    open_reader,
    read_each,
    read_name,
    read_span,
    step,
)

FORMAT = "health-auto-export"
STATISTICS = {
    "Min": Stat.MIN,
    "Avg": Stat.MEAN,
    "Max": Stat.MAX,
    "min": Stat.MIN,
    "avg": Stat.MEAN,
    "max": Stat.MAX,
}
QUANTITY = "qty"
TIMES = (("startDate", "endDate"), ("start", "end"))
"""Begin and end of a row that was not grouped."""
NIGHT = ("sleepStart", "sleepEnd")
SLEEP = "sleep_analysis"
NOTIFICATIONS = ("heartRateNotifications", "heartNotifications")


def adapt(body: Any, sender: Sender, catalogue: Catalogue) -> Iterator[Item]:
    """Yield what a delivery says.

    Raises:
        Unprocessable: if there is no ``data`` in it.
    """
    if not isinstance(body, dict) or "data" not in body:
        raise Unprocessable(Problem("Must be an object with data.", "$"))
    if not isinstance(body["data"], dict | None):
        raise Unprocessable(Problem("Must be an object.", "$.data"))
    reader = open_reader(FORMAT, sender, catalogue)
    for name, held in (body["data"] or {}).items():
        yield from _part(name, held, step("$.data", name), reader)
    for name, held in body.items():
        if name != "data":
            yield from _part(name, held, step("$", name), reader)


def _part(name: str, held: Any, path: str, reader: Reader) -> Iterator[Item]:
    """One kind of data: metrics, notifications, or what nothing is made of."""
    if name == "metrics":
        yield from read_each(held, path, lambda each, at: _metric(each, at, reader))
    elif name in NOTIFICATIONS:
        yield from read_each(
            held, path, lambda each, at: read_notification(each, at, reader)
        )
    elif held:
        yield LeftOut("other-kind", Problem("Holds no metric.", path))


def _metric(entry: Object, path: str, reader: Reader) -> Iterator[Item]:
    """All rows of one metric, or of one name that stands for several."""
    name, units, rows = entry.get("name"), entry.get("units"), entry.get("data")
    if not isinstance(name, str):
        raise NotTaken("malformed", "Required.", "name")
    known = _Fields(name, reader)
    if isinstance(rows, list) and rows and not any(map(known.any_in, rows)):
        raise NotTaken("other-kind", "No metric here.", "name")
    unit = units if isinstance(units, str) else ""
    days = isinstance(rows, list) and all(map(_at_midnight, rows))

    def read(row: Object, place: str) -> Iterator[Item]:
        frame = _frame(row, name, reader)
        found = list(known.of(row))
        if not found:
            another = any(each in row for each in (QUANTITY, *STATISTICS))
            raise NotTaken(
                "other-kind" if another else "no-value", "No value of a metric."
            )
        for field, metric in found:
            stat = STATISTICS.get(field)
            framed = _grouped(frame, metric, stat, days, reader)
            yield reader.value(
                metric, row[field], unit, framed, f"{place}.{field}", stat
            )

    yield from read_each(rows, f"{path}.data", read)


@dataclass(frozen=True, slots=True)
class _Fields:
    """Which fields of rows are values, and of what."""

    name: str
    reader: Reader

    def of(self, row: Object) -> Iterator[tuple[str, Metric]]:
        """Yield the fields that are values of metrics, with these."""
        for field in row:
            metric = self._metric(field, row)
            if metric:
                yield field, metric

    def any_in(self, row: Any) -> bool:
        """Check whether a row has any value; what is no row is told by itself."""
        return not isinstance(row, dict) or any(self.of(row))

    def _metric(self, field: str, row: Object) -> Metric | None:
        if field == QUANTITY and isinstance(row.get("value"), str):
            return self.reader.metric(f"{self.name}/value/{row['value']}")
        if field == QUANTITY or field in STATISTICS:
            return self.reader.metric(self.name)
        return self.reader.metric(f"{self.name}/{field}")


def _at_midnight(row: Any) -> bool:
    told = row.get("date") if isinstance(row, dict) else None
    written = parse_written(told) if isinstance(told, str) else None
    return written is not None and written.at.time() == time()


def _frame(row: Object, name: str, reader: Reader) -> Frame:
    source = read_name(row.get("source"))
    start, end, local = _times(row, reader)
    night = all(row.get(each) is not None for each in NIGHT)
    frame = Frame(
        start,
        end,
        local,
        device=Device(name=source),
        context=Context.ASLEEP if name == SLEEP else Context.UNKNOWN,
    )
    return _of_night(frame, row, source) if night else frame


def _times(row: Object, reader: Reader) -> tuple[datetime, datetime, bool]:
    for begin, finish in (NIGHT, *TIMES):
        if row.get(begin) is not None and row.get(finish) is not None:
            start, local = reader.time(row[begin], begin)
            end, _ = reader.time(row[finish], finish)
            return *read_span(start, end, finish), local
    day = reader.day(row.get("date"), "date")
    if day is not None:
        return *day, True
    at, local = reader.time(row.get("date"), "date")
    return at, at, local


def _of_night(frame: Frame, row: Object, source: str) -> Frame:
    """The frame of a night's sum, which is told anew when more of it is known."""
    written = parse_written(row["date"]) if isinstance(row.get("date"), str) else None
    at = written.at if written else frame.start
    return replace(
        frame,
        source_id=f"night/{at.isoformat()}/{source}",
        flags=frame.flags | Flag.DAY_TOTAL,
    )


def _grouped(
    frame: Frame, metric: Metric, stat: Stat | None, days: bool, reader: Reader
) -> Frame:
    """The frame of a value whose row tells one time, though it stands for more."""
    if frame.start != frame.end or not (metric.cumulative or stat):
        return frame
    if not metric.cumulative or not days:
        return replace(frame, flags=frame.flags | Flag.GROUPED)
    return replace(
        frame,
        end=reader.day_after(frame.start),
        flags=frame.flags | Flag.GROUPED | Flag.DAY_TOTAL,
    )
