"""Android's Health Connect: rows of the database that a phone exports. Pure.

Not documented by its makers; told by the files of phones: instants are milliseconds
since 1970, offsets seconds, ids 16 bytes. A series has its readings in a table of their
own. Numbers stand without units: which they are in, metrics say.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from ...protocol.errors import Problem
from ..metrics import Catalogue, Metric, Unmeasured, measure
from ..samples import Context, Device, Flag, Item, LeftOut, Sample, Stat
from .members import EARLIEST_YEAR

FORMAT = "health-connect"
STAGES = "sleep_stages_table"
"""Its value is a kind of sleep, or of lying awake; what counts is how long it lasts."""
TYPED_BY_HAND = 3
"""``recording_method``."""
WIDEST_OFFSET = timedelta(hours=18)


@dataclass(frozen=True, slots=True)
class ExportedRow:
    """One value of the database, as it stands there."""

    table: str
    column: str
    value: Any
    start: Any
    """Milliseconds since 1970."""
    end: Any
    """None where it is of an instant."""
    offset: Any = None
    """Seconds that the wearer's clock was ahead of UTC."""
    uuid: Any = None
    modified: Any = None
    """Milliseconds since 1970."""
    recorded: Any = None
    """How; see ``TYPED_BY_HAND``."""
    device: str = ""
    app: str = ""
    number: int = 0
    """Of the row in its table."""
    kind: Any = None
    """What the row says of how it was measured, where that may make another metric."""


def adapt_rows(rows: Iterable[ExportedRow], catalogue: Catalogue) -> Iterator[Item]:
    """Yield what the rows say, in their order."""
    for row in rows:
        yield adapt_row(row, catalogue)


def adapt_row(row: ExportedRow, catalogue: Catalogue) -> Item:
    """Return what one value says."""
    path = f"{row.table}[{row.number}].{row.column}"
    name, metric = _metric(row, catalogue)
    if metric is None:
        return LeftOut("other-kind", Problem(f"{name} is not known here.", path))
    times = _times(row)
    if times is None:
        text = "Must start and end at milliseconds since 1970, in this order."
        return LeftOut("time", Problem(text, path))
    return _sample(metric, metric.unit_of(FORMAT, name), row, times, path)


def _metric(row: ExportedRow, catalogue: Catalogue) -> tuple[str, Metric | None]:
    """By its kind, else by its column alone."""
    name = f"{row.table}/{row.column}"
    closer = f"{name}/{row.value if row.table == STAGES else row.kind}"
    metric = catalogue.metric_named(FORMAT, closer)
    if metric is not None or row.table == STAGES:
        return closer, metric
    return name, catalogue.metric_named(FORMAT, name)


def _sample(
    metric: Metric,
    unit: str,
    row: ExportedRow,
    times: tuple[datetime, datetime, bool],
    path: str,
) -> Item:
    start, end, local = times
    number = row.value
    asleep = row.table == STAGES
    if asleep:
        number, unit = (end - start) / timedelta(minutes=1), "min"
    if not _is_number(number):
        return LeftOut("no-value", Problem("Has no number.", path))
    try:
        value = measure(metric, number, unit)
    except Unmeasured as error:
        return LeftOut(error.reason, Problem(str(error), path))
    return Sample(
        metric.name,
        value,
        metric.unit,
        start,
        end,
        local=local,
        device=Device(row.device, row.device, row.app),
        source_id=_id(row),
        revision=row.modified if _is_whole(row.modified) else 0,
        stat=_stat(metric, start == end),
        context=Context.ASLEEP if asleep else Context.UNKNOWN,
        flags=Flag.MANUAL if row.recorded == TYPED_BY_HAND else Flag(0),
        path=path,
    )


def _id(row: ExportedRow) -> str:
    """Return the record's id; that of a part of one with the time of the part."""
    if not isinstance(row.uuid, bytes) or len(row.uuid) != 16:
        return ""
    part = f"/{row.start}" if row.table in (STAGES, *SERIES) else ""
    return f"{row.uuid.hex()}{part}"


SERIES = {
    "heart_rate_record_series_table": "heart_rate_record_table",
    "skin_temperature_delta_table": "skin_temperature_record_table",
}
"""Tables of readings, and the tables of the records that they are parts of."""
KINDS = {
    "blood_glucose_record_table": "specimen_source",
    "body_temperature_record_table": "measurement_location",
}
"""By table: the column of a kind."""


def _stat(metric: Metric, instant: bool) -> Stat:
    if metric.cumulative:
        return Stat.TOTAL
    return Stat.INSTANT if instant else Stat.MEAN


def _times(row: ExportedRow) -> tuple[datetime, datetime, bool] | None:
    start = _instant(row.start)
    end = start if row.end is None else _instant(row.end)
    if start is None or end is None or end < start or start.year < EARLIEST_YEAR:
        return None
    if not _is_whole(row.offset) or abs(row.offset) > WIDEST_OFFSET.total_seconds():
        return start, end, False
    clock = timezone(timedelta(seconds=row.offset))
    return start.astimezone(clock), end.astimezone(clock), True


def _instant(milliseconds: Any) -> datetime | None:
    if not _is_whole(milliseconds) or not 0 <= milliseconds < LATEST:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


LATEST = 4_102_444_800_000
"""2100-01-01."""


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
