"""Android's Health Connect: rows of the database that a phone exports. Pure.

Not documented by its makers; told by the files of phones: instants are milliseconds
since 1970, offsets seconds, ids 16 bytes. A series has its readings in a table of their
own. Masses are grams, energies calories, levels of glucose mmol/L.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from ...protocol.errors import Problem
from ..metrics import Catalogue, Metric, Unmeasured, measure
from ..samples import Context, Device, Flag, Item, LeftOut, Sample, Stat
from .members import EARLIEST_YEAR

FORMAT = "health-connect"
UNITS: Mapping[str, str] = {
    "active_calories_burned_record_table/energy": "cal",
    "blood_glucose_record_table/level": "mmol/L",
    "blood_pressure_record_table/diastolic": "mm[Hg]",
    "blood_pressure_record_table/systolic": "mm[Hg]",
    "body_temperature_record_table/temperature": "Cel",
    "heart_rate_record_series_table/beats_per_minute": "/min",
    "heart_rate_variability_rmssd_record_table/heart_rate_variability_millis": "ms",
    "oxygen_saturation_record_table/percentage": "%",
    "respiratory_rate_record_table/rate": "/min",
    "resting_heart_rate_record_table/beats_per_minute": "/min",
    "steps_record_table/count": "{steps}",
    "weight_record_table/weight": "g",
}
"""By table and column: what the number is in."""
STAGES = "sleep_stages_table"
ASLEEP = {"2": "sleeping", "4": "light", "5": "deep", "6": "rem"}
"""Types of stages in which one sleeps; the others are awake or out of bed."""
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


def adapt_rows(rows: Iterable[ExportedRow], catalogue: Catalogue) -> Iterator[Item]:
    """Yield what the rows say, in their order."""
    for row in rows:
        yield adapt_row(row, catalogue)


def adapt_row(row: ExportedRow, catalogue: Catalogue) -> Item:
    """Return what one value says."""
    path, name = f"{row.table}[{row.number}].{row.column}", f"{row.table}/{row.column}"
    if row.table == STAGES:
        if str(row.value) not in ASLEEP:
            return LeftOut("other-kind", Problem("A stage that is no sleep.", path))
        name = f"{STAGES}/{ASLEEP[str(row.value)]}"
    metric = catalogue.metric_named(FORMAT, name)
    if metric is None:
        return LeftOut("other-kind", Problem(f"{name} is not known here.", path))
    times = _times(row)
    if times is None:
        text = "Must start and end at milliseconds since 1970, in this order."
        return LeftOut("time", Problem(text, path))
    return _sample(metric, row, times, path)


def _sample(
    metric: Metric, row: ExportedRow, times: tuple[datetime, datetime, bool], path: str
) -> Item:
    start, end, local = times
    number, unit = row.value, UNITS.get(f"{row.table}/{row.column}", "")
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


SERIES = {"heart_rate_record_series_table": "heart_rate_record_table"}
"""Tables of readings, and the tables of the records that they are parts of."""


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
