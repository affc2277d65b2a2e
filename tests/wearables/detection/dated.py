"""Days in short notation, and what patterns of days find in them."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cds_service.wearables.days import Calendar
from cds_service.wearables.detection.daily import Daily, DaysFound, detect_days
from cds_service.wearables.detection.detectors import (
    BaselineShift,
    DaysBeyond,
    Decline,
    Detector,
    Direction,
    Gain,
)
from cds_service.wearables.detection.episodes import NotJudged
from cds_service.wearables.metrics import Night
from cds_service.wearables.summaries import DaySummary

VIENNA = ZoneInfo("Europe/Vienna")
THERE = Calendar(VIENNA, "Europe/Vienna", Night(time(22), time(8), time(18)))
FIRST = date(2026, 9, 1)
LATER = datetime(2027, 1, 1, tzinfo=UTC)
LIMIT = DaysBeyond(Direction.AT_LEAST, 100, "mean", days=2, of=3, coverage=0.6)
SHIFT = BaselineShift(
    Direction.AT_LEAST,
    by=10,
    deviations=3,
    statistic="mean",
    days=2,
    baseline=6,
    least=4,
    left_out=2,
    coverage=0.6,
)
DECLINE = Decline(
    by=0.5,
    statistic="total",
    recent=3,
    before=5,
    least=3,
    worn=timedelta(hours=10),
)
STEADY = "60 60 60 60 60 60 60 60"
REASONS = {
    NotJudged.LOW_COVERAGE: "low",
    NotJudged.TOO_FEW_DAYS: "few",
    NotJudged.WEAR_UNKNOWN: "wear?",
}


def detector(pattern: Daily | Gain, **told: object) -> Detector:
    known = Detector(
        name="pattern",
        version="1.2.0",
        title="Pattern",
        metric="rate",
        alert_type="high-rate",
        unit="/min",
        pattern=pattern,
        status="active",
        lateness=timedelta(days=3),
        cooldown=timedelta(days=7),
    )
    return replace(known, **told)  # type: ignore[arg-type]


def at(day: int) -> date:
    """The day of that number; the first is 1."""
    return FIRST + timedelta(days=day - 1)


def midnight(day: int) -> datetime:
    """When the day of that number begins."""
    return datetime.combine(at(day), time(), VIENNA).astimezone(UTC)


def row(day: int, mean: float | None, coverage: float | None = None) -> DaySummary:
    covered = None if coverage is None else coverage * 1440
    return DaySummary(
        "rate",
        at(day),
        "Europe/Vienna",
        1440,
        n=1,
        mean=mean,
        covered=covered,
        sources=("watch",),
        devices=("Series 9",),
    )


def written(values: str) -> list[DaySummary]:
    """Days from the first on: a mean, ``_`` for nothing, ``104*0.5`` half covered."""
    rows = []
    for day, value in enumerate(values.split(), 1):
        if value != "_":
            mean, _, coverage = value.partition("*")
            rows.append(row(day, float(mean), float(coverage) if coverage else None))
    return rows


def find(
    pattern: Daily,
    summaries: list[DaySummary],
    *,
    first: int = 1,
    last: int | None = None,
    now: datetime = LATER,
    limits: list[tuple[int, float]] | None = None,
    of: Detector | None = None,
) -> DaysFound:
    newest = max((each.day for each in summaries), default=FIRST)
    return detect_days(
        of or detector(pattern),
        pattern,
        summaries,
        THERE,
        at(first),
        at(last) if last else newest,
        now,
        limits=limits or (),
        priority=("watch", "garmin"),
    )


def spells(found: DaysFound) -> list[str]:
    """Of each: its first day, the one it opened with, the last, and why it is over."""
    told = []
    for each in found.episodes:
        end = each.end or each.last
        days = [
            (moment.astimezone(VIENNA).date() - FIRST).days
            for moment in (each.start + timedelta(days=1), each.opened, end)
        ]
        told.append(f"{days[0]}-{days[1]}-{days[2]} {each.closing or 'lasts'}")
    return told


def reasons(found: DaysFound) -> str:
    """Of each day that has a tally: ``+`` if it was judged, else why not."""
    return " ".join(
        "+" if each.judged else REASONS[next(iter(each.not_judged))]
        for each in found.tallies
    )
