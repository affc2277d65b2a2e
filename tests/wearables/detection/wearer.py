"""A wearer whose readings come delivery by delivery, and detectors for them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo

from cds_service.wearables.detection.detectors import (
    Detector,
    Direction,
    OwnLimit,
    Rest,
    SustainedBreach,
)
from cds_service.wearables.detection.episodes import DayTally, Episode, StoredEpisode
from cds_service.wearables.detection.evidence import (
    Days,
    GivenEvidence,
    Reassessment,
    Span,
)
from cds_service.wearables.detection.reassessing import reassess
from cds_service.wearables.metrics import Catalogue, Metric
from cds_service.wearables.samples import Context, Flag, Stat
from cds_service.wearables.series import Point, Series, Voice
from cds_service.wearables.summaries import DaySummary

EIGHT = datetime(2026, 11, 22, 8, tzinfo=UTC)
EIGHT_US = 1_795_334_400_000_000
SECOND = 1_000_000
LATER = datetime(2026, 11, 24, tzinfo=UTC)
"""Long after all readings, and not so long that anything is history."""
HR, STEPS, GLUCOSE = "heart-rate", "steps", "sensor-glucose"
RESTING, WEIGHT = "resting-heart-rate", "body-weight"
CATALOGUE = Catalogue(
    {
        each.name: each
        for each in (
            Metric(
                HR,
                "Heart rate",
                "/min",
                25,
                250,
                priority=("watch", "phone"),
                proves_wear=timedelta(hours=12),
            ),
            Metric(STEPS, "Steps", "{steps}", 0, 50000, cumulative=True),
            Metric(GLUCOSE, "Glucose", "mg/dL", 20, 600),
            Metric(RESTING, "Resting heart rate", "/min", 25, 200, at_rest=True),
            Metric(WEIGHT, "Weight", "kg", 2, 400),
        )
    }
)
REST = Rest(
    metric=STEPS,
    per_minute=10,
    lookback=timedelta(seconds=300),
    longest=timedelta(minutes=15),
    covered=0.8,
)
FAST = SustainedBreach(
    direction=Direction.ABOVE,
    limit=100,
    clear=95,
    hold=timedelta(seconds=600),
    gap=timedelta(seconds=180),
    coverage=0.7,
    share=0.9,
    readings=4,
    edge=timedelta(0),
    recovery=timedelta(seconds=600),
    silence=timedelta(hours=1),
    rest=REST,
)
VERY_LOW = SustainedBreach(
    direction=Direction.BELOW,
    limit=54,
    clear=70,
    hold=timedelta(seconds=900),
    gap=timedelta(seconds=450),
    coverage=0.7,
    share=1.0,
    readings=3,
    edge=timedelta(0),
    recovery=timedelta(seconds=900),
    silence=timedelta(hours=1),
)


def detector(
    pattern: SustainedBreach = FAST, name: str = "fast", metric: str = HR
) -> Detector:
    return Detector(
        name=name,
        version="1.0.0",
        title=name,
        metric=metric,
        alert_type="high-heart-rate",
        unit="/min",
        pattern=pattern,
        status="active",
        lateness=timedelta(hours=48),
        cooldown=timedelta(hours=24),
        own_limit=OwnLimit(90, 150),
    )


DETECTOR = detector()
LOW_GLUCOSE = detector(VERY_LOW, "very-low-glucose", GLUCOSE)


def reading(
    at: float, value: float, context: Context = Context.REST, flags: Flag = Flag(0)
) -> Point:
    """So many seconds after eight."""
    us = EIGHT_US + round(at * SECOND)
    return Point(us, us, value, 0, Stat.INSTANT, context, flags)


def every(
    step: float,
    values: Iterable[float],
    start: float = 0,
    context: Context = Context.REST,
) -> list[Point]:
    """One reading every so many seconds."""
    return [
        reading(start + number * step, value, context)
        for number, value in enumerate(values)
    ]


def minutes(*values: float, start: float = 0) -> list[Point]:
    """One reading a minute, at rest."""
    return every(60, values, start * 60)


def walked(start: float, until: float, steps: float, length: float = 60) -> list[Point]:
    """Intervals of steps from one second to another."""
    count = round((until - start) / length)
    return [
        Point(
            EIGHT_US + round((start + number * length) * SECOND),
            EIGHT_US + round((start + (number + 1) * length) * SECOND),
            steps,
            0,
            Stat.TOTAL,
        )
        for number in range(count)
    ]


def seconds(at: datetime | None) -> float | None:
    """After eight."""
    return None if at is None else (at - EIGHT).total_seconds()


@dataclass
class Wearer:
    """What is kept of one, and what was found in it."""

    detectors: Sequence[Detector] = (DETECTOR,)
    voices: Sequence[Voice] = (Voice("watch"),)
    limits: Sequence[tuple[int, float]] = ()
    zone: tzinfo = UTC
    kept: dict[str, list[Point]] = field(default_factory=dict)
    episodes: dict[str, list[StoredEpisode]] = field(default_factory=dict)
    retracted: list[tuple[str, str]] = field(default_factory=list)
    tallies: dict[tuple[str, str, str], DayTally] = field(default_factory=dict)
    days: list[DaySummary] = field(default_factory=list)

    def deliver(
        self,
        points: Iterable[Point],
        metric: str = HR,
        now: datetime = LATER,
        without: Sequence[Point] = (),
    ) -> Reassessment:
        """Keep readings, do without others, and look anew."""
        came = list(points)
        kept = [each for each in self.kept.get(metric, []) if each not in without]
        self.kept[metric] = sorted([*kept, *came], key=lambda each: each.start_us)
        changed = [*came, *without]
        if not changed:
            return Reassessment()
        first = min(each.start_us for each in changed)
        last = max(each.end_us for each in changed)
        return self.look({metric: (first, last)}, now)

    def look(self, dirty: dict[str, Span], now: datetime = LATER) -> Reassessment:
        found = reassess(self.detectors, CATALOGUE, self.evidence(), dirty, now)
        for name, changes in found.changes.items():
            stored = {each.id: each for each in self.episodes.get(name, [])}
            for gone in changes.retracted:
                del stored[gone.id]
                self.retracted.append((gone.id, gone.in_favour_of))
            for revised in changes.revised:
                before = stored[revised.id]
                stored[revised.id] = replace(
                    before, rev=before.rev + 1, episode=revised.episode
                )
            for new in changes.new:
                id = f"e-{len(stored) + len(self.retracted) + 1}"
                stored[id] = StoredEpisode(id, 0, new.episode, new.historical)
            self.episodes[name] = list(stored.values())
        self.days = [
            each for each in self.days if not is_of(each, found.summarised)
        ] + list(found.summaries)
        for name, (first, last) in found.tallied.items():
            self.tallies = {
                key: each
                for key, each in self.tallies.items()
                if not (each.detector == name and first <= each.day <= last)
            }
        for tally in found.tallies:
            key = tally.detector, tally.day.isoformat(), tally.source
            assert key not in self.tallies
            self.tallies[key] = tally
        return found

    def evidence(self) -> GivenEvidence:
        return GivenEvidence(
            {
                metric: Series(metric, self.voices, points)
                for metric, points in self.kept.items()
            },
            self.episodes,
            self.days,
            own_limits={each.name: self.limits for each in self.detectors},
            zone=self.zone,
        )

    def found(self, name: str = "fast") -> list[Episode]:
        """The episodes, by their start."""
        stored = self.episodes.get(name, [])
        return sorted((each.episode for each in stored), key=lambda each: each.start)

    def opened(self, name: str = "fast") -> list[float | None]:
        """When each opened, in seconds after eight."""
        return [seconds(each.opened) for each in self.found(name)]

    def not_judged(self, name: str = "fast") -> dict[str, int]:
        """Why readings were not judged, and how many, of all days and sources."""
        found: dict[str, int] = {}
        for tally in self.tallies.values():
            if tally.detector == name:
                for why, n in tally.not_judged.items():
                    found[str(why)] = found.get(str(why), 0) + n
        return found


def is_of(summary: DaySummary, days: Mapping[str, Days]) -> bool:
    """Check whether all of a summary's day is told."""
    if summary.metric not in days:
        return False
    first, last = days[summary.metric]
    return first <= summary.day <= last


def opened(points: Iterable[Point], steps: Iterable[Point] = ()) -> list[float | None]:
    """When episodes of a fast heart at rest open, in seconds after eight."""
    wearer = Wearer()
    wearer.deliver(steps, STEPS)
    wearer.deliver(points)
    return wearer.opened()
