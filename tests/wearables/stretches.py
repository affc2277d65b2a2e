"""Series of readings in short notation, metrics, a calendar: for days and nights."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cds_service.wearables.days import Calendar
from cds_service.wearables.metrics import Metric, Night
from cds_service.wearables.samples import (
    Context,
    Device,
    Flag,
    Stat,
    microseconds,
)
from cds_service.wearables.series import Point, Series, Voice

VIENNA = ZoneInfo("Europe/Vienna")
MINUTE = 60_000_000
DAY = date(2026, 11, 22)
NIGHT = Night(time(22), time(8), time(18))
THERE = Calendar(VIENNA, "Europe/Vienna", NIGHT)
STEPS = Metric(
    "steps",
    "Steps",
    "{steps}",
    0,
    250000,
    cumulative=True,
    priority=("watch", "phone"),
)
DEEP = Metric("deep", "Deep", "min", 0, 1500, cumulative=True, sleep=True)
ASLEEP = Metric(
    "asleep",
    "Asleep",
    "min",
    0,
    1500,
    cumulative=True,
    sleep=True,
    includes=("deep", "light"),
    priority=("watch", "phone"),
)


def us(written: str, zone: ZoneInfo = VIENNA) -> int:
    """Microseconds of a time on the wall."""
    return microseconds(datetime.fromisoformat(written).replace(tzinfo=zone))


def reading(
    written: str,
    value: float,
    voice: int = 0,
    *,
    minutes: float = 0,
    stat: Stat | None = None,
    context: Context = Context.UNKNOWN,
    flags: Flag = Flag(0),
    zone: ZoneInfo = VIENNA,
) -> Point:
    """A reading at a time on the wall, of one moment unless it says how long."""
    start = us(written, zone)
    usual = Stat.TOTAL if minutes else Stat.INSTANT
    end = start + round(minutes * MINUTE)
    return Point(start, end, value, voice, stat or usual, context, flags)


def every(
    minutes: float, begin: str, values: Sequence[float], voice: int = 0
) -> list[Point]:
    """Readings of one moment each, so many minutes apart."""
    start = datetime.fromisoformat(begin).replace(tzinfo=VIENNA)
    step = timedelta(minutes=minutes)
    return [
        Point(at, at, value, voice)
        for number, value in enumerate(values)
        for at in [microseconds(start) + round(number * step.total_seconds() * 1e6)]
    ]


def voice(source: str, device: str = "") -> Voice:
    return Voice(source, device=Device(id=device, name=device))


def series(metric: str, points: Sequence[Point], *voices: Voice) -> Series:
    return Series(metric, voices or (voice("watch"),), sorted(points))
